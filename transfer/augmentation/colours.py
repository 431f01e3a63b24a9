"""Changes of values: light, contrast, saturation, tints, steps and sharpness."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from transfer.augmentation import draws

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601; they add up to 1
_COARSEST = 5.0  # bits that posterizing takes away, at most
_PIECE = 64  # pictures summed up at once


def components(pictures: np.ndarray) -> np.ndarray:
    """Return the principal components of the pictures' RGB values.

    Args:
        pictures: uint8 [n, height, width, 3].

    Returns:
        float32 [3, 3]: each row is a unit vector times its eigenvalue, largest first, of the
        covariance of values between 0 and 1 (Krizhevsky 2012).
    """
    total, products, count = np.zeros(3), np.zeros([3, 3]), 0
    for start in range(0, len(pictures), _PIECE):
        pixels = pictures[start : start + _PIECE].reshape(-1, 3).astype(np.float32) / 255
        total += pixels.sum(axis=0, dtype=np.float64)
        products += pixels.T @ pixels
        count += len(pixels)
    mean = total / count
    values, vectors = np.linalg.eigh(products / count - np.outer(mean, mean))
    vectors = vectors.T[::-1]
    # Which way a vector points is left to chance; the same pictures shall give the same.
    vectors *= np.sign(vectors.sum(axis=1, keepdims=True) + 1e-12)
    return (vectors * np.maximum(values[::-1], 0)[:, None]).astype(np.float32)


def shifts(n: tf.Tensor, sigma: float, axes: np.ndarray, seed: tf.Tensor) -> tf.Tensor:
    """Draw one change of colour for each picture, float32 [n, 3] in 0-255, along the components.

    Args:
        n: how many.
        sigma: standard deviation; 0.1 in the paper.
        axes: of `components`.
        seed: int64 [2].
    """
    own = draws.stream(seed, draws.PCA)
    return 255 * sigma * tf.random.stateless_normal(tf.stack([n, 3]), own) @ axes


def recolour(
    batch: tf.Tensor, brightness: tf.Tensor, contrast: tf.Tensor, saturation: tf.Tensor
) -> tf.Tensor:
    """Multiply the mean, the distance from it and the distance from grey by factors [n]."""
    shape = tf.shape(batch)
    pixels = tf.reshape(batch, [shape[0], shape[1] * shape[2], 3])
    mean = tf.reduce_sum(tf.reduce_mean(pixels, axis=1) * _LUMA, axis=1, keepdims=True)
    saturation = saturation[:, None, None]
    towards_grey = (1 - saturation) * _LUMA[:, None]  # [n, 3, 1]: each channel gets the luma
    matrix = contrast[:, None, None] * (saturation * np.eye(3, dtype=np.float32) + towards_grey)
    offset = (brightness - contrast)[:, None] * mean
    return tf.reshape(pixels @ matrix + offset[:, :, None], shape)


def change_some(
    batch: tf.Tensor,
    strengths: tf.Tensor,
    change: Callable[[tf.Tensor, tf.Tensor], tf.Tensor],
) -> tf.Tensor:
    """Apply `change` to the pictures whose strength is not 0; each change costs a few passes."""
    rows = tf.where(strengths != 0)
    some = tf.reshape(tf.gather_nd(strengths, rows), [-1, 1, 1, 1])
    return tf.tensor_scatter_nd_update(batch, rows, change(tf.gather_nd(batch, rows), some))


def posterize(batch: tf.Tensor, strengths: tf.Tensor) -> tf.Tensor:
    """Round values down to multiples of 4, 8 or 16; of 32 at magnitudes above 1."""
    step = 2.0 ** tf.minimum(tf.floor(2 + 3 * tf.abs(strengths)), _COARSEST)
    return tf.floor(batch / step) * step


def sharpen(batch: tf.Tensor, strengths: tf.Tensor) -> tf.Tensor:
    """Move values away from the mean of their neighbours, or towards it where negative."""
    strengths = tf.maximum(strengths, -1.0)  # the mean itself
    return batch + strengths * (batch - tf.nn.avg_pool2d(batch, 3, 1, "SAME"))
