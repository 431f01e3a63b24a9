"""The linear heads that the strategies share: one block or several, as one layer of the model."""

from collections.abc import Callable

import numpy as np

from transfer import backbones, evaluation, linear, pooling, refusal
from transfer.linear import LinearHead, Probe
from transfer.pooling import Block
from transfer.strategies.base import Task

_PIECE = 4096  # pictures whose features are in memory at once


def probe(task: Task, block: Block, tell: bool = False) -> Probe:
    """Return the head of one block, fitted on the training pictures."""
    train = task.split.train
    return linear.probe(
        task.of(block, train),
        task.labels[np.asarray(train)],
        task.num_classes,
        task.split.together(train),
        task.on_search if tell else None,
    )


def refitted(task: Task, block: Block, like: LinearHead) -> LinearHead:
    """Return the head of one block at the same strength, fitted on validation pictures too."""
    positions = task.split.train + task.split.val
    labels = task.labels[np.asarray(positions)]
    return linear.fit(task.of(block, positions), labels, task.num_classes, like)


def joined(heads: list[LinearHead], weights: np.ndarray, temperature: float = 1.0) -> LinearHead:
    """Return one head for blocks side by side: the weighted mean of the heads' logits."""
    scaled = weights * temperature
    return LinearHead(
        kernel=np.concatenate([w * head.kernel for w, head in zip(scaled, heads, strict=True)]),
        bias=np.sum([w * head.bias for w, head in zip(scaled, heads, strict=True)], axis=0),
        strength=float(np.average([head.strength for head in heads], weights=weights)),
        temperature=temperature,
        loss=float("nan"),
    )


def model(task: Task, head: LinearHead, blocks: tuple[Block, ...]) -> "backbones.keras.Model":
    """Return the whole classifier: pictures in, probabilities out."""
    return backbones.classifier(backbones.with_head(task.backbone, head, blocks))


def refit(solution: "backbones.keras.Model", head: LinearHead) -> "backbones.keras.Model":
    """Return the classifier with another head; it is the same model, changed."""
    backbones.set_head(solution, head)
    return solution


def vectors(task: Task, blocks: tuple[Block, ...], positions: tuple[int, ...]) -> np.ndarray:
    """Return what a head of these blocks reads of the pictures, float16 [n, d]."""
    return np.concatenate([task.of(block, positions) for block in blocks], axis=1)


def impressions(
    task: Task, blocks: tuple[Block, ...]
) -> Callable[[tuple[int, ...]], list[np.ndarray]]:
    """Return what gives the last stages' means of pictures, float16 [n, d] each.

    They are those of `outputs.vectors` for a model whose head reads `blocks`.
    """
    last = pooling.last_means(task.features.blocks, blocks, refusal.STAGES)
    return lambda positions: [task.of(block, positions) for block in last]


def history_row(
    task: Task, head: LinearHead, blocks: tuple[Block, ...]
) -> dict[str, float | int | str]:
    """Return the one row of the head phase: losses and accuracies on both parts."""
    row: dict[str, float | int | str] = {"phase": "head", "epoch": 0}
    for prefix, positions in (("", task.split.train), ("val_", task.split.val)):
        answers = np.concatenate(
            [_answers(task, head, blocks, some) for some in _pieces(positions)]
        )
        labels = task.labels[np.asarray(positions)]
        report = evaluation.evaluate(answers, labels, task.index.classes)
        row[f"{prefix}loss"], row[f"{prefix}accuracy"] = report.loss, report.overall.accuracy
    return row


def _pieces(positions: tuple[int, ...]) -> list[tuple[int, ...]]:
    return [positions[i : i + _PIECE] for i in range(0, len(positions), _PIECE)]


def _answers(
    task: Task, head: LinearHead, blocks: tuple[Block, ...], positions: tuple[int, ...]
) -> np.ndarray:
    return head.probabilities(vectors(task, blocks, positions))
