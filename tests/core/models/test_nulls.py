"""Nulls never look at the image."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gr2st_core.errors import LeakageError, MissingArtifactError
from gr2st_core.expression.targets import to_target
from gr2st_core.keys import SectionKey
from gr2st_core.models.nulls import SamePlaceNull, TrainingMeanNull


def moved(section, name: str, offset: float = 0.0, scale: float = 1.0):
    """The section as another of patient ``name[0]``, its spots shifted and in other pixels."""
    image = section.image
    pixels = scale * (image.pixel_xy + offset)
    return replace(
        image, key=SectionKey("toy", name), patient_id=name[0], pixel_xy=pixels, pitch_px=scale * image.pitch_px
    )


def test_the_training_mean_weighs_spots_alike(planted_request, planted_section, planted_panel) -> None:
    small, large = planted_section("A1", 8), planted_section("B1", 80)
    values = TrainingMeanNull().fit(planted_request(small, large)).predict(planted_section("C1").image).values
    rows = np.concatenate([to_target(s.counts, planted_panel, "per_spot") for s in (small, large)])
    np.testing.assert_allclose(values, np.tile(rows.mean(axis=0), (48, 1)), atol=1e-6)


def test_the_same_place_is_found_after_shift_and_rescaling(planted_request, planted_section, planted_panel) -> None:
    source = planted_section("A1")
    fitted = SamePlaceNull().fit(planted_request(source, "B1"))
    here = fitted.predict(moved(source, "A2")).values
    np.testing.assert_allclose(fitted.predict(moved(source, "A2", offset=4000.0, scale=0.7)).values, here, atol=1e-5)


def test_the_same_place_equals_a_plain_gaussian_mean(planted_request, planted_section, planted_panel) -> None:
    source, query = planted_section("A1"), planted_section("A2", 40)
    centred = [s.image.pitch_xy - s.image.pitch_xy.mean(axis=0) for s in (query, source)]
    squared = np.square(centred[0][:, None] - centred[1][None]).sum(axis=2)
    weights = np.exp(-squared / 2)
    expected = weights @ to_target(source.counts, planted_panel, "per_spot") / weights.sum(axis=1, keepdims=True)
    values = SamePlaceNull().fit(planted_request(source, "B1")).predict(query.image).values
    np.testing.assert_allclose(values, expected, atol=1e-5)


def test_only_sections_of_the_same_patient_count_if_there_is_one(planted_request, planted_section) -> None:
    query = planted_section("A2").image
    alone = SamePlaceNull().fit(planted_request("A1")).predict(query).values
    np.testing.assert_array_equal(SamePlaceNull().fit(planted_request("A1", "B1", "C1")).predict(query).values, alone)


def test_an_equal_patient_id_of_another_cohort_is_another_person(planted_request, planted_section) -> None:
    other = planted_section("A1", cohort="elsewhere")
    query = planted_section("A2").image
    with_other = SamePlaceNull().fit(planted_request("B1", other)).predict(query).values
    assert not np.array_equal(with_other, SamePlaceNull().fit(planted_request(other)).predict(query).values)


def test_other_patients_stand_in_where_the_patient_has_no_training_section(planted_request, planted_section) -> None:
    fitted = SamePlaceNull().fit(planted_request("A1", "B1"))
    renamed = [replace(planted_section(name).image, patient_id="A") for name in ("A1", "B1")]
    pooled = SamePlaceNull().fit(
        planted_request(*(replace(planted_section(image.key.section_id), image=image) for image in renamed))
    )
    query = planted_section("C1").image
    np.testing.assert_array_equal(fitted.predict(query).values, pooled.predict(replace(query, patient_id="A")).values)
    assert fitted.config["fallback"] == "all training sections, where the patient has none"


def test_a_place_far_from_all_spots_takes_the_nearest(planted_request, planted_section, planted_panel) -> None:
    source = planted_section("A1")
    query = planted_section("A2", 40).image
    far = query.pixel_xy.copy()
    far[0] = [1e6, 1e6]
    values = SamePlaceNull().fit(planted_request(source)).predict(replace(query, pixel_xy=far)).values
    truth = to_target(source.counts, planted_panel, "per_spot")
    np.testing.assert_allclose(values[0], truth[-1], atol=1e-5)


def test_a_section_of_the_bank_is_refused(planted_request, planted_section) -> None:
    with pytest.raises(LeakageError, match=r"trained on this section.*section=toy/A1"):
        SamePlaceNull().fit(planted_request("A1")).predict(planted_section("A1").image)


@pytest.mark.parametrize("null", [TrainingMeanNull(), SamePlaceNull()])
def test_a_null_needs_a_section(null, planted_request) -> None:
    with pytest.raises(MissingArtifactError, match="needs a training section"):
        null.fit(planted_request())
