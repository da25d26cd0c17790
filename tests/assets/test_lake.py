"""The lake keeps what it is given, finds it again, and notices damage; the same on disk and on other filesystems."""

import json
import uuid
from pathlib import Path

import pyarrow as pa
import pytest
from upath import UPath

from gr2st_assets.documents import FORMAT_VERSION
from gr2st_assets.lake import HEAD, Lake
from gr2st_assets.publish import SIDECAR, crash_point
from gr2st_assets.records import Provenance
from gr2st_core.errors import DataError, MissingArtifactError, SchemaError

TABLE = pa.table({"spot_id": ["1x1", "1x2"], "count": [3, 4]})


def provenance(fingerprint="f", **changes):
    facts = {"inputs": {"raw/spots": "ab"}, "settings_hash": "s", "code_version": "c", "generation": "g"}
    return Provenance(**{"fingerprint": fingerprint, **facts, "run_id": "r", "started": 1.5, **changes})


@pytest.fixture(params=["local", "memory"])
def lake(request, tmp_path):
    """The same lake on a disk and on a filesystem without renames."""
    return Lake(tmp_path / "lake" if request.param == "local" else f"memory://{uuid.uuid4().hex}/lake")


@pytest.fixture
def slot(lake):
    return lake.slot("raw/spots", cohort="her2st", section="B4")


def test_what_is_published_reads_back_with_its_provenance(lake, slot):
    head = lake.write_table(slot, TABLE, provenance(metadata={"rows": 2}))
    assert lake.head(slot) == lake.require_head(slot) == head
    assert head.provenance == provenance(metadata={"rows": 2})
    assert lake.read_table(slot).equals(TABLE)
    assert lake.read_table(slot, ["count"]).column_names == ["count"]


def test_layout_is_slot_digest_file(lake, slot):
    head = lake.write_table(slot, TABLE, provenance())
    assert str(lake.folder(slot)).endswith(f"lake/raw/spots/cohort=her2st/section=B4/{head.digest}")
    assert len(head.digest) == 16
    assert lake.files(slot) == ("data.parquet",)
    sidecar = json.loads((lake.folder(slot) / SIDECAR).read_bytes())
    assert sidecar["format_version"] == FORMAT_VERSION
    assert set(sidecar["files"]["data.parquet"]) == {"bytes", "sha256"}


def test_further_files_belong_to_the_artefact(lake, slot):
    lake.write_table(slot, TABLE, provenance(), write_files=lambda folder: (folder / "model.bin").write_bytes(b"w"))
    assert lake.files(slot) == ("data.parquet", "model.bin")
    with lake.local_copy(slot) as folder:
        assert (folder / "model.bin").read_bytes() == b"w"
        assert isinstance(folder, Path)


def test_equal_content_is_one_artefact_and_other_content_another(lake, slot):
    first = lake.write_table(slot, TABLE, provenance("a"))
    assert lake.write_table(slot, TABLE, provenance("b")).digest == first.digest
    second = lake.write_table(slot, TABLE.slice(1), provenance("c"))
    assert second.digest != first.digest
    assert lake.read_table(slot).num_rows == 1
    assert lake.read_table(slot, digest=first.digest).num_rows == 2  # the old one stays


def test_currency_follows_the_fingerprint_and_the_files(lake, slot):
    assert not lake.is_current(slot, "f")
    lake.write_table(slot, TABLE, provenance("f"))
    assert lake.is_current(slot, "f")
    assert not lake.is_current(slot, "g")
    (lake.folder(slot) / "data.parquet").write_bytes(b"short")
    assert not lake.is_current(slot, "f")
    lake.write_table(slot, TABLE, provenance("f"))
    assert lake.is_current(slot, "f")
    (lake.folder(slot) / "data.parquet").unlink()
    assert not lake.is_current(slot, "f")


def test_listing_shows_slots_with_a_head_only(lake):
    slots = [lake.slot("raw/spots", cohort="c", section=name) for name in ("B", "A")]
    slots.append(lake.slot("raw/spots_extra", cohort="c", section="A"))
    slots.append(lake.slot("folds/fold_table"))
    for slot in slots:
        lake.write_table(slot, TABLE, provenance())
    (lake.root / "raw" / "spots" / "cohort=c" / "section=Z" / "0123456789abcdef").mkdir(parents=True)
    assert lake.slots("raw/spots") == [slots[1], slots[0]]
    assert lake.slots() == sorted(slots)
    assert lake.tables() == ["folds/fold_table", "raw/spots", "raw/spots_extra"]
    assert lake.slots("raw/none") == []


def test_an_empty_lake_lists_nothing_and_has_no_faults(lake):
    assert lake.slots() == lake.tables() == lake.verify(deep=True) == []


def test_unfinished_work_is_never_listed(tmp_path):
    lake = Lake(tmp_path)
    folder = tmp_path / "raw" / "spots" / "cohort=c" / ".tmp-1-aa"
    folder.mkdir(parents=True)
    (folder / SIDECAR).write_bytes(b"half")
    (folder / HEAD).write_bytes(b"half")
    assert lake.slots() == []
    assert lake.verify(deep=True) == []


def test_reading_what_was_never_published_says_what_to_do(lake, slot):
    with pytest.raises(MissingArtifactError) as caught:
        lake.read_table(slot)
    assert caught.value.context == {"slot": slot, "hint": "materialize raw/spots first"}
    assert lake.head(slot) is None


