"""How fast each part of a network learns at each step: warm-up, then half a cosine (SGDR)."""

import math
from dataclasses import dataclass

import keras

WARM_UP = 0.1  # share of the steps in which the rate rises from zero


@dataclass(frozen=True)
class Paced:
    """An optimizer with the full rate of each of its parts."""

    optimizer: keras.optimizers.MultiOptimizer
    full: tuple[tuple[keras.optimizers.Optimizer, float], ...]

    def slow_to(self, share: float) -> None:
        """Let every part learn at this share of its full rate from the next step on."""
        for part, rate in self.full:
            part.learning_rate = rate * share

    @property
    def fastest(self) -> float:
        """The rate of the part that learns fastest: the head."""
        return max(float(part.learning_rate) for part, _ in self.full)


def adamw(rates: dict[str, float], default_rate: float, weight_decay: float) -> Paced:
    """Return AdamW with a rate for each pattern of variable paths, and one for all others."""

    def part(rate: float) -> keras.optimizers.Optimizer:
        return keras.optimizers.AdamW(rate, weight_decay=weight_decay)

    rest, named = part(default_rate), {path: part(rate) for path, rate in rates.items()}
    optimizer = keras.optimizers.MultiOptimizer(keras.optimizers.OptimizerMap(rest, named))
    full = [(rest, default_rate), *((named[path], rate) for path, rate in rates.items())]
    return Paced(optimizer, tuple(full))


def share(step: int, steps: int) -> float:
    """Return the share of the full rate at a step, counted from 0, of so many.

    >>> [round(share(step, 20), 2) for step in (0, 1, 2, 11, 19)]
    [0.5, 1.0, 1.0, 0.5, 0.01]
    """
    warm_up = max(1, round(WARM_UP * steps))
    if step < warm_up:
        return (step + 1) / warm_up
    passed = (step - warm_up) / max(1, steps - warm_up)
    return 0.5 * (1 + math.cos(math.pi * min(1.0, passed)))


def affordable(planned: int, done: int, seconds: float, left: float) -> int:
    """Return how many epochs there will be, if each takes so long and so much time is left.

    A schedule that ends with the time is worth more than a longer one that is broken off.
    """
    if left == math.inf:
        return planned
    return max(done, min(planned, done + int(left / max(seconds, 1e-6))))
