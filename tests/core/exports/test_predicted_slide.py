"""A predicted slide whose parts do not belong together cannot be made."""

import json
from typing import Any

import numpy as np
import pytest

from gr2st_core.errors import Gr2stError
from gr2st_core.exports.predicted_slide import IntervalEnds, Thumbnail
from gr2st_core.keys import SectionKey
from gr2st_core.types import Prediction
from samples.predicted_slides import KEY, predicted_slide, section

SPOTS = section()
VALUES = np.zeros((SPOTS.n_spots, 5), np.float32)
GENES = tuple("abcde")
NAN = np.full((SPOTS.n_spots, 5), np.nan, np.float32)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"prediction": Prediction(SectionKey("demo", "B1"), SPOTS.spot_ids, GENES, VALUES)}, "prediction.key"),
        ({"prediction": Prediction(KEY, SPOTS.spot_ids[::-1], GENES, VALUES)}, "prediction.spot_ids"),
        ({"prediction": Prediction(KEY, SPOTS.spot_ids, GENES, NAN)}, "prediction"),
        ({"section": SPOTS.rows(np.arange(0))}, "section.spot_ids"),
        ({"intervals": IntervalEnds(NAN[:, :4], NAN[:, :4], 0.9, ("none",) * 4)}, "intervals"),
        ({"ood_distance": np.zeros(29)}, "ood_distance"),
        ({"is_unusual": np.zeros((30, 1), bool)}, "is_unusual"),
        ({"reference_spots": np.array(["demo/B1/s"] * 30)}, "reference_spots"),
        ({"regions": np.array(["tumour"] * 31)}, "regions"),
        ({"spot_diameter_um": 0.0}, "spot_diameter_um"),
        ({"provenance": {"loss": float("nan")}}, "provenance"),
        ({"provenance": {"made": object()}}, "provenance"),
    ],
)
def test_parts_that_do_not_fit_are_refused(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(Gr2stError) as caught:
        predicted_slide(**changes)
    assert caught.value.context["field"] == field
    assert caught.value.context["section"] == "demo/A1"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"level": 1.0}, "level"),
        ({"upper": VALUES[:, :2]}, "upper"),
        ({"upper": VALUES + np.float32(np.inf)}, "lower, upper"),
        ({"support": ("patient",) * 4}, "support"),
        ({"support": ("everybody",) * 5}, "support"),
    ],
)
def test_intervals_are_finite_pairs(changes: dict[str, Any], field: str) -> None:
    sound = {"lower": VALUES, "upper": VALUES, "level": 0.9, "support": ("patient",) * 5}
    with pytest.raises(Gr2stError) as caught:
        IntervalEnds(**{**sound, **changes})
    assert caught.value.context["field"] == field


@pytest.mark.parametrize(
    ("pixels", "scale", "field"),
    [
        (np.zeros((4, 4), np.uint8), 0.5, "pixels"),
        (np.zeros((4, 4, 3)), 0.5, "pixels"),
        (np.zeros((4, 4, 3), np.uint8), 2.0, "scale"),
    ],
)
def test_a_thumbnail_is_a_small_picture(pixels: np.ndarray, scale: float, field: str) -> None:
    with pytest.raises(Gr2stError) as caught:
        Thumbnail(pixels, scale)
    assert caught.value.context["field"] == field


def test_what_is_known_of_the_whole_slide_is_one_document() -> None:
    facts = json.loads(predicted_slide().document)
    assert (facts["section"], facts["level"]) == ("demo/A1", 0.9)
    assert facts["genes_by_support"] == {"patient": 3, "spot-level, same patients": 1, "none": 1}
    assert facts["provenance"]["encoders"] == {"efficientnet": "Apache-2.0"}
    assert json.loads(predicted_slide(intervals=None).document)["genes_by_support"] == {"none": 5}
