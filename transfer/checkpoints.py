"""What a killed training needs to go on: one file for whole epochs, one for steps within one.

FOLDER/
    fine_tuning.npz   after each epoch: all variables, the best weights, their mean, the history
    snapshot-N.npz    where wanted, the weights at the end of the N-th cycle of the schedule
    step.npz          every few seconds within an epoch: all variables, the metrics so far

Each is replaced as a whole and is on the disk before the last one goes. One that cannot be read (a
power cut on a careless disk) counts as not there: then the work since the one before is done again.
"""

import contextlib
import json
import math
import os
import time
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np

from transfer import store

EVERY = 3.0  # seconds between two savings within an epoch, at least
_MOST_COST = 0.05  # of the time, at most, goes into them

_DAMAGED = (ValueError, KeyError, EOFError, TypeError, zipfile.BadZipFile, FileNotFoundError)

Arrays = list[np.ndarray]


@dataclass
class State:
    """How far a training is, besides the variables' values."""

    history: list[dict[str, Any]] = field(default_factory=list)
    best_loss: float = math.inf
    best_epoch: int = 0
    epochs: int = 0  # as planned: fewer where the time allows no more
    stopped: str | None = None


@dataclass(frozen=True)
class Within:
    """A place within an epoch: `step` batches are done, in `seconds`.

    `metrics` are the values of Keras's metrics so far; `row` is that of the epoch, without the
    validation, once all batches are done.
    """

    epoch: int
    step: int
    seconds: float
    metrics: tuple[np.ndarray, ...] = ()
    row: dict[str, Any] | None = None


class Checkpoint:
    """The two files of one training.

    Args:
        folder: where they are.
        variables: all that changes in training.
        trained: how many of them, from the first on, are the weights that learn.
    """

    def __init__(self, folder: Path, variables: Sequence[keras.Variable], trained: int) -> None:
        self._folder, self._variables, self._trained = folder, list(variables), trained
        self._every, self._last = EVERY, time.monotonic()
        for left in folder.glob(".*.partial.npz"):  # by a process that was killed in writing
            left.unlink(missing_ok=True)

    @property
    def due(self) -> bool:
        """Whether the last saving is long ago."""
        return time.monotonic() - self._last >= self._every

    def save(self, state: State, best: Arrays, mean: Arrays) -> None:
        """Keep what there is after an epoch."""
        arrays = {f"best{i}": value for i, value in enumerate(best)}
        arrays |= {f"mean{i}": value for i, value in enumerate(mean)}
        self._write("fine_tuning", vars(state), arrays)
        (self._folder / "step.npz").unlink(missing_ok=True)

    def save_snapshot(self, number: int) -> None:
        """Keep the weights at the end of a cycle; a process that goes on may write them again."""
        now = values(self._variables[: self._trained])
        with store.replacing(self._folder / f"snapshot-{number}.npz") as partial:
            np.savez(partial, allow_pickle=False, **{f"now{i}": one for i, one in enumerate(now)})

    def restore(self) -> tuple[State, Arrays, Arrays]:
        """Set the variables as they were; return (state, best, mean); without a file, a new one."""
        with contextlib.suppress(*_DAMAGED):
            kept = self._read("fine_tuning")
            state = State(**kept["about"])
            best, mean = (
                [kept[f"{name}{i}"] for i in range(self._trained)] for name in ("best", "mean")
            )
            self._assign(kept)
            return state, best, mean
        return State(), [], []

    def save_step(self, within: Within) -> None:
        """Keep a place within an epoch."""
        about = {**vars(within), "metrics": len(within.metrics)}
        began = time.monotonic()
        self._write("step", about, {f"metric{i}": one for i, one in enumerate(within.metrics)})
        self._every = max(EVERY, (time.monotonic() - began) / _MOST_COST)

    def restore_step(self, epoch: int) -> Within | None:
        """Set the variables as they were at the place that is kept of this epoch, if there is."""
        with contextlib.suppress(*_DAMAGED):
            kept = self._read("step")
            about = kept["about"]
            metrics = tuple(kept[f"metric{i}"] for i in range(about["metrics"]))
            within = Within(**{**about, "metrics": metrics})
            if within.epoch == epoch:
                self._assign(kept)
                return within
        return None

    def _assign(self, kept: dict[str, Any]) -> None:
        values = [kept[f"now{i}"] for i in range(len(self._variables))]
        for variable, value in zip(self._variables, values, strict=True):
            variable.assign(value)

    def _write(self, name: str, about: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
        """Write one file, whole or not at all, and see it onto the disk."""
        arrays |= {f"now{i}": value for i, value in enumerate(values(self._variables))}
        arrays["state"] = np.frombuffer(json.dumps(about).encode(), np.uint8)
        with store.replacing(self._folder / f"{name}.npz") as partial, partial.open("wb") as file:
            np.savez(file, allow_pickle=False, **arrays)
            file.flush()
            os.fsync(file.fileno())
        self._last = time.monotonic()

    def _read(self, name: str) -> dict[str, Any]:
        """Return the whole file, so that nothing is changed where a part of it is damaged."""
        # Opened here: of a damaged file NumPy would leave it open.
        with (
            (self._folder / f"{name}.npz").open("rb") as file,
            np.load(file, allow_pickle=False) as kept,
        ):
            arrays: dict[str, Any] = dict(kept.items())
        return {**arrays, "about": json.loads(arrays["state"].tobytes())}


def rows(folder: Path) -> list[dict[str, Any]]:
    """Return the rows of the epochs that a killed training has behind it; none without a file."""
    try:
        with (
            (folder / "fine_tuning.npz").open("rb") as file,
            np.load(file, allow_pickle=False) as kept,
        ):
            return json.loads(kept["state"].tobytes())["history"]
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        return []


def mean(folder: Path) -> Arrays:
    """Return the running mean of the epochs' weights that a training has come to.

    Raises:
        FileNotFoundError: it has not begun, or what it kept was taken away.
    """
    with np.load(folder / "fine_tuning.npz", allow_pickle=False) as kept:
        return [kept[f"mean{i}"] for i in range(sum(one.startswith("mean") for one in kept.files))]


def snapshots(folder: Path) -> dict[int, Arrays]:
    """Return the weights at the end of each cycle that a training has come to, by its number."""
    found = {}
    for path in folder.glob("snapshot-*.npz"):
        with np.load(path, allow_pickle=False) as kept:
            found[int(path.stem.rpartition("-")[2])] = [
                kept[f"now{i}"] for i in range(len(kept.files))
            ]
    return dict(sorted(found.items()))


def values(variables: Sequence[keras.Variable]) -> Arrays:
    """Return copies of variables' values."""
    return [np.array(keras.ops.convert_to_numpy(variable)) for variable in variables]
