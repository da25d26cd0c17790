"""Promotion: from contenders and the log to new events of the log.

Belongs here: whom to judge against whom, in what order, and what a person may do. Does not belong here: the rule
(``gr2st_core.evaluation.promotion``), the log's files (``champions``).

Every contender is judged once against every champion under the same settings. Of those that pass, the one that gains
most takes over; the others are judged against it at once. What has been champion never comes back by itself, and after
a person went back only evidence that is new since can promote: a rollback holds.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from gr2st_assets.champion_records import Contender, Event, EventKind
from gr2st_assets.champions import PromotionError, UnjustifiedError, append, champions, faults, history
from gr2st_assets.evidence import Evidence
from gr2st_assets.justified import follows
from gr2st_assets.lake import Lake
from gr2st_assets.publish import crash_point
from gr2st_core.errors import MissingArtifactError

if TYPE_CHECKING:
    from gr2st_core.evaluation.promotion import Decision
    from gr2st_core.settings import ServingSettings


def settle(lake: Lake, contenders: Sequence[Contender], rule: "ServingSettings") -> list[Event]:
    """Judge every contender that was not judged yet; promote the best that passes, cohort by cohort.

    Returns
    -------
    The events added to the log, none if there was nothing new.

    Raises
    ------
    LeakageError
        A score is not out of fold; nothing is promoted after that.
    UnjustifiedError
        A promotion does not follow from its evidence; nothing is promoted after that.
    PromotionConflictError
        Another process promoted meanwhile.
    """
    made: list[Event] = []
    evidence = Evidence(lake)
    for cohort in sorted({contender.cohort for contender in contenders}):
        own = [contender for contender in contenders if contender.cohort == cohort]
        while added := _round(lake, evidence, own, rule):
            made += added
            if not added[-1].serves:
                break
    return made


def _round(lake: Lake, evidence: Evidence, contenders: Sequence[Contender], rule: "ServingSettings") -> list[Event]:
    """Judge one cohort's contenders once: one promotion, or else what became of each."""
    seen = history(lake)
    champion = champions(seen).get(contenders[0].cohort)
    opponent = _opponent(champion, contenders)
    judged = [
        (contender, evidence.judge(contender, opponent, rule))
        for contender in contenders
        if _is_open(contender, champion, seen, rule)
    ]
    crash_point("champion.decided")
    passed = [each for each in judged if each[1].verdict == "promoted"]
    made: list[Event] = []
    for contender, decision in [max(passed, key=lambda each: _gain(*each))] if passed else judged:
        made.append(_append(lake, _event(contender, decision, champion, decision.verdict), [*seen, *made]))
    return made


def _opponent(champion: Event | None, contenders: Sequence[Contender]) -> Contender | None:
    """The champion with its newest scores: those of the same fit in the lake now, else those it was chosen on."""
    if champion is None:
        return None
    same = (each for each in contenders if each.model_id == champion.contender.model_id)
    return next(same, champion.contender)


def _is_open(contender: Contender, champion: Event | None, seen: Sequence[Event], rule: "ServingSettings") -> bool:
    """Whether a contender is still to be judged against the champion."""
    own = [event for event in seen if event.contender.cohort == contender.cohort]
    withdrawn = max((event.number for event in own if event.kind == "withdrawn"), default=0)
    seen = [event for event in own if event.number > withdrawn]
    if any(event.serves and event.contender.model_id == contender.model_id for event in seen):
        return False
    known = [event for event in seen if event.contender.identity == contender.identity]
    if champion and champion.kind == "rolled_back" and any(event.number < champion.number for event in known):
        return False
    against = champion.number if champion else 0
    values = rule.model_dump(mode="json")
    return not any(e.against == against and e.decision and e.decision["rule"] == values for e in known)


def _gain(contender: Contender, decision: "Decision") -> float:
    return float(decision.against.gains.mean()) if decision.against else contender.score


