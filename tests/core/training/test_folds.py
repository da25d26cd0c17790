"""Outer folds cannot leak, and inner splits follow the number of patients and sections."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from scipy import sparse

from gr2st_core.errors import LeakageError, SplitError
from gr2st_core.keys import SectionKey
from gr2st_core.training.folds import (
    Fold,
    InnerSplit,
    SectionFact,
    inner_splits,
    make_folds,
    quadrants,
    split_digest,
)
from gr2st_core.types import Counts, ImageSection, TrainSection

B4, C2, C3 = (SectionKey("her2st", name) for name in ("B4", "C2", "C3"))


def fact(name: str, *, cohort: str = "her2st", image: bool = True, counts: bool = True) -> SectionFact:
    return SectionFact(SectionKey(cohort, name), name[0], image, counts)


def her2st() -> list[SectionFact]:
    """Five sections with images of patients B and C, and three without of A, B and C."""
    imaged = [fact(name) for name in ("B4", "C2", "C3", "C4", "C5")]
    return [*imaged, *(fact(name, image=False) for name in ("A1", "B1", "C1"))]


def folds_by_id(facts: list[SectionFact]) -> dict[str, Fold]:
    return {fold.fold_id: fold for fold in make_folds(facts)}


def names(keys: tuple[SectionKey, ...]) -> list[str]:
    return [key.section_id for key in keys]


def section(name: str, n_spots: int = 12, *, features: bool = True, cohort: str = "her2st") -> TrainSection:
    grid = np.stack(np.divmod(np.arange(n_spots), 4), axis=1).astype(float)
    image = ImageSection(
        key=SectionKey(cohort, name),
        patient_id=name[0],
        spot_ids=np.array([f"{x:.0f}x{y:.0f}" for x, y in grid]),
        array_xy=grid,
        pixel_xy=100 * grid,
        um_per_px=2.0,
        pitch_px=100.0,
        features={"tiny": np.ones((n_spots, 2), dtype=np.float32)} if features else {},
    )
    return TrainSection(image, Counts(sparse.csr_matrix(np.ones((n_spots, 3), dtype=np.int64)), ("a", "b", "c")))


def test_every_unit_of_a_cohort_gets_its_folds() -> None:
    expected = [f"her2st/section-{name}" for name in ("B4", "C2", "C3", "C4", "C5")]
    expected += ["her2st/patient-B", "her2st/patient-C", "her2st/all"]
    assert list(folds_by_id(her2st())) == expected


def test_folds_do_not_depend_on_the_order_of_the_listing() -> None:
    facts = [*her2st(), fact("P1", cohort="other"), fact("P2", cohort="other")]
    shuffled = [facts[k] for k in np.random.default_rng(3).permutation(len(facts))]
    assert make_folds(facts) == make_folds(shuffled)


def test_counts_only_sections_of_a_held_out_patient_stay_out() -> None:
    folds = folds_by_id(her2st())
    assert names(folds["her2st/section-C2"].counts_only) == ["A1", "B1"]
    assert names(folds["her2st/patient-B"].counts_only) == ["A1", "C1"]
    assert names(folds["her2st/all"].counts_only) == ["A1", "B1", "C1"]


def test_a_patient_fold_tests_all_sections_of_the_patient() -> None:
    fold = folds_by_id(her2st())["her2st/patient-C"]
    assert names(fold.test) == ["C2", "C3", "C4", "C5"]
    assert names(fold.train) == ["B4"]


def test_the_fold_of_all_sections_tests_nobody() -> None:
    fold = folds_by_id(her2st())["her2st/all"]
    assert (fold.split_unit, fold.test, names(fold.train)) == ("all", (), ["B4", "C2", "C3", "C4", "C5"])


def test_a_section_without_counts_is_in_no_fold() -> None:
    folds = make_folds([*her2st(), fact("D1", counts=False)])
    assert all(key.section_id != "D1" for fold in folds for key in fold.patients)


def test_one_patient_gives_no_patient_fold() -> None:
    assert list(folds_by_id([fact("C2"), fact("C3")])) == ["her2st/section-C2", "her2st/section-C3", "her2st/all"]


def test_one_usable_section_gives_no_fold_of_its_own() -> None:
    assert make_folds([fact("B4"), fact("C2", image=False)]) == []


def test_external_folds_train_on_all_other_cohorts() -> None:
    others = [fact("P1", cohort="small"), fact("Q1", cohort="third"), fact("Q2", cohort="third", image=False)]
    folds = folds_by_id([*her2st(), *others])
    external = [fold_id for fold_id in folds if fold_id.startswith("external/")]
    assert external == ["external/her2st", "external/small", "external/third"]
    assert {key.cohort for key in folds["external/small"].train} == {"her2st", "third"}
    assert [str(key) for key in folds["external/her2st"].counts_only] == ["third/Q2"]
    assert [str(key) for key in folds["external/small"].test] == ["small/P1"]


def test_equal_patient_ids_in_two_cohorts_are_two_people() -> None:
    folds = folds_by_id([*her2st(), fact("B9", cohort="other"), fact("C9", cohort="other")])
    fold = folds["external/other"]
    assert not fold.patient_in_training(SectionKey("other", "B9"))


def test_a_fold_knows_whose_patient_is_in_training() -> None:
    folds = folds_by_id(her2st())
    assert folds["her2st/section-C2"].patient_in_training(C2)
    assert not folds["her2st/section-B4"].patient_in_training(B4)
    assert not folds["her2st/patient-C"].patient_in_training(C3)
    with pytest.raises(SplitError, match=r"not of this fold.*section=her2st/X1"):
        folds["her2st/all"].patient_in_training(SectionKey("her2st", "X1"))


@pytest.mark.parametrize("cohort", ["external"])
def test_a_reserved_cohort_name_is_refused(cohort: str) -> None:
    with pytest.raises(SplitError, match="cannot be named external"):
        make_folds([fact("P1", cohort=cohort), fact("P2", cohort=cohort)])


def test_a_section_listed_twice_is_refused() -> None:
    with pytest.raises(SplitError, match=r"listed once.*her2st/B4"):
        make_folds([*her2st(), fact("B4", image=False)])


PATIENTS = {B4: "B", C2: "C", C3: "C"}


def build(
    unit: str, test: tuple[SectionKey, ...], train: tuple[SectionKey, ...], extra: tuple[SectionKey, ...]
) -> Fold:
    return Fold("her2st/x", unit, test, train, extra, PATIENTS)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("unit", "test", "train", "extra", "found"),
    [
        ("section", (C2,), (C2, B4), (), "one role.*her2st/C2"),
        ("section", (C2,), (B4,), (B4,), "one role.*her2st/B4"),
        ("section", (C2,), (B4,), (C3,), "in counts_only.*her2st/C"),
        ("patient", (C2,), (C3,), (), "in train.*her2st/C"),
        ("patient", (C2,), (B4,), (C3,), "in counts_only.*her2st/C"),
        ("external", (C2,), (B4,), (), "other cohorts.*her2st"),
    ],
)
def test_a_leaking_fold_cannot_be_built(unit: str, test: object, train: object, extra: object, found: str) -> None:
    with pytest.raises(LeakageError, match=found):
        build(unit, test, train, extra)  # type: ignore[arg-type]


def test_a_section_fold_may_train_on_sections_of_the_same_patient() -> None:
    assert build("section", (C2,), (C3,), ()).patient_in_training(C2)


@pytest.mark.parametrize(
    ("unit", "test", "train", "message"),
    [
        ("section", (), (B4,), "tests sections"),
        ("all", (C2,), (B4,), "tests sections"),
        ("section", (C2,), (), "needs a training section"),
        ("section", (SectionKey("her2st", "D1"),), (B4,), r"has a patient.*her2st/D1"),
    ],
)
def test_a_fold_without_a_needed_role_is_refused(unit: str, test: object, train: object, message: str) -> None:
    with pytest.raises(SplitError, match=message):
        build(unit, test, train, ())  # type: ignore[arg-type]


def test_two_patients_are_left_out_in_turn() -> None:
    splits = inner_splits([section("C3"), section("B4"), section("C2")])
    assert [split.unit for split in splits] == ["patient", "patient"]
    assert [[s.key.section_id for s in split.validation] for split in splits] == [["B4"], ["C2", "C3"]]
    assert [[s.key.section_id for s in split.train] for split in splits] == [["C2", "C3"], ["B4"]]


def test_equal_patient_ids_of_two_cohorts_are_left_out_apart() -> None:
    splits = inner_splits([section("C2"), section("C2", cohort="other")])
    assert [split.unit for split in splits] == ["patient", "patient"]


def test_sections_of_one_patient_are_left_out_in_turn() -> None:
    splits = inner_splits([section("C2"), section("C3"), section("C4")])
    assert [split.unit for split in splits] == ["section"] * 3
    assert [split.validation[0].key.section_id for split in splits] == ["C2", "C3", "C4"]


def test_where_the_outer_fold_holds_out_sections_so_do_the_inner_splits() -> None:
    sections = [section("B4"), section("C2"), section("C3")]
    splits = inner_splits(sections, "section")
    assert [split.unit for split in splits] == ["section"] * 3
    assert [[s.key.section_id for s in split.validation] for split in splits] == [["B4"], ["C2"], ["C3"]]
    for outer in ("patient", "external", "all"):
        assert [split.unit for split in inner_splits(sections, outer)] == ["patient"] * 2


def test_one_section_is_cut_into_its_quadrants() -> None:
    only = section("B4", n_spots=13)
    splits = inner_splits([only])
    held = [set(split.validation[0].image.spot_ids.tolist()) for split in splits]
    assert [split.unit for split in splits] == ["quadrant"] * 4
    assert sorted(map(len, held)) == [3, 3, 3, 4]
    assert set.union(*held) == set(only.image.spot_ids.tolist())
    assert sum(map(len, held)) == 13
    for split, ids in zip(splits, held, strict=True):
        assert ids.isdisjoint(split.train[0].image.spot_ids.tolist())


def test_quadrants_are_compact() -> None:
    xy = np.stack(np.meshgrid(np.arange(6.0), np.arange(6.0)), axis=-1).reshape(-1, 2)
    corners = {tuple(np.sign(xy[mask].mean(axis=0) - 2.5)) for mask in quadrants(xy)}
    assert corners == {(-1, -1), (-1, 1), (1, -1), (1, 1)}
    assert all(np.ptp(xy[mask], axis=0).max() == 2 for mask in quadrants(xy))


def test_quadrants_do_not_depend_on_spot_order() -> None:
    xy = np.random.default_rng(0).normal(size=(30, 2))
    order = np.random.default_rng(1).permutation(30)
    for mask, permuted in zip(quadrants(xy), quadrants(xy[order]), strict=True):
        np.testing.assert_array_equal(mask[order], permuted)


def test_sections_without_features_are_left_aside() -> None:
    splits = inner_splits([section("A1", features=False), section("C2"), section("C3")])
    assert [split.unit for split in splits] == ["section", "section"]
    assert all(s.image.features for split in splits for s in (*split.train, *split.validation))


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        (list, "need a training section"),
        (lambda: [section("A1", features=False)], "need a training section"),
        (lambda: [section("B4", n_spots=3)], r"spots on both sides.*unit=quadrant"),
    ],
)
def test_too_little_to_split_is_refused(sections: Callable[[], list[TrainSection]], message: str) -> None:
    with pytest.raises(SplitError, match=message):
        inner_splits(sections())


def test_an_inner_split_needs_both_sides() -> None:
    with pytest.raises(SplitError, match="both sides"):
        InnerSplit([section("B4")], [], "section")


def test_the_digest_names_the_spots_and_not_their_order() -> None:
    one, two = section("B4"), section("C2")
    reference = split_digest([one, two])
    assert split_digest([two, one.rows(np.arange(12)[::-1])]) == reference
    others = [[one], [one, section("C3")], [one, two.rows(np.arange(11))], [one, section("C2", features=False)]]
    digests = [reference, *map(split_digest, others)]
    assert all(a != b for a, b in pairwise(sorted(digests)))
