"""The depth oracle reaches its published values on the real counts, whatever a model does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from gr2st_core.cohorts.her2st import Her2stReader
from gr2st_core.evaluation.metrics import mean_of_defined, pearson_per_gene
from gr2st_core.evaluation.oracle import depth_oracle
from gr2st_core.expression.targets import to_target
from gr2st_core.keys import TARGETS, Target
from gr2st_core.types import Counts, Panel

pytestmark = pytest.mark.real

ALL = [f"{patient}{n}" for patient in "ABCD" for n in range(1, 7)] + [
    f"{patient}{n}" for patient in "EFGH" for n in (1, 2, 3)
]
NOT_AT_HAND = "C6"
PUBLISHED = [name for name in ALL[1:33] if name != NOT_AT_HAND]
"""The slice of the sorted listing that the published tables score."""


KNOWN = {
    "A2": (0.185, 0.134), "A3": (0.205, 0.144), "A4": (0.198, 0.136), "A5": (0.170, 0.124), "A6": (0.290, 0.195),
    "B1": (0.441, 0.307), "B2": (0.506, 0.349), "B3": (0.447, 0.307), "B4": (0.502, 0.341), "B5": (0.421, 0.277),
    "B6": (0.453, 0.312), "C1": (0.312, 0.225), "C2": (0.349, 0.241), "C3": (0.349, 0.225), "C4": (0.378, 0.223),
    "C5": (0.314, 0.223), "D1": (0.334, 0.172), "D2": (0.284, 0.179), "D3": (0.318, 0.187), "D4": (0.377, 0.231),
    "D5": (0.300, 0.183), "D6": (0.333, 0.187), "E1": (0.179, 0.103), "E2": (0.170, 0.089), "E3": (0.185, 0.098),
    "F1": (0.173, 0.098), "F2": (0.201, 0.114), "F3": (0.185, 0.103), "G1": (0.214, 0.148), "G2": (0.237, 0.162),
    "G3": (0.233, 0.166),
}  # fmt: skip
"""What the oracle scored on ``per_gene_legacy`` and ``per_spot`` in an earlier computation of another author."""


@pytest.fixture(scope="module")
def oracle(shared: Path) -> pd.DataFrame:
    """Mean correlation of the depth oracle, sections by targets; and the undefined genes of each section."""
    panel = Panel("her2st_785", tuple((shared / "panels/her2st_785.txt").read_text(encoding="utf-8").split()))
    reader = Her2stReader()
    entries, _ = reader.entries("her2st", shared / "her2st")
    found = {entry.key.section_id: entry for entry in entries}
    return pd.DataFrame({name: score_oracle(reader.read(found[name]).counts, panel) for name in PUBLISHED}).T


def score_oracle(counts: Counts | None, panel: Panel) -> dict[str, float]:
    assert counts is not None
    predicted = depth_oracle(counts.of(panel))
    by_target = {target: pearson_per_gene(to_target(counts, panel, target), predicted) for target in TARGETS}
    pearson = {target: mean_of_defined(values) for target, values in by_target.items()}
    return {**pearson, "n_undefined": int(np.isnan(by_target["per_spot"]).sum())}


def test_the_published_slice_has_31_sections_at_hand(oracle: pd.DataFrame) -> None:
    assert len(oracle) == 31
    assert (PUBLISHED[0], PUBLISHED[-1]) == ("A2", "G3")


@pytest.mark.parametrize("section", KNOWN)
def test_a_section_has_its_known_oracle(oracle: pd.DataFrame, section: str) -> None:
    found = oracle.loc[section, ["per_gene_legacy", "per_spot"]].tolist()
    assert found == pytest.approx(KNOWN[section], abs=0.002)


def test_the_oracle_of_cp10k_is_known(oracle: pd.DataFrame) -> None:
    assert oracle.loc["B4", "cp10k"] == pytest.approx(0.225, abs=0.002)


@pytest.mark.parametrize(
    ("target", "of_32", "of_c6"), [("per_gene_legacy", 0.2988, 0.316), ("per_spot", 0.1941, 0.229)]
)
def test_the_mean_over_sections_is_known(oracle: pd.DataFrame, target: Target, of_32: float, of_c6: float) -> None:
    of_31 = (32 * of_32 - of_c6) / 31
    assert oracle[target].mean() == pytest.approx(of_31, abs=0.0005)


def test_one_gene_is_undefined_in_five_sections(oracle: pd.DataFrame) -> None:
    undefined = oracle["n_undefined"]
    assert undefined[undefined > 0].to_dict() == {"A4": 1, "A5": 1, "A6": 1, "B3": 1, "B5": 1}
