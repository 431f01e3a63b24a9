"""What each way would have given: only what was tried, on one scale, without claiming too much."""

import re
from typing import Any

import pytest

from app import four_ways
from transfer.evaluation import wilson


def _one(strategy: str, right: int | None, n: int = 100, **more: Any) -> dict[str, Any]:
    share = None if right is None else wilson(right, n).to_json()
    return {"strategy": strategy, "validation": share, "test": share, "seconds": 60.0,
            "note": None, **more}  # fmt: skip


def _result(*compared: dict[str, Any], advised: str = "linear_top", **more: Any) -> dict[str, Any]:
    kept = {"shipped": advised, "advised": advised, "requested": "all"}
    return {**kept, "comparison": list(compared), **more}


@pytest.mark.parametrize("comparison", [None, [], [_one("linear_top", 90)]])
def test_one_way_alone_is_no_comparison(comparison):
    assert four_ways.rows({"shipped": "linear_top", "comparison": comparison}) == []
    assert four_ways.rows({"shipped": "linear_top"}) == []


def test_the_rows_are_in_the_order_of_the_table():
    found = four_ways.rows(
        _result(_one("finetune_few", 80), _one("linear_top", 90), shipped="finetune_few")
    )
    assert [row.strategy for row in found] == ["linear_top", "finetune_few"]
    assert [(row.advised, row.kept) for row in found] == [(True, False), (False, True)]


def test_without_test_pictures_it_shows_the_validation():
    result = _result(*(_one(name, 9, test=None) for name in ("linear_top", "linear_stages")))
    assert four_ways.judged_by(result) == "validation"
    assert all(row.share for row in four_ways.rows(result))
    assert "held back (validation)" in four_ways.chart(four_ways.rows(result), "validation")


@pytest.mark.parametrize(
    ("advised", "other", "says"),
    [
        (90, 80, "No way did better than the advised one. The ranges overlap: it may be chance."),
        (90, 90, "were right equally often: the advised way is as good as any."),
        (90, 50, "The advised way did best, clearly."),
        (80, 90, "was right 10.0 points more often than the advised way. The ranges overlap"),
        (50, 90, "the ranges do not overlap: here the advice was not the best."),
        (None, 90, "Only one way was finished"),
    ],
)
def test_it_says_what_the_ranges_tell(advised, other, says):
    rows = four_ways.rows(_result(_one("linear_top", advised), _one("finetune_many", other)))
    assert says in four_ways.sentence(rows)


def test_an_advised_way_that_was_not_finished_is_said():
    found = [_one("finetune_many", None), _one("linear_top", 90), _one("linear_stages", 91)]
    rows = four_ways.rows(_result(*found, advised="finetune_many", shipped="linear_stages"))
    assert four_ways.sentence(rows) == "The advised way was not finished in the time."


def test_the_chart_marks_what_was_advised_kept_and_left_out():
    skipped = _one("finetune_many", None, seconds=None, note="There was no time <left>.")
    found = four_ways.rows(_result(_one("linear_top", 90), _one("linear_stages", 85), skipped))
    drawn = four_ways.chart(found, "test")
    assert drawn.count('<span class="tag">advised</span>') == 1
    assert drawn.count('<span class="tag">kept</span>') == 1
    assert "There was no time &lt;left&gt;." in drawn
    assert "no result" in drawn
    assert drawn.count('class="dot"') == 2
    assert "<span>70 %</span><span>85 %</span><span>100 %</span>" in drawn
    places = [float(at) for at in re.findall(r'class="dot" style="left:([\d.]+)%', drawn)]
    assert places == pytest.approx([100 * 20 / 30, 50], abs=0.1)


def test_the_table_behind_it():
    rows = four_ways.table(
        four_ways.rows(_result(_one("linear_top", 90), _one("finetune_few", None)))
    )
    assert (rows[0]["accuracy"], rows[0]["pictures"]) == (0.9, 100)
    assert (rows[1]["accuracy"], rows[1]["seconds"]) == (None, 60.0)
