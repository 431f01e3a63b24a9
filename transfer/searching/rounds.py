"""The rounds of a search: which trial comes next, from which ranges; how far it is; its end."""

import math
import shutil
import time
from collections.abc import Callable
from typing import Any, Protocol

from transfer.errors import StoppedError
from transfer.runs import Run
from transfer.searching import plans, results, rows
from transfer.searching.plans import Plan
from transfer.searching.rows import TrialRow
from transfer.searching.space import Settings, Space
from transfer.searching.studies import OpenTrial, Trials

_BEST_FEW = 3  # at least; the fine round is drawn round them
_STATUS_EVERY = 0.5  # seconds

OnStep = Callable[[str, float, float, str], None]  # phase, done, total, words
Tell = Callable[[float, str], None]  # share of the trial that is done, words


class LeftError(Exception):
    """Raised while a trial is made, where there is no time for more: it can go on later."""


class Trainer(Protocol):
    """What makes a trial."""

    def make(self, trial: OpenTrial, settings: Settings, tell: Tell) -> None:
        """Train, or go on, until the trial is told; what `tell` raises leaves it unfinished."""
        ...


class Rounds:
    """One process's work on one search."""

    def __init__(self, run: Run, plan: Plan, on_step: OnStep) -> None:
        self._run, self._plan, self._on_step = run, plan, on_step
        self._began, self._told = time.monotonic(), 0.0
        self._spent_before = run.seconds_spent()
        budget = math.inf if plan.budget is None else plan.budget
        self._deadline = self._began + budget - self._spent_before
        self._trials = Trials(run.journal_path, run.config().seed)

    def work(self, begin: Callable[[], Trainer]) -> dict[str, Any]:
        """Make the trials that are missing; return the result.

        Args:
            begin: makes ready what trains, where there is something to train.
        """
        ended = "trials" if self._missing() == 0 else self._interruption()
        if not ended:
            try:
                done = self._plan.trials - self._missing()
                words = "Making the pictures and the network ready"
                self._run.status(
                    "search", done=done, total=self._plan.trials, words=words, seconds_left=None
                )
                trainer = begin()
                while self._missing():
                    self._make(trainer)
                ended = "trials"
                shutil.rmtree(self._run.trials_folder, ignore_errors=True)
            except (LeftError, StoppedError):
                ended = self._interruption()
            self._run.record_spent(self._spent())
        found = self._result(ended)
        self._run.status("finished", done=1, total=1, words="Finished", seconds_left=0.0)
        return found

    def _make(self, trainer: Trainer) -> None:
        trial = self._trials.next()
        wave, place = self._plan.place(trial.number)
        name = self._plan.waves[wave].round_of(place)
        settings = trial.draw(self._space(wave, name), name, wave)
        trainer.make(trial, settings, self._watcher(trial))
        self._run.record_spent(self._spent())
        self._run.event("trial", number=trial.number, settings=settings)
        self._result("")

    def _space(self, wave: int, name: str) -> Space:
        """Return the space of a round: that of the wave, or a narrower one round the best few."""
        space = self._plan.waves[wave].space
        if name != plans.FINE:
            return space
        before = sum(one.trials for one in self._plan.waves[:wave])
        first = before + self._plan.waves[wave].coarse
        # By number and not by time: a search that was killed draws what it would have drawn.
        made = [row for row in self._trials.rows() if row.number < first]
        return space.round_best([row.settings for row in best_few(made)])

    def _watcher(self, trial: OpenTrial) -> Callable[[float, str], None]:
        def told(share: float, words: str) -> None:
            if self._interruption():
                raise LeftError
            now, total = time.monotonic(), self._plan.trials
            said = f"Trial {trial.number + 1} of {total}: {words}"
            done = trial.number + share
            if now - self._told > _STATUS_EVERY:
                self._told = now
                self._run.status(
                    "search", done=done, total=total, words=said, seconds_left=self._left(done)
                )
            self._on_step("search", done, total, said)

        return told

    def _left(self, done: float) -> float | None:
        """Return the seconds that are left, at most; None where that is not known."""
        ended = [row.seconds for row in self._trials.rows() if row.state != "unfinished"]
        now = time.monotonic()
        most = math.inf if not ended else sum(ended) / len(ended) * (self._plan.trials - done)
        most = min(most, self._deadline - now)
        return None if most == math.inf else round(max(0.0, most), 1)

    def _missing(self) -> int:
        told = [row for row in self._trials.rows() if row.state != "unfinished"]
        return self._plan.trials - len(told)

    def _interruption(self) -> str:
        """Return why no more trials are made: "budget", "stopped", or "" where they are."""
        if self._run.stop_requested():
            return "stopped"
        return "budget" if time.monotonic() >= self._deadline else ""

    def _result(self, ended: str) -> dict[str, Any]:
        found = results.result(self._trials.rows(), self._plan, self._spent(), ended)
        self._run.write(plans.RESULT, found)
        return found

    def _spent(self) -> float:
        return self._spent_before + time.monotonic() - self._began


def best_few(made: list[TrialRow]) -> list[TrialRow]:
    """Return the trials that the fine round is drawn round, the best first."""
    return rows.ranked(made)[: max(_BEST_FEW, len(made) // 4)]
