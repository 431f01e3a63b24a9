"""Changes of colours: AlexNet's along the principal components."""

import numpy as np
import pytest
import tensorflow as tf

from transfer import augmentation
from transfer.augmentation import Augmentation, colours
from transfer.changes import Changes

AXES = colours.components(np.random.default_rng(1).integers(0, 256, [20, 8, 8, 3]).astype(np.uint8))


def _pictures(n: int = 30, seed: int = 0) -> np.ndarray:
    """Pictures whose channels go together, and differ in spread."""
    rng = np.random.default_rng(seed)
    light = rng.normal(0, 40, [n, 16, 16, 1])
    own = rng.normal(0, [4.0, 12.0, 20.0], [n, 16, 16, 3])
    return np.clip(128 + light + own, 0, 255).astype(np.uint8)


def test_components_are_those_of_a_singular_value_decomposition():
    pictures = _pictures(150)  # more than one piece
    pixels = pictures.reshape(-1, 3) / 255.0
    _, spread, axes = np.linalg.svd(pixels - pixels.mean(axis=0), full_matrices=False)
    found = colours.components(pictures)
    values = np.linalg.norm(found, axis=1)
    np.testing.assert_allclose(values, spread**2 / len(pixels), rtol=1e-3)
    cosines = np.abs(np.sum(found / values[:, None] * axes, axis=1))
    np.testing.assert_allclose(cosines, 1, atol=1e-4)
    assert found.dtype == np.float32
    assert (found.sum(axis=1) > 0).all()


def test_pictures_of_one_colour_have_none():
    flat = np.full([3, 8, 8, 3], 90, np.uint8)
    assert np.abs(colours.components(flat)).max() < 1e-6


def test_grey_pictures_vary_along_grey_alone():
    grey = np.repeat(_pictures()[..., :1], 3, axis=3)
    found = colours.components(grey)
    np.testing.assert_allclose(np.ptp(found[0]), 0, atol=1e-4)
    assert np.abs(found[1:]).max() < 1e-5


def test_all_pixels_of_a_picture_shift_alike_and_along_the_components():
    pictures = _pictures(2000)
    axes = colours.components(pictures)
    middle = np.full([2000, 8, 8, 3], 128, np.float32)
    middle += np.random.default_rng(2).uniform(-20, 20, middle.shape).astype(np.float32)
    settings = Augmentation("none", mirror=False, changes=Changes(pca_colour=0.3))
    seed = tf.constant([1, 0], tf.int64)
    moved = augmentation.augment(tf.constant(middle), settings, seed, axes).numpy() - middle
    shift = moved.mean(axis=(1, 2))
    np.testing.assert_allclose(moved, np.broadcast_to(shift[:, None, None], moved.shape), atol=1e-3)
    # In units of the components: independent normal numbers of standard deviation 0.3.
    drawn = np.linalg.solve(axes.T.astype(np.float64), shift.T / 255).T
    np.testing.assert_allclose(drawn.std(axis=0), 0.3, rtol=0.06)
    np.testing.assert_allclose(drawn.mean(axis=0), 0, atol=0.03)
    assert np.abs(np.corrcoef(drawn.T) - np.eye(3)).max() < 0.08


def test_a_shift_is_the_papers_formula():
    drawn = tf.random.stateless_normal(
        [4, 3], tf.random.experimental.stateless_fold_in(tf.constant([9, 0], tf.int64), 6)
    ).numpy()
    shifts = colours.shifts(tf.constant(4), 0.1, AXES, tf.constant([9, 0], tf.int64)).numpy()
    values = np.linalg.norm(AXES, axis=1)
    vectors = AXES / values[:, None]
    expected = 255 * sum(0.1 * drawn[:, i : i + 1] * values[i] * vectors[i] for i in range(3))
    np.testing.assert_allclose(shifts, expected, rtol=1e-4)


@pytest.mark.parametrize("strength", [-3.0, -1.0])
def test_sharpness_below_zero_is_the_mean_of_neighbours_at_most(strength: float):
    picture = tf.constant(_pictures(1), tf.float32)
    mean = tf.nn.avg_pool2d(picture, 3, 1, "SAME")
    found = colours.sharpen(picture, tf.reshape(tf.constant(strength), [1, 1, 1, 1]))
    np.testing.assert_allclose(found, mean, atol=1e-3)
