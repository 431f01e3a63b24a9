"""Draw measured points with the straight line through them, as a small SVG picture."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

_WIDTH, _HEIGHT = 560, 400  # of a panel, in pixels
_LEFT, _RIGHT, _TOP, _BOTTOM = 74, 24, 64, 56
_INK, _GREY, _LINES = "#1b1f24", "#6b7280", "#e5e7eb"
_COLOURS = ("#2563eb", "#c2410c", "#0f766e")
_FONT = "font-family='system-ui, sans-serif'"


@dataclass(frozen=True)
class Line:
    """The least-squares line `intercept + slope * x`, and R2, the share that it explains."""

    intercept: float
    slope: float
    r_squared: float

    @classmethod
    def through(cls, x: Sequence[float], y: Sequence[float]) -> "Line":
        """Fit the points; of fewer than two, a flat line."""
        if len(set(x)) < 2:
            return cls(float(np.mean(y)), 0.0, 1.0)
        slope, intercept = np.polyfit(x, y, 1)
        rest = np.asarray(y) - (intercept + slope * np.asarray(x))
        total = float(((np.asarray(y) - np.mean(y)) ** 2).sum())
        return cls(float(intercept), float(slope), 1 - float((rest**2).sum()) / (total or 1.0))


@dataclass(frozen=True)
class Curve:
    """Points of one name, in the order of the x axis."""

    name: str
    x: Sequence[float]
    y: Sequence[float]


@dataclass(frozen=True)
class Panel:
    """One diagram; `limit` is (what it is, its value), drawn as a dashed line."""

    title: str
    x_title: str
    y_title: str
    curves: Sequence[Curve]
    limit: tuple[str, float] | None = None


def svg(panels: Sequence[Panel]) -> str:
    """Return the panels side by side as an SVG document."""
    width = _WIDTH * len(panels)
    parts = [
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {width} {_HEIGHT}' width='{width}'"
        f" height='{_HEIGHT}'><rect width='100%' height='100%' fill='white'/>"
    ]
    for place, panel in enumerate(panels):
        parts.append(f"<g transform='translate({place * _WIDTH} 0)'>{_panel(panel)}</g>")
    return "\n".join([*parts, "</svg>\n"])


def _panel(panel: Panel) -> str:
    most_x = max(max(curve.x) for curve in panel.curves)
    most_y = max(max(curve.y) for curve in panel.curves)
    most_y = max(most_y, panel.limit[1]) if panel.limit else most_y
    x_ticks, y_ticks = _ticks(most_x), _ticks(most_y)

    def across(value: float) -> float:
        return round(_LEFT + (_WIDTH - _LEFT - _RIGHT) * value / x_ticks[-1], 1)

    def up(value: float) -> float:
        return round(_HEIGHT - _BOTTOM - (_HEIGHT - _TOP - _BOTTOM) * value / y_ticks[-1], 1)

    right, bottom = across(x_ticks[-1]), up(0)
    parts = [_text(_LEFT, 24, panel.title, 15, _INK, weight="600")]
    for tick in y_ticks:
        parts.append(_stroke(_LEFT, up(tick), right, up(tick), _LINES))
        parts.append(_text(_LEFT - 8, up(tick) + 4, f"{tick:,g}", 11, _GREY, "end"))
    for tick in x_ticks:
        parts.append(_text(across(tick), bottom + 18, f"{tick:,g}", 11, _GREY, "middle"))
    parts.append(_text((_LEFT + right) / 2, _HEIGHT - 14, panel.x_title, 12, _GREY, "middle"))
    parts.append(_text(_LEFT, _TOP - 12, panel.y_title, 12, _GREY))
    if panel.limit:
        name, value = panel.limit
        parts.append(_stroke(_LEFT, up(value), right, up(value), _GREY, "stroke-dasharray='5 4'"))
        parts.append(_text(right, up(value) - 6, name, 11, _GREY, "end"))
    for number, curve in enumerate(panel.curves):
        colour = _COLOURS[number % len(_COLOURS)]
        line = Line.through(curve.x, curve.y)
        last = max(curve.x)
        ends = up(max(line.intercept, 0)), up(max(line.intercept + line.slope * last, 0))
        parts.append(_stroke(across(0), ends[0], across(last), ends[1], colour, "opacity='.6'"))
        parts += [
            f"<circle cx='{across(x)}' cy='{up(y)}' r='4.5' fill='{colour}'/>"
            for x, y in zip(curve.x, curve.y, strict=True)
        ]
        words = f"{curve.name} (R² = {line.r_squared:.4f})"
        parts.append(_text(_LEFT + 12, _TOP + 14 + 18 * number, words, 12, colour, weight="600"))
    return "".join(parts)


def _ticks(most: float) -> list[float]:
    """Return round numbers from 0 to one that is not below `most`."""
    rough = max(most, 1e-9) / 5
    power = 10.0 ** np.floor(np.log10(rough))
    step = float(next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= rough))
    return [round(step * i, 10) for i in range(int(np.ceil(most / step - 1e-9)) + 1)]


def _stroke(x1: float, y1: float, x2: float, y2: float, colour: str, more: str = "") -> str:
    place = f"x1='{x1}' y1='{y1}' x2='{x2}' y2='{y2}'"
    return f"<line {place} stroke='{colour}' stroke-width='1.5' {more}/>"


def _text(
    x: float, y: float, words: str, size: int, colour: str, anchor: str = "start", weight: str = ""
) -> str:
    heavy = f" font-weight='{weight}'" if weight else ""
    return (
        f"<text x='{x}' y='{y}' {_FONT} font-size='{size}' fill='{colour}'"
        f" text-anchor='{anchor}'{heavy}>{escape(words)}</text>"
    )
