"""What a training will cost: two timed steps give the minutes, one measured step the memory."""

import math
import time
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from transfer import backbones, batch_fitting, boundary, devices, features, memory
from transfer.dataset.split import Split
from transfer.lights import Light
from transfer.memory import Peak
from transfer.strategies import fine_tuning
from transfer.training import FitSettings
from transfer.trial import Trial

_TIMED = 2  # steps, after one that builds the graph
_BATCH = 32  # of the validation
_JUDGED_BESIDES = 4  # validations: before the first epoch, and of the last choice
_ANSWERED = 3  # times that the finished model answers: once for the result, twice for the export
_SLOWER = 4.0  # than the runtime of the frozen part is an answer of the model itself, at most
_BUILDING = 15.0  # seconds: graphs are built, the runtime is compiled, the model is saved


@dataclass(frozen=True)
class Cost:
    """What the training will take at most; it may stop early.

    Attributes:
        seconds_a_step: the mean of two steps, with its batch read.
        steps: of all epochs.
        minutes: of the whole training.
        memory_mb: what training takes beyond the `process_mb` which are in use before it, in the
            memory of the GPU where there is one.
        batch_size: pictures a step, `halved_from` the planned number where that did not fit.
        device: "GPU" or "CPU".
        light: amber where the batch had to be made smaller.
    """

    seconds_a_step: float
    steps: int
    epochs: int
    minutes: float
    memory_mb: float
    process_mb: float
    batch_size: int
    halved_from: int | None
    device: str
    light: Light
    words: str

    def to_json(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        return asdict(self)


def run(trial: Trial, split: Split) -> Cost:
    """Time the steps of the training; the model is left with other weights.

    Args:
        trial: the sample.
        split: the pictures of the training itself.

    Raises:
        SettingsError: not even one picture at a time fits into memory.
    """
    planned = trial.task.config.batch_size

    def attempt(size: int) -> tuple[int, float, Peak]:
        memory.require(trial.model, size)
        return size, *_timed(trial, size)

    size, a_step, taken = batch_fitting.largest(trial.task.run, planned, attempt)
    whole = replace(trial.task, split=split)
    settings = fine_tuning.fit_settings(whole, trial.policy, trial.prepared, size)
    steps = -(-len(split.train) // size) * settings.epochs
    seconds = steps * a_step + _besides(trial, split, settings)
    if trial.task.config.budget is not None:
        seconds = min(seconds, trial.task.config.budget)
    device = "GPU" if devices.has_accelerator() else "CPU"
    cost = Cost(
        seconds_a_step=round(a_step, 4),
        steps=steps,
        epochs=settings.epochs,
        minutes=round(seconds / 60, 1),
        memory_mb=round(taken.megabytes),
        process_mb=round(taken.before),
        batch_size=size,
        halved_from=planned if size < planned else None,
        device=device,
        light="green" if size == planned else "amber",
        words="",
    )
    return replace(cost, words=_sentence(cost))


def _timed(trial: Trial, size: int) -> tuple[float, Peak]:
    """Return (seconds a step, the memory that training takes) with batches of a size."""
    rows = np.arange(size) % len(trial.views)
    with memory.peak() as taken:
        paced = trial.compiled()
        paced.slow_to(0.0)
        _step(trial, rows)  # builds the graph
        began = time.monotonic()
        for _ in range(_TIMED):
            _step(trial, rows)
        seconds = (time.monotonic() - began) / _TIMED
    return seconds, taken


def _step(trial: Trial, rows: np.ndarray) -> None:
    # The answer is fetched: on a GPU the step is over only then.
    trial.model.train_on_batch(trial.views[rows], trial.one_hot(rows), return_dict=True)


def _besides(trial: Trial, split: Split, settings: FitSettings) -> float:
    """Return the seconds of all that is no training step."""
    task, train, val = trial.task, len(split.train), len(split.val)
    contents = [task.index.pictures[i].sha256 for i in (*split.train, *split.val)]
    unseen = len(task.features.kept.missing(contents))
    shape = trial.views.shape[1:]
    count = boundary.views((shape[0], shape[1], shape[2]), train, task.run.folder)
    made = (min(count, settings.epochs) or settings.epochs) * train + val
    judged = (2 if settings.averaging else 1) * settings.epochs + _JUDGED_BESIDES
    answered = _ANSWERED * (val + len(split.test))
    forward = trial.seconds_a_view
    return (
        unseen * (features.seconds_per_picture(task.backbone) or forward)
        + (made + _SLOWER * answered) * forward
        + judged * val * _seconds_to_judge(trial)
        + _BUILDING
    )


def _seconds_to_judge(trial: Trial) -> float:
    """Return what the trained part takes for a validation picture."""
    predict = backbones.compiled(trial.model, _BATCH)
    predict(trial.held_out[:1])  # builds the graph
    began = time.monotonic()
    predict(trial.held_out[:_BATCH])  # padded to a full batch where there are fewer
    return (time.monotonic() - began) / _BATCH


def _in_words(minutes: float) -> str:
    """Return a time in words, rounded up.

    >>> _in_words(0.4), _in_words(7.2), _in_words(301)
    ('a minute', '8 minutes', '5.1 hours')
    """
    if minutes <= 1:
        return "a minute"
    if minutes <= 120:
        return f"{math.ceil(minutes)} minutes"
    return f"{math.ceil(minutes / 6) / 10} hours"


def _sentence(cost: Cost) -> str:
    size, where = cost.batch_size, "of the GPU" if cost.device == "GPU" else "of this computer"
    time_taken = _in_words(cost.minutes)
    words = (
        f"A step of {size} pictures takes {cost.seconds_a_step:.2g} s: the {cost.epochs} epochs,"
        f" {cost.steps:,} steps in all, take {time_taken} at most, less where it stops early."
        f" Training needs about {cost.memory_mb:,.0f} MB of the memory {where}, besides the"
        f" {cost.process_mb:,.0f} MB of the program and the network."
    )
    if cost.halved_from:
        words = f"{batch_fitting.sentence(size, cost.halved_from)} {words}"
    return words
