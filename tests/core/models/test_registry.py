"""Every method is found by name, loads lazily, and keeps the contract of ``Predictor``."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

from gr2st_core.errors import CheckpointError, LeakageError, MissingArtifactError, SettingsError
from gr2st_core.models.comparators.specs import COMPARATORS
from gr2st_core.models.registry import M224_M448, METHODS, ROTATED, method
from gr2st_core.settings import Settings
from gr2st_core.types import Counts

NETWORKS = {"gr2st", "blend", *(spec.method for spec in COMPARATORS)}
PLAIN = [name for name, spec in METHODS.items() if spec.method not in NETWORKS]
"""Methods of plain arrays; networks, and the mixture that holds one, have tests of their own."""

ON_FEATURES = [name for name in PLAIN if METHODS[name].features]
ENCODERS = (*M224_M448, *ROTATED)
SETTINGS = Settings()


@pytest.fixture
def sections(planted_section):
    return [planted_section(name, encoders=ENCODERS) for name in ("A1", "A2", "B1")]


@pytest.fixture
def query(planted_section):
    return planted_section("C1", encoders=ENCODERS)


def test_the_registry_imports_nothing_heavy() -> None:
    program = (
        "import sys, gr2st_core.models.registry;"
        "print([m for m in ('torch', 'scanpy', 'pandas', 'scipy', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_names_can_name_tables() -> None:
    assert list(METHODS) == [
        "gr2st_ours",
        "gr2st_ours_m224",
        "gr2st_r1",
        "gr2st_r2",
        "low_rank_m224",
        "low_rank_ctx",
        "low_rank_tcg",
        "low_rank_tcg_counts",
        "blend_default",
        "histogene_published",
        "histogene_features",
        "histogene_published_small",
        "histogene_features_small",
        "hist2st_published",
        "hist2st_features",
        "hist2st_published_small",
        "hist2st_features_small",
        "thitogene_published",
        "thitogene_features",
        "thitogene_published_small",
        "thitogene_features_small",
        "hggep_published",
        "hggep_features",
        "hggep_published_small",
        "hggep_features_small",
        "mclstexp_published",
        "mclstexp_features",
        "mclstexp_published_small",
        "mclstexp_features_small",
        "reg2st_features",
        "reg2st_features_small",
        "multires_features",
        "multires_features_small",
        "ridge_m224",
        "ridge_color",
        "knn_m224",
        "null_training_mean",
        "null_same_place",
    ]
    assert all(re.fullmatch(r"[a-z0-9_]+", name) for name in METHODS)


def test_an_unknown_method_is_refused_with_the_known_ones() -> None:
    with pytest.raises(SettingsError, match=r"unknown method.*found=lasso.*ridge_m224"):
        method("lasso")


@pytest.mark.parametrize("name", list(METHODS))
def test_what_is_built_is_what_was_announced(name: str) -> None:
    spec = method(name)
    built = spec.build(SETTINGS)
    assert (built.method, built.profile, built.needs) == (spec.method, spec.profile, spec.needs)


@pytest.mark.parametrize("name", PLAIN)
def test_equal_input_gives_equal_bytes(name, sections, query, planted_request) -> None:
    first, again = (method(name).build(SETTINGS).fit(planted_request(*sections)) for _ in range(2))
    assert first.predict(query.image).values.tobytes() == again.predict(query.image).values.tobytes()
    assert first.predict(query.image).values.tobytes() == first.predict(query.image).values.tobytes()
    one, two = first.state(), again.state()
    assert json.dumps(one.config, sort_keys=True) == json.dumps(two.config, sort_keys=True)
    arrays = [{**state.weights, **state.bank} for state in (one, two)]
    assert {n: a.tobytes() for n, a in arrays[0].items()} == {n: a.tobytes() for n, a in arrays[1].items()}


PROGRAM = """
import hashlib, runpy, sys
from gr2st_core.predictor import FitRequest
from gr2st_core.models.registry import METHODS
from gr2st_core.settings import Settings
from gr2st_core.types import Panel
planted = runpy.run_path(sys.argv[1])
build = planted["build_planted_section"]
sections = [build(name, encoders=tuple(sys.argv[3:])) for name in ("A1", "A2", "B1")]
request = FitRequest(sections, Panel("planted", planted["PLANTED_GENES"]), "per_spot")
for name in sys.argv[2].split(","):
    state = METHODS[name].build(Settings()).fit(request).state()
    arrays = {**state.weights, **state.bank}
    print(name, [hashlib.sha256(array.tobytes()).hexdigest() for array in arrays.values()], state.config)
