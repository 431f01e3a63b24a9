"""One optimizer for each part of a network, all slowed down together, and what time allows."""

import math
from dataclasses import dataclass

import keras
import numpy as np

from transfer import optimizers, toolbox


@dataclass(frozen=True)
class Paced:
    """An optimizer with the full rate of each of its parts, as it was set.

    The optimizers' own rates are `scale` times those: see `toolbox.OptimizerSpec`.
    """

    optimizer: keras.optimizers.MultiOptimizer
    full: tuple[tuple[keras.optimizers.Optimizer, float], ...]
    scale: float = 1.0

    def slow_to(self, share: float) -> None:
        """Let every part learn at this share of its full rate from the next step on."""
        for part, rate in self.full:
            part.learning_rate = rate * share * self.scale

    @property
    def fastest(self) -> float:
        """The rate of the part that learns fastest, the head, on the scale of the setting."""
        # One of several devices' variables is no number by itself.
        rates = (keras.ops.convert_to_numpy(part.learning_rate) for part, _ in self.full)
        return max(float(np.asarray(rate)) for rate in rates) / self.scale


def paced(name: str, rates: dict[str, float], default_rate: float, weight_decay: float) -> Paced:
    """Return an optimizer with a rate for each pattern of variable paths, and one for all others.

    Args:
        name: of the optimizer, in the toolbox.
        rates: by pattern.
        default_rate: of all other variables.
        weight_decay: see `optimizers.make`.
    """

    def part(rate: float) -> keras.optimizers.Optimizer:
        return optimizers.make(name, rate, weight_decay)

    rest, named = part(default_rate), {path: part(rate) for path, rate in rates.items()}
    optimizer = keras.optimizers.MultiOptimizer(keras.optimizers.OptimizerMap(rest, named))
    full = [(rest, default_rate), *((named[path], rate) for path, rate in rates.items())]
    return Paced(optimizer, tuple(full), toolbox.optimizer(name).rate_scale)


def affordable(planned: int, done: int, seconds: float, left: float) -> int:
    """Return how many epochs there will be, if each takes so long and so much time is left.

    A schedule that ends with the time is worth more than a longer one that is broken off.
    """
    if left == math.inf:
        return planned
    return max(done, min(planned, done + int(left / max(seconds, 1e-6))))
