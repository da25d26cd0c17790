"""The page of results says what stands in the scoreboard, and leaves out what was not run."""

import duckdb
import pandas as pd
import pyarrow as pa
import pytest

from gr2st_assets.assets.evaluation import gr2st_share
from gr2st_assets.results import page, study_page
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


@pytest.fixture
def compared(small_lake, rows_of):
    """``compared(scores)``: the page of a lake whose methods score so, half of it with a patient held out."""

    def write(scores: dict[str, float], write_page=page) -> str:
        for name, r in scores.items():
            method, _, profile = name.partition("_")
            board = rows_of(table_spec("evaluation/scoreboard"), 2, **PLACE, method=method, profile=profile)
            small_lake.add(
                "evaluation/scoreboard",
                board.assign(split_unit=("section", "patient"), pearson=(r, r / 2), n_sections=5),
            )
        own = {"dataset": "c", "section": None, "statistic": "mean", "evidence": "printed", "note": None}
        known = rows_of(table_spec("evaluation/published_scores"), 3, **own, split_unit="section")
        known = known.assign(
            entry=(1, 2, 3), method=("histogene", "histogene", "stnet"), value=(0.08, 0.15, 0.3),
            publication=("one", "two", "three"), target=("per_spot", None, None), genes=("785", None, None),
            has_selection_leak=pd.array([None, True, None], "boolean"),
        )  # fmt: skip
        small_lake.add("evaluation/published_scores", known)
        with duckdb.connect(str(small_lake.build()), read_only=True) as connection:
            return write_page(
                lambda query: connection.sql(query, params=_used(query)).to_arrow_reader().read_all(), "c", "p"
            )

    return write


SMALL = {
    "histogene_published_small": 0.1,
    "histogene_features_small": 0.25,
    "ridge_m224": 0.2,
    "null_same_place": 0.15,
}


def test_three_sentences_say_what_the_published_systems_reach(compared):
    text = compared(SMALL)
    assert (
        "Of 1 published systems that read pixels, made small for two cores, which says nothing of their published "
        "size, the best reaches 0.100 with a section held out (histogene) and 0.050 with a patient held out (histogene)"
        "; 0 and 0 of them are above ridge on frozen features."
    ) in text
    assert "systems change by +0.150 (section) and +0.075 (patient) on average" in text
    assert "and 1 and 1 are above ridge on the same features." in text
    assert "scores below 0 of 1 small systems on pixels and 1 of 1 on features." in text
    assert "in their published size" not in text


def test_a_size_that_was_not_run_is_not_spoken_of(compared):
    text = compared({"histogene_published": 0.3, "histogene_features": 0.2, "ridge_m224": 0.2, "null_same_place": 0.1})
    assert "Of 1 published systems that read pixels, in their published size, the best reaches 0.300" in text
    assert "for two cores" not in text


def test_ours_stand_beside_the_published_figures_with_their_flags_and_sizes_apart(compared):
    text = compared({**SMALL, "histogene_published": 0.3})
    part = text.partition("beside their published figures")[2].partition("\n## ")[0]
    rows = [
        [cell.strip() for cell in line.strip("| ").split("|")] for line in part.splitlines() if line.startswith("|")
    ]
    columns, own = rows[0], [dict(zip(rows[0], row, strict=True)) for row in rows[2:]]
    assert columns[:5] == ["system", "source", "ours_small", "ours_full", "published"]
    values = [tuple(row[name] for name in columns[2:5]) for row in own if row["held_out"] == "section"]
    assert sorted(values) == sorted(
        [("0.25", "NULL", "NULL"), ("0.1", "NULL", "NULL"), ("NULL", "0.3", "NULL"),
         ("NULL", "NULL", "0.08"), ("NULL", "NULL", "0.15")]
    )  # fmt: skip
    flags = {row["source"]: (row["target"], row["genes"], row["chosen_on_test"]) for row in own}
    assert flags["one"] == ("per_spot", "785", "not known")
    assert flags["two"] == ("not known", "not known", "yes")
    assert "stnet" not in part


def test_cost_leaves_out_trainings_that_found_their_steps_done(small_lake, rows_of, compared):
    own = {"panel": "p", "method": "histogene", "profile": "published_small", "setting": "small", "device": "cpu"}
    costs = rows_of(table_spec("catalog/model_costs"), 3, **own, n_parameters=7, peak_gpu_memory_mb=None)
    costs = costs.assign(
        fold_id=["c/patient-A", "c/patient-B", "c/section-A1"], fit_seconds=[10.0, 20.0, 0.1],
        peak_memory_mb=[700.0, 900.0, 950.0], is_resumed=[False, False, True],
    )  # fmt: skip
    small_lake.add("catalog/model_costs", costs)
    part = compared(SMALL).partition("Size and cost")[2].partition("\n## ")[0]
    (row,) = [line for line in part.splitlines() if "histogene" in line]
    assert [cell.strip() for cell in row.strip("| ").split("|")] == [
        "histogene_published_small", "small", "7", "15", "900", "NULL", "cpu", "2",
    ]  # fmt: skip


def test_studies_have_a_page_of_their_own(small_lake, rows_of, compared):
    own = {"cohort": "c", "panel": "p", "target": "per_spot", "seed": 0, "split_unit": "section", "study": "ablation"}
    small_lake.add("evaluation/studies", rows_of(table_spec("evaluation/studies"), 2, **own))
    title = "GR2ST ours with a part left out"
    assert title in compared(SMALL, study_page)
    assert title not in compared({})
