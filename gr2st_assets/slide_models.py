"""Finding the model that a slide is predicted with: a champion, or any model of the lake by its id.

Belongs here: from what a person typed to a fitted model with its intervals and training sections. Does not belong
here: predicting (``slide_files``).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gr2st_assets.champion_records import Event
from gr2st_assets.champions import champions, history
from gr2st_assets.drift_sections import comparisons
from gr2st_assets.lake import Lake
from gr2st_assets.models import load_champion, load_model, method_spec, settings_digest
from gr2st_assets.records import Head
from gr2st_assets.sections import read_panel, read_rows
from gr2st_assets.served import Rule, champion_genes, no_rule, read_rule
from gr2st_core.errors import MissingArtifactError, SettingsError
from gr2st_core.keys import SectionKey
from gr2st_core.models.registry import METHODS

if TYPE_CHECKING:
    from gr2st_core.predictor import Fitted
    from gr2st_core.settings import Settings

PANEL = "expression/panel"
_SHORTEST_ID = 6


@dataclass(frozen=True)
class SlideModel:
    """A model that predicts slides.

    Attributes
    ----------
    name, model_id
        Name in the registry of methods, content hash.
    facts
        Cohort, fold, panel, target, seed: what it was trained for.
    champion
        Event by which it serves, None for another model.
    patients
        Training sections and their patients.
    """

    name: str
    model_id: str
    facts: Mapping[str, str]
    champion: Event | None
    patients: Mapping[SectionKey, str]
    fitted: "Fitted"
    rule: Rule

    def pitch_um(self, lake: Lake) -> float | None:
        """Median distance of neighbouring spots in training: what context features were learnt at."""
        import statistics

        found = [read_rows(lake, "raw/slides", key).to_pylist()[0]["pitch_um"] for key in sorted(self.patients)]
        return statistics.median(found) if found else None


def find_model(lake: Lake, wanted: str, settings: "Settings") -> SlideModel:
    """Find a model: a champion by the name of its cohort, the only champion by an empty name, any model by its id.

    Parameters
    ----------
    wanted
        Cohort, or the first characters of a model id, six at least.
    settings
        Under which a model was made that is not a champion; champions keep their own.

    Raises
    ------
    MissingArtifactError
        There is no such model, or none yet.
    SettingsError
        Several fit, or the model was made under other settings.
    """
    serving = champions(history(lake))
    if not wanted and len(serving) == 1:
        return _champion(lake, next(iter(serving.values())))
    if wanted in serving:
        return _champion(lake, serving[wanted])
    ids = {event.contender.model_id: event for event in serving.values()}
    if not wanted:
        if serving:
            raise SettingsError("there are several champions", expected=f"--model {' | '.join(sorted(serving))}")
        raise MissingArtifactError("no champion yet", hint="gr2st materialize, or --model with a model's id")
    heads = {head.provenance.metadata["model_id"]: head for head in _models(lake)}
    fit = sorted(name for name in {*ids, *heads} if len(wanted) >= _SHORTEST_ID and name.startswith(wanted))
    if len(fit) != 1:
        kind = SettingsError if fit else MissingArtifactError
        hint = 'gr2st sql "select distinct model_id, method, fold_id from predictions" lists models'
        raise kind("not one model", field="--model", found=wanted, expected=fit[:5] or sorted(serving), hint=hint)
    return _champion(lake, ids[fit[0]]) if fit[0] in ids else _other(lake, heads[fit[0]], settings)


def _models(lake: Lake) -> list[Head]:
    return [lake.require_head(slot) for name in METHODS for slot in lake.slots(f"models/model_{name}")]


def _champion(lake: Lake, event: Event) -> SlideModel:
    contender = event.contender
    patients = next((each.patients for each in comparisons(lake) if each.event == event), {})
    facts = {"cohort": contender.cohort, "fold": "all", "panel": contender.panel, "target": contender.target}
    return SlideModel(
        contender.name,
        contender.model_id,
        {**facts, "seed": str(contender.seed)},
        event,
        patients,
        load_champion(lake, contender),
        read_rule(lake, event, champion_genes(lake, contender)),
    )


def _other(lake: Lake, head: Head, settings: "Settings") -> SlideModel:
    name = head.slot.table.removeprefix("models/model_")
    facts, spec = head.provenance, method_spec(name)
    if facts.settings_hash != settings_digest(spec, settings):
        raise SettingsError(
            "the model was made under other settings", field="--model", found=facts.metadata["model_id"],
            hint="give the file that it was made with: --settings",
        )  # fmt: skip
    fitted = load_model(lake, name, head.slot, head.digest, settings)
    own = [event for event in champions(history(lake)).values() if event.contender.generation == facts.generation]
    keys = dict(head.slot.keys)
    panel = lake.slot(PANEL, **{part: keys[part] for part in ("cohort", "fold", "panel")})
    genes = read_panel(lake, panel, facts.inputs[PANEL]).genes
    patients = {SectionKey.parse(key): patient for key, patient in facts.trained_on().items()}
    return SlideModel(
        name, facts.metadata["model_id"], keys, None, patients, fitted,
        read_rule(lake, own[0], genes) if own and own[0].contender.name == name else no_rule(len(genes)),
    )  # fmt: skip