def test_an_artefact_without_a_table_says_so(lake, slot):
    lake.publish(slot, lambda folder: (folder / "model.bin").write_bytes(b"w"), provenance())
    with pytest.raises(MissingArtifactError, match="holds no table"):
        lake.read_table(slot)


def test_a_head_naming_a_missing_artefact_is_found(lake, slot):
    lake.write_table(slot, TABLE, provenance("f"))
    folder = lake.folder(slot)
    folder.fs.rm(folder.path, recursive=True)
    with pytest.raises(MissingArtifactError) as caught:
        lake.read_table(slot)
    assert caught.value.context["file"] == folder
    assert not lake.is_current(slot, "f")
    assert [fault.file for fault in lake.verify(deep=False)] == [str(lake.path(slot, HEAD))]


def test_verify_finds_truncation_without_and_flipped_bits_with_hashing(lake, slot):
    lake.write_table(slot, TABLE, provenance())
    assert lake.verify(deep=True) == []
    path = lake.folder(slot) / "data.parquet"
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    (fault,) = lake.verify(deep=False)
    assert (fault.file, fault.expected, fault.found) == (str(path), len(whole), len(whole) - 1)
    path.write_bytes(whole[:50] + bytes([whole[50] ^ 1]) + whole[51:])
    assert lake.verify(deep=False) == []
    (fault,) = lake.verify(deep=True)
    assert (fault.file, fault.problem) == (str(path), "the content is wrong")
    path.unlink()
    (fault,) = lake.verify(deep=False)
    assert (fault.file, fault.problem) == (str(path), "the file is missing")


def test_verify_also_looks_at_artefacts_that_are_no_longer_the_newest(lake, slot):
    lake.write_table(slot, TABLE, provenance())
    old = lake.folder(slot) / "data.parquet"
    lake.write_table(slot, TABLE.slice(1), provenance())
    old.write_bytes(b"")
    assert [fault.file for fault in lake.verify(deep=False)] == [str(old)]


def test_every_flipped_bit_of_a_sidecar_is_noticed(tmp_path):
    lake = Lake(tmp_path)
    slot = lake.slot("raw/spots", cohort="c", section="A")
    lake.write_table(slot, TABLE, provenance())
    path = lake.folder(slot) / SIDECAR
    whole = path.read_bytes()
    for position in range(len(whole)):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 1]) + whole[position + 1 :])
        assert [fault.file for fault in lake.verify(deep=False)] == [str(path)]


def test_a_damaged_head_is_an_error_naming_it_and_a_fault(lake, slot):
    lake.write_table(slot, TABLE, provenance())
    lake.path(slot, HEAD).write_bytes(b'{"format_version": 1, "dig')
    with pytest.raises(DataError) as caught:
        lake.head(slot)
    assert caught.value.context["file"] == lake.path(slot, HEAD)
    assert [fault.file for fault in lake.verify(deep=False)] == [str(lake.path(slot, HEAD))]


def test_an_artefact_of_a_newer_version_is_refused_naming_both(lake, slot):
    lake.write_table(slot, TABLE, provenance())
    path = lake.path(slot, HEAD)
    document = json.loads(path.read_bytes()) | {"format_version": 99}
    path.write_bytes(json.dumps(document).encode())
    with pytest.raises(SchemaError) as caught:
        lake.is_current(slot, "f")
    assert (caught.value.context["found"], caught.value.context["expected"]) == (99, FORMAT_VERSION)


def test_a_local_copy_of_a_damaged_artefact_is_refused(lake, slot):
    lake.write_table(slot, TABLE, provenance())
    path = lake.folder(slot) / "data.parquet"
    whole = path.read_bytes()
    path.write_bytes(whole[:50] + bytes([whole[50] ^ 1]) + whole[51:])
    with pytest.raises(DataError) as caught, lake.local_copy(slot):
        pass
    assert caught.value.context["file"] == str(path)


def test_an_interrupted_upload_shows_nothing_and_the_next_completes(monkeypatch):
    lake = Lake(f"memory://{uuid.uuid4().hex}")
    slot = lake.slot("raw/spots", cohort="c", section="A")
    lake.write_table(slot, TABLE, provenance("old"))

    def fail(name):
        crash_point(name)
        if name == "artefact.uploading":
            raise ConnectionResetError

    with monkeypatch.context() as patch:
        patch.setattr("gr2st_assets.publish.crash_point", fail)
        with pytest.raises(ConnectionResetError):
            lake.write_table(slot, TABLE.slice(1), provenance("new"))
    assert lake.head(slot).provenance.fingerprint == "old"
    assert lake.read_table(slot).equals(TABLE)
    assert lake.verify(deep=True) == []
    lake.write_table(slot, TABLE.slice(1), provenance("new"))
    assert lake.is_current(slot, "new")
    assert lake.sweep(0) == []


@pytest.mark.parametrize("form", ["{}", "file://{}", "{}/"])
def test_one_folder_is_one_lake_however_it_is_written(tmp_path, form):
    lake = Lake(form.format(tmp_path))
    slot = lake.slot("raw/spots", cohort="c", section="A")
    lake.write_table(slot, TABLE, provenance())
    assert lake == Lake(UPath(tmp_path))
    assert lake.slots() == [slot]
    assert str(lake.folder(slot)).startswith(str(tmp_path))


def test_a_relative_root_stays_where_it_was_opened(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lake = Lake("lake")
    monkeypatch.chdir("/")
    lake.write_table(lake.slot("raw/spots", cohort="c", section="A"), TABLE, provenance())
    assert Lake(tmp_path / "lake").tables() == ["raw/spots"]
