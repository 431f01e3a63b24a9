"""Tells the run folder and the caller how far the work is, and passes on the wish to stop."""

import math
import time
from collections.abc import Callable
from typing import Any

from transfer.answering import Answering
from transfer.errors import PausedError, StoppedError
from transfer.linear import SearchStep
from transfer.runs import Run
from transfer.tempo import Tempo
from transfer.training import Progress
from transfer.turns import Turns

Later = Callable[[float], float]  # from the seconds that are left of one training
OnStep = Callable[[str, float, float, str], None]  # phase, done, total, words

_STATUS_EVERY = 0.5  # seconds
# What a phase takes however few pictures there are, with nothing else at work, on a machine that
# needs `_COUNTING` of a processor to count: files are written, a fresh process is started.
_COUNTED, _COUNTING = 300_000, 0.028
_PACES = (0.2, 5.0)  # how many times as long another machine may need
_FIXED_SECONDS = {
    "advice": 10.0,
    "check": 5.0,
    "head": 3.0,
    "fine_tuning": 7.0,
    "validation": 0.5,
    "test": 1.5,
    "familiar": 0.5,
    "export": 11.0,
}
# How many graphs of the whole network are built in a phase, and the seconds of one where no
# building has been measured.
_GRAPHS = {"fine_tuning": 4, "validation": 1, "familiar": 1, "export": 4}
_BUILDING = 2.0
# What a picture costs, in answers of the model itself: what tells the familiar has more outputs,
# and an epoch is an upper bound (forward and backward).
_COST = {"features": 0.7, "familiar": 1.2, "export": 1.2}
_TRAINING_COST, _JUDGING_COST = 2.2, 0.5
_DECODING = 0.009  # seconds besides, for the exported model reads the files themselves
_TELLING = 64  # pictures after the first ones: fewer do not tell how fast it goes
_EPOCHS = 20  # of a fine-tuning, where nothing else is known

_ANSWERING = ("features", "validation", "test")  # phases that tell how fast the network answers

_WORDS = {
    "weights": "Downloading the weights",
    "features": "Looking at the pictures",
    "copies": "Looking for copies and bursts",
    "advice": "Measuring how many they are and how unlike what the network knows",
    "check": "Looking for copies, bursts, shortcuts and wrong labels",
    "head": "Fitting the linear classifier",
    "validation": "Checking on the validation pictures",
    "test": "Measuring on the test pictures",
    "familiar": "Learning which pictures are none of these",
    "export": "Checking the exported model",
}
_ORDER = ("features", "advice", "check", "head", "fine_tuning", "validation", "test",
          "familiar", "export")  # fmt: skip


