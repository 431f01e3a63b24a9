"""The picture of a search: every trial is there, the best is marked, edges are told."""

import json

import altair
import pytest

from app import trials
from app.charts import Row
from tests.transfer import valleys
from transfer.searching import space
from transfer.searching.plans import Wish


@pytest.fixture(scope="module")
def found(tmp_path_factory) -> Row:
    return valleys.search(tmp_path_factory.mktemp("whole"), Wish(trials=16))


@pytest.fixture(scope="module")
def cut(tmp_path_factory) -> Row:
    narrow = space.parsed(["learning_rate=1e-5:1e-4"])
    return valleys.search(tmp_path_factory.mktemp("cut"), Wish(narrow, trials=8))


def _valid(spec: Row) -> None:
    """Hold the figure against the schema of Vega-Lite, and see that it is JSON."""
    altair.LayerChart.from_dict(spec)
    json.dumps(spec, allow_nan=False)


def _rules(spec: Row) -> list[tuple[float, int]]:
    return [
        (layer["data"]["values"][0]["x"], layer["mark"]["strokeWidth"])
        for layer in spec["layer"]
        if layer["mark"]["type"] == "rule"
    ]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_each_trial_is_a_dot_and_what_ended_early_is_hollow(found, theme):
    spec = trials.spec(found, theme)
    _valid(spec)
    values = spec["data"]["values"]
    assert [value["x"] for value in values] == [
        one["settings"]["learning_rate"] for one in found["trials"]
    ]
    assert [value["early"] for value in values] == [
        one["state"] != "complete" for one in found["trials"]
    ]
    assert any(value["early"] for value in values)
    assert {value["round"] for value in values} == {*trials.ROUNDS}
    dots = next(layer for layer in spec["layer"] if "data" not in layer)
    assert dots["encoding"]["x"]["scale"] == {"type": "log"}


def test_the_best_is_marked(found):
    ring = trials.spec(found, "light")["layer"][-1]["data"]["values"]
    assert [one["x"] for one in ring] == [found["best"]["learning_rate"]]
    assert ring[0]["y"] == min(one["value"] for one in found["trials"])


def test_the_ends_of_the_range_are_drawn_and_stronger_where_the_best_lies(found, cut):
    assert _rules(trials.spec(found, "light")) == [(1e-5, 1), (1e-1, 1)]
    assert _rules(trials.spec(cut, "light")) == [(1e-5, 1), (1e-4, 3)]


def test_any_setting_may_be_on_the_axis(found):
    for setting in ("dropout", "frozen_level", "l2", "weight_decay"):
        spec = trials.spec(found, "light", setting)
        _valid(spec)
        assert len(spec["data"]["values"]) == 16


def test_the_warning_comes_with_a_button_that_says_how_far(found, cut):
    assert [one["setting"] for one in trials.warnings(cut)] == ["learning_rate"]
    warning = trials.warnings(cut)[0]
    assert "upper edge" in warning["words"]
    assert warning["button"] == "Widen to 1e-05 … 0.01 and go on"
    assert not [one for one in trials.warnings(found) if one["setting"] == "learning_rate"]


def test_it_is_told_in_words(found, cut):
    words = trials.in_words(found)
    assert words.startswith("16 trials with learning rates from ")
    assert f"trial {found['best_trial'] + 1} at a learning rate of" in words
    assert "ended early" in words
    assert "upper edge" in trials.in_words(cut)


def test_a_search_that_has_just_begun_or_is_ruined_has_a_picture(found):
    ruined = {**found["trials"][0], "value": None, "state": "stopped", "reason": "no number"}
    unfinished = {**found["trials"][1], "settings": {}, "value": None, "state": "unfinished"}
    odd = {"number": "one"}
    begun = {**found, "trials": [ruined, unfinished, odd], "best_trial": None, "edges": []}
    spec = trials.spec(begun, "light")
    _valid(spec)
    assert [value["loss"] for value in spec["data"]["values"]] == ["ruined"]
    assert trials.in_words(begun) == "No trial of the search is whole yet."
    _valid(trials.spec({}, "light"))
    assert trials.in_words({}) == "No trial of the search is whole yet."


def test_one_bad_trial_does_not_press_the_others_together(found):
    bad = {**found["trials"][0], "value": 40.0}
    spec = trials.spec({**found, "trials": [bad, *found["trials"][1:]]}, "light")
    dots = next(layer for layer in spec["layer"] if "data" not in layer)
    assert dots["encoding"]["y"]["scale"] == {"type": "log"}
