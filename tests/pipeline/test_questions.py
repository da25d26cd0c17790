"""Every question of the page is answered by the command as shipped, on a lake that was materialized."""

import re
from pathlib import Path

import pytest

from gr2st_assets.sandbox import ask
from gr2st_assets.sql import Limits

PAGE = (Path(__file__).parents[2] / "docs" / "questions.md").read_text(encoding="utf-8")
MAY_BE_EMPTY = "(This answer may be empty.)"
LIMITS = Limits(seconds=60, memory_mb=2048, threads=1)  # of a machine that does something else, too


def questions() -> list[tuple[str, bool]]:
    """Every block of SQL, and whether the text up to the next one allows it to have no answer."""
    blocks = re.findall(r"```sql\n(.*?)```(.*?)(?=```sql|\Z)", PAGE, re.DOTALL)
    return [(query, MAY_BE_EMPTY in text) for query, text in blocks]


def test_there_are_questions_enough_and_each_says_how_to_read_its_answer():
    headings = re.findall(r"^## (\d+)\. .*\?$", PAGE, re.MULTILINE)
    assert headings == [str(number) for number in range(1, len(headings) + 1)]
    assert len(headings) >= 10
    assert len(questions()) >= len(headings)
    assert all(
        len(text.split()) > 15 for text in re.findall(r"```sql\n.*?```(.*?)(?=```sql|\n## |\Z)", PAGE, re.DOTALL)
    )


@pytest.mark.slow
def test_every_question_is_answered(materialized):
    catalog = materialized.home / "lake" / "catalog.duckdb"
    (gene,) = ask(catalog, "select min(gene) as gene from gene_scores where pearson > 0").table.to_pylist()
    values = {**gene, "model": "gr2st_ours", "new": "gr2st_ours", "old": "ridge_m224"}
    for query, may_be_empty in questions():
        params = {name: values[name] for name in set(re.findall(r"\$(\w+)", query))}
        answer = ask(catalog, query, params=params, limits=LIMITS).table
        assert len(answer) or may_be_empty, query
