"""The 2x2 table: the dot stays in it, and each cell says what it is."""

import re
from typing import Any

import pytest

from app import measured, quadrant, ways
from tests.app import advices


def _at(value: dict[str, Any]) -> dict[str, float]:
    drawn = quadrant.field(measured.parsed(value))
    found = re.search(r'class="dot" style="left:([\d.]+)%;top:([\d.]+)%', drawn)
    assert found is not None
    ends = re.search(r'class="across" style="left:([\d.]+)%;width:([\d.]+)%', drawn)
    assert ends is not None
    return {"left": float(found[1]), "top": float(found[2]), "from": float(ends[1]),
            "to": float(ends[1]) + float(ends[2])}  # fmt: skip


@pytest.mark.parametrize("verdicts", list(advices.CELLS))
def test_the_dot_is_in_the_cell_of_the_verdicts(verdicts):
    place = _at(advices.advice(*verdicts))
    assert (place["left"] < 50) is (verdicts[0] == "similar")
    assert (place["top"] < 50) is (verdicts[1] == "little")
    assert place["from"] < place["left"] < place["to"]


def test_a_dot_at_the_edge_is_whole_and_its_bar_stays_inside():
    value = advices.advice()
    value["point"] |= {"difference": 1.0, "difference_low": 0.9, "difference_high": 1.0, "size": 0}
    place = _at(value)
    assert (place["left"], place["top"], place["to"]) == (97.0, 3.0, 100.0)


def test_without_an_advice_there_is_no_dot():
    assert "dot" not in quadrant.field(None)
    told = quadrant.cell(ways.CELLS[0], None, None)
    assert "linear classifier on the last stage" in told
    assert 'class="tag"' not in told


def test_a_cell_says_what_was_advised_and_what_was_chosen():
    advice = measured.parsed(advices.advice("similar", "little"))
    first, second = (quadrant.cell(one, advice, "linear_stages") for one in ways.CELLS[:2])
    assert "advised" in first
    assert "your choice" not in first
    assert "about 10 seconds" in first
    assert "your choice" in second


def test_the_place_in_words():
    advice = measured.parsed(advices.advice("different", "little"))
    assert quadrant.in_words(advice) == (
        "Your pictures: few pictures (93 % sure), unlike what it knows (97 % sure). In the cell"
        " “Listen to several of its layers”."
    )
