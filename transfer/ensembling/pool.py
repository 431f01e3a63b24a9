"""Members made from cached features: linear heads on each network, read in several ways.

Each picture's answer comes from a head that has learned neither it nor its group (see
`linear.probe`), so all training and validation pictures can choose the members, and the heads that
ship have learned from all of them. Heads on a network that stays as it is need no second look at a
picture: all of one network cost one forward pass.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import keras
import numpy as np

from transfer import evaluation, linear, pooling, selection
from transfer.backbones import Backbone
from transfer.dataset.index import ImageIndex
from transfer.dataset.split import Split
from transfer.ensembling.members import Member, Reading
from transfer.features import Features
from transfer.linear import LinearHead, Probe
from transfer.pooling import Block
from transfer.strategies import heads

OnStep = Callable[[int, int], None]
_SIDE_BY_SIDE = 3  # stages


@dataclass(frozen=True)
class Problem:
    """What is to be learned: the pictures of training and validation together.

    `positions` in the data set, ascending, with class numbers `labels` and group numbers `groups`
    [n]; `judging` says which of them are validation pictures, bool [n].
    """

    positions: tuple[int, ...]
    labels: np.ndarray
    groups: np.ndarray
    judging: np.ndarray
    classes: tuple[str, ...]
    seed: int

    @classmethod
    def of(cls, index: ImageIndex, parts: Split, seed: int) -> "Problem":
        """Return the problem of a data set and its split; the test pictures are not in it."""
        positions = tuple(sorted([*parts.train, *parts.val]))
        return cls(
            positions=positions,
            labels=index.class_numbers()[list(positions)],
            groups=parts.together(positions),
            judging=np.isin(positions, parts.val),
            classes=index.classes,
            seed=seed,
        )

    def judged(self) -> "Problem":
        """Return the problem of the validation pictures alone."""
        where = self.judging
        return replace(
            self,
            positions=tuple(np.asarray(self.positions)[where].tolist()),
            labels=self.labels[where],
            groups=self.groups[where],
            judging=np.ones(int(where.sum()), bool),
        )


def members(
    problem: Problem, backbone: Backbone, kept: Features, on_step: OnStep | None = None
) -> list[Member]:
    """Return the members on one network: its last stage, several stages, stages side by side."""
    blocks = kept.blocks
    probes: list[Probe] = []
    steps = len(blocks) + 1
    for number, block in enumerate(blocks):
        probes.append(_probe(problem, kept, (block,)))
        if on_step:
            on_step(number + 1, steps)
    top = blocks.index(pooling.top(blocks))
    last = pooling.means(blocks)[-_SIDE_BY_SIDE:]
    made = [
        ("last stage", (blocks[top],), probes[top]),
        ("several stages", *_joined(problem, blocks, probes)),
    ]
    if len(last) > 1:
        made.append((f"last {len(last)} stages side by side", last, _probe(problem, kept, last)))
    if on_step:
        on_step(steps, steps)
    name = backbone.spec.name
    return [
        Member(
            name=f"{name}, {how}",
            run=f"{name}, {how}",
            held_out=probe.held_out,
            validation=accuracy(problem, probe.held_out),
            solution=Reading(backbone, some, layer(probe.head)),
        )
        for how, some, probe in made
    ]


def accuracy(problem: Problem, answers: np.ndarray) -> evaluation.Accuracy:
    """Return how often answers [n, classes] are right on the validation pictures of a problem."""
    right = (answers.argmax(axis=1) == problem.labels)[problem.judging]
    return evaluation.wilson(int(right.sum()), len(right))


def layer(head: LinearHead) -> keras.Model:
    """Return a linear head as a Keras model: features [n, d] to probabilities [n, classes]."""
    width, classes = head.kernel.shape
    inputs = keras.Input((width,), name="features")
    dense = keras.layers.Dense(classes, activation="softmax", dtype="float32", name="linear")
    model = keras.Model(inputs, dense(inputs), name="linear_head")
    dense.set_weights([head.kernel, head.bias])
    return model


def _probe(problem: Problem, kept: Features, blocks: tuple[Block, ...]) -> Probe:
    rows = np.concatenate([kept.of(block, problem.positions) for block in blocks], axis=1)
    return linear.probe(rows, problem.labels, len(problem.classes), problem.groups)


def _joined(
    problem: Problem, blocks: tuple[Block, ...], probes: list[Probe]
) -> tuple[tuple[Block, ...], Probe]:
    """Return the heads of several stages as one, as `strategies.linear_stages` joins them."""
    answers = [one.held_out for one in probes]
    shares = selection.weights(answers, problem.labels, problem.seed)
    shares = selection.lasting(shares)
    used = [i for i, share in enumerate(shares) if share > 0]
    logits = np.asarray(sum(shares[i] * linear.logit(answers[i]) for i in used))
    _, temperature = linear.calibrated(linear.softmax(logits), problem.labels)
    head = heads.joined([probes[i].head for i in used], shares[used], temperature)
    held_out = linear.softmax(logits * temperature).astype(np.float32)
    return tuple(blocks[i] for i in used), Probe(head, held_out)
