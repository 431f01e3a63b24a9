"""The time left that a run announces: nothing of what is still to come is forgotten."""

import pytest

from transfer import reporter
from transfer.config import RunConfig
from transfer.reporter import Reporter
from transfer.runs import Run


class Clock:
    """Time that passes when told so."""

    now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(reporter, "time", clock)
    return clock


@pytest.fixture
def run(tmp_path) -> Run:
    run = Run(tmp_path / "run")
    run.start(RunConfig(dataset="0" * 32, backbone="builtin", image_size=96))
    return run


PLAN = {"features": 100, "train": 80, "validation": 20, "test": 20, "export": 40}


def _left(run: Run) -> float | None:
    return run.status_now().get("seconds_left")


def test_it_is_not_known_before_anything_was_seen(run, clock):
    Reporter(run).say("loading", 0, 1, "Loading")
    assert _left(run) is None


def test_it_counts_what_comes_after(run, clock):
    work = Reporter(run)
    work.plan(PLAN)
    work.expect(0, 1)
    count = work.counter("features")
    count(0, 100)
    clock.now += 10
    count(50, 100)  # 0.2 s a picture: 10 s here, 80 pictures later, and the fixed parts
    assert _left(run) == pytest.approx(10 + 0.2 * 80 + 3 + 5 + 2 + 20)


def test_retraining_is_ahead_until_it_has_begun(run, clock):
    work = Reporter(run)
    work.plan(PLAN)
    work.expect(1, 2, epochs=4)
    count = work.counter("features")
    count(0, 100)
    clock.now += 10
    count(100, 100)
    checked = work.counter("validation")
    checked(0, 20)
    clock.now += 4
    checked(20, 20)
    tuning = 4 * (3 * 80 + 20)  # forward passes of a picture
    assert _left(run) == pytest.approx(0.2 * (tuning + 20 + 40) + 15 + 2 + 20)


def test_it_is_never_more_than_the_budget(run, clock):
    work = Reporter(run)
    work.plan(PLAN)
    work.expect(2, 4)
    work.deadline = clock.now + 100
    count = work.counter("features")
    count(0, 100)
    clock.now += 10
    count(50, 100)
    assert _left(run) == pytest.approx(90 + 20)  # the export comes after it


def test_between_two_phases_it_goes_on_falling(run, clock):
    work = Reporter(run)
    work.plan(PLAN)
    work.expect(0, 1)
    count = work.counter("features")
    count(0, 100)
    clock.now += 10
    count(100, 100)
    before = _left(run)
    clock.now += 3
    work.say("saving", 0, 1, "Saving")
    assert before is not None
    assert _left(run) == pytest.approx(before - 3)
