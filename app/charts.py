"""The figures of a training as Vega-Lite: losses and accuracies, training and validation."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

Row = dict[str, Any]

# Okabe and Ito 2008: told apart by everybody; solid and dashed besides.
COLOURS = {"light": ("#0072b2", "#b34700"), "dark": ("#56b4e9", "#e69f00")}
_PARTS = ("training", "validation")
DASHES = ([1, 0], [6, 4])
_QUIET = {"light": "#5d6067", "dark": "#a8a7a2"}  # as in style.css
_SUNKEN = {"light": "#e9e7e1", "dark": "#2e3137"}
_ALONE: Row = {"data": {"values": [{}]}}  # drawn once, and not for each row
_HEIGHT = 260
_TALLER = 60  # for the band of the phases and the epochs below it
_BAND = 18  # pixels at the bottom of curves over the epochs, for the phases
_FEW = 40  # rows that are marked one by one
_GAP = 6  # pixels above it
_HEAD = 40  # pixels at its left, for the head


@dataclass(frozen=True)
class Axis:
    """The horizontal axis: the field of the rows, its title, whether it is logarithmic.

    A `falling` one has its largest values at the left.
    """

    field: str
    title: str
    logarithmic: bool = False
    falling: bool = False


EPOCHS = Axis("epoch", "epoch (once through all training pictures)")
STRENGTHS = Axis("strength", "penalty on the classifier: less of it to the right", True, True)


def epochs(events: Iterable[Row]) -> list[Row]:
    """Return one row an epoch, in order; what a restarted process told again counts once.

    Epoch 0 is the linear classifier that fine-tuning starts from.
    """
    rows = {row["epoch"]: row for row in events if row["event"] == "epoch"}
    return [rows[number] for number in sorted(rows)]


def last_tuning(events: Sequence[Row]) -> tuple[int, list[Row]]:
    """Return what was told of the last fine-tuning, and how many came before it.

    A run that tries all ways fine-tunes twice; each ends with what it is as a candidate, which a
    restarted process may tell again.
    """
    parts: list[list[Row]] = [[]]
    ended: set[str] = set()
    for row in events:
        parts[-1].append(row)
        way = str(row.get("strategy")) if row["event"] == "candidate" else ""
        if way.startswith("finetune") and way not in ended:
            ended.add(way)
            parts.append([])
    told = [i for i, part in enumerate(parts) if any(map(_learned, part))]
    number = told[-1] if told else 0
    return number, parts[number]


def searched(events: Iterable[Row]) -> list[Row]:
    """Return one row for each strength of the linear classifier that was tried."""
    rows = {row["strength"]: row for row in events if row["event"] == "search"}
    return [rows[strength] for strength in sorted(rows)]


def best(rows: Sequence[Row]) -> Row | None:
    """Return the row with the lowest validation loss, the earliest of equal ones."""
    judged = [row for row in rows if _known(row, "val_loss")]
    return min(judged, key=lambda row: row["val_loss"]) if judged else None


def curves(rows: Sequence[Row], quantity: str, axis: Axis, theme: str) -> dict[str, Any]:
    """Return the figure of "loss" or "accuracy" over the axis, the best row marked."""
    colours = COLOURS["dark" if theme == "dark" else "light"]
    percent = quantity == "accuracy"
    values = [
        {"x": row[axis.field], "y": row[key], "part": part}
        for row in rows
        for part, key in zip(_PARTS, (quantity, f"val_{quantity}"), strict=True)
        if _known(row, key)
    ]
    x = _across(rows, axis)
    y: dict[str, Any] = {
        "field": "y", "type": "quantitative",
        "title": "share of right answers" if percent else "loss (surprise)",
        "axis": {"format": ".0%"} if percent else {"tickCount": 5},
        "scale": ({"domain": [0, 1]} if percent else {"domainMin": 0}) | _down_to(axis),
    }  # fmt: skip
    scale = {"domain": list(_PARTS)}
    line: dict[str, Any] = {
        "mark": {"type": "line", "point": _points(rows), "strokeWidth": 2},
        "encoding": {
            "x": x,
            "y": y,
            "color": {
                "field": "part", "type": "nominal", "title": None,
                "scale": scale | {"range": list(colours)},
                "legend": {"orient": "top", "symbolType": "stroke", "symbolStrokeWidth": 3},
            },
            "strokeDash": {
                "field": "part", "type": "nominal", "title": None,
                "scale": scale | {"range": list(DASHES)},
            },
            "tooltip": [
                {"field": "part", "title": "pictures"},
                {"field": "x", "title": axis.field, "format": ".3~g"},
                {"field": "y", "title": quantity, "format": ".1%" if percent else ".3f"},
            ],
        },
    }  # fmt: skip
    drawn = figure(values, [line, *_marks(rows, axis, theme)], theme)
    return drawn | ({"height": _HEIGHT + _TALLER} if axis == EPOCHS else {})


def rates(rows: Sequence[Row], theme: str) -> dict[str, Any] | None:
    """Return the figure of the learning rate over the epochs; None where it is not known."""
    values = [
        {"x": row["epoch"], "y": row["learning_rate"]}
        for row in rows
        if _known(row, "learning_rate")
    ]
    if not values:
        return None
    quiet = _QUIET["dark" if theme == "dark" else "light"]
    line = {
        "mark": {
            "type": "line", "strokeWidth": 2, "color": quiet,
            "point": _points(rows, color=quiet),
        },
        "encoding": {
            "x": _across(rows, EPOCHS) | {"title": "epoch"},
            "y": {
                "field": "y", "type": "quantitative", "title": "learning rate",
                "axis": {"format": "~g", "tickCount": 4},
                "scale": {"domainMin": 0} | _down_to(EPOCHS),
            },
            "tooltip": [
                {"field": "x", "title": "epoch"},
                {"field": "y", "title": "learning rate", "format": ".2~g"},
            ],
        },
    }  # fmt: skip
    drawn = figure(values, [line, *_marks(rows, EPOCHS, theme)], theme)
    return drawn | {"height": _HEIGHT + _TALLER}


def figure(values: list[dict[str, Any]], layers: list[Row], theme: str) -> dict[str, Any]:
    """Return layers over the same values as one figure, as wide as its place, in Vega-Lite."""
    quiet = _QUIET["dark" if theme == "dark" else "light"]
    return {
        "data": {"values": values},
        "layer": layers,
        "height": _HEIGHT,
        "width": "container",
        "config": {
            "view": {"stroke": None},
            "axis": {"titleFontWeight": 400, "labelColor": quiet, "titleColor": quiet},
            "axisY": {"labelFlush": False},
            "legend": {"labelColor": quiet},
        },
    }


def in_words(rows: Sequence[Row], quantity: str) -> str:
    """Return what a figure shows, for those who cannot see it."""
    if not rows:
        return f"The {quantity} is not known yet."
    first, last = rows[0], rows[-1]

    if quantity == "learning_rate":
        known = [row for row in rows if _known(row, quantity)]
        numbers = [f"{row[quantity]:.2g} in epoch {row['epoch']}" for row in (known[0], known[-1])]
        return f"Curve of the learning rate: {' to '.join(numbers)}."

    def value(row: Row, key: str) -> str:
        if not _known(row, key):
            return "unknown"
        number = row[key]
        return f"{100 * number:.0f} %" if quantity == "accuracy" else f"{number:.2f}"

    return (
        f"Curves of the {quantity}: on training pictures from {value(first, quantity)} to"
        f" {value(last, quantity)}, on validation pictures from"
        f" {value(first, f'val_{quantity}')} to {value(last, f'val_{quantity}')}."
    )


def _learned(row: Row) -> bool:
    """Whether it tells of an epoch; number 0 is the start."""
    return row["event"] == "epoch" and row["epoch"] > 0


def _known(row: Row, key: str) -> bool:
    """Whether a number is there; a training that diverged leaves some that are none."""
    return row.get(key) is not None and math.isfinite(row[key])


def _across(rows: Sequence[Row], axis: Axis) -> dict[str, Any]:
    """Return the horizontal axis; that of the epochs leaves room for the band of the phases."""
    x: dict[str, Any] = {"field": "x", "type": "quantitative", "title": axis.title}
    if axis.logarithmic:
        return x | {
            "scale": {"type": "log", "reverse": axis.falling},
            "axis": {"tickCount": 5, "format": "~g", "grid": False},
        }
    most = max([int(row[axis.field]) for row in rows], default=1)
    return x | {
        "scale": {"domain": [0, max(1, most)], "range": [_HEAD, {"expr": "width - 8"}]},
        "axis": {"tickMinStep": 1, "format": "d", "grid": False, "domain": False},
    }


def _points(rows: Sequence[Row], **more: str) -> Row | str:
    """Return how single values are marked; of many, only under the mouse."""
    return {"size": 28, "filled": True, **more} if len(rows) <= _FEW else "transparent"


def _down_to(axis: Axis) -> Row:
    """Return where the vertical axis ends, in pixels from the bottom to the top."""
    return {"range": [{"expr": f"height - {_BAND + _GAP}"}, 0]} if axis == EPOCHS else {}


def _marks(rows: Sequence[Row], axis: Axis, theme: str) -> list[Row]:
    """Return the rule at the best row, and the band of the phases below epochs."""
    chosen = best(rows)
    marks = [_mark(chosen[axis.field])] if chosen else []
    return marks + (_phases(theme) if axis == EPOCHS else [])


def _phases(theme: str) -> list[Row]:
    """Return the band of the phases: the head is there at epoch 0, then the network learns too."""
    kind = "dark" if theme == "dark" else "light"
    # Expressions: how high the figure is within its axes is known to the browser alone.
    top, middle, bottom = ({"expr": f"height - {less}"} for less in (_BAND, _BAND / 2, 0))
    parts: list[tuple[str, Any, Any]] = [("head", 0, _HEAD - 2), ("fine-tuning", _HEAD, "width")]
    layers: list[Row] = []
    for name, left, right in parts:
        box = {"type": "rect", "x": left, "x2": right, "y": top, "y2": bottom}
        text = {"type": "text", "text": name, "x": left + 5, "y": middle, "align": "left"}
        layers.append({**_ALONE, "mark": box | {"color": _SUNKEN[kind], "cornerRadius": 2}})
        layers.append(
            {**_ALONE, "mark": text | {"baseline": "middle", "color": _QUIET[kind], "fontSize": 11}}
        )
    return layers


def _mark(x: float) -> dict[str, Any]:
    """Return a rule at the best row; inline data of its own."""
    return {
        "data": {"values": [{"x": x}]},
        "mark": {"type": "rule", "strokeDash": [2, 3], "color": "#888888"},
        "encoding": {
            "x": {"field": "x", "type": "quantitative"},
            "tooltip": {"value": "best so far: lowest validation loss"},
        },
    }
