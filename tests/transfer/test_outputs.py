"""What leaves the app: named outputs, equal in Keras and in NumPy; several views of a picture."""

from typing import Any

import keras
import numpy as np
import pytest

from tests.transfer import problems
from transfer import (
    backbones,
    calibration,
    outputs,
    pooling,
    prediction,
    refusal,
    runtimes,
    views_at_test,
)
from transfer.errors import SettingsError
from transfer.linear import LinearHead
from transfer.prediction import Classifier
from transfer.runtimes import graphs

SIZE = 64
KINDS = ("flip", "ten-crops", "multi-scale")


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    """The built-in network with a random head that knows a few striped pictures."""
    backbone = problems.builtin(SIZE)
    rng = np.random.default_rng(0)
    width = pooling.top(backbone.blocks).width
    head = LinearHead(rng.normal(0, 0.3, (width, 3)).astype(np.float32), np.zeros(3), 1, 1, 0)
    model = backbones.classifier(backbones.with_head(backbone, head))
    read = outputs.vectors(model)
    assert read is not None
    learned = _means(read, _pictures(0, 30))
    familiar = refusal.fit(learned, _means(read, _pictures(50, 10)), np.arange(30))
    return Classifier(model, ("a", "b", "c"), SIZE, 0.5, familiar)


def _said(model: keras.Model, pictures: np.ndarray) -> np.ndarray:
    """Answers as they are used: else Keras 3.15 lets BatchNormalization learn at each call."""
    return np.asarray(model(pictures, training=False))


def _means(read: keras.Model, pictures: np.ndarray) -> list[np.ndarray]:
    return [np.asarray(one) for one in read(pictures, training=False)]


def _pictures(start: int, number: int, size: int = SIZE) -> np.ndarray:
    return np.stack([problems.stripes(i % 3, start + i, size) for i in range(number)]) * 1.0


