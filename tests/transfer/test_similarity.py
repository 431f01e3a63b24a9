"""How far pictures move what a network sees: its own not at all, changed ones more."""

import dataclasses
import functools

import keras
import numpy as np
import pytest

from tests.transfer import problems
from transfer import similarity
from transfer.backbones import Backbone
from transfer.builtin import pictures as known

SIZE = 64


@functools.cache
def _known(count: int, seed: int = 0) -> np.ndarray:
    """Pictures of the kind that the built-in network learned from, uint8 [count, s, s, 3]."""
    drawn = [
        known.render(i % known.NUM_CLASSES, np.random.default_rng([seed, i]), SIZE)
        for i in range(count)
    ]
    return np.stack(drawn)


def _blurred(pictures: np.ndarray) -> np.ndarray:
    blocks = pictures.reshape(len(pictures), SIZE // 8, 8, SIZE // 8, 8, 3).mean(axis=(2, 4))
    return blocks.repeat(8, axis=1).repeat(8, axis=2).astype(np.uint8)


def _layers(network: keras.Model) -> list[keras.layers.BatchNormalization]:
    return [one for one in network.layers if isinstance(one, keras.layers.BatchNormalization)]


def _set(layer: keras.layers.Layer, mean: np.ndarray, variance: np.ndarray) -> None:
    gamma, beta, *_ = layer.get_weights()
    layer.set_weights([gamma, beta, mean, variance])


def _fold(layer: keras.layers.Layer) -> None:
    gamma = layer.get_weights()[0]
    _set(layer, np.zeros_like(gamma), np.ones_like(gamma))


def _set_statistics(backbone: Backbone, pictures: np.ndarray) -> None:
    """Let the statistics be exactly those of these pictures, from the first layer on."""
    for layer in _layers(backbone.network):
        before = keras.Model(backbone.network.input, layer.input)
        seen = np.asarray(before(pictures.astype(np.float32) / 127.5 - 1, training=False))
        _set(layer, seen.mean(axis=(0, 1, 2)), seen.var(axis=(0, 1, 2)))


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    """The built-in network with the statistics of 128 pictures of its own kind."""
    made = problems.builtin(SIZE)
    _set_statistics(made, _known(128))
    return made


def _shift(backbone: Backbone, pictures: np.ndarray, seed: int = 0) -> similarity.Shift:
    found = similarity.shift(backbone, pictures, seed)
    assert found is not None
    return found


def test_pictures_whose_statistics_are_the_networks_do_not_shift_it(backbone):
    same = _shift(backbone, _known(128))
    fresh = _shift(backbone, _known(64, seed=1))
    assert same.shift < 0.01
    assert fresh.shift < 0.1
    assert fresh.error > 0


@pytest.mark.parametrize(
    "change",
    [_blurred, lambda p: (p * [1.0, 0.4, 0.2]).astype(np.uint8), lambda p: 255 - p // 2],
    ids=["blurred", "reddish", "pale"],
)
def test_changed_pictures_shift_it_more(backbone, change):
    fresh = _known(64, seed=1)
    plain, changed = _shift(backbone, fresh), _shift(backbone, change(fresh))
    assert changed.shift > plain.shift + 2 * (plain.error + changed.error)


def test_the_more_they_are_changed_the_more_it_shifts(backbone):
    fresh, other = _known(64, seed=1).astype(float), 255.0
    shifts = [
        _shift(backbone, ((1 - share) * fresh + share * other).astype(np.uint8)).shift
        for share in (0.0, 0.3, 0.6)
    ]
    assert shifts[0] < shifts[1] < shifts[2]


def test_it_is_the_same_for_the_same_seed_and_for_any_order(backbone):
    fresh = _known(64, seed=1)
    one, same, turned = (_shift(backbone, p) for p in (fresh, fresh, fresh[::-1]))
    # The runtime may choose half precision or not: that moves it a little.
    assert same.shift == pytest.approx(one.shift, abs=0.002)
    assert turned.shift == pytest.approx(one.shift, abs=0.002)


def test_what_chance_explains_is_taken_off(backbone):
    few = np.mean([_shift(backbone, _known(12, seed=seed)).shift for seed in range(3, 6)])
    raw = []
    for seed in range(3, 6):
        pictures = _known(12, seed=seed).astype(np.float32) / 127.5 - 1
        shifts = []
        for layer in _layers(backbone.network):
            before = keras.Model(backbone.network.input, layer.input)
            mean = np.asarray(before(pictures, training=False)).mean(axis=(0, 1, 2))
            spread = np.sqrt(np.asarray(layer.moving_variance) + layer.epsilon)
            shifts.append(np.median(np.abs(mean - np.asarray(layer.moving_mean)) / spread))
        raw.append(np.mean(shifts))
    assert few < 0.9 * np.mean(raw)


def test_folded_statistics_say_nothing():
    backbone = problems.builtin(SIZE)
    for layer in _layers(backbone.network):
        _fold(layer)
    assert similarity.shift(backbone, _known(8), 0) is None


def test_some_folded_layers_are_passed_over(backbone):
    whole = _shift(backbone, 255 - _known(40))
    part = problems.builtin(SIZE)
    part.network.set_weights(backbone.network.get_weights())
    _fold(_layers(part.network)[0])
    left = similarity.shift(part, 255 - _known(40), 0)
    assert left is not None
    assert left.shift > 0
    assert left.shift != whole.shift


def test_a_network_without_batch_normalization_has_none(tmp_path):
    backbone = problems.random_backbone("VGG16", tmp_path, 32)
    backbone = dataclasses.replace(backbone, image_size=32)
    assert similarity.shift(backbone, _known(4)[:, :32, :32], 0) is None


class TestSpread:
    @pytest.mark.parametrize("directions", [1, 4, 16])
    @pytest.mark.parametrize(("n", "d"), [(2000, 40), (300, 600)])
    def test_it_counts_equal_directions(self, directions, n, d):
        rng = np.random.default_rng(0)
        axes = np.linalg.qr(rng.normal(size=(d, directions)))[0]
        features = 5 + rng.normal(size=(n, directions)) @ axes.T
        assert similarity.spread(features.astype(np.float16)) == pytest.approx(directions, rel=0.1)

    def test_a_weak_direction_counts_little(self):
        rng = np.random.default_rng(0)
        features = rng.normal(size=(3000, 2)) * [1.0, 0.1]
        assert 1.0 < similarity.spread(features) < 1.1

    def test_the_number_of_pictures_matters_little(self):
        rng = np.random.default_rng(0)
        features = rng.normal(size=(4000, 30))
        few, many = similarity.spread(features[:100]), similarity.spread(features)
        assert few == pytest.approx(many, rel=0.15)

    def test_equal_pictures_do_not_divide_by_zero(self):
        assert np.isfinite(similarity.spread(np.ones((5, 8))))
