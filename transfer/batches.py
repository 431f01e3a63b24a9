"""From pictures on disk to batches: one decode, kept in memory, augmented on the fly (tf.data)."""

import functools
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from transfer import devices, imaging, presized
from transfer.augmentation import Augmentation, augment, components, mixing

_AT_ONCE = 64  # pictures
_AHEAD = 4  # batches
_COLOURS_OF = 500  # pictures, where not all of them are in memory
_EPOCH, _VIEW = 0, 1  # random streams
CACHE_BYTES = 1024**3  # resized pictures up to this much stay in memory between epochs


def pictures(paths: Sequence[Path], image_size: int, batch_size: int) -> tf.data.Dataset:
    """Return batches of resized pictures in order, uint8 [batch, image_size, image_size, 3]."""
    read = _reader(image_size)
    data = tf.data.Dataset.from_tensor_slices([str(path) for path in paths])
    return steady(data.map(read, devices.cpus()).batch(batch_size))


def loaded(paths: Sequence[Path], image_size: int) -> np.ndarray:
    """Return all of these pictures, resized, uint8 [len(paths), image_size, image_size, 3]."""
    return np.concatenate(list(pictures(paths, image_size, _AT_ONCE).as_numpy_iterator()))


def seed_of(
    seed: int, number: int = 0, step: int | tf.Tensor = 0, stream: int = _VIEW
) -> tf.Tensor:
    """Return the seed, int64 [2], of one batch: of an epoch or a view of this number."""
    return tf.stack([np.int64(seed) * 1_000_003 + number * 10_007 + step, stream])


