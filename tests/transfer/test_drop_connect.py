"""DropConnect: right on average while learning, a plain dense layer afterwards."""

from typing import Any

import keras
import numpy as np

from transfer.drop_connect import DropConnect

INPUTS = np.random.default_rng(0).normal(size=(64, 5)).astype(np.float32)


def _layer(rate: float = 0.4) -> DropConnect:
    keras.utils.set_random_seed(3)
    layer = DropConnect(3, rate, bias_initializer="ones")
    layer.build(INPUTS.shape)
    return layer


def _answers(layer: keras.layers.Layer, training: bool) -> np.ndarray:
    return np.asarray(layer(INPUTS, training=training))


def test_afterwards_it_is_the_dense_layer_with_its_weights():
    layer = _layer()
    kernel, bias = layer.get_weights()
    np.testing.assert_allclose(_answers(layer, False), INPUTS @ kernel + bias, rtol=1e-5, atol=1e-5)


def test_each_picture_and_each_step_has_gaps_of_its_own():
    layer = _layer()
    layer.set_weights([np.ones((5, 3)), np.ones(3)])
    same = np.ones((200, 5), np.float32)
    one, other = (np.asarray(layer(same, training=True)) for _ in range(2))
    assert len(np.unique(one.round(4))) > 3  # not one mask for all of the pictures
    assert (one != other).any()
    kept = one * 0.6  # what stays is scaled up: a whole number of connections and biases
    np.testing.assert_allclose(kept, kept.round(), atol=1e-4)
    assert kept.min() >= 0 and kept.max() <= 6


def test_it_is_right_on_average():
    layer = _layer()
    mean = np.mean([_answers(layer, True) for _ in range(200)], axis=0)
    spread = float(np.std(_answers(layer, True) - _answers(layer, False)))
    np.testing.assert_allclose(mean, _answers(layer, False), atol=5 * spread / 14)
    assert spread > 0.1


def test_no_gaps_leave_it_as_it_is():
    layer = _layer(0.0)
    np.testing.assert_array_equal(_answers(layer, True), _answers(layer, False))


def test_it_learns_and_can_be_written_down(tmp_path):
    inputs = keras.Input((5,))
    model = keras.Model(inputs, _layer()(inputs))
    model.save(tmp_path / "model.keras")
    again: Any = keras.saving.load_model(tmp_path / "model.keras")
    assert again.layers[-1].rate == 0.4
    np.testing.assert_array_equal(np.asarray(again(INPUTS)), np.asarray(model(INPUTS)))