def test_the_outputs_are_what_their_names_say(classifier):
    pictures = np.concatenate([_pictures(100, 8), np.full((1, SIZE, SIZE, 3), 128.0)])
    found = {
        name: np.asarray(one) for name, one in classifier.outputs(pictures, training=False).items()
    }
    assert tuple(sorted(found)) == tuple(sorted(outputs.NAMES))
    expected = _said(classifier.model, pictures)
    np.testing.assert_allclose(found["probabilities"], expected, atol=1e-6)
    np.testing.assert_allclose(found["confidence"], expected.max(axis=1), atol=1e-6)
    np.testing.assert_array_equal(found["answers"], found["confidence"] >= 0.5)
    vectors = outputs.vectors(classifier.model)
    assert vectors is not None
    assert classifier.familiar is not None
    strange = classifier.familiar.scores(_means(vectors, pictures))
    np.testing.assert_allclose(found["strangeness"], strange, rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(found["known"], found["strangeness"] <= 1)
    assert not found["known"][-1]  # plain grey is no stripes
    assert found["known"][:-1].mean() > 0.5


def test_without_anything_familiar_there_is_no_word_on_it(classifier):
    plain = Classifier(classifier.model, classifier.classes, SIZE)
    assert sorted(plain.outputs.output) == ["answers", "confidence", "probabilities"]
    assert np.asarray(plain.outputs(_pictures(0, 2), training=False)["answers"]).all()


def test_it_loads_as_keras_without_this_package(classifier, tmp_path):
    classifier.outputs.save(tmp_path / "named.keras")
    again: Any = keras.saving.load_model(tmp_path / "named.keras", compile=False)
    pictures = _pictures(100, 4)
    for name, values in again(pictures, training=False).items():
        np.testing.assert_allclose(
            values, classifier.outputs(pictures, training=False)[name], atol=1e-5
        )
    assert not [one for one in again.layers if type(one).__module__.startswith("transfer")]


@pytest.mark.parametrize("number", [1, 2, 3])
def test_the_stages_are_those_whose_features_are_kept(number):
    """A head may read several stages, and stop before the last; the network is computed once."""
    backbone = problems.builtin(SIZE)
    blocks = (backbone.blocks[0], *pooling.means(backbone.blocks)[-number:-1])
    if number == 1:
        blocks = (backbone.blocks[-1],)
    width = sum(block.width for block in blocks)
    model = backbones.classifier(
        backbones.with_head(backbone, LinearHead(np.ones((width, 2)), np.zeros(2), 1, 1, 0), blocks)
    )
    read = outputs.vectors(model)
    assert read is not None
    last = pooling.last_means(backbone.blocks, blocks, refusal.STAGES)
    pictures = _pictures(0, 3)
    expected = backbones.reading(backbone, [pooling.pooled(one) for one in last])
    kept = expected(pictures, training=False)
    for one, other in zip(_means(read, pictures), kept if len(last) > 1 else [kept], strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_views_are_averaged_within_the_model(classifier, kind, tmp_path):
    viewed = views_at_test.with_views(classifier.model, kind, mirror=True)
    number = {"flip": 2, "ten-crops": 10, "multi-scale": 42}[kind]
    assert views_at_test.views(kind, mirror=True) == number
    some = prediction.of_model(viewed, classifier.classes, SIZE)
    assert some.image_size == {"flip": 64, "ten-crops": 73, "multi-scale": 183}[kind]
    large = _pictures(100, 3, some.image_size)
    mirrored = large[:, :, ::-1]
    answers = _said(viewed, large)
    np.testing.assert_allclose(answers.sum(axis=1), 1, atol=1e-5)
    # Pixels are rounded, and the middle of an odd side lies a little to the left.
    np.testing.assert_allclose(answers, _said(viewed, mirrored), atol=0.03)
    viewed.save(tmp_path / "viewed.keras")
    again: Any = keras.saving.load_model(tmp_path / "viewed.keras", compile=False)
    np.testing.assert_allclose(_said(again, large), answers, atol=1e-5)


def test_a_flip_is_the_mean_of_two_logits(classifier):
    viewed = views_at_test.with_views(classifier.model, "flip", mirror=True)
    pictures = _pictures(100, 3)
    both = [_said(classifier.model, one) for one in (pictures, pictures[:, :, ::-1])]
    mean = np.exp(np.mean(np.log(both), axis=0))
    np.testing.assert_allclose(
        _said(viewed, pictures), mean / mean.sum(axis=1, keepdims=True), atol=1e-5
    )


def test_one_temperature_scales_views_as_it_scales_one(classifier):
    viewed = views_at_test.with_views(classifier.model, "flip", mirror=True)
    pictures = _pictures(100, 3)
    before = _said(viewed, pictures)
    backbones.scale_head(viewed, 0.5)
    after = _said(viewed, pictures)
    backbones.scale_head(viewed, 2.0)
    np.testing.assert_allclose(after, calibration.sharpened(before, 0.5), atol=1e-5)


def test_views_have_all_outputs_too(classifier):
    viewed = views_at_test.with_views(classifier.model, "flip", mirror=True)
    some = Classifier(viewed, classifier.classes, SIZE, 0.5, classifier.familiar)
    pictures = _pictures(100, 4)
    found = runtimes.named(some.outputs, 4)(pictures.astype(np.uint8))
    assert tuple(sorted(found)) == tuple(sorted(outputs.NAMES))
    np.testing.assert_allclose(found["probabilities"], _said(viewed, pictures), atol=1e-5)


@pytest.mark.parametrize(("kind", "most"), [("flip", 2), ("ten-crops", 1), ("multi-scale", 1)])
def test_many_views_of_few_pictures_are_in_memory(classifier, kind, most, monkeypatch):
    """Four pictures of one view each would be 168 of the largest kind."""
    viewed = views_at_test.with_views(classifier.model, kind, mirror=True)
    assert backbones.looks(viewed) == views_at_test.views(kind, mirror=True)
    assert backbones.looks(classifier.model) == 1
    computed: list[int] = []
    fixed = graphs.fixed

    def counted(*arguments: Any, **more: Any) -> Any:
        compute = fixed(*arguments, **more)
        return lambda batch: computed.append(len(batch)) or compute(batch)

    monkeypatch.setattr(graphs, "fixed", counted)
    some = prediction.of_model(viewed, classifier.classes, SIZE)
    pictures = _pictures(0, 5, some.image_size).astype(np.uint8)
    network = backbones.after_resizing(viewed)
    small = runtimes.small_batches(network, pictures.shape[1:])
    (found,) = next(small.stream([pictures]))
    assert sum(computed) == 5
    assert max(computed) == most
    np.testing.assert_allclose(found, _said(viewed, pictures), atol=1e-4)


def test_what_does_not_keep_the_label_is_left_out(classifier):
    assert views_at_test.with_views(classifier.model, "flip", mirror=False) is classifier.model
    assert views_at_test.views("ten-crops", mirror=False) == 5
    viewed = views_at_test.with_views(classifier.model, "ten-crops", mirror=False)
    with pytest.raises(SettingsError, match="one network"):
        views_at_test.with_views(viewed, "flip", mirror=True)
    with pytest.raises(SettingsError, match="should be one of none"):
        views_at_test.views("all", mirror=True)