class TrainingBatches:
    """Shuffled, augmented batches (pictures, labels), the same for the same seed and epoch.

    The pictures are decoded and resized once and kept in memory as uint8 where they fit in
    `CACHE_BYTES`, else in one file in `folder` where there is one and the disk has room. So no
    epoch decodes anything. Labels are one-hot, or mixed where pictures are.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        labels: np.ndarray,
        num_classes: int,
        image_size: int,
        batch_size: int,
        seed: int,
        augmentation: Augmentation | None,
        folder: Path | None = None,
    ) -> None:
        self.num_classes, self.batch_size, self.seed = num_classes, batch_size, seed
        self._labels = labels.astype(np.int32)
        self._image_size, self._augmentation = image_size, augmentation
        self._held_size = augmentation.held_size(image_size) if augmentation else image_size
        self._paths = [str(path) for path in paths]
        size = len(paths) * self._held_size**2 * 3
        self._kept = self._load(paths) if size <= CACHE_BYTES else None
        self._written = self._write(paths, folder) if folder and self._kept is None else None
        self._components = self._colours()
        # Traced once, not once an epoch: that takes 0.3 s, as long as training on 40 pictures.
        self._batch = tf.function(
            self._made,
            input_signature=[tf.TensorSpec((2,), tf.int64), tf.TensorSpec((None,), tf.int64)],
            autograph=False,
        )

    @property
    def pictures(self) -> int:
        """How many pictures an epoch goes through."""
        return len(self._paths)

    @property
    def steps(self) -> int:
        """Batches in an epoch; the last may be smaller."""
        return -(-len(self._paths) // self.batch_size)

    @property
    def mixes(self) -> bool:
        """Whether a picture is mixed with another one."""
        return self._augmentation is not None and self._augmentation.amounts.mixes

    def order(self, epoch: int) -> np.ndarray:
        """Return the positions of the pictures in the order of this epoch."""
        return np.random.default_rng([self.seed, epoch]).permutation(len(self._paths))

    def targets(self, positions: np.ndarray) -> np.ndarray:
        """Return one-hot labels float32 [len(positions), classes]."""
        return np.eye(self.num_classes, dtype=np.float32)[self._labels[positions]]

    def epoch(self, number: int, start: int = 0) -> tf.data.Dataset:
        """Return one epoch of (float32 [batch, size, size, 3], float32 [batch, classes]).

        Its first `start` batches are left out, and not made either.
        """

        def batch(seed: tf.Tensor, order: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            values = self._batch(seed, order)
            labels = tf.one_hot(tf.gather(self._labels, order), self.num_classes)
            if not self.mixes:
                return values, labels
            mix = self._mix(seed, order)
            others = mixing.partners(labels)
            return mixing.mixed(values, mix), mixing.labels(labels, others, mix.shares)

        return self._mapped(self.order(number), number, _EPOCH, batch, start)

    def view_order(self, view: int) -> np.ndarray:
        """Return the positions of the pictures in the order in which `in_order` gives this view.

        Pictures that are mixed are so within their batch, so that these must be shuffled: as they
        come, a batch is of one class.
        """
        if not self.mixes:
            return np.arange(len(self._paths))
        return np.random.default_rng([self.seed, view, _VIEW]).permutation(len(self._paths))

    def in_order(self, view: int, start: int = 0) -> tf.data.Dataset:
        """Return one augmented view of every picture, uint8 [batch, size, size, 3].

        As `view_order` says: in order, where pictures are not mixed. The first `start` batches
        are left out.
        """

        def batch(seed: tf.Tensor, order: tf.Tensor) -> tf.Tensor:
            values = self._batch(seed, order)
            values = mixing.mixed(values, self._mix(seed, order)) if self.mixes else values
            return tf.saturate_cast(tf.round(values), tf.uint8)

        return self._mapped(self.view_order(view), view, _VIEW, batch, start)

    def view_labels(self, view: int) -> tuple[np.ndarray, np.ndarray]:
        """Return what the pictures of a view show: (partners int64 [n], shares float32 [n]).

        By the pictures' positions: `shares` of a picture's own label, the rest of its partner's.
        Drawn again from the seed: no picture is looked at.
        """
        everything = np.arange(len(self._paths))
        if not self.mixes:
            return everything, np.ones(len(everything), np.float32)

        def batch(seed: tf.Tensor, order: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            return mixing.partners(order), self._mix(seed, order).shares

        order = self.view_order(view)
        drawn = self._mapped(order, view, _VIEW, batch).as_numpy_iterator()
        own = [np.concatenate(part) for part in zip(*drawn, strict=True)]
        places = np.argsort(order)
        return own[0][places], own[1][places]

    def _mapped(
        self,
        order: np.ndarray,
        number: int,
        stream: int,
        made: Callable[[tf.Tensor, tf.Tensor], tf.Tensor | tuple[tf.Tensor, ...]],
        start: int = 0,
    ) -> tf.data.Dataset:
        """Return `made(seed, positions)` of each batch; equal numbers and streams: equal seeds."""
        rest = order[start * self.batch_size :]
        data = tf.data.Dataset.from_tensor_slices(rest).batch(self.batch_size)
        return steady(
            data.enumerate(start).map(
                lambda step, batch: made(seed_of(self.seed, number, step, stream), batch),
                devices.cpus(),
            )
        )

    def _load(self, paths: Sequence[Path]) -> tf.Tensor:
        with tf.device("CPU"):
            return tf.constant(loaded(paths, self._held_size))

    def _mix(self, seed: tf.Tensor, order: tf.Tensor) -> mixing.Mix:
        if self._augmentation is None:
            raise ValueError("pictures are mixed only where an augmentation says so")
        return mixing.draw(tf.shape(order)[0], self._image_size, self._augmentation.amounts, seed)

    def _colours(self) -> np.ndarray | None:
        """Return the principal components of the pictures' colours, where they are wanted."""
        if self._augmentation is None or not self._augmentation.amounts.pca_colour:
            return None
        if self._kept is not None:
            return components(self._kept.numpy())
        some = np.unique(np.linspace(0, len(self._paths) - 1, _COLOURS_OF).astype(int))
        return components(loaded([Path(self._paths[i]) for i in some], self._held_size))

    def _write(self, paths: Sequence[Path], folder: Path) -> np.ndarray | None:
        side = self._held_size
        return presized.kept(
            folder / f"pictures-{side}.npy",
            (len(paths), side, side, 3),
            lambda: pictures(paths, side, _AT_ONCE).as_numpy_iterator(),
        )

    def _from_file(self, kept: np.ndarray, order: tf.Tensor) -> tf.Tensor:
        rows = tf.numpy_function(kept.__getitem__, [order], tf.uint8, stateful=False)
        return tf.ensure_shape(rows, [None, self._held_size, self._held_size, 3])

    def _made(self, seed: tf.Tensor, order: tf.Tensor) -> tf.Tensor:
        """Return the pictures at these positions, changed; float32 [n, size, size, 3]."""
        if self._kept is not None:
            batch = tf.gather(self._kept, order)
        elif self._written is not None:
            batch = self._from_file(self._written, order)
        else:
            batch = tf.map_fn(self._read, order, fn_output_signature=tf.uint8)
        values = tf.cast(batch, tf.float32)
        if self._augmentation is None:
            return values
        return augment(values, self._augmentation, seed, self._components, self._image_size)

    def _read(self, position: tf.Tensor) -> tf.Tensor:
        return _reader(self._held_size)(tf.gather(self._paths, position))


def steady(data: tf.data.Dataset) -> tf.data.Dataset:
    """Let batches be made ahead, without autotuning.

    Where TensorFlow tunes a pipeline, the end of an iterator may have to wait for the tuning
    thread, which sleeps up to twice as long each time (2.21: 4 s of rest after 6 s of work in one
    run of three).
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    return data.prefetch(_AHEAD).with_options(options)


@functools.cache
def _reader(image_size: int) -> Callable[[tf.Tensor], tf.Tensor]:
    """Return the function from a path to a picture, traced once a size: that takes 0.3 s."""

    def read(path: tf.Tensor) -> tf.Tensor:
        return imaging.resize_stored(tf.io.read_file(path), image_size)

    return tf.function(read, input_signature=[tf.TensorSpec((), tf.string)])