"""


def test_the_hash_seed_of_the_interpreter_does_not_matter() -> None:
    printed = set()
    for seed in ("1", "2"):
        command = [
            sys.executable,
            "-c",
            PROGRAM,
            str(Path(__file__).parent / "conftest.py"),
            ",".join(PLAIN),
            *ENCODERS,
        ]
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
        printed.add(done.stdout)
    assert len(printed) == 1
    assert printed.pop().count("\n") == len(PLAIN)


@pytest.mark.parametrize("name", PLAIN)
def test_permuting_spots_permutes_predictions(name, sections, query, planted_request) -> None:
    fitted = method(name).build(SETTINGS).fit(planted_request(*sections))
    order = np.random.default_rng(0).permutation(query.image.n_spots)
    straight, permuted = fitted.predict(query.image), fitted.predict(query.image.rows(order))
    np.testing.assert_allclose(permuted.values, straight.values[order], atol=1e-5)
    assert permuted.spot_ids.tolist() == straight.spot_ids[order].tolist()


@pytest.mark.parametrize("name", PLAIN)
def test_counts_of_the_held_out_section_cannot_matter(name, sections, query, planted_request) -> None:
    fitted = method(name).build(SETTINGS).fit(planted_request(*sections))
    before = fitted.predict(query.image).values.tobytes()
    noise = np.random.default_rng(0).integers(0, 99, query.counts.matrix.shape)
    replaced = replace(query, counts=Counts(sparse.csr_matrix(noise), query.counts.genes))
    assert fitted.predict(replaced.image).values.tobytes() == before


@pytest.mark.parametrize("name", PLAIN)
def test_a_section_with_counts_is_refused(name, sections, query, planted_request) -> None:
    with pytest.raises(LeakageError, match=r"predict takes ImageSection.*found=TrainSection"):
        method(name).build(SETTINGS).fit(planted_request(*sections)).predict(query)


@pytest.mark.parametrize("name", ON_FEATURES)
def test_a_missing_feature_is_an_error(name, sections, query, planted_request) -> None:
    fitted = method(name).build(SETTINGS).fit(planted_request(*sections))
    with pytest.raises(MissingArtifactError, match=r"section=toy/C1.*found=\[\]"):
        fitted.predict(replace(query.image, features={}))


@pytest.mark.parametrize("name", PLAIN)
def test_a_loaded_model_predicts_the_same_bytes(name, sections, query, planted_request) -> None:
    predictor = method(name).build(SETTINGS)
    fitted = predictor.fit(planted_request(*sections, target="cp10k"))
    state = fitted.state()
    stored = replace(state, config=json.loads(json.dumps(state.config)))
    loaded = predictor.load(stored)
    assert loaded.predict(query.image).values.tobytes() == fitted.predict(query.image).values.tobytes()
    assert loaded.state().config == stored.config


def tampered(state, part: str, name: str, change):
    arrays = dict(getattr(state, part))
    arrays[name] = change(arrays[name])
    return replace(state, **{part: arrays})


def first_array(state) -> tuple[str, str]:
    part = "weights" if state.weights else "bank"
    return part, next(iter(getattr(state, part)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a: a.astype(np.float64), "does not fit"),
        (lambda a: a[..., None], "does not fit"),
        (lambda a: np.where(np.arange(a.size).reshape(a.shape) == 0, np.float32("nan"), a), "is not finite"),
    ],
)
@pytest.mark.parametrize("name", PLAIN)
def test_a_tampered_array_is_refused(name, change, message, sections, planted_request) -> None:
    predictor = method(name).build(SETTINGS)
    state = predictor.fit(planted_request(*sections)).state()
    part, array = first_array(state)
    with pytest.raises(CheckpointError, match=rf"{message}.*field={array}"):
        predictor.load(tampered(state, part, array, change))


@pytest.mark.parametrize("name", PLAIN)
def test_missing_and_unknown_arrays_are_refused(name, sections, planted_request) -> None:
    predictor = method(name).build(SETTINGS)
    state = predictor.fit(planted_request(*sections)).state()
    part, array = first_array(state)
    arrays = dict(getattr(state, part))
    without = {key: value for key, value in arrays.items() if key != array}
    for changed in (without, {**arrays, "stray": np.zeros(1, dtype=np.float32)}):
        with pytest.raises(CheckpointError, match=rf"arrays of {part} differ.*found="):
            predictor.load(replace(state, **{part: changed}))


@pytest.mark.parametrize("name", ["knn_m224", "null_same_place"])
def test_a_bank_of_other_spots_is_refused(name, sections, planted_request) -> None:
    predictor = method(name).build(SETTINGS)
    state = predictor.fit(planted_request(*sections)).state()
    with pytest.raises(CheckpointError, match="one id per row of the bank"):
        predictor.load(tampered(state, "bank", "spot_ids", lambda ids: ids[:-10]))
    with pytest.raises(CheckpointError, match=r"UTF-8.*field=section_keys"):
        predictor.load(tampered(state, "bank", "section_keys", lambda ids: np.full_like(ids, 255)))
    with pytest.raises(CheckpointError, match=r"names its spots.*spot_ids"):
        predictor.load(replace(state, bank={n: a for n, a in state.bank.items() if n != "spot_ids"}))


@pytest.mark.parametrize(
    ("field", "value"),
    [("method", "gr2st"), ("profile", "x"), ("features", ["x"]), ("target", "raw"), ("panel", {"name": "p"})],
)
@pytest.mark.parametrize("name", PLAIN)
def test_a_config_of_something_else_is_refused(name, field, value, sections, planted_request) -> None:
    predictor = method(name).build(SETTINGS)
    state = predictor.fit(planted_request(*sections)).state()
    with pytest.raises(CheckpointError, match=f"field={field}"):
        predictor.load(replace(state, config={**state.config, field: value}))


def test_a_choice_that_is_missing_is_refused(sections, planted_request) -> None:
    predictor = method("knn_m224").build(SETTINGS)
    state = predictor.fit(planted_request(*sections)).state()
    with pytest.raises(CheckpointError, match=r"a choice made in training is missing.*field=n_neighbours"):
        predictor.load(replace(state, config={**state.config, "choice": {}}))


def test_sections_that_do_not_own_the_bank_are_refused(sections, planted_request) -> None:
    predictor = method("null_same_place").build(SETTINGS)
    state = predictor.fit(planted_request(*sections)).state()
    with pytest.raises(CheckpointError, match=r"training sections and bank differ.*KeyError"):
        predictor.load(replace(state, config={**state.config, "sections": state.config["sections"][:1]}))
