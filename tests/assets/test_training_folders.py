"""Equal training jobs find each other's checkpoints, also those within a blend."""

from dataclasses import replace
from functools import partial, wraps
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy import sparse

from gr2st_assets import models
from gr2st_assets.fingerprint import fingerprint
from gr2st_assets.model_costs import keep_cost
from gr2st_core.keys import SectionKey
from gr2st_core.models.registry import METHODS, method
from gr2st_core.settings import Gr2stSettings, KnnSettings, LowRankSettings, RidgeSettings, Settings
from gr2st_core.training.checkpoint import load_snapshot, state_digest
from gr2st_core.training.cost import Cost
from gr2st_core.types import Counts, ImageSection, Panel, TrainSection
from samples.crashes import is_killed

TRAIN = SectionKey("toy", "A1")


@pytest.fixture
def work(tmp_path):
    """A fold with nothing in it but what names its training."""
    return SimpleNamespace(
        fold=SimpleNamespace(split_unit="patient", train=(TRAIN,), patients={TRAIN: "A"}),
        variant=SimpleNamespace(target="per_spot", seed=0),
        settings=Settings(),
        progress=None,
        has_twin=False,
        panel=lambda: Panel("p", ("g",)),
        section_inputs=lambda tables, roles: {f"{table}:{role}": "digest" for table in tables for role in roles},
        membership=lambda roles: dict.fromkeys(roles, "toy/A1=A"),
        train_sections=lambda *_, **__: [],
        counts_only_sections=list,
        training_folder=lambda table, facts: tmp_path / ".training" / fingerprint(table, "", "", facts)[:16],
    )


def train(work, name: str):
    """Train a stand-in that leaves a checkpoint in its folder; the request it was given."""
    requests = []
    trained(work, name, requests)
    return requests[0]


def trained(work, name: str, requests=None):
    """What comes of that; the request is added to ``requests``."""
    requests = [] if requests is None else requests

    class Stub:
        def fit(self, request):
            requests.append(request)
            folder = request.workdirs.get("gr2st_ours", request.workdir)  # where a blend keeps its own steps
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "refit.safetensors").touch()

    spec = method(name)
    return models.fit(work, replace(spec, build=in_place_of(spec.build, Stub())))


def in_place_of(build, made):
    """A builder of something else that has the source of the true one."""
    if isinstance(build, partial):
        return partial(in_place_of(build.func, made), *build.args, **build.keywords)
    return wraps(build)(lambda *_, **__: made)


def checkpoints(folder: Path) -> int:
    return len(list(folder.parent.glob("*/refit.safetensors")))


def test_a_blend_is_given_the_folders_of_its_components_own_jobs(work) -> None:
    blend = train(work, "blend_default")
    assert {name: train(work, name).workdir for name in METHODS["blend_default"].components} == blend.workdirs
    assert blend.workdir not in blend.workdirs.values()
    assert train(work, "ridge_m224").workdirs == {}


def test_a_component_leaves_its_folder_to_the_blend_and_the_blend_keeps_none_of_its_own(work) -> None:
    assert checkpoints(train(work, "ridge_m224").workdir) == 0
    assert checkpoints(train(work, "gr2st_ours").workdir) == 1
    blend = train(work, "blend_default")
    assert not blend.workdir.exists()
    assert (blend.workdirs["gr2st_ours"] / "refit.safetensors").exists()


def test_another_seed_target_or_setting_is_another_job(work) -> None:
    own = models._job_folder(work, method("gr2st_ours"))
    for variant in (SimpleNamespace(target="cp10k", seed=0), SimpleNamespace(target="per_spot", seed=1)):
        assert models._job_folder(SimpleNamespace(**{**vars(work), "variant": variant}), method("gr2st_ours")) != own


def test_other_starting_weights_are_another_job(work, tmp_path) -> None:
    file, spec = tmp_path / "weights", method("mclstexp_published")
    work.settings = Settings(mclstexp=Settings().mclstexp.model_copy(update={"image_weights": str(file)}))
    file.write_bytes(b"one")
    own = models._job_folder(work, spec)
    assert models._job_folder(work, spec) == own
    file.write_bytes(b"two")
    assert models._job_folder(work, spec) != own
    assert models.starting_weights(method("mclstexp_features"), work.settings) == {}


def test_the_settings_of_a_blend_are_its_components_too() -> None:
    spec, plain = method("blend_default"), Settings()
    before = models.settings_digest(spec, plain)
    changes = {
        "gr2st": Gr2stSettings(epochs=7),
        "knn": KnnSettings(neighbours=(3,)),
        "low_rank": LowRankSettings(ranks=(1,)),
        "blend": plain.blend.model_copy(update={"margin": 0.5}),
    }
    for name, changed in changes.items():
        assert models.settings_digest(spec, plain.model_copy(update={name: changed})) != before
    other = plain.model_copy(update={"ridge": RidgeSettings(max_pcs=3)})
    assert models.settings_digest(spec, other) == before


