"""Plots as inline SVG: strings in, strings out, every text escaped; colours are the page's. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from html import escape
from typing import NamedTuple

from trunkline.bench.figures import quantile

_WIDTH = 640
_RIGHT = 24
_ROW = 34
_CHARACTER = 7.2
"""Pixels that a letter of a label takes, about."""
_LINE = 13
"""Pixels from one line of names to the next."""
_SHIFTS = (0, *(_LINE * step * way for step in range(1, 13) for way in (-1, 1)))
"""How far above or below its point a name may be, the nearest first."""
_FAR = 20
"""From how far on a line leads to it."""
_STEPS = (1, 2, 2.5, 5, 10)
_WIDE = 40
"""Ratio of the largest to the smallest value from which an axis is logarithmic."""
_LEAST = 1e-12
"""A largest value that is no more than this is drawn as nothing."""
_DEEPEST = 1e-6
"""Part of the largest value at which a logarithmic axis begins at the latest."""

Write = Callable[[float], str]


class Strip(NamedTuple):
    """The values of one place."""

    name: str
    values: Sequence[float]
    odd: bool = False


class Dot(NamedTuple):
    """A place in a plane."""

    name: str
    x: float
    y: float
    odd: bool = False


class Axis:
    """From values to pixels, linear from 0 or logarithmic, with ticks at round numbers."""

    def __init__(self, values: Iterable[float], start: float, end: float) -> None:
        """Fit all values between two pixels."""
        known = [value for value in values if math.isfinite(value)]
        top = max(known, default=1.0)
        top = top if top > _LEAST else 1.0
        low = max(min((v for v in known if v > 0), default=top), top * _DEEPEST)
        self.log = top / low > _WIDE
        self._start, self._end = start, end
        self.ticks = _decades(low, top) if self.log else _rounds(top)
        self._low = self.ticks[0]
        self._high = max(self.ticks[-1], top)

    def at(self, value: float) -> float:
        """Return the pixel of a value."""
        if self.log:
            span = math.log(self._high / self._low) or 1.0
            part = math.log(max(value, self._low) / self._low) / span
        else:
            part = value / self._high
        return self._start + (self._end - self._start) * part


class Labels:
    """Puts a name beside each point of a plane so that it lies on no other name or point."""

    def __init__(self, points: Sequence[tuple[float, float]], between: tuple[float, float]) -> None:
        """Take all points, and between which heights names may be."""
        self._boxes = [(x - 6, x + 6, y) for x, y in points]
        self._between = between

    def label(self, name: str, x: float, y: float) -> str:
        """Return a point's name: beside it where there is room, else nearby with a line to it."""
        wide = _CHARACTER * len(name)
        places = [(side, step) for step in _SHIFTS for side in (1, -1)]
        free = (place for place in places if self._is_free(self._box(x, y, wide, *place)))
        side, step = next(free, (1, 0))
        box = self._box(x, y, wide, side, step)
        self._boxes.append(box)
        at = x + 11 * side
        text = _text(at, box[2] + 4, name, "start" if side > 0 else "end", "label")
        if abs(step) < _FAR:
            return text
        return f'<line class="leader" x1="{x:.1f}" y1="{y:.1f}" x2="{at:.1f}" y2="{box[2]:.1f}"/>{text}'

    def _box(
        self, x: float, y: float, wide: float, side: int, step: int
    ) -> tuple[float, float, float]:
        start = x + 9 if side > 0 else x - 9 - wide
        return start, start + wide, y + step

    def _is_free(self, box: tuple[float, float, float]) -> bool:
        left, right, height = box
        inside = self._between[0] <= height <= self._between[1] - 4 and left > 0 and right < _WIDTH
        return inside and not any(
            left < b and a < right and abs(height - y) < _LINE for a, b, y in self._boxes
        )


def strips(rows: Sequence[Strip], caption: str, write: Write) -> str:
    """Draw each place's values as dots, with a box for the middle half and a line at the median."""
    left = 16 + _CHARACTER * max((len(row.name) for row in rows), default=0)
    axis = Axis([value for row in rows for value in row.values], left, _WIDTH - _RIGHT)
    bottom = 12 + _ROW * len(rows)
    drawn = [_grid(axis, 6, bottom, write)]
    for at, row in enumerate(rows):
        drawn.append(_strip(row, axis, 12 + _ROW * at + _ROW / 2, left, write))
    said = caption + (" (logarithmic)" if axis.log else "")
    drawn.append(_text(_WIDTH - _RIGHT, bottom + 36, said, "end", "quiet"))
    return _frame(_WIDTH, bottom + 44, caption, drawn)