class Reporter:
    """Status, events and time left of one process's work on one run.

    Set `something_to_keep` once a solution exists: from then on a wish to stop ends the training
    early, before that it ends the work.
    """

    def __init__(self, run: Run, on_step: OnStep | None = None) -> None:
        self.run = run
        self.something_to_keep = False
        self._on_step = on_step or (lambda *_: None)
        self._phase, self._told = "", 0.0
        self._first = (0.0, 0.0)  # when the first part of the phase was done, and how much
        self._turns = Turns()
        self._pace = _pace()
        self._pictures: dict[str, float] = {}
        self._answer: float | None = None  # seconds that the model takes for a picture
        self._answering: Answering | None = None
        self.tempo = Tempo()  # of the fine-tuning
        self.training_ends: Callable[[], float] = lambda: math.inf  # in `time.monotonic()` seconds
        self._ends_at: float | None = None
        self._later = 0.0
        self._begun: set[str] = set()
        self._planned: dict[str, float] = {}
        self._step = (0.0, 1.0)
        self._after: Later = lambda _: 0.0
        self.epochs: int | None = None  # of the fine-tuning, at most, once it has begun
        self.name = ""  # of what is being trained, where there are several
        self.deadline = math.inf  # in `time.monotonic()` seconds; the export comes after it

    def plan(self, pictures: dict[str, int]) -> None:
        """Take down how many pictures each phase looks at, for the time left."""
        self._planned = {"head": 0.0, **{k: float(v) for k, v in pictures.items()}}
        self._pictures = {phase: self._planned[phase] for phase in _ORDER if phase in self._planned}

    def expect(
        self, fine_tunings: int, candidates: int, epochs: int = _EPOCHS, later: float = 0.0
    ) -> None:
        """Take down how often the network will be trained and how many solutions are judged.

        `later` are the seconds of what comes after these; infinite where that is not known.
        """
        self._later = later
        self._begun.discard("fine_tuning")
        self._step = (0.0, 1.0)
        ahead = dict(self._planned)
        if fine_tunings:
            once = _TRAINING_COST * ahead["train"] + _JUDGING_COST * ahead["validation"]
            ahead["fine_tuning"] = fine_tunings * epochs * once
        else:  # what is familiar is told by features that are there already
            ahead.pop("familiar", None)
        ahead["validation"] *= candidates
        self._pictures = {phase: ahead[phase] for phase in _ORDER if phase in ahead}

    def answers(self, measured: Answering) -> None:
        """Take down how long the network takes to answer."""
        self._answering, self._answer = measured, measured.picture

    def say(
        self, phase: str, done: float, total: float, words: str, left: float | None = None
    ) -> None:
        """Tell the caller and, twice a second at most, the run folder.

        Raises:
            StoppedError: the user wants the work to end and there is nothing yet to keep.
            PausedError: the user wants it to go on later.
        """
        now = time.monotonic()
        if phase != self._phase:
            self.run.event("phase", phase=phase, words=words)
            self._phase, self._told = phase, 0.0
            self._first = (now, done)
            self._begun.add(phase)
        if now - self._told > _STATUS_EVERY:
            if not self.something_to_keep and self.stop_wanted():
                raise StoppedError("The run was stopped before there was anything to keep.")
            if self.run.pause_requested() and not self.stop_wanted():
                raise PausedError("The run is paused. It goes on where it was when you say so.")
            left = self._left(phase, done, total, left)
            self.run.status(phase, done=done, total=total, words=words, seconds_left=left)
            self._told = now
        self._on_step(phase, done, total, words)

    def counter(self, phase: str) -> Callable[[int, int], None]:
        """Return a function of (done, total) for a phase that goes through pictures."""
        return lambda done, total: self.say(phase, done, total, self._named(_WORDS[phase]))

    def search(self, step: SearchStep) -> None:
        """Tell of one strength of the linear classifier that was tried."""
        self.run.event("search", **vars(step))
        self.say("head", step.step, step.total, self._named(_WORDS["head"]))

    def training(self, progress: Progress, later: Later = lambda _: 0.0) -> None:
        """Tell of one training step; `later` gives the seconds of the trainings after this one."""
        done = (progress.epoch - 1) * progress.steps + progress.step
        words = f"Training, epoch {progress.epoch} of at most {progress.epochs}"
        total = progress.epochs * progress.steps
        self._step, self.epochs, self._after = (done, total), progress.epochs, later
        self.tempo.step(progress)
        self.say("fine_tuning", done, total, self._named(words), self._training_left())

    def viewing(self, done: int, total: int) -> None:
        """Tell of pictures that pass through the part of the network that stays as it is."""
        self.tempo.view(done, total)
        words = f"Preparing for the next epoch: {done} of {total} pictures"
        self.say("fine_tuning", *self._step, self._named(words), self._training_left())

    def _training_left(self) -> float | None:
        """Return the seconds of this training and those after it, once some steps are known."""
        left = self.tempo.left
        if left is None:
            return None
        left = min(left, max(0.0, self.training_ends() - time.monotonic()))
        return left + self._after(left)

    def epoch(self, row: dict[str, Any]) -> None:
        """Tell of one finished epoch."""
        self.run.event("epoch", **row)

    def _named(self, words: str) -> str:
        return f"{self.name}: {words}" if self.name else words

    def stop_wanted(self) -> bool:
        """Whether the user has asked to stop."""
        return self.run.stop_requested()

    def _left(self, phase: str, done: float, total: float, left: float | None) -> float | None:
        """Return about how many seconds are left of this phase and those after it, where known."""
        now, waits = time.monotonic(), self._turns.slowdown()
        # A training knows by itself how long it takes; until it does, time just goes on.
        if left is None and phase != "fine_tuning":
            each = self._seconds_each(phase, done, now)
            left = None if each is None else each * max(0.0, total - done)
        if left is not None and self._answer is not None and phase in _ORDER:
            later = [name for name in self._pictures if self._is_ahead(name, phase)]
            self._ends_at = now + left + self._later
            self._ends_at += sum(self._seconds_of(name, self._pace * waits) for name in later)
        if self._ends_at is None:
            return None
        export = self._seconds_of("export", self._pace * waits)
        latest = min(self._ends_at, self.deadline + export)
        return None if latest == math.inf else round(max(0.0, latest - now), 1)

    def _seconds_each(self, phase: str, done: float, now: float) -> float | None:
        """Return what a picture takes; the first ones wait until a graph is built.

        Nothing was done since the phase was first told of: what was done by then may have been kept
        from earlier, or have taken any time, so it is what the network is known to take, or None.
        """
        began, before = self._first
        if not before:
            self._first = (now, done)
        told = done - before
        if told <= 0 or now <= began:
            known = self._answer if phase in (*_ANSWERING, "familiar") else None
            return None if known is None else known * _COST.get(phase, 1.0)
        each = (now - began) / told
        if phase in _ANSWERING and (told >= _TELLING or self._answer is None):
            self._answer = each / _COST.get(phase, 1.0)
        return each

    def _seconds_of(self, name: str, times: float) -> float:
        """Return what a later phase takes, where all that is fixed takes so many times as long."""
        slower, building = self.tempo.slowdown, _BUILDING * times
        if self._answering is not None:
            building = self._answering.building * slower
        decoding = _DECODING * self._pace if name == "export" else 0.0
        each = (self._answer or 0.0) * slower * _COST.get(name, 1.0) + decoding
        fixed = _FIXED_SECONDS.get(name, 0.0) * times + _GRAPHS.get(name, 0) * building
        return fixed + self._pictures.get(name, 0.0) * each

    def _is_ahead(self, name: str, phase: str) -> bool:
        """Whether a planned phase is still to come; the first validation is before fine-tuning."""
        if name == "fine_tuning" and name not in self._begun:
            return True
        return _ORDER.index(name) > _ORDER.index(phase)


def _pace() -> float:
    """Return how many times as long this machine takes for what one processor does alone."""
    began = time.thread_time()
    sum(number * number for number in range(_COUNTED))
    return min(max((time.thread_time() - began) / _COUNTING, _PACES[0]), _PACES[1])
