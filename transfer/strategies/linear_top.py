"""Read the network's last impression: a linear classifier on its pooled last feature map."""

import numpy as np

from transfer import backbones, evaluation, linear
from transfer.linear import LinearHead
from transfer.strategies.base import Task, Trained

_PROBE = "probe"  # the name under which the run keeps the chosen strength


def train(task: Task) -> Trained:
    """Fit softmax regression on the training features, its strength by cross-validation.

    The refitted model learns from training and validation pictures at the same strength.
    """
    head = fit_head(task, task.split.train)
    return Trained(
        strategy="linear_top",
        model=_model(task, head),
        history=(history_row(task, head),),
        ended="closed form",
        refit=lambda: _model(task, fit_head(task, task.split.train + task.split.val)),
    )


def fit_head(task: Task, positions: tuple[int, ...]) -> LinearHead:
    """Return the linear head fitted on the features of these pictures."""
    rows = np.asarray(positions)
    strength, loss = _strength(task)
    num_classes = len(task.index.classes)
    return linear.fit(task.features[rows], task.labels[rows], num_classes, strength, loss)


def history_row(task: Task, head: LinearHead) -> dict[str, float | int | str]:
    """Return the one row of the head phase: losses and accuracies on both parts."""
    row: dict[str, float | int | str] = {"phase": "head", "epoch": 0}
    for prefix, positions in (("", task.split.train), ("val_", task.split.val)):
        rows = np.asarray(positions)
        probabilities = head.probabilities(task.features[rows])
        report = evaluation.evaluate(probabilities, task.labels[rows], task.index.classes)
        row[f"{prefix}loss"], row[f"{prefix}accuracy"] = report.loss, report.overall.accuracy
    return row


def _strength(task: Task) -> tuple[float, float]:
    """Return the strength chosen on the training pictures; kept in the run for a restart."""
    kept = task.run.read(_PROBE)
    if kept is None:
        rows = np.asarray(task.split.train)
        _, groups = np.unique(
            [task.index.pictures[i].sha256 for i in task.split.train], return_inverse=True
        )
        strength, loss = linear.choose_strength(
            task.features[rows], task.labels[rows], groups, task.config.seed, task.on_search
        )
        kept = {"strength": strength, "loss": loss}
        task.run.write(_PROBE, kept)
    return float(kept["strength"]), float(kept["loss"])


def _model(task: Task, head: LinearHead) -> "backbones.keras.Model":
    return backbones.classifier(backbones.with_head(task.backbone, head))
