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
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gr2st_core import errors
from gr2st_core.errors import CohortError, DataError, SchemaError

if TYPE_CHECKING:
    from gr2st_core.cohorts.records import RawSection, SectionEntry
    from gr2st_core.settings import Limits


class SectionParser:
    """Reads sections in a child process, which is started when first needed and again when it died.

    Parameters
    ----------
    limits
        What one section may ask of the machine.
    """

    def __init__(self, limits: "Limits") -> None:
        self._limits = limits
        self._child: subprocess.Popen[bytes] | None = None

    def inspect(self, layout: str, folder: Path, entry: "SectionEntry") -> dict[str, Any]:
        """Read a section completely, its image too, and keep nothing of it.

        Returns
        -------
        ``n_spots``, ``n_genes``, ``n_molecules``, ``n_regions``, ``um_per_px``, ``size_px``, and the digests ``counts``
        (of what they say) and ``image`` (of the file); None where the section has none.

        Raises
        ------
        DataError
            A ``CohortError`` where several faults were found.
        """
        return self._ask(layout, folder, entry, None)

    def read(self, layout: str, folder: Path, entry: "SectionEntry") -> "RawSection":
        """Read a section.

        Raises
        ------
        DataError
            As ``inspect``, but for the image, which is not opened.
        """
        from gr2st_core.cohorts.handover import read_section

        with tempfile.TemporaryDirectory(prefix="gr2st-") as out:
            self._ask(layout, folder, entry, out)
            return read_section(Path(out))

    def close(self) -> None:
        """End the process."""
        if self._child is not None:
            self._child.kill()
            self._child.communicate()
            self._child = None

    def _ask(self, layout: str, folder: Path, entry: "SectionEntry", out: str | None) -> dict[str, Any]:
        task = {
            "layout": layout,
            "folder": str(folder),
            "entry": entry.to_json(folder),
            "limits": self._limits.model_dump(),
            "out": out,
        }
        answer = self._exchange(json.dumps(task).encode() + b"\n", str(entry.key))
        if "faults" not in answer:
            return answer["facts"]
        faults = [_fault(record) for record in answer["faults"]]
        if len(faults) == 1:
            raise faults[0]
        raise CohortError("a section cannot be read", faults, section=str(entry.key), found=f"{len(faults)} faults")

    def _exchange(self, task: bytes, section: str) -> dict[str, Any]:
        child = self._running()
        child.stdin.write(task)
        child.stdin.flush()
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
        raise _death(section, code, self._limits.max_seconds)

    def _running(self) -> "subprocess.Popen[bytes]":
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
    return kind(record["message"], **record["context"])


def _death(section: str, code: int | None, max_seconds: int) -> DataError:
    if code is None:
        return SchemaError(
            "reading the section takes too long",
            section=section,
            expected=f"at most {max_seconds} s",
            hint="raise limits.max_seconds, or look for a damaged file",
        )
    return DataError(
        "the process that read the section died",
        section=section,
        found=f"signal {-code}" if code < 0 else f"exit code {code}",
        hint="a file is damaged, or needs more than limits.max_memory_mb",
    )
