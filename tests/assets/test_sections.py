"""A row that a section's tables lack stops whatever would read it; nothing is filled in."""

import dataclasses

import pandas as pd
import pytest

from gr2st_assets.lake import Lake
from gr2st_assets.records import Provenance
from gr2st_assets.sections import image_section, train_section
from gr2st_assets.slots import section_slot
from gr2st_assets.tables import conform, table_spec
from gr2st_core.cells.classes import CLASSES
from gr2st_core.errors import AlignmentError, MissingArtifactError
from gr2st_core.keys import SectionKey

A1 = SectionKey("c", "A1")
WHERE = {"cohort": "c", "section_id": "A1"}
SPOTS = ["1x1", "1x2", "2x1"]
ENCODER = "color_texture"


@pytest.fixture
def lake(tmp_path, rows_of):
    """A section of three spots with features of one encoder, counts and cell types."""
    lake = Lake(tmp_path / "lake")

    def rows(table, n, **values):
        return rows_of(table_spec(table), n, **WHERE, **values)

    put(lake, "raw/slides", rows("raw/slides", 1))
    put(lake, "raw/spots", rows("raw/spots", 3, spot_id=SPOTS))
    put(lake, "raw/counts", rows("raw/counts", 3, spot_id=SPOTS, gene="G", count=1), genes='["G"]')
    put(lake, f"image/embeddings_{ENCODER}", features(rows_of))
    put(lake, "cells/cell_types", cell_types())
    return lake


def put(lake, table, frame, **facts):
    provenance = Provenance("f", {}, "", "", "", "run", 0.0, {})
    lake.write_table(section_slot(lake, table, A1), conform(table_spec(table), frame, metadata=facts), provenance)


def features(rows_of):
    return rows_of(table_spec(f"image/embeddings_{ENCODER}"), 3, **WHERE, spot_id=SPOTS)


def cell_types():
    rows = [(spot, name, 1 / len(CLASSES)) for spot in SPOTS for name in CLASSES]
    frame = pd.DataFrame(rows, columns=["spot_id", "cell_class", "proportion"])
    return frame.assign(**WHERE, source="expression", method="deconvolution")


def test_a_complete_section_is_put_together_by_id(lake):
    section = train_section(lake, A1, (ENCODER,))
    assert section.image.spot_ids.tolist() == SPOTS
    assert section.image.features[ENCODER].shape == (3, 2)
    assert dataclasses.asdict(section.cell_types)["proportions"].shape == (3, len(CLASSES))


def test_a_spot_without_features_is_named_and_never_read_as_zero(lake, rows_of):
    put(lake, f"image/embeddings_{ENCODER}", features(rows_of).query("spot_id != '1x2'"))
    for read in (image_section, train_section):
        with pytest.raises(AlignmentError) as caught:
            read(lake, A1, (ENCODER,))
        assert caught.value.context["found"] == ["1x2"]
        assert caught.value.context["table"] == f"image/embeddings_{ENCODER}"


def test_a_spot_without_cell_types_is_named_and_never_read_as_unknown(lake):
    put(lake, "cells/cell_types", cell_types().query("spot_id != '2x1'"))
    with pytest.raises(AlignmentError) as caught:
        train_section(lake, A1, (ENCODER,))
    assert caught.value.context["found"] == ["2x1"]


def test_an_encoder_that_was_never_run_is_an_error(lake):
    with pytest.raises(MissingArtifactError):
        image_section(lake, A1, ("efficientnet_lite0",))
