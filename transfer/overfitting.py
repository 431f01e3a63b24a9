"""Learn twenty pictures by heart: what cannot do that will learn nothing from more of them.

With all regularisation off (augmentation, dropout, weight decay, label smoothing) and a fresh head
the loss has to come near zero within a few dozen steps; where it does not, something is broken: the
pictures, the labels, the network or the rates (Karpathy, A Recipe for Training Neural Networks).
"""

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from transfer import pacing
from transfer.lights import Light
from transfer.trial import Trial

PICTURES = 20
_STEPS = 40
_FASTER = 5.0  # than the training's rates: twenty pictures by heart need no care
_NEAR_ZERO = 0.05  # nats: the right class gets 95 % on average
_LEARNED = 0.5  # of ln C: above it little has been learned


@dataclass(frozen=True)
class Overfit:
    """How it went: the loss before each step and after the last, in nats; the accuracy at the end.

    `seconds` is what it took.
    """

    images: int
    steps: int
    losses: tuple[float, ...]
    accuracy: float
    light: Light
    words: str
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        return {**asdict(self), "losses": [round(value, 5) for value in self.losses]}


def run(trial: Trial, told: Callable[[int, int], None] | None = None) -> Overfit:
    """Train on twenty pictures until they are known, or the steps are used up.

    Args:
        trial: its model is left with other weights.
        told: called with (steps done, steps at most).
    """
    rows = np.arange(min(PICTURES, len(trial.plain)))  # classes take turns in the sample
    trial.reset(np.random.default_rng([trial.task.config.seed, 2]))
    rates = {path: _FASTER * rate for path, rate in trial.prepared.rates.items()}
    paced = pacing.paced("adamw", rates, _FASTER * trial.prepared.default_rate, weight_decay=0.0)
    step = _step(trial.model, paced.optimizer)
    inputs, targets = tf.constant(trial.plain[rows]), tf.constant(trial.one_hot(rows))
    losses: list[float] = []
    loss, accuracy, began = math.inf, 0.0, time.monotonic()
    for number in range(_STEPS + 1):
        loss, accuracy = (float(value) for value in step(inputs, targets, number < _STEPS))
        if not math.isfinite(loss):
            break
        losses.append(loss)
        if told:
            told(number, _STEPS)
        if loss <= _NEAR_ZERO and accuracy == 1.0:
            break
    light = judged(loss, accuracy, trial.task.num_classes)
    words = sentence(light, len(rows), loss, accuracy)
    seconds = round(time.monotonic() - began, 2)
    return Overfit(
        len(rows), max(0, len(losses) - 1), tuple(losses), accuracy, light, words, seconds
    )


def judged(loss: float, accuracy: float, num_classes: int) -> Light:
    """Return the light for the loss (nats) and the accuracy on the pictures that were learned."""
    if not math.isfinite(loss):
        return "red"
    if accuracy == 1.0 and loss <= _NEAR_ZERO:
        return "green"
    return "amber" if loss <= _LEARNED * math.log(num_classes) else "red"


def sentence(light: Light, images: int, loss: float, accuracy: float) -> str:
    """Return in plain words what was found and what it means."""
    if not math.isfinite(loss):
        return (
            f"While {images} pictures were being learned by heart the numbers ran off to infinity:"
            " the rate is far too high, or the pictures do not reach the network as they should."
        )
    right = round(accuracy * images)
    if light == "green":
        return (
            f"The network learned {images} pictures by heart (loss {loss:.3f}): pictures, labels"
            " and training fit together."
        )
    if light == "amber":
        return (
            f"The network learned {right} of {images} pictures by heart, but not surely (loss"
            f" {loss:.2f} instead of near 0). Look for pictures that show the same in two classes."
        )
    return (
        f"The network could not learn even {images} pictures by heart ({right} right, loss"
        f" {loss:.2f} instead of near 0). Training will not work: look at the pictures as the"
        " network sees them, and whether equal pictures lie in several classes."
    )


def _step(
    model: keras.Model, optimizer: keras.optimizers.Optimizer
) -> Callable[[tf.Tensor, tf.Tensor, bool], tuple[tf.Tensor, tf.Tensor]]:
    """Return the function that gives (loss, accuracy) and then, if so wanted, takes a step."""
    variables = model.trainable_variables
    optimizer.build(variables)
    entropy: Any = keras.losses.categorical_crossentropy

    @tf.function(autograph=False)
    def step(inputs: tf.Tensor, targets: tf.Tensor, learn: bool) -> tuple[tf.Tensor, tf.Tensor]:
        with tf.GradientTape() as tape:
            # Not as in training: that is what turns off every dropout, the network's own too.
            answers = model(inputs, training=False)
            loss = tf.reduce_mean(entropy(targets, answers))
        if learn:
            gradients = tape.gradient(loss, [variable.value for variable in variables])
            optimizer.apply(gradients, variables)
        right = tf.equal(tf.argmax(answers, 1), tf.argmax(targets, 1))
        return loss, tf.reduce_mean(tf.cast(right, tf.float32))

    return step
