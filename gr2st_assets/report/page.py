"""The report of one cohort as a page.

Belongs here: chapters in their order, and the template. Does not belong here: what a chapter holds, files.

The page is one file: style, drawings and the slide's picture are in it, it holds no script, and its content policy
forbids a browser to run one or to ask anyone for anything. Everything that comes from tables is escaped. Equal inputs
give equal bytes, so neither times nor numbers of generations are in it.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any

from gr2st_assets.report import calibration, maps, spread, state, systems, verdict
from gr2st_assets.report.answers import Ask
from gr2st_assets.report.subject import Subject, subject

_FOLDER = "templates"


@dataclass(frozen=True)
class Page:
    """A report.

    Attributes
    ----------
    facts
        Numbers of the headline by name.
    verdict
        Sentences of the headline.
    """

    about: Subject
    html: str
    facts: Mapping[str, Any]
    verdict: list[str]


def template_digest() -> str:
    """SHA-256 over the template and the style: they decide the page as code does."""
    folder = resources.files("gr2st_assets.report") / _FOLDER
    parts = sorted((part.name, part.read_text(encoding="utf-8")) for part in folder.iterdir())
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def write_page(ask: Ask, cohort: str, *, state_digest: str, settings: Mapping[int, Mapping[str, Any]]) -> Page:
    """Ask all there is to ask about a cohort and write its page.

    Parameters
    ----------
    ask
        Runs a query on one state of the lake.
    state_digest
        SHA-256 that names that state.
    settings
        Of the contender of every promotion, by its number.

    Raises
    ------
    QueryError
    """
    about = subject(ask, cohort)
    asking = about.asking(ask)
    view = '"predictions_' + about.name.replace('"', '""') + '"'
    facts = verdict.facts(asking).row
    chapters = [
        verdict.chapter(about, asking),
        spread.chapter(about, asking),
        systems.chapter(asking),
        calibration.chapter(about, asking, view),
        maps.chapter(about, asking, view),
        state.chapter(asking, settings.get(about.event or 0, {}), state.versions(), about),
    ]
    html = _render(about=about, chapters=chapters, facts=facts, tiles=verdict.tiles(about, facts), state=state_digest)
    return Page(about, html, facts, verdict.sentences(about, facts))


def _render(**values: Any) -> str:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("gr2st_assets.report", _FOLDER), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True,
    )  # fmt: skip
    return environment.get_template("report.html.j2").render(**values)
