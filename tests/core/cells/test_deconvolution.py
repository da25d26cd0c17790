"""Published proportions reach the right spots and the right classes."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest

from gr2st_core.cells.classes import CLASSES, dominant_class
from gr2st_core.cells.deconvolution import read_deconvolution
from gr2st_core.errors import AlignmentError, Gr2stError, MissingArtifactError, SchemaError

SPOTS = np.array(["1x1", "1x2", "2x1", "2x2"])
HEADER = "\tB-cells\tCAFs\tEndothelial\tEpithelial\tMyeloid\tPlasma Cells\tPVL\tT-cells\n"
# Rows in another order than SPOTS, and 2x1 left out.
TABLE = HEADER + (
    "2x2\t0.1\t0.1\t0.1\t0.1\t0.1\t0.2\t0.1\t0.2\n"
    "1x1\t0.0\t0.1\t0.05\t0.7\t0.05\t0.0\t0.05\t0.05\n"
    "1x2\t0.0\t0.5\t0.1\t0.1\t0.1\t0.0\t0.1\t0.1\n"
)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "S1-proportion.tsv"
    path.write_text(TABLE, encoding="utf-8")
    return path


def test_types_are_summed_to_classes_and_joined_by_spot_id(table: Path) -> None:
    types = read_deconvolution(table, "S1", SPOTS)
    assert (types.classes, types.source, types.method) == (CLASSES, "expression", "deconvolution")
    expected = [[0, 0, 0.7, 0.1, 0.2, 0], [0, 0, 0.1, 0.2, 0.7, 0], [np.nan] * 6, [0, 0, 0.1, 0.6, 0.3, 0]]
    np.testing.assert_allclose(types.proportions, expected)
    np.testing.assert_array_equal(dominant_class(types), [2, 4, 0, 3])


def test_the_order_of_spots_is_that_asked_for(table: Path) -> None:
    order = np.array([3, 0, 2, 1])
    np.testing.assert_array_equal(
        read_deconvolution(table, "S1", SPOTS[order]).proportions,
        read_deconvolution(table, "S1", SPOTS).proportions[order],
    )


def test_a_sections_table_is_found_in_an_archive(table: Path, tmp_path: Path) -> None:
    path = tmp_path / "major.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("major/", "")
        archive.writestr("major/S1-proportion.tsv", TABLE)
    np.testing.assert_array_equal(
        read_deconvolution(path, "S1", SPOTS).proportions, read_deconvolution(table, "S1", SPOTS).proportions
    )
    with pytest.raises(MissingArtifactError) as caught:
        read_deconvolution(path, "S2", SPOTS)
    assert caught.value.context["expected"] == "S2-proportion.tsv"


def test_atlases_that_tell_tumour_from_normal_epithelium_are_understood(table: Path) -> None:
    table.write_text("\tCancer Epithelial\tNormal Epithelial\tPlasmablasts\n1x1\t0.5\t0.3\t0.2\n", encoding="utf-8")
    np.testing.assert_allclose(read_deconvolution(table, "S1", SPOTS[:1]).proportions, [[0, 0, 0.5, 0.2, 0, 0.3]])


def test_spots_that_the_section_lacks_are_listed(table: Path) -> None:
    with pytest.raises(AlignmentError) as caught:
        read_deconvolution(table, "S1", SPOTS[:2])
    assert caught.value.context == {"file": table, "section": "S1", "found": ["2x2"], "n": 1}


@pytest.mark.parametrize(
    ("content", "message", "found"),
    [
        (HEADER + "1x1\t0.5\t0.1\t0\t0\t0\t0\t0\t0\n", "sum to 1", ["1x1"]),
        (HEADER + "1x1\t1.5\t-0.5\t0\t0\t0\t0\t0\t0\n", "at least 0", ["1x1"]),
        (HEADER + "1x1\t1.0\t0\t0\t0\n", "sum to 1", ["1x1"]),
        (HEADER + 2 * "1x1\t1\t0\t0\t0\t0\t0\t0\t0\n", "one row", ["1x1"]),
        (HEADER, "no proportions", None),
    ],
    ids=["sum", "negative", "short row", "doubled", "empty"],
)
def test_rows_that_are_no_proportions_are_listed(
    table: Path, content: str, message: str, found: list[str] | None
) -> None:
    table.write_text(content, encoding="utf-8")
    with pytest.raises(SchemaError, match=message) as caught:
        read_deconvolution(table, "S1", SPOTS)
    assert caught.value.context["section"] == "S1"
    assert caught.value.context.get("found") == found


@pytest.mark.parametrize(
    "content", ["", HEADER + "1x1\tmany\t0\t0\t0\t0\t0\t0\t0\n", HEADER + "1x1" + "\t0.1" * 8 + "\n1x2" + "\t0" * 20]
)
def test_what_is_not_a_table_of_numbers_is_refused(table: Path, content: str) -> None:
    table.write_text(content, encoding="utf-8")
    with pytest.raises(SchemaError, match="not a table of numbers") as caught:
        read_deconvolution(table, "S1", SPOTS)
    assert caught.value.context["file"] == table


def test_an_unknown_cell_type_is_refused_by_name(table: Path) -> None:
    table.write_text("\tEpithelial\tHepatocytes\n1x1\t0.5\t0.5\n", encoding="utf-8")
    with pytest.raises(Gr2stError) as caught:
        read_deconvolution(table, "S1", SPOTS)
    assert caught.value.context["field"] == "Hepatocytes"