def scatter(dots: Sequence[Dot], names: tuple[str, str], writes: tuple[Write, Write]) -> str:
    """Draw places in a plane; each has its name beside it."""
    height, left, bottom = 330, 70, 286
    across = Axis([dot.x for dot in dots], left, _WIDTH - 110)
    up = Axis([dot.y for dot in dots], bottom, 28)
    drawn = [_grid(across, 28, bottom, writes[0])]
    for tick in up.ticks:
        y = up.at(tick)
        drawn.append(
            f'<line class="grid" x1="{left}" x2="{_WIDTH - 90}" y1="{y:.1f}" y2="{y:.1f}"/>'
        )
        drawn.append(_text(left - 8, y + 4, writes[1](tick), "end", "quiet"))
    points = [(across.at(dot.x), up.at(dot.y)) for dot in dots]
    labels = Labels(points, (28.0, float(bottom)))
    for dot, (x, y) in sorted(zip(dots, points, strict=True), key=lambda pair: pair[1][1]):
        kind = "dot odd" if dot.odd else "dot"
        told = escape(f"{dot.name}: {writes[0](dot.x)}, {writes[1](dot.y)}")
        circle = f'<circle class="{kind}" cx="{x:.1f}" cy="{y:.1f}" r="6">'
        drawn.append(f"{circle}<title>{told}</title></circle>{labels.label(dot.name, x, y)}")
    drawn.append(_text(_WIDTH - 90, bottom + 36, names[0], "end", "quiet"))
    drawn.append(_text(8, 14, names[1], "start", "quiet"))
    return _frame(_WIDTH, height, f"{names[1]} by {names[0]}", drawn)


def matrix(names: Sequence[str], value: Callable[[str, str], float | None], caption: str) -> str:
    """Draw how each two places agree, the darker the more."""
    cell, left = 58, 16 + _CHARACTER * max((len(name) for name in names), default=0)
    top = 14 + _CHARACTER * 0.72 * max((len(name) for name in names), default=0)
    width = max(left + cell * len(names) + 60, 220)
    drawn: list[str] = []
    for row, one in enumerate(names):
        y = top + cell * 0.62 * row
        drawn.append(_text(left - 8, y + 23, one, "end", "label"))
        x = left + cell * row + cell / 2
        drawn.append(
            f'<text class="label" transform="translate({x:.1f} {top - 8:.1f}) rotate(-38)">'
            f"{escape(one)}</text>"
        )
        for column, other in enumerate(names):
            known = value(one, other) if one != other else None
            drawn.append(_cell(left + cell * column, y, cell, known, (one, other)))
    return _frame(width, top + cell * 0.62 * len(names) + 10, caption, drawn)


def _cell(x: float, y: float, size: float, value: float | None, names: tuple[str, str]) -> str:
    place = f'x="{x + 1:.1f}" y="{y + 1:.1f}" width="{size - 2:.1f}" height="{size * 0.62 - 2:.1f}" rx="3"'
    if value is None:
        return f'<rect class="none" {place}/>'
    depth = max(0.0, min(1.0, (value - 0.3) / 0.7))
    told = escape(f"{names[0]} and {names[1]}: {value:.1%}")
    ink = "deep" if depth > 0.55 else "label"
    return (
        f'<rect class="cell" style="fill-opacity:{0.06 + 0.94 * depth:.2f}" {place}>'
        f"<title>{told}</title></rect>"
        + _text(x + size / 2, y + size * 0.31 + 4, f"{value:.0%}", "middle", ink)
    )


def _strip(row: Strip, axis: Axis, y: float, left: float, write: Write) -> str:
    kind = " odd" if row.odd else ""
    drawn = [_text(left - 8, y + 4, row.name, "end", f"label{kind}")]
    values = sorted(row.values)
    if not values:
        return drawn[0] + _text(left + 6, y + 4, "no answer", "start", "quiet")
    low, middle, high = (quantile(values, part) for part in (0.25, 0.5, 0.75))
    start, end = axis.at(low), axis.at(high)
    drawn.append(
        f'<rect class="box{kind}" x="{start:.1f}" y="{y - 9:.1f}" width="{max(end - start, 1):.1f}" '
        'height="18" rx="3"/>'
    )
    for at, value in enumerate(values):
        shift = (at * 7 % 11 - 5) * 1.3
        drawn.append(
            f'<circle class="point{kind}" cx="{axis.at(value):.1f}" cy="{y + shift:.1f}" r="2.6"/>'
        )
    x = axis.at(middle)
    told = escape(f"{row.name}: median {write(middle)} of {len(values)}")
    drawn.append(
        f'<line class="middle{kind}" x1="{x:.1f}" x2="{x:.1f}" y1="{y - 12:.1f}" y2="{y + 12:.1f}">'
        f"<title>{told}</title></line>"
    )
    return "".join(drawn)


def _grid(axis: Axis, top: float, bottom: float, write: Write) -> str:
    drawn: list[str] = []
    for tick in axis.ticks:
        x = axis.at(tick)
        drawn.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{top}" y2="{bottom}"/>')
        drawn.append(_text(x, bottom + 17, write(tick), "middle", "quiet"))
    return "".join(drawn)


def _rounds(top: float) -> list[float]:
    """Return round numbers from 0 up to just over the largest value."""
    raw = top / 4
    power = 10 ** math.floor(math.log10(raw))
    step = next(s * power for s in _STEPS if s * power >= raw * 0.999)
    return [step * n for n in range(math.ceil(top / step - 1e-9) + 1)]


def _decades(low: float, top: float) -> list[float]:
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(top))
    return [10.0**n for n in range(first, max(last, first + 1) + 1)]


def _text(x: float, y: float, text: str, anchor: str, kind: str) -> str:
    return (
        f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
    )


def _frame(width: float, height: float, title: str, drawn: Iterable[str]) -> str:
    return (
        f'<svg viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" role="img" '
        f'aria-label="{escape(title)}">{"".join(drawn)}</svg>'
    )
