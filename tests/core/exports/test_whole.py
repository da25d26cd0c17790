"""An export is there in full or not at all, and takes nobody's folder away."""

from pathlib import Path

import pytest

from gr2st_core.errors import SchemaError
from gr2st_core.exports.whole import written_whole


def _fail_halfway(path: Path) -> None:
    with written_whole(path) as staged:
        staged.write_text("half")
        raise OSError("disk full")


def test_a_writer_that_fails_leaves_the_earlier_export_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "A1.geojson"
    path.write_text("earlier")
    with pytest.raises(OSError, match="disk full"):
        _fail_halfway(path)
    assert path.read_text() == "earlier"
    assert list(tmp_path.iterdir()) == [path]


def test_nothing_is_seen_before_the_end(tmp_path: Path) -> None:
    path = tmp_path / "new" / "A1.geojson"
    with written_whole(path) as staged:
        staged.write_text("whole")
        assert not path.exists()
    assert path.read_text() == "whole"
    assert list(path.parent.iterdir()) == [path]


def test_a_store_takes_the_place_of_an_earlier_one(tmp_path: Path) -> None:
    path = tmp_path / "A1.zarr"
    for part in ("old", "new"):
        with written_whole(path) as staged:
            (staged / part).mkdir(parents=True)
            (staged / "zarr.json").write_text("{}")
    assert sorted(item.name for item in path.iterdir()) == ["new", "zarr.json"]
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_is_no_store_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "slides"
    path.mkdir()
    (path / "A1.svs").write_text("a slide")
    with pytest.raises(SchemaError) as caught, written_whole(path):
        pass
    assert caught.value.context["file"] == path
    assert (path / "A1.svs").read_text() == "a slide"
