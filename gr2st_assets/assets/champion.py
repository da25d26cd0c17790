"""Group ``serving``, first part: which model is served, and every decision about that.

Belongs here: letting contenders be judged, and the log of promotions as a table. Does not belong here: the rule
(``gr2st_core.evaluation.promotion``), the log (``champions``), what is served with the champion (``serving``).
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import dagster as dg

from gr2st_assets import pictures
from gr2st_assets.champion_records import Contender, Event
from gr2st_assets.champions import UnjustifiedError, champions, history
from gr2st_assets.checks import domain
from gr2st_assets.contenders import GENES, PANEL, SECTIONS, find_contenders
from gr2st_assets.evidence import NULLS
from gr2st_assets.justified import unjustified
from gr2st_assets.kinds import WEEKLY, asset_arguments
from gr2st_assets.lake import Lake
from gr2st_assets.partitions import ALL_SECTIONS
from gr2st_assets.promotions import settle
from gr2st_assets.publish import crash_point
from gr2st_assets.resources import Experiment, LakeResource
from gr2st_assets.steps import BlockingCheckError, Plan, Product, Recipe, run_step
from gr2st_assets.tables import arrow_schema, table_spec
from gr2st_core.models.registry import METHODS

if TYPE_CHECKING:
    import pandas as pd

    from gr2st_core.settings import ServingSettings

CHAMPION = "serving/champion"
CHECKS = ("beats_champion",)
_OF_CONTENDER = (
    "cohort", "panel", "target", "seed", "method", "profile", "model_id", "settings_digest", "score", "n_genes"
)  # fmt: skip
JUDGED = (GENES, SECTIONS, PANEL, *(f"models/model_{name}" for name in METHODS))
_ARGUMENTS = asset_arguments(
    CHAMPION, code=("gr2st_core.evaluation.promotion", "gr2st_assets.champion_records"), checks=CHECKS,
    kinds={"python"}, pool="catalog",
    doc="Champion of each cohort and every decision about it: promoted, held, refused, rolled back, with the reasons.",
)  # fmt: skip


@dg.asset(
    **_ARGUMENTS,
    freshness_policy=WEEKLY,
    deps=[
        *(dg.AssetDep(dg.AssetKey(table.split("/")), partition_mapping=ALL_SECTIONS) for table in JUDGED),
        dg.AssetKey(["evaluation", "scoreboard"]),
        dg.AssetKey(["folds", "fold_table"]),
    ],
)
def champion(context: dg.AssetExecutionContext, lake: LakeResource, experiment: Experiment) -> Iterator[Any]:
    """Judge the contenders that are new, then show the whole log."""
    store, settings = lake.open(), experiment.settings()

    def plan() -> Plan:
        contenders, lacking = find_contenders(store, settings, experiment.cells)
        for line in lacking:
            context.log.info(line)
        for event in _settled(store, contenders, settings.serving):
            context.log.info(f"{event.contender.cohort} {event.contender.name}: {event.kind}")
        events = history(store)
        context.add_asset_metadata({"does_not_compete": "\n".join(lacking), **_patient_table(events)})
        inputs = {f"{event.number:06d}": event.digest for event in events}
        return Plan(store.slot(CHAMPION), inputs, lambda: _product(store, events))

    recipe = Recipe(table_spec(CHAMPION), _ARGUMENTS["code_version"], "", ("contract", *CHECKS))
    yield from run_step(context, store, recipe, iter([(None, plan)]))
    crash_point("champion.shown")


def _settled(store: Lake, contenders: Sequence[Contender], rule: "ServingSettings") -> list[Event]:
    """Let contenders be judged; a promotion that the check would refuse fails it before the log has it.

    Raises
    ------
    BlockingCheckError
    """
    try:
        return settle(store, contenders, rule)
    except UnjustifiedError as error:
        finding = domain.beats_champion([str(error)], len(champions(history(store))))
        raise BlockingCheckError("not promoted", rows=[replace(finding, asset=CHAMPION)]) from error


def _product(store: Lake, events: Sequence[Event]) -> Product:
    import pandas as pd

    serving = champions(events)
    finding = domain.beats_champion(unjustified(store), len(serving))
    if not events:
        return Product(arrow_schema(table_spec(CHAMPION)).empty_table(), findings=[finding])
    table = pd.DataFrame([_row(event, event in serving.values()) for event in events])
    last = table.iloc[-1]
    shown = {name: last[name] for name in ("kind", "score", "gain", "gain_low") if not pd.isna(last[name])}
    whole = table.astype(dict.fromkeys(("against", "restores"), "Int64"))
    return Product(whole, {"n_champions": len(serving), **shown}, _picture(events), [finding])


def _row(event: Event, is_serving: bool) -> dict[str, Any]:
    from gr2st_core.evaluation.promotion import Decision, weigh
    from gr2st_core.evaluation.resampling import MIN_PATIENTS

    contender = event.contender
    decision = Decision.from_document(event.decision) if event.decision else None
    against = decision.against if decision else None
    weighed = (
        weigh(against, decision.rule, decision.rule.min_effect) if decision and against and against.patients else None
    )
    return {
        "event": event.number,
        "kind": event.kind,
        "is_serving": is_serving,
        "against": event.against or None,
        "restores": event.restores or None,
        **{name: getattr(contender, name) for name in _OF_CONTENDER},
        "gain": weighed.gain if weighed else None,
        "gain_low": weighed.low if weighed else None,
        "gain_min": float(against.gains.min()) if weighed and against else None,
        "n_patients": len(contender.patients),
        "is_first": event.against == 0,
        "has_few_patients": decision.has_few_patients if decision else len(contender.patients) < MIN_PATIENTS,
        "is_by_person": event.by_person,
        "reasons": "\n".join(decision.reasons) if decision else _said(event),
    }


def _said(event: Event) -> str:
    """What a person did, in words."""
    if event.kind == "withdrawn":
        return "sections that it was trained on were removed"
    return f"a person went back to promotion {event.restores}"


def _patients(events: Sequence[Event]) -> "pd.DataFrame | None":
    """Scores of each patient in the last comparison: with the champion, or with the same-place null if there was none.

    Columns ``patient``, ``challenger``, ``opponent``; the attribute ``title`` says who they are.
    """
    import pandas as pd

    from gr2st_core.evaluation.promotion import Decision

    judged = [event for event in events if event.decision]
    if not judged:
        return None
    event, opponent = judged[-1], NULLS[-1]
    decision = Decision.from_document(event.decision or {})
    if event.against:
        opponent = events[event.against - 1].contender.name
    paired = decision.against or decision.controls[NULLS[-1]]
    frame = pd.DataFrame({"patient": paired.patients, "challenger": paired.challenger, "opponent": paired.opponent})
    frame.attrs["title"] = f"{event.contender.name} ({event.kind}) against {opponent}"
    return frame


def _picture(events: Sequence[Event]) -> bytes | None:
    patients = _patients(events)
    return None if patients is None else pictures.paired_differences(patients, patients.attrs["title"])


def _patient_table(events: Sequence[Event]) -> dict[str, Any]:
    """Metadata: the same scores as a table."""
    patients = _patients(events)
    if patients is None:
        return {}
    gains = patients.assign(gain=patients.challenger - patients.opponent)
    return {patients.attrs["title"]: dg.MetadataValue.table([dg.TableRecord(r) for r in gains.to_dict("records")])}
