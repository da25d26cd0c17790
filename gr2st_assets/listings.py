"""What publishers list: names, addresses and checksums of files.

Belongs here: the listings of GitHub and of Mendeley Data, and files that a catalogue lists itself. Does not belong
here: fetching (``downloads``), archives (``unpacking``).
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from gr2st_assets.addresses import require_allowed
from gr2st_assets.wanted import relative_path, wanted
from gr2st_core.cohorts.published import GithubTree, KnownFiles, MendeleyFiles
from gr2st_core.errors import SchemaError

_MAX_BYTES = 1 << 26


@dataclass(frozen=True)
class Wanted:
    """A file that is wanted: where it is, its path below the cohort folder, its checksum as in a catalogue."""

    url: str
    path: str
    checksum: str


def files_of(source: KnownFiles | GithubTree | MendeleyFiles, get: Callable[[str], Path]) -> list[Wanted]:
    """List the wanted files of a source, by path.

    Parameters
    ----------
    get
        Fetches an address into a file.

    Raises
    ------
    SchemaError
        The listing has another form, or lacks what the catalogue expects.
    """
    if isinstance(source, KnownFiles):
        paths = sorted(
            (str(relative_path(path, file=source.base)), checksum) for path, checksum in source.files.items()
        )
        return [Wanted(_address(source.base, path), path, checksum) for path, checksum in paths]
    content = _content(get(source.url), source.url)
    try:
        listed = _github(content, source) if isinstance(source, GithubTree) else _mendeley(content, source)
    except (KeyError, TypeError, ValueError) as error:
        raise SchemaError(
            "a listing has another form than expected", file=source.url, found=repr(error)[:200], expected=source.kind
        ) from error
    names = sorted(listed)
    return [
        Wanted(*listed[names[index]][:1], path, listed[names[index]][1])
        for index, path, _ in wanted(names, source.keep, file=source.url)
    ]


def _content(file: Path, url: str) -> Any:
    if (size := file.stat().st_size) > _MAX_BYTES:
        raise SchemaError("a listing is too large", file=url, found=f"{size} bytes", expected=f"<= {_MAX_BYTES}")
    try:
        return json.loads(file.read_bytes())
    except (ValueError, RecursionError) as error:
        raise SchemaError("a listing is not JSON", file=url, found=str(error)[:200], expected="JSON") from error


def _github(content: Any, source: GithubTree) -> dict[str, tuple[str, str]]:
    """Address and checksum by path in the repository."""
    if content["truncated"]:
        raise ValueError("truncated")
    blobs = {str(entry["path"]): entry["sha"] for entry in content["tree"] if entry["type"] == "blob"}
    return {path: (_address(source.base, path), f"git:{blob}") for path, blob in blobs.items()}


def _mendeley(content: Any, source: MendeleyFiles) -> dict[str, tuple[str, str]]:
    """Address and checksum by file name."""
    if content["version"] != source.version:
        raise ValueError(f"version {content['version']}, expected {source.version}")
    details = {str(entry["filename"]): entry["content_details"] for entry in content["files"]}
    listed = {name: (str(of["download_url"]), f"sha256:{of['sha256_hash']}") for name, of in details.items()}
    for url, _ in listed.values():
        require_allowed(url, asked_by=source.url)
    return listed


def _address(base: str, path: str) -> str:
    return base + quote(path)
