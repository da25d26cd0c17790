"""Reading artefacts: the sidecar that lists the files, damage, and tables in parquet.

Belongs here: what can be told from one artefact's folder alone. Does not belong here: which artefact of a slot is the
newest (``lake``), making folders visible (``publish``).

Parquet does not notice most flipped bits by itself, so tables carry page checksums and sidecars the SHA-256 of files.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gr2st_assets.documents import decode
from gr2st_assets.publish import SIDECAR, create_file, file_sha256
from gr2st_core.errors import DataError, SchemaError

if TYPE_CHECKING:
    import pyarrow as pa
    from upath import UPath

DATA = "data.parquet"
ROW_GROUP = 122_880  # rows that DuckDB reads as one unit of parallel work


@dataclass(frozen=True, slots=True)
class Fault:
    """One file that is not what was published."""

    file: str
    problem: str
    expected: object = None
    found: object = None


def published_files(folder: "UPath") -> dict[str, dict[str, Any]]:
    """Size (``bytes``) and ``sha256`` of an artefact's files by name, as they were published.

    Raises
    ------
    DataError
        The sidecar is damaged: it no longer gives the digest that names its folder.
    SchemaError
        Written by a newer version of the project.
    """
    sidecar = folder / SIDECAR
    data = sidecar.read_bytes()
    found = sha256(data).hexdigest()[: len(folder.name)]
    if found != folder.name:
        raise DataError("a sidecar does not fit its folder", file=sidecar, expected=folder.name, found=found)
    files: dict[str, dict[str, Any]] = decode(data, sidecar, "files")["files"]
    return files


def inspect(folder: "UPath", *, deep: bool) -> list[Fault]:
    """List what is wrong with one artefact: its sidecar, missing files, sizes and, if ``deep``, contents."""
    try:
        files = published_files(folder)
    except FileNotFoundError:
        return [Fault(str(folder / SIDECAR), "the file is missing")]
    except DataError as error:
        return [Fault(str(folder / SIDECAR), error.message, error.context.get("expected"), error.context.get("found"))]
    faults = (_inspect_file(folder / name, facts, deep=deep) for name, facts in sorted(files.items()))
    return [fault for fault in faults if fault is not None]


def _inspect_file(path: "UPath", facts: dict[str, Any], *, deep: bool) -> Fault | None:
    if not path.exists():
        return Fault(str(path), "the file is missing")
    if (size := path.stat().st_size) != facts["bytes"]:
        return Fault(str(path), "the size is wrong", facts["bytes"], size)
    if deep and (found := file_sha256(path)) != facts["sha256"]:
        return Fault(str(path), "the content is wrong", facts["sha256"], found)
    return None


def write_parquet(path: Path, table: "pa.Table") -> None:
    """Write a table into a folder that is being published; bytes depend on rows, columns and metadata only.

    Raises
    ------
    DataError
        The file does not read back with as many rows.
    """
    import pyarrow.parquet as pq

    metadata = dict(sorted((table.schema.metadata or {}).items()))
    whole = table.combine_chunks().replace_schema_metadata(metadata)  # pages would follow the chunks
    with create_file(path) as stream:
        pq.write_table(whole, stream, compression="zstd", row_group_size=ROW_GROUP, write_page_checksum=True)
    if (rows := pq.read_metadata(path).num_rows) != whole.num_rows:
        raise DataError("a table did not read back whole", file=path, expected=whole.num_rows, found=rows)


def read_parquet(path: "UPath", columns: Sequence[str] | None = None) -> "pa.Table":
    """Read a table, page checksums verified; ``columns`` in the order given, all by default.

    Raises
    ------
    SchemaError
        A column is not in the table.
    DataError
        The file is damaged.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with path.open("rb") as stream, pq.ParquetFile(stream, page_checksum_verification=True) as file:
            names = file.schema_arrow.names
            if missing := [name for name in columns or () if name not in names]:
                raise SchemaError("columns are not in the table", file=path, field=missing, found=names)
            table = file.read(columns)
    except FileNotFoundError:
        raise
    except (OSError, pa.ArrowException) as error:
        raise DataError("a stored table is damaged", file=path, found=error, hint="gr2st doctor --verify") from error
    return table if columns is None else table.select(columns)
