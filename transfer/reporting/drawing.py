"""The charts of a report as SVG, without scripts: they print, and need no program to be seen."""

import html
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from transfer.evaluation import Accuracy

FONT = "Helvetica, Arial, sans-serif"
_INK, _QUIET, _LINE, _SUNKEN = "#23262b", "#5d6067", "#dcdad3", "#f3f2ee"
_TRAIN, _VALIDATION = "#0072b2", "#b34700"  # Okabe & Ito 2008, as on the pages
_HIT, _MISS = "#5d6067", "#d55e00"
_WIDTH = 640
_QUARTERS = (0, 0.25, 0.5, 0.75, 1)
_MARKED = 40  # so few points are marked one by one

Scale = Callable[[float], float]  # from a value to a place in the drawing


@dataclass(frozen=True)
class Bar:
    """A share with its interval, and what it is of."""

    name: str
    share: Accuracy


@dataclass(frozen=True)
class Line:
    """A curve: its name, its points (x, y), and for each the half width of an error bar or None."""

    name: str
    points: Sequence[tuple[float, float]]
    errors: Sequence[float | None] = ()
    dashed: bool = False


def whiskers(bars: Sequence[Bar], guess: float | None = None) -> str:
    """Return shares from 0 to 100 % as dots with their 95 % intervals, one below another."""
    left, right, row = 190, 90, 28
    height = row * len(bars) + 30

    def x(share: float) -> float:
        return left + (_WIDTH - left - right) * share

    parts = []
    for share in _QUARTERS:
        parts.append(_line(x(share), 4, x(share), height - 24))
        parts.append(_text(x(share), height - 8, f"{100 * share:.0f} %", anchor="middle"))
    if guess is not None:
        parts.append(_line(x(guess), 4, x(guess), height - 24, _QUIET, 2, "2 3"))
    for place, bar in enumerate(bars):
        y, one = row * place + 18, bar.share
        parts.append(_text(left - 10, y + 4, _short(bar.name), anchor="end", colour=_INK))
        parts.append(
            f'<rect x="{x(one.low):.1f}" y="{y - 3}" width="{max(2, x(one.high) - x(one.low)):.1f}"'
            f' height="6" rx="3" fill="{_QUIET}" fill-opacity="0.45"/>'
            f'<circle cx="{x(one.accuracy):.1f}" cy="{y}" r="5" fill="{_INK}"/>'
        )
        said = f"{100 * one.accuracy:.0f} %, n {one.n:,}"
        parts.append(_text(_WIDTH - right + 12, y + 4, said, colour=_INK))
    return _svg(height, parts)


def curves(lines: Sequence[Line], across: str, up: str, percent: bool = False) -> str:
    """Return curves over one axis; percent: the other goes from 0 to 100 %. "" without points."""
    height, left, bottom = 240, 62, 44
    points = [point for line in lines for point in line.points if all(map(math.isfinite, point))]
    if not points:
        return ""
    low, high = min(p[0] for p in points), max(p[0] for p in points)
    most = 1.0 if percent else 1.08 * max(p[1] for p in points) or 1.0

    def x(value: float) -> float:
        return left + (_WIDTH - left - 16) * (value - low) / ((high - low) or 1.0)

    def y(value: float) -> float:
        return height - bottom - (height - bottom - 28) * value / most

    parts = []
    for share in _QUARTERS:
        at, label = y(share * most), f"{100 * share:.0f} %" if percent else f"{share * most:.2g}"
        parts.append(
            _line(left, at, _WIDTH - 16, at) + _text(left - 8, at + 4, label, anchor="end")
        )
    for value in _ticks(low, high):
        parts.append(_text(x(value), height - bottom + 18, f"{value:g}", anchor="middle"))
    parts.append(_text((_WIDTH + left) / 2, height - 6, across, anchor="middle"))
    parts.append(_text(4, 14, up))
    for number, line in enumerate(lines):
        colour, dash = (_TRAIN, _VALIDATION)[number % 2], "6 4" if line.dashed else ""
        parts += _curve(line, colour, dash, x, y, most)
        if len(lines) > 1:
            at = _WIDTH - 260 + 130 * number
            parts.append(
                _line(at, 10, at + 24, 10, colour, 3, dash) + _text(at + 30, 14, line.name)
            )
    return _svg(height, parts)


