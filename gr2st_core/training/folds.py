"""Who trains and who is tested: outer folds, and the splits inside training.

Belongs here: ``Fold`` (which cannot be built with a leak), the folds of a set of sections, the inner splits that every
choice of a method is made on. Does not belong here: training, scores, partition keys' storage.

A patient's identity is cohort and patient id together: equal ids in two cohorts are two people.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from gr2st_core.errors import LeakageError, SplitError
from gr2st_core.keys import SectionKey, SplitUnit
from gr2st_core.types import TrainSection, patients_of

EXTERNAL = "external"
"""First part of the id of folds that hold a whole cohort out; no cohort may bear this name."""

InnerUnit = Literal["patient", "section", "quadrant"]


@dataclass(frozen=True, slots=True)
class SectionFact:
    """What folds are made from: identity, donor, and what of the section exists."""

    key: SectionKey
    patient_id: str
    has_image: bool
    has_counts: bool

    @property
    def is_usable(self) -> bool:
        """Whether the section can train an image model or be scored."""
        return self.has_image and self.has_counts

    @property
    def is_counts_only(self) -> bool:
        """Whether the section has counts and no image."""
        return self.has_counts and not self.has_image


@dataclass(frozen=True, slots=True)
class Fold:
    """One outer split; building it proves that it does not leak.

    Attributes
    ----------
    fold_id
        ``cohort/section-<id>``, ``cohort/patient-<id>``, ``cohort/all`` or ``external/<cohort>``.
    split_unit
        What is held out; ``all`` holds out nothing and is never scored.
    test, train
        Sections with image and counts.
    counts_only
        Training sections without an image; never of a held-out patient.
    patients
        Patient id of every section of the fold.

    Raises
    ------
    SplitError
        A role is empty that must not be, or a patient is unknown.
    LeakageError
        A section has two roles, or what ``split_unit`` holds out is in training.
    """

    fold_id: str
    split_unit: SplitUnit
    test: tuple[SectionKey, ...]
    train: tuple[SectionKey, ...]
    counts_only: tuple[SectionKey, ...]
    patients: Mapping[SectionKey, str]

    def __post_init__(self) -> None:
        self._require_roles()
        placed = [*self.test, *self.train, *self.counts_only]
        if doubled := sorted({str(key) for key in placed if placed.count(key) > 1}):
            raise LeakageError("a section has one role in a fold", fold=self.fold_id, section=doubled)
        self._refuse_patients("counts_only", self.counts_only)
        if self.split_unit != "section":
            self._refuse_patients("train", self.train)
        if self.split_unit == "external":
            self._refuse_cohorts()

    def _require_roles(self) -> None:
        if not self.train:
            raise SplitError("a fold needs a training section", fold=self.fold_id)
        if bool(self.test) == (self.split_unit == "all"):
            message = "a fold tests sections, unless it holds nobody out"
            raise SplitError(message, fold=self.fold_id, field="test", found=len(self.test))
        if unknown := [str(key) for key in (*self.test, *self.train, *self.counts_only) if key not in self.patients]:
            raise SplitError("every section of a fold has a patient", fold=self.fold_id, section=unknown)

    def _refuse_patients(self, role: str, keys: Sequence[SectionKey]) -> None:
        if shared := self._people(self.test) & self._people(keys):
            names = sorted("/".join(person) for person in shared)
            raise LeakageError(f"a held-out patient is in {role}", fold=self.fold_id, patient=names)

    def _refuse_cohorts(self) -> None:
        if shared := {key.cohort for key in self.test} & {key.cohort for key in (*self.train, *self.counts_only)}:
            raise LeakageError("an external fold trains on other cohorts", fold=self.fold_id, cohort=sorted(shared))

    def _people(self, keys: Sequence[SectionKey]) -> set[tuple[str, str]]:
        return {(key.cohort, self.patients[key]) for key in keys}

    def patient_in_training(self, section: SectionKey) -> bool:
        """Whether the donor of ``section`` gave a training section.

        Raises
        ------
        SplitError
            If the section is not of this fold.
        """
        if section not in self.patients:
            raise SplitError("the section is not of this fold", fold=self.fold_id, section=str(section))
        return bool(self._people((section,)) & self._people((*self.train, *self.counts_only)))


def make_folds(sections: Sequence[SectionFact]) -> list[Fold]:
    """All folds that these sections allow, in a fixed order whatever the order of ``sections``.

    Per cohort of at least two usable sections: one fold a section, one a patient (if another patient is left to train
    on), and ``all``. A cohort with one usable section gives none of these, but takes part in the external folds, as
    test and as training: with at least two cohorts, each is held out in turn.

    Raises
    ------
    SplitError
        A section is listed twice, or a cohort is named ``external``.
    """
    facts = sorted(sections, key=lambda fact: fact.key)
    _require_distinct(facts)
    folds: list[Fold] = []
    for cohort, group in groupby(facts, key=lambda fact: fact.key.cohort):
        own = list(group)
        if sum(fact.is_usable for fact in own) >= 2:
            folds.extend(_cohort_folds(cohort, own))
    return [*folds, *_external_folds(facts)]


def _require_distinct(facts: Sequence[SectionFact]) -> None:
    keys = [fact.key for fact in facts]
    if doubled := sorted({str(key) for key in keys if keys.count(key) > 1}):
        raise SplitError("a section is listed once", section=doubled)
    if any(key.cohort == EXTERNAL for key in keys):
        raise SplitError(f"a cohort cannot be named {EXTERNAL}", field="cohort", hint="choose another name")


def _cohort_folds(cohort: str, facts: Sequence[SectionFact]) -> Iterator[Fold]:
    usable = [fact for fact in facts if fact.is_usable]
    for held in usable:
        rest = [fact for fact in usable if fact is not held]
        yield _fold(f"{cohort}/section-{held.key.section_id}", "section", [held], rest, facts)
    for patient in sorted({fact.patient_id for fact in usable}):
        test = [fact for fact in usable if fact.patient_id == patient]
        if rest := [fact for fact in usable if fact.patient_id != patient]:
            yield _fold(f"{cohort}/patient-{patient}", "patient", test, rest, facts)
    yield _fold(f"{cohort}/all", "all", [], usable, facts)


def _external_folds(facts: Sequence[SectionFact]) -> Iterator[Fold]:
    usable = [fact for fact in facts if fact.is_usable]
    cohorts = sorted({fact.key.cohort for fact in usable})
    for cohort in cohorts if len(cohorts) > 1 else []:
        test = [fact for fact in usable if fact.key.cohort == cohort]
        train = [fact for fact in usable if fact.key.cohort != cohort]
        yield _fold(f"{EXTERNAL}/{cohort}", "external", test, train, [f for f in facts if f.key.cohort != cohort])


def _fold(
    fold_id: str,
    unit: SplitUnit,
    test: Sequence[SectionFact],
    train: Sequence[SectionFact],
    pool: Sequence[SectionFact],
) -> Fold:
    """Fold whose counts-only sections are those of ``pool`` that belong to no tested patient."""
    held = {(fact.key.cohort, fact.patient_id) for fact in test}
    extra = [f for f in pool if f.is_counts_only and (f.key.cohort, f.patient_id) not in held]
    return Fold(
        fold_id=fold_id,
        split_unit=unit,
        test=tuple(fact.key for fact in test),
        train=tuple(fact.key for fact in train),
        counts_only=tuple(fact.key for fact in extra),
        patients={fact.key: fact.patient_id for fact in (*test, *train, *extra)},
    )


@dataclass(frozen=True, slots=True)
class InnerSplit:
    """Training sections parted in two, to choose settings on.

    Attributes
    ----------
    train, validation
        Both non-empty. In a ``quadrant`` split both hold spots of one section, under its key.
    unit
        What was left out.
    """

    train: list[TrainSection]
    validation: list[TrainSection]
    unit: InnerUnit

    def __post_init__(self) -> None:
        if not (self.train and self.validation) or any(s.image.n_spots == 0 for s in (*self.train, *self.validation)):
            raise SplitError("an inner split needs spots on both sides", unit=self.unit)


def inner_splits(sections: Sequence[TrainSection], outer: SplitUnit = "patient") -> list[InnerSplit]:
    """Split the training sections in all the ways that a choice is judged on.

    With two training patients or more each is left out in turn; with one patient, or where the outer fold holds out
    a section whose patient may be in training, each section; with one section each of its four spatial quadrants,
    which differ by at most one spot in size. Sections without patch features or patches are left aside.

    Parameters
    ----------
    outer
        What the outer fold holds out.

    Raises
    ------
    SplitError
        No section has either, or a split would be empty.
    """
    usable = sorted((s for s in sections if s.image.shows_tissue), key=lambda s: s.key)
    if not usable:
        raise SplitError("inner splits need a training section with an image that can be read", found=len(sections))
    patients = patients_of(usable)
    if len(patients) > 1 and outer != "section":
        return [_leave_out(usable, patient) for patient in patients]
    if len(usable) > 1:
        return [InnerSplit([s for s in usable if s is not held], [held], "section") for held in usable]
    return [_leave_out_rows(usable[0], held) for held in quadrants(usable[0].image.pixel_xy)]


def middle_split(splits: Sequence[InnerSplit]) -> InnerSplit:
    """Choose the split that holds out the (lower) median number of spots: neither a tiny judge nor a tiny teacher."""
    by_size = sorted(splits, key=lambda split: sum(section.image.n_spots for section in split.validation))
    return by_size[(len(by_size) - 1) // 2]


def _leave_out(sections: Sequence[TrainSection], patient: str) -> InnerSplit:
    held = [s for s in sections if patients_of([s]) == (patient,)]
    return InnerSplit([s for s in sections if patients_of([s]) != (patient,)], held, "patient")


def _leave_out_rows(section: TrainSection, held: NDArray[np.bool_]) -> InnerSplit:
    return InnerSplit([section.rows(~held)], [section.rows(held)], "quadrant")


def quadrants(pixel_xy: NDArray[np.floating]) -> list[NDArray[np.bool_]]:
    """Four masks over spots: left and right of the median x, each cut at its own median y.

    Parameters
    ----------
    pixel_xy
        Distinct positions, shape ``(n_spots, 2)``.
    """
    order = np.lexsort((pixel_xy[:, 1], pixel_xy[:, 0]))
    masks = []
    for half in np.array_split(order, 2):
        by_y = half[np.lexsort((pixel_xy[half, 0], pixel_xy[half, 1]))]
        for part in np.array_split(by_y, 2):
            mask = np.zeros(len(pixel_xy), dtype=np.bool_)
            mask[part] = True
            masks.append(mask)
    return masks


def split_digest(sections: Sequence[TrainSection]) -> str:
    """SHA-256 of which spots of which sections and patients were trained on, whatever their order."""
    rows = [(str(s.key), s.patient_id, s.image.shows_tissue, sorted(s.image.spot_ids.tolist())) for s in sections]
    return hashlib.sha256(json.dumps(sorted(rows)).encode()).hexdigest()
