"""Tables are read in place, within bounds, and faults of archives are named."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from gr2st_core.cells import tables
from gr2st_core.cells.tables import read_table_text
from gr2st_core.errors import MissingArtifactError, SchemaError


def archive_of(folder: Path, members: dict[str, bytes]) -> Path:
    path = folder / "tables.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def test_a_plain_table_and_a_member_of_any_folder_read_the_same(tmp_path: Path) -> None:
    (tmp_path / "plain.tsv").write_bytes(b"a\tb\n")
    archive = archive_of(tmp_path, {"major/B4.tsv": b"a\tb\n", "major/C2.tsv": b"other"})
    assert read_table_text(tmp_path / "plain.tsv", member="B4.tsv") == "a\tb\n"
    assert read_table_text(archive, member="B4.tsv") == "a\tb\n"


def test_a_members_path_is_never_used_to_write(tmp_path: Path) -> None:
    archive = archive_of(tmp_path, {"../../B4.tsv": b"a"})
    assert read_table_text(archive, member="B4.tsv") == "a"
    assert [file.name for file in tmp_path.iterdir()] == ["tables.zip"]


def test_a_missing_file_or_member_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingArtifactError) as caught:
        read_table_text(tmp_path / "none.tsv", member="B4.tsv")
    assert caught.value.context == {"file": tmp_path / "none.tsv"}
    with pytest.raises(MissingArtifactError) as caught:
        read_table_text(archive_of(tmp_path, {"C2.tsv": b"a"}), member="B4.tsv")
    assert caught.value.context["expected"] == "B4.tsv"


def test_what_grows_beyond_the_cap_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "MAX_BYTES", 1000)
    bomb = archive_of(tmp_path, {"B4.tsv": bytes(1_000_000)})
    (tmp_path / "long.tsv").write_bytes(bytes(1001))
    for path in (bomb, tmp_path / "long.tsv"):
        with pytest.raises(SchemaError, match="too large"):
            read_table_text(path, member="B4.tsv")


def test_two_members_of_one_name_are_refused(tmp_path: Path) -> None:
    archive = archive_of(tmp_path, {"major/B4.tsv": b"a", "minor/B4.tsv": b"b"})
    with pytest.raises(SchemaError) as caught:
        read_table_text(archive, member="B4.tsv")
    assert caught.value.context["found"] == ["major/B4.tsv", "minor/B4.tsv"]


def test_a_truncated_and_a_corrupted_archive_are_refused(tmp_path: Path) -> None:
    archive = archive_of(tmp_path, {"B4.tsv": b"spot\tEpithelial\n" * 50})
    whole = archive.read_bytes()
    for damaged in (whole[:-30], whole[:45] + bytes(10) + whole[55:]):
        archive.write_bytes(damaged)
        with pytest.raises(SchemaError, match="damaged zip archive"):
            read_table_text(archive, member="B4.tsv")


def test_an_encrypted_member_is_refused(tmp_path: Path) -> None:
    archive = archive_of(tmp_path, {"B4.tsv": b"a"})
    content = bytearray(archive.read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1
    archive.write_bytes(content)
    with pytest.raises(SchemaError, match="not encrypted"):
        read_table_text(archive, member="B4.tsv")


def test_text_in_another_encoding_is_refused(tmp_path: Path) -> None:
    (tmp_path / "latin.tsv").write_bytes(b"caf\xe9")
    with pytest.raises(SchemaError, match="UTF-8"):
        read_table_text(tmp_path / "latin.tsv", member="latin.tsv")
