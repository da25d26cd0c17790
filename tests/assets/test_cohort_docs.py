"""The page on cohorts names every layout that is read and every cohort that can be fetched, and says nothing else."""

import re
from pathlib import Path

import pytest

from gr2st_assets.alerts import WEBHOOK
from gr2st_assets.inbox import CHECKSUMS, MARKER
from gr2st_assets.retraining import PLAN, RetrainPlan
from gr2st_assets.tables import table_spec
from gr2st_core.cohorts.cohort_file import CohortFile
from gr2st_core.cohorts.published import published_cohorts
from gr2st_core.cohorts.registry import READERS
from gr2st_core.settings import Limits

PAGE = (Path(__file__).parents[2] / "docs" / "cohorts.md").read_text(encoding="utf-8")


def section(heading: str) -> str:
    """Text of the section of the page under a heading, up to the next of its rank or above."""
    rank = heading.partition(" ")[0]
    match = re.search(rf"^{re.escape(heading)}$\n(.*?)(?=^#{{2,{len(rank)}}} |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert match is not None, heading
    return match[1]


@pytest.mark.parametrize("layout", [reader.layout for reader in READERS])
def test_every_layout_has_a_section_with_a_tree_patients_and_scale(layout: str) -> None:
    text = section(f"### {layout}")
    assert "```\n" in text
    assert "Patient" in text or "patients" in text
    assert "Scale" in text


@pytest.mark.parametrize(("name", "cohort"), published_cohorts().items())
def test_every_published_cohort_has_its_layout_citation_and_a_way_by_hand(name: str, cohort: object) -> None:
    text = section(f"### fetch {name}")
    assert f"`{cohort.layout}`" in text  # type: ignore[attr-defined]
    assert cohort.cite.split(",")[0] in text  # type: ignore[attr-defined]
    assert f"gr2st cohort add {name}" in text


def test_layouts_of_published_cohorts_are_layouts_that_are_read() -> None:
    layouts = {reader.layout for reader in READERS}
    assert {cohort.layout for cohort in published_cohorts().values()} <= layouts


def test_the_plan_of_retraining_is_the_one_that_holds() -> None:
    import yaml

    text = section("## The inbox")
    (stated,) = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    assert RetrainPlan(**yaml.safe_load(stated)) == RetrainPlan()
    assert str(PLAN) in text
    assert {MARKER, CHECKSUMS, WEBHOOK, "GR2ST_INBOX"} <= set(re.findall(r"\w+", text))


def test_settings_keys_and_columns_exist() -> None:
    limits = set(re.findall(r"limits\.(\w+)", PAGE))
    assert limits == set(Limits.model_fields)
    (stated,) = re.findall(r"```yaml\n(.*?)```", section("## What all layouts share"), re.DOTALL)
    assert set(re.findall(r"^(\w+):", stated, re.MULTILINE)) == set(CohortFile.model_fields)
    (query,) = re.findall(r'gr2st sql "select (.*?) from quarantine"', PAGE)
    assert set(query.split(", ")) <= set(table_spec("raw/quarantine").column_names)


def test_links_within_the_page_lead_somewhere() -> None:
    anchors = {heading.lower().replace(" ", "-") for heading in re.findall(r"^#+ (.*)$", PAGE, re.MULTILINE)}
    links = re.findall(r"\]\(#([^)]*)\)", PAGE)
    assert links
    assert set(links) <= anchors
