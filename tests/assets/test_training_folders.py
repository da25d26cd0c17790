"""Equal training jobs find each other's checkpoints, also those within a blend."""

from dataclasses import replace
from functools import partial, wraps
from pathlib import Path
from types import SimpleNamespace

import pytest

from gr2st_assets import models
from gr2st_assets.fingerprint import fingerprint
from gr2st_core.models.registry import METHODS, method
from gr2st_core.settings import Gr2stSettings, KnnSettings, LowRankSettings, RidgeSettings, Settings
from gr2st_core.types import Panel, SectionKey

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
        train_sections=lambda _: [],
        counts_only_sections=list,
        training_folder=lambda table, facts: tmp_path / ".training" / fingerprint(table, "", "", facts)[:16],
    )


def train(work, name: str):
    """Train a stand-in that leaves a checkpoint in its folder; the request it was given."""
    requests = []

    class Stub:
        def fit(self, request):
            requests.append(request)
            request.workdir.mkdir(parents=True, exist_ok=True)
            (request.workdir / "refit.safetensors").touch()

    spec = method(name)
    models.fit(work, replace(spec, build=in_place_of(spec.build, Stub())))
    return requests[0]


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
