"""Group ``evaluation``, last part: the report of every cohort, for a person to open.

Belongs here: when it is made, from what, and where it is kept. Does not belong here: what it says (``report``).

The report shows numbers of many tables beside each other, so all must be of one state of the lake. It is made before
the catalogue of that state exists: the artefacts that the next catalogue will show are chosen once, a catalogue of
these alone is built in a temporary folder, and every query is asked of it. Artefacts never change, so what other runs
publish meanwhile cannot mix in; and since the published catalogue then shows the same artefacts, each query on the
page gives the same rows there. A view that is not among ``READ`` is empty, so nothing is read that the fingerprint
does not name.
"""

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg

from gr2st_assets.champions import history
from gr2st_assets.fold_sets import OBSERVED
from gr2st_assets.kinds import asset_arguments, below_all
from gr2st_assets.lake import Lake
from gr2st_assets.readers import CHECKS, Preview, preview
from gr2st_assets.resources import LakeResource
from gr2st_assets.steps import Plan, Product, Recipe, run_step
from gr2st_assets.tables import arrow_schema, table_spec

if TYPE_CHECKING:
    from gr2st_assets.report.page import Page

NAME = "evaluation/report"
READ = (
    "evaluation/scoreboard", "evaluation/comparisons", "evaluation/recall_share", "evaluation/gene_scores",
    "evaluation/section_scores", "evaluation/published_scores", OBSERVED, "raw/slides", "raw/spots", "raw/quarantine",
    "expression/panel", "expression/hvg_table", "folds/fold_table", "serving/champion", "serving/calibration",
    "serving/drift",
)  # fmt: skip
_FAMILIES = ("predictions/predictions_", CHECKS)
_OWN_CHECKS = CHECKS + NAME.replace("/", "__")
_MOST_ROWS = 1_000_000
_SECONDS = 600.0
_ARGUMENTS = asset_arguments(
    NAME,
    code=(
        "gr2st_assets.report", "gr2st_assets.results", "gr2st_assets.comparator_results", "gr2st_assets.assets.report"
    ),
    checks=(), kinds={"python"}, pool=None,
    doc="One HTML file a cohort: verdict, spread over patients and genes, calibration, maps, state of the checks, each "
    "number with its SQL. gr2st report writes it where you like.",
)  # fmt: skip


def report_asset(assets: Sequence[dg.AssetsDefinition]) -> dg.AssetsDefinition:
    """Make the report asset, downstream of all tables, since it tells what the checks of all of them found."""

    @dg.asset(**_ARGUMENTS, deps=below_all(assets))
    def report(context: dg.AssetExecutionContext, lake: LakeResource) -> Iterator[Any]:
        """Write the report of every cohort that has a scoreboard."""
        store = lake.open()

        def plan() -> Plan:
            from gr2st_assets.report.page import template_digest
            from gr2st_assets.report.state import versions

            state = preview(store, _is_read)
            inputs = {**state.digests, "templates": template_digest()}
            inputs.update({f"version of {name}": version for name, version in versions().items()})
            return Plan(store.slot(NAME), inputs, lambda: _product(store, state))

        recipe = Recipe(table_spec(NAME), _ARGUMENTS["code_version"], "", ("contract",))
        yield from run_step(context, store, recipe, iter([(None, plan)]))

    return report


def _is_read(table: str) -> bool:
    return table in READ or (table.startswith(_FAMILIES) and table != _OWN_CHECKS)


def _product(store: Lake, state: Preview) -> Product:
    import pandas as pd

    pages = _pages(store, state)
    if not pages:
        return Product(arrow_schema(table_spec(NAME)).empty_table(), {"n_reports": 0})
    table = pd.DataFrame([_row(page, state.digest) for page in pages]).astype({"champion": "Int64"})

    def write_files(folder: Path) -> None:
        for page in pages:
            (folder / file_name(page.about.cohort)).write_text(page.html, encoding="utf-8", newline="\n")
        (folder / "verdict.md").write_text(_verdict(pages), encoding="utf-8", newline="\n")

    return Product(table, {"n_reports": len(pages)}, write_files=write_files)


def _pages(store: Lake, state: Preview) -> "list[Page]":
    from gr2st_assets.report.page import write_page
    from gr2st_assets.report.subject import cohorts
    from gr2st_assets.sql import Limits, answer, open_locked

    settings = {event.number: event.contender.settings for event in history(store)}
    limits = Limits(rows=_MOST_ROWS, seconds=_SECONDS)
    with state.catalog(store) as path, open_locked(path, limits) as connection:

        def ask(query: str) -> Any:
            return answer(connection, query, (), limits).table

        return [write_page(ask, cohort, state_digest=state.digest, settings=settings) for cohort in cohorts(ask)]


def _row(page: "Page", state_digest: str) -> dict[str, Any]:
    about, content = page.about, page.html.encode()
    return {
        **{name: getattr(about, name) for name in ("cohort", "panel", "target", "seed", "method", "profile")},
        "split_unit": about.unit,
        "champion": about.event,
        **{name: page.facts[name] for name in ("n_sections", "n_patients")},
        "pearson_zero_filled": page.facts["r"],
        "file": file_name(about.cohort),
        "sha256": hashlib.sha256(content).hexdigest(),
        "n_bytes": len(content),
        "state_digest": state_digest,
    }


def file_name(cohort: str) -> str:
    """Name of a cohort's page within the artefact."""
    return f"report_{cohort}.html"


def _verdict(pages: "list[Page]") -> str:
    """Sentences of every page as Markdown, for the metadata of the materialization."""
    parts = [f"**{page.about.cohort}**\n\n" + "\n".join(f"- {text}" for text in page.verdict) for page in pages]
    return "\n\n".join(parts).replace("_", "\\_") + "\n"
