"""The shared data sets with their cached features, and small sets drawn from their pictures."""

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace

os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

from benchmarks import processes
from transfer.dataset import library
from transfer.dataset.index import ImageIndex
from transfer.features import Features
from transfer.pooling import Block

DATASETS = processes.SHARED / "datasets"
ALL = ("ants-bees", "clothing", "eurosat", "steel-defects")
LARGER = ("clothing", "eurosat")


@dataclass(frozen=True)
class Source:
    """A data set with `train` and `test` folders; positions in its pictures of each, ascending.

    `groups` int64 [pictures]: pictures with equal pixels have equal ones.
    """

    name: str
    index: ImageIndex
    kept: Features
    labels: np.ndarray
    groups: np.ndarray
    train: np.ndarray
    test: np.ndarray

    @property
    def num_classes(self) -> int:
        """How many classes there are."""
        return len(self.index.classes)

    def stages(self, last: int) -> list[Block]:
        """Return the means of so many of the last stages."""
        return [block for block in self.kept.blocks if block.kind == "mean"][-last:]

    def rows(self, positions: np.ndarray, block: Block | None = None) -> np.ndarray:
        """Return features float16 [n, d], of the last stage where no block is named."""
        return self.kept.of(block or self.stages(1)[0], positions.tolist())


def load(names: Sequence[str], backbone: str, image_size: int) -> list[Source]:
    """Return the data sets, their features from the store or computed now."""
    from transfer import backbones, catalog, devices, features, weights

    if (processes.SHARED / "keras").is_dir():
        os.environ.setdefault("KERAS_HOME", str(processes.SHARED / "keras"))
    if missing := [name for name in names if not (DATASETS / name).is_dir()]:
        sys.exit(f"Expected the data set '{missing[0]}' in '{DATASETS}'. Set TRANSFER_SHARED.")
    devices.prepare()
    spec = catalog.backbone(backbone)
    network = backbones.load(spec, image_size, weights.obtain(spec, image_size))
    sources = []
    for name in names:
        index = library.import_dataset(DATASETS / name)
        everything = list(range(len(index.pictures)))
        kept = features.compute(network, index, everything)
        parts = np.array([picture.split for picture in index.pictures])
        groups = np.unique([one.sha256 for one in index.pictures], return_inverse=True)[1]
        train, test = (np.flatnonzero(parts == part) for part in ("train", "test"))
        sources.append(Source(name, index, kept, index.class_numbers(), groups, train, test))
    return sources


def drawn(
    source: Source, positions: np.ndarray, share: float, rng: np.random.Generator
) -> np.ndarray:
    """Return this share of each class's pictures, in a random order within the class."""
    chosen = []
    for label in range(source.num_classes):
        members = rng.permutation(positions[source.labels[positions] == label])
        chosen.append(members[: round(share * len(members))])
    return np.concatenate(chosen)


def small(source: Source, per_class: int, rng: np.random.Generator) -> np.ndarray:
    """Return positions of so many training pictures of each class."""
    chosen = []
    for label in range(source.num_classes):
        members = source.train[source.labels[source.train] == label]
        chosen.append(rng.choice(members, per_class, replace=False))
    return np.sort(np.concatenate(chosen))


def as_data_set(source: Source, positions: np.ndarray) -> ImageIndex:
    """Return these pictures as a data set that has no split of its own."""
    pictures = (source.index.pictures[i] for i in positions)
    return replace(source.index, pictures=tuple(replace(one, split=None) for one in pictures))
