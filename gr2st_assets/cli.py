"""The ``gr2st`` command: one journey a subcommand.

Belongs here: arguments, messages, exit codes. Does not belong here: work of any kind. Data goes to standard output,
everything else to standard error. Exit codes: 0 done, 1 something failed or was refused, 2 wrong usage.
"""

import signal
import sys
from pathlib import Path
from typing import Annotated

import typer

from gr2st_core.errors import Gr2stError

app = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__.split("\n")[0]
)
cohort_app = typer.Typer(no_args_is_help=True, help="Cohorts: folders of sections.")
app.add_typer(cohort_app, name="cohort")
champion_app = typer.Typer(help="Champions: which model of each cohort is served.")
app.add_typer(champion_app, name="champion")

Panel = Annotated[str, typer.Option(help="fold_safe, breast_markers, or a text file with one gene a line")]
Targets = Annotated[list[str], typer.Option("--target", help="per_spot, per_gene_legacy, cp10k; may be repeated")]
Seeds = Annotated[list[int], typer.Option("--seed", help="may be repeated")]
Cells = Annotated[str, typer.Option(help="auto, marker_genes, deconvolution or hovernet")]
SettingsFile = Annotated[Path | None, typer.Option("--settings", help="YAML overrides of the settings")]


def say(text: str) -> None:
    """Tell the person at the terminal."""
    print(text, file=sys.stderr, flush=True)


@app.command()
def demo(
    patients: Annotated[int, typer.Option(min=2, help="patients of the synthetic cohort")] = 4,
    sections: Annotated[int, typer.Option(min=1, help="sections per patient")] = 2,
) -> None:
    """Make a synthetic cohort, materialize the whole graph on it, show the scoreboard and a query."""
    from gr2st_assets.journeys import run_demo

    raise typer.Exit(run_demo(patients, sections, say))


@cohort_app.command("add")
def cohort_add(
    name: Annotated[str, typer.Argument(help="lower case letters, digits, _ and -")],
    folder: Annotated[Path, typer.Argument(help="folder of a known layout")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="report, register nothing")] = False,
) -> None:
    """Inspect a folder completely, report every fault at once, register the sections that have none."""
    from gr2st_assets.journeys import add_cohort

    raise typer.Exit(add_cohort(name, folder, dry_run, say))


@cohort_app.command("remove")
def cohort_remove(
    name: Annotated[str, typer.Argument(help="registered cohort")],
    section: Annotated[str | None, typer.Option(help="only this section")] = None,
    patient: Annotated[str | None, typer.Option(help="only the sections of this patient")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="list what would go, remove nothing")] = False,
) -> None:
    """Remove sections and all that was derived from them; list the models that were trained on them."""
    from gr2st_assets.journeys import remove_cohort

    if section and patient:
        raise typer.BadParameter("give a section or a patient, not both")
    raise typer.Exit(remove_cohort(name, section, patient, dry_run, say))


@cohort_app.command("fetch")
def cohort_fetch(
    name: Annotated[str, typer.Argument(help="her2st, cscc, he2020, wu2021, or a name of --files")],
    into: Annotated[Path | None, typer.Option(help="folder; by default cohorts/NAME in the home folder")] = None,
    files: Annotated[Path | None, typer.Option("--files", help="another catalogue of published cohorts, YAML")] = None,
) -> None:
    """Download a published cohort; what is there is left alone, what was interrupted goes on."""
    from gr2st_assets.journeys import fetch_cohort

    raise typer.Exit(fetch_cohort(name, into, files, say))


