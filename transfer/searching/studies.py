"""The search's memory: an Optuna study in one file, which draws, prunes and survives any kill."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.pruners import MedianPruner
from optuna.samplers import RandomSampler
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState

from transfer.searching.rows import State, TrialRow
from transfer.searching.space import AUGMENTATION, Settings, Space, rounded

_NAME = "search"
_STARTUP = 4  # whole trials before any is pruned
# Names of what is kept of a trial besides what Optuna itself keeps: each is written at once.
_DRAWN, _SPENT, _TOLD = "drawn", "seconds", "told"


class Trials:
    """The trials in a file that no other process writes to: the caller holds the folder's lock.

    Args:
        file: Optuna's journal; made where it is not there.
        seed: together with a trial's number it decides what the trial draws, so that a search which
            was killed draws what it would have drawn.
    """

    def __init__(self, file: Path, seed: int) -> None:
        _mend(file)
        self._seed = seed
        with _quiet():
            backend = JournalFileBackend(str(file), JournalFileOpenLock(str(file)))
            self._study = optuna.create_study(
                storage=JournalStorage(backend),
                study_name=_NAME,
                direction="minimize",
                pruner=MedianPruner(n_startup_trials=_STARTUP, n_warmup_steps=1),
                sampler=RandomSampler(seed),
                load_if_exists=True,
            )

    def rows(self) -> list[TrialRow]:
        """Return all trials so far, by number."""
        return [_row(one) for one in self._study.get_trials(deepcopy=False)]

    def next(self) -> "OpenTrial":
        """Return the trial that was left unfinished, else a new one."""
        with _quiet():
            for one in self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
                return OpenTrial(self._study, Trial(self._study, one._trial_id), self._seed)
            return OpenTrial(self._study, self._study.ask(), self._seed)


class OpenTrial:
    """A trial that is being made."""

    def __init__(self, study: Study, trial: Trial, seed: int) -> None:
        self._study, self._trial = study, trial
        self.number = trial.number
        self.seconds = float(trial.user_attrs.get(_SPENT, 0.0))  # that earlier processes spent
        drawn = np.random.SeedSequence([seed, trial.number]).generate_state(1)
        study.sampler = RandomSampler(int(drawn[0]))

    def draw(self, space: Space, round_name: str, wave: int) -> Settings:
        """Return the settings to try; a trial that goes on has those it had."""
        drawn: Settings = {}
        for name, one in space.ranges().items():
            if one.whole:
                drawn[name] = self._trial.suggest_int(name, int(one.low), int(one.high))
            else:
                value = self._trial.suggest_float(name, one.low, one.high, log=one.log)
                drawn[name] = rounded(value)
        # Optuna keeps the number of the level: the levels to choose from may change.
        share = self._trial.suggest_float(AUGMENTATION, 0.0, 1.0)
        place = min(int(share * len(space.augmentation)), len(space.augmentation) - 1)
        drawn[AUGMENTATION] = space.augmentation[place]
        if _DRAWN not in self._trial.user_attrs:
            kept = {"settings": drawn, "round": round_name, "wave": wave}
            self._trial.set_user_attr(_DRAWN, kept)
        return self._trial.user_attrs[_DRAWN]["settings"]

    def report(self, epoch: int, loss: float) -> bool:
        """Take down the loss of an epoch; return whether the trial is worse than most others."""
        with _quiet():
            if epoch not in self._known().intermediate_values:
                self._trial.report(loss, epoch)
            return self._trial.should_prune()

    def spent(self, seconds: float) -> None:
        """Take down how long the trial has taken."""
        self._trial.set_user_attr(_SPENT, round(seconds, 3))

    def finish(self, state: State, value: float | None, epochs: int, reason: str) -> None:
        """Close the trial."""
        told = {"state": state, "value": value, "epochs": epochs, "reason": reason}
        self._trial.set_user_attr(_TOLD, told)
        with _quiet():
            if state == "complete" and value is not None:
                self._study.tell(self._trial, value)
            else:
                ended = TrialState.PRUNED if state == "pruned" else TrialState.FAIL
                self._study.tell(self._trial, state=ended)

    def _known(self) -> FrozenTrial:
        return self._study.get_trials(deepcopy=False)[self.number]


def _row(trial: FrozenTrial) -> TrialRow:
    losses = trial.intermediate_values
    told: dict[str, Any] = {
        "state": "unfinished",
        "value": _lowest(list(losses.values())),
        "epochs": len(losses),
        "reason": "It goes on where it was.",
    }
    if trial.state.is_finished():
        told = trial.user_attrs[_TOLD]
    drawn = trial.user_attrs.get(_DRAWN, {"settings": {}, "round": "", "wave": 0})
    seconds = round(float(trial.user_attrs.get(_SPENT, 0.0)), 2)
    return TrialRow(trial.number, **drawn, **told, seconds=seconds)


def _lowest(values: Sequence[float]) -> float | None:
    finite = [value for value in values if np.isfinite(value)]
    return min(finite) if finite else None


def _mend(file: Path) -> None:
    """Take away what a killed process left behind: its lock, and half a line at the end."""
    file.with_name(f"{file.name}.lock").unlink(missing_ok=True)
    if file.is_file():
        with file.open("r+b") as journal:
            journal.truncate(journal.read().rfind(b"\n") + 1)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Optuna's own words to itself: ours are for people."""
    logger = logging.getLogger("optuna")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)
