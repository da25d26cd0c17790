"""What the explorer shows of one section, as plain values.

Belongs here: the arrays and texts of a page, aligned with each other. Does not belong here: reading them from the lake
(``gather``), writing the page (``page``).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gr2st_core.errors import AlignmentError

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Slide:
    """The image, small.

    Attributes
    ----------
    size_px
        Width and height of the whole image, whose pixels all positions are in.
    jpeg
        Small copy; None without an image.
    note
        Resolution of the copy in words.
    """

    size_px: tuple[int, int]
    um_per_px: float
    jpeg: bytes | None
    note: str


@dataclass(frozen=True)
class Spots:
    """Where the spots are and what else is known of them; all in one order.

    Attributes
    ----------
    pixel_xy
        Centres, ``(n_spots, 2)``.
    diameter_um, diameter_note
        Of a spot, and where that is known from.
    regions
        Label that a person gave each place, None where there is none.
    quantile
        Out-of-distribution score, float64 ``(n_spots,)``, NaN where unknown; None if there is none of the section.
    edges
        Rows of sender and receiver in the spatial graph, ``(2, n_edges)``.
    edge_note
        What the graph is.
    """

    ids: tuple[str, ...]
    pixel_xy: "np.ndarray"
    diameter_um: float
    diameter_note: str
    regions: tuple[str | None, ...]
    quantile: "np.ndarray | None"
    edges: "np.ndarray"
    edge_note: str


@dataclass(frozen=True)
class Expression:
    """Values in target units; all matrices ``(n_spots, n_genes)``, columns in the order in which genes are listed.

    Attributes
    ----------
    groups
        What each gene marks, None where it is no marker.
    pearson
        Correlation of each gene over the section's spots, NaN where undefined; None without measurements.
    observed
        None where the section was never sequenced.
    half_width
        Of the interval, a column of NaN for a gene without calibration; None if there are no intervals.
    interval_note
        Level and support of the intervals, or why there are none.
    """

    genes: tuple[str, ...]
    groups: tuple[str | None, ...]
    pearson: "np.ndarray | None"
    predicted: "np.ndarray"
    observed: "np.ndarray | None"
    half_width: "np.ndarray | None"
    interval_note: str


@dataclass(frozen=True)
class ReferenceSpots:
    """Training spots beside each spot, the heaviest first.

    Attributes
    ----------
    names
        Section and spot of every training spot that is named.
    index
        Places in ``names``, int32 ``(n_spots, k)``, -1 for none.
    weights
        Share of each, float32 ``(n_spots, k)``; None where they have no weight.
    note
        What they are to the prediction.
    """

    names: tuple[tuple[str, str], ...]
    index: "np.ndarray"
    weights: "np.ndarray | None"
    note: str


@dataclass(frozen=True)
class View:
    """All of a page.

    Attributes
    ----------
    section
        ``cohort/section``.
    facts
        What the values are, as pairs of name and text: patient, method, fold, target, model.
    model_id
        Of what predicted.
    """

    section: str
    model_id: str
    facts: Mapping[str, str]
    slide: Slide
    spots: Spots
    expression: Expression
    references: ReferenceSpots

    def __post_init__(self) -> None:
        n_spots, n_genes = len(self.spots.ids), len(self.expression.genes)
        values, refs = self.expression, self.references
        shapes = {
            "pixel_xy": (self.spots.pixel_xy, (n_spots, 2)),
            "quantile": (self.spots.quantile, (n_spots,)),
            "pearson": (values.pearson, (n_genes,)),
            **{name: (getattr(values, name), (n_spots, n_genes)) for name in ("predicted", "observed", "half_width")},
            "index": (refs.index, (n_spots, refs.index.shape[-1])),
            "weights": (refs.weights, refs.index.shape),
        }
        for name, (array, shape) in shapes.items():
            if array is not None and array.shape != shape:
                raise AlignmentError(
                    "a page's arrays describe the same spots and genes",
                    section=self.section,
                    field=name,
                    expected=shape,
                    found=array.shape,
                )
