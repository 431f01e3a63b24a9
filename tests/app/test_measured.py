"""What the core writes is read as it is, and anything else is not taken for an advice."""

from collections.abc import Callable
from typing import Any

import pytest

from app import measured
from app.shapes import SuspiciousError
from tests.app import advices
from transfer.config import RunConfig
from transfer.runs import Run


def test_an_advice_is_read_as_it_was_written():
    value = advices.advice("different", "little")
    found = measured.parsed(value)
    assert (found.size.little, found.similarity.similar) == (True, False)
    assert found.strategy == "linear_stages"
    assert (found.difference.low, found.amount.high) == (0.71, 0.29)
    assert [one.accuracy for one in found.similarity.profile] == [0.52, 0.74, 0.88, 0.91, 0.84]
    assert [one.images for one in found.size.curve] == [15, 30, 60, 120]
    assert found.turn == measured.Guess(False, 0.93, 0.61, 245)
    assert found.costs["finetune_many"] == 900.0


def test_more_than_is_known_does_no_harm():
    value = advices.advice()
    value["similarity"]["stage_profile"][0]["channels"] = 16
    value["costs"]["new"] = None
    value["news"] = {}
    assert "new" not in measured.parsed(value).costs


@pytest.mark.parametrize(
    "change",
    [
        lambda value: value.update(strategy="auto"),
        lambda value: value.pop("point"),
        lambda value: value["size"].update(verdict="some"),
        lambda value: value["similarity"].update(verdict=None),
        lambda value: value["similarity"].update(confidence=1.2),
        lambda value: value["similarity"]["stage_profile"][0].update(accuracy=-0.1),
        lambda value: value["size"]["curve"][0].update(accuracy=float("nan")),
        lambda value: value["point"].update(size=2),
        lambda value: value.update(reasons=[1]),
        lambda value: value["augmentation"].update(turn={"safe": 1}),
        lambda value: value.update(costs={"linear_top": "soon"}),
    ],
)
def test_what_is_no_advice(change: Callable[[dict[str, Any]], Any], tmp_path):
    value = advices.advice()
    change(value)
    with pytest.raises(SuspiciousError):
        measured.parsed(value)
    run = Run(tmp_path / "run")
    run.start(RunConfig("d", "builtin", 96))
    assert measured.read(run) is None
    run.write("advice", advices.advice())
    assert measured.read(run) is not None
    run.write("advice", [])
    assert measured.read(run) is None
    (run.folder / "advice.json").write_text("{")
    assert measured.read(run) is None
