"""How fast a training goes on: tracing, views and savings are no measure of a step."""

import pytest

from transfer import tempo
from transfer.tempo import Tempo
from transfer.training import Progress


class Clock:
    """Time that passes when told so."""

    now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(tempo, "time", clock)
    return clock


def _epoch(
    work: Tempo, clock: Clock, number: int, seconds: float, first: float = 0.0, epochs: int = 10
) -> None:
    """Do an epoch of ten steps; the first of them comes after so many seconds more."""
    clock.now += first
    for step in range(1, 11):
        clock.now += seconds
        work.step(Progress(number, epochs, step, 10))


def _view(work: Tempo, clock: Clock, seconds: float) -> None:
    """Look at 80 pictures, 20 at a time."""
    for done in (20, 40, 60, 80):
        clock.now += seconds / 4
        work.view(done, 80)


def test_nothing_is_known_before_some_steps(clock):
    work = Tempo()
    assert (work.left, work.a_step, work.between, work.slowdown) == (None, None, None, 1.0)
    work.step(Progress(1, 10, 1, 10))
    assert work.left is None


def test_the_first_step_of_an_epoch_is_no_measure_of_the_others(clock):
    work = Tempo()
    _epoch(work, clock, 1, 1.0, first=30.0)
    assert work.a_step == pytest.approx(1.0)
    assert work.left == pytest.approx(9 * 10)  # until more is known an epoch is its steps
    _epoch(work, clock, 2, 1.0, first=4.0)
    assert work.between == pytest.approx(5.0)
    assert work.left == pytest.approx(8 * (9 + 5))


def test_a_step_in_which_a_graph_was_built_is_left_out(clock):
    work = Tempo()
    _epoch(work, clock, 1, 1.0)
    clock.now += 50.0
    work.step(Progress(2, 10, 1, 10))
    clock.now += 50.0
    work.step(Progress(2, 10, 2, 10))
    assert work.a_step == pytest.approx(1.0)


def test_views_are_made_in_the_first_epochs_only(clock):
    work = Tempo()
    for number in range(1, 9):
        _view(work, clock, 12.0)
        _epoch(work, clock, number, 1.0, first=1.0)
        if number > 1:
            expected = (10 - number) * (9 + 2) + 12 * (8 - number)
            assert work.left == pytest.approx(expected)
    _epoch(work, clock, 9, 1.0, first=1.0)
    assert work.left == pytest.approx(9 + 2)


def test_later_steps_that_take_longer_tell_of_a_busy_machine(clock):
    work = Tempo()
    for number in (1, 2):
        _epoch(work, clock, number, 1.0)
    assert work.slowdown == pytest.approx(1.0)
    for number in range(3, 6):
        _epoch(work, clock, number, 3.0)
    assert work.slowdown == pytest.approx(3.0)
    for number in range(5, 9):
        _epoch(work, clock, number, 1.0)
    assert work.slowdown == pytest.approx(1.0)
