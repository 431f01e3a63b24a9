"""Two pictures in one, and their labels by the same share: mixup and cutmix.

Mixup blends (Zhang 2018, arXiv 1710.09412), cutmix pastes a rectangle (Yun 2019, arXiv 1905.04899).
Where both are wanted, each picture gets one of them, by the toss of a coin.
"""

from typing import NamedTuple

import tensorflow as tf

from transfer.augmentation import draws
from transfer.changes import Amounts


class Mix(NamedTuple):
    """How each picture of a batch is mixed with its partner, the picture before it.

    `blend` float32 [n] is the weight of the picture itself outside its box; within `boxes` int32
    [n, 4] (top, left, bottom, right; in pixels) there is its partner alone. `shares` float32 [n] is
    how much of the result is the picture itself: the share of its label.
    """

    blend: tf.Tensor
    boxes: tf.Tensor
    shares: tf.Tensor


def draw(n: tf.Tensor, size: int, far: Amounts, seed: tf.Tensor) -> Mix:
    """Draw how each of n pictures of a side of `size` pixels is mixed."""
    coins = draws.uniform(n, 3, seed, draws.MIX)
    pasted = coins[:, 0] < (0.5 if far.mixup else 1.0) if far.cutmix else tf.zeros([n], tf.bool)
    one = tf.ones([n])
    blend = tf.where(pasted, one, _beta(n, far.mixup, seed, 1)) if far.mixup else one
    boxes = _boxes(coins[:, 1:], 1 - _beta(n, far.cutmix, seed, 3), size) if far.cutmix else None
    boxes = tf.zeros([n, 4], tf.int32) if boxes is None else tf.where(pasted[:, None], boxes, 0)
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    free = 1 - tf.cast(area, tf.float32) / tf.cast(size * size, tf.float32)
    return Mix(blend, boxes, blend * free)


def mixed(batch: tf.Tensor, mix: Mix) -> tf.Tensor:
    """Return the mixed pictures, float32 [n, size, size, 3]."""
    places = tf.range(tf.shape(batch)[1])
    top, left, bottom, right = (tf.expand_dims(edge, 1) for edge in tf.unstack(mix.boxes, axis=1))
    rows, columns = (places >= top) & (places < bottom), (places >= left) & (places < right)
    inside = tf.expand_dims(rows, 2) & tf.expand_dims(columns, 1)
    weight = tf.where(inside, 0.0, tf.reshape(mix.blend, [-1, 1, 1]))
    weight = tf.expand_dims(weight, 3)
    return weight * batch + (1 - weight) * partners(batch)


def partners(values: tf.Tensor) -> tf.Tensor:
    """Return for each row of a batch that of its partner."""
    return tf.roll(values, 1, axis=0)


def labels(targets: tf.Tensor, others: tf.Tensor, shares: tf.Tensor) -> tf.Tensor:
    """Return the mixed labels: `shares` [n] of the targets [n, classes], the rest of the others."""
    shares = shares[:, None]
    return shares * targets + (1 - shares) * others


def _beta(n: tf.Tensor, alpha: float, seed: tf.Tensor, number: int) -> tf.Tensor:
    """Draw float32 [n] from Beta(alpha, alpha), as two of the Gamma distribution make it."""
    base = draws.stream(seed, draws.MIX)
    # In single precision both may be 0 where alpha is small.
    one, other = (
        tf.random.stateless_gamma(
            tf.stack([n]),
            draws.stream(base, number + i),
            alpha=tf.constant(alpha, tf.float64),
            dtype=tf.float64,
        )
        for i in range(2)
    )
    return tf.cast(one / (one + other), tf.float32)


def _boxes(middles: tf.Tensor, areas: tf.Tensor, size: int) -> tf.Tensor:
    """Return rectangles of these shares of the picture around these places, cut off at its edges.

    As in the paper: of the picture's proportions, and their middle anywhere in it.

    Args:
        middles: float32 [n, 2] in [0, 1), row and column.
        areas: float32 [n].
        size: side of the pictures, in pixels.
    """
    whole = tf.cast(size, tf.float32)
    middle = tf.cast(middles * whole, tf.int32)
    side = tf.cast(tf.sqrt(areas) * whole, tf.int32)[:, None]
    start = middle - side // 2
    corners = tf.concat([start, start + side], axis=1)
    return tf.clip_by_value(corners, 0, size)
