"""The figures of a training: what they draw of real and of odd events."""

import json
import math

import altair
import pytest

from app import charts
from app.charts import EPOCHS, STRENGTHS
from transfer.runs import Run


def _epoch(number: int, **values: float | str | None) -> charts.Row:
    row: charts.Row = {"event": "epoch", "time": 1.0, "phase": "fine_tuning", "epoch": number}
    usual = {"loss": 1 / (number + 1), "accuracy": 0.5, "val_loss": 1.0, "val_accuracy": 0.25}
    return row | usual | values


def _drawn(spec: charts.Row, part: str) -> list[tuple[float, float]]:
    return [(v["x"], v["y"]) for v in spec["data"]["values"] if v["part"] == part]


def _is_rule(layer: charts.Row) -> bool:
    return layer["mark"]["type"] == "rule"


def _marked(spec: charts.Row) -> list[float]:
    return [layer["data"]["values"][0]["x"] for layer in spec["layer"] if _is_rule(layer)]


def _valid(spec: charts.Row) -> None:
    """Hold the figure against the schema of Vega-Lite, and see that it is JSON."""
    altair.LayerChart.from_dict(spec)
    json.dumps(spec, allow_nan=False)


def test_a_repeated_epoch_counts_once_and_the_last_word_counts():
    rows = charts.epochs(
        [
            {"event": "phase", "phase": "features"},
            _epoch(2, loss=0.2),
            _epoch(0, loss=0.9),
            _epoch(1, loss=0.5),
            _epoch(2, loss=0.3),
        ]
    )
    assert [(row["epoch"], row["loss"]) for row in rows] == [(0, 0.9), (1, 0.5), (2, 0.3)]
    assert charts.epochs([]) == []


def test_two_fine_tunings_of_one_run_are_kept_apart():
    few, many = (
        {"event": "candidate", "strategy": name} for name in ("finetune_few", "finetune_many")
    )
    probe = {"event": "candidate", "strategy": "linear_top"}
    head = _epoch(0, phase="head")
    assert charts.last_tuning([]) == (0, [])
    assert charts.last_tuning([probe, head]) == (0, [probe, head])
    # A process that was killed and begins anew tells of the probe once more.
    first = [probe, head, _epoch(1), probe, head, _epoch(2), few]
    assert charts.last_tuning(first) == (0, first)
    second = [_epoch(1), few, _epoch(2), many]
    assert charts.last_tuning([*first, *second]) == (1, second)


def test_a_real_run_gives_one_row_for_each_strength(learned):
    events, _ = Run(learned.home / "runs" / learned.run_id).events_since()
    steps = charts.searched(events)
    assert len(steps) >= 3
    strengths = [step["strength"] for step in steps]
    assert strengths == sorted(strengths)
    for quantity in ("loss", "accuracy"):
        spec = charts.curves(steps, quantity, STRENGTHS, "light")
        _valid(spec)
        assert _drawn(spec, "training") == [(s["strength"], s[quantity]) for s in steps]
        assert _drawn(spec, "validation") == [(s["strength"], s[f"val_{quantity}"]) for s in steps]
        least = min(steps, key=lambda step: step["val_loss"])
        assert _marked(spec) == [least["strength"]]
        scale = spec["layer"][0]["encoding"]["x"]["scale"]
        assert scale == {"type": "log", "reverse": True}  # less penalty, more freedom: to the right


def test_curves_start_at_zero_and_shares_end_at_one():
    rows = [_epoch(0), _epoch(1)]
    loss, accuracy = (charts.curves(rows, q, EPOCHS, "light") for q in ("loss", "accuracy"))
    for spec in (loss, accuracy):
        _valid(spec)
        x, y = (spec["layer"][0]["encoding"][axis] for axis in "xy")
        assert x["scale"]["domain"] == [0, 1]
        assert x["title"]
        assert y["title"]
    assert loss["layer"][0]["encoding"]["y"]["scale"]["domainMin"] == 0
    assert accuracy["layer"][0]["encoding"]["y"]["scale"]["domain"] == [0, 1]


