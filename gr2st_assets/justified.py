"""Whether champions are those that their evidence allows.

Belongs here: asking the rule again about what the log says, or is to say, and looking for the artefacts. Does not
belong here: deciding anything new (``promotions``).
"""

from collections.abc import Sequence

from gr2st_assets.champion_records import Event
from gr2st_assets.champions import champion_before, champions, faults, history
from gr2st_assets.lake import Lake


def unjustified(lake: Lake) -> list[str]:
    """Say what is wrong with the champions that serve now: the rule, asked again, and their artefacts on disk."""
    seen = history(lake)
    found = []
    for cohort, event in champions(seen).items():
        found += [f"{cohort}: {fault.file}: {fault.problem}" for fault in faults(lake, event, deep=False)]
        if not follows(event, seen):
            found.append(f"{cohort}: promotion {event.number} does not follow from its evidence")
    return found


def follows(event: Event, seen: Sequence[Event]) -> bool:
    """Whether an event that serves, with its number in the log, follows from its evidence and the events before it."""
    from gr2st_core.evaluation.promotion import Decision, decide

    if event.decision is None:
        origin = seen[event.restores - 1]
        return (
            0 < origin.number < event.number and origin.serves and origin.contender.identity == event.contender.identity
        )
    stored = Decision.from_document(event.decision)
    verdict = decide(stored.against, stored.controls, stored.rule).verdict
    beaten = champion_before(seen, event.number, event.contender.cohort)
    allowed = ("promoted", "held") if event.by_person else ("promoted",)
    return verdict in allowed and event.against == beaten and stored.is_first == (beaten == 0)
