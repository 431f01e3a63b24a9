"""A sample of a training's pictures before the part of the network that it would train.

What is measured on it before a training takes seconds, however many pictures there are.
"""

import time
from collections.abc import Iterable
from dataclasses import dataclass, replace

import keras
import numpy as np

from transfer import backbones, batches, features, linear, pooling, runtimes, training
from transfer.backbones import Backbone
from transfer.batches import TrainingBatches
from transfer.config import RunConfig
from transfer.dataset.index import ImageIndex
from transfer.dataset.split import Split
from transfer.errors import SettingsError
from transfer.linear import LinearHead
from transfer.pacing import Paced
from transfer.runs import Run
from transfer.strategies import Task, fine_tuning, finetune_few, finetune_many
from transfer.strategies.fine_tuning import Policy, Prepared

PICTURES = 256  # for training, at most; a third as many for validation
_MOST_BYTES = 256 * 1024**2  # of the sample in memory, as the trained part reads it
_SAMPLES = 16  # pictures by which a fast runtime is compared with Keras
_BATCH = 32
_POLICIES = {one.POLICY.strategy: one.POLICY for one in (finetune_few, finetune_many)}


@dataclass(frozen=True)
class Trial:
    """The sample, and what is trained.

    Attributes:
        task: the task with a split that holds nothing but the sample.
        head: the linear head in closed form, fitted on the sample.
        plain: what the trained part reads of the training pictures as they are, [n, *shape].
        views: the same of augmented pictures.
        held_out: the same of validation pictures, as they are.
        seconds_a_view: what augmenting a picture and the frozen part take.
        start: the values with which a training begins.
    """

    task: Task
    policy: Policy
    prepared: Prepared
    head: LinearHead
    source: TrainingBatches
    plain: np.ndarray
    views: np.ndarray
    held_out: np.ndarray
    seconds_a_view: float
    start: tuple[np.ndarray, ...]

    @property
    def model(self) -> keras.Model:
        """What is trained: from the boundary's tensor to probabilities."""
        return self.prepared.parts.upper

    @property
    def labels(self) -> np.ndarray:
        """Class numbers of `plain` and `views`."""
        return self.task.labels[np.asarray(self.task.split.train)]

    @property
    def held_out_labels(self) -> np.ndarray:
        """Class numbers of `held_out`."""
        return self.task.labels[np.asarray(self.task.split.val)]

    def one_hot(self, rows: np.ndarray) -> np.ndarray:
        """Return the targets of these training pictures, float32 [len(rows), classes]."""
        return np.eye(self.task.num_classes, dtype=np.float32)[self.labels[rows]]

    def compiled(self) -> Paced:
        """Make the model ready to learn as the training would, from its beginning."""
        self.reset()
        settings = fine_tuning.fit_settings(self.task, self.policy, self.prepared)
        return training.compiled(self.model, settings)

    def reset(self, random_head: np.random.Generator | None = None) -> None:
        """Give the model the values with which a training begins, or with a fresh random head.

        That is the lectures': normally distributed with a standard deviation of 0.01, no bias.
        """
        for variable, value in zip(self.model.trainable_variables, self.start, strict=True):
            variable.assign(value)
        if random_head is not None:
            kernel = random_head.normal(0, 0.01, self.head.kernel.shape).astype(np.float32)
            self.model.get_layer(backbones.HEAD).set_weights([kernel, 0 * self.head.bias])


def policy_of(strategy: str) -> Policy:
    """Return the policy of a strategy that trains the network.

    Raises:
        SettingsError: it does not.
    """
    if strategy not in _POLICIES:
        raise SettingsError(
            f"The checks before a training are of a fine-tuning: {' or '.join(_POLICIES)} was"
            f" expected, but the strategy is {strategy}. A linear one has no rate to choose."
        )
    return _POLICIES[strategy]