def test_a_methods_code_is_its_own_and_its_components() -> None:
    ridge, blend = models.method_code(method("ridge_m224")), models.method_code(method("blend_default"))
    assert {"gr2st_core.models.ridge", "gr2st_core.models.linear", "gr2st_core.training.folds"} <= set(ridge)
    assert not [name for name in ridge if "knn" in name or "gr2st." in name or "settings" in name]
    for name in METHODS["blend_default"].components:
        assert set(models.method_code(method(name))) <= set(blend)
    assert "gr2st_core.models.blend.mixture" in blend


def test_how_a_method_is_built_counts() -> None:
    spec, settings = method("low_rank_tcg"), Settings()
    changed = replace(spec, build=partial(spec.build.func, "ctx"))
    assert models.settings_digest(changed, settings) != models.settings_digest(spec, settings)


TINY = Gr2stSettings(d_embedding=16, n_heads=2, n_positions=12, top_ks=(10,), epochs=2, patience=2, max_pcs=4)


def section(name: str) -> TrainSection:
    """Twenty spots of a grid with features and counts of noise."""
    rng = np.random.default_rng(list(name.encode()))
    xy = np.stack(np.divmod(np.arange(20), 5), axis=1).astype(float)
    features = {encoder: rng.normal(size=(20, 6)).astype(np.float32) for encoder in METHODS["gr2st_ours"].features}
    spots = np.array([f"{x:.0f}x{y:.0f}" for x, y in xy])
    image = ImageSection(SectionKey("toy", name), name[0], spots, xy, 100 * xy + 500, 2.0, 100.0, features)
    return TrainSection(image, Counts(sparse.csr_matrix(rng.poisson(9, size=(20, 2))), ("g", "h")))


@pytest.fixture
def real_work(work, tmp_path):
    """Two sections of two patients to train a tiny GR2ST on; ``told`` is the progress reported."""
    told: list[tuple[str, int, int]] = []
    facts = {
        "settings": Settings(gr2st=TINY),
        "panel": lambda: Panel("p", ("g", "h")),
        "train_sections": lambda *_, **__: [section("A1"), section("B1")],
        "progress": lambda *report: told.append(report),
        "told": told,
    }
    return lambda folder: SimpleNamespace(**{
        **vars(work), **facts, "training_folder": lambda *_: tmp_path / folder / ".training/job"
    })  # fmt: skip


def fit(work) -> str:
    """Train in one thread, so that a process that was forked can; the digest of the model."""
    torch.set_num_threads(1)
    work.told.clear()
    work.training_folder().parents[1].mkdir(exist_ok=True)
    return state_digest(models.fit(work, method("gr2st_ours")).fitted.state())


def test_a_training_that_was_killed_goes_on_where_it_was_and_ends_in_the_same_model(real_work) -> None:
    work = real_work("killed")
    expected = fit(real_work("undisturbed"))
    epochs = list(work.told)
    for _ in range(2):
        assert is_killed("training.epoch", lambda: fit(work))
        for file in work.training_folder().iterdir():
            load_snapshot(file)
    assert fit(work) == expected
    assert work.told == epochs[2:]


def test_a_training_that_is_found_finished_costs_what_it_did(real_work) -> None:
    work = real_work("twins")
    work.has_twin = True
    work.training_folder().parents[1].mkdir()
    first, second = (models.fit(work, method("gr2st_ours")) for _ in range(2))
    assert state_digest(first.fitted.state()) == state_digest(second.fitted.state())
    assert (first.is_resumed, second.is_resumed) == (False, False)
    assert second.cost == first.cost
    assert first.cost.seconds > 0


def test_what_a_training_cost_that_went_on_is_not_known(real_work) -> None:
    work = real_work("went on")
    work.has_twin = True
    assert is_killed("training.epoch", lambda: fit(work))
    assert [models.fit(work, method("gr2st_ours")).is_resumed for _ in range(2)] == [True, True]


def test_a_blend_costs_what_its_part_had_cost_and_its_own_time(work) -> None:
    train(work, "gr2st_ours")
    folder = models._job_folder(work, method("gr2st_ours"))
    keep_cost(folder, Cost(1000.0, 700.0))
    blend = trained(work, "blend_default")
    assert not blend.is_resumed
    assert 1000 < blend.cost.seconds < 1010
    assert blend.cost.peak_memory_mb >= 700
    (folder / "cost.json").write_text("{}[")
    assert trained(work, "blend_default").is_resumed, "its part was begun by somebody and never finished"


def test_a_blend_that_went_on_says_so_and_one_that_is_found_finished_costs_what_it_did(work) -> None:
    train(work, "gr2st_ours")
    folder = models._job_folder(work, method("blend_default"))
    folder.mkdir()
    (folder / "begun").touch()
    assert trained(work, "blend_default").is_resumed
    work.has_twin = True
    first, second = (trained(work, "blend_default") for _ in range(2))
    assert (first.is_resumed, second.is_resumed) == (False, False)
    assert second.cost == first.cost
