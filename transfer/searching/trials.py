"""One trial: a short fine-tuning in the settings that were drawn, ended early where that is clear.

Everything is as in a run: the same split, features, boundary and training, only shorter. Trials
share the linear classifier and, where pictures are changed alike, the frozen part's answers.
"""

import math
import shutil
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras

from transfer import checkpoints, diagnosis, pooling
from transfer.runs import Run
from transfer.searching import rows as rows_of
from transfer.searching import space as spaces
from transfer.searching.rounds import Tell
from transfer.searching.space import AUGMENTATION, Settings
from transfer.searching.studies import OpenTrial
from transfer.strategies import POLICIES, REGISTRY, Task, heads
from transfer.training import Progress

_SHARE = 0.25  # of a run's epochs
_LEAST_EPOCHS = 3


class PrunedError(Exception):
    """Raised after an epoch: the trial is worse than most others at that epoch."""


class RuinedError(Exception):
    """Raised after an epoch: the training cannot come to anything; says why."""


class Trainer:
    """Makes the trials of one task.

    Args:
        task: as a run would have it.
        folder: for what a trial needs to go on, and for what the trials share.
        epochs: of each trial; None: a quarter of those of a run, but at least three.
    """

    def __init__(self, task: Task, folder: Path, epochs: int | None) -> None:
        self._task, self._folder = task, folder
        block = pooling.top(task.features.blocks)
        self._head = heads.probe(task, block, tell=True).head
        self._epochs = epochs or self._usual_epochs()

    def make(self, trial: OpenTrial, settings: Settings, tell: Tell) -> None:
        """Train, or go on, until the trial is told; what `tell` raises leaves it unfinished."""
        folder = self._folder / f"{trial.number:04d}"
        for other in self._folder.glob("[0-9]*"):
            if other != folder:  # a killed process told how it ended, and left it here
                shutil.rmtree(other, ignore_errors=True)
        watch = _Watch(trial, self._epochs, self._task.num_classes, tell)
        try:
            watch.go_on(checkpoints.rows(Run(folder).checkpoint_folder / self._strategy))
            keras.utils.set_random_seed(self._task.config.seed)  # each trial begins alike
            trained = REGISTRY[self._strategy](self._for(folder, settings, watch))
            state, reason = "complete", _ENDED.get(trained.ended, trained.ended)
            watch.go_on([row for row in trained.history if row["phase"] != "head"])
        except PrunedError:
            state, reason = "pruned", "It was worse than most others after as many epochs."
        except RuinedError as ruined:
            state, reason = "stopped", str(ruined)
        finally:
            trial.spent(watch.seconds)
        value = None if state == "stopped" else rows_of.lowest(watch.history)
        trial.finish(state, value, len(watch.history), reason)
        shutil.rmtree(folder, ignore_errors=True)

    def _for(self, folder: Path, settings: Settings, watch: "_Watch") -> Task:
        changed = {**spaces.settings_of_run(settings), "epochs": self._epochs, "budget": None}
        alike = f"views-{settings['frozen_level']}-{settings[AUGMENTATION]}"
        return replace(
            self._task,
            config=self._task.config.changed(changed),
            run=Run(folder),
            deadline=lambda: math.inf,  # a schedule that is cut short could not be compared
            on_progress=watch.step,
            on_epoch=watch.epoch,
            on_history=watch.all_rows,
            on_view=watch.view,
            should_stop=lambda: False,
            head=self._head,
            views=self._folder / alike,
        )

    @property
    def _strategy(self) -> str:
        return self._task.config.strategy

    def _usual_epochs(self) -> int:
        config = self._task.config
        steps = -(-len(self._task.split.train) // config.batch_size)
        whole = config.epochs or POLICIES[config.strategy].epochs_of(steps)
        return min(whole, max(_LEAST_EPOCHS, math.ceil(_SHARE * whole)))


class _Watch:
    """Follows one training: passes its losses on, ends it where the pruner or a rule says so."""

    def __init__(self, trial: OpenTrial, epochs: int, num_classes: int, tell: Tell) -> None:
        self._trial, self._epochs, self._num_classes = trial, epochs, num_classes
        self._tell, self._share = tell, 0.0
        self._began, self._spent_before = time.monotonic(), trial.seconds
        self.history: list[dict[str, Any]] = []
        self._rows: list[dict[str, Any]] = []  # with that of the start, by which ruin is told

    @property
    def seconds(self) -> float:
        """What the trial has taken so far, in all processes that worked on it."""
        return self._spent_before + time.monotonic() - self._began

    def go_on(self, history: list[dict[str, Any]]) -> None:
        """Take up the epochs of a process that was killed, which may not have told them all."""
        self._rows = history
        new = [row for row in history if row["epoch"] > len(self.history)]
        for row in new[:-1]:
            self.history.append(row)
            self._trial.report(row["epoch"], row["val_loss"])
        for row in new[-1:]:  # that decides: training went on after those before
            self._take(row)

    def all_rows(self, rows: list[dict[str, Any]]) -> None:
        """Take down all rows so far, before the last of them is told by itself."""
        self._rows = rows

    def epoch(self, row: dict[str, Any]) -> None:
        """Take down an epoch."""
        self._take(row)
        self._trial.spent(self.seconds)
        self._tell(row["epoch"] / self._epochs, f"epoch {row['epoch']} of {self._epochs}")

    def step(self, progress: Progress) -> None:
        """Tell of a step."""
        done = (progress.epoch - 1 + progress.step / progress.steps) / self._epochs
        self._share = min(1.0, done)
        self._tell(self._share, f"epoch {progress.epoch} of {self._epochs}")

    def view(self, done: int, total: int) -> None:
        """Tell of pictures that pass through the part of the network that stays as it is."""
        self._tell(self._share, f"preparing {done} of {total} pictures")

    def _take(self, row: dict[str, Any]) -> None:
        self.history.append(row)
        if reason := diagnosis.stop_reason(self._rows, self._num_classes):
            raise RuinedError(reason)
        worse = self._trial.report(row["epoch"], row["val_loss"])
        if worse and row["epoch"] < self._epochs:
            raise PrunedError


_ENDED = {
    "epochs": "All its epochs.",
    "patience": "The validation loss no longer fell.",
    "budget": "The time was up.",
}
