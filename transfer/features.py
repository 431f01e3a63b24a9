"""The pooled stages of each picture, computed once and kept by the picture's content."""

import hashlib
import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from transfer import backbones, batches, pooling, runtimes, store
from transfer.backbones import Backbone
from transfer.dataset.index import ImageIndex
from transfer.feature_store import FeatureStore
from transfer.pooling import Block

BATCH = 32
_APPEND = 4  # batches that are written at once: what a killed computation loses at most
_SAMPLES = 8  # pictures by which a fast runtime is compared with Keras
_TIMED = 64  # pictures, at least, for a speed that is worth keeping
_SPEED = "speed.json"
_MODEL = "features"  # of what is ready
_VERSION = "stages-v2"

Change = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Features:
    """The kept vectors of a data set's pictures.

    Only what is asked for is read into memory: one block of some pictures at a time.
    """

    blocks: tuple[Block, ...]
    kept: FeatureStore
    contents: tuple[str, ...]  # SHA-256 of each picture of the index

    def of(self, block: Block, positions: Sequence[int]) -> np.ndarray:
        """Return float16 [len(positions), block.width]."""
        return self.kept.read([self.contents[i] for i in positions], block.columns)


def prepare(backbone: Backbone) -> None:
    """Build what computes the vectors, ahead of time: on a core that has nothing else to do."""
    backbone.ready[_MODEL] = runtimes.prepare(_reading(backbone), _shape(backbone))


def compute(
    backbone: Backbone,
    index: ImageIndex,
    positions: Sequence[int],
    on_progress: Callable[[int, int], None] | None = None,
    log: Callable[[str], None] | None = None,
) -> Features:
    """Make sure that these pictures' vectors are in the store.

    Args:
        backbone: the network; its name, input size and weight file decide what is reused.
        index: the data set.
        positions: which of `index.pictures`.
        on_progress: called with (pictures done, pictures in all).
        log: told where a fast runtime could not be used.
    """
    kept = _store(backbone)
    contents = tuple(picture.sha256 for picture in index.pictures)
    missing = [positions[i] for i in kept.missing([contents[i] for i in positions])]
    done, began = len(positions) - len(missing), time.monotonic()
    if missing:
        for part, rows in _computed(backbone, (_Pictures(backbone, index, missing),), log):
            kept.append([contents[missing[i]] for i in part], rows)
            done += len(part)
            if on_progress:
                on_progress(done, len(positions))
        if len(missing) >= _TIMED:
            seconds = (time.monotonic() - began) / len(missing)
            store.write_json(folder(backbone) / _SPEED, {"seconds": seconds})
    elif on_progress:
        on_progress(done, len(positions))
    return Features(backbone.blocks, kept, contents)


def varied(
    backbone: Backbone,
    index: ImageIndex,
    positions: Sequence[int],
    changes: dict[str, Change],
) -> dict[str, np.ndarray]:
    """Return the last stage's means of changed pictures, float16 [len(positions), d] a change.

    They are kept like those of the pictures themselves. A change maps uint8 [n, s, s, 3] to the
    same; its name decides what is reused.
    """
    kept = _store(backbone)
    top = pooling.top(backbone.blocks).columns
    contents = {
        name: [_changed(index.pictures[i].sha256, name) for i in positions] for name in changes
    }
    missing = {name: kept.missing(contents[name]) for name in changes}
    wanted = [(name, i) for name in changes for i in missing[name]]
    if wanted:
        parts = tuple(
            _Pictures(backbone, index, [positions[i] for i in missing[name]], change)
            for name, change in changes.items()
        )
        for part, rows in _computed(backbone, parts, None):
            kept.append([contents[wanted[i][0]][wanted[i][1]] for i in part], rows)
    return {name: kept.read(contents[name], top) for name in changes}


def seconds_per_picture(backbone: Backbone) -> float | None:
    """Return what one picture took when features were last computed on this machine."""
    path = folder(backbone) / _SPEED
    return float(store.read_json(path)["seconds"]) if path.is_file() else None


def key(backbone: Backbone) -> str:
    """Return a name that is the same for the same network, weights and input size only."""
    name = backbone.spec.name.replace(":", "-")
    return f"{name}-{backbone.image_size}-{backbone.digest[:12]}-{_VERSION}"


def folder(backbone: Backbone) -> Path:
    """Return where is kept what this network says of pictures, at this input size."""
    return store.home() / "features" / key(backbone)


def _store(backbone: Backbone) -> FeatureStore:
    return FeatureStore(folder(backbone), backbone.blocks[-1].columns.stop)


def _changed(content: str, name: str) -> str:
    return hashlib.sha256(f"{content}:{name}".encode()).hexdigest()


@dataclass(frozen=True)
class _Pictures:
    """Pictures of a data set at the network's input size, changed if so wanted."""

    backbone: Backbone
    index: ImageIndex
    positions: list[int]
    change: Change = lambda pictures: pictures

    def batches(self, size: int) -> Iterator[np.ndarray]:
        """Return uint8 [size, s, s, 3] each."""
        paths = [self.index.path(self.index.pictures[i]) for i in self.positions]
        data = batches.pictures(paths, self.backbone.image_size, size)
        return map(self.change, data.as_numpy_iterator())


def _reading(backbone: Backbone) -> keras.Model:
    return backbones.reading(backbone, [pooling.pooled(block) for block in backbone.blocks])


def _shape(backbone: Backbone) -> tuple[int, int, int]:
    return (backbone.image_size, backbone.image_size, 3)


def _computed(
    backbone: Backbone, parts: Sequence[_Pictures], log: Callable[[str], None] | None
) -> Iterator[tuple[range, np.ndarray]]:
    """Yield (which of all parts' pictures, their vectors [n, width]) piece by piece."""
    prepared = backbone.ready.pop(_MODEL, None)
    parts = [part for part in parts if part.positions]
    samples = next(parts[0].batches(_SAMPLES))
    extractor = runtimes.fastest(prepared or _reading(backbone), samples, log)
    count = sum(len(part.positions) for part in parts)
    rows: list[np.ndarray] = []
    start = 0
    data = itertools.chain.from_iterable(part.batches(BATCH) for part in parts)
    for outputs in extractor.stream(data):
        rows.append(np.concatenate(outputs, axis=1))
        done = start + sum(map(len, rows))
        if len(rows) == _APPEND or done == count:
            yield range(start, done), np.concatenate(rows)
            rows, start = [], done
