"""Measure a data set for the decision table: probes, BN shift, and what a picture may suffer."""

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from transfer import advice, augmentation, batches, features, linear, pooling, similarity, store
from transfer.advice import Advice, CurvePoint, Evidence, StageScore
from transfer.backbones import Backbone
from transfer.dataset.index import ImageIndex
from transfer.dataset.split import Split
from transfer.features import Features
from transfer.linear import Probe
from transfer.similarity import Shift

_MOST_PROBED = 2000  # pictures that the probes look at
_CURVE = ((1 / 8, 3), (1 / 4, 2), (1 / 2, 1))  # share of the pictures, how often drawn
_MOST_CHANGED = 1000  # pictures from which the probe learns that judges changed copies
_LEAST_A_CLASS = 3
_SAFE_LOSS = 0.02  # accuracy that may be lost by a change that is still called safe
_FORWARD_SECONDS = 0.02  # of one picture, where nothing has been measured

OnStep = Callable[[int, int], None]


@dataclass(frozen=True)
class Change:
    """What a change does to pictures: accuracy of a probe before and after, on n left-out ones."""

    safe: bool
    accuracy: float
    changed: float
    n: int


@dataclass(frozen=True)
class Measured:
    """The advice with all that stands beside it; `to_json` is what the run folder keeps."""

    advice: Advice
    mirror: Change | None  # None: too few pictures to tell
    turn: Change | None
    costs: dict[str, float]
    backbone: str
    image_size: int
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """Return the advice as a JSON object."""
        return {
            **self.advice.to_json(),
            "augmentation": {
                "mirror": vars(self.mirror) if self.mirror else None,
                "turn": vars(self.turn) if self.turn else None,
            },
            "costs": self.costs,
            "backbone": self.backbone,
            "image_size": self.image_size,
            "seconds": round(self.seconds, 2),
        }


def measure(
    backbone: Backbone,
    index: ImageIndex,
    parts: Split,
    kept: Features,
    seed: int,
    on_step: OnStep | None = None,
) -> Measured:
    """Measure both axes on the pictures that may be learned from; the test pictures stay out.

    Args:
        backbone: the network.
        index: the data set.
        parts: its split; train and val are looked at, but nothing of the user's own `val` folder.
        kept: their features.
        seed: draws samples.
        on_step: told of (steps done, steps in all).
    """
    began = time.monotonic()
    tell = on_step or (lambda _done, _total: None)
    data = _Data(index, kept, parts, seed)
    blocks = pooling.means(kept.blocks)
    steps = len(blocks) + 3
    probes: list[Probe] = []
    for done, block in enumerate(blocks):
        tell(done, steps)
        probes.append(data.probe(block, data.probed))
    right = np.stack([one.held_out.argmax(axis=1) == data.labels[data.probed] for one in probes])
    tell(len(blocks), steps)
    curve = _curve(data, blocks[-1], right[-1])
    tell(len(blocks) + 1, steps)
    looked = data.sample(similarity.MOST)
    moved = _shift(backbone, index, looked, seed)
    tell(len(blocks) + 2, steps)
    mirror, turn = _changes(backbone, data, looked)
    evidence = Evidence(
        class_sizes=tuple(int(n) for n in np.bincount(data.labels[data.everything])),
        curve=curve,
        profile=tuple(
            StageScore(block.stage.number, block.stage.layer, *_share(row))
            for block, row in zip(blocks, right, strict=True)
        ),
        right=right,
        bn_shift=None if moved is None else moved.shift,
        bn_shift_error=0.0 if moved is None else moved.error,
        spread=similarity.spread(kept.of(blocks[-1], data.probed[:1000].tolist())),
    )
    tell(steps, steps)
    return Measured(
        advice=advice.decide(evidence),
        mirror=mirror,
        turn=turn,
        costs=_costs(backbone, len(index.pictures), len(parts.train)),
        backbone=backbone.spec.name,
        image_size=backbone.image_size,
        seconds=time.monotonic() - began,
    )


def changes(
    backbone: Backbone, index: ImageIndex, parts: Split, kept: Features, seed: int
) -> tuple[Change | None, Change | None]:
    """Return what a mirror image and a quarter turn do to a probe's answers; as for `measure`.

    None: too few pictures to tell.
    """
    data = _Data(index, kept, parts, seed)
    return _changes(backbone, data, data.sample(similarity.MOST))