def _event(
    contender: Contender, decision: "Decision", champion: Event | None, kind: EventKind, *, by_person: bool = False
) -> Event:
    against = champion.number if champion else 0
    return Event(0, kind, contender, against, decision.to_document(), by_person=by_person)


def _append(lake: Lake, event: Event, seen: Sequence[Event]) -> Event:
    """Add an event; one that serves only if it is whole and follows, which ``beats_champion`` could only say after.

    Raises
    ------
    MissingArtifactError
        A file of its artefacts is not as it was published.
    UnjustifiedError
        The rule, asked again of what the log would say, does not allow it.
    """
    if event.serves and (damage := faults(lake, event, deep=True)):
        raise MissingArtifactError(
            "artefacts of this model are not as they were", file=damage[0].file, field=damage[0].problem,
            expected=damage[0].expected, found=damage[0].found,
        )  # fmt: skip
    if event.serves and not follows(replace(event, number=len(seen) + 1), seen):
        raise UnjustifiedError(
            "this promotion does not follow from its evidence, and the log is as it was",
            cohort=event.contender.cohort, field=event.kind, found=event.contender.name,
            expected=f"what the rule allows against promotion {event.against or 'none'}",
        )  # fmt: skip
    return append(lake, event, seen)


def promote(
    lake: Lake, contender: Contender, contenders: Sequence[Contender], rule: "ServingSettings", *, force_held: bool
) -> Event:
    """Judge one contender at a person's word, whatever was decided about it before.

    Parameters
    ----------
    contenders
        All there are of its cohort: the champion's newest scores are among them.
    force_held
        Whether it takes over also where the rule holds it for a person.

    Returns
    -------
    The event added; of kind ``promoted`` if it is champion now.

    Raises
    ------
    PromotionError
        It is the champion already.
    UnjustifiedError
        The promotion does not follow from its evidence.
    PromotionConflictError
        Another process promoted meanwhile.
    """
    seen = history(lake)
    champion = champions(seen).get(contender.cohort)
    _require_another(contender, champion)
    decision = Evidence(lake).judge(contender, _opponent(champion, contenders), rule)
    crash_point("champion.decided")
    forced = decision.verdict == "held" and force_held
    kind: EventKind = "promoted" if forced else decision.verdict
    return _append(lake, _event(contender, decision, champion, kind, by_person=forced), seen)


def roll_back(lake: Lake, number: int) -> Event:
    """Serve again what served by an earlier event; the log gets one more event and keeps all others.

    Raises
    ------
    PromotionError
        The event served nothing, or its contender is the champion now.
    MissingArtifactError
        There is no such event, or its artefacts are gone or damaged: every file is compared with its checksum.
    PromotionConflictError
        Another process promoted meanwhile.
    """
    seen = history(lake)
    if not 1 <= number <= len(seen):
        raise MissingArtifactError("there is no such promotion", found=number, expected=f"1 to {len(seen)}")
    event = seen[number - 1]
    if not event.serves:
        raise PromotionError("this event served nothing", found=f"{number}: {event.kind}", hint="gr2st champion")
    champion = champions(seen).get(event.contender.cohort)
    _require_another(event.contender, champion)
    crash_point("champion.decided")
    origin = event.restores or number
    against = champion.number if champion else 0
    back = Event(0, "rolled_back", event.contender, against, None, by_person=True, restores=origin)
    return _append(lake, back, seen)


def withdraw(lake: Lake, champion: Event) -> Event:
    """Serve nothing for a cohort any more, because what its champion is made of goes; the log keeps that it served.

    Raises
    ------
    PromotionConflictError
        Another process promoted meanwhile.
    """
    return append(lake, Event(0, "withdrawn", champion.contender, champion.number, None, by_person=True), history(lake))


def _require_another(contender: Contender, champion: Event | None) -> None:
    if champion and champion.contender.model_id == contender.model_id:
        raise PromotionError("it is the champion already", cohort=contender.cohort, found=champion.number)