def sample(split: Split, labels: np.ndarray, most: int, seed: int) -> Split:
    """Return the split with so many training pictures at most, a third as many for validation.

    Classes take turns, so that a rare one is there as well.
    """
    rng = np.random.default_rng([seed, 17])
    train = in_turns(labels, split.train, most, rng)
    val = in_turns(labels, split.val, max(1, most // 3), rng)
    return replace(split, train=train, val=val, test=())


def in_turns(
    labels: np.ndarray, positions: tuple[int, ...], most: int, rng: np.random.Generator
) -> tuple[int, ...]:
    """Return so many of the positions at most, drawn so that their classes take turns."""
    drawn = rng.permutation(np.asarray(positions, np.int64))
    own = labels[drawn]
    turn = np.empty(len(drawn), np.int64)  # how many of the same class come before
    for label in np.unique(own):
        turn[own == label] = np.arange(int((own == label).sum()))
    order = np.argsort(turn, kind="stable")
    return tuple(int(i) for i in drawn[order][:most])


def prepare(
    run: Run, index: ImageIndex, split: Split, backbone: Backbone, mirror: bool, turn: bool
) -> Trial:
    """Return the trial of the training that the run's settings describe.

    Raises:
        SettingsError: its strategy does not train the network.
    """
    config, labels = run.config(), index.class_numbers()
    policy = policy_of(config.strategy)
    least = 2 * len(index.classes)
    chosen = sample(split, labels, max(PICTURES, least), config.seed)
    task = _task(run, config, index, chosen, backbone, mirror, turn)
    head = _head(task)
    prepared = fine_tuning.prepare(task, policy, head)
    size = 4 * int(np.prod(prepared.parts.lower.output.shape[1:]))
    if (most := max(least, _MOST_BYTES // (2 * size))) < len(chosen.train):
        task = replace(task, split=sample(split, labels, most, config.seed))
    source = fine_tuning.pictures(task, policy)
    read = _Reader(task, prepared)
    plain, held_out = read.files(task.split.train), read.files(task.split.val)
    began = time.monotonic()
    views = read.all(source.in_order(0).as_numpy_iterator())
    seconds = (time.monotonic() - began) / len(views)
    start = tuple(
        np.array(keras.ops.convert_to_numpy(one))
        for one in prepared.parts.upper.trainable_variables
    )
    return Trial(task, policy, prepared, head, source, plain, views, held_out, seconds, start)


def _task(
    run: Run,
    config: RunConfig,
    index: ImageIndex,
    split: Split,
    backbone: Backbone,
    mirror: bool,
    turn: bool,
) -> Task:
    known = sorted([*split.train, *split.val])
    return Task(
        config=config,
        run=run,
        index=index,
        split=split,
        labels=index.class_numbers(),
        backbone=backbone,
        features=features.compute(backbone, index, known),
        deadline=lambda: float("inf"),
        mirror=mirror,
        turn=turn,
    )


def _head(task: Task) -> LinearHead:
    train = task.split.train
    values = task.of(pooling.top(task.features.blocks), train)
    labels, together = task.labels[np.asarray(train)], task.split.together(train)
    return linear.probe(values, labels, task.num_classes, together).head


class _Reader:
    """Computes what the frozen part says of pictures."""

    def __init__(self, task: Task, prepared: Prepared) -> None:
        self._task = task
        paths = task.paths(task.split.train[:_SAMPLES])
        samples = batches.loaded(paths, task.config.image_size)
        self._extractor = runtimes.fastest(prepared.parts.lower, samples)

    def files(self, positions: tuple[int, ...]) -> np.ndarray:
        """Return its answers for pictures as they are, float32 [n, *shape]."""
        paths = self._task.paths(positions)
        data = batches.pictures(paths, self._task.config.image_size, _BATCH)
        return self.all(data.as_numpy_iterator())

    def all(self, data: Iterable[np.ndarray]) -> np.ndarray:
        """Return its answers for batches of pictures, float32 [n, *shape]."""
        found = [answers for (answers,) in self._extractor.stream(data)]
        return np.concatenate(found).astype(np.float32)
