"""The loss before the first step: guessing among C classes costs ln C, no more and no less.

A network whose fresh random head starts elsewhere gets pictures or labels in a wrong way (Karpathy,
A Recipe for Training Neural Networks). Our training begins better than that on purpose, with a head
in closed form (LP-FT, arXiv 2202.10054), so both numbers are told.
"""

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from transfer import backbones
from transfer.lights import Light, worst
from transfer.trial import Trial

_BATCH = 32
_HEADS = 3  # random ones, of which the mean counts
_NEAR, _FAR = 0.25, 0.75  # shares of ln C, from it
_KNOWS = 0.95  # of guessing: a closed-form head above it knows nothing of new pictures


@dataclass(frozen=True)
class StartLoss:
    """Losses in nats: of a random head, of guessing (ln C), of our head on new pictures.

    `guessing` is what saying the classes' shares costs on those new pictures.
    """

    loss: float | None
    expected: float
    closed_form: float | None
    closed_form_accuracy: float
    guessing: float
    light: Light
    words: str

    def to_json(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        values = asdict(self).items()
        return {key: round(v, 5) if isinstance(v, float) else v for key, v in values}


def run(trial: Trial) -> StartLoss:
    """Measure both beginnings; the model is left with the closed-form head."""
    classes = trial.task.num_classes
    predict = backbones.compiled(trial.model, _BATCH)
    losses = []
    for seed in range(_HEADS):
        trial.reset(np.random.default_rng([trial.task.config.seed, seed, 1]))
        losses.append(_loss(backbones.answers(predict, trial.plain, _BATCH), trial.labels))
    trial.reset()
    answers = backbones.answers(predict, trial.held_out, _BATCH)
    labels = trial.held_out_labels
    shares = np.bincount(trial.labels, minlength=classes) / len(trial.labels)
    guessing = _loss(np.tile(shares, (len(labels), 1)), labels)
    closed = _loss(answers, labels)
    accuracy = float((answers.argmax(axis=1) == labels).mean())
    loss, expected = float(np.mean(losses)), math.log(classes)
    first, second = judged(loss, expected), _judged_head(closed, guessing)
    words = _sentence(first, loss, expected, classes) + " " + _of_head(second, closed, accuracy)
    return StartLoss(
        loss=loss if math.isfinite(loss) else None,
        expected=expected,
        closed_form=closed if math.isfinite(closed) else None,
        closed_form_accuracy=accuracy,
        guessing=guessing,
        light=worst([first, second]),
        words=words,
    )


def judged(loss: float, expected: float) -> Light:
    """Return the light of a random head's loss, which should be what guessing costs."""
    if not math.isfinite(loss):
        return "red"
    off = abs(loss - expected) / expected
    return "green" if off <= _NEAR else "amber" if off <= _FAR else "red"


def _judged_head(closed: float, guessing: float) -> Light:
    if not math.isfinite(closed):
        return "red"
    return "green" if closed <= _KNOWS * guessing else "amber"


def _sentence(light: Light, loss: float, expected: float, classes: int) -> str:
    told = f"ln {classes} = {expected:.2f}"
    if not math.isfinite(loss):
        return f"With a fresh random head the loss is not a number, where {told} was expected."
    if light == "green":
        return f"With a fresh random head the loss is {loss:.2f}, as guessing has it ({told})."
    return (
        f"With a fresh random head the loss is {loss:.2f}, not near {told} as guessing has it: look"
        " at the pictures as the network sees them."
    )


def _of_head(light: Light, closed: float, accuracy: float) -> str:
    if not math.isfinite(closed):
        return "The linear classifier with which the training begins gives no numbers."
    if light == "green":
        return (
            f"Training begins better than that on purpose, at {closed:.2f} on new pictures:"
            " with a linear classifier that was computed at once."
        )
    return (
        f"The linear classifier with which the training begins is no better on new pictures than"
        f" guessing (loss {closed:.2f}, {100 * accuracy:.0f} % right): look whether the labels"
        " belong to the pictures."
    )


def _loss(answers: np.ndarray, labels: np.ndarray) -> float:
    """Return the mean negative log-likelihood of probabilities [n, classes], in nats."""
    own = answers[np.arange(len(labels)), labels].astype(np.float64)
    return float(-np.log(np.maximum(own, np.finfo(np.float32).tiny)).mean())
