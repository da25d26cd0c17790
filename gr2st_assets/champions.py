"""The log of promotions, and the champions that it points to.

Belongs here: reading the log, adding to it, what its champions need on disk. Does not belong here: deciding
(``promotions``), what an event holds (``champion_records``).

Events are numbered files ``_champion/000001.json`` that are created exclusively and never changed; each names the
SHA-256 of the one before. The champion of a cohort is the contender of its last event that serves, so going back is one
more event, and a reader finds the champion before or the one after, never half of one. Promoting takes one exclusive
creation: of two writers that decided against the same champion one wins, the other is told who.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from gr2st_assets.artefacts import Fault, inspect
from gr2st_assets.champion_records import Event
from gr2st_assets.lake import Lake
from gr2st_assets.numbered import existing_numbers, numbered_path
from gr2st_assets.publish import crash_point, create_exclusive
from gr2st_assets.records import Slot
from gr2st_core.errors import DataError, Gr2stError

if TYPE_CHECKING:
    from upath import UPath

FOLDER = "_champion"
CRASH_POINTS = ("champion.decided", "champion.created", "champion.shown")
"""Beside those of ``publish.create_exclusive``: after the rule has spoken, after the event exists, after SQL tells."""


class PromotionError(Gr2stError):
    """The champion cannot be changed like that."""


class PromotionConflictError(PromotionError):
    """Another promotion of the same cohort came first."""


class UnjustifiedError(PromotionError):
    """The promotion does not follow from its evidence."""


def history(lake: Lake) -> list[Event]:
    """Read all events, oldest first.

    Raises
    ------
    DataError
        An event is missing or was changed after it was written.
    SchemaError
        An event was written by a newer version.
    """
    events: list[Event] = []
    previous = ""
    for number in existing_numbers(lake.root / FOLDER):
        if number != len(events) + 1:
            raise DataError("the log of promotions has a gap", file=_path(lake, len(events) + 1), found=number)
        event = _read(lake, number)
        if (event.number, event.previous) != (number, previous):
            raise DataError(
                "a promotion does not follow from the one before",
                file=_path(lake, number),
                expected=(number, previous),
                found=(event.number, event.previous),
            )
        previous = event.digest
        events.append(event)
    return events


def champions(events: Sequence[Event]) -> dict[str, Event]:
    """Event by which each cohort's champion serves, by cohort; a cohort whose champion was withdrawn has none."""
    serving: dict[str, Event] = {}
    for event in events:
        if event.serves:
            serving[event.contender.cohort] = event
        elif event.changes_champion:
            serving.pop(event.contender.cohort, None)
    return serving


def champion_before(events: Sequence[Event], number: int, cohort: str) -> int:
    """Number of the event by which a cohort's champion served before an event; 0 if none did."""
    found = champions([event for event in events if event.number < number]).get(cohort)
    return found.number if found else 0


def serving_numbers(lake: Lake) -> dict[str, int]:
    """Number of the event by which a model serves now, by model id: what served rows are marked with."""
    return {event.contender.model_id: event.number for event in champions(history(lake)).values()}


def append(lake: Lake, event: Event, seen: Sequence[Event]) -> Event:
    """Add an event to the log.

    Parameters
    ----------
    event
        Its number and ``previous`` are given here.
    seen
        The log as it was when the event was decided.

    Returns
    -------
    The event as it stands in the log. Events of other cohorts, and such as change no champion, may have come between.

    Raises
    ------
    PromotionConflictError
        The cohort's champion was changed meanwhile; names the winner.
    OSError
        The disk is full or fails; the log is as before, or has the whole event.
    """
    number, previous = (seen[-1].number, seen[-1].digest) if seen else (0, "")
    while True:
        placed = replace(event, number=number + 1, previous=previous)
        if create_exclusive(_path(lake, placed.number), placed.encode()):
            crash_point("champion.created")
            return placed
        winner = _read(lake, placed.number)
        if winner.changes_champion and winner.contender.cohort == event.contender.cohort:
            raise PromotionConflictError(
                "another promotion came first; decide again",
                cohort=winner.contender.cohort,
                found=f"{winner.contender.name} {winner.kind} by event {winner.number}",
                expected=f"the champion of promotion {event.against or 'none'}",
            )
        number, previous = winner.number, winner.digest


def faults(lake: Lake, event: Event, *, deep: bool) -> list[Fault]:
    """List artefacts that an event's contender predicts with and the lake does not have as they were."""
    fit = event.contender.fit
    return [f for slot, digest in sorted(fit.items()) for f in inspect(lake.path(Slot.parse(slot), digest), deep=deep)]


def references(lake: Lake) -> set[tuple[Slot, str]]:
    """Artefacts that champions, past or present, need for predicting or as evidence: never to be cleared away."""
    serving = [event.contender for event in history(lake) if event.serves]
    named = [each for c in serving for each in (*c.fit.items(), *c.scores.items(), *c.controls.items())]
    return {(Slot.parse(slot), digest) for slot, digest in named}


def _read(lake: Lake, number: int) -> Event:
    path = _path(lake, number)
    return Event.decode(path.read_bytes(), path)


def _path(lake: Lake, number: int) -> "UPath":
    return numbered_path(lake.root / FOLDER, number)
