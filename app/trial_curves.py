"""The curves of the checks before a training: twenty pictures by heart, and the test of rates."""

import math
from typing import Any

from app import charts
from app.rehearsed import Overfit, RateRange

_HEIGHT = 184  # pixels
_LEGEND = 48  # pixels, of a figure that has one
_WORTH_SEEING = 1.5  # times the first loss: beyond, the fall would be flat beside it


def by_heart(found: Overfit, theme: str) -> dict[str, Any]:
    """Return the loss at each step of learning a few pictures by heart, from zero."""
    values = [{"x": i, "y": loss} for i, loss in enumerate(found.losses) if math.isfinite(loss)]
    x = {
        "field": "x", "type": "quantitative", "title": "step",
        "axis": {"tickMinStep": 1, "format": "d", "grid": False}, "scale": {"nice": False},
    }  # fmt: skip
    y = {**_LOSS, "scale": {"domainMin": 0}}
    return _figure(values, [_line(x, y, theme, "step")], theme)


def rates(found: RateRange, theme: str) -> dict[str, Any]:
    """Return the loss over the rate, with the chosen rate and that of the settings marked."""
    pairs = zip(found.rates, found.losses, strict=False)
    values = [{"x": x, "y": y} for x, y in pairs if x > 0 and math.isfinite(y)]
    x = {
        "field": "x", "type": "quantitative", "title": "learning rate (logarithmic)",
        "scale": {"type": "log", "nice": False},
        "axis": {"tickCount": 5, "format": "~g", "grid": False},
    }  # fmt: skip
    highest = _WORTH_SEEING * max([row["y"] for row in values[:1]], default=1.0)
    y = {**_LOSS, "scale": {"domain": [0, highest or 1.0]}}
    line = _line(x, y, theme, "rate")
    layers = [{**line, "mark": {**line["mark"], "clip": True}}]
    colour = charts.COLOURS["dark" if theme == "dark" else "light"][1]
    marks = [{"x": found.planned, "what": "set now"}]
    if found.chosen is not None:
        marks.append({"x": found.chosen, "what": "chosen"})
    named = {"field": "what", "type": "nominal", "title": None}
    layers.append({
        "data": {"values": marks},
        "mark": {"type": "rule", "color": colour, "strokeWidth": 2},
        "encoding": {
            "x": {"field": "x", "type": "quantitative"},
            "strokeDash": {
                **named, "scale": {"domain": ["chosen", "set now"], "range": [[1, 0], [4, 4]]},
                "legend": {"orient": "top", "symbolType": "stroke", "symbolStrokeColor": colour},
            },
            "tooltip": [named, {"field": "x", "title": "rate", "format": ".2~g"}],
        },
    })  # fmt: skip
    return {**_figure(values, layers, theme), "height": _HEIGHT + _LEGEND}


def by_heart_in_words(found: Overfit) -> str:
    """Return what the first curve shows, for those who cannot see it."""
    if not found.losses:
        return "The loss was not measured."
    return (
        f"The loss falls from {found.losses[0]:.2f} to {found.losses[-1]:.2f} in {found.steps}"
        " steps."
        if found.losses[-1] < found.losses[0]
        else f"The loss does not fall: {found.losses[0]:.2f} at first, {found.losses[-1]:.2f} at"
        f" the end of {found.steps} steps."
    )


def rates_in_words(found: RateRange) -> str:
    """Return what the second curve shows, for those who cannot see it."""
    known = [
        pair for pair in zip(found.losses, found.rates, strict=False) if math.isfinite(pair[0])
    ]
    if not known:
        return "The loss was not measured at any rate."
    least, at = min(known)
    chosen = "none is chosen" if found.chosen is None else f"{found.chosen:.2g} is chosen"
    return f"The loss is lowest, {least:.2f}, at a rate of {at:.2g}; {chosen}."


_LOSS: dict[str, Any] = {
    "field": "y", "type": "quantitative", "title": "loss (surprise)", "axis": {"tickCount": 4},
}  # fmt: skip


def _line(x: dict[str, Any], y: dict[str, Any], theme: str, what: str) -> dict[str, Any]:
    colour = charts.COLOURS["dark" if theme == "dark" else "light"][0]
    tooltip = [
        {"field": "x", "title": what, "format": ".3~g"},
        {"field": "y", "title": "loss", "format": ".3f"},
    ]
    mark = {"type": "line", "color": colour, "strokeWidth": 2}
    return {"mark": mark, "encoding": {"x": x, "y": y, "tooltip": tooltip}}


def _figure(
    values: list[dict[str, Any]], layers: list[dict[str, Any]], theme: str
) -> dict[str, Any]:
    return {**charts.figure(values, layers, theme), "height": _HEIGHT}
