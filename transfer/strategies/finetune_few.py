"""Retrain the network's last part: the head first, then the last stage at a tenth of its rate."""

import numpy as np

from transfer import backbones, batches, training
from transfer.augmentation import Augmentation
from transfer.batches import TrainingBatches
from transfer.strategies import linear_top
from transfer.strategies.base import Task, Trained
from transfer.training import FitSettings, Validation

_TOP_RATE = 1 / 10  # of the head's rate (the lectures' 1, 1/10, 1/100)


def train(task: Task) -> Trained:
    """Start from the linear head (LP-FT, arXiv 2202.10054), then train head and last stage.

    BatchNormalization stays frozen, the rates warm up and fall by a cosine, and the weights of the
    epoch with the lowest validation loss are kept.
    """
    config = task.config
    head = linear_top.fit_head(task, task.split.train)
    # A network of its own: the linear classifier needs the pretrained weights as they are.
    pretrained = task.backbone
    own = backbones.load(pretrained.spec, pretrained.image_size, pretrained.weights_path)
    model = backbones.with_head(own, head, config.dropout)
    backbones.freeze_all_but(own.network, backbones.last_stage(own.network))
    settings = FitSettings(
        epochs=config.epochs,
        patience=config.patience,
        rates={f"{backbones.HEAD}/.*": config.learning_rate},
        default_rate=config.learning_rate * _TOP_RATE,
        weight_decay=config.weight_decay,
        deadline=task.deadline,
    )
    history, ended = training.fit(
        model,
        _training_batches(task),
        _validation(task),
        settings,
        task.run.checkpoint_folder,
        task.on_progress,
        task.on_epoch,
        task.should_stop,
    )
    rows = (linear_top.history_row(task, head), *history)
    return Trained("finetune_few", backbones.classifier(model), rows, ended)


def _training_batches(task: Task) -> TrainingBatches:
    config = task.config
    return TrainingBatches(
        task.paths(task.split.train),
        task.labels[np.asarray(task.split.train)],
        len(task.index.classes),
        config.image_size,
        config.batch_size,
        config.seed,
        Augmentation(mirror=bool(config.horizontal_flip)),
    )


def _validation(task: Task) -> Validation:
    data = batches.pictures(task.paths(task.split.val), task.config.image_size, 32)
    return Validation(
        np.concatenate(list(data.as_numpy_iterator())),
        task.labels[np.asarray(task.split.val)],
        task.index.classes,
    )
