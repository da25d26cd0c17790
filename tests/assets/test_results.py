"""The page of results says what stands in the scoreboard, and leaves out what was not run."""

import duckdb
import pandas as pd
import pyarrow as pa
import pytest

from gr2st_assets.assets.evaluation import gr2st_share
from gr2st_assets.results import page
from gr2st_assets.tables import table_spec

SHARE = "GR2ST's share in the blend, chosen inside training, is"
PLACE = {"cohort": "c", "panel": "p", "target": "per_spot", "seed": 0, "training_patients": "all"}


@pytest.fixture
def page_of(small_lake, rows_of):
    """``page_of(methods, unit=share)``: the page of a lake whose methods have these shares of GR2ST in both units."""

    def write(methods: tuple[str, ...], **shares: float | None) -> str:
        units = ("section", "patient")
        for method in methods:
            board = rows_of(table_spec("evaluation/scoreboard"), 2, **PLACE, method=method, profile="default")
            own = [shares.get(unit) if method == "blend" else None for unit in units]
            small_lake.add(
                "evaluation/scoreboard", board.assign(split_unit=units, gr2st_share=pd.array(own, "Float64"))
            )
        with duckdb.connect(str(small_lake.build()), read_only=True) as connection:
            return page(lambda query: connection.sql(query, params=_used(query)).to_arrow_reader().read_all(), "c", "p")

    return write


def _used(query: str) -> dict[str, str]:
    return {name: value for name, value in {"cohort": "c", "panel": "p"}.items() if f"${name}" in query}


def test_the_share_of_gr2st_is_said_also_where_it_is_nothing(page_of):
    text = page_of(("blend", "ridge"), section=0.3, patient=0.0)
    assert f"{SHARE} 0.30 with a section held out and 0.00 with a patient held out" in text


def test_without_a_blend_nothing_is_said_of_it(page_of):
    assert SHARE not in page_of(("ridge",))


@pytest.mark.parametrize("share", [0.0, 0.25])
def test_the_share_is_that_of_the_predictions_and_only_of_a_blend(share):
    rows = pa.table({"weight": pa.array([share] * 3, pa.float32())})
    assert gr2st_share(rows, "blend_default") == share
    assert gr2st_share(rows, "gr2st_ours") is None  # there the weight is that of retrieval
