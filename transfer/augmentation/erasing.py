"""Random erasing: a rectangle of some pictures is filled (Zhong 2017, arXiv 1708.04896)."""

import tensorflow as tf

from transfer.augmentation import draws

ERASED_AREA = (0.02, 0.2)  # share of the picture
ERASED_ASPECT = 2.0  # the longer side of an erased part by its shorter one, at most


def erase(batch: tf.Tensor, share: float, seed: tf.Tensor) -> tf.Tensor:
    """Fill a rectangle of a share of the pictures with their mean colour."""
    n, size = tf.shape(batch)[0], tf.shape(batch)[1]
    drew = draws.uniform(n, 5, seed, draws.ERASE)
    area = ERASED_AREA[0] + (ERASED_AREA[1] - ERASED_AREA[0]) * drew[:, 1]
    aspect = tf.pow(ERASED_ASPECT, 2 * drew[:, 2] - 1)
    sides = tf.sqrt(tf.stack([area * aspect, area / aspect], axis=1))
    starts = drew[:, 3:] * (1 - sides)
    rows = tf.where(drew[:, 0] < share)
    places = tf.cast(tf.range(size), tf.float32) / tf.cast(size, tf.float32)
    low = tf.gather_nd(starts, rows)[:, :, None]
    high = low + tf.gather_nd(sides, rows)[:, :, None]
    inside = (places >= low) & (places < high)  # [erased, 2, size]: by rows, by columns
    mask = inside[:, 0, :, None, None] & inside[:, 1, None, :, None]
    some = tf.gather_nd(batch, rows)
    filled = tf.where(mask, tf.reduce_mean(some, axis=[1, 2], keepdims=True), some)
    return tf.tensor_scatter_nd_update(batch, rows, filled)
