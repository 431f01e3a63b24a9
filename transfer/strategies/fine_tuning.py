"""Train the upper part of a network: the head first, then the layers from one stage on.

The head is the linear one in closed form (LP-FT, arXiv 2202.10054). BatchNormalization stays
frozen, rates warm up and fall by a cosine, the epoch with the lowest validation loss is kept.
"""

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import keras
import numpy as np

from transfer import backbones, batches, boundary, linear, pooling, runtimes, training
from transfer.augmentation import Augmentation
from transfer.backbones import Halves
from transfer.batches import TrainingBatches
from transfer.boundary import BoundaryBatches, Lower
from transfer.strategies import heads
from transfer.strategies import plan as planning
from transfer.strategies.base import Task, Trained
from transfer.training import Batches, FitSettings, TimeUpError, Validation

_SAMPLES = 16  # pictures by which a fast runtime is compared with Keras
_BATCH = 32
# Of the labels (Inception v3, arXiv 1512.00567): a head in closed form starts too sure of itself.
_SMOOTHING = 0.1


@dataclass(frozen=True)
class Policy:
    """How much is trained, and for how long: epochs, but neither fewer nor more steps than these.

    `frozen_level` is the last level that stays as it is (see `plan.plan`).
    """

    strategy: str
    frozen_level: int
    epochs: int
    least_steps: int
    most_steps: int
    patience: int
    augmentation: Literal["light", "strong"]
    averaging: bool

    def epochs_of(self, steps: int) -> int:
        """Return the number of epochs of so many steps each."""
        least, most = -(-self.least_steps // steps), max(1, self.most_steps // steps)
        return min(max(self.epochs, least), most)


def train(task: Task, policy: Policy) -> Trained:
    """Solve the task by fine-tuning as the policy says."""
    config, folder = task.config, task.run.checkpoint_folder / policy.strategy
    block = pooling.top(task.features.blocks)
    head = heads.probe(task, block).head
    # A network of its own: the linear classifiers need the pretrained weights as they are.
    pretrained = task.backbone
    own = backbones.load(pretrained.spec, pretrained.image_size, pretrained.weights_path)
    chosen = planning.plan(own.network, policy.frozen_level)
    parts = backbones.halves(own, chosen.cut, head, config.dropout)
    planning.freeze(own, chosen)
    rates, default_rate = planning.rates(own, chosen, config.learning_rate)
    source = _pictures(task, policy)
    model, learned, judged = _inputs(task, parts, source, folder / "views")
    settings = FitSettings(
        epochs=config.epochs or policy.epochs_of(source.steps),
        patience=config.patience or policy.patience,
        rates=rates,
        default_rate=default_rate,
        weight_decay=config.weight_decay,
        deadline=task.deadline,
        averaging=policy.averaging,
        label_smoothing=_SMOOTHING,
    )
    history, ended = training.fit(
        model,
        learned,
        judged,
        settings,
        folder,
        task.on_progress,
        task.on_epoch,
        task.should_stop,
    )
    _calibrate(model, parts, judged)
    shutil.rmtree(folder / "views", ignore_errors=True)
    rows = (heads.history_row(task, head, (block,)), *history)
    return Trained(policy.strategy, backbones.classifier(parts.whole), rows, ended)


def _pictures(task: Task, policy: Policy) -> TrainingBatches:
    config, train = task.config, task.split.train
    return TrainingBatches(
        task.paths(train),
        task.labels[np.asarray(train)],
        task.num_classes,
        config.image_size,
        config.batch_size,
        config.seed,
        Augmentation(level=policy.augmentation, mirror=task.mirror, turn=task.turn),
    )


def _inputs(
    task: Task, parts: Halves, source: TrainingBatches, folder: Path
) -> tuple[keras.Model, Batches, Validation]:
    """Return what is trained, on what, and what judges it: behind the cut where disk allows."""
    labels = task.labels[np.asarray(task.split.val)]
    paths, size = task.paths(task.split.val), task.config.image_size
    height, width, channels = (int(side) for side in parts.lower.output.shape[1:])
    shape = (height, width, channels)
    count = boundary.views(shape, source.pictures, folder)
    if not count:
        return parts.whole, source, Validation(batches.loaded(paths, size), labels)
    samples = next(iter(batches.pictures(paths[:_SAMPLES], size, _SAMPLES))).numpy()
    lower = Lower(runtimes.fastest(parts.lower, samples), shape)
    plain = boundary.plain(lower, paths, size, folder / "validation.npy", lambda _: None)
    learned = BoundaryBatches(source, lower, count, folder, _counter(task, source.pictures))
    return parts.upper, learned, Validation(plain, labels)


def _calibrate(model: keras.Model, parts: Halves, judged: Validation) -> None:
    """Scale the head's logits by the one number that makes the validation labels likeliest."""
    answers = backbones.answers(backbones.compiled(model, _BATCH), judged.inputs, _BATCH)
    _, temperature = linear.calibrated(answers, judged.labels)
    head = parts.upper.get_layer(backbones.HEAD)
    head.set_weights([temperature * value for value in head.get_weights()])


def _counter(task: Task, total: int) -> Callable[[int], None]:
    def told(done: int) -> None:
        if time.monotonic() >= task.deadline or task.should_stop():
            raise TimeUpError
        if task.on_view:
            task.on_view(done, total)

    return told
