"""What the subcommands do, each in one function that says what it does and gives an exit code.

Belongs here: putting register, runs and readers in order for a person. Does not belong here: arguments (``cli``),
the work itself.
"""

import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gr2st_assets import register
from gr2st_assets.ingest import take_in
from gr2st_assets.inspection import inspect
from gr2st_assets.lake import Lake
from gr2st_assets.project import home, lake_root, open_instance, prepare_environment
from gr2st_assets.resolution import coarse_notes
from gr2st_core.errors import MissingArtifactError
from gr2st_core.keys import SectionKey

if TYPE_CHECKING:
    from gr2st_assets.runs import Outcome
    from gr2st_core.cohorts.records import SectionEntry

Say = Callable[[str], None]

SCOREBOARD = """
SELECT cohort, split_unit, training_patients AS patients, panel, target, seed, method || '_' || profile AS method,
       round(pearson, 3) AS pearson, round(pearson_patients, 3) AS over_patients,
       round(pearson_equal_depth, 3) AS equal_depth, round(spearman, 3) AS spearman, round(mse, 4) AS mse,
       round(r2_median, 3) AS r2, round(variance_ratio_median, 2) AS variance, round(moran_error, 3) AS moran_error,
       round(pearson_shuffled, 3) AS shuffled, round(ceiling, 3) AS ceiling, n_undefined AS undefined, n_sections AS n
FROM scoreboard
WHERE list_contains(string_split($cohorts, ','), cohort)
ORDER BY cohort, panel, target, seed, split_unit, patients, is_diagnostic, pearson DESC NULLS LAST
"""
STUDY = """
SELECT split_unit, parameter, setting, round(pearson, 3) AS pearson, round(difference, 3) AS difference,
       round(difference_min, 3) AS lowest, round(difference_max, 3) AS highest,
       sections_below || ' of ' || n_sections AS worse_in, sections_of_base AS own_setting_in
FROM studies
WHERE study = $study AND cohort = $cohort AND panel = $panel AND target = $target AND seed = $seed
ORDER BY split_unit, parameter, value, setting
"""
EXAMPLE = """
SELECT gene, round(avg(pearson), 3) AS pearson, count(*) AS sections
FROM gene_scores
WHERE method = 'gr2st' AND split_unit = 'patient' AND cohort = 'demo'
GROUP BY gene ORDER BY 2 DESC LIMIT 5
"""
DEMO_METHODS = (
    "gr2st_ours", "low_rank_m224", "low_rank_ctx", "ridge_m224", "ridge_color", "knn_m224", "null_training_mean",
    "null_same_place",
)  # fmt: skip
"""All but those that take many minutes: the published states of GR2ST, and rotation-averaged features."""


def run_demo(n_patients: int, sections_per_patient: int, say: Say) -> int:
    """Make the synthetic cohort if it is not there, materialize it, and show what came of it."""
    from gr2st_core.cohorts.synthetic import make_synthetic_cohort

    folder = home() / "cohorts" / "demo"
    if not (folder / "data").is_dir():
        say(f"making a synthetic cohort in {folder}")
        make_synthetic_cohort(folder, n_patients=n_patients, sections_per_patient=sections_per_patient)
    else:
        say(f"using the synthetic cohort in {folder}; remove the folder to have another")
    lake = Lake(lake_root())
    if "demo" not in register.names(lake) and (code := add_cohort("demo", folder, False, say)):
        return code
    settings = home() / "settings" / "demo.yml"
    code = materialize_cohorts(["demo"], "fold_safe", ["per_spot"], [0], settings, [], say, methods=DEMO_METHODS)
    say(f'\nlake: {lake.root}\nquery: gr2st sql "{" ".join(EXAMPLE.split())}"')
    run_sql(EXAMPLE, "table", 100, say)
    say("look at it: make ui, then http://127.0.0.1:3000")
    return code


