"""Complete sets of folds, as what compares methods over all folds takes them.

Belongs here: which predictions of one cohort, split unit, panel, target and seed stand beside each other, and their
matrices section by section. Does not belong here: any score; when a set is complete (``manifest``).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from gr2st_assets.lake import Lake
from gr2st_assets.matrices import rows_of_section, spots_by_genes
from gr2st_assets.records import Slot
from gr2st_assets.sections import image_section
from gr2st_assets.slots import Variant, fold_slot
from gr2st_core.errors import AlignmentError
from gr2st_core.keys import SectionKey

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from gr2st_core.training.folds import Fold
    from gr2st_core.types import ImageSection

OBSERVED = "predictions/observed"


@dataclass(frozen=True)
class PredictedSection:
    """One held-out section with its truth and every method's prediction, rows and columns alike."""

    image: "ImageSection"
    genes: tuple[str, ...]
    observed: "np.ndarray"
    predicted: "Mapping[str, np.ndarray]"
    patient_in_training: bool


@dataclass
class FoldSet:
    """Predictions of all folds of one split unit, panel, target and seed.

    Attributes
    ----------
    cohort
        As in the folds' names; ``external`` where whole cohorts are held out.
    predictions
        Per method the digest of every fold's artefact.
    unlike
        Methods whose spots or genes are not those observed, left out of a section; filled while reading.
    """

    cohort: str
    split_unit: str
    variant: Variant
    folds: "list[Fold]"
    observed: Mapping[Slot, str]
    predictions: Mapping[str, Mapping[Slot, str]]
    unlike: list[str] = field(default_factory=list)

    @property
    def name(self) -> tuple[str, str, str, str, int]:
        """Cohort, split unit, panel, target and seed: no two sets have the same."""
        return self.cohort, self.split_unit, self.variant.panel, self.variant.target, self.variant.seed

    def sections(self, lake: Lake) -> Iterator[PredictedSection]:
        """Read section by section; one fold's tables are held at a time.

        A section that came in since the set was made is in no table yet, and left out.
        """
        for fold in self.folds:
            slot = fold_slot(lake, OBSERVED, fold.fold_id, self.variant)
            truth = _read(lake, slot, self.observed[slot], "observed")
            guesses = {}
            for name, digests in self.predictions.items():
                own = fold_slot(lake, f"predictions/predictions_{name}", fold.fold_id, self.variant)
                guesses[name] = _read(lake, own, digests[own], "predicted")
            for key in fold.test:
                if rows_of_section(truth, key.section_id).num_rows:
                    yield self._section(lake, fold, key, truth, guesses)
                else:
                    self.unlike.append(f"{key} {OBSERVED}")

    def _section(
        self, lake: Lake, fold: "Fold", key: SectionKey, truth: "pa.Table", guesses: "Mapping[str, pa.Table]"
    ) -> PredictedSection:
        import pyarrow.compute as pc

        image = image_section(lake, key, ())
        spots, own = image.spot_ids.tolist(), rows_of_section(truth, key.section_id)
        genes = tuple(sorted(pc.unique(own.column("gene")).to_pylist()))
        observed = spots_by_genes(own, "observed", spots, genes, section=str(key))
        predicted = {}
        for name, rows in guesses.items():
            part = rows_of_section(rows, key.section_id)
            try:
                predicted[name] = spots_by_genes(part, "predicted", spots, genes, section=str(key))
            except AlignmentError:
                self.unlike.append(f"{key} {name}")
        return PredictedSection(image, genes, observed, predicted, fold.patient_in_training(key))


def _read(lake: Lake, slot: Slot, digest: str, column: str) -> "pa.Table":
    return lake.read_table(slot, ["section_id", "spot_id", "gene", column], digest=digest)


def fold_sets(folds: "Mapping[str, Fold]", shown: Mapping[Slot, str], methods: Mapping[str, Any]) -> list[FoldSet]:
    """Group what readers are shown into sets in which every fold has observed values.

    Parameters
    ----------
    shown
        Digests by slot of the tables of predictions and observed values, of complete sets only.
    methods
        Names that may be compared, in their order.
    """
    units: dict[tuple[str, str], list[Fold]] = {}
    for fold in folds.values():
        if fold.test:
            units.setdefault((fold.fold_id.partition("/")[0], fold.split_unit), []).append(fold)
    found = []
    for (cohort, unit), members in sorted(units.items()):
        names = {fold.fold_id.partition("/")[2] for fold in members}
        own = {s: d for s, d in shown.items() if s.value("cohort") == cohort and s.value("fold") in names}
        for variant in sorted({_variant(slot) for slot in own if slot.table != OBSERVED}, key=str):
            observed = {
                s: d
                for s, d in own.items()
                if s.table == OBSERVED and (s.value("panel"), s.value("target")) == (variant.panel, variant.target)
            }
            made = {name: _of_method(own, name, variant) for name in methods}
            predictions = {name: digests for name, digests in made.items() if len(digests) == len(members)}
            if len(observed) == len(members) and predictions:
                found.append(FoldSet(cohort, unit, variant, members, observed, predictions))
    return found


def _of_method(own: Mapping[Slot, str], name: str, variant: Variant) -> dict[Slot, str]:
    table = f"predictions/predictions_{name}"
    return {s: d for s, d in own.items() if s.table == table and _variant(s) == variant}


def _variant(slot: Slot) -> Variant:
    return Variant(slot.value("panel") or "", slot.value("target") or "", int(slot.value("seed") or 0))
