"""The figures behind the advice as Vega-Lite: the stage profile and the learning curve."""

import base64
from collections.abc import Sequence
from typing import Any

from app.measured import Stage, Step

_INK = {"light": "#23262b", "dark": "#eceae4"}  # as in style.css
_QUIET = {"light": "#5d6067", "dark": "#a8a7a2"}
_PROFILE_HEIGHT, _CURVE_HEIGHT = 176, 200  # pixels
_DRAWN = 36  # pixels, of a small drawing below the profile
_ROOM = 64  # pixels between the profile and its axis, for the drawings and their names
# What the stages of a network see, from the first to the last (Zeiler and Fergus 2013).
_SEEN = {
    "edges": '<path d="M4 20L20 4M4 28L28 4M12 28L28 12"/>',
    "textures": '<path d="M4 8q3-5 6 0t6 0 6 0 6 0M4 16q3-5 6 0t6 0 6 0 6 0"/>'
    '<path d="M4 24q3-5 6 0t6 0 6 0 6 0"/>',
    "parts": '<circle cx="10" cy="22" r="6"/><circle cx="10" cy="22" r="1.5"/>'
    '<path d="M18 6h10v8H18z"/>',
    "objects": '<circle cx="9" cy="23" r="4"/><circle cx="23" cy="23" r="4"/>'
    '<path d="M3 22v-5l3-1 4-7h11l5 7 3 1v5h-2M13 23h6"/>',
}


def profile(stages: Sequence[Stage], theme: str) -> dict[str, Any]:
    """Return the accuracy of a probe at each stage, with standard errors, over small drawings."""
    ink, quiet = _colours(theme)
    values = [
        {"x": one.stage, "y": one.accuracy, "layer": one.layer, **_ends(one)} for one in stages
    ]
    x = {
        "field": "x", "type": "quantitative", "title": "stage of the network",
        "scale": {"domain": [0.5, max(len(stages), 1) + 0.5], "nice": False},
        "axis": {"values": [one.stage for one in stages], "format": "d", "grid": False,
                 "offset": _ROOM, "domain": False, "ticks": False},
    }  # fmt: skip
    tooltip = [
        {"field": "x", "title": "stage"}, {"field": "layer", "title": "layer"},
        {"field": "y", "title": "right", "format": ".1%"},
        {"field": "low", "title": "minus one standard error", "format": ".1%"},
        {"field": "high", "title": "plus one standard error", "format": ".1%"},
    ]  # fmt: skip
    layers = _line(x, _share("right"), ink, tooltip)
    return _figure(values, [*layers, *_drawings(len(stages), quiet)], _PROFILE_HEIGHT, quiet)


def curve(steps: Sequence[Step], theme: str) -> dict[str, Any]:
    """Return the accuracy of a probe over the number of pictures that it learned from."""
    ink, quiet = _colours(theme)
    values = [{"x": one.images, "y": one.accuracy, **_ends(one)} for one in steps]
    x = {
        "field": "x", "type": "quantitative", "title": "pictures learned from (logarithmic)",
        "scale": {"type": "log", "nice": False, "padding": 12},
        "axis": {"values": [one.images for one in steps], "format": ",", "grid": False},
    }  # fmt: skip
    tooltip = [
        {"field": "x", "title": "pictures", "format": ","},
        {"field": "y", "title": "right", "format": ".1%"},
        {"field": "low", "title": "minus one standard error", "format": ".1%"},
        {"field": "high", "title": "plus one standard error", "format": ".1%"},
    ]  # fmt: skip
    return _figure(values, _line(x, _share("right"), ink, tooltip), _CURVE_HEIGHT, quiet)


def in_words(what: str, values: Sequence[Stage] | Sequence[Step]) -> str:
    """Return what a figure shows, for those who cannot see it."""
    if not values:
        return f"The {what} was not measured."
    first, last = values[0], values[-1]
    best = max(values, key=lambda one: one.accuracy)
    return (
        f"The {what}: from {100 * first.accuracy:.0f} % right at {_at(first)} to"
        f" {100 * last.accuracy:.0f} % at {_at(last)}; most, {100 * best.accuracy:.0f} %, at"
        f" {_at(best)}."
    )


