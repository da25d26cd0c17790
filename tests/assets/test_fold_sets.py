"""Only what is complete and alike is compared."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pytest

from gr2st_assets import fold_sets as module
from gr2st_assets.fold_sets import fold_sets
from gr2st_assets.records import Slot
from gr2st_core.keys import SectionKey
from gr2st_core.types import ImageSection

A1, B1 = SectionKey("c", "A1"), SectionKey("c", "B1")


@dataclass
class HeldOut:
    """A fold as far as comparisons look at it."""

    fold_id: str
    test: tuple
    split_unit: str = "patient"

    def patient_in_training(self, _):
        return False


FOLDS = {
    f.fold_id: f for f in (HeldOut("c/patient-A", (A1,)), HeldOut("c/patient-B", (B1,)), HeldOut("c/all", (), "all"))
}


def slot(table, fold, seed="0"):
    keys = (("cohort", "c"), ("fold", fold), ("panel", "p"), ("target", "per_spot"))
    return Slot(table, keys if table == module.OBSERVED else (*keys, ("seed", seed)))


def shown(*names, seeds=("0",), folds=("patient-A", "patient-B")):
    tables = {slot(module.OBSERVED, fold): "o" for fold in ("patient-A", "patient-B")}
    made = {slot(f"predictions/predictions_{n}", fold, seed): n for n in names for fold in folds for seed in seeds}
    return {**tables, **made}


def test_methods_of_one_set_stand_together_and_seeds_apart():
    found = fold_sets(FOLDS, shown("a", "b", seeds=("0", "1")), ["a", "b", "c"])
    assert [(s.cohort, s.split_unit, s.variant.seed, list(s.predictions)) for s in found] == [
        ("c", "patient", 0, ["a", "b"]),
        ("c", "patient", 1, ["a", "b"]),
    ]
    assert len(found[0].observed) == 2


def test_a_method_that_lacks_a_fold_is_left_out():
    assert fold_sets(FOLDS, shown("a", folds=("patient-A",)), ["a"]) == []
    both = {**shown("a"), **shown("b", folds=("patient-B",))}
    assert [list(s.predictions) for s in fold_sets(FOLDS, both, ["a", "b"])] == [["a"]]


class StubLake:
    """Rows of two spots and two genes; method ``old`` knows another gene."""

    def slot(self, table, **keys):
        return Slot(table, tuple((k, str(keys[k])) for k in ("cohort", "fold", "panel", "target", "seed") if k in keys))

    def read_table(self, slot, columns, digest):
        genes = ["G", "X"] if digest == "old" else ["G", "H"]
        section = {"patient-A": "A1", "patient-B": "B1"}[slot.value("fold")]
        values = pa.array([1.0, 2.0, 3.0, 4.0], pa.float32())
        names = ["section_id", "spot_id", "gene", columns[-1]]
        return pa.table([[section] * 4, ["s1", "s1", "s2", "s2"], genes * 2, values], names=names)


@pytest.fixture
def image(monkeypatch):
    def image_section(lake, key, features):
        xy = np.array([[0.0, 0.0], [1.0, 0.0]])
        return ImageSection(key, "A", np.array(["s1", "s2"]), xy, xy, 1.0, 1.0)

    monkeypatch.setattr(module, "image_section", image_section)


def test_sections_are_read_in_turn_and_a_method_on_other_genes_is_named(image):
    (found,) = fold_sets(FOLDS, shown("new", "old"), ["new", "old"])
    sections = list(found.sections(StubLake()))
    assert [str(s.image.key) for s in sections] == ["c/A1", "c/B1"]
    assert list(sections[0].predicted) == ["new"]
    np.testing.assert_array_equal(sections[0].observed, [[1, 2], [3, 4]])
    assert found.unlike == ["c/A1 old", "c/B1 old"]


def test_a_section_that_came_in_since_the_set_was_made_is_named_and_left_out(image):
    more = {**FOLDS, "c/patient-A": HeldOut("c/patient-A", (A1, SectionKey("c", "A2")))}
    (found,) = fold_sets(more, shown("new"), ["new"])
    assert [str(s.image.key) for s in found.sections(StubLake())] == ["c/A1", "c/B1"]
    assert found.unlike == ["c/A2 predictions/observed"]
