"""A section as read, handed from one process to another in a folder of plain arrays.

Belongs here: writing a ``RawSection`` and reading it back, alike to the last bit. Does not belong here: processes.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from scipy import sparse

from gr2st_core.cohorts.records import RawSection
from gr2st_core.keys import SectionKey
from gr2st_core.types import Counts

_FACTS, _ARRAYS = "facts.json", "arrays.npz"
_NUMBERS = ("pitch_um", "pitch_px", "um_per_px", "n_spots_without_counts")
_PER_SPOT = ("spot_ids", "array_xy", "pixel_xy")


def write_section(raw: RawSection, folder: Path) -> None:
    """Write a section into an empty folder; numbers keep their bits, counts stay sparse."""
    facts = {name: getattr(raw, name) for name in _NUMBERS}
    facts |= {"key": str(raw.key), "patient_id": raw.patient_id, "notes": list(raw.notes)}
    facts["image_path"] = None if raw.image_path is None else str(raw.image_path)
    arrays = {name: getattr(raw, name) for name in _PER_SPOT}
    if raw.regions is not None:
        arrays["regions"] = raw.regions
    if raw.counts is not None:
        matrix = raw.counts.matrix
        arrays |= {"data": matrix.data, "indices": matrix.indices, "indptr": matrix.indptr}
        facts["genes"] = list(raw.counts.genes)
    (folder / _FACTS).write_text(json.dumps(facts), encoding="utf-8")
    np.savez(folder / _ARRAYS, allow_pickle=False, **arrays)


def read_section(folder: Path) -> RawSection:
    """Read what ``write_section`` wrote."""
    facts = json.loads((folder / _FACTS).read_text(encoding="utf-8"))
    with np.load(folder / _ARRAYS, allow_pickle=False) as stored:
        arrays = dict(stored)
    return RawSection(
        key=SectionKey.parse(facts["key"]),
        patient_id=facts["patient_id"],
        **{name: facts[name] for name in _NUMBERS},
        **{name: arrays[name] for name in _PER_SPOT},
        counts=_counts(facts["genes"], arrays) if "genes" in facts else None,
        image_path=None if facts["image_path"] is None else Path(facts["image_path"]),
        regions=arrays.get("regions"),
        notes=tuple(facts["notes"]),
    )


def _counts(genes: list[str], arrays: dict[str, np.ndarray]) -> Counts:
    parts = (arrays["data"], arrays["indices"], arrays["indptr"])
    return Counts(sparse.csr_matrix(parts, shape=(len(arrays["spot_ids"]), len(genes))), tuple(genes))
