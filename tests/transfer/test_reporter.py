"""The time left that a run announces: nothing of what is still to come is forgotten."""

import math
import time
from collections.abc import Callable
from typing import Any

import pytest

from transfer import reporter, runs, tempo
from transfer.answering import Answering
from transfer.config import RunConfig
from transfer.errors import PausedError, StoppedError
from transfer.linear import SearchStep
from transfer.reporter import Reporter
from transfer.runs import Run
from transfer.training import Progress
from transfer.turns import Turns


class Clock:
    """Time that passes when told so."""

    now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return self.now

    spent = 0.0  # of a processor, between two looks

    def thread_time(self) -> float:
        self.now += self.spent
        return self.now


@pytest.fixture
def clock(monkeypatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(reporter, "time", clock)
    monkeypatch.setattr(Turns, "slowdown", lambda _: 1.0)
    clock.spent = reporter._COUNTING
    return clock


@pytest.fixture
def run(tmp_path) -> Run:
    run = Run(tmp_path / "run")
    run.start(RunConfig(dataset="0" * 32, backbone="builtin", image_size=96))
    return run


PLAN = {"features": 100, "train": 80, "validation": 20, "test": 20, "export": 40}
ANSWER = 0.2 / 0.7  # seconds, where a picture takes 0.2 in the runtime of the features
EXPORTED = 1.2 * ANSWER + 0.009
LATER = ANSWER * (20 + 20) + EXPORTED * 40  # seconds after the features, for the pictures
FIXED = 3 + (0.5 + 2) + 1.5 + (11 + 4 * 2)  # head, validation, test, export


def _half_looked_at(work: Reporter, clock: Any) -> Callable[[int, int], None]:
    """Look at 50 of 100 pictures in 10 seconds; return the counter."""
    count = work.counter("features")
    count(0, 100)
    clock.now += 10
    count(50, 100)
    return count


def _left(run: Run) -> float | None:
    return run.status_now().get("seconds_left")


def test_it_is_not_known_before_anything_was_seen(run, clock):
    Reporter(run).say("loading", 0, 1, "Loading")
    assert _left(run) is None


def test_it_counts_what_comes_after(run, clock):
    work = Reporter(run)
    work.plan(PLAN)
    work.expect(0, 1)
    _half_looked_at(work, clock)
    # 0.2 s a picture: 10 s here, what is answered later, and the fixed parts
    assert _left(run) == pytest.approx(10 + LATER + FIXED, abs=0.05)


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
    checked(20, 20)  # too few to tell another speed
    tuning = 4 * (2.2 * 80 + 0.5 * 20) * ANSWER / 2 + 7 + 4 * 2
    expected = tuning + ANSWER / 2 * 20 + 1.5 + (1.2 * ANSWER / 2 + 0.009) * 40 + 11 + 4 * 2
    assert _left(run) == pytest.approx(expected, abs=0.05)


@pytest.mark.parametrize(
    ("later", "left"), [(50.0, 65.5), (math.inf, 90 + 19.0), (1000.0, 90 + 19.0)]
)
def test_what_comes_after_these_counts_too_within_the_budget(run, clock, later, left):
    work = Reporter(run)
    work.plan({"features": 100, "validation": 0})
    work.expect(0, 1, later=later)
    work.deadline = clock.now + 100
    _half_looked_at(work, clock)
    assert _left(run) == pytest.approx(left)


def test_a_second_retraining_begins_at_its_own_first_step(run, clock):
    work = Reporter(run)
    work.plan(PLAN)
    for _ in range(2):
        work.expect(1, 1, later=0.0)
        work.viewing(1, 80)
        assert run.status_now()["done"] == 0
        clock.now += 10
        work.training(Progress(epoch=4, epochs=4, step=9, steps=9))
        work.counter("test")(20, 20)


def test_it_is_unknown_where_what_comes_after_is(run, clock):
    work = Reporter(run)
    work.plan(PLAN)
    work.expect(0, 1, later=math.inf)
    _half_looked_at(work, clock)
    assert _left(run) is None


def test_it_is_never_more_than_the_budget(run, clock):
    work = Reporter(run)
    work.plan(PLAN)
    work.expect(2, 4)
    work.deadline = clock.now + 100
    _half_looked_at(work, clock)
    assert _left(run) == pytest.approx(90 + 19 + 40 * EXPORTED, abs=0.05)  # the export is after it


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


def test_a_wish_to_stop_ends_the_work_only_while_there_is_nothing_to_keep(run, clock):
    work = Reporter(run)
    run.request_stop()
    with pytest.raises(StoppedError, match="before there was anything to keep"):
        work.say("features", 1, 10, "Looking")
    work.something_to_keep = True
    clock.now += 1
    work.say("fine_tuning", 1, 10, "Training")
    assert work.stop_wanted()
    assert run.status_now()["phase"] == "fine_tuning"


def test_a_wish_to_pause_ends_the_work_at_any_time(run, clock):
    work = Reporter(run)
    run.request_pause()
    with pytest.raises(PausedError, match="goes on where it was"):
        work.say("features", 1, 10, "Looking")
    work.something_to_keep = True
    with pytest.raises(PausedError):
        work.training(Progress(2, 20, 3, 10))
    run.clear_pause()
    work.training(Progress(2, 20, 3, 10))


@pytest.mark.parametrize("jump", [-1e9, 1e9])
def test_a_clock_that_jumps_changes_no_time_left(run, clock, monkeypatch, jump):
    work = Reporter(run)
    work.plan(PLAN)
    work.expect(0, 1)
    count = _half_looked_at(work, clock)
    before, now = _left(run), time.time()
    monkeypatch.setattr(runs.time, "time", lambda: now + jump)
    count(50, 100)
    clock.now += 1
    count(55, 100)
    after = _left(run)
    assert before is not None
    assert after is not None
    assert 0 < after < before


def test_what_is_trained_is_named_where_there_are_several(run, clock):
    told: list[tuple[str, float, float, str]] = []
    work = Reporter(run, lambda *step: told.append(step))
    work.name = "Fine-tuning of the last stages"
    work.training(Progress(2, 20, 3, 10))
    assert run.status_now()["seconds_left"] is None
    work.counter("validation")(5, 20)
    assert told[0] == (
        "fine_tuning", 13, 200, "Fine-tuning of the last stages: Training, epoch 2 of at most 20"
    )  # fmt: skip
    assert told[1][3].startswith("Fine-tuning of the last stages: Checking")
    work.name = ""
    work.counter("validation")(6, 20)
    assert told[2][3].startswith("Checking")


def test_preparing_a_view_does_not_set_the_training_back(run, clock):
    told: list[tuple[str, float, float, str]] = []
    work = Reporter(run, lambda *step: told.append(step))
    work.training(Progress(2, 20, 10, 10))
    work.viewing(40, 160)
    assert told[1][:3] == told[0][:3]
    assert "40 of 160 pictures" in told[1][3]


def test_each_strength_is_an_event(run, clock):
    Reporter(run).search(SearchStep(1, 12, 3.0, 0.5, 0.9, 0.6, 0.8))
    (event,) = [one for one in run.events_since()[0] if one["event"] == "search"]
    assert event["strength"] == 3.0
    assert event["val_accuracy"] == 0.8


def test_what_is_fixed_takes_longer_where_others_are_at_work(run, clock, monkeypatch):
    monkeypatch.setattr(Turns, "slowdown", lambda _: 4.0)
    work = Reporter(run)
    work.plan(PLAN)
    work.expect(0, 1)
    _half_looked_at(work, clock)
    assert _left(run) == pytest.approx(10 + LATER + 4 * FIXED, abs=0.05)


@pytest.mark.parametrize(("times", "paces"), [(1.0, 1.0), (2.0, 2.0), (90.0, 5.0), (0.0, 0.2)])
def test_what_is_fixed_takes_longer_on_a_slow_machine(run, clock, times, paces):
    clock.spent = times * reporter._COUNTING
    work = Reporter(run)
    clock.spent = 0.0
    work.plan(PLAN)
    work.expect(0, 1)
    _half_looked_at(work, clock)
    fixed = paces * (FIXED + 0.009 * 40) - 0.009 * 40
    assert _left(run) == pytest.approx(10 + LATER + fixed, abs=0.05)


def test_the_first_pictures_wait_for_the_graph_and_say_nothing_of_the_others(run, clock):
    work = Reporter(run)
    work.plan({"features": 0, "validation": 0, "test": 100})
    work.expect(0, 1)
    count = work.counter("test")
    for seconds, done in ((0.0, 0), (30.0, 10), (4.0, 30), (4.0, 50)):
        clock.now += seconds
        count(done, 100)
    assert _left(run) == pytest.approx(0.2 * 50)


def test_a_training_counts_by_its_own_steps_and_what_follows_by_the_measured_answers(
    run, clock, monkeypatch
):
    monkeypatch.setattr(tempo, "time", clock)
    work = Reporter(run)
    work.plan({**PLAN, "familiar": 100})
    work.expect(1, 1, epochs=4)
    work.answers(Answering(building=1.0, picture=0.1))
    for number in range(1, 3):
        clock.now += 20  # graphs, views, validation
        for step in range(1, 11):
            clock.now += 1
            work.training(Progress(number, 4, step, 10))
            if (number, step) == (1, 3):
                assert _left(run) is None  # too early to tell
    after = (0.5 + 1 + 2) + (1.5 + 2) + (0.5 + 1 + 12) + (11 + 4 + 40 * (0.12 + 0.009))
    assert _left(run) == pytest.approx(2 * (9 + 21) + after, abs=0.05)
    work.training_ends = lambda: clock.now + 10
    clock.now += 1
    work.training(Progress(3, 4, 1, 10))
    assert _left(run) == pytest.approx(10 + after, abs=0.05)


def test_what_was_kept_from_earlier_says_nothing_of_the_rest(run, clock):
    work = Reporter(run)
    work.plan(PLAN)
    work.expect(0, 1)
    count = work.counter("features")
    count(50, 100)
    assert _left(run) is None
    clock.now += 4
    count(70, 100)
    assert _left(run) == pytest.approx(0.2 * 30 + LATER + FIXED, abs=0.05)


def test_without_a_training_what_is_familiar_takes_no_time(run, clock):
    work = Reporter(run)
    work.plan({**PLAN, "familiar": 1000})
    work.expect(0, 1)
    _half_looked_at(work, clock)
    assert _left(run) == pytest.approx(10 + LATER + FIXED, abs=0.05)


def test_a_phase_of_one_report_counts_by_what_an_answer_is_known_to_take(run, clock):
    work = Reporter(run)
    work.plan({**PLAN, "familiar": 100})
    work.expect(1, 1)
    work.answers(Answering(building=1.0, picture=0.1))
    work.say("fine_tuning", 0, 1, "Beginning")
    work.counter("test")(15, 20)
    after = (0.5 + 1 + 12) + (11 + 4 + 40 * (0.12 + 0.009))
    assert _left(run) == pytest.approx(0.1 * 5 + after, abs=0.05)


def test_while_pictures_are_prepared_the_steps_before_tell(run, clock, monkeypatch):
    monkeypatch.setattr(tempo, "time", clock)
    work = Reporter(run)
    work.plan(PLAN)
    work.expect(1, 1, epochs=4)
    work.answers(Answering(building=1.0, picture=0.1))
    work.say("fine_tuning", 0, 1, "Beginning")
    work._told = math.inf  # steps so short that none of them is written down
    for step in range(1, 11):
        clock.now += 1
        work.training(Progress(1, 4, step, 10))
    assert _left(run) is None
    work._told = 0.0
    work.viewing(20, 80)
    after = (0.5 + 1 + 2) + (1.5 + 1 + 2) + (11 + 4 + 40 * (0.12 + 0.009))
    assert _left(run) == pytest.approx(3 * 10 + after, abs=1.1)
