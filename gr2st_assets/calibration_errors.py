"""Out-of-fold errors of a champion's recipe, patient by patient, read from the lake.

Belongs here: predictions beside measurements, joined by id. Does not belong here: which predictions are the champion's
own (``drift_predictions``), what becomes of the errors (``gr2st_core.evaluation.conformal``).
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from gr2st_assets.drift_predictions import out_of_fold
from gr2st_assets.lake import Lake
from gr2st_assets.matrices import rows_of_section, spots_by_genes
from gr2st_assets.records import Slot
from gr2st_core.errors import MissingArtifactError

if TYPE_CHECKING:
    import pyarrow as pa

    from gr2st_assets.champion_records import Contender
    from gr2st_core.evaluation.conformal import PatientErrors

OBSERVED, PANEL = "predictions/observed", "expression/panel"


def error_tables(lake: Lake, contender: "Contender") -> dict[Slot, tuple[str, str]]:
    """Digests of predictions and measurements of the folds that a champion was judged in, by slot of the predictions.

    Raises
    ------
    MissingArtifactError
        Either is gone, or the predictions have been made anew by another recipe since, or the measurements for
        another panel.
    """
    found = {}
    for slot, digest in out_of_fold(lake, contender).items():
        guesses, truth = lake.require_head(slot), lake.require_head(_observed_slot(lake, slot))
        panels = [head.provenance.inputs.get(PANEL) for head in (guesses, truth)]
        if panels[0] != panels[1]:
            raise MissingArtifactError(
                "the measurements are of another panel than the champion's predictions",
                slot=truth.slot,
                expected=panels[0],
                found=panels[1],
                hint=f"gr2st materialize --method {contender.name}",
            )
        found[slot] = digest, truth.digest
    return found


def patient_errors(lake: Lake, tables: Mapping[Slot, tuple[str, str]]) -> "dict[str, PatientErrors]":
    """Errors of each held-out patient, named as its fold (``patient-<id>``).

    Raises
    ------
    AlignmentError
        A spot and gene has a prediction and no measurement, or the reverse.
    """
    columns = ["section_id", "spot_id", "gene"]
    found = {}
    for slot, (predicted, observed) in sorted(tables.items()):
        guesses = lake.read_table(slot, [*columns, "predicted"], digest=predicted)
        truth = lake.read_table(_observed_slot(lake, slot), [*columns, "observed"], digest=observed)
        if guesses.num_rows:
            found[str(slot.value("fold"))] = _errors(guesses, truth)
    return found


def _errors(guesses: "pa.Table", truth: "pa.Table") -> "PatientErrors":
    import numpy as np

    from gr2st_core.evaluation.conformal import PatientErrors

    genes = sorted(guesses.column("gene").unique().to_pylist())
    parts: dict[str, list[np.ndarray]] = {"predicted": [], "observed": []}
    for section in sorted(guesses.column("section_id").unique().to_pylist()):
        spots = sorted(rows_of_section(guesses, section).column("spot_id").unique().to_pylist())
        for name, table in (("predicted", guesses), ("observed", truth)):
            parts[name].append(spots_by_genes(rows_of_section(table, section), name, spots, genes, section=section))
    return PatientErrors(tuple(genes), np.concatenate(parts["predicted"]), np.concatenate(parts["observed"]))


def _observed_slot(lake: Lake, slot: Slot) -> Slot:
    return lake.slot(OBSERVED, **{name: value for name, value in slot.keys if name != "seed"})
