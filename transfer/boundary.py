"""What a frozen lower part says of augmented pictures, kept on disk, so that it is said once.

Layers below the deepest trained one give the same answer to the same view of a picture. Each of the
first epochs makes a view of every picture anew and keeps it; the later epochs draw for each picture
one of those that were kept. As long as views are made, training is as random as without.
"""

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf

from transfer import batches
from transfer.batches import TrainingBatches
from transfer.runtimes import Extractor

MOST_BYTES = 8 * 1024**3
_SHARE_OF_FREE = 0.25  # of the disk's free bytes
MOST_VIEWS = 8
_BATCH = 32


@dataclass(frozen=True)
class Lower:
    """The frozen part: `extractor` maps uint8 pictures to one tensor of `shape` each."""

    extractor: Extractor
    shape: tuple[int, int, int]


def views(shape: tuple[int, int, int], pictures: int, folder: Path) -> int:
    """Return how many views of so many pictures the disk allows, at most `MOST_VIEWS`."""
    folder.mkdir(parents=True, exist_ok=True)
    # What a killed process has left here counts as free: who goes on gets as many views as it had.
    own = sum(file.stat().st_size for file in folder.iterdir())
    allowed = min(MOST_BYTES, int(_SHARE_OF_FREE * (shutil.disk_usage(folder).free + own)))
    one = 2 * int(np.prod(shape)) * pictures  # half precision
    return min(MOST_VIEWS, allowed // max(1, one))


def plain(
    lower: Lower, paths: Sequence[Path], image_size: int, file: Path, told: Callable[[int], None]
) -> np.ndarray:
    """Return the answers for pictures as they are, float16 [n, *shape], kept in `file`."""

    def data() -> Iterator[np.ndarray]:
        return batches.pictures(paths, image_size, _BATCH).as_numpy_iterator()

    return _kept(file, lower, len(paths), data, told)


class BoundaryBatches:
    """Shuffled batches (answers of the lower part, one-hot labels), the same for the same seed.

    Args:
        source: the augmented pictures, as training without a boundary would see them.
        lower: the frozen part.
        count: how many views are kept, at least 1.
        folder: where.
        told: called with the number of pictures done while a view is made.
    """

    def __init__(
        self,
        source: TrainingBatches,
        lower: Lower,
        count: int,
        folder: Path,
        told: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._source, self._lower, self._count = source, lower, count
        self._folder, self._told = folder, told
        self._views: dict[int, np.ndarray] = {}  # each file is mapped into memory once

    @property
    def steps(self) -> int:
        """Batches in an epoch; the last may be smaller."""
        return self._source.steps

    def epoch(self, number: int) -> tf.data.Dataset:
        """Return one epoch of (float32 [batch, *shape], float32 [batch, classes]), from 1."""
        kept = [self._view(i) for i in range(min(number, self._count))]
        order = self._source.order(number)
        rng = np.random.default_rng([self._source.seed, number, 1])
        drawn = rng.integers(0, self._count, len(order))
        if number <= self._count:
            drawn[:] = number - 1  # the view that was made for this epoch

        def rows() -> Iterator[tuple[np.ndarray, np.ndarray]]:
            size = self._source.batch_size
            for start in range(0, len(order), size):
                chosen = order[start : start + size]
                rows = [kept[v][i] for v, i in zip(drawn[chosen], chosen, strict=True)]
                yield np.stack(rows).astype(np.float32), self._source.targets(chosen)

        data = tf.data.Dataset.from_generator(
            rows,
            output_signature=(
                tf.TensorSpec((None, *self._lower.shape), tf.float32),
                tf.TensorSpec((None, self._source.num_classes), tf.float32),
            ),
        )
        return batches.steady(data.apply(tf.data.experimental.assert_cardinality(self.steps)))

    def _view(self, number: int) -> np.ndarray:
        def data() -> Iterator[np.ndarray]:
            return self._source.in_order(number).as_numpy_iterator()

        if number not in self._views:
            file = self._folder / f"view-{number}.npy"
            pictures = self._source.pictures
            self._views[number] = _kept(file, self._lower, pictures, data, self._told)
        return self._views[number]


def _kept(
    file: Path,
    lower: Lower,
    pictures: int,
    data: Callable[[], Iterator[np.ndarray]],
    told: Callable[[int], None],
) -> np.ndarray:
    """Return the file's array, made from the data where it is not there whole."""
    if file.is_file():
        return np.load(file, mmap_mode="r")
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_name(f".{file.name}.partial")
    shape = (pictures, *lower.shape)
    made = np.lib.format.open_memmap(partial, mode="w+", dtype=np.float16, shape=shape)
    done = 0
    largest = np.finfo(np.float16).max
    for (answers,) in lower.extractor.stream(data()):
        made[done : done + len(answers)] = np.clip(answers, -largest, largest)
        done += len(answers)
        told(done)
    made.flush()
    del made
    partial.replace(file)
    return np.load(file, mmap_mode="r")