class _Data:
    """The pictures that may be learned from, with labels, and samples of them drawn by class."""

    def __init__(self, index: ImageIndex, kept: Features, parts: Split, seed: int) -> None:
        self.index, self.kept, self.parts = index, kept, parts
        learned_from = sorted([*parts.train, *parts.val])
        own = [i for i in learned_from if index.pictures[i].split in (None, "train")]
        self.everything = np.array(own)
        self.num_classes = len(index.classes)
        self.labels = index.class_numbers()
        self._seed = seed
        self.probed = self.sample(_MOST_PROBED)

    def sample(self, most: int, draw: int = 0) -> np.ndarray:
        """Return positions, ascending: so many at most, each class by its share."""
        if len(self.everything) <= most:
            return self.everything
        rng = np.random.default_rng([self._seed, draw])
        share = most / len(self.everything)
        chosen = []
        for label in range(self.num_classes):
            members = self.everything[self.labels[self.everything] == label]
            count = min(len(members), max(_LEAST_A_CLASS, round(share * len(members))))
            chosen.append(rng.permutation(members)[:count])
        return np.sort(np.concatenate(chosen))

    def without(self, positions: np.ndarray, others: np.ndarray) -> np.ndarray:
        """Return those of the positions of whose groups none is among the others."""
        together = self.parts.together
        return positions[~np.isin(together(positions), together(others))]

    def probe(self, block: pooling.Block, positions: np.ndarray) -> Probe:
        """Return the probe of one block on these pictures, groups left out together."""
        rows, groups = self.kept.of(block, positions.tolist()), self.parts.together(positions)
        return linear.probe(rows, self.labels[positions], self.num_classes, groups)


def _curve(data: _Data, top: pooling.Block, right: np.ndarray) -> tuple[CurvePoint, ...]:
    """Return the learning curve of the last stage's probe, up to all pictures that are probed."""
    points = []
    for share, repeats in _CURVE:
        count = round(share * len(data.probed))
        if count < 2 * _LEAST_A_CLASS * data.num_classes:
            continue
        drawn = [data.sample(count, draw) for draw in range(1, repeats + 1)]
        answers = [data.probe(top, one).held_out.argmax(axis=1) for one in drawn]
        hits = [float((a == data.labels[d]).mean()) for a, d in zip(answers, drawn, strict=True)]
        images = len(drawn[0])
        error = float(np.sqrt(np.mean(hits) * (1 - np.mean(hits)) / (images * repeats)))
        points.append(CurvePoint(images, float(np.mean(hits)), error))
    return (*points, CurvePoint(len(right), *_share(right)))


def _share(right: np.ndarray) -> tuple[float, float]:
    """Return (share, its standard error)."""
    share = float(right.mean())
    return share, float(np.sqrt(share * (1 - share) / len(right)))


def _shift(backbone: Backbone, index: ImageIndex, looked: np.ndarray, seed: int) -> Shift | None:
    """Return the BN shift, from the store where these pictures have been measured before."""
    contents = "".join(sorted(index.pictures[i].sha256 for i in looked))
    name = hashlib.sha256(f"{contents}{seed}".encode()).hexdigest()[:32]
    path = features.folder(backbone) / f"shift-{name}.json"
    if path.is_file():
        found = store.read_json(path)
        return Shift(**found) if found else None
    paths = [index.path(index.pictures[i]) for i in looked]
    pictures = batches.loaded(paths, backbone.image_size)
    measured = similarity.shift(backbone, pictures, seed)
    store.write_json(path, vars(measured) if measured else None)
    return measured


def _changes(
    backbone: Backbone, data: _Data, looked: np.ndarray
) -> tuple[Change | None, Change | None]:
    """Return what mirroring and a quarter turn do to a probe's answers."""
    top = pooling.top(data.kept.blocks)
    varied = features.varied(
        backbone,
        data.index,
        looked.tolist(),
        {"mirrored": augmentation.mirrored, "turned": lambda b: augmentation.turned(b, 1)},
    )
    plain = data.kept.of(top, looked.tolist())
    groups = np.unique(data.parts.together(looked), return_inverse=True)[1]  # halved as wholes
    half = (np.random.default_rng(0).permutation(groups.max() + 1) % 2 == 0)[groups]
    labels = data.labels[looked]
    right: dict[str, list[np.ndarray]] = {"plain": [], "mirrored": [], "turned": []}
    for held in (half, ~half):
        learned = data.without(data.sample(_MOST_CHANGED), looked[held])
        if len(np.unique(data.labels[learned])) < data.num_classes:
            continue
        head = data.probe(top, learned).head
        for name, rows in {"plain": plain, **varied}.items():
            answers = head.probabilities(rows[held]).argmax(axis=1)
            right[name].append(answers == labels[held])
    return _change(right, "mirrored"), _change(right, "turned")


def _change(right: dict[str, list[np.ndarray]], name: str) -> Change | None:
    if not right["plain"]:
        return None
    before, after = np.concatenate(right["plain"]), np.concatenate(right[name])
    lost = before.astype(float) - after
    error = lost.std() / np.sqrt(len(lost))
    safe = bool(lost.mean() <= max(_SAFE_LOSS, error))
    return Change(safe, float(before.mean()), float(after.mean()), len(before))


def _costs(backbone: Backbone, pictures: int, learned: int) -> dict[str, float]:
    """Return rough upper bounds in seconds for each strategy, one after the other."""
    forward = features.seconds_per_picture(backbone) or _FORWARD_SECONDS
    once = 10 + forward * pictures
    epochs = {"finetune_few": (20, 1.5), "finetune_many": (40, 4.0)}
    trained = {
        name: once + number * forward * cost * learned for name, (number, cost) in epochs.items()
    }
    seconds = {"linear_top": once, "linear_stages": 1.5 * once, **trained}
    return {name: round(value, 1) for name, value in seconds.items()}
