"""One network cut at one place, which takes on sets of weights: judges them, and gives them out."""

import math
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np

from transfer import backbones, batches, boundary, checkpoints, pooling, runtimes
from transfer.boundary import Lower
from transfer.checkpoints import Arrays
from transfer.linear import LinearHead
from transfer.strategies import Task, fine_tuning, heads
from transfer.strategies.fine_tuning import Policy

_BATCH = 32
_SAMPLES = 16  # pictures by which a fast runtime is compared with Keras


class Bench:
    """The network of some trainings, without what only a training needs.

    What its frozen part says of the pictures is computed once, and kept in `folder`.

    Args:
        task: as the trainings have it.
        policy: how much of the network they train.
        positions: the pictures that judge.
        folder: for what the frozen part says of them.
        tell: told of (pictures done, pictures in all).
    """

    def __init__(
        self,
        task: Task,
        policy: Policy,
        positions: tuple[int, ...],
        folder: Path,
        tell: Callable[[int, int], None],
    ) -> None:
        head = task.head or heads.probe(task, pooling.top(task.features.blocks)).head
        self._prepared = fine_tuning.prepare(task, policy, head)
        parts = self._prepared.parts
        self.size, self.lower = task.config.image_size, parts.lower
        self._row_of = {position: row for row, position in enumerate(positions)}
        paths = task.paths(positions)
        height, width, channels = (int(side) for side in parts.lower.output.shape[1:])
        samples = next(iter(batches.pictures(paths[:_SAMPLES], self.size, _SAMPLES))).numpy()
        frozen = Lower(runtimes.fastest(parts.lower, samples), (height, width, channels))
        self._inputs = boundary.plain(
            frozen, paths, self.size, folder / "judging.npy", lambda done: tell(done, len(paths))
        )
        self._predict = backbones.compiled(parts.upper, _BATCH)

    @property
    def variables(self) -> list[keras.Variable]:
        """What is trained."""
        return self._prepared.parts.upper.trainable_variables

    def answers(self, values: Arrays, positions: tuple[int, ...]) -> np.ndarray:
        """Return what the network says with these weights, float32 [len(positions), classes]."""
        self._take_on(values)
        rows = [self._row_of[one] for one in positions]
        return backbones.answers(self._predict, self._inputs[rows], _BATCH)

    def upper(self, values: Arrays, factor: float) -> keras.Model:
        """Return the upper part with these weights and all logits times a factor, by itself."""
        self._take_on(values)
        own, cut = self._prepared.own, self._prepared.cut
        kernel, bias = self._prepared.parts.upper.get_layer(backbones.HEAD).get_weights()
        head = LinearHead(factor * kernel, factor * bias, math.nan, 1.0, math.nan)
        plain = backbones.halves(own, cut, head, dropout=0.0).upper
        copy = keras.models.clone_model(plain)
        copy.set_weights(plain.get_weights())
        copy.trainable = False
        return copy

    def _take_on(self, values: Arrays) -> None:
        for variable, value in zip(self.variables, values, strict=True):
            variable.assign(value)


def trained(done: fine_tuning.Tuned) -> Arrays:
    """Return the weights that a training has come to, in the order of `Bench.variables`."""
    return checkpoints.values(done.prepared.parts.upper.trainable_variables)


def in_order(done: fine_tuning.Tuned, values: Arrays) -> Arrays:
    """Return weights that a training's checkpoint kept, in the order of `Bench.variables`."""
    kept = {
        id(variable): value
        for variable, value in zip(done.model.trainable_variables, values, strict=True)
    }
    return [kept[id(one)] for one in done.prepared.parts.upper.trainable_variables]
