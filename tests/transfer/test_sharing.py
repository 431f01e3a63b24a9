"""A budget is shared among the fine-tunings to come, and some of it kept for the answers."""

import math
from types import SimpleNamespace
from typing import Any

import pytest

from transfer import sharing
from transfer.answering import Answering
from transfer.tempo import Tempo

NOW = 1000.0
BUILT, EACH = 2.0, 0.05
# 100 pictures and 20 of them judged, before any step was seen
KEPT = sharing._MARGIN + sharing._SLACK * (4 * BUILT + 100 * EACH + 4 * 20 * EACH)


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharing.time, "monotonic", lambda: NOW)


def share(
    strategy: str,
    later: list[str],
    left: float,
    tempo: Any = None,
    answering: Answering | None = Answering(BUILT, EACH),  # noqa: B008 - it is frozen
) -> sharing.Share:
    """Return the share that a strategy gets of the seconds that are left."""
    return sharing.Share(strategy, later, 100, 20, NOW + left, answering, tempo or Tempo())


def seconds(strategy: str, later: list[str], left: float) -> float:
    return share(strategy, later, left).ends() - NOW


def test_what_is_quick_needs_no_share():
    assert seconds("linear_top", ["finetune_few", "finetune_many"], 600) == 600


def test_without_a_budget_there_is_no_end():
    assert seconds("finetune_few", ["finetune_many"], math.inf) == math.inf


def test_the_only_one_gets_all_but_the_time_to_answer_and_save():
    assert seconds("finetune_few", [], 600) == pytest.approx(600 - KEPT)


def test_where_nothing_was_measured_it_is_guessed():
    assert share("finetune_few", [], 600, answering=None).ends() == pytest.approx(NOW + 600 - KEPT)


def test_it_ends_earlier_when_everything_takes_longer_than_before():
    tempo = SimpleNamespace(a_step=0.5, between=0.25, slowdown=1.0)
    one = share("finetune_few", [], 600, tempo)
    kept = 4 * BUILT + 100 * EACH
    for slower in (1.0, 3.0, 0.5):
        tempo.slowdown = slower
        reserve = sharing._MARGIN + sharing._SLACK * (slower * kept + 4 * 0.25)
        assert one.reserve() == pytest.approx(reserve)
        assert one.ends() == pytest.approx(NOW + 600 - reserve - 0.5)  # and the step at hand


def test_two_get_half_each():
    first = seconds("finetune_few", ["finetune_many"], 600)
    assert first == pytest.approx(600 / 2 - KEPT)
    assert seconds("finetune_few", ["linear_top"], 600) > 1.9 * first  # a quick one takes none


@pytest.mark.parametrize(("left", "given"), [(20.0, 15.0), (10.0, 10.0), (0.0, 0.0)])
def test_the_first_of_two_gets_enough_to_begin_but_never_more_than_there_is(left, given):
    assert seconds("finetune_few", ["finetune_many"], left) == given
