"""Every domain check passes on what is right, and fails on what is not, saying what it found."""

import json
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from gr2st_assets.assets.raw import _require_int32
from gr2st_assets.checks import domain
from gr2st_core.errors import SchemaError
from gr2st_core.keys import SectionKey

SPOTS = pd.DataFrame(
    {"spot_id": ["1x1", "1x2"], "pixel_x": [10.0, 90.0], "pixel_y": [5.0, 5.0], "has_counts": True, "total_count": 3}
)
SLIDE = pd.Series({"image_path": "a.jpg", "width_px": 100, "height_px": 50})
COUNTS = pa.table({"spot_id": ["1x1", "1x1", "1x2"], "gene": ["A", "B", "A"], "count": pa.array([1, 2, 4], pa.int32())})
TOTALS = pd.DataFrame({"spot_id": ["1x2", "0x0", "1x1"], "total_count": [4, 0, 3]})
EDGES = pd.DataFrame(
    {
        "section_id": "A1",
        "source_spot_id": ["1x1", "1x1", "1x2", "1x2"],
        "target_spot_id": ["1x1", "1x2", "1x1", "1x2"],
    }
)
TYPES = pd.DataFrame({"spot_id": ["1x1", "1x1", "1x2", "1x2"], "proportion": [0.25, 0.75, np.nan, np.nan]})
PREDICTED = pd.DataFrame({"section_id": "A1", "gene": ["G", "H"] * 2, "predicted": [0.1, 0.2, 0.3, 0.4]})
FEATURES = np.array([[1.0, 0.0], [2.0, 0.0]], dtype=np.float32)
HVG = pd.DataFrame({"dispersion_norm": np.arange(12.0)})
PANEL = pd.DataFrame({"gene": ["G", "H"]})
STUDY = pd.DataFrame(
    {
        "section_id": "A1",
        "parameter": ["base", "retrieval"],
        "setting": ["base", "without"],
        "is_base": [True, False],
        "pearson": [0.3, 0.2],
        "pearson_base": 0.3,
    }
)
DRIFT = pd.DataFrame(
    {
        "reference_cohort": "c", "cohort": ["c", "d", "d"], "section_id": ["A1", "B1", "C1"], "measure": "depth",
        "value": [3.0, 2.0, 1.0], "threshold": [1.0, 1.0, None], "is_drift": [True, True, None],
        "is_training": [True, False, False],
    }
)  # fmt: skip
A1, B1 = SectionKey("c", "A1"), SectionKey("c", "B1")


@dataclass
class HeldOut:
    """What a score table is compared with: who can be held out."""

    split_unit: str = "patient"
    test: tuple = (A1,)


FOLDS = pd.DataFrame(
    {
        "fold_id": "c/patient-A", "split_unit": "patient", "cohort": "c", "section_id": ["A1", "B1"],
        "patient_id": ["A", "B"], "role": ["test", "train"],
    }
)  # fmt: skip
SCORES = pd.DataFrame(
    {
        "split_unit": "patient", "cohort": "c", "section_id": ["A1"], "panel": "p", "target": "per_spot", "seed": 0,
        "method": "ridge", "profile": "m224",
    }
)  # fmt: skip


def _with_counts(values):
    return COUNTS.set_column(2, "count", pa.array(values))


