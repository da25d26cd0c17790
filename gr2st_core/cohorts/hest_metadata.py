"""Metadata of HEST-1k samples: who the patient is, how large a pixel.

Belongs here: reading one JSON file, and what its fields mean. Does not belong here: the folder (``hest``).

The pixel size is the estimated one, which comes from the spots; the embedded one is often that of a file written at 96
dots per inch. Patients are numbered anew in every study, so a name that two studies use names nobody.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gr2st_core.cohorts.faults import Faults

_PIXEL_SIZES = ("pixel_size_um_estimated", "pixel_size_um_embedded")
_GRIDS = {"Visium", "Spatial Transcriptomics"}  # of other technologies the file holds pooled bins, not the grid
_PITCH_TOLERANCE = 0.15
_MAX_BYTES = 2**20


def studies_of(metadata: Mapping[str, Mapping[str, Any]]) -> dict[str, set[str]]:
    """Titles of the studies in which a patient's name occurs."""
    studies: dict[str, set[str]] = {}
    for facts in metadata.values():
        if (name := patient_name(facts)) is not None:
            studies.setdefault(name, set()).add(str(facts.get("dataset_title")))
    return studies


def patient_name(metadata: Mapping[str, Any]) -> str | None:
    """Name of the patient, or None."""
    name = metadata.get("patient")
    return name if isinstance(name, str) and name.strip() else None  # HEST writes NaN where it does not know


def read_metadata(path: Path, faults: Faults) -> Mapping[str, Any]:
    """Read a metadata file; empty, and a fault, if it is no JSON object."""
    if (size := path.stat().st_size) > _MAX_BYTES:
        faults.add("metadata are too large", file=path, found=size, expected=f"at most {_MAX_BYTES} bytes")
        return {}
    try:
        facts = json.loads(path.read_text(encoding="utf-8"), parse_int=float)  # integers have no limit, floats do
    except (ValueError, RecursionError) as error:
        faults.add("metadata are no JSON text", file=path, found=str(error)[:200], expected="a JSON object in UTF-8")
        return {}
    if not isinstance(facts, dict) or not facts:
        faults.add("metadata are no JSON object", file=path, found=type(facts).__name__, expected="a JSON object")
        return {}
    return facts


def um_per_px_of(metadata: Mapping[str, Any], path: Path, faults: Faults) -> float | None:
    """Micrometres per pixel of the slide, or None and a fault that says how to supply them."""
    for field in _PIXEL_SIZES:
        if (value := _positive(metadata.get(field))) is not None:
            return value
    faults.add(
        "nothing says how many micrometres a pixel is",
        file=path,
        field=", ".join(_PIXEL_SIZES),
        found=[metadata.get(field) for field in _PIXEL_SIZES],
        expected="a positive number in one of them",
        hint=f"write {_PIXEL_SIZES[0]} into the sample's metadata",
    )
    return None


def check_pitch(pitch_um: float, metadata: Mapping[str, Any], path: Path, faults: Faults) -> None:
    """Refuse a pixel size by which the spots are not as far apart as the array's are."""
    stated = _positive(metadata.get("inter_spot_dist"))
    if metadata.get("st_technology") not in _GRIDS or stated is None or not pitch_um > 0:
        return
    if abs(pitch_um / stated - 1) > _PITCH_TOLERANCE:
        faults.add(
            "the pixel size contradicts the distance between spots",
            file=path,
            field=_PIXEL_SIZES[0],
            found=f"spots {pitch_um:.4g} um apart",
            expected=f"inter_spot_dist {stated:.4g} um",
            hint="correct the pixel size in the sample's metadata",
        )


def _positive(value: object) -> float | None:
    return value if isinstance(value, float) and 0 < value < float("inf") else None
