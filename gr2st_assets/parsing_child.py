"""The process that opens files of cohorts (``python -m gr2st_assets.parsing_child``), one section after another.

Belongs here: listing a folder or reading a section within limits, and saying in JSON what came of it. Does not belong
here: starting this process, waiting for it and ending it (``parsing``).

A task a line on standard input, an answer a line on standard output; whatever libraries print goes to standard error.
"""

import hashlib
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gr2st_core.cohorts.cohort_file import COHORT_FILE
from gr2st_core.cohorts.files import file_sha256, stamp
from gr2st_core.cohorts.handover import write_section
from gr2st_core.cohorts.records import RawSection, SectionEntry
from gr2st_core.cohorts.registry import READERS, find_reader
from gr2st_core.errors import CohortError, DataError, ImageError, SchemaError
from gr2st_core.settings import Limits

if TYPE_CHECKING:
    from gr2st_core.cohorts.records import CohortReader

THUMBNAIL_PX = 512


def answer(task: Mapping[str, Any]) -> dict[str, Any]:
    """Do one task: list a folder; read a section and leave its arrays in a folder; tell its facts, its image's too.

    Parameters
    ----------
    task
        ``folder`` of the cohort and ``limits``. To list it, ``name``; else ``layout`` and ``entry`` of the section, and
        ``out``, the folder for its arrays or None.

    Returns
    -------
    ``facts``, or ``faults``: records of class, message and context.
    """
    is_listing = "entry" not in task
    what = "cohort folder" if is_listing else "section"
    where = {"file": task["folder"]} if is_listing else {"section": task["entry"]["key"]}
    try:
        return {"facts": _listed(task) if is_listing else _facts(task)}
    except CohortError as error:
        return {"faults": [_record(fault) for fault in error.faults]}
    except DataError as error:
        return {"faults": [_record(error)]}
    except MemoryError:
        limit = task["limits"]["max_memory_mb"]
        return {"faults": [_record(SchemaError(
            f"reading the {what} takes too much memory", **where,
            expected=f"at most {limit} MB", hint="raise limits.max_memory_mb",
        ))]}  # fmt: skip
    except Exception as error:  # noqa: BLE001 - whatever a damaged file raises inside a library is its own fault
        return {"faults": [_record(DataError(
            f"files of the {what} cannot be read", **where,
            found=f"{type(error).__name__}: {error}"[:500], hint="fetch the files again",
        ))]}  # fmt: skip


def _listed(task: Mapping[str, Any]) -> dict[str, Any]:
    folder = Path(task["folder"])
    reader = find_reader(folder)
    entries, faults = reader.entries(task["name"], folder)
    refused = [_record(fault) for fault in faults]
    return {"layout": reader.layout, "entries": [entry.to_json(folder) for entry in entries], "refused": refused}


def _facts(task: Mapping[str, Any]) -> dict[str, Any]:
    limits = Limits(**task["limits"])
    entry = SectionEntry.from_json(Path(task["folder"]), task["entry"])
    reader: CohortReader = next(reader for reader in READERS if reader.layout == task["layout"])
    with _unchanged(entry):
        raw = reader.read(entry, limits)
        if task["out"] is not None:
            write_section(raw, Path(task["out"]))
            return {}
        digest = cache(file_sha256)
        identity = _identity(entry, Path(task["folder"]) / COHORT_FILE, digest)
        own = {"n_spots": len(raw.spot_ids), "notes": list(raw.notes), "entry": identity}
        return {**_inspected_image(raw, limits, digest), **_inspected_counts(raw), **own}


def _identity(entry: SectionEntry, cohort_file: Path, digest: Callable[[Path], str]) -> str:
    """Digest of all that decides what is made from a section: its patient, every file of it, the cohort file."""
    facts = {"": cohort_file} if cohort_file.is_file() else {}
    files = {f"file {role}": path for role, path in entry.files.items()}
    files |= {f"annotation {kind}": path for kind, path in entry.annotations.items()} | facts
    lines = [entry.patient_id, *(f"{name}\0{digest(path)}" for name, path in sorted(files.items()))]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


@contextmanager
def _unchanged(entry: SectionEntry) -> Iterator[None]:
    """Refuse a section whose files change while they are read: what was read is then nobody's data."""
    paths = [*entry.files.values(), *entry.annotations.values()]
    before = [stamp(path) for path in paths]
    yield
    if changed := [path for path, old in zip(paths, before, strict=True) if stamp(path) != old]:
        raise SchemaError(
            "a file changed while it was read",
            file=changed[0],
            section=str(entry.key),
            hint="add the cohort again when its files are complete",
        )


def _inspected_image(raw: RawSection, limits: Limits, digest: Callable[[Path], str]) -> dict[str, Any]:
    from gr2st_core.images.slides import open_slide, require_on_image

    facts: dict[str, Any] = {"um_per_px": raw.um_per_px, "image": None, "size_px": None}
    if raw.image_path is None:
        return facts
    slide = open_slide(raw.image_path, max_megapixels=limits.max_megapixels, section=str(raw.key))
    try:
        require_on_image(raw.pixel_xy, slide.size_px, raw.spot_ids, section=str(raw.key))
    except ImageError as error:
        raise ImageError(error.message, **error.context, file=raw.image_path) from error
    slide.thumbnail(THUMBNAIL_PX)  # decodes an image whole, but of a pyramid a coarse level only
    return {**facts, "image": digest(raw.image_path), "size_px": list(slide.size_px)}


def _inspected_counts(raw: RawSection) -> dict[str, Any]:
    """Counts are identified by what they say: two archives of one table are the same counts."""
    facts: dict[str, Any] = {"n_regions": 0 if raw.regions is None else int((raw.regions != "").sum())}
    if raw.counts is None:
        return {**facts, "counts": None, "n_genes": None, "n_molecules": None}
    matrix = raw.counts.matrix
    digest = hashlib.sha256("\n".join([*raw.spot_ids.tolist(), "", *raw.counts.genes]).encode())
    for part in (matrix.indptr, matrix.indices, matrix.data):
        digest.update(part.astype("int64").tobytes())
    n_molecules = int(matrix.sum(dtype="int64"))
    return {**facts, "counts": digest.hexdigest(), "n_genes": matrix.shape[1], "n_molecules": n_molecules}


def _record(fault: DataError) -> dict[str, Any]:
    return {"kind": type(fault).__name__, "message": fault.message, "context": fault.context}


def _limit_memory(megabytes: int) -> None:
    """Bound the address space, where the system can; libraries then get a MemoryError instead of the machine."""
    if sys.platform == "linux":
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (megabytes << 20, megabytes << 20))


def serve() -> None:
    """Answer tasks until there are no more."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    for line in sys.stdin:
        task = json.loads(line)
        _limit_memory(task["limits"]["max_memory_mb"])
        answers.write(json.dumps(answer(task), default=str) + "\n")
        answers.flush()


if __name__ == "__main__":
    serve()
