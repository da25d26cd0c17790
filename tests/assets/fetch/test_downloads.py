"""A download is whole and what its checksum says, or not there; an interrupted one goes on."""

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gr2st_assets import downloads
from gr2st_assets.addresses import require_allowed
from gr2st_assets.checksums import digest_of
from gr2st_assets.downloads import download
from gr2st_core.errors import DataError, MissingArtifactError, SchemaError

CONTENT = bytes(range(256)) * 64
CHECKSUM = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"

Get = Callable[..., list[str]]


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "file.bin"


@pytest.fixture
def get(site: Any, target: Path) -> Get:
    """Fetch the site's one file, with two further tries, and give the lines that were told."""

    def run(checksum: str = CHECKSUM, path: str = "/file.bin") -> list[str]:
        said: list[str] = []
        download(site.address + path, target, checksum, said.append, pauses_s=(0, 0))
        return said

    site.put("/file.bin", CONTENT)
    return run


def left(target: Path) -> list[str]:
    return sorted(path.name for path in target.parent.iterdir())


@pytest.mark.parametrize(
    "checksum", [CHECKSUM, "unknown", f"md5:{hashlib.md5(CONTENT, usedforsecurity=False).hexdigest()}"]
)
def test_a_file_comes_whole_and_leaves_nothing_beside_it(get: Get, target: Path, checksum: str) -> None:
    assert get(checksum) == []
    assert target.read_bytes() == CONTENT
    assert left(target) == ["file.bin"]


def test_git_names_a_blob_as_git_does(tmp_path: Path) -> None:
    (tmp_path / "hello").write_bytes(b"hello\n")
    assert digest_of(tmp_path / "hello", "git") == "ce013625030ba8dba906f756967f9e9ca394464a"


@pytest.mark.parametrize("checksum", [CHECKSUM, "unknown"])
def test_a_dropped_connection_goes_on_where_it_broke(site: Any, get: Get, target: Path, checksum: str) -> None:
    site.drop_after["/file.bin"] = [1000, 500]
    said = get(checksum)
    assert site.ranges == [None, "bytes=1000-", "bytes=1500-"]
    assert target.read_bytes() == CONTENT
    assert [line.split(";")[0] for line in said] == [
        "file.bin: 1000 of 16384 bytes came",
        "file.bin: 1500 of 16384 bytes came",
    ]


def test_without_ranges_a_dropped_connection_starts_over(site: Any, get: Get, target: Path) -> None:
    site.has_ranges = False
    site.drop_after["/file.bin"] = [1000]
    get()
    assert target.read_bytes() == CONTENT


def test_tries_end_and_the_next_command_goes_on(site: Any, get: Get, target: Path) -> None:
    site.drop_after["/file.bin"] = [100, 100, 100]
    with pytest.raises(MissingArtifactError) as caught:
        get()
    assert caught.value.context["file"] == f"{site.address}/file.bin"
    assert caught.value.context["found"] == "300 of 16384 bytes came, 3 times"
    assert left(target) == ["file.bin.part", "file.bin.tag"]
    get()
    assert site.ranges[-1] == "bytes=300-"
    assert target.read_bytes() == CONTENT


def test_a_part_of_a_file_that_has_changed_since_is_not_gone_on_with(site: Any, get: Get, target: Path) -> None:
    site.drop_after["/file.bin"] = [100, 100, 100]
    with pytest.raises(MissingArtifactError):
        get("unknown")
    site.put("/file.bin", CONTENT[::-1])
    get("unknown")
    assert target.read_bytes() == CONTENT[::-1]


@pytest.mark.parametrize("size", [len(CONTENT), len(CONTENT) + 1])
def test_a_part_that_was_complete_or_too_long_ends_well(get: Get, target: Path, size: int) -> None:
    Path(f"{target}.part").write_bytes((CONTENT + b"x")[:size])
    get()
    assert target.read_bytes() == CONTENT


def test_a_wrong_checksum_names_both_and_leaves_nothing(site: Any, get: Get, target: Path) -> None:
    with pytest.raises(SchemaError) as caught:
        get("sha256:" + "0" * 64)
    context = caught.value.context
    assert (context["file"], context["field"]) == (f"{site.address}/file.bin", "sha256")
    assert (context["found"], context["expected"]) == (CHECKSUM.removeprefix("sha256:"), "0" * 64)
    assert left(target) == []


def test_a_busy_server_is_asked_again_and_one_that_has_no_file_is_not(site: Any, get: Get, target: Path) -> None:
    site.statuses["/file.bin"] = [503, 429]
    get()
    assert target.read_bytes() == CONTENT
    with pytest.raises(MissingArtifactError) as caught:
        get(path="/other")
    assert caught.value.context["found"] == "404 Not Found"
    assert [path for path, _ in site.asked].count("/other") == 1


def test_a_file_of_unsaid_length_needs_a_checksum(site: Any, get: Get, target: Path) -> None:
    site.says_length = False
    with pytest.raises(SchemaError) as caught:
        get("unknown")
    assert caught.value.context["field"] == "Content-Length"
    get()
    assert target.read_bytes() == CONTENT


def test_a_full_disk_is_told_before_anything_is_written(
    get: Get, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=2**28 + len(CONTENT) - 1))
    with pytest.raises(DataError) as caught:
        get()
    assert caught.value.context["file"] == target.parent
    assert caught.value.context["expected"] == str(2**28 + len(CONTENT))
    assert left(target) == []


def test_a_file_without_end_is_cut_off(get: Get, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloads, "_MAX_BYTES", 1000)
    with pytest.raises(SchemaError, match="too large"):
        get()
    assert not target.exists()


@pytest.mark.parametrize(
    ("url", "is_allowed"),
    [
        ("https://zenodo.org/x", True),
        ("http://127.0.0.1:8000/x", True),
        ("http://[::1]/x", True),
        ("http://zenodo.org/x", False),
        ("http://127.0.0.1.example.org/x", False),
        ("http://localhost@example.org/x", False),
        ("file:///etc/passwd", False),
        ("ftp://ftp.ncbi.nlm.nih.gov/x", False),
        ("https:///x", False),
        ("http://[::1/x", False),
    ],
)
def test_only_https_and_this_machine_are_asked(url: str, is_allowed: bool) -> None:
    if is_allowed:
        require_allowed(url)
        return
    with pytest.raises(SchemaError) as caught:
        require_allowed(url)
    assert (caught.value.context["found"], caught.value.context["expected"]) == (url, "https")


@pytest.mark.parametrize("location", ["http://192.0.2.1/file.bin", "ftp://192.0.2.1/file.bin"])
def test_a_redirect_elsewhere_is_refused_unless_it_is_https(site: Any, get: Get, target: Path, location: str) -> None:
    site.redirects["/moved"] = location
    with pytest.raises(SchemaError) as caught:
        get(path="/moved")
    assert (caught.value.context["field"], caught.value.context["found"]) == ("url", location)
    assert left(target) == []


def test_a_redirect_within_this_machine_is_followed_and_elsewhere_none_leads_here(
    site: Any, get: Get, target: Path
) -> None:
    site.redirects["/moved"] = f"{site.address}/file.bin"
    get(path="/moved")
    assert target.read_bytes() == CONTENT
    require_allowed("https://s3.amazonaws.com/x", asked_by="https://data.mendeley.com/x")
    with pytest.raises(SchemaError, match="not allowed"):
        require_allowed("http://127.0.0.1/x", asked_by="https://data.mendeley.com/x")
