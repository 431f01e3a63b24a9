"""Train the upper part of a network: the head first, then the layers from one stage on.

The head is the linear one in closed form (LP-FT, arXiv 2202.10054). BatchNormalization stays
frozen, rates warm up and fall by a cosine, the epoch with the lowest validation loss is kept.
"""

import contextlib
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import keras
import numpy as np

from transfer import (
    augmentation,
    backbones,
    batch_fitting,
    batches,
    boundary,
    linear,
    memory,
    pooling,
    replicas,
    runtimes,
    store,
    training,
)
from transfer.augmentation import Augmentation
from transfer.backbones import Backbone, Halves
from transfer.batches import TrainingBatches
from transfer.boundary import BoundaryBatches, Lower
from transfer.errors import RunError
from transfer.linear import LinearHead
from transfer.runs import Run
from transfer.stages import Stage
from transfer.strategies import heads
from transfer.strategies import plan as planning
from transfer.strategies.base import Task, Trained
from transfer.training import Batches, FitSettings, TimeUpError, Validation

_SAMPLES = 16  # pictures by which a fast runtime is compared with Keras
_BATCH = 32


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
    snapshots: bool = False  # of a schedule with cycles; see `training.FitSettings`

    def epochs_of(self, steps: int) -> int:
        """Return the number of epochs of so many steps each."""
        least, most = -(-self.least_steps // steps), max(1, self.most_steps // steps)
        return min(max(self.epochs, least), most)


@dataclass(frozen=True)
class Prepared:
    """The network of a fine-tuning before its first step, with the rates of its parts.

    `default_rate` is that of all variables which no pattern of `rates` matches; `cut` is the place
    between the halves.
    """

    own: Backbone
    cut: Stage
    parts: Halves
    rates: dict[str, float]
    default_rate: float


@dataclass(frozen=True)
class Tuned:
    """A network at its best weights, as training left it: no temperature yet.

    `model` is what was trained on `judged.inputs`: the whole, or what is behind the cut.
    `checkpoint` is the folder that `checkpoints` reads.
    """

    prepared: Prepared
    model: keras.Model
    judged: Validation
    history: tuple[dict[str, Any], ...]
    ended: str
    checkpoint: Path


def train(task: Task, policy: Policy) -> Trained:
    """Solve the task by fine-tuning as the policy says."""
    done = tune(task, policy)
    factor = _calibrate(done.model, done.prepared.parts, done.judged)
    shutil.rmtree(done.checkpoint / "views", ignore_errors=True)
    finished = backbones.without_dropping(done.prepared.own, done.prepared.parts)
    return Trained(
        policy.strategy, backbones.classifier(finished), done.history, done.ended, factor=factor
    )


def tune(task: Task, policy: Policy) -> Tuned:
    """Train a network of its own, or go on where a killed process left off."""
    folder = task.run.checkpoint_folder / policy.strategy
    block = pooling.top(task.features.blocks)
    head = task.head or heads.probe(task, block).head
    views = task.views or folder / "views"
    prepared, first = prepare(task, policy, head), heads.history_row(task, head, (block,))

    def attempt(batch_size: int) -> tuple[keras.Model, Validation, list[dict[str, Any]], str]:
        source = pictures(task, policy, batch_size, views)
        model, learned, judged = _inputs(task, prepared.parts, source, views)
        memory.require(model, batch_size)
        settings = fit_settings(task, policy, prepared, batch_size)
        with replicas.working(model) as trained:
            history, ended = training.fit(
                trained,
                learned,
                judged,
                settings,
                folder,
                task.on_progress,
                task.on_epoch,
                task.should_stop,
                lambda rows: task.on_history([first, *rows]),
            )
        return model, judged, history, ended

    model, judged, history, ended = batch_fitting.largest(task.run, task.config.batch_size, attempt)
    return Tuned(prepared, model, judged, (first, *history), ended, folder)


def prepare(task: Task, policy: Policy, head: LinearHead) -> Prepared:
    """Return the network with this head, cut where the policy says, what stays being frozen."""
    # A network of its own: the linear classifiers need the pretrained weights as they are.
    pretrained = task.backbone
    own = backbones.load(pretrained.spec, pretrained.image_size, pretrained.weights_path)
    recipe = task.config.recipe
    level = policy.frozen_level if recipe.frozen_level is None else recipe.frozen_level
    chosen = planning.plan(own.network, level)
    parts = backbones.halves(own, chosen.cut, head, task.config.dropout, recipe.drop_connect)
    planning.freeze(own, chosen)
    if task.config.extends:
        _take_up(task.run, parts.whole)
    return Prepared(own, chosen.cut, parts, *planning.rates(own, chosen, task.config.learning_rate))


def fit_settings(
    task: Task, policy: Policy, prepared: Prepared, batch_size: int | None = None
) -> FitSettings:
    """Return how long and how fast to train, with batches of this size instead of the planned."""
    config = task.config
    slower = memory.rate_share(batch_size or config.batch_size, config.batch_size)
    # The planned batch decides on the epochs: a smaller one makes more steps of the same pictures.
    steps = -(-len(task.split.train) // config.batch_size)
    return FitSettings(
        epochs=config.epochs or policy.epochs_of(steps),
        patience=config.patience or policy.patience,
        rates={path: rate * slower for path, rate in prepared.rates.items()},
        default_rate=prepared.default_rate * slower,
        weight_decay=config.weight_decay,
        deadline=task.deadline,
        averaging=policy.averaging,
        snapshots=policy.snapshots,
        recipe=config.recipe,
    )


def _take_up(run: Run, whole: keras.Model) -> None:
    """Begin with the model of the run to which this one adds epochs."""
    try:
        earlier: Any = keras.saving.load_model(run.start_path, compile=False)
        whole.set_weights(backbones.after_resizing(earlier).get_weights())
    except (OSError, ValueError) as error:
        raise RunError(
            f"'{run.start_path}', the model to begin with, cannot be read ({error}). Delete this"
            " run and extend the earlier one again."
        ) from error


def augmentation_of(task: Task, policy: Policy) -> Augmentation | None:
    """Return how pictures are changed: as the user says, else by the policy; None: not at all."""
    config = task.config
    # "none" means none: what is merely measured to be harmless is left out, too.
    still = config.changes.level == "none"
    mirror = task.mirror and not (still and config.horizontal_flip is None)
    turn = task.turn and not (still and config.quarter_turns is None)
    return augmentation.chosen(policy.augmentation, config.changes, mirror, turn)


def pictures(
    task: Task, policy: Policy, batch_size: int | None = None, folder: Path | None = None
) -> TrainingBatches:
    """Return the training pictures, augmented as the policy says.

    Where they do not fit into memory they are kept, resized, in a file in `folder`.
    """
    config, train = task.config, task.split.train
    return TrainingBatches(
        task.paths(train),
        task.labels[np.asarray(train)],
        task.num_classes,
        config.image_size,
        batch_size or config.batch_size,
        config.seed,
        augmentation_of(task, policy),
        folder,
    )


def _inputs(
    task: Task, parts: Halves, source: TrainingBatches, folder: Path
) -> tuple[keras.Model, Batches, Validation]:
    """Return what is trained, on what, and what judges it: behind the cut where disk allows."""
    labels = task.labels[np.asarray(task.split.val)]
    paths, size = task.paths(task.split.val), task.config.image_size
    height, width, channels = (int(side) for side in parts.lower.output.shape[1:])
    shape = (height, width, channels)
    count = _views(shape, source.pictures, folder)
    if not count:
        return parts.whole, source, Validation(batches.loaded(paths, size), labels)
    samples = next(iter(batches.pictures(paths[:_SAMPLES], size, _SAMPLES))).numpy()
    lower = Lower(runtimes.fastest(parts.lower, samples), shape)
    plain = boundary.plain(lower, paths, size, folder / "validation.npy", lambda _: None)
    learned = BoundaryBatches(source, lower, count, folder, _counter(task, source.pictures))
    return parts.upper, learned, Validation(plain, labels)


def _views(shape: tuple[int, int, int], pictures: int, folder: Path) -> int:
    """Return how many views are kept: as many as at the first start, however full the disk is now.

    Another number would be another training.
    """
    told = folder / "count.json"
    with contextlib.suppress(OSError, ValueError):
        return int(store.read_json(told))
    count = boundary.views(shape, pictures, folder)
    store.write_json(told, count)
    return count


def _calibrate(model: keras.Model, parts: Halves, judged: Validation) -> float:
    """Scale the head's logits by the one number that makes the validation labels likeliest."""
    answers = backbones.answers(backbones.compiled(model, _BATCH), judged.inputs, _BATCH)
    _, temperature = linear.calibrated(answers, judged.labels)
    head = parts.upper.get_layer(backbones.HEAD)
    head.set_weights([temperature * value for value in head.get_weights()])
    return temperature


def _counter(task: Task, total: int) -> Callable[[int], None]:
    def told(done: int) -> None:
        if time.monotonic() >= task.deadline() or task.should_stop():
            raise TimeUpError
        if task.on_view:
            task.on_view(done, total)

    return told
