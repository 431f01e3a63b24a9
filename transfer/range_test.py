"""The learning-rate range test: let the rate rise from step to step and see where the loss falls.

From 1e-7 to 10 in 100 equal factors, with a fresh random head, the training's own optimizer and all
its regularisation (Smith 2017, arXiv 1506.01186). It ends where the smoothed loss is four times its
best. The chosen rate is a tenth of that at which the smoothed loss is lowest: the rule of fastai's
finder (Howard and Gugger 2020), an order of magnitude before the loss begins to rise.
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from transfer.lights import Light
from transfer.trial import Trial

LOWEST, HIGHEST, STEPS = 1e-7, 10.0, 100
BATCHES = (32, 16, 8, 4)  # the largest with which the test takes about as long as it may
_SECONDS = 12.0
_STOP = 4.0  # times the best smoothed loss
_MEMORY = 0.9  # of the smoothed loss: how much of it is older than the last step
_BEGINNING = 20  # steps, up to a rate of 5e-6, in which nothing is learned yet
_SAFETY = 0.1  # of the rate at the minimum
_FALLS = 0.1  # of the loss at the beginning: less may be chance
_TOO_HIGH = 10.0  # times the choice: there the loss rises already
_TOO_LOW = 1 / 30  # of the choice; somewhat too low is only slower


@dataclass(frozen=True)
class RateRange:
    """The curve: the head's rate at each step and the smoothed loss there, in nats; the choice.

    `chosen` is None where no rate lowers the loss; `planned` the rate of the settings; `batch_size`
    how many pictures each step looked at.
    """

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    chosen: float | None
    planned: float
    batch_size: int
    light: Light
    words: str
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        return {
            **asdict(self),
            "rates": [float(f"{rate:.4g}") for rate in self.rates],
            "losses": [round(loss, 5) for loss in self.losses],
        }


def run(trial: Trial, batch_size: int, told: Callable[[int, int], None] | None = None) -> RateRange:
    """Do the test; the model is left with other weights.

    Args:
        trial: the sample, of which the augmented pictures are used.
        batch_size: pictures a step, see `batch_for`.
        told: called with (steps done, steps at most).
    """
    began, planned = time.monotonic(), trial.task.config.learning_rate
    paced = trial.compiled()
    trial.reset(np.random.default_rng([trial.task.config.seed, 3]))
    rates, losses = np.geomspace(LOWEST, HIGHEST, STEPS), []
    for number, rows in enumerate(_batches(trial, batch_size)):
        paced.slow_to(rates[number] / planned)
        inputs, targets = trial.views[rows], trial.one_hot(rows)
        answer: Any = trial.model.train_on_batch(inputs, targets, return_dict=True)
        trial.model.reset_metrics()
        losses.append(float(answer["loss"]))
        if told:
            told(number + 1, STEPS)
        if _over(losses):
            break
    curve = [value for value in smoothed(losses) if math.isfinite(value)]
    rate = choose(rates[: len(curve)].tolist(), curve)
    light = _judged(rate, curve, planned)
    words = _sentence(light, rate, curve, planned)
    return RateRange(
        rates=tuple(rates[: len(curve)].tolist()),
        losses=tuple(curve),
        chosen=rate,
        planned=planned,
        batch_size=batch_size,
        light=light,
        words=words,
        seconds=round(time.monotonic() - began, 2),
    )


def batch_for(seconds_a_step: float, batch_size: int) -> int:
    """Return the pictures a step with which the test takes seconds, given those of a full batch.

    >>> batch_for(0.1, 32), batch_for(0.2, 32), batch_for(0.4, 32), batch_for(5.0, 32)
    (32, 16, 8, 4)
    """
    allowed = batch_size * _SECONDS / (STEPS * max(seconds_a_step, 1e-6))
    fitting = [size for size in BATCHES if size <= allowed]
    return min(batch_size, max(fitting, default=BATCHES[-1]))


def smoothed(losses: Sequence[float]) -> list[float]:
    """Return the running mean in which older losses count less and less, from the first on.

    >>> [round(value, 2) for value in smoothed([1.0, 1.0, 2.0])]
    [1.0, 1.0, 1.37]
    """
    mean, found = 0.0, []
    for number, loss in enumerate(losses, start=1):
        mean = _MEMORY * mean + (1 - _MEMORY) * loss
        found.append(mean / (1 - _MEMORY**number))
    return found


def choose(rates: Sequence[float], curve: Sequence[float]) -> float | None:
    """Return a tenth of the rate where the smoothed loss is lowest, None where it never falls.

    Args:
        rates: rising.
        curve: the smoothed loss at each of them.
    """
    if len(curve) <= _BEGINNING:
        return None
    lowest = _lowest(curve)
    if curve[lowest] > (1 - _FALLS) * _at_the_beginning(curve):
        return None
    return float(f"{_SAFETY * rates[lowest]:.2g}")


def _batches(trial: Trial, size: int) -> list[np.ndarray]:
    """Return which pictures each step looks at: all of them in turn, in a new order each time."""
    rng = np.random.default_rng([trial.task.config.seed, 4])
    rows = np.empty(0, np.int64)
    while len(rows) < STEPS * size:
        rows = np.concatenate([rows, rng.permutation(len(trial.views))])
    return list(rows[: STEPS * size].reshape(STEPS, size))


def _over(losses: Sequence[float]) -> bool:
    if not math.isfinite(losses[-1]):
        return True
    curve = smoothed(losses)
    return curve[-1] > _STOP * min(curve)


def _lowest(curve: Sequence[float]) -> int:
    """Return where the smoothed loss is lowest; at the beginning it is so by chance only."""
    return _BEGINNING + int(np.argmin(curve[_BEGINNING:]))


def _at_the_beginning(curve: Sequence[float]) -> float:
    return float(np.mean(curve[:_BEGINNING]))


def _judged(rate: float | None, curve: Sequence[float], planned: float) -> Light:
    if rate is None:
        return "red"
    at_the_end = _lowest(curve) == STEPS - 1  # it never rose again: no valley was seen
    near = _TOO_LOW * rate <= planned <= _TOO_HIGH * rate
    return "green" if near and not at_the_end else "amber"


def _sentence(light: Light, rate: float | None, curve: Sequence[float], planned: float) -> str:
    if len(curve) <= _BEGINNING:
        return (
            "The loss ran off to infinity at the lowest rates already: the pictures do not reach"
            " the network as they should, or its weights are damaged."
        )
    if rate is None:
        return (
            f"No learning rate from {LOWEST:.0e} to {HIGHEST:.0f} lowered the loss by a tenth: the"
            " network sees nothing in the pictures that tells the classes apart. Look at them, and"
            " at their labels."
        )
    fell = f"from {_at_the_beginning(curve):.2f} to {curve[_lowest(curve)]:.2f}"
    told = f"The loss fell {fell} while the rate rose; a tenth of the best rate is {rate:.0e}"
    if light == "green":
        return f"{told}, close enough to the planned {planned:.0e}."
    if _lowest(curve) == STEPS - 1:
        return f"{told}. It never rose again, so the highest rate that works is not known."
    way = "lower" if rate < planned else "higher"
    return f"{told}, much {way} than the planned {planned:.0e}: try it."
