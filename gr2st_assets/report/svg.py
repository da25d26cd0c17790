"""Drawings as text: SVG elements whose text and attributes are always escaped, and axes.

Belongs here: what every drawing is made of. Does not belong here: charts (``charts``), maps (``spot_maps``).

Drawings are written by hand, not by a plotting library: they follow the page's colours in light and dark, a dot tells
its value when pointed at, and equal numbers give equal bytes.
"""

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from markupsafe import Markup

WIDTH = 720
"""Of a drawing, in its own units; the page scales it."""


def element(name: str, *content: str, **attributes: str | float) -> "Markup":
    """Write an element; content that is not markup is text.

    Parameters
    ----------
    attributes
        ``_`` stands for ``-``, a trailing ``_`` is dropped (``class_``); numbers are written with two decimals at most.
    """
    from markupsafe import Markup, escape

    written = Markup("").join(
        Markup(' {}="{}"').format(key.rstrip("_").replace("_", "-"), number(value) if _is_number(value) else value)
        for key, value in attributes.items()
    )
    inner = Markup("").join(escape(part) for part in content)
    return Markup("<{0}{1}>{2}</{0}>").format(name, written, inner)


def drawing(width: float, height: float, title: str, *content: str, kind: str = "") -> "Markup":
    """Write a drawing with the text that stands for it; ``kind`` is its class, by default by its width."""
    shape = {"viewBox": f"0 0 {number(width)} {number(height)}", "role": "img", "aria-label": title}
    kind = kind or ("whole" if width == WIDTH else "half")
    return element("svg", element("title", title), *content, class_=kind, **shape)


def text(x: float, y: float, words: str, **attributes: str | float) -> "Markup":
    """Write words at a place."""
    return element("text", words, x=x, y=y, **attributes)


def number(value: float) -> str:
    """Write a number with two decimals at most."""
    return f"{value:.2f}".rstrip("0").rstrip(".") if value % 1 else str(int(value))


def ticks(low: float, high: float, most: int = 7) -> list[float]:
    """Round numbers between two, at equal steps of 1, 2 or 5 times a power of ten."""
    step = nice((high - low) / most)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(i * step, 10) for i in range(first, last + 1)]


def nice(value: float) -> float:
    """Find the next 1, 2 or 5 times a power of ten that is not smaller."""
    power = 10.0 ** math.floor(math.log10(value))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= value * (1 - 1e-9))


class Scale:
    """A straight line from values to places."""

    def __init__(self, low: float, high: float, start: float, end: float) -> None:
        """Let ``low`` lie at ``start`` and ``high`` at ``end``; equal bounds are drawn apart."""
        self.low, self.high = (low, high) if high > low else (low - 0.5, low + 0.5)
        self.start, self.end = start, end

    def __call__(self, value: float) -> float:
        """Place of a value."""
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)


def x_axis(scale: Scale, top: float, bottom: float, label: str) -> "Markup":
    """Draw grid lines, their values below, and what they mean."""
    from markupsafe import Markup

    lines = [
        element("line", x1=scale(v), x2=scale(v), y1=top, y2=bottom, class_="zero" if v == 0 else "grid")
        for v in ticks(scale.low, scale.high)
    ]
    values = [
        text(scale(v), bottom + 15, _signed(v), text_anchor="middle", class_="tick")
        for v in ticks(scale.low, scale.high)
    ]
    name = text((scale.start + scale.end) / 2, bottom + 33, label, text_anchor="middle")
    return Markup("").join([*lines, *values, name])


def y_axis(scale: Scale, left: float, right: float, label: str) -> "Markup":
    """Draw grid lines with their values to the left; the label stands above."""
    from markupsafe import Markup

    lines = [
        element("line", x1=left, x2=right, y1=scale(v), y2=scale(v), class_="zero" if v == 0 else "grid")
        for v in ticks(scale.low, scale.high)
    ]
    values = [
        text(left - 6, scale(v) + 4, _signed(v), text_anchor="end", class_="tick") for v in ticks(scale.low, scale.high)
    ]
    return Markup("").join([*lines, *values, text(left, scale.end - 8, label)])


def _signed(value: float) -> str:
    return f"{value:g}".replace("-", "\N{MINUS SIGN}")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
