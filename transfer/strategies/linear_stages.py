"""Listen to several stages: a linear classifier on each, and those that go together answer."""

from collections.abc import Iterator

import numpy as np

from transfer import linear, selection
from transfer.linear import LinearHead, Probe
from transfer.strategies import heads
from transfer.strategies.base import Task, Trained


def train(task: Task) -> Trained:
    """Fit a ridge classifier on each block and join those that `selection` weights.

    The mean of linear classifiers' logits is again linear in the blocks side by side, so the model
    has one head. Its temperature is fitted to what the members say of pictures they left out.
    """
    probes = [*_probes(task)]
    labels = task.labels[np.asarray(task.split.train)]
    weights = selection.weights([one.held_out for one in probes], labels, task.config.seed)
    weights = selection.lasting(weights)
    parts = (w * linear.logit(p.held_out) for w, p in zip(weights, probes, strict=True))
    logits = np.sum([*parts], axis=0)
    _, temperature = linear.calibrated(linear.softmax(logits), labels)
    used = [i for i, weight in enumerate(weights) if weight > 0]
    blocks = tuple(task.features.blocks[i] for i in used)
    members = [probes[i].head for i in used]
    task.run.event(
        "stages",
        weights={b.name: round(float(weights[i]), 4) for b, i in zip(blocks, used, strict=True)},
    )

    def joined(some: list[LinearHead]) -> LinearHead:
        return heads.joined(some, weights[used], temperature)

    def refit() -> "heads.backbones.keras.Model":
        again = [heads.refitted(task, b, m) for b, m in zip(blocks, members, strict=True)]
        return heads.refit(model, joined(again))

    head = joined(members)
    model = heads.model(task, head, blocks)
    return Trained(
        strategy="linear_stages",
        model=model,
        history=(heads.history_row(task, head, blocks),),
        ended="closed form",
        refit=refit,
        held_out=linear.softmax(temperature * logits).astype(np.float32),
        factor=temperature,
        vectors=heads.impressions(task, blocks),
    )


def _probes(task: Task) -> Iterator[Probe]:
    """Yield the probe of each block; with tens of thousands of pictures each takes seconds."""
    blocks = task.features.blocks
    for number, block in enumerate(blocks):
        if task.on_block:
            task.on_block(number, len(blocks))
        yield heads.probe(task, block)