@app.command()
def materialize(
    cohort: Annotated[list[str], typer.Option(help="registered cohort; may be repeated; all by default")] = [],  # noqa: B006 - typer's way
    panel: Panel = "fold_safe",
    target: Targets = ["per_spot"],  # noqa: B006 - typer's way
    seed: Seeds = [0],  # noqa: B006 - typer's way
    settings: SettingsFile = None,
    cells: Cells = "auto",
    method: Annotated[
        list[str],
        typer.Option(help="only these methods, by name or as *_small; may be repeated; all but comparators by default"),
    ] = [],  # noqa: B006 - typer's way
    fold: Annotated[list[str], typer.Option(help="only this fold; may be repeated; all by default")] = [],  # noqa: B006 - typer's way
    scored_only: Annotated[bool, typer.Option("--scored-only", help="no models that are only served")] = False,
) -> None:
    """Materialize everything that is not current, from slides to scoreboard and catalogue."""
    from gr2st_assets.journeys import materialize_cohorts

    raise typer.Exit(
        materialize_cohorts(
            cohort, panel, target, seed, settings, fold, say, cells=cells, methods=method, scored_only=scored_only
        )
    )


@app.command()
def predict(
    slides: Annotated[list[Path], typer.Argument(help="image files: jpg, png, tiff, ome.tiff, svs, ndpi, mrxs")],
    out: Annotated[Path, typer.Option(help="folder that gets a folder a slide")],
    model: Annotated[
        str, typer.Option(help="cohort whose champion predicts, or a model's id; by default the champion")
    ] = "",
    spots: Annotated[
        Path | None, typer.Option(help="table of spots of the one slide: spot_id, pixel_x, pixel_y")
    ] = None,
    um_per_px: Annotated[float | None, typer.Option(min=0.01, help="scale, where the file does not say it")] = None,
    pitch_um: Annotated[
        float | None, typer.Option(min=1, help="distance of the spots; by default as in training")
    ] = None,
    settings: SettingsFile = None,
) -> None:
    """Predict the expression on slides that were never sequenced, with intervals, for other programs to open."""
    from gr2st_assets.slide_journeys import predict_slides

    if spots is not None and len(slides) > 1:
        raise typer.BadParameter("a table of spots belongs to one slide")
    raise typer.Exit(predict_slides(slides, out, model, spots, um_per_px, pitch_um, settings, say))


@app.command()
def study(
    cohort: Annotated[str, typer.Argument(help="registered cohort")],
    panel: Panel = "fold_safe",
    target: Annotated[str, typer.Option(help="per_spot, per_gene_legacy, cp10k")] = "per_spot",
    seed: Annotated[int, typer.Option(min=0)] = 0,
    settings: SettingsFile = None,
    cells: Cells = "auto",
    fold: Annotated[list[str], typer.Option(help="only this fold; may be repeated; all by default")] = [],  # noqa: B006 - typer's way
    study: Annotated[list[str], typer.Option(help="ablation or sensitivity; may be repeated; both by default")] = [],  # noqa: B006 - typer's way
) -> None:
    """Study GR2ST: what each part is worth, how much each setting matters. Trains it some twenty times a fold."""
    from gr2st_assets.journeys import study_cohort

    raise typer.Exit(study_cohort(cohort, panel, target, seed, settings, fold, study, say, cells=cells))


@app.command()
def sql(
    query: Annotated[str, typer.Argument(help="one SELECT; - reads it from standard input")],
    param: Annotated[list[str], typer.Option(help="name=value, text for $name in the query; may be repeated")] = [],  # noqa: B006 - typer's way
    form: Annotated[str, typer.Option("--format", help="table, markdown, csv, json or parquet")] = "table",
    limit: Annotated[int, typer.Option(min=1, help="most rows returned")] = 10_000,
    seconds: Annotated[float, typer.Option(min=0.1, help="longest that it may run")] = 3.0,
    memory: Annotated[int, typer.Option(min=512, help="most memory, in MiB")] = 1024,
) -> None:
    """Ask the catalogue, read-only, in a process with limits; safe while runs go on."""
    from gr2st_assets.asking import run_sql

    raise typer.Exit(run_sql(sys.stdin.read() if query == "-" else query, param, form, limit, seconds, memory, say))


@app.command()
def dictionary() -> None:
    """Print the data dictionary as Markdown: every view of the catalogue, its key and columns, what NULL means."""
    from gr2st_assets.dictionary import page

    sys.stdout.write(page())


