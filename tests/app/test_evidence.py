"""The figures of the advice: what was measured, and nothing beyond the picture."""

import base64
import json
from typing import Any

import altair
import pytest

from app import evidence, measured
from app.measured import Stage, Step
from tests.app import advices

_ADVICE = measured.parsed(advices.advice("different", "lots"))


def _values(chart: dict[str, Any], key: str) -> list[Any]:
    return [row[key] for row in chart["data"]["values"]]


def _valid(chart: dict[str, Any]) -> dict[str, Any]:
    """Hold the figure against the schema of Vega-Lite, and see that it is JSON."""
    altair.LayerChart.from_dict(chart)
    json.dumps(chart, allow_nan=False)
    return chart


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_profile_rises_and_falls_as_measured(theme):
    chart = _valid(evidence.profile(_ADVICE.similarity.profile, theme))
    assert _values(chart, "y") == [0.52, 0.74, 0.88, 0.91, 0.84]
    assert _values(chart, "x") == [1, 2, 3, 4, 5]
    assert _values(chart, "low") == pytest.approx([0.509, 0.729, 0.869, 0.899, 0.829])
    scale = chart["layer"][0]["encoding"]["y"]["scale"]
    assert scale["domain"] == [0, 1]
    drawn = chart["layer"][3]["data"]["values"]
    assert [row["name"] for row in drawn] == ["edges", "textures", "parts", "objects"]
    assert (drawn[0]["x"], drawn[-1]["x"]) == (1, 5)
    colour = evidence._QUIET[theme].encode()
    assert all(colour in base64.b64decode(row["url"].partition(",")[2]) for row in drawn)


def test_an_error_bar_ends_where_shares_end():
    chart = evidence.profile((Stage(1, "a", 0.99, 0.05), Stage(2, "b", 0.5, None)), "light")
    assert _values(chart, "high") == [1.0, 0.5]


def test_the_learning_curve():
    chart = _valid(evidence.curve(_ADVICE.size.curve, "light"))
    assert _values(chart, "x") == [257, 514, 1029, 2059]
    assert chart["layer"][0]["encoding"]["x"]["scale"]["type"] == "log"


def test_in_words():
    assert evidence.in_words("stage profile", _ADVICE.similarity.profile) == (
        "The stage profile: from 52 % right at stage 1 to 84 % at stage 5; most, 91 %, at stage 4."
    )
    assert evidence.in_words("learning curve", (Step(10, 0.5, None),)).startswith(
        "The learning curve: from 50 % right at 10 pictures"
    )
    assert evidence.in_words("learning curve", ()) == "The learning curve was not measured."


def test_the_tables_behind_them():
    assert evidence.table(_ADVICE.similarity.profile)[3] == {
        "stage": 4, "layer": "block_13_expand_relu", "accuracy": 0.91, "standard error": 0.011
    }  # fmt: skip
    assert evidence.table(_ADVICE.size.curve)[0]["pictures"] == 257
