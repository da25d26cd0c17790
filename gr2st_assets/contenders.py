"""Who may compete to be served: methods whose folds and whose fit on everybody are there and of one recipe.

Belongs here: finding them in the lake, and saying what the others lack. Does not belong here: judging them
(``evidence``), promoting them (``promotions``).
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from gr2st_assets.champion_records import Contender
from gr2st_assets.evidence import NULLS, Evidence
from gr2st_assets.lake import Lake
from gr2st_assets.models import method_spec, settings_digest
from gr2st_assets.readers import shown_next
from gr2st_assets.records import Head, Slot
from gr2st_assets.sections import read_folds
from gr2st_assets.slots import Variant, fold_slot
from gr2st_core.errors import DataError, MissingArtifactError

if TYPE_CHECKING:
    from gr2st_core.settings import Settings
    from gr2st_core.training.folds import Fold

GENES, SECTIONS, PANEL = "evaluation/gene_scores", "evaluation/section_scores", "expression/panel"


def find_contenders(lake: Lake, settings: "Settings", cells: str) -> tuple[list[Contender], list[str]]:
    """List the methods that may compete in each cohort, in the settings' order.

    Parameters
    ----------
    settings
        Under which the models were made; ``serving`` says which methods, panel, target and seed.
    cells
        Where the run takes cell types from, kept with the recipe.

    Returns
    -------
    Contenders, and in words what methods lack that may not compete.
    """
    serving, found, lacking = settings.serving, [], []
    sets: dict[str, list[Fold]] = {}
    for fold in read_folds(lake).values():
        if fold.split_unit == "patient":
            sets.setdefault(fold.fold_id.partition("/")[0], []).append(fold)
    tables = (GENES, SECTIONS, PANEL, *(f"models/model_{name}" for name in serving.methods))
    shown, evidence = shown_next(lake, *tables), Evidence(lake)
    for cohort, folds in sorted(sets.items()):
        for name in serving.methods:
            try:
                found.append(_contender(lake, cohort, folds, name, settings, cells, shown, evidence))
            except DataError as error:
                lacking.append(f"{cohort} {name} does not compete: {error}")
    return found, lacking


def _contender(
    lake: Lake,
    cohort: str,
    folds: "Sequence[Fold]",
    name: str,
    settings: "Settings",
    cells: str,
    shown: Mapping[Slot, str],
    evidence: Evidence,
) -> Contender:
    serving, spec = settings.serving, method_spec(name)
    variant = Variant(serving.panel, serving.target, serving.seed)
    head = _shown_head(lake, fold_slot(lake, f"models/model_{name}", f"{cohort}/all", variant), shown)
    panel = _shown_head(lake, fold_slot(lake, PANEL, f"{cohort}/all", variant), shown)
    facts = head.provenance
    if facts.settings_hash != (expected := settings_digest(spec, settings)):
        raise DataError("made under other settings", slot=head.slot, expected=expected, found=facts.settings_hash)
    scores = [_shown_head(lake, fold_slot(lake, GENES, fold.fold_id, variant), shown) for fold in folds]
    controls = [_shown_head(lake, fold_slot(lake, SECTIONS, fold.fold_id, variant), shown) for fold in folds]
    for fold, scored in zip(folds, scores, strict=True):
        _require_one_recipe(lake, name, fold, variant, scored, head)
    digests = {str(each.slot): each.digest for each in scores}
    patients, genes = _summary(evidence, digests, name)
    return Contender(
        cohort=cohort,
        panel=serving.panel,
        target=serving.target,
        seed=serving.seed,
        method=spec.method,
        profile=spec.profile,
        cells=cells,
        settings=settings.model_dump(mode="json"),
        settings_digest=facts.settings_hash,
        code_version=facts.code_version,
        generation=facts.generation,
        model_id=facts.metadata["model_id"],
        trained_on=tuple(sorted({f"{s.partition('/')[0]}/{patient}" for s, patient in facts.trained_on().items()})),
        fit={str(each.slot): each.digest for each in (head, panel)},
        scores=digests,
        controls={str(each.slot): each.digest for each in controls},
        patients=patients,
        n_genes=len(genes),
        genes_sha256=hashlib.sha256("\n".join(genes).encode()).hexdigest(),
    )


def _shown_head(lake: Lake, slot: Slot, shown: Mapping[Slot, str]) -> Head:
    """Head of an artefact that is of a complete set and the newest of its slot: its provenance is known."""
    head = lake.require_head(slot)
    if shown.get(slot) != head.digest:
        raise MissingArtifactError(
            "the newest artefacts are no complete set of one generation", slot=slot, hint="materialize all folds"
        )
    return head


def _require_one_recipe(lake: Lake, name: str, fold: "Fold", variant: Variant, scored: Head, fit: Head) -> None:
    """Prove that the model which a fold's scores are of was made as the fit was: code, settings and data."""
    predictions = lake.require_head(fold_slot(lake, f"predictions/predictions_{name}", fold.fold_id, variant))
    model = lake.require_head(fold_slot(lake, f"models/model_{name}", fold.fold_id, variant))
    chain = ((scored, predictions), (predictions, model))
    for made, source in chain:
        if (found := made.provenance.inputs.get(source.slot.table)) != source.digest:
            raise MissingArtifactError(
                "scores are not of the newest model", slot=made.slot, field=source.slot.table, expected=source.digest,
                found=found, hint="materialize all folds",
            )  # fmt: skip
    if model.provenance.generation != fit.provenance.generation:
        raise MissingArtifactError(
            "a fold's model and the fit on everybody are of two generations", slot=model.slot,
            expected=fit.provenance.generation, found=model.provenance.generation, hint="materialize all folds",
        )  # fmt: skip


def _summary(evidence: Evidence, scores: Mapping[str, str], name: str) -> tuple[dict[str, float], list[str]]:
    """Mean score of every held-out patient, and the genes that were scored, sorted; the nulls must be there too."""
    from gr2st_core.evaluation.pairing import SCORE, patient_scores

    for null in NULLS:
        evidence.genes(scores, null)
    rows = evidence.genes(scores, name)
    patients = {str(patient): float(score) for patient, score in patient_scores(rows).items()}
    return patients, sorted(rows.dropna(subset=[SCORE]).gene.unique())
