"""Mixup and cutmix: the share of a picture is the share of its label."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from transfer.augmentation import mixing
from transfer.augmentation.mixing import Mix
from transfer.changes import Amounts

SIZE = 20
SEED = tf.constant([2, 0], tf.int64)
WAYS = [Amounts(mixup=0.4), Amounts(cutmix=1.0), Amounts(mixup=0.4, cutmix=1.0)]


def _batch(n: int) -> np.ndarray:
    return np.random.default_rng(0).uniform(0, 255, [n, SIZE, SIZE, 3]).astype(np.float32)


def _draw(n: int, far: Amounts, seed: tf.Tensor = SEED) -> Mix:
    return mixing.draw(tf.constant(n), SIZE, far, seed)


@pytest.mark.parametrize("far", WAYS)
def test_labels_add_up_to_one_and_name_both(far: Amounts):
    mix, classes = _draw(300, far), np.arange(300) % 7
    targets = tf.one_hot(classes, 7)
    found = mixing.labels(targets, mixing.partners(targets), mix.shares).numpy()
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-6)
    shares = mix.shares.numpy()
    rows = np.arange(300)
    np.testing.assert_allclose(found[rows, classes], shares, atol=1e-6)
    np.testing.assert_allclose(found[rows[1:], classes[:-1]], 1 - shares[1:], atol=1e-6)
    assert shares.min() >= 0
    assert shares.max() <= 1
    assert shares.std() > 0.15


def test_mixup_blends_by_the_share_of_the_label():
    batch, mix = _batch(64), _draw(64, Amounts(mixup=1.0))
    found = mixing.mixed(tf.constant(batch), mix).numpy()
    share = mix.shares.numpy()[:, None, None, None]
    np.testing.assert_allclose(found, share * batch + (1 - share) * np.roll(batch, 1, 0), atol=1e-3)


def test_cutmix_pastes_a_rectangle_whose_area_is_the_share_of_the_other_label():
    batch, mix = _batch(400), _draw(400, Amounts(cutmix=1.0))
    found, other = mixing.mixed(tf.constant(batch), mix).numpy(), np.roll(batch, 1, 0)
    pasted = (found == other).all(axis=3)
    assert ((found == batch).all(axis=3) ^ pasted).all()  # each pixel is of one of the two
    np.testing.assert_allclose(pasted.mean(axis=(1, 2)), 1 - mix.shares.numpy(), atol=1e-6)
    for mask in pasted:
        assert mask.sum() == mask.any(axis=1).sum() * mask.any(axis=0).sum()  # a rectangle
    assert pasted.mean(axis=0).min() > 0.05  # anywhere
    sides = pasted.any(axis=2).sum(axis=1), pasted.any(axis=1).sum(axis=1)
    inside = [not (m[0].any() or m[-1].any() or m[:, 0].any() or m[:, -1].any()) for m in pasted]
    assert np.array_equal(sides[0][inside], sides[1][inside])  # of the picture's proportions


@pytest.mark.parametrize("alpha", [0.1, 0.4, 1.0, 2.0])
def test_shares_follow_the_beta_distribution(alpha: float):
    shares = _draw(4000, Amounts(mixup=alpha)).shares.numpy()
    assert np.isfinite(shares).all()
    for limit in (0.001, 0.05, 0.3, 0.5, 0.8, 0.99):
        expected = stats.beta(alpha, alpha).cdf(limit)
        assert (shares < limit).mean() == pytest.approx(expected, abs=0.03)


def test_a_box_has_the_drawn_area_before_the_edge_cuts_it():
    areas = tf.constant(np.linspace(0, 1, 50), tf.float32)
    boxes = mixing._boxes(tf.fill([50, 2], 0.5), areas, 200).numpy()
    sides = boxes[:, 2:] - boxes[:, :2]
    np.testing.assert_allclose(sides[:, 0], np.sqrt(areas) * 200, atol=1.01)
    assert (boxes >= 0).all()
    assert (boxes <= 200).all()


def test_with_both_each_picture_gets_one_of_them():
    mix = _draw(1000, Amounts(mixup=0.4, cutmix=1.0))
    boxes = mix.boxes.numpy()
    pasted = mix.blend.numpy() == 1
    assert 430 < pasted.sum() < 570
    assert not boxes[~pasted].any()


@pytest.mark.parametrize("far", WAYS)
def test_a_picture_alone_stays_itself(far: Amounts):
    batch = _batch(1)
    mix = _draw(1, far)
    np.testing.assert_allclose(mixing.mixed(tf.constant(batch), mix), batch, atol=1e-3)
    target = tf.constant([[0.0, 1.0]])
    found = mixing.labels(target, mixing.partners(target), mix.shares)
    np.testing.assert_allclose(found, target, atol=1e-6)


@pytest.mark.parametrize("far", WAYS)
def test_a_seed_gives_the_same_and_another_something_else(far: Amounts):
    first, same, other = _draw(40, far), _draw(40, far), _draw(40, far, SEED + 1)
    assert all(np.array_equal(a, b) for a, b in zip(first, same, strict=True))
    assert not np.array_equal(first.shares, other.shares)


def test_nothing_wanted_is_nothing_done():
    mix, batch = _draw(8, Amounts()), _batch(8)
    assert np.array_equal(mixing.mixed(tf.constant(batch), mix), batch)
    assert (mix.shares.numpy() == 1).all()
