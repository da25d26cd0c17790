"""Whom a champion is compared with, and what is measured of a section.

Belongs here: training sections of every champion and all others, their features, colours and depth, read from the
lake. Does not belong here: predictions (``drift_predictions``), distances (``gr2st_core.drift``).
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from gr2st_assets.champion_records import Event
from gr2st_assets.champions import champions, history
from gr2st_assets.lake import Lake
from gr2st_assets.sections import image_section, read_folds, read_rows
from gr2st_assets.slots import section_slot
from gr2st_core.errors import DataError, LeakageError
from gr2st_core.keys import SectionKey

if TYPE_CHECKING:
    import numpy as np

ENCODER, COLOURS = "efficientnet_lite0", "color_texture"
GEOMETRY = ("raw/slides", "raw/spots")
NO_CHAMPION = "no cohort has a champion, so there is nothing to compare with"
Value = TypeVar("Value")


@dataclass(frozen=True)
class Comparison:
    """One champion beside the sections of the lake.

    Attributes
    ----------
    event
        By which it serves.
    patients
        Its training sections: those that the fold ``<cohort>/all`` trains on, of patients that the fit saw.
    others
        All further sections in key order, except those that the fold learns counts from.
    """

    event: Event
    patients: Mapping[SectionKey, str]
    others: tuple[SectionKey, ...]

    @property
    def sections(self) -> tuple[SectionKey, ...]:
        """All of both, training first."""
        return *sorted(self.patients), *self.others

    @property
    def columns(self) -> dict[str, str | int]:
        """Columns that name the champion."""
        contender = self.event.contender
        return {
            "reference_cohort": contender.cohort,
            "champion": self.event.number,
            "model_id": contender.model_id,
        }

    def inputs(self, lake: Lake, tables: Iterable[str]) -> dict[str, str]:
        """Everything that decides the comparison, as inputs of a plan; a table that a section lacks is said so."""
        cohort, names = self.event.contender.cohort, list(tables)
        found = {
            f"{cohort}:champion": f"{self.event.number} {self.event.contender.model_id}",
            f"{cohort}:training": ",".join(f"{key}={patient}" for key, patient in sorted(self.patients.items())),
            f"{cohort}:others": ",".join(map(str, self.others)),
        }
        for key in self.sections:
            for table in names:
                head = lake.head(section_slot(lake, table, key))
                found[f"{table}:{key}"] = head.digest if head else "absent"
        return found


def comparisons(lake: Lake) -> list[Comparison]:
    """Put every champion beside the sections of the lake; none without a champion, or where its cohort is gone."""
    serving = champions(history(lake))
    folds = read_folds(lake) if serving else {}
    known = {SectionKey(str(s.value("cohort")), str(s.value("section"))) for s in lake.slots("raw/slides")}
    found = []
    for cohort, event in sorted(serving.items()):
        if fold := folds.get(f"{cohort}/all"):
            seen = set(event.contender.trained_on)
            patients = {key: fold.patients[key] for key in fold.train if f"{cohort}/{fold.patients[key]}" in seen}
            others = sorted(known - set(patients) - set(fold.counts_only))
            found.append(Comparison(event, patients, tuple(others)))
    return found


def measured(
    keys: Iterable[SectionKey], measure: Callable[[SectionKey], Value | None]
) -> tuple[dict[str, Value], list[str]]:
    """Measure what can be measured.

    Returns
    -------
    Values by ``cohort/section``, without those that have none, and in words why others could not be measured.
    """
    values, lacking = {}, []
    for key in keys:
        try:
            value = measure(key)
        except (DataError, LeakageError) as error:  # a section that has left its cohort's folds may be trained on
            lacking.append(f"{key}: {error}")
        else:
            if value is not None:
                values[str(key)] = value
    return values, lacking


def features(lake: Lake, key: SectionKey) -> "tuple[np.ndarray, np.ndarray] | None":
    """Ids of a section's spots and their patch features; None without an image.

    Raises
    ------
    MissingArtifactError, AlignmentError
        The encoder was not run, or not on these spots.
    """
    image = image_section(lake, key, (ENCODER,))
    return (image.spot_ids, image.features[ENCODER]) if image.features else None


def stains(lake: Lake, key: SectionKey) -> dict[str, float] | None:
    """Median over spots of the mean optical density of both stains; None without an image.

    Raises
    ------
    MissingArtifactError, AlignmentError
    """
    import numpy as np

    from gr2st_core.images.color_texture import NAMES

    image = image_section(lake, key, (COLOURS,))
    if not image.features or not image.n_spots:
        return None
    columns = image.features[COLOURS].astype(np.float64)
    stained = ("haematoxylin", "eosin")
    return {f"stain_{name}": float(np.median(columns[:, NAMES.index(f"{name}_mean")])) for name in stained}


def depth(lake: Lake, key: SectionKey) -> float | None:
    """Median log10 of one and the molecules of each sequenced spot; None without counts.

    Raises
    ------
    MissingArtifactError
    """
    import numpy as np

    rows = read_rows(lake, "raw/spots", key).select(["total_count", "has_counts"]).to_pandas()
    totals = rows.total_count[rows.has_counts].to_numpy(dtype=np.float64)
    return float(np.median(np.log10(totals + 1))) if len(totals) else None
