"""Zarr stores from strangers: judged by all they declare before a library opens them.

Belongs here: codecs that run what they read, and sizes that a few bytes can declare. Does not belong here: what the
groups mean; links out of the folder (``files.require_inside``).
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gr2st_core.errors import SchemaError

_METADATA = {"zarr.json", ".zarray", ".zgroup", ".zattrs", ".zmetadata"}
_MAX_METADATA_BYTES = 2**24
_MAX_CHUNKS = 2**20  # of an array: dask makes a task of each
_MAX_CHUNK_BYTES = 2**30
# Any other codec is refused: one of zarr's object codecs is pickle, which runs what it reads.
_CODECS = {
    "adler32", "blosc", "bytes", "bz2", "crc32", "crc32c", "delta", "fixedscaleoffset", "gzip", "lz4", "lzma",
    "packbits", "sharding_indexed", "shuffle", "transpose", "vlen-bytes", "vlen-utf8", "zlib", "zstd",
}  # fmt: skip


def is_store(path: Path) -> bool:
    """Tell whether a folder is a zarr group."""
    return path.is_dir() and any((path / name).is_file() for name in ("zarr.json", ".zgroup"))


def require_safe_store(path: Path, section: str | None = None) -> None:
    """Refuse a store with a codec that is not known to be harmless, or with chunks beyond measure.

    All metadata are judged, those that are consolidated in a group's own too, whichever of them a library believes.

    Raises
    ------
    SchemaError
        Names the file.
    """
    for file in sorted(path.rglob("*")):
        if file.name in _METADATA and file.is_file():
            for array in _arrays(_parse(file, section)):
                _require_known_codecs(array, file, section)
                _require_modest_chunks(array, file, section)


def _parse(file: Path, section: str | None) -> Any:
    if (size := file.stat().st_size) > _MAX_METADATA_BYTES:
        raise SchemaError(
            "metadata of a zarr store are too large",
            file=file,
            section=section,
            found=f"{size} bytes",
            expected=f"at most {_MAX_METADATA_BYTES} bytes",
        )
    try:
        return json.loads(file.read_bytes())
    except (ValueError, RecursionError) as error:
        raise SchemaError(
            "metadata of a zarr store are no JSON text", file=file, section=section, found=str(error)[:200]
        ) from error


def _arrays(value: Any) -> Iterator[dict[str, Any]]:
    """Everything that describes an array, at any depth."""
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            if "shape" in item and ("codecs" in item or "chunks" in item):
                yield item
            waiting.extend(item.values())
        elif isinstance(item, list):
            waiting.extend(item)


def _require_known_codecs(array: dict[str, Any], file: Path, section: str | None) -> None:
    names = {str(name) for key in ("codecs", "compressor", "filters") for name in _codec_names(array.get(key))}
    if unknown := sorted(name for name in names if name.removeprefix("numcodecs.") not in _CODECS):
        raise SchemaError(
            "a zarr store uses a codec that is not read here",
            file=file,
            section=section,
            field="codecs",
            found=unknown,
            expected=sorted(_CODECS),
            hint="write the store anew with a current spatialdata",
        )


def _codec_names(value: Any) -> Iterator[object]:
    for item in value if isinstance(value, list) else [value]:
        if isinstance(item, dict):
            yield item.get("name", item.get("id"))
            inside = item.get("configuration")
            if isinstance(inside, dict):
                for key in ("codecs", "index_codecs"):
                    yield from _codec_names(inside.get(key))
        elif item is not None:
            yield item


def _require_modest_chunks(array: dict[str, Any], file: Path, section: str | None) -> None:
    grid = _chunk_shape(array)
    shape = array["shape"]
    if not _are_sizes(shape) or not _are_sizes(grid) or len(shape) != len(grid):
        raise SchemaError("an array of a zarr store has no shape", file=file, section=section, found=[shape, grid])
    n_chunks = math.prod(math.ceil(size / max(1, chunk)) for size, chunk in zip(shape, grid, strict=True))
    n_bytes = 8 * math.prod(grid)
    if n_chunks > _MAX_CHUNKS or n_bytes > _MAX_CHUNK_BYTES:
        raise SchemaError(
            "an array of a zarr store is cut into too many or too large chunks",
            file=file,
            section=section,
            found=f"{n_chunks} chunks of up to {n_bytes} bytes, shape {shape}",
            expected=f"at most {_MAX_CHUNKS} chunks of {_MAX_CHUNK_BYTES} bytes",
        )


def _chunk_shape(array: dict[str, Any]) -> Any:
    if "chunks" in array:
        return array["chunks"]
    value: Any = array
    for key in ("chunk_grid", "configuration", "chunk_shape"):
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _are_sizes(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(size, int) and 0 <= size < 2**62 for size in value)
