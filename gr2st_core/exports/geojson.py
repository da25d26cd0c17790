"""A predicted slide as GeoJSON, for QuPath: every spot a detection with measurements.

Belongs here: which genes are shown, what a feature says, writing one at a time. Does not belong here: reading such
files (``cohorts.region_shapes``).

QuPath takes measurements as numbers only, so a flag is 0 or 1, and what is not known is left out.
"""

from __future__ import annotations

import json
import math
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gr2st_core.errors import PanelError
from gr2st_core.exports.predicted_slide import PredictedSlide
from gr2st_core.exports.whole import written_whole
from gr2st_core.expression.breast_markers import breast_markers

MOST_GENES = 50
"""Genes that are written if none are chosen: QuPath shows every measurement of every object as a column."""

_CORNERS = 24
_BLOCK = 256  # spots whose values are turned into numbers at once
_SHOWN = (2, 98)  # percentiles at the ends of the colour scale


def write_geojson(slide: PredictedSlide, path: Path, genes: Sequence[str] | None = None) -> None:
    """Write a FeatureCollection in pixels of the full resolution; spots are coloured by the first of the genes.

    The file appears in full or not at all; equal slides give equal bytes. Numbers are equal to the slide's float32
    values when read as such.

    Parameters
    ----------
    genes
        To be written, by default those of `shown_genes`.

    Raises
    ------
    PanelError
        A gene is not predicted, or chosen twice, or none is chosen.
    OSError
    """
    chosen = shown_genes(slide.genes) if genes is None else tuple(genes)
    columns = _columns(slide, chosen)
    with written_whole(path) as staged, staged.open("x", encoding="ascii", newline="\n") as stream:
        support = json.dumps({gene: slide.support[column] for gene, column in zip(chosen, columns, strict=True)})
        stream.write(f'{{"type": "FeatureCollection", "gr2st": {slide.document}, "support": {support}, "features": [')
        for number, feature in enumerate(_features(slide, chosen, columns)):
            stream.write(("," if number else "") + "\n" + json.dumps(feature, allow_nan=False))
        stream.write("\n]}\n")


def shown_genes(genes: Sequence[str]) -> tuple[str, ...]:
    """All genes of a small panel, else its breast markers, else the first ``MOST_GENES``."""
    if len(genes) <= MOST_GENES:
        return tuple(genes)
    known = set(genes)
    markers = tuple(gene for gene in breast_markers().genes if gene in known)
    return markers or tuple(genes[:MOST_GENES])


def _columns(slide: PredictedSlide, chosen: tuple[str, ...]) -> list[int]:
    column = {gene: index for index, gene in enumerate(slide.genes)}
    if unknown := [gene for gene in chosen if gene not in column]:
        raise PanelError(
            "genes to be written are not predicted", section=str(slide.section.key), field="genes", found=unknown[:10]
        )
    if not chosen or len(set(chosen)) != len(chosen):
        raise PanelError("genes to be written are one or more, each once", field="genes", found=chosen[:10])
    return [column[gene] for gene in chosen]


def _features(slide: PredictedSlide, chosen: tuple[str, ...], columns: list[int]) -> Iterator[dict[str, Any]]:
    section = slide.section
    ring = _ring(slide.spot_diameter_px / 2)
    colours = _colours(slide.prediction.values[:, columns[0]])
    rows = _measurements(slide, chosen, columns)
    for row, (spot_id, measurements) in enumerate(zip(section.spot_ids.tolist(), rows, strict=True)):
        corners = np.round(section.pixel_xy[row] + ring, 2).tolist()
        properties: dict[str, Any] = {
            "objectType": "detection",
            "name": spot_id,
            "color": colours[row].tolist(),
            "measurements": measurements,
        }
        if slide.regions is not None and slide.regions[row]:
            properties["classification"] = {"name": str(slide.regions[row])}
        if slide.reference_spots is not None:
            properties["metadata"] = {"reference spots": ", ".join(slide.reference_spots[row].tolist())}
        yield {
            "type": "Feature",
            "id": str(uuid.uuid5(uuid.NAMESPACE_OID, f"{section.key}/{spot_id}")),
            "geometry": {"type": "Polygon", "coordinates": [corners]},
            "properties": properties,
        }


def _measurements(slide: PredictedSlide, chosen: tuple[str, ...], columns: list[int]) -> Iterator[dict[str, float]]:
    """Numbers of each spot by name; NaN is left out."""
    blocks = {"predicted": slide.prediction.values}
    if slide.intervals is not None:
        blocks |= {"lower": slide.intervals.lower, "upper": slide.intervals.upper}
    names = [f"{gene}: {what}" for what in blocks for gene in chosen]
    of_spot = {"distance": slide.ood_distance, "quantile": slide.ood_quantile, "unusual": slide.is_unusual}
    known = {f"OOD: {what}": array for what, array in of_spot.items() if array is not None}
    for start in range(0, slide.n_spots, _BLOCK):
        rows = slice(start, start + _BLOCK)
        values = np.concatenate([block[rows][:, columns] for block in blocks.values()], axis=1)
        parts = [_shortest(values)]
        if known:
            parts.append(np.stack([np.asarray(array[rows], dtype=np.float64) for array in known.values()], axis=1))
        for numbers in np.concatenate(parts, axis=1).tolist():
            pairs = zip((*names, *known), numbers, strict=True)
            yield {name: number for name, number in pairs if not math.isnan(number)}


def _shortest(values: NDArray[np.float32]) -> NDArray[np.float64]:
    """Doubles of the fewest digits that are equal to the values in single precision: half the characters."""
    return values.astype(np.str_).astype(np.float64)


def _ring(radius: float) -> NDArray[np.float64]:
    """Closed ring of corners around the origin, shape ``(n, 2)``."""
    angles = np.append(np.arange(_CORNERS), 0) * (2 * np.pi / _CORNERS)
    return radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)


def _colours(values: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Viridis between two percentiles of the values, shape ``(n_spots, 3)``."""
    from matplotlib import colormaps

    low, high = np.percentile(values, _SHOWN)
    shares = (values - low) / (high - low) if high > low else np.zeros(len(values))
    return np.asarray(colormaps["viridis"](np.clip(shares, 0, 1), bytes=True)[:, :3])
