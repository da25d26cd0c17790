"""Maps of spots: observed, predicted and error of one gene side by side, as compact vector drawings.

Belongs here: spots at their true places in um, origin top left and y downwards, the scale bar, colour scales. Does
not belong here: which gene and section are drawn, asking.

A colour's spots are one path of dots, so 4,000 spots take about 40 kB; nothing is drawn between spots. Observed and
predicted share one sequential scale, the 2nd to 98th percentile of the observed; the error has a signed one, symmetric
about zero.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gr2st_assets.report.svg import Scale, drawing, element, nice, text

if TYPE_CHECKING:
    import numpy as np
    from markupsafe import Markup

DOT = 0.8
"""Width of a drawn spot, in pitches."""
PERCENTILES = (2, 98)
"""Of the observed values: ends of the shared colour scale."""
_COLOURS = 64
_PANEL, _GAP, _HEAD, _FOOT = 226.0, 21.0, 22.0, 50.0


@dataclass(frozen=True)
class Spots:
    """Where the spots of one section are.

    Attributes
    ----------
    x, y
        Centres in um, shape ``(n_spots,)``.
    pitch
        Distance of neighbours in um.
    """

    x: "np.ndarray"
    y: "np.ndarray"
    pitch: float


def gene_maps(spots: Spots, observed: "np.ndarray", predicted: "np.ndarray", title: str) -> "Markup":
    """Draw what was measured, what was predicted, and the error, with a scale bar.

    Parameters
    ----------
    observed, predicted
        In target units, shape ``(n_spots,)``, in the order of the spots.
    """
    import numpy as np

    low, high = (float(end) for end in np.percentile(observed, PERCENTILES))
    error = predicted - observed
    reach = float(np.abs(error).max()) or 1.0
    panels = (
        ("observed", observed, "viridis", low, high),
        ("predicted", predicted, "viridis", low, high),
        ("error: predicted \N{MINUS SIGN} observed", error, "RdBu_r", -reach, reach),
    )
    place = _Place.of(spots)
    drawn: list[str] = []
    for index, (name, values, colours, bottom, top) in enumerate(panels):
        left = index * (_PANEL + _GAP)
        inner: list[str] = [text(_PANEL / 2, 14, name, text_anchor="middle"), place.frame()]
        inner += place.dots(values, colours, bottom, top)
        inner += _colour_bar(colours, bottom, top, place.bottom + 10)
        if index == 0:
            inner += scale_bar(nice(_PANEL / place.per_um / 5), place.per_um, 0, place.bottom + 42)
        drawn.append(element("g", *inner, transform=f"translate({left:g} 0)"))
    return drawing(3 * _PANEL + 2 * _GAP, place.bottom + _FOOT, title, *drawn, kind="whole")


@dataclass(frozen=True)
class _Place:
    """One panel's own coordinates: tenths of a unit, so that whole numbers are precise enough."""

    x: "np.ndarray"
    y: "np.ndarray"
    per_um: float
    height: float
    pitch: float

    @classmethod
    def of(cls, spots: Spots) -> "_Place":
        margin = 0.7 * spots.pitch
        left, top = float(spots.x.min()) - margin, float(spots.y.min()) - margin
        width, height = float(spots.x.max()) + margin - left, float(spots.y.max()) + margin - top
        per_um = _PANEL / max(width, height)
        indent = (_PANEL - width * per_um) / 2
        x, y = (spots.x - left) * per_um + indent, (spots.y - top) * per_um + _HEAD
        return cls(x, y, per_um, height * per_um, spots.pitch * per_um)

    @property
    def bottom(self) -> float:
        """Where the panel ends."""
        return _HEAD + self.height

    def frame(self) -> "Markup":
        return element("rect", x=0, y=_HEAD, width=_PANEL, height=self.height, class_="ground")

    def dots(self, values: "np.ndarray", colours: str, low: float, high: float) -> "list[Markup]":
        """One path a colour, drawn as lines of no length with round ends."""
        import numpy as np

        steps = np.clip((values - low) / ((high - low) or 1.0), 0, 1) * (_COLOURS - 1)
        codes = np.round(steps).astype(int)
        places = [f"M{round(x * 10)} {round(y * 10)}h0" for x, y in zip(self.x, self.y, strict=True)]
        palette = _palette(colours)
        paths = [
            element("path", d="".join(places[i] for i in np.flatnonzero(codes == code)), stroke=palette[code])
            for code in np.unique(codes)
        ]
        return [element("g", *paths, class_="spots", transform="scale(.1)", stroke_width=DOT * self.pitch * 10)]


def scale_bar(um: float, per_um: float, x: float, y: float) -> "list[Markup]":
    """Draw a line of so many um with its length beside it."""
    end = x + um * per_um
    words = f"{um:,.0f} \N{MICRO SIGN}m".replace(",", " ")
    return [element("line", x1=x, x2=end, y1=y, y2=y, class_="scale"), text(end + 6, y + 4, words)]


def _colour_bar(colours: str, low: float, high: float, y: float) -> "list[Markup]":
    """The scale of a panel with its ends; a signed one with its zero."""
    palette, n = _palette(colours), 32
    scale = Scale(0, n, 40, _PANEL - 40)
    boxes = [
        element("rect", x=scale(i), y=y, width=scale(i + 1) - scale(i) + 0.3, height=8, fill=palette[i * 64 // n])
        for i in range(n)
    ]
    ends = [
        text(36, y + 8, _short(low), text_anchor="end", class_="tick"),
        text(_PANEL - 36, y + 8, _short(high), class_="tick"),
    ]
    return [element("g", *boxes, class_="colours"), *ends]


def _palette(name: str) -> Sequence[str]:
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    table = colormaps[name]
    return [to_hex(table(i / (_COLOURS - 1))) for i in range(_COLOURS)]


def _short(value: float) -> str:
    return f"{value:.2f}".replace("-", "\N{MINUS SIGN}")
