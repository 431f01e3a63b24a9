"""From pictures on disk to batches: one decode, kept in memory, augmented on the fly (tf.data)."""

import functools
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from transfer import devices, imaging
from transfer.augmentation import Augmentation, augment

_AT_ONCE = 64  # pictures
_AHEAD = 4  # batches
CACHE_BYTES = 1024**3  # resized pictures up to this much stay in memory between epochs


def pictures(paths: Sequence[Path], image_size: int, batch_size: int) -> tf.data.Dataset:
    """Return batches of resized pictures in order, uint8 [batch, image_size, image_size, 3]."""
    read = _reader(image_size)
    data = tf.data.Dataset.from_tensor_slices([str(path) for path in paths])
    return steady(data.map(read, devices.cpus()).batch(batch_size))


def loaded(paths: Sequence[Path], image_size: int) -> np.ndarray:
    """Return all of these pictures, resized, uint8 [len(paths), image_size, image_size, 3]."""
    return np.concatenate(list(pictures(paths, image_size, _AT_ONCE).as_numpy_iterator()))


class TrainingBatches:
    """Shuffled, augmented batches (pictures, one-hot labels), the same for the same seed and epoch.

    The pictures are decoded and resized once and kept in memory as uint8 where they fit in
    `CACHE_BYTES`, so that no epoch after the first waits for the disk.
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
    ) -> None:
        self.num_classes, self.batch_size, self.seed = num_classes, batch_size, seed
        self._labels = labels.astype(np.int32)
        self._image_size, self._augmentation = image_size, augmentation
        self._paths = [str(path) for path in paths]
        size = len(paths) * image_size * image_size * 3
        self._kept = self._load(paths) if size <= CACHE_BYTES else None

    @property
    def pictures(self) -> int:
        """How many pictures an epoch goes through."""
        return len(self._paths)

    @property
    def steps(self) -> int:
        """Batches in an epoch; the last may be smaller."""
        return -(-len(self._paths) // self.batch_size)

    def order(self, epoch: int) -> np.ndarray:
        """Return the positions of the pictures in the order of this epoch."""
        return np.random.default_rng([self.seed, epoch]).permutation(len(self._paths))

    def targets(self, positions: np.ndarray) -> np.ndarray:
        """Return one-hot labels float32 [len(positions), classes]."""
        return np.eye(self.num_classes, dtype=np.float32)[self._labels[positions]]

    def epoch(self, number: int) -> tf.data.Dataset:
        """Return one epoch of (float32 [batch, size, size, 3], float32 [batch, classes])."""
        return self._augmented(self.order(number), number, 0).map(
            lambda values, batch: (
                values,
                tf.one_hot(tf.gather(self._labels, batch), self.num_classes),
            )
        )

    def in_order(self, view: int) -> tf.data.Dataset:
        """Return one augmented view of every picture, in order, uint8 [batch, size, size, 3]."""
        everything = np.arange(len(self._paths))
        return self._augmented(everything, view, 1).map(
            lambda values, _: tf.saturate_cast(tf.round(values), tf.uint8)
        )

    def _augmented(self, order: np.ndarray, number: int, stream: int) -> tf.data.Dataset:
        """Return batches (pictures, positions); equal numbers and streams give equal batches."""
        data = tf.data.Dataset.from_tensor_slices(order).batch(self.batch_size)
        base = np.int64(self.seed) * 1_000_003 + number * 10_007
        return steady(
            data.enumerate().map(
                lambda step, batch: (self._batch(tf.stack([base + step, stream]), batch), batch),
                devices.cpus(),
            )
        )

    def _load(self, paths: Sequence[Path]) -> tf.Tensor:
        with tf.device("CPU"):
            return tf.constant(loaded(paths, self._image_size))

    def _batch(self, seed: tf.Tensor, order: tf.Tensor) -> tf.Tensor:
        if self._kept is not None:
            batch = tf.gather(self._kept, order)
        else:
            batch = tf.map_fn(self._read, order, fn_output_signature=tf.uint8)
        values = tf.cast(batch, tf.float32)
        return augment(values, self._augmentation, seed) if self._augmentation else values

    def _read(self, position: tf.Tensor) -> tf.Tensor:
        return _reader(self._image_size)(tf.gather(self._paths, position))


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
