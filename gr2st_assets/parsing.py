"""Files of cohorts are opened in a process of their own, so that what they break is one section.

Belongs here: starting that process, asking it, waiting no longer than allowed, and turning its death into a fault.
Does not belong here: reading (``parsing_child``), Dagster.
"""

import atexit
import json
import os
import selectors
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gr2st_core import errors
from gr2st_core.errors import CohortError, DataError, SchemaError

if TYPE_CHECKING:
    from gr2st_core.cohorts.records import RawSection, SectionEntry
    from gr2st_core.settings import Limits


@dataclass(frozen=True)
class Listed:
    """What a cohort folder holds, nothing parsed.

    Attributes
    ----------
    layout
        Name of the reader that knows the folder.
    entries
        Its sections, sorted by key.
    faults
        What the listing found wrong.
    """

    layout: str
    entries: "list[SectionEntry]"
    faults: list[DataError]


class SectionParser:
    """Lists and reads sections in a child process, which is started when first needed and again when it died.

    Parameters
    ----------
    limits
        What one section, or the listing of a folder, may ask of the machine.
    """

    def __init__(self, limits: "Limits") -> None:
        self._limits = limits
        self._child: subprocess.Popen[bytes] | None = None

    def list_folder(self, name: str, folder: Path) -> Listed:
        """Find out who reads a folder, and list its sections as cohort ``name``.

        Raises
        ------
        DataError
            No reader knows the folder, or a file in it broke the process.
        """
        from gr2st_core.cohorts.records import SectionEntry

        said = self._ask({"folder": str(folder), "name": name}, file=folder)
        entries = [SectionEntry.from_json(folder, record) for record in said["entries"]]
        return Listed(said["layout"], entries, [_fault(record) for record in said["refused"]])

    def inspect(self, layout: str, folder: Path, entry: "SectionEntry") -> dict[str, Any]:
        """Read a section completely, its image too, and keep nothing of it.

        Returns
        -------
        ``n_spots``, ``n_genes``, ``n_molecules``, ``n_regions``, ``um_per_px``, ``size_px``, and the digests ``counts``
        (of what they say) and ``image`` (of the file), None where the section has none, and ``entry`` (patient, all
        files, cohort file).

        Raises
        ------
        DataError
            A ``CohortError`` where several faults were found.
        """
        return self._ask_of(layout, folder, entry, None)

    def read(self, layout: str, folder: Path, entry: "SectionEntry") -> "RawSection":
        """Read a section.

        Raises
        ------
        DataError
            As ``inspect``, but for the image, which is not opened.
        """
        from gr2st_core.cohorts.handover import read_section

        with tempfile.TemporaryDirectory(prefix="gr2st-") as out:
            self._ask_of(layout, folder, entry, out)
            return read_section(Path(out))

    def close(self) -> None:
        """End the process."""
        if self._child is not None:
            self._child.kill()
            self._child.communicate()
            self._child = None

    def _ask_of(self, layout: str, folder: Path, entry: "SectionEntry", out: str | None) -> dict[str, Any]:
        task = {"layout": layout, "folder": str(folder), "entry": entry.to_json(folder), "out": out}
        return self._ask(task, section=str(entry.key))

    def _ask(self, task: Mapping[str, Any], **where: object) -> dict[str, Any]:
        line = json.dumps({**task, "limits": self._limits.model_dump()}).encode() + b"\n"
        answer = self._exchange(line, **where)
        if "faults" not in answer:
            return answer["facts"]
        faults = [_fault(record) for record in answer["faults"]]
        if len(faults) == 1:
            raise faults[0]
        raise CohortError("a section cannot be read", faults, **where, found=f"{len(faults)} faults")

    def _exchange(self, task: bytes, **where: object) -> dict[str, Any]:
        child = self._running()
        try:
            child.stdin.write(task)
            child.stdin.flush()
        except OSError as error:  # it has died since it was last seen
            code = child.wait()
            self.close()
            raise _death(code, self._limits.max_seconds, **where) from error
        with selectors.DefaultSelector() as ready:
            ready.register(child.stdout, selectors.EVENT_READ)
            in_time = bool(ready.select(self._limits.max_seconds))
        answer = child.stdout.readline() if in_time else b""
        if answer.endswith(b"\n"):
            return json.loads(answer)
        if in_time:
            child.wait()
        code = child.poll()
        self.close()
        raise _death(code, self._limits.max_seconds, **where)

    def _running(self) -> "subprocess.Popen[bytes]":
        if self._child is not None and self._child.poll() is not None:
            self.close()
        if self._child is None:
            self._child = subprocess.Popen(
                [sys.executable, "-W", "ignore", "-m", "gr2st_assets.parsing_child"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                # a section is a small job, and every thread of these libraries reserves memory that counts as used
                env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"},
            )
        return self._child


@lru_cache(maxsize=1)
def section_parser(limits: "Limits") -> SectionParser:
    """Give the parser of this process; it ends with it."""
    parser = SectionParser(limits)
    atexit.register(parser.close)
    return parser


def _fault(record: Mapping[str, Any]) -> DataError:
    kind: type[DataError] = getattr(errors, record["kind"])
    context = dict(record["context"])
    if "file" in context:
        context["file"] = Path(context["file"])
    return kind(record["message"], **context)


def _death(code: int | None, max_seconds: int, **where: object) -> DataError:
    what = "section" if "section" in where else "cohort folder"
    if code is None:
        return SchemaError(
            f"reading the {what} takes too long",
            **where,
            expected=f"at most {max_seconds} s",
            hint="raise limits.max_seconds, or look for a damaged file",
        )
    return DataError(
        f"the process that read the {what} died",
        **where,
        found=f"signal {-code}" if code < 0 else f"exit code {code}",
        hint="a file is damaged, or needs more than limits.max_memory_mb",
    )
