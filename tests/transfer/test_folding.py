"""Normalization that is drawn into a depthwise kernel changes no answer, and only where it may."""

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.transfer.test_runtimes import assert_same, expected, pictures, with_statistics
from transfer import backbones, catalog
from transfer.runtimes import graphs
from transfer.runtimes.folding import folded

SIZE = 32


def _network(
    *, multiplier: int = 1, tapped: bool = False, nested: bool = False, **options: Any
) -> keras.Model:
    keras.utils.set_random_seed(4)
    inputs = keras.Input((SIZE, SIZE, 3))
    values = keras.layers.Rescaling(1 / 255)(inputs)
    convolved = keras.layers.DepthwiseConv2D(
        3, depth_multiplier=multiplier, use_bias=bool(options.pop("bias", False)),
        activation=options.pop("activation", None),
    )(values)  # fmt: skip
    values = keras.layers.BatchNormalization(**options)(convolved)
    values = keras.layers.ReLU(6.0)(values)
    model = with_statistics(keras.Model(inputs, [values, convolved] if tapped else values))
    if nested:
        outer = keras.Input((SIZE, SIZE, 3))
        model = keras.Model(outer, keras.layers.GlobalAveragePooling2D()(model(outer)))
    return model


@pytest.mark.parametrize("options", [{}, {"multiplier": 2}, {"nested": True}, {"epsilon": 0.1}])
def test_one_layer_does_the_work_of_two(options):
    model = _network(**options)
    changed = folded(model)
    assert len(changed) == 5  # the kernel, and what the normalization has
    assert_same(graphs.fixed(model, (SIZE, SIZE, 3))(pictures(4)), expected(model, pictures(4)))
    inner = model.layers[1] if options.get("nested") else model
    norm = next(one for one in inner.layers if isinstance(one, keras.layers.BatchNormalization))
    root = tf.math.rsqrt(changed[id(norm.moving_variance)] + np.float32(norm.epsilon))
    factor = np.asarray(root * changed[id(norm.gamma)])
    np.testing.assert_array_equal(factor, 1.0)  # TensorFlow drops it only where it is exactly that
    assert not changed[id(norm.moving_mean)].any()


@pytest.mark.parametrize(
    "options",
    [{"tapped": True}, {"bias": True}, {"activation": "relu"}, {"scale": False}, {"center": False}],
)
def test_what_somebody_else_reads_or_is_more_than_a_kernel_is_left_alone(options):
    model = _network(**options)
    assert folded(model) == {}
    assert_same(graphs.fixed(model, (SIZE, SIZE, 3))(pictures(4)), expected(model, pictures(4)))


def test_the_model_itself_keeps_its_weights():
    model = _network()
    before = [np.array(value) for value in model.get_weights()]
    graphs.fixed(model, (SIZE, SIZE, 3))
    for one, other in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_every_depthwise_convolution_of_a_mobilenet_is_folded():
    network = keras.applications.MobileNetV2(
        input_shape=(SIZE, SIZE, 3),
        alpha=0.35,
        include_top=False,
        weights=None,  # pyright: ignore[reportArgumentType]
    )
    spec = catalog.backbone("MobileNetV2:0.35")
    backbone = backbones.Backbone(spec, SIZE, with_statistics(network), None)  # pyright: ignore[reportArgumentType]
    model = backbones.vectors(backbone)
    assert len(folded(model)) == 5 * 17
    batch = pictures(3)
    assert_same(graphs.fixed(model, (SIZE, SIZE, 3))(batch), expected(model, batch), 1e-3)
