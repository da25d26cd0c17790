"""Where tables and models are kept: slots, their immutable artefacts, and the head that names the newest.

Belongs here: publishing to a slot, reading back, listing, finding damage. Does not belong here: opening files for
writing (``publish``), which artefacts readers are shown (``manifest``), what columns a table has, Dagster.

::

    <root>/image/embeddings_x/cohort=her2st/section=B4/   a slot: one table, one set of partition values
        0f3a.../data.parquet, artifact.json               an artefact, named by its content
        _head.json                                        the newest artefact and where it came from
"""

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from gr2st_assets import publish
from gr2st_assets.artefacts import DATA, Fault, inspect, published_files, read_parquet, write_parquet
from gr2st_assets.documents import decode, encode
from gr2st_assets.records import KEY_ORDER, Head, Provenance, Slot
from gr2st_core.errors import DataError, MissingArtifactError, SchemaError

if TYPE_CHECKING:
    import pyarrow as pa
    from upath import UPath

HEAD = "_head.json"


@dataclass(frozen=True, slots=True, init=False)
class Lake:
    """All artefacts under one root.

    Attributes
    ----------
    root
        Absolute folder or fsspec URL (``s3://bucket/lake``, ``memory://lake``).
    """

    root: "UPath"

    def __init__(self, root: "str | Path | UPath") -> None:
        from upath import UPath

        path = UPath(root)
        object.__setattr__(self, "root", UPath(Path(path.path).absolute()) if publish.is_local(path) else path)

    def slot(self, table: str, **keys: str | int) -> Slot:
        """Address a table for the given partition values, in any order.

        Raises
        ------
        SchemaError
            A name or value is not allowed in a path.
        """
        unknown = [name for name in keys if name not in KEY_ORDER]
        return Slot(table, tuple((name, str(keys[name])) for name in [*KEY_ORDER, *unknown] if name in keys))

    def path(self, slot: Slot, *parts: str) -> "UPath":
        """Where a slot, or a part of it, lies; it need not exist."""
        return self.root.joinpath(str(slot), *parts)

    def slots(self, table: str | None = None) -> list[Slot]:
        """List slots that have a head, sorted; of one table or of all."""
        return sorted(Slot.parse(self._relative(path.parent.path)) for path in self._find(HEAD, table))

    def tables(self) -> list[str]:
        """List the names of tables that have at least one head."""
        return sorted({slot.table for slot in self.slots()})

    def publish(self, slot: Slot, write: Callable[[Path], None], provenance: Provenance) -> Head:
        """Make the files that ``write`` puts into a folder the newest artefact of a slot.

        Parameters
        ----------
        write
            Fills the empty local folder it is given with plain files.

        Raises
        ------
        SchemaError
            It left no file, a folder, or a file named like the sidecar.
        OSError
            The disk is full or fails; the old head stays.
        """
        folder = self.path(slot)
        digest = publish.publish_artefact(folder, write)
        document = Head(slot, digest, provenance, finished=time.time()).to_document()
        publish.write_atomic(folder / HEAD, encode(document))
        return Head.from_document(slot, document, folder / HEAD)

    def write_table(
        self,
        slot: Slot,
        table: "pa.Table",
        provenance: Provenance,
        *,
        write_files: Callable[[Path], None] | None = None,
    ) -> Head:
        """Publish one table as ``data.parquet``; equal tables give equal bytes.

        Parameters
        ----------
        write_files
            Adds further files of the artefact to the folder it is given.
        """

        def write(folder: Path) -> None:
            write_parquet(folder / DATA, table)
            if write_files is not None:
                write_files(folder)

        return self.publish(slot, write, provenance)

    def head(self, slot: Slot) -> Head | None:
        """Find the newest artefact of a slot; None if nothing was published there.

        Raises
        ------
        DataError
            The head is damaged or of a newer version.
        """
        path = self.path(slot, HEAD)
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return None
        return Head.from_document(slot, decode(data, path), path)

    def join_generation(self, slot: Slot, generation: str) -> None:
        """Say of a slot's newest artefact that it is of a generation; nothing is written where it says so.

        Raises
        ------
        MissingArtifactError
            Nothing was published there.
        OSError
            The disk is full or fails; the old head stays.
        """
        head = self.require_head(slot)
        if head.provenance.generation != generation:
            joined = replace(head, provenance=replace(head.provenance, generation=generation))
            publish.write_atomic(self.path(slot, HEAD), encode(joined.to_document()))

    def require_head(self, slot: Slot) -> Head:
        """Find the newest artefact of a slot.

        Raises
        ------
        MissingArtifactError
            Nothing was published there.
        """
        head = self.head(slot)
        if head is None:
            raise MissingArtifactError("nothing was published here", slot=slot, hint=f"materialize {slot.table} first")
        return head

    def is_current(self, slot: Slot, fingerprint: str) -> bool:
        """Tell whether a slot's newest artefact has this fingerprint and all its files at their sizes.

        A damaged head is not current, so that the slot is made again and heals.

        Raises
        ------
        SchemaError
            The head is of a newer version.
        """
        try:
            head = self.head(slot)
        except SchemaError:
            raise
        except DataError:
            return False
        if head is None or head.provenance.fingerprint != fingerprint:
            return False
        return not inspect(self.path(slot, head.digest), deep=False)

    def folder(self, slot: Slot, digest: str | None = None) -> "UPath":
        """Locate a slot's newest artefact, or the one named.

        Raises
        ------
        MissingArtifactError
        """
        folder = self.path(slot, digest or self.require_head(slot).digest)
        if not (folder / publish.SIDECAR).exists():
            raise MissingArtifactError(
                "an artefact is gone", slot=slot, file=folder, hint=f"materialize {slot.table} again"
            )
        return folder

    def files(self, slot: Slot, digest: str | None = None) -> tuple[str, ...]:
        """List the names of an artefact's files, sorted, without the sidecar."""
        return tuple(sorted(published_files(self.folder(slot, digest))))

    @contextmanager
    def local_copy(self, slot: Slot, digest: str | None = None) -> Iterator[Path]:
        """Give an artefact as a folder of this machine, to read only, every file checked against its SHA-256.

        Raises
        ------
        MissingArtifactError
        DataError
            A file is damaged.
        """
        folder = self.folder(slot, digest)
        if faults := inspect(folder, deep=True):
            first = faults[0]
            raise DataError("an artefact is damaged", file=first.file, problem=first.problem, found=first.found)
        if publish.is_local(folder):
            yield Path(folder.path)
            return
        with tempfile.TemporaryDirectory(prefix="gr2st-") as temporary:
            for name in published_files(folder):
                folder.fs.get_file((folder / name).path, str(Path(temporary) / name))
            yield Path(temporary)

    def read_table(self, slot: Slot, columns: Sequence[str] | None = None, digest: str | None = None) -> "pa.Table":
        """Read the rows of a slot's newest artefact, or of the one named, page checksums verified.

        Parameters
        ----------
        columns
            Columns to read, in this order; all by default.

        Raises
        ------
        MissingArtifactError, SchemaError
            The table or a column is not there.
        DataError
            The file is damaged.
        """
        path = self.folder(slot, digest) / DATA
        try:
            return read_parquet(path, None if columns is None else list(columns))
        except FileNotFoundError as error:
            raise MissingArtifactError("an artefact holds no table", file=path, slot=slot) from error

    def erase(self, slot: Slot) -> None:
        """Remove a slot and all artefacts it ever had; readers must not be shown them any more.

        Its head goes last: a slot whose removal was interrupted is still listed.
        """
        folder = self.path(slot)
        for path in folder.iterdir():
            if path.name != HEAD:
                path.fs.rm(path.path, recursive=True)
        publish.crash_point("removal.emptied")
        folder.fs.rm(folder.path, recursive=True)
        if publish.is_local(folder):  # names of empty folders tell of what was removed
            for parent in list(Path(folder.path).parents)[: len(slot.keys)]:
                if not any(parent.iterdir()):
                    parent.rmdir()

    def verify(self, *, deep: bool) -> list[Fault]:
        """Compare every artefact with its sidecar and follow every head; empty if all is well.

        Parameters
        ----------
        deep
            Hash every file; otherwise compare sizes only.
        """
        faults = [fault for path in self._find(publish.SIDECAR) for fault in inspect(path.parent, deep=deep)]
        for path in self._find(HEAD):
            try:
                self.folder(Slot.parse(self._relative(path.parent.path)))
            except DataError as error:
                faults.append(Fault(str(path), error.message, found=error.context.get("found")))
        return faults

    def discard_damaged(self) -> list[str]:
        """Remove the heads of slots whose newest artefact is damaged, so that they are made again; returns the slots.

        Artefacts stay: publishing the same content again puts their files in place.
        """
        discarded = []
        for path in self._find(HEAD):
            slot = Slot.parse(self._relative(path.parent.path))
            try:
                is_damaged = bool(inspect(self.folder(slot), deep=True))
            except SchemaError:
                continue  # a newer version's: not ours to judge
            except DataError:
                is_damaged = True
            if is_damaged:
                path.unlink()
                discarded.append(str(slot))
        return discarded

    def sweep(self, older_than_s: float) -> list[str]:
        """Remove leftovers of killed writers that did not change for so many seconds; returns their paths."""
        return publish.sweep(self.root, older_than_s)

    def _relative(self, path: str) -> str:
        return path.removeprefix(self.root.path).strip("/")

    def _find(self, name: str, table: str | None = None) -> "list[UPath]":
        """Files of one name below a table or the root, sorted, without those of unfinished writers."""
        top = self.root / (table or "")
        top.fs.invalidate_cache()  # object stores remember listings
        found = map(self._relative, top.fs.find(top.path))
        visible = (path for path in found if path.endswith(f"/{name}") and f"/{publish.TEMPORARY}" not in f"/{path}")
        return [self.root / path for path in sorted(visible)]
