"""A network with its preprocessing: read at its stages, given a head, cut into halves."""

from typing import Any

import keras
import numpy as np
import pytest

from tests.transfer import problems
from transfer import backbones, pooling, stages
from transfer.linear import LinearHead

SIZE = 64


def _pictures(count: int = 4, size: int = SIZE) -> np.ndarray:
    return np.stack([problems.stripes(i % 4, i, size) for i in range(count)]).astype(np.float32)


def _head(features: int, classes: int = 3) -> LinearHead:
    rng = np.random.default_rng(1)
    kernel = rng.normal(0, 0.1, (features, classes)).astype(np.float32)
    return LinearHead(kernel, rng.normal(size=classes).astype(np.float32), 1.0, 1.0, 0.0)


def _top_head(backbone: backbones.Backbone) -> LinearHead:
    return _head(pooling.top(backbone.blocks).width)


def _answers(model: Any, pictures: np.ndarray) -> np.ndarray:
    return np.asarray(model(pictures, training=False))


@pytest.mark.parametrize("kind", ["tf", "torch", "caffe", "none"])
def test_pictures_are_brought_to_what_the_network_knows(kind):
    pictures = _pictures()
    inputs = keras.Input((SIZE, SIZE, 3))
    model = keras.Model(inputs, keras.layers.Identity()(backbones._preprocess(inputs, kind)))
    expected: Any = pictures
    if kind != "none":
        expected = keras.applications.imagenet_utils.preprocess_input(pictures.copy(), mode=kind)
    np.testing.assert_allclose(_answers(model, pictures), expected, rtol=1e-5, atol=1e-4)


def test_a_head_answers_as_the_linear_classifier_does_on_the_features():
    backbone = problems.builtin(SIZE)
    some = (backbone.blocks[0], backbone.blocks[-1])
    head = _head(sum(block.width for block in some))
    features = _answers(backbones.vectors(backbone, some), _pictures())
    model = backbones.with_head(backbone, head, some)
    np.testing.assert_allclose(
        _answers(model, _pictures()), head.probabilities(features), rtol=1e-4, atol=1e-6
    )


@pytest.mark.parametrize("name", ["builtin", "MobileNetV2", "ConvNeXtTiny"])
def test_the_halves_of_a_network_are_the_whole(name, tmp_path):
    backbone = problems.random_backbone(name, tmp_path, SIZE)
    cuts = stages.cuts(backbone.network)
    pictures = _pictures()
    places = (1, len(cuts) // 2, -1) if name == "builtin" else (len(cuts) // 2,)
    for cut in (cuts[place] for place in places):
        parts = backbones.halves(backbone, cut, _top_head(backbone), dropout=0.5)
        whole = _answers(parts.whole, pictures)
        lower = _answers(parts.lower, pictures)
        assert lower.shape[1:] == cut.tensor.shape[1:]
        np.testing.assert_allclose(_answers(parts.upper, lower), whole, rtol=1e-4, atol=1e-6)
        plain = backbones.with_head(backbone, _top_head(backbone))
        np.testing.assert_allclose(_answers(plain, pictures), whole, rtol=1e-4, atol=1e-6)


def test_what_the_upper_half_learns_the_whole_knows():
    backbone = problems.builtin(SIZE)
    cut = stages.cuts(backbone.network)[-2]
    parts = backbones.halves(backbone, cut, _top_head(backbone), dropout=0.0)
    before = _answers(parts.whole, _pictures())
    layer = parts.upper.get_layer(backbones.HEAD)
    layer.set_weights([-value for value in layer.get_weights()])
    after = _answers(parts.whole, _pictures())
    assert np.abs(after - before).max() > 0.01
    lower = _answers(parts.lower, _pictures())
    np.testing.assert_allclose(_answers(parts.upper, lower), after, atol=1e-6)


def test_a_classifier_takes_pictures_of_any_size_and_can_be_saved(tmp_path):
    backbone = problems.builtin(SIZE)
    cut = stages.cuts(backbone.network)[4]
    parts = backbones.halves(backbone, cut, _top_head(backbone), dropout=0.2)
    model = backbones.classifier(parts.whole)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", compile=False)
    same = _pictures(size=SIZE)
    np.testing.assert_allclose(_answers(model, same), _answers(parts.whole, same), atol=1e-5)
    for size in (50, 130):
        pictures = _pictures(size=size)
        np.testing.assert_allclose(
            _answers(model, pictures), _answers(loaded, pictures), rtol=1e-4, atol=1e-6
        )


def test_batch_normalization_is_frozen_and_all_else_learns():
    network = problems.build("builtin", SIZE)
    backbones.freeze_batch_norm(network)
    kinds = {type(layer).__name__: layer.trainable for layer in network.layers if layer.weights}
    assert kinds["BatchNormalization"] is False
    assert kinds["Conv2D"] is True
    names = {variable.name for variable in network.trainable_variables}
    assert not names & {"gamma", "beta", "moving_mean", "moving_variance"}
