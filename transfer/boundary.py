"""What a frozen lower part says of augmented pictures, kept on disk, so that it is said once.

Layers below the deepest trained one give the same answer to the same view of a picture. Each of the
first epochs makes a view of every picture anew and keeps it; the later epochs draw for each picture
one of those that were kept. As long as views are made, training is as random as without.

Pictures are mixed (mixup, cutmix) before the lower part sees them, as the papers do, and a view's
labels are those of its mixed pictures. Mixing the kept answers instead would be another method
(manifold mixup, Verma 2019), for what the lower part says of a blend is no blend of what it says.
"""

import contextlib
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf

from transfer import batches, store
from transfer.batches import TrainingBatches
from transfer.runtimes import Extractor

MOST_BYTES = 8 * 1024**3
_SHARE_OF_FREE = 0.25  # of the disk's free bytes
MOST_VIEWS = 8
_BATCH = 32
_SAVE_EVERY = 3.0  # seconds between two notes on how far a view is


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

    def data(done: int) -> Iterator[np.ndarray]:
        return batches.pictures(paths[done:], image_size, _BATCH).as_numpy_iterator()

    return _kept(file, lower, len(paths), data, told)


class BoundaryBatches:
    """Shuffled batches (answers of the lower part, labels), the same for the same seed.

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
        self._views: dict[int, _View] = {}  # each file is mapped into memory once

    @property
    def steps(self) -> int:
        """Batches in an epoch; the last may be smaller."""
        return self._source.steps

    def epoch(self, number: int, start: int = 0) -> tf.data.Dataset:
        """Return one epoch of (float32 [batch, *shape], float32 [batch, classes]), from 1.

        Its first `start` batches are left out.
        """
        kept = [self._view(i) for i in range(min(number, self._count))]
        order = self._source.order(number)
        rng = np.random.default_rng([self._source.seed, number, 1])
        drawn = rng.integers(0, self._count, len(order))
        if number <= self._count:
            drawn[:] = number - 1  # the view that was made for this epoch

        def rows() -> Iterator[tuple[np.ndarray, np.ndarray]]:
            size = self._source.batch_size
            for first in range(start * size, len(order), size):
                chosen = order[first : first + size]
                views = [kept[v] for v in drawn[chosen]]
                rows = [view.answer(i) for view, i in zip(views, chosen, strict=True)]
                yield np.stack(rows).astype(np.float32), self._targets(views, chosen)

        data = tf.data.Dataset.from_generator(
            rows,
            output_signature=(
                tf.TensorSpec((None, *self._lower.shape), tf.float32),
                tf.TensorSpec((None, self._source.num_classes), tf.float32),
            ),
        )
        left = tf.data.experimental.assert_cardinality(self.steps - start)
        return batches.steady(data.apply(left))

    def _targets(self, views: "list[_View]", positions: np.ndarray) -> np.ndarray:
        """Return the labels of these pictures as these views show them, float32 [n, classes]."""
        own = self._source.targets(positions)
        if not self._source.mixes:
            return own
        partners = [view.partners[i] for view, i in zip(views, positions, strict=True)]
        shares = [view.shares[i] for view, i in zip(views, positions, strict=True)]
        others = self._source.targets(np.array(partners))
        share = np.array(shares, np.float32)[:, None]
        return share * own + (1 - share) * others

    def _view(self, number: int) -> "_View":
        def data(done: int) -> Iterator[np.ndarray]:
            whole = done // self._source.batch_size
            return self._source.in_order(number, whole).as_numpy_iterator()

        if number not in self._views:
            file = self._folder / f"view-{number}.npy"
            answers = _kept(file, self._lower, self._source.pictures, data, self._told)
            places = np.argsort(self._source.view_order(number))
            self._views[number] = _View(answers, places, *self._source.view_labels(number))
        return self._views[number]


@dataclass(frozen=True)
class _View:
    """One view of every picture.

    `answers` float16 [n, *shape] lie in the order in which they were made, `places` says where each
    picture's is; `partners` and `shares` are of `TrainingBatches.view_labels`.
    """

    answers: np.ndarray
    places: np.ndarray
    partners: np.ndarray
    shares: np.ndarray

    def answer(self, position: int) -> np.ndarray:
        """Return the answer to the picture at a position."""
        return self.answers[self.places[position]]


def _kept(
    file: Path,
    lower: Lower,
    pictures: int,
    data: Callable[[int], Iterator[np.ndarray]],
    told: Callable[[int], None],
) -> np.ndarray:
    """Return the file's array; where it is not there whole, it is made, or the rest of it.

    `data(done)` yields the batches after the first so many pictures: none, or whole batches.
    """
    if file.is_file():
        return np.load(file, mmap_mode="r")
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_name(f".{file.name}.partial")
    made, done = _begun(partial, (pictures, *lower.shape))
    largest, saved = np.finfo(np.float16).max, time.monotonic()
    for (answers,) in lower.extractor.stream(data(done)):
        made[done : done + len(answers)] = np.clip(answers, -largest, largest)
        done += len(answers)
        if time.monotonic() - saved >= _SAVE_EVERY:
            made.flush()
            store.write_json(_reached(partial), done)
            saved = time.monotonic()
        told(done)
    made.flush()
    del made
    partial.replace(file)
    _reached(partial).unlink(missing_ok=True)
    return np.load(file, mmap_mode="r")


def _begun(partial: Path, shape: tuple[int, ...]) -> tuple[np.memmap, int]:
    """Open what a killed process has left, or begin; return the array and how much of it is there.

    Raises:
        OSError: there is no room on the disk. It is taken at once: a mapped file that cannot grow
            ends the process without a word.
    """
    with contextlib.suppress(OSError, ValueError, TypeError):
        done = int(store.read_json(_reached(partial)))
        size = partial.stat().st_size  # a file that was cut short would be made longer
        left = np.lib.format.open_memmap(partial, mode="r+")
        whole = left.offset + left.nbytes == size
        if whole and left.shape == shape and left.dtype == np.float16 and 0 <= done < len(left):
            return left, done
    _reached(partial).unlink(missing_ok=True)
    made = np.lib.format.open_memmap(partial, mode="w+", dtype=np.float16, shape=shape)
    with partial.open("r+b") as opened:
        os.posix_fallocate(opened.fileno(), 0, partial.stat().st_size)
    return made, 0


def _reached(partial: Path) -> Path:
    return partial.with_name(f"{partial.name}.json")
