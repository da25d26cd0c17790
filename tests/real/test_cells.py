"""Cell types of the real sections: the published deconvolution, and markers beside it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gr2st_core.cells.classes import CLASSES, dominant_class
from gr2st_core.cells.deconvolution import read_deconvolution
from gr2st_core.cells.markers import score_marker_genes
from gr2st_core.cohorts.her2st import Her2stReader
from gr2st_core.cohorts.records import RawSection
from gr2st_core.types import CellTypes

pytestmark = pytest.mark.real

NAMES = ("A1", "B4", "C2", "C4", "D1", "D5", "F1", "G2", "H1")
KNOWN_CLASSES = ("neopla", "inflam", "connec")


@pytest.fixture(scope="module")
def sections(shared: Path) -> dict[str, RawSection]:
    """Some section of most patients."""
    reader = Her2stReader()
    entries, _ = reader.entries("her2st", shared / "her2st")
    return {e.key.section_id: reader.read(e) for e in entries if e.key.section_id in NAMES}


@pytest.fixture(scope="module")
def published(shared: Path, sections: dict[str, RawSection]) -> dict[str, CellTypes]:
    """Their deconvolution."""
    archive = shared / "her2st/res/ST-deconv/props/major.zip"
    return {name: read_deconvolution(archive, name, section.spot_ids) for name, section in sections.items()}


def test_the_published_deconvolution_joins_every_spot(published: dict[str, CellTypes]) -> None:
    assert set(published) == set(NAMES)
    for types in published.values():
        assert types.source == "expression"
        assert not np.isnan(types.proportions).any()
        assert set(np.unique(dominant_class(types))) <= {CLASSES.index(name) for name in KNOWN_CLASSES}


def test_marker_genes_agree_with_the_deconvolution_far_better_than_chance(
    sections: dict[str, RawSection], published: dict[str, CellTypes]
) -> None:
    correlations, agreements, chance = [], [], []
    for name, section in sections.items():
        assert section.counts is not None
        scored, known = score_marker_genes(section.counts), published[name]
        both = ~(np.isnan(scored.proportions) | np.isnan(known.proportions)).any(axis=1)
        columns = [CLASSES.index(one) for one in KNOWN_CLASSES]
        pairs = [(scored.proportions[both, column], known.proportions[both, column]) for column in columns]
        correlations.append([np.corrcoef(*pair)[0, 1] for pair in pairs])
        ours, theirs = dominant_class(scored)[both], dominant_class(known)[both]
        agreements.append((ours == theirs).mean())
        chance.append(np.dot(np.bincount(ours, minlength=6), np.bincount(theirs, minlength=6)) / both.sum() ** 2)
    assert (np.mean(correlations, axis=0) > (0.7, 0.6, 0.5)).all()
    assert np.mean(agreements) > np.mean(chance) + 0.15
