"""The picture of a search: each trial a dot, its learning rate against its validation loss."""

import math
from collections.abc import Sequence
from typing import Any

from app import charts, shapes

Row = dict[str, Any]

ROUNDS = ("coarse", "fine")
_TRIAL = {
    "number": int,
    "round": str,
    "settings": {shapes.EACH: (str, float)},
    "value": (float, None),
    "state": str,
    "reason": str,
}
_EDGE = {"setting": str, "at": str, "range": [float], "widened": [float], "matters": bool}
_NAMES = {
    "learning_rate": "learning rate",
    "weight_decay": "weight decay",
    "l2": "L2",
    "dropout": "dropout",
    "frozen_level": "frozen levels",
    "augmentation": "augmentation",
}
AXES = {name: title for name, title in _NAMES.items() if name != "augmentation"}
_ENDS = {"complete": "whole", "pruned": "ended early", "stopped": "ruined", "unfinished": "goes on"}
_HEIGHT = 380  # pixels
_FAR = 8.0  # times the lowest loss: from there on the losses are on a logarithmic axis
_LOGARITHMIC = ("learning_rate", "weight_decay", "l2")


def spec(found: Row, theme: str, setting: str = "learning_rate") -> Row:
    """Return the figure of a search's result in Vega-Lite, as wide as its place.

    Pruned trials are hollow, at the lowest loss that they had; ruined ones have none and stand at
    the top. The ends of the searched range are drawn as rules, strong where the best lies.

    Args:
        found: the JSON of a search.
        theme: "light" or "dark".
        setting: what is on the horizontal axis; any range of the search.
    """
    colours = charts.COLOURS["dark" if theme == "dark" else "light"]
    x: Row = {"field": "x", "type": "quantitative", "title": _NAMES[setting]}
    if setting in _LOGARITHMIC:
        x |= {"scale": {"type": "log"}, "axis": {"tickCount": 5, "format": "~g", "grid": False}}
    else:
        x |= {"scale": {"zero": False}, "axis": {"tickCount": 5, "grid": False}}
    values = _values(found, setting)
    losses = [value["y"] for value in values]
    # One bad trial would press all others together.
    apart = bool(losses) and min(losses) > 0 and max(losses) > _FAR * min(losses)
    alone = len(set(losses)) == 1  # one dot makes no scale: from zero, then
    dots: Row = {
        "mark": {"type": "point", "size": 70, "strokeWidth": 2},
        "encoding": {
            "x": x,
            "y": {
                "field": "y", "type": "quantitative", "title": "lowest validation loss",
                "scale": {"type": "log"} if apart else {"zero": alone},
                "axis": {"tickCount": 5, "format": "~g"},
            },
            "color": {
                "field": "round", "type": "nominal", "title": None,
                "scale": {"domain": list(ROUNDS), "range": list(colours)},
                "legend": {"orient": "top"},
            },
            "shape": {
                "field": "round", "type": "nominal", "title": None,
                "scale": {"domain": list(ROUNDS), "range": ["circle", "triangle-up"]},
            },
            "fillOpacity": {
                "condition": {"test": "datum.early", "value": 0}, "value": 0.75,
            },
            "fill": {
                "field": "round", "type": "nominal", "legend": None,
                "scale": {"domain": list(ROUNDS), "range": list(colours)},
            },
            "tooltip": [
                {"field": "trial"},
                {"field": "x", "title": _NAMES[setting], "format": ".3~g"},
                {"field": "loss", "title": "validation loss"},
                {"field": "others", "title": "with"},
                {"field": "reason", "title": "ended"},
            ],
        },
    }  # fmt: skip
    layers = [*_rules(found, setting), dots]
    if best := [value for value in values if value["best"]]:
        layers.append(_ring(best, colours[1]))
    return charts.figure(values, layers, theme) | {"height": _HEIGHT}


def in_words(found: Row) -> str:
    """Return what the figure shows, for those who cannot see it."""
    trials = _trials(found)
    whole = [one for one in trials if one["state"] == "complete" and one["value"] is not None]
    if not whole:
        return "No trial of the search is whole yet."
    losses = [one["value"] for one in whole]
    rates = [one["settings"]["learning_rate"] for one in trials if _has(one, "learning_rate")]
    best = min(whole, key=lambda one: one["value"])
    early = sum(one["state"] in ("pruned", "stopped") for one in trials)
    words = (
        f"{len(trials)} trials with learning rates from {min(rates):.2g} to {max(rates):.2g}."
        f" The {len(whole)} whole ones have validation losses from {min(losses):.3g} to"
        f" {max(losses):.3g}; the best is trial {best['number'] + 1} at a learning rate of"
        f" {best['settings']['learning_rate']:.3g}."
    )
    if early:
        words += f" {early} ended early."
    for edge in _edges(found):
        if edge["setting"] == "learning_rate":
            side = "lower" if edge["at"] == "low" else "upper"
            words += f" The best lies at the {side} edge of the range."
    return words


