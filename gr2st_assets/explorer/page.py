"""The explorer's page: one HTML file that needs nothing else.

Belongs here: putting values, style and scripts into one file. Does not belong here: what is shown (``view``), how it
is drawn (the scripts in ``page/``).

The same view gives the same bytes. Names from files reach the page as JSON only, and the scripts write them as text.
"""

import base64
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gr2st_assets.explorer.packing import as_json, data_element, packed, packed_columns, policy
from gr2st_assets.explorer.view import View
from gr2st_assets.pictures import OKABE_ITO

if TYPE_CHECKING:
    import numpy as np

PARTS = Path(__file__).parent / "page"
SCRIPTS = (
    "inflate.js",
    "data.js",
    "scales.js",
    "camera.js",
    "raster.js",
    "panel.js",
    "genes.js",
    "spots.js",
    "main.js",
)
"""In the order in which they are run; each reads those before it."""
_MAPS = {"sequential": "viridis", "width": "magma", "signed": "RdBu_r"}


def write_page(view: View) -> bytes:
    """Write the page of a section, UTF-8."""
    scripts = [(PARTS / name).read_text(encoding="utf-8") for name in SCRIPTS]
    head = (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy(scripts)}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(view.section)} - GR2ST explorer</title>\n"
        f"<style>\n{(PARTS / 'style.css').read_text(encoding='utf-8')}</style>\n</head>\n"
    )
    body = (PARTS / "body.html").read_text(encoding="utf-8")
    data = "".join(data_element(name, content) for name, content in _elements(view).items())
    run = "".join(f"<script>{script}</script>\n" for script in scripts)
    return f"{head}<body>\n{body}{data}{run}</body>\n</html>\n".encode()


def _elements(view: View) -> dict[str, str]:
    """Contents of the page's data elements by id."""
    values, spots, references = view.expression, view.spots, view.references
    matrices = {"predicted": values.predicted, "observed": values.observed, "half-width": values.half_width}
    vectors = {
        "positions": (spots.pixel_xy, "float32"),
        "quantile": (spots.quantile, "float32"),
        "edges": (spots.edges, "int32"),
        "reference-index": (references.index, "int32"),
        "reference-weights": (references.weights, "float32"),
    }
    return {
        "facts": as_json(_facts(view)),
        **{name: packed(array, kind) for name, (array, kind) in vectors.items() if array is not None},
        **{name: packed_columns(matrix) for name, matrix in matrices.items() if matrix is not None},
    }


def _facts(view: View) -> dict[str, Any]:
    """Everything but arrays, in JSON types."""
    slide, spots, values, references = view.slide, view.spots, view.expression, view.references
    return {
        "section": view.section,
        "facts": list(view.facts.items()),
        "slide": {
            "size": slide.size_px,
            "umPerPx": slide.um_per_px,
            "note": slide.note,
            "image": None if slide.jpeg is None else f"data:image/jpeg;base64,{base64.b64encode(slide.jpeg).decode()}",
        },
        "spots": spots.ids,
        "spotUm": spots.diameter_um,
        "spotNote": spots.diameter_note,
        "edgeNote": spots.edge_note,
        "regions": spots.regions,
        "genes": values.genes,
        "otherGenes": "Other genes" if values.pearson is None else "Other genes, by r",
        "groups": values.groups,
        "pearson": None if values.pearson is None else _nullable(values.pearson),
        "intervalNote": values.interval_note,
        "references": references.names,
        "nReferences": references.index.shape[1],
        "referenceNote": references.note,
        "categories": OKABE_ITO,
        "maps": {role: _colours(name) for role, name in _MAPS.items()},
    }


def _nullable(values: "np.ndarray") -> list[float | None]:
    return [None if value != value else float(value) for value in values]


def _colours(name: str) -> str:
    """A colour map of 256 steps as hexadecimal RGB."""
    import numpy as np
    from matplotlib import colormaps

    return bytes(np.round(colormaps[name](range(256))[:, :3] * 255).astype(np.uint8).ravel()).hex()