def add_cohort(name: str, folder: Path, dry_run: bool, say: Say) -> int:
    """Inspect a cohort folder, report, and register its good sections; 1 if anything was refused."""
    from gr2st_assets.assets.quarantine import show_refused
    from gr2st_core.settings import load_settings

    SectionKey(name, "any")
    lake = Lake(lake_root())

    def progress(label: str, done: int, total: int) -> None:
        say(f"{done}/{total} {label}")

    if dry_run:
        found = inspect(lake, name, folder, load_settings(), progress, {})
    else:
        instance = open_instance()
        found = take_in(lake, instance, name, folder, load_settings(), progress)
        show_refused(lake, instance)
    cohort = found.cohort
    if dry_run:
        for entry in cohort.entries:
            say(_described(entry, found.facts[str(entry.key)]))
    for entry in cohort.entries:
        facts = found.facts[str(entry.key)]
        for note in (*facts["notes"], *coarse_notes(facts)):
            say(f"note: {entry.key}: {note}")
    for fault in found.faults:
        say(f"fault: {fault}")
    images = sum(entry.image_path is not None for entry in cohort.entries)
    patients = {entry.patient_id for entry in cohort.entries}
    summary = (
        f"{cohort.layout}, {len(cohort.entries)} sections of {len(patients)} patients, {images} with an image, "
        f"{len(found.faults)} faults"
    )
    if dry_run:
        say(f"{name}: {summary}; nothing registered")
        return int(bool(found.faults) or not cohort.entries)
    say(f"{name}: {summary}; {'registered' if cohort.entries else 'nothing registered'}")
    return int(bool(found.faults) or not cohort.entries)


def _described(entry: "SectionEntry", facts: Mapping[str, Any]) -> str:
    """One line on a section that was found, for a person."""
    counts = "no counts" if facts["counts"] is None else f"{facts['n_molecules']} molecules, {facts['n_genes']} genes"
    size = facts["size_px"]
    image = "no image" if size is None else f"image {size[0]}x{size[1]} px, {facts['um_per_px']:.3f} um/px"
    labels = f", {facts['n_regions']} spots labelled" if facts["n_regions"] else ""
    return f"{entry.key}: patient {entry.patient_id}, {facts['n_spots']} spots, {counts}, {image}{labels}"


def remove_cohort(name: str, section: str | None, patient: str | None, dry_run: bool, say: Say) -> int:
    """Remove sections with all that was derived from them, and make fold table and scoreboard again without them."""
    from gr2st_assets.removal import plan_removal, remove
    from gr2st_assets.runs import summarize

    prepare_environment()
    lake = Lake(lake_root())
    removal = plan_removal(lake, name, section, patient)
    for model in removal.models:
        say(f"trained on it: {model}")
    for event in removal.served:
        say(f"champion trained on it: {event.contender.name} of promotion {event.number}")
    found = f"{len(removal.sections)} sections, {len(removal.slots)} places in the lake, {len(removal.models)} models"
    if dry_run:
        say(f"{name}: {found}; nothing removed")
        return 0
    remove(lake, open_instance(), removal)
    say(f"{name}: {found}; removed. The cohort's folder is as it was; gr2st cohort add reads it again.")
    return _tell(summarize(lake), lake, say)


def fetch_cohort(name: str, into: Path | None, catalogue: Path | None, say: Say) -> int:
    """Download a published cohort and say how to add it; 1 if a file did not come."""
    from gr2st_assets.fetch import fetch
    from gr2st_core.cohorts.published import published_cohorts

    known = published_cohorts(catalogue)
    if name not in known:
        raise MissingArtifactError("no such published cohort is known", found=name, expected=sorted(known))
    cohort, folder = known[name], (into or home() / "cohorts" / name).resolve()
    say(f"{name}: {cohort.title}\ncite: {cohort.cite}\nlicence: {cohort.licence}")
    if not cohort.verified:
        say(f"not verified when this catalogue was written: {cohort.unverified}")
    faults = fetch(cohort, folder, say)
    for fault in faults:
        say(f"fault: {fault}")
    say(f"{folder}: {len(faults)} faults; checksums of what came: {folder / 'SHA256SUMS'}")
    say(f"next: gr2st cohort add {name} {shlex.quote(str(folder))}")
    return int(bool(faults))


