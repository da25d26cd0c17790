"""Archives give what is wanted of them; one hostile member costs the archive, and nothing is written."""

import gzip
import io
import tarfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from gr2st_assets import unpacking
from gr2st_assets.unpacking import unpack
from gr2st_core.cohorts.published import Keep
from gr2st_core.errors import SchemaError
from gr2st_core.settings import Limits

LIMITS = Limits(max_bytes=10_000)
ALL = (Keep(match=r".*"),)

Member = tuple[str, bytes]


def info(name: str, **fields: object) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    for field, value in fields.items():
        setattr(made, field, value)
    return made


def tar_of(members: Sequence[Member | tarfile.TarInfo], mode: str = "w") -> bytes:
    """A tar file of regular members, and of others as their headers say."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=mode) as tar:  # type: ignore[call-overload]
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                tar.addfile(member)
            else:
                tar.addfile(info(member[0], size=len(member[1])), io.BytesIO(member[1]))
    return stream.getvalue()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "a" / "b" / "unpacked"
    made.mkdir(parents=True)
    return made


def unpacked(folder: Path, content: bytes, keep: Sequence[Keep] = ALL) -> list[str]:
    archive = folder.parent / "archive.tar"
    archive.write_bytes(content)
    return unpack(archive, folder, keep, LIMITS)


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_wanted_members_come_under_the_names_that_are_wanted(folder: Path, mode: str) -> None:
    content = tar_of([info("./data", type=tarfile.DIRTYPE), ("./data/GSM1_a.tsv", b"a"), ("data/b.pdf", b"b")], mode)
    assert unpacked(folder, content, [Keep(match=r"data/GSM\d_(\w)\.tsv", to=r"\1/\1.tsv")]) == ["a/a.tsv"]
    assert [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()] == ["a/a.tsv"]
    assert (folder / "a" / "a.tsv").read_bytes() == b"a"


def test_gzipped_members_are_unpacked_where_that_is_wanted(folder: Path) -> None:
    content = tar_of([("x.jpg.gz", gzip.compress(b"image")), ("x.tsv.gz", gzip.compress(b"table"))])
    keep = [Keep(match=r"(.*\.jpg)\.gz", to=r"\1", unpack=True), Keep(match=r".*\.tsv\.gz")]
    assert unpacked(folder, content, keep) == ["x.jpg", "x.tsv.gz"]
    assert (folder / "x.jpg").read_bytes() == b"image"
    assert gzip.decompress((folder / "x.tsv.gz").read_bytes()) == b"table"


@pytest.mark.parametrize(
    "member",
    [
        ("../outside", b"x"),
        ("a/../../outside", b"x"),
        ("/etc/outside", b"x"),
        ("a\\..\\outside", b"x"),
        ("new\nline", b"x"),
        info("link", type=tarfile.SYMTYPE, linkname="good"),
        info("link", type=tarfile.SYMTYPE, linkname="/etc/passwd"),
        info("hard", type=tarfile.LNKTYPE, linkname="good"),
        info("pipe", type=tarfile.FIFOTYPE),
        info("device", type=tarfile.CHRTYPE),
        ("large", bytes(10_001)),
    ],
    ids=lambda member: repr(member[0] if isinstance(member, tuple) else member.name),
)
def test_a_hostile_member_costs_the_archive(folder: Path, member: Member | tarfile.TarInfo) -> None:
    before = sorted(folder.parents[2].rglob("*"))
    with pytest.raises(SchemaError) as caught:
        unpacked(folder, tar_of([("good", b"x"), member]), [Keep(match="good")])
    assert caught.value.context["file"] == "archive.tar"
    assert set(folder.parents[2].rglob("*")) - set(before) == {folder.parent / "archive.tar"}


def test_a_limit_is_named(folder: Path) -> None:
    with pytest.raises(SchemaError) as caught:
        unpacked(folder, tar_of([("large", bytes(10_001))]))
    context = caught.value.context
    assert (context["field"], context["found"], context["expected"]) == ("large", "10001 bytes", "<= 10000")
    assert context["hint"] == "the setting is limits.max_bytes"


def test_a_gzip_bomb_in_an_archive_stops_at_the_limit(folder: Path) -> None:
    content = tar_of([("bomb.jpg.gz", gzip.compress(bytes(1_000_000)))])
    with pytest.raises(SchemaError) as caught:
        unpacked(folder, content, [Keep(match=r"bomb\.jpg\.gz", to="bomb.jpg", unpack=True)])
    assert caught.value.context["found"] == "> 10000 bytes"
    assert sum(path.stat().st_size for path in folder.rglob("*")) <= 10_000


def test_a_member_that_claims_a_terabyte_is_refused_by_its_header(folder: Path) -> None:
    content = gzip.compress(info("bomb", size=2**40).tobuf())
    with pytest.raises(SchemaError) as caught:
        unpacked(folder, content)
    assert caught.value.context["found"] == f"{2**40} bytes"


def test_a_header_of_a_terabyte_is_not_read(folder: Path) -> None:
    content = gzip.compress(info("names", size=2**40, type=tarfile.XHDTYPE).tobuf(tarfile.GNU_FORMAT))
    with pytest.raises(SchemaError) as caught:
        unpacked(folder, content)
    assert f"a header of {2**40} bytes" in str(caught.value.context["found"])


def test_too_many_members_are_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpacking, "MAX_MEMBERS", 2)
    with pytest.raises(SchemaError) as caught:
        unpacked(folder, tar_of([(name, b"") for name in "abc"]))
    assert caught.value.context["found"] == "0 bytes in 3 members"


@pytest.mark.parametrize(
    "content", [b"<html>not here</html>" * 100, b"\x1f\x8bnot gzip", b"", tar_of([("a", b"x" * 999)])[:600]]
)
def test_what_is_no_archive_is_refused(folder: Path, content: bytes) -> None:
    with pytest.raises(SchemaError) as caught:
        unpacked(folder, content)
    assert caught.value.context["file"] == "archive.tar"


def test_an_archive_without_what_the_catalogue_expects_says_what_it_holds(folder: Path) -> None:
    with pytest.raises(SchemaError) as caught:
        unpacked(folder, tar_of([("renamed.tsv", b"x")]), [Keep(match=r"old\.tsv")])
    context = caught.value.context
    assert (context["found"], context["expected"]) == (["renamed.tsv"], r"old\.tsv")


def test_two_members_under_one_name_are_refused(folder: Path) -> None:
    with pytest.raises(SchemaError) as caught:
        unpacked(folder, tar_of([("BC1.tsv", b"x"), ("BT1.tsv", b"y")]), [Keep(match=r"B[CT]1\.tsv", to="BC1.tsv")])
    assert caught.value.context["found"] == ["BC1.tsv", "BT1.tsv"]
