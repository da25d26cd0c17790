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
from gr2st_core.types import TARGETS, Counts, Panel, Target

pytestmark = pytest.mark.real

ALL = [f"{patient}{n}" for patient in "ABCD" for n in range(1, 7)] + [
    f"{patient}{n}" for patient in "EFGH" for n in (1, 2, 3)
]
NOT_AT_HAND = "C6"
PUBLISHED = [name for name in ALL[1:33] if name != NOT_AT_HAND]
"""The slice of the sorted listing that the published tables score."""


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


@pytest.mark.parametrize(
    ("section", "target", "expected"),
    [
        ("B4", "per_gene_legacy", 0.502),
        ("B4", "per_spot", 0.341),
        ("B4", "cp10k", 0.225),
        ("C3", "per_gene_legacy", 0.349),
        ("C3", "per_spot", 0.225),
    ],
)
def test_a_section_has_its_known_oracle(oracle: pd.DataFrame, section: str, target: Target, expected: float) -> None:
    assert oracle.loc[section, target] == pytest.approx(expected, abs=0.002)


@pytest.mark.parametrize(("target", "expected"), [("per_gene_legacy", 0.298), ("per_spot", 0.193)])
def test_the_mean_over_sections_is_known(oracle: pd.DataFrame, target: Target, expected: float) -> None:
    assert oracle[target].mean() == pytest.approx(expected, abs=0.002)


def test_one_gene_is_undefined_in_five_sections(oracle: pd.DataFrame) -> None:
    undefined = oracle["n_undefined"]
    assert undefined[undefined > 0].to_dict() == {"A4": 1, "A5": 1, "A6": 1, "B3": 1, "B5": 1}