def materialize_cohorts(
    cohorts: Sequence[str],
    panel: str,
    targets: Sequence[str],
    seeds: Sequence[int],
    settings: Path | None,
    folds: Sequence[str],
    say: Say,
    *,
    cells: str = "auto",
    methods: Sequence[str] = (),
    scored_only: bool = False,
) -> int:
    """Run all stages for the cohorts under every target and seed, then show the scoreboard."""
    prepare_environment()
    from gr2st_assets.runs import materialize

    lake = Lake(lake_root())
    chosen = list(cohorts) or register.names(lake)
    if not chosen:
        raise MissingArtifactError("no cohort is registered", hint="gr2st cohort add NAME FOLDER, or gr2st demo")
    settings_file = str(settings.resolve()) if settings else ""
    common: dict[str, Any] = {"panel": _absolute(panel), "cells": cells, "settings_file": settings_file}
    experiments = [{**common, "target": target, "seed": seed} for target in targets for seed in seeds]
    code = _tell(materialize(lake, chosen, experiments, folds, methods, scored_only=scored_only), lake, say)
    run_sql(SCOREBOARD, "table", 10_000, say, {"cohorts": ",".join(chosen)})
    return code


def study_cohort(
    cohort: str,
    panel: str,
    target: str,
    seed: int,
    settings: Path | None,
    folds: Sequence[str],
    studies: Sequence[str],
    say: Say,
    *,
    cells: str = "auto",
) -> int:
    """Run studies of GR2ST over the folds of a cohort, then show what they say of the folds that are complete."""
    prepare_environment()
    from gr2st_assets.resources import Experiment
    from gr2st_assets.runs import run_studies
    from gr2st_assets.selection import STUDIES

    lake = Lake(lake_root())
    settings_file = str(settings.resolve()) if settings else ""
    common: dict[str, Any] = {"panel": _absolute(panel), "cells": cells, "settings_file": settings_file}
    experiment = {**common, "target": target, "seed": seed}
    code = _tell(run_studies(lake, cohort, experiment, folds, studies), lake, say)
    shown = {"cohort": cohort, "panel": Experiment(**experiment).variant().panel, "target": target, "seed": seed}
    for name in studies or STUDIES:
        say(f"\n{name}")
        run_sql(STUDY, "table", 10_000, say, {**shown, "study": name})
    return code


def _tell(outcome: "Outcome", lake: Lake, say: Say) -> int:
    """Say what came of a run; 1 if anything failed."""
    from gr2st_assets.readers import waiting

    say(f"{len(outcome.current)} partitions were current and not run again")
    for key, message in outcome.failed.items():
        say(f"failed: {key}\n{message}")
    for line in waiting(lake):
        say(f"kept, not shown yet: {line}")
    return int(bool(outcome.failed))


def _absolute(panel: str) -> str:
    return str(Path(panel).resolve()) if Path(panel).suffix else panel


def run_sql(query: str, form: str, limit: int, say: Say, params: dict[str, Any] | None = None) -> int:
    """Run one query on the catalogue and write the answer to standard output."""
    from gr2st_assets.readers import catalog_path
    from gr2st_assets.sql import Limits, run_query
    from gr2st_assets.sql_formats import write_answer

    answer = run_query(catalog_path(Lake(lake_root())), query, params=params or {}, limits=Limits(rows=limit))
    write_answer(answer.table, form, sys.stdout.buffer)
    if answer.is_cut:
        say(f"only the first {limit} rows are shown; see --limit")
    return 0


def print_results(cohort: str, panel: str, *, study: bool) -> int:
    """Write the page of results of a cohort, or of its studies, to standard output."""
    from gr2st_assets.readers import catalog_path
    from gr2st_assets.results import page, study_page
    from gr2st_assets.sql import run_query

    catalog, params = catalog_path(Lake(lake_root())), {"cohort": cohort, "panel": panel}
    write = study_page if study else page
    sys.stdout.write(write(lambda query: run_query(catalog, query, params=params).table, cohort, panel))
    return 0


def explore_section(section: str, method: str | None, fold: str | None, out: Path | None, say: Say) -> int:
    """Write the explorer's page of a section; reads what readers are shown, changes nothing in the lake."""
    from gr2st_assets.explorer.chosen import Shown, choose
    from gr2st_assets.explorer.gather import gather
    from gr2st_assets.explorer.page import write_page

    lake, key = Lake(lake_root()), SectionKey.parse(section)
    shown = Shown.of(lake)
    chosen = choose(lake, shown, key, method, fold)
    say(f"{key}: {chosen.name}, {chosen.fold_id}, {chosen.variant.target}")
    page = write_page(gather(lake, shown, chosen))
    path = out or Path(f"explore-{key.cohort}-{key.section_id}.html")
    path.write_bytes(page)
    say(f"{len(page) / 1e6:.1f} MB, opens in a browser, asks the network for nothing")
    sys.stdout.write(f"{path}\n")
    return 0
