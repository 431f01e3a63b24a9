"""A budget is shared among the fine-tunings to come, and some of it kept for the answers."""

import math

import pytest

from tests.transfer.test_judging import PROBE
from transfer import sharing
from transfer.judging import Candidate

NOW = 1000.0


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharing.time, "monotonic", lambda: NOW)


def share(
    strategy: str,
    later: list[str],
    left: float,
    before: list[Candidate] | None = None,
    forward: float | None = None,
) -> float:
    """Return the seconds that a strategy gets of those that are left; 100 pictures to answer."""
    return sharing.deadline(strategy, later, before or [], 100, forward, NOW + left) - NOW


def test_what_is_quick_needs_no_share():
    assert share("linear_top", ["finetune_few", "finetune_many"], 600) == 600


def test_without_a_budget_there_is_no_end():
    assert share("finetune_few", ["finetune_many"], math.inf) == math.inf


def test_the_only_one_gets_all_but_the_time_to_answer_and_save():
    assert share("finetune_few", [], 600) == pytest.approx(600 - 5 - 1.5 * 0.05 * 100)


def test_the_answers_are_reckoned_by_those_that_were_given():
    answer = PROBE.validation.seconds / len(PROBE.validation.right)
    assert share("finetune_few", [], 600, [PROBE]) == pytest.approx(595 - 1.5 * answer * 100)


def test_before_the_first_they_are_reckoned_by_the_features():
    assert share("finetune_few", [], 600, forward=0.005) == pytest.approx(595 - 1.5 * 4 * 0.5)


def test_two_get_half_each():
    first = share("finetune_few", ["finetune_many"], 600)
    assert first == pytest.approx((600 - 5) / 2 - 1.5 * 0.05 * 100)
    assert share("finetune_few", ["linear_top"], 600) > 1.9 * first  # a quick one takes none


@pytest.mark.parametrize(("left", "given"), [(20.0, 15.0), (10.0, 10.0), (0.0, 0.0)])
def test_the_first_of_two_gets_enough_to_begin_but_never_more_than_there_is(left, given):
    assert share("finetune_few", ["finetune_many"], left) == given