def _curve(line: Line, colour: str, dash: str, x: Scale, y: Scale, most: float) -> list[str]:
    there = [p for p in line.points if all(map(math.isfinite, p))]
    path = " ".join(f"{x(a):.1f},{y(b):.1f}" for a, b in there)
    dashes = f' stroke-dasharray="{dash}"' if dash else ""
    parts = [f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"{dashes}/>']
    for place, (a, b) in enumerate(there):
        if place < len(line.errors) and (error := line.errors[place]):
            parts.append(
                _line(x(a), y(min(most, b + error)), x(a), y(max(0.0, b - error)), colour, 2)
            )
        if len(there) <= _MARKED:
            parts.append(f'<circle cx="{x(a):.1f}" cy="{y(b):.1f}" r="3" fill="{colour}"/>')
    return parts


def confusion(counts: np.ndarray, classes: Sequence[str]) -> str:
    """Return the confusion matrix: the label's row, the answer's column, tinted by the row."""
    size = len(classes)
    cell = max(16, min(64, 460 // size))
    left, top = 150, 110 if size > 4 else 40
    height = top + cell * size + 12
    parts = []
    there = np.maximum(counts.sum(axis=1), 1)
    for i, name in enumerate(classes):
        middle = cell * i + cell / 2
        parts.append(_text(left - 8, top + middle + 4, _short(name, 20), anchor="end", colour=_INK))
        x, y = left + middle, top - 8
        if size > 4:
            turned = f' transform="rotate(-60 {x:.0f} {y})"'
            parts.append(_text(x, y, _short(name, 16), colour=_INK, more=turned))
        else:
            parts.append(_text(x, y, _short(name, 9), anchor="middle", colour=_INK))
        for j in range(size):
            count, share = int(counts[i, j]), counts[i, j] / there[i]
            colour = _HIT if i == j else _MISS
            strength = 0.0 if not count else 0.12 + 0.6 * share
            box = f'x="{left + cell * j + 1}" y="{top + cell * i + 1}" width="{cell - 2}"'
            parts.append(f'<rect {box} height="{cell - 2}" rx="3" fill="{_SUNKEN}"/>')
            if count:
                parts.append(
                    f'<rect {box} height="{cell - 2}" rx="3" fill="{colour}"'
                    f' fill-opacity="{strength:.2f}"/>'
                    + _text(left + cell * j + cell / 2, top + middle + 4, f"{count:,}",
                            anchor="middle", colour=_INK, size=min(13, max(7, cell // 3)))
                )  # fmt: skip
    return _svg(height, parts, width=max(_WIDTH, left + cell * size + 60))


def reliability(bins: Sequence[tuple[float, Accuracy]]) -> str:
    """Return how often it was right (with intervals) over how sure it was, with the diagonal."""
    side, left, top = 300, 62, 14

    def x(value: float) -> float:
        return left + side * value

    def y(value: float) -> float:
        return top + side * (1 - value)

    parts = []
    for share in _QUARTERS:
        label = f"{100 * share:.0f} %"
        parts.append(_line(left, y(share), left + side, y(share)))
        parts.append(_text(left - 8, y(share) + 4, label, anchor="end"))
        parts.append(_text(x(share), top + side + 18, label, anchor="middle"))
    parts.append(_line(x(0), y(0), x(1), y(1), _QUIET, 1, "2 3"))
    for sure, found in bins:
        parts.append(_line(x(sure), y(found.low), x(sure), y(found.high), _VALIDATION, 2))
        parts.append(
            f'<circle cx="{x(sure):.1f}" cy="{y(found.accuracy):.1f}" r="4" fill="{_VALIDATION}"/>'
            + _text(x(sure) - 6, y(found.accuracy) + 14, f"{found.n:,}", anchor="end", size=10)
        )
    parts.append(_text(left + side / 2, top + side + 36, "how sure it was", anchor="middle"))
    parts.append(_text(left + side + 16, top + 10, "up: how often it was right"))
    parts.append(_text(left + side + 16, top + 28, "small: the number of pictures"))
    return _svg(top + side + 46, parts)


def _ticks(low: float, high: float) -> list[float]:
    """Return some round numbers between two."""
    step = 10 ** math.floor(math.log10(max(high - low, 1e-9)))
    step = next(s for s in (step / 5, step / 2, step, 2 * step, 5 * step) if (high - low) / s <= 9)
    step = max(step, 1.0)
    first = math.ceil(low / step)
    return [step * k for k in range(first, math.floor(high / step) + 1)]


def _line(x1: float, y1: float, x2: float, y2: float, colour: str = _LINE, width: int = 1,
          dash: str = "") -> str:  # fmt: skip
    dashes = f' stroke-dasharray="{dash}"' if dash else ""
    return (
        f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}"'
        f' stroke-width="{width}"{dashes}/>'
    )


def _short(name: str, most: int = 26) -> str:
    return name if len(name) <= most else f"{name[: most - 1]}…"


def _text(x: float, y: float, words: str, *, anchor: str = "start", colour: str = _QUIET,
          size: int = 12, more: str = "") -> str:  # fmt: skip
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}"'
        f' font-family="{FONT}" font-size="{size}"{more}>{html.escape(words)}</text>'
    )


def _svg(height: float, parts: Sequence[str], width: float = _WIDTH) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}"'
        f' width="{width:.0f}" height="{height:.0f}">{"".join(parts)}</svg>'
    )