def test_the_learning_rate_is_a_figure_of_its_own_over_the_same_epochs():
    rows = [_epoch(0), *(_epoch(n, learning_rate=1e-3 / n, val_loss=1 / n) for n in (1, 2))]
    spec = charts.rates(rows, "light")
    assert spec is not None
    _valid(spec)
    assert spec["data"]["values"] == [{"x": 1, "y": 1e-3}, {"x": 2, "y": 5e-4}]
    assert spec["layer"][0]["encoding"]["x"]["scale"]["domain"] == [0, 2]
    assert _marked(spec) == [2]
    assert "0.001 in epoch 1 to 0.0005 in epoch 2" in charts.in_words(rows, "learning_rate")
    assert charts.rates([_epoch(0), _epoch(1, learning_rate=math.nan)], "light") is None


def test_phases_stand_below_epochs_only():
    def named(axis: charts.Axis) -> list[str]:
        spec = charts.curves([_epoch(1, strength=1.0)], "loss", axis, "dark")
        _valid(spec)
        return [one["mark"]["text"] for one in spec["layer"] if one["mark"]["type"] == "text"]

    assert named(EPOCHS) == ["head", "fine-tuning"]
    assert named(STRENGTHS) == []


def test_of_many_epochs_only_the_one_under_the_mouse_is_marked():
    def point(number: int) -> object:
        rows = [_epoch(n) for n in range(number)]
        return charts.curves(rows, "loss", EPOCHS, "light")["layer"][0]["mark"]["point"]

    assert point(40) != "transparent"
    assert point(41) == "transparent"


def test_the_start_of_a_second_tuning_leaves_the_curves_of_the_first():
    few = {"event": "candidate", "strategy": "finetune_few"}
    first = [_epoch(0, phase="head"), _epoch(1), few]
    assert charts.last_tuning([*first, _epoch(0, phase="head")]) == (0, first)


@pytest.mark.parametrize("theme", ["light", "dark", "unknown"])
def test_training_and_validation_differ_by_more_than_colour(theme):
    encoding = charts.curves([_epoch(0)], "loss", EPOCHS, theme)["layer"][0]["encoding"]
    for channel in ("color", "strokeDash"):
        scale = encoding[channel]["scale"]
        assert scale["domain"] == ["training", "validation"]
        assert len({str(value) for value in scale["range"]}) == 2


def test_the_two_themes_have_colours_of_their_own():
    def colours(theme: str) -> list[str]:
        spec = charts.curves([_epoch(0)], "loss", EPOCHS, theme)
        return spec["layer"][0]["encoding"]["color"]["scale"]["range"]

    assert not set(colours("light")) & set(colours("dark"))


def test_the_best_row_is_the_first_of_the_lowest_validation_loss():
    rows = [_epoch(0, val_loss=0.7), _epoch(1, val_loss=0.4), _epoch(2, val_loss=0.4)]
    assert charts.best(rows) == rows[1]
    assert _marked(charts.curves(rows, "accuracy", EPOCHS, "light")) == [1]
    assert charts.best([]) is None
    assert charts.best([_epoch(1, val_loss=None)]) is None


@pytest.mark.parametrize("number", [math.nan, math.inf, None])
def test_what_is_no_number_is_neither_drawn_nor_best(number):
    rows = [_epoch(0, val_loss=number), _epoch(1, val_loss=0.4), _epoch(2, loss=number)]
    assert charts.best(rows) == rows[1]
    spec = charts.curves(rows, "loss", EPOCHS, "light")
    _valid(spec)
    assert [x for x, _ in _drawn(spec, "training")] == [0, 1]
    assert [x for x, _ in _drawn(spec, "validation")] == [1, 2]
    words = charts.in_words(rows, "loss")
    assert "to unknown" in words
    assert "from unknown" in words


def test_a_figure_without_rows_is_valid_and_marks_nothing():
    spec = charts.curves([], "loss", EPOCHS, "light")
    _valid(spec)
    assert _marked(spec) == []
    assert charts.in_words([], "loss") == "The loss is not known yet."


def test_the_words_say_where_the_curves_begin_and_end():
    rows = [
        _epoch(0, loss=1.234, val_loss=1.5, accuracy=0.5, val_accuracy=0.4),
        _epoch(1, loss=0.123, val_loss=0.9, accuracy=0.987, val_accuracy=0.75),
    ]
    assert charts.in_words(rows, "loss") == (
        "Curves of the loss: on training pictures from 1.23 to 0.12,"
        " on validation pictures from 1.50 to 0.90."
    )
    assert "from 50 % to 99 %" in charts.in_words(rows, "accuracy")
    assert "from 40 % to 75 %" in charts.in_words(rows, "accuracy")
