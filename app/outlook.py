"""Would more pictures help? What was measured with fewer of them, and what twice as many give."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from app import charts, shapes
from transfer.errors import RunError
from transfer.runs import Run

_NAME = "forecast"
_STEP = {"images": float, "accuracy": float}
_CLASS = {"class": str, "images": int, "recall": float}
_KINDS = ("measured", "forecast")

ABOUT = """
A quick classifier learned from fewer and fewer of your pictures, several times each, and was judged
on pictures that it had not learned from. A curve through these points (*learning curve*, a power
law) goes on to twice as many pictures and no further: beyond, nothing is known. The band holds the
truth in 90 of 100 such forecasts.

It holds for more pictures **of the same kind**. Pictures of what it gets wrong help more.
"""


@dataclass(frozen=True)
class Step:
    """The accuracy after learning from so many pictures, with its band, all in [0, 1]."""

    images: float
    accuracy: float
    low: float
    high: float


@dataclass(frozen=True)
class ClassGain:
    """How much of a class is found now, and what twice the pictures of all classes add to that.

    The gain and its band are None where it cannot be told from chance.
    """

    name: str
    images: int
    recall: float
    gain: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Forecast:
    """What was measured with fewer pictures, and what more of them would give."""

    curve: tuple[Step, ...]
    forecast: tuple[Step, ...]
    per_class: tuple[ClassGain, ...]
    sentence: str


def read(run: Run) -> Forecast | None:
    """Return what more pictures would give, where that was measured."""
    value = _object(run) or {}
    curve = shapes.each(value.get("curve"), _STEP, _step)
    ahead = shapes.each(value.get("forecast"), _STEP, _step)
    if not curve:
        return None
    per_class = shapes.each(value.get("per_class"), _CLASS, _class_gain)
    return Forecast(curve, ahead, per_class, str(value.get("sentence") or ""))


def chart(found: Forecast, theme: str) -> dict[str, Any]:
    """Return the curve with its band, and its continuation dashed, as Vega-Lite."""
    kind = "dark" if theme == "dark" else "light"
    ahead = (*found.curve[-1:], *found.forecast) if found.forecast else ()
    values = [
        {"x": one.images, "y": one.accuracy, "low": one.low, "high": one.high, "kind": name}
        for name, steps in zip(_KINDS, (found.curve, ahead), strict=True)
        for one in steps
    ]
    x = {
        "field": "x", "type": "quantitative", "title": "pictures learned from",
        "scale": {"domainMin": 0}, "axis": {"format": ",d", "grid": False, "tickCount": 6},
    }  # fmt: skip
    scale = {"domain": list(_KINDS)}
    colour = {
        "field": "kind", "type": "nominal", "title": None,
        "scale": scale | {"range": list(charts.COLOURS[kind])},
        "legend": {"orient": "top", "symbolType": "stroke", "symbolStrokeWidth": 3,
                   "symbolOpacity": 1},
    }  # fmt: skip
    dash = {
        "field": "kind", "type": "nominal", "title": None,
        "scale": scale | {"range": list(charts.DASHES)},
    }  # fmt: skip
    band = {
        "mark": {"type": "area", "opacity": 0.18},
        "encoding": {"x": x, "y": _share("low"), "y2": {"field": "high"}, "color": colour},
    }
    line = {
        "mark": {"type": "line", "strokeWidth": 2, "point": {"size": 36, "filled": True}},
        "encoding": {
            "x": x,
            "y": _share("y"),
            "color": colour,
            "strokeDash": dash,
            "tooltip": [
                {"field": "kind", "title": "this is"},
                {"field": "x", "title": "pictures", "format": ",.0f"},
                {"field": "y", "title": "right", "format": ".1%"},
                {"field": "low", "title": "at least", "format": ".1%"},
                {"field": "high", "title": "at most", "format": ".1%"},
            ],
        },
    }
    return charts.figure(values, [band, line], theme)


def sentence(found: Forecast) -> str:
    """Return what more pictures would give: as it was measured, else read off the curve."""
    if found.sentence or not found.forecast:
        return found.sentence
    now, then = found.curve[-1], found.forecast[-1]
    return (
        f"With {then.images:,.0f} pictures instead of {now.images:,.0f} it would be right on about"
        f" {_percent(then.accuracy)} (between {100 * then.low:.0f} and {_percent(then.high)})"
        f" instead of {_percent(now.accuracy)}."
    )


def in_words(found: Forecast) -> str:
    """Return what the figure shows, for those who cannot see it."""
    first, last = found.curve[0], found.curve[-1]
    told = (
        f"The learning curve: from {_percent(first.accuracy)} right after {first.images:,.0f}"
        f" pictures to {_percent(last.accuracy)} after {last.images:,.0f}"
    )
    if not found.forecast:
        return f"{told}."
    end = found.forecast[-1]
    return (
        f"{told}; forecast for {end.images:,.0f}: {_percent(end.accuracy)}, between"
        f" {_percent(end.low)} and {_percent(end.high)}."
    )


def table(found: Forecast) -> list[dict[str, Any]]:
    """Return the numbers of the figure, one row each; shares from 0 to 1."""

    def rows(kind: str, steps: Sequence[Step]) -> list[dict[str, Any]]:
        return [
            {
                "pictures": round(one.images),
                "kind": kind,
                "accuracy": round(one.accuracy, 4),
                "low": round(one.low, 4),
                "high": round(one.high, 4),
            }
            for one in steps
        ]

    return [*rows(_KINDS[0], found.curve), *rows(_KINDS[1], found.forecast)]


def classes(found: Forecast) -> list[dict[str, Any]]:
    """Return what twice the pictures add to each class, the most first; shares from 0 to 1."""
    order = sorted(found.per_class, key=lambda one: -(one.gain if one.gain is not None else -1))
    return [
        {
            "class": one.name,
            "pictures": one.images,
            "found now": round(one.recall, 4),
            "twice the pictures add": None if one.gain is None else round(one.gain, 4),
            "at least": None if one.low is None else round(one.low, 4),
            "at most": None if one.high is None else round(one.high, 4),
        }
        for one in order
    ]


def _object(run: Run) -> dict[str, Any] | None:
    try:
        value = run.read(_NAME)
    except RunError:
        return None
    return value if isinstance(value, dict) else None


def _step(one: dict[str, Any]) -> Step:
    share = one["accuracy"]
    return Step(
        images=one["images"],
        accuracy=share,
        low=shapes.fitting(one.get("low"), float, share),
        high=shapes.fitting(one.get("high"), float, share),
    )


def _class_gain(one: dict[str, Any]) -> ClassGain:
    gain, low, high = (shapes.fitting(one.get(key), float, None) for key in ("gain", "low", "high"))
    return ClassGain(one["class"], one["images"], one["recall"], gain, low, high)


def _share(field: str) -> dict[str, Any]:
    return {
        "field": field, "type": "quantitative", "title": "share of right answers",
        "axis": {"format": ".0%", "tickCount": 5}, "scale": {"domain": [0, 1]},
    }  # fmt: skip


def _percent(share: float) -> str:
    return f"{100 * share:.0f}\u00a0%"