CASES = {
    "spots_on_image": (
        lambda: domain.spots_on_image(SPOTS, SLIDE),
        lambda: domain.spots_on_image(SPOTS.assign(pixel_x=[10.0, 100.0]), SLIDE),
        "1x2",
    ),
    "spots_have_counts": (
        lambda: domain.spots_have_counts(SPOTS, 2),
        lambda: domain.spots_have_counts(SPOTS.assign(total_count=[0, 3]), 2),
        "1x1",
    ),
    "counts_match_spots": (
        lambda: domain.counts_match_spots(COUNTS, TOTALS),
        lambda: domain.counts_match_spots(COUNTS, TOTALS.assign(total_count=[5, 0, 3])),
        "1x2",
    ),
    "counts_of_an_unknown_spot": (
        lambda: domain.counts_match_spots(COUNTS, TOTALS),
        lambda: domain.counts_match_spots(COUNTS, TOTALS[:2]),
        "1x1",
    ),
    "counts_not_negative": (
        lambda: domain.counts_match_spots(COUNTS, TOTALS),
        lambda: domain.counts_match_spots(_with_counts([4, -1, 4]), TOTALS),
        "1x1",
    ),
    "counts_are_integers": (
        lambda: domain.counts_match_spots(COUNTS, TOTALS),
        lambda: domain.counts_match_spots(_with_counts([1.5, 1.5, 4.0]), TOTALS),
        "rows_not_counts",
    ),
    "genes_vary": (
        lambda: domain.genes_vary(HVG),
        lambda: domain.genes_vary(HVG.assign(dispersion_norm=np.nan)),
        "ranked",
    ),
    "patch_span": (
        lambda: domain.patch_span("e", 154, 223, 0.69),
        lambda: domain.patch_span("e", 154, 224, 0.92),
        "206",
    ),
    "resolution": (lambda: domain.resolution(1.5), lambda: domain.resolution(2.9), "2.9"),
    "embeddings_vary": (
        lambda: domain.embeddings_vary(FEATURES),
        lambda: domain.embeddings_vary(np.full((346, 2), 0.1, dtype=np.float32)),
        "constant_columns",
    ),
    "embeddings_finite": (
        lambda: domain.embeddings_vary(FEATURES),
        lambda: domain.embeddings_vary(np.array([[np.nan, 0], [1, 2]], dtype=np.float32)),
        "rows_not_finite",
    ),
    "every_spot_has_features": (
        lambda: domain.every_spot_has_rows(pa.table({"spot_id": ["1x2", "1x1"]}), ["1x1", "1x2"]),
        lambda: domain.every_spot_has_rows(pa.table({"spot_id": ["1x2"]}), ["1x1", "1x2"]),
        "1x1",
    ),
    "every_spot_has_cell_types": (
        lambda: domain.every_spot_has_rows(TYPES, ["1x1", "1x2"]),
        lambda: domain.every_spot_has_rows(TYPES, ["1x1"]),
        "1x2",
    ),
    "proportions_sum_to_one": (
        lambda: domain.proportions_sum_to_one(TYPES),
        lambda: domain.proportions_sum_to_one(TYPES.assign(proportion=[0.5, 0.75, np.nan, np.nan])),
        "1x1",
    ),
    "graph_symmetric": (
        lambda: domain.graph_degrees(EDGES, ["1x1", "1x2"]),
        lambda: domain.graph_degrees(EDGES.iloc[[0, 1, 3]], ["1x1", "1x2"]),
        "1x1->1x2",
    ),
    "graph_self_loops": (
        lambda: domain.graph_degrees(EDGES, ["1x1", "1x2"]),
        lambda: domain.graph_degrees(EDGES, ["1x1", "1x2", "9x9"]),
        "9x9",
    ),
    "functional_degrees": (
        lambda: domain.functional_degrees(EDGES, 1),
        lambda: domain.functional_degrees(EDGES, 0),
        "1x1",
    ),
    "no_leakage_of_sections": (
        lambda: domain.no_leakage(FOLDS.assign(split_unit="section")),
        lambda: domain.no_leakage(FOLDS.assign(split_unit="section", section_id="A1")),
        "c/A1",
    ),
    "no_leakage_of_patients": (
        lambda: domain.no_leakage(FOLDS),
        lambda: domain.no_leakage(FOLDS.assign(patient_id="A")),
        "c/A1",
    ),
    "no_leakage_of_counts": (
        lambda: domain.no_leakage(FOLDS.assign(split_unit="section", patient_id="A")),
        lambda: domain.no_leakage(FOLDS.assign(split_unit="section", patient_id="A", role=["test", "counts_only"])),
        "c/A1",
    ),
    "panel_from_training": (
        lambda: domain.panel_from_training(PANEL, {"G", "H"}, ()),
        lambda: domain.panel_from_training(PANEL, {"G"}, ()),
        "H",
    ),
    "predictions_complete": (
        lambda: domain.predictions_complete(PREDICTED, {"A1": 2}, 2),
        lambda: domain.predictions_complete(PREDICTED, {"A1": 2, "A2": 2}, 2),
        "A2",
    ),
    "predictions_vary": (
        lambda: domain.predictions_vary(PREDICTED, constant_by_design=False),
        lambda: domain.predictions_vary(PREDICTED.assign(predicted=[0.1, 0.2, 0.1, 0.4]), constant_by_design=False),
        "G",
    ),
    "study_complete": (
        lambda: domain.study_complete(STUDY, ["A1"], 2),
        lambda: domain.study_complete(STUDY.iloc[1:], ["A1"], 2),
        "A1: 1 of 2",
    ),
    "study_of_others": (
        lambda: domain.study_complete(STUDY, ["A1"], 2),
        lambda: domain.study_complete(STUDY.assign(section_id=["A1", "B1"]), ["A1"], 1),
        "B1: unexpected",
    ),
    "study_without_base": (
        lambda: domain.study_complete(STUDY, ["A1"], 2),
        lambda: domain.study_complete(STUDY.assign(is_base=False), ["A1"], 2),
        "no base",
    ),
    "study_of_another_base": (
        lambda: domain.study_complete(STUDY, ["A1"], 2),
        lambda: domain.study_complete(STUDY.assign(pearson=0.1), ["A1"], 2),
        "the base scores otherwise",
    ),
    "changes_matter": (
        lambda: domain.changes_matter(STUDY),
        lambda: domain.changes_matter(STUDY.assign(pearson=0.3)),
        "retrieval without",
    ),
    "drift": (
        lambda: domain.sections_drift(DRIFT.assign(is_drift=[True, False, None])),
        lambda: domain.sections_drift(DRIFT),
        "d/B1 from c: depth 2 > 1",
    ),
    "beats_champion": (
        lambda: domain.beats_champion([], 1),
        lambda: domain.beats_champion(["c: promotion 2 does not follow from its evidence"], 1),
        "promotion 2",
    ),
    "scored_once": (
        lambda: domain.scored_once(SCORES, [HeldOut()]),
        lambda: domain.scored_once(pd.concat([SCORES, SCORES]), [HeldOut()]),
        "2 times",
    ),
    "scored_at_all": (
        lambda: domain.scored_once(SCORES, [HeldOut()]),
        lambda: domain.scored_once(SCORES, [HeldOut(), HeldOut(test=(B1,))]),
        "B1",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_check_passes_on_what_is_right_and_names_what_is_not(name):
    right, wrong, named = CASES[name]
    assert right().passed
    row = wrong()
    assert not row.passed
    assert row.n_found > 0
    assert named in row.found
    assert isinstance(json.loads(row.found), dict)


def test_a_section_without_an_image_has_no_spot_off_it():
    assert domain.spots_on_image(SPOTS, pd.Series({"image_path": None})).passed


def test_a_constant_method_may_be_constant():
    assert domain.predictions_vary(PREDICTED.assign(predicted=0.5), constant_by_design=True).passed


def test_a_spot_linked_only_to_itself_is_counted_and_legal():
    row = domain.graph_degrees(EDGES.iloc[[0, 3]], ["1x1", "1x2"])
    assert row.passed
    assert json.loads(row.found)["isolated"] == 2
    assert json.loads(domain.graph_degrees(EDGES, ["1x1", "1x2"]).found)["isolated"] == 0


def test_a_graph_without_edges_is_judged_not_crashed_on():
    assert domain.graph_degrees(EDGES[:0], []).passed
    assert domain.graph_degrees(EDGES[:0], ["1x1"]).n_found == 1


def test_no_features_at_all_are_not_constant():
    assert domain.embeddings_vary(FEATURES[:0]).passed


@pytest.mark.parametrize("value", [0.5, np.nan, np.inf, 2.0**31])
def test_counts_that_a_cast_would_change_are_refused(value):
    _require_int32(np.array([0, 2**31 - 1]), "c/A1")
    with pytest.raises(SchemaError) as caught:
        _require_int32(np.array([1.0, value]), "c/A1")
    assert caught.value.context["section"] == "c/A1"
    assert caught.value.context["found"] == pytest.approx([value], nan_ok=True)


SECTION_SCORES = pd.DataFrame(
    {
        "cohort": "c", "split_unit": "patient", "panel": "p", "target": "per_spot", "seed": 0,
        "section_id": ["A1", "B1"] * 2, "method": ["ridge", "ridge", "gr2st", "gr2st"],
        "profile": ["m224", "m224", "ours", "ours"],
        "patient_in_training": False, "pearson_zero_filled": [0.2, 0.3, 0.1, 0.1],
    }
)  # fmt: skip
COMPARISON = pd.DataFrame(
    {
        "cohort": "c", "split_unit": "patient", "panel": "p", "target": "per_spot", "seed": 0,
        "training_patients": "all", "method_a": "ridge", "profile_a": "m224",
        "method_b": "gr2st", "profile_b": "ours", "difference": [0.15],
    }
)  # fmt: skip


def test_differences_are_those_of_the_section_scores():
    found = domain.comparisons_agree(COMPARISON, SECTION_SCORES, [])
    assert found.passed
    assert json.loads(found.found) == {"rows": 1, "compared": 1}
    assert json.loads(domain.comparisons_agree(COMPARISON, None, []).found)["compared"] == 0
    strangers = COMPARISON.assign(training_patients="strangers")
    assert json.loads(domain.comparisons_agree(strangers, SECTION_SCORES, []).found)["compared"] == 1


def test_differences_that_are_not_those_of_the_section_scores():
    found = domain.comparisons_agree(COMPARISON.assign(difference=0.16), SECTION_SCORES, ["c/A1 knn_m224"])
    assert not found.passed
    assert not found.is_blocking
    assert found.n_found == 2
    assert "0.150000" in found.found
    assert "c/A1 knn_m224: not the observed spots" in found.found
