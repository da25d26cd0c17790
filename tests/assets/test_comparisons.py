"""A set of methods is compared when something of it changed, and only then."""

from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest

from gr2st_assets.assets import comparisons as module
from gr2st_assets.fold_sets import FoldSet, PredictedSection
from gr2st_assets.lake import Lake
from gr2st_assets.records import Slot
from gr2st_assets.slots import Variant
from gr2st_assets.steps import Plan, Recipe, publish_plan
from gr2st_assets.tables import table_spec
from gr2st_core.keys import SectionKey
from gr2st_core.settings import EvaluationSettings
from gr2st_core.types import ImageSection

SETTINGS = EvaluationSettings(n_bootstrap=20)
GENES = ("G", "H", "I")
METHODS = ("gr2st_ours", "knn_m224", "ridge_m224")
READ: list[tuple] = []
"""Names of the sets whose predictions were read, in turn."""


@dataclass
class ToySet(FoldSet):
    """Two sections, or one a cohort where cohorts are held out; predictions by the words in ``made``."""

    made: str = "once"
    foreign: bool = False

    def sections(self, _):
        READ.append(self.name)
        if self.foreign:
            self.unlike.append("c/A1 low_rank_m224")
        rng = np.random.default_rng(list(self.made.encode()))
        xy = np.stack(np.divmod(np.arange(30), 6), axis=1).astype(float)
        for cohort in ("c", "d" if self.cohort == "external" else "c"):
            key = SectionKey(cohort, f"A{rng.integers(10**6)}")
            image = ImageSection(key, key.section_id, np.array([f"s{n}" for n in range(30)]), xy, xy, 1.0, 1.0)
            truth = rng.normal(size=(30, len(GENES)))
            guesses = {name: truth + rng.normal(size=truth.shape) for name in METHODS}
            yield PredictedSection(image, GENES, truth, guesses, patient_in_training=False)


def toy(cohort="c", unit="patient", seed=0, folds=(), made="once", **facts):
    keys = (("cohort", cohort), ("fold", f"{unit}-A"), ("panel", "p"), ("target", "per_spot"), ("seed", str(seed)))
    read = {Slot("predictions/predictions_knn_m224", keys): made}
    return ToySet(cohort, unit, Variant("p", "per_spot", seed), folds, {}, {"knn_m224": read}, made=made, **facts)


def recipe(settings_hash):
    return Recipe(table_spec(module.NAME), "code", settings_hash, ("contract", *module.CHECKS))


def mark(store, each, settings_hash="s"):
    held_out = [Slot(table, (("cohort", "c"), ("section", "A1"))) for table in module.GEOMETRY]
    inputs = {str(slot): digest for read in each.predictions.values() for slot, digest in read.items()}
    return module._mark(store, each, {**inputs, **dict.fromkeys(map(str, held_out), "g")}, recipe(settings_hash))


@pytest.fixture
def compared(tmp_path):
    """``compared(sets, settings_hash, lake)``: the sets that were read for it, and the artefact."""

    def run(sets, settings_hash="s", lake="lake"):
        READ.clear()
        store = Lake(tmp_path / lake)
        marked = {mark(store, each, settings_hash): each for each in sets}
        inputs = {f"{each.name}": key for key, each in marked.items()}
        plan = Plan(store.slot(module.NAME), inputs, lambda: module._product(store, marked, {}, SETTINGS))
        head = publish_plan(store, recipe(settings_hash), None, plan, "run").head
        return list(READ), SimpleNamespace(digest=head.digest, rows=store.read_table(head.slot).to_pandas())

    return run


def test_a_run_that_adds_a_set_compares_that_one_and_keeps_the_others(compared):
    old = [toy(), toy("external", "external")]
    compared(old)
    read, after = compared([*old, toy(seed=1)])
    assert read == [("c", "patient", "p", "per_spot", 1)]
    assert set(after.rows.groupby(["cohort", "split_unit", "seed"]).size().to_dict().items()) == {
        (("c", "patient", 0), 4), (("c", "patient", 1), 4), (("c", "external", 0), 4), (("d", "external", 0), 4),
    }  # fmt: skip
    assert after.digest == compared([*old, toy(seed=1)], lake="from nothing")[1].digest


def test_predictions_made_again_are_compared_again(compared):
    _, before = compared([toy(), toy(seed=1)])
    read, after = compared([toy(), toy(seed=1, made="again")])
    assert read == [("c", "patient", "p", "per_spot", 1)]
    same, other = (after.rows[after.rows.seed == seed].difference.tolist() for seed in (0, 1))
    assert same == before.rows[before.rows.seed == 0].difference.tolist()
    assert other != before.rows[before.rows.seed == 1].difference.tolist()


def test_other_settings_compare_everything_again(compared):
    compared([toy()])
    assert compared([toy()], settings_hash="other")[0] == [toy().name]


def test_a_set_that_is_gone_leaves_nothing(compared):
    compared([toy(), toy(seed=1)])
    assert set(compared([toy()])[1].rows.seed) == {0}


def test_what_is_left_out_of_a_set_is_named_each_time(compared):
    compared([toy(foreign=True)])
    assert compared([toy(foreign=True), toy(seed=1)])[0] == [toy().name, toy(seed=1).name]


def test_who_trained_is_part_of_a_set(tmp_path):
    def fold(known):
        return SimpleNamespace(
            fold_id="c/section-A1", test=(SectionKey("c", "A1"),), patient_in_training=lambda _: known
        )

    store = Lake(tmp_path)
    assert mark(store, toy(folds=[fold(True)])) != mark(store, toy(folds=[fold(False)]))
