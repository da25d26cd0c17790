"""Charts of scores: intervals, dots, distributions, scatter.

Belongs here: from rows of an answer to a drawing. Does not belong here: asking, maps of spots (``spot_maps``).

What is shown (the champion) is orange, all else blue: distinct also to the colour blind, and in grey.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gr2st_assets.report.svg import WIDTH, Scale, drawing, element, text, x_axis, y_axis

if TYPE_CHECKING:
    from markupsafe import Markup

_LEFT, _ROW, _TOP = 190, 24, 14
_RIGHT = WIDTH - 20
_BELOW = 40


@dataclass(frozen=True)
class Dot:
    """A value on a row of a chart, and what it tells when pointed at."""

    value: float
    label: str


@dataclass(frozen=True)
class Row:
    """A named row of dots.

    Attributes
    ----------
    middle
        Where a bar stands: the mean, or the difference.
    low, high
        Ends of an interval, or None.
    is_shown
        Whether it is the method that the report is about.
    is_filled
        Whether the middle is filled.
    """

    name: str
    middle: float | None = None
    dots: Sequence[Dot] = ()
    low: float | None = None
    high: float | None = None
    is_shown: bool = False
    is_filled: bool = True


def rows_of_dots(rows: Sequence[Row], title: str, label: str, *, origin: float = 0.0) -> "Markup":
    """Draw one line a row: its dots, and a bar at its middle; ``origin`` is on the scale in any case."""
    scale, bottom = _frame(rows, origin)
    drawn: list[str] = [x_axis(scale, _TOP, bottom, label)]
    for index, row in enumerate(rows):
        y = _TOP + _ROW * (index + 0.5)
        kind = "shown" if row.is_shown else "other"
        drawn.append(_name(row, y))
        drawn += [_dot(scale(dot.value), y, dot.label, f"dot {kind}") for dot in row.dots]
        if row.middle is not None:
            drawn.append(element("line", x1=scale(row.middle), x2=scale(row.middle), y1=y - 9, y2=y + 9, class_="mean"))
    return drawing(WIDTH, bottom + _BELOW, title, *drawn)


def intervals(rows: Sequence[Row], title: str, label: str) -> "Markup":
    """Draw one interval a row with its middle, filled or hollow."""
    scale, bottom = _frame(rows, 0.0)
    drawn: list[str] = [x_axis(scale, _TOP, bottom, label)]
    for index, row in enumerate(rows):
        y = _TOP + _ROW * (index + 0.5)
        kind = "shown" if row.is_shown else "other"
        drawn.append(_name(row, y))
        if row.low is not None and row.high is not None:
            drawn.append(element("line", x1=scale(row.low), x2=scale(row.high), y1=y, y2=y, class_=f"interval {kind}"))
        kind = f"{'dot' if row.is_filled else 'hollow'} {kind}"
        drawn += [_dot(scale(dot.value), y, dot.label, kind) for dot in row.dots]
    return drawing(WIDTH, bottom + _BELOW, title, *drawn)


def _frame(rows: Sequence[Row], origin: float) -> tuple[Scale, float]:
    """Scale over everything that the rows hold, the origin included, and where the rows end."""
    values = [dot.value for row in rows for dot in row.dots]
    values += [v for row in rows for v in (row.middle, row.low, row.high) if v is not None]
    low, high = min([*values, origin]), max([*values, origin])
    margin = 0.04 * (high - low or 1.0)
    return Scale(low - margin, high + margin, _LEFT, _RIGHT), _TOP + _ROW * len(rows)


def _name(row: Row, y: float) -> "Markup":
    return text(_LEFT - 10, y + 4, row.name, text_anchor="end", class_="name shown" if row.is_shown else "name")


def _dot(x: float, y: float, label: str, kind: str, radius: float = 4.5) -> "Markup":
    return element("circle", element("title", label), cx=x, cy=y, r=radius, class_=kind)


def histograms(
    counts: Mapping[str, Mapping[float, int]],
    step: float,
    title: str,
    label: str,
    *,
    shown: str,
    band: tuple[float, float] | None = None,
    line: float | None = None,
    origin: float = 0.0,
    unit: str = "genes",
) -> "Markup":
    """Draw one distribution a row, all on one scale of values, each as high as its own highest bar.

    Parameters
    ----------
    counts
        How many in the bin that starts at each value, by row.
    step
        Width of a bin.
    band, line
        A range of values, and one value, marked over all rows.
    origin
        Value that is on the scale in any case.
    """
    starts = [start for bins in counts.values() for start in bins]
    row, height = 46, 38
    scale = Scale(min([*starts, origin]) - step, max([*starts, origin]) + 2 * step, _LEFT, _RIGHT)
    bottom = _TOP + row * len(counts)
    drawn: list[str] = [x_axis(scale, _TOP, bottom, label)]
    if band is not None:
        width = max(scale(band[1]) - scale(band[0]), 2.0)
        drawn.append(element("rect", x=scale(band[0]), y=_TOP, width=width, height=bottom - _TOP, class_="band"))
    for index, (name, bins) in enumerate(counts.items()):
        base = _TOP + row * (index + 1) - 4
        kind = "shown" if name == shown else "other"
        drawn.append(_name(Row(name, is_shown=name == shown), base - 12))
        for start, count in sorted(bins.items()):
            tall = max(height * count / max(bins.values()), 0.8)
            told = element("title", f"{name}: {count} {unit} from {start:.2f} to {start + step:.2f}")
            place = {"x": scale(start), "y": base - tall, "width": scale(start + step) - scale(start) - 1}
            drawn.append(element("rect", told, **place, height=tall, class_=f"bar {kind}"))
    if line is not None:
        drawn.append(element("line", x1=scale(line), x2=scale(line), y1=_TOP, y2=bottom, class_="nominal"))
    return drawing(WIDTH, bottom + _BELOW, title, *drawn)


@dataclass(frozen=True)
class Point:
    """A gene in a scatter plot; marked ones are larger and named."""

    x: float
    y: float
    label: str
    is_marked: bool = False


def scatter(points: Iterable[Point], title: str, x_label: str, y_label: str) -> "Markup":
    """Draw points, the marked ones on top, each telling its label."""
    ordered = sorted(points, key=lambda point: point.is_marked)
    width, height = WIDTH / 2, 300
    xs, ys = [p.x for p in ordered], [p.y for p in ordered]
    x = Scale(min([*xs, 0.0]), max(xs) * 1.03, 44, width - 12)
    y = Scale(min([*ys, 0.0]) - 0.02, max([*ys, 0.0]) + 0.02, height - _BELOW, 28)
    drawn: list[str] = [x_axis(x, 28, height - _BELOW, x_label), y_axis(y, 44, width - 12, y_label)]
    for point in ordered:
        kind = "dot shown" if point.is_marked else "dot other faint"
        drawn.append(_dot(x(point.x), y(point.y), point.label, kind, 3.6 if point.is_marked else 2.4))
    return drawing(width, height, title, *drawn)
