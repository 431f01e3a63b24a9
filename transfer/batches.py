"""From pictures on disk to batches: one decode, kept in memory, augmented on the fly (tf.data)."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from transfer import imaging
from transfer.augmentation import Augmentation, augment

CACHE_BYTES = 2 * 1024**3  # resized pictures up to this much stay in memory between epochs


def pictures(paths: Sequence[Path], image_size: int, batch_size: int) -> tf.data.Dataset:
    """Return batches of resized pictures in order, uint8 [batch, image_size, image_size, 3]."""
    return _decoded(paths, image_size).batch(batch_size).prefetch(tf.data.AUTOTUNE)


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
        self._labels = labels.astype(np.int32)
        self._num_classes, self._image_size = num_classes, image_size
        self._batch_size, self._seed = batch_size, seed
        self._augmentation = augmentation
        self._paths = [str(path) for path in paths]
        size = len(paths) * image_size * image_size * 3
        self._kept = self._load(paths) if size <= CACHE_BYTES else None

    @property
    def steps(self) -> int:
        """Batches in an epoch; the last may be smaller."""
        return -(-len(self._paths) // self._batch_size)

    def epoch(self, number: int) -> tf.data.Dataset:
        """Return one epoch of (float32 [batch, size, size, 3], float32 [batch, classes])."""
        order = np.random.default_rng([self._seed, number]).permutation(len(self._paths))
        data = tf.data.Dataset.from_tensor_slices(order).batch(self._batch_size)
        base = np.int64(self._seed) * 1_000_003 + number * 10_007
        return (
            data.enumerate()
            .map(lambda step, batch: self._batch(base + step, batch), tf.data.AUTOTUNE)
            .prefetch(tf.data.AUTOTUNE)
        )

    def _load(self, paths: Sequence[Path]) -> tf.Tensor:
        loaded = np.concatenate(list(pictures(paths, self._image_size, 64).as_numpy_iterator()))
        with tf.device("CPU"):
            return tf.constant(loaded)

    def _batch(self, seed: tf.Tensor, order: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        if self._kept is not None:
            batch = tf.gather(self._kept, order)
        else:
            batch = tf.map_fn(self._read, order, fn_output_signature=tf.uint8)
        values = tf.cast(batch, tf.float32)
        if self._augmentation:
            values = augment(values, self._augmentation, tf.stack([seed, 0]))
        return values, tf.one_hot(tf.gather(self._labels, order), self._num_classes)

    def _read(self, position: tf.Tensor) -> tf.Tensor:
        data = tf.io.read_file(tf.gather(self._paths, position))
        return imaging.decode_and_resize(data, self._image_size)


def _decoded(paths: Sequence[Path], image_size: int) -> tf.data.Dataset:
    data = tf.data.Dataset.from_tensor_slices([str(path) for path in paths])
    return data.map(
        lambda path: imaging.decode_and_resize(tf.io.read_file(path), image_size),
        num_parallel_calls=tf.data.AUTOTUNE,
    )
