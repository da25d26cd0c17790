"""Recall is measured where a section has mates and strangers, and on nothing that the method should not see."""

from types import SimpleNamespace

import numpy as np
import pytest
from scipy import sparse

from gr2st_assets.assets import recall
from gr2st_assets.selection import assets_for
from gr2st_assets.tables import conform, table_spec
from gr2st_core.evaluation.recall_share import recall_table
from gr2st_core.keys import SectionKey
from gr2st_core.models.registry import METHODS
from gr2st_core.models.spec import M224
from gr2st_core.settings import Settings
from gr2st_core.types import Counts, ImageSection, Panel, TrainSection

GENES = tuple(f"g{k}" for k in range(6))
SETTINGS = Settings.model_validate(
    {
        "evaluation": {"n_recall_draws": 2, "n_permutations": 2},
        "knn": {"neighbours": [5]},
        "ridge": {"penalties": [10.0]},
    }
)


def section(name: str) -> TrainSection:
    """Sixty spots whose counts follow their features in a way that only the patient's own sections share."""
    rng = np.random.default_rng([ord(letter) for letter in name])
    grid = np.stack(np.divmod(np.arange(60), 8), axis=1).astype(float)
    tissue = rng.normal(size=(60, 2))
    features = np.concatenate([tissue, rng.normal(size=(60, 4))], axis=1).astype(np.float32)
    link = np.random.default_rng(ord(name[0])).normal(size=(2, len(GENES)))
    matrix = sparse.csr_matrix(rng.poisson(np.exp(2.5 + 0.6 * tissue @ link)))
    image = ImageSection(
        SectionKey("c", name), name[0], np.array([f"{x:.0f}x{y:.0f}" for x, y in grid]), grid, 100 * grid, 2.0, 100.0,
        dict.fromkeys(M224, features),
    )  # fmt: skip
    return TrainSection(image, Counts(matrix, GENES))


SECTIONS = {name: section(name) for name in ("A1", "A2", "B1", "B2")}


def work(test: str = "A1", unit: str = "section", train: tuple[str, ...] = ("A2", "B1", "B2")):
    """A fold as far as the asset looks at it."""
    keys = {name: SECTIONS[name].key for name in SECTIONS}
    fold = SimpleNamespace(split_unit=unit, patients={keys[name]: name[0] for name in keys})
    return SimpleNamespace(
        fold=fold,
        settings=SETTINGS,
        variant=SimpleNamespace(target="per_spot", seed=0),
        run_columns={"fold_id": f"c/section-{test}", "panel": "p", "target": "per_spot", "seed": 0},
        panel=lambda: Panel("p", GENES),
        progress=lambda *_: None,
        test_sections=lambda _: [SECTIONS[test].image],
        truth_sections=lambda: [SECTIONS[test]],
        train_sections=lambda _: [SECTIONS[name] for name in train],
    )


@pytest.fixture(scope="module")
def scores():
    return recall.compute_scores(work())


def test_both_arms_of_every_method_and_draw_are_scored_at_equal_numbers_of_spots(scores):
    table = conform(table_spec(recall.SCORES), scores.table).to_pandas()
    assert len(table) == 2 * 2 * len(recall.ASKED[recall.SCORES])
    assert set(table.method + "_" + table.profile) == set(recall.ASKED[recall.SCORES])
    assert (table.n_training_spots == 60).all()
    assert table.groupby("arm").n_training_sections.max().to_dict() == {"mates": 1, "strangers": 2}
    (finding,) = scores.findings
    assert finding.passed
    assert finding.is_blocking


def test_a_link_that_only_the_patient_has_is_recall_and_shuffled_spots_have_none(scores):
    table = scores.table
    share = recall_table(table).set_index("method")
    assert share.loc["ridge", "mates"] > 0.3
    assert share.loc["ridge", "difference"] > 0.3
    assert share.loc["ridge", "share"] == pytest.approx(share.loc["ridge", "difference"] / share.loc["ridge", "mates"])
    assert conform(table_spec(recall.SHARE), share.reset_index()).num_rows == len(recall.ASKED[recall.SCORES])
    assert table.pearson_shuffled.dropna().abs().max() < 0.3


@pytest.mark.parametrize(
    "fold",
    [work(unit="patient"), work(train=("B1", "B2")), work(train=("A2",))],
    ids=["patient", "no mate", "no stranger"],
)
def test_a_fold_without_mates_or_strangers_has_no_rows(fold):
    for name, compute in ((recall.SCORES, recall.compute_scores), (recall.COMPARED, recall.compute_compared)):
        product = compute(fold)
        assert conform(table_spec(name), product.table).num_rows == 0
        assert product.findings == ()


@pytest.mark.parametrize("other", [{"seed": 1}, {"target": "cp10k"}])
def test_small_systems_on_features_are_not_asked_under_other_seeds_and_targets(other):
    fold = work()
    vars(fold.variant).update(other)
    assert conform(table_spec(recall.COMPARED), recall.compute_compared(fold).table).num_rows == 0


def test_small_systems_on_features_are_asked():
    fields = [METHODS[name].settings for name in recall.ASKED[recall.COMPARED]]
    one_epoch = {field: getattr(SETTINGS, field).model_copy(update={"epochs": 1}) for field in fields}
    fold = work()
    fold.settings = SETTINGS.model_copy(
        update={**one_epoch, "evaluation": SETTINGS.evaluation.model_copy(update={"n_recall_draws": 1})}
    )
    table = conform(table_spec(recall.COMPARED), recall.compute_compared(fold).table).to_pandas()
    systems = {"histogene", "hist2st", "thitogene", "hggep", "mclstexp", "reg2st", "multires"}
    assert set(zip(table.method, table.profile, strict=True)) == {(name, "features_small") for name in systems}
    assert len(table) == 2 * len(systems)
    assert table.pearson_zero_filled.notna().all()


def test_it_is_made_where_a_method_that_reads_the_same_features_is_run():
    assert recall.SCORES in assets_for(["low_rank_m224"])
    assert recall.SCORES not in assets_for(["null_training_mean"])
    assert recall.COMPARED in assets_for(["*_features_small"])
    assert recall.COMPARED not in assets_for(["hist2st_features_small"])
    assert recall.COMPARED not in assets_for([])