def table(values: Sequence[Stage] | Sequence[Step]) -> list[dict[str, Any]]:
    """Return the numbers of a figure, one row each."""
    rows = []
    for one in values:
        at = (
            {"stage": one.stage, "layer": one.layer}
            if isinstance(one, Stage)
            else {"pictures": one.images}
        )
        rows.append({**at, "accuracy": one.accuracy, "standard error": one.standard_error})
    return rows


def _at(one: Stage | Step) -> str:
    return f"stage {one.stage}" if isinstance(one, Stage) else f"{one.images:,} pictures"


def _ends(one: Stage | Step) -> dict[str, float]:
    error = one.standard_error or 0.0
    return {"low": max(0.0, one.accuracy - error), "high": min(1.0, one.accuracy + error)}


def _share(title: str) -> dict[str, Any]:
    return {
        "field": "y", "type": "quantitative", "title": title,
        "axis": {"format": ".0%", "tickCount": 5}, "scale": {"domain": [0, 1]},
    }  # fmt: skip


def _line(
    x: dict[str, Any], y: dict[str, Any], ink: str, tooltip: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    bar = {"field": "low", "type": "quantitative", "title": y["title"]}
    return [
        {"mark": {"type": "line", "color": ink, "strokeWidth": 2}, "encoding": {"x": x, "y": y}},
        {
            "mark": {"type": "rule", "color": ink, "strokeWidth": 2},
            "encoding": {"x": x, "y": bar, "y2": {"field": "high"}},
        },
        {
            "mark": {"type": "point", "color": ink, "filled": True, "size": 40, "opacity": 1},
            "encoding": {"x": x, "y": y, "tooltip": tooltip},
        },
    ]


def _drawings(stages: int, quiet: str) -> list[dict[str, Any]]:
    """Return the drawings of what stages see, spread from the first stage to the last."""
    if stages < 2:
        return []
    step = (stages - 1) / (len(_SEEN) - 1)
    values = [
        {"x": 1 + i * step, "name": name, "url": _picture(inside, quiet)}
        for i, (name, inside) in enumerate(_SEEN.items())
    ]
    x = {"field": "x", "type": "quantitative"}
    return [
        {
            "data": {"values": values},
            "mark": {"type": "image", "width": _DRAWN, "height": _DRAWN},
            "encoding": {"x": x, "y": {"value": _PROFILE_HEIGHT + 30}, "url": {"field": "url"}},
        },
        {
            "data": {"values": values},
            "mark": {"type": "text", "color": quiet, "fontSize": 12},
            "encoding": {"x": x, "y": {"value": _PROFILE_HEIGHT + 58}, "text": {"field": "name"}},
        },
    ]


def _picture(inside: str, colour: str) -> str:
    drawing = (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32" fill="none"'
        f' stroke="{colour}" stroke-width="1.75" stroke-linecap="round">{inside}</svg>'
    )
    return f"data:image/svg+xml;base64,{base64.b64encode(drawing.encode()).decode()}"


def _figure(
    values: list[dict[str, Any]], layers: list[dict[str, Any]], height: int, quiet: str
) -> dict[str, Any]:
    return {
        "data": {"values": values},
        "layer": layers,
        "height": height,
        "width": "container",
        "autosize": {"type": "fit-x", "contains": "padding"},  # what is below counts by pixels
        "config": {
            "view": {"stroke": None},
            "axis": {"titleFontWeight": 400, "labelColor": quiet, "titleColor": quiet},
            "axisY": {"labelFlush": False},
        },
    }


def _colours(theme: str) -> tuple[str, str]:
    kind = "dark" if theme == "dark" else "light"
    return _INK[kind], _QUIET[kind]
