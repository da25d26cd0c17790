"""What ``gr2st champion`` and its subcommands do.

Belongs here: putting the log of promotions, a person's word and the tables in order. Does not belong here: arguments
(``cli``), deciding (``promotions``).
"""

import sys
from collections.abc import Callable
from pathlib import Path

from gr2st_assets.champion_records import Event
from gr2st_assets.champions import champions, history
from gr2st_assets.lake import Lake
from gr2st_assets.project import lake_root, prepare_environment
from gr2st_core.errors import SettingsError

Say = Callable[[str], None]
_SHOWN = ("serving/champion", "serving/reference_bank", "evaluation/report", "catalog/catalog")
"""What tells readers about a champion."""


def show(say: Say) -> int:
    """Write the log to standard output, oldest first, a mark beside what serves now; it needs no catalogue."""
    events = history(Lake(lake_root()))
    serving = champions(events).values()
    if not events:
        say("no champion yet: gr2st materialize decides once all patient folds and the fit on everybody are there")
    for event in events:
        sys.stdout.write(_line(event, is_serving=event in serving) + "\n")
    return 0


def promote(name: str, cohort: str, settings: Path | None, say: Say, *, cells: str, force_held: bool) -> int:
    """Judge one method's contender; 1 unless it is champion now."""
    from gr2st_assets import promotions
    from gr2st_assets.contenders import find_contenders
    from gr2st_core.settings import load_settings

    lake, chosen = Lake(lake_root()), load_settings(settings)
    contenders, lacking = find_contenders(lake, chosen, cells)
    named = [each for each in contenders if each.name == name and cohort in ("", each.cohort)]
    if len(named) != 1:
        for line in lacking:
            say(line)
        raise SettingsError(
            "one contender is promoted at a time", field="cohort", expected=f"one {name}",
            found=[f"{each.cohort} {each.name}" for each in named or contenders],
        )  # fmt: skip
    own = [each for each in contenders if each.cohort == named[0].cohort]
    event = promotions.promote(lake, named[0], own, chosen.serving, force_held=force_held)
    sys.stdout.write(_line(event, is_serving=event.serves) + "\n")
    if event.kind == "held":
        say("held for a person: --force-held lets it pass")
    return _tell_readers(settings, cells, say) or int(not event.serves)


def roll_back(number: int, settings: Path | None, say: Say, *, cells: str) -> int:
    """Go back to an earlier champion and tell readers."""
    from gr2st_assets import promotions

    event = promotions.roll_back(Lake(lake_root()), number)
    sys.stdout.write(_line(event, is_serving=True) + "\n")
    return _tell_readers(settings, cells, say)


def _tell_readers(settings: Path | None, cells: str, say: Say) -> int:
    """Make the tables that say who serves; they would follow with the next run anyway."""
    prepare_environment()
    from gr2st_assets.automation import SUMMARY_STAGE
    from gr2st_assets.dead_runs import end_dead_runs
    from gr2st_assets.launch import Task, run_job
    from gr2st_assets.project import open_instance

    experiment = {"settings_file": str(settings.resolve()) if settings else "", "cells": cells}
    instance = open_instance()
    end_dead_runs(instance)
    failed = run_job(instance, Task(SUMMARY_STAGE, _SHOWN, experiment))
    for key, message in failed.items():
        say(f"failed: {key}\n{message}")
    return int(bool(failed))


def _line(event: Event, *, is_serving: bool) -> str:
    contender = event.contender
    who = f"{contender.cohort} {contender.name} {contender.panel} {contender.target} seed {contender.seed}"
    about = f"model {contender.model_id[:12]}, r {contender.score:.4f} over {len(contender.patients)} patients"
    back = f" to {event.restores}" if event.restores else ""
    person = " by a person" if event.by_person else ""
    reasons = "".join(f"\n      {reason}" for reason in (event.decision or {}).get("reasons", ()))
    return f"{'*' if is_serving else ' '} {event.number:3d} {event.kind}{back}{person}: {who}, {about}{reasons}"
