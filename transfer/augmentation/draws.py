"""Random numbers for each picture of a batch, a stream of its own for each part of the work."""

import numpy as np
import tensorflow as tf

# RandAugment (arXiv 1909.13719) and its largest strengths at magnitude 1. All of them are moderate:
# the paper's solarize and equalize are left out, for they change what is bright and what is dark.
OPERATIONS = {
    "identity": 0.0,
    "rotate": np.pi / 15,  # 12 degrees either way
    "shear_x": 0.12,
    "shear_y": 0.12,
    "shift_x": 0.12,  # share of the side
    "shift_y": 0.12,
    "brightness": 0.3,  # relative, and so are the next two
    "contrast": 0.3,
    "saturation": 0.3,
    "sharpness": 0.9,  # -1 would be a 3 x 3 blur
    "posterize": 1.0,  # 6, 5 or 4 bits a channel
}

# A new part gets a new number, for the same seed shall go on giving the same pictures.
PLACE, COLOUR, RANDAUGMENT, ERASE, MORE_PLACE, LENS, PCA, MIX = range(8)

Operations = dict[str, tf.Tensor]  # name -> float32 [n], 0 where the picture does not have it


def uniform(n: tf.Tensor, columns: int, seed: tf.Tensor, part: int) -> tf.Tensor:
    """Return float32 [n, columns] in [0, 1), another stream for each part."""
    return tf.random.stateless_uniform(tf.stack([n, columns]), stream(seed, part))


def stream(seed: tf.Tensor, part: int) -> tf.Tensor:
    """Return the seed of a part, int64 [2]."""
    return tf.random.experimental.stateless_fold_in(seed, part)


def operations(n: tf.Tensor, count: int, magnitude: float, seed: tf.Tensor) -> Operations:
    """Draw `count` different operations for each picture, and their strengths.

    Different ones, so that two small rotations never make a large one.
    """
    size = len(OPERATIONS)
    draws = uniform(n, 2 * size, seed, RANDAUGMENT)
    rank = tf.argsort(tf.argsort(draws[:, :size], axis=1), axis=1)
    most = magnitude * np.array(list(OPERATIONS.values()))
    strengths = (2 * draws[:, size:] - 1) * most.astype(np.float32)
    strengths = tf.where(rank < count, strengths, 0.0)
    return dict(zip(OPERATIONS, tf.unstack(strengths, axis=1), strict=True))