def table(found: Row) -> list[Row]:
    """Return one row a trial, in plain words, the order being that in which they were made."""
    return [
        {
            "trial": one["number"] + 1,
            "round": one["round"],
            "lowest validation loss": one["value"],
            "how it ended": _ENDS.get(one["state"], one["state"]),
            **{_titled(name): value for name, value in one["settings"].items()},
        }
        for one in _trials(found)
    ]


def warnings(found: Row) -> list[Row]:
    """Return what to say of each edge that counts, and what widens it.

    Each is {"setting", "words", "button"}: the button's search goes on with `setting` widened.
    """
    told = []
    for edge in _edges(found):
        if not (edge["matters"] or edge["setting"] == "learning_rate"):
            continue  # it makes no difference: the best lies there by chance
        name, (low, high) = _NAMES[edge["setting"]], edge["widened"]
        side = "lower" if edge["at"] == "low" else "upper"
        told.append(
            {
                "setting": edge["setting"],
                "words": f"The best {name} lies at the {side} edge of what was searched: a better"
                " one may lie beyond.",
                "button": f"Widen to {low:.3g} … {high:.3g} and go on",
            }
        )
    return told


def _titled(setting: str) -> str:
    return _NAMES.get(setting, setting)


def _trials(found: Row) -> list[Row]:
    given = found.get("trials", [])
    return [one for one in given if shapes.fits(one, _TRIAL)] if isinstance(given, list) else []


def _edges(found: Row) -> list[Row]:
    given = found.get("edges", [])
    fitting = [one for one in given if shapes.fits(one, _EDGE)] if isinstance(given, list) else []
    return [one for one in fitting if one["setting"] in _NAMES and len(one["widened"]) == 2]


def _has(trial: Row, setting: str) -> bool:
    return isinstance(trial["settings"].get(setting), int | float)


def _values(found: Row, setting: str) -> list[Row]:
    trials = [one for one in _trials(found) if _has(one, setting)]
    known = [one["value"] for one in trials if one["value"] is not None]
    top = max(known, default=1.0)
    values = []
    for one in trials:
        others = [
            f"{_NAMES.get(name, name)} {value if isinstance(value, str) else format(value, '.3g')}"
            for name, value in one["settings"].items()
            if name != setting
        ]
        loss = one["value"]
        values.append(
            {
                "trial": f"trial {one['number'] + 1}, {one['round']}",
                "x": one["settings"][setting],
                "y": top if loss is None else loss,
                "loss": "ruined" if loss is None else f"{loss:.3g}",
                "round": one["round"],
                "early": one["state"] != "complete",
                "best": one["number"] == found.get("best_trial"),
                "others": ", ".join(others),
                "reason": one["reason"],
            }
        )
    return values


def _rules(found: Row, setting: str) -> list[Row]:
    """Return the ends of the range that was searched; at an edge that warns, a strong rule."""
    space = found.get("space")
    one = space.get(setting) if isinstance(space, dict) else None
    if not shapes.fits(one, {"low": float, "high": float}) or not isinstance(one, dict):
        return []
    warned = {edge["at"] for edge in _edges(found) if edge["setting"] == setting}
    ends: Sequence[tuple[str, float]] = (("low", one["low"]), ("high", one["high"]))
    return [
        {
            "data": {"values": [{"x": value}]},
            "mark": {
                "type": "rule",
                "color": "#888888",
                "strokeWidth": 3 if side in warned else 1,
                "strokeDash": [2, 3] if side in warned else [1, 0],
            },
            "encoding": {
                "x": {"field": "x", "type": "quantitative"},
                "tooltip": {"value": f"{'lower' if side == 'low' else 'upper'} end of the range"},
            },
        }
        for side, value in ends
        if math.isfinite(value)
    ]


def _ring(best: list[Row], colour: str) -> Row:
    """Return a ring round the best trial; inline data of its own."""
    return {
        "data": {"values": best},
        "mark": {"type": "point", "shape": "circle", "size": 320, "strokeWidth": 2.5,
                 "filled": False, "color": colour},
        "encoding": {
            "x": {"field": "x", "type": "quantitative"},
            "y": {"field": "y", "type": "quantitative"},
            "tooltip": {"value": "the best: lowest validation loss"},
        },
    }  # fmt: skip