@app.command()
def results(
    cohort: Annotated[str, typer.Argument(help="registered cohort")],
    panel: Annotated[str, typer.Argument(help="name of the panel: fold_safe, breast_markers, or a file's stem")],
    study: Annotated[bool, typer.Option("--study", help="what gr2st study found instead")] = False,
) -> None:
    """Print the results of a cohort as Markdown: tables, and sentences that say what they mean."""
    from gr2st_assets.journeys import print_results

    raise typer.Exit(print_results(cohort, panel, study=study))


@app.command()
def explore(
    section: Annotated[str, typer.Argument(help="cohort/section")],
    method: Annotated[str | None, typer.Option(help="as gr2st_ours; the champion's by default")] = None,
    fold: Annotated[str | None, typer.Option(help="fold that held the section out, as demo/patient-A")] = None,
    out: Annotated[Path | None, typer.Option(help="file to write; by default explore-COHORT-SECTION.html")] = None,
) -> None:
    """Write one HTML file to look at a section: slide, observed, predicted, error and uncertainty, spot by spot."""
    from gr2st_assets.journeys import explore_section

    raise typer.Exit(explore_section(section, method, fold, out, say))


@app.command()
def report(
    cohort: Annotated[str, typer.Argument(help="cohort that has a scoreboard; all by default")] = "",
    out: Annotated[
        Path | None, typer.Option(help="file to write; by default report_COHORT.html in this folder")
    ] = None,
) -> None:
    """Write the newest report of a cohort as one HTML file and print its path; nothing is made anew."""
    from gr2st_assets.report_journeys import write_reports

    raise typer.Exit(write_reports(cohort, out, say))


@app.command()
def doctor(
    verify: Annotated[bool, typer.Option("--verify", help="read every file again and compare its checksum")] = False,
) -> None:
    """Look at versions, device, instance, leftovers and damage; free pool slots of runs that ended."""
    from gr2st_assets.doctor import examine

    raise typer.Exit(examine(say, deep=verify))


@app.command()
def rollback(generation: Annotated[int, typer.Argument(min=1, help="number of an earlier generation")]) -> None:
    """Show readers an earlier generation again, until something new is published."""
    from gr2st_assets.lake import Lake
    from gr2st_assets.project import lake_root
    from gr2st_assets.readers import rollback as go_back

    say(f"readers now see generation {go_back(Lake(lake_root()), generation).number}")


@champion_app.callback(invoke_without_command=True)
def champion(context: typer.Context) -> None:
    """Show the champion of each cohort and every decision about it, as the log of promotions has them."""
    from gr2st_assets.champion_journeys import show

    if context.invoked_subcommand is None:
        raise typer.Exit(show(say))


@champion_app.command("promote")
def champion_promote(
    method: Annotated[str, typer.Argument(help="as gr2st_ours")],
    cohort: Annotated[str, typer.Option(help="needed where the method competes in several")] = "",
    force_held: Annotated[
        bool, typer.Option("--force-held", help="let a model pass that is held for a person")
    ] = False,
    settings: SettingsFile = None,
    cells: Cells = "auto",
) -> None:
    """Judge one method again; serve it if it passes. A refused one is never served."""
    from gr2st_assets.champion_journeys import promote

    raise typer.Exit(promote(method, cohort, settings, say, cells=cells, force_held=force_held))


@champion_app.command("rollback")
def champion_rollback(
    number: Annotated[int, typer.Argument(min=1, help="number of the promotion to go back to")],
    settings: SettingsFile = None,
    cells: Cells = "auto",
) -> None:
    """Serve again what served by an earlier promotion, until something new and better is found."""
    from gr2st_assets.champion_journeys import roll_back

    raise typer.Exit(roll_back(number, settings, say, cells=cells))


def main() -> None:
    """Run the command; the project's own errors become two lines, not a traceback."""
    # an orderly end, so that workers are ended too
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        app()
    except (Gr2stError, FileNotFoundError) as error:
        say(f"error: {error}")
        raise SystemExit(1) from error
