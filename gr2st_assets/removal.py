"""Taking sections out of the lake again, with everything that was derived from them.

Belongs here: what is derived from a section, and its removal, in an order in which readers never miss a file and a
killed removal can be repeated. Does not belong here: making the rest again (``runs``), cohort folders, which stay.
"""

from dataclasses import dataclass

import dagster as dg

from gr2st_assets import champions, manifest, register
from gr2st_assets.champion_records import Event
from gr2st_assets.ingest import register_lock, register_sections
from gr2st_assets.lake import Lake
from gr2st_assets.models import sweep_finished
from gr2st_assets.project import home
from gr2st_assets.promotions import withdraw
from gr2st_assets.publish import crash_point
from gr2st_assets.readers import publish_shown
from gr2st_assets.records import Slot
from gr2st_assets.selection import EXPLORER, SERVED
from gr2st_core.errors import MissingArtifactError
from gr2st_core.keys import SectionKey

CRASH_POINTS = ("removal.withdrawn", "removal.hidden", "removal.emptied", "removal.erasing", "removal.erased")
"""After champions stepped down, after readers are shown the rest, inside and after the first slot, after the last."""
_WITH_OTHERS = (EXPLORER, SERVED, *(f"checks/{table.replace('/', '__')}" for table in (EXPLORER, SERVED)))
"""Of one section each, and made with others: they name reference spots, or a model predicted them that was trained
on these, now or in an artefact before. Predictions are made again at once, by the champions that are left."""
_OF_NO_SECTION = ("evaluation/published_scores", "checks/evaluation__published_scores")


@dataclass(frozen=True)
class Removal:
    """What goes when some sections go.

    Attributes
    ----------
    sections
        Keys of the sections.
    slots
        Every place of the lake that holds something derived from them.
    models
        Models that were trained on any of them, as ``method fold``.
    served
        Promotions by which any of these serves.
    """

    cohort: str
    sections: tuple[SectionKey, ...]
    slots: tuple[Slot, ...]
    models: tuple[str, ...]
    served: tuple[Event, ...]


def plan_removal(lake: Lake, cohort: str, section: str | None = None, patient: str | None = None) -> Removal:
    """Find what goes with a cohort, one of its sections, or all sections of one of its patients.

    Raises
    ------
    MissingArtifactError
        There is no such cohort, or it has no such section or patient.
    """
    known = _sections(lake, cohort)
    chosen = {key for key, owner in known.items() if section in (None, key.section_id) and patient in (None, owner)}
    if not chosen and (section or patient or cohort not in register.names(lake)):
        found = sorted({str(key) for key in known} if patient is None else set(known.values()))
        raise MissingArtifactError("nothing to remove", cohort=cohort, found=found, expected=section or patient)
    slots = tuple(slot for slot in lake.slots() if _is_derived(slot, cohort, chosen))
    names = {str(key) for key in chosen}
    models = tuple(
        f"{slot.table.removeprefix('models/model_')} {slot.value('cohort')}/{slot.value('fold')}"
        for slot in slots
        if slot.table.startswith("models/") and set(lake.require_head(slot).provenance.trained_on()) & names
    )
    serving = champions.champions(champions.history(lake)).values()
    served = tuple(event for event in serving if {Slot.parse(slot) for slot in event.contender.fit} & set(slots))
    return Removal(cohort, tuple(sorted(chosen)), slots, models, served)


def remove(lake: Lake, instance: dg.DagsterInstance, removal: Removal) -> None:
    """Remove it: champions step down, readers are shown a catalogue without it, files go, the register forgets it.

    A removal that was killed is completed by another of the same sections, since the register forgets last.
    """
    for event in removal.served:
        withdraw(lake, event)
    crash_point("removal.withdrawn")
    if manifest.current(lake) is not None:
        publish_shown(lake, manifest.withdraw(lake, removal.slots))
    crash_point("removal.hidden")
    for slot in removal.slots:
        lake.erase(slot)
        crash_point("removal.erasing")
    crash_point("removal.erased")
    sweep_finished(home())
    with register_lock():
        register.forget(lake, removal.cohort, removal.sections)
        register_sections(lake, instance)


def _sections(lake: Lake, cohort: str) -> dict[SectionKey, str]:
    """Patients by section, of the register and of what the lake has besides; of the latter nobody's."""
    left = {
        SectionKey(cohort, slot.value("section") or "") for slot in lake.slots("raw/slides") if _is_of(slot, cohort)
    }
    known = register.patients(lake, cohort) if cohort in register.names(lake) else {}
    return {**dict.fromkeys(sorted(left), ""), **known}


def _is_derived(slot: Slot, cohort: str, chosen: set[SectionKey]) -> bool:
    """Whether a slot may hold anything of the sections: every fold of the cohort has each of them in some role."""
    if slot.table in _WITH_OTHERS:
        return True
    if (section := slot.value("section")) is not None:
        return SectionKey(slot.value("cohort") or "", section) in chosen
    if slot.value("fold") is not None:
        return _is_of(slot, cohort) or slot.value("cohort") == "external"
    return slot.table not in _OF_NO_SECTION


def _is_of(slot: Slot, cohort: str) -> bool:
    return slot.value("cohort") == cohort
