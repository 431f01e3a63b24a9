"""The export of what fine-tuning leaves: a network with Dropout, compiled for training."""

from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.transfer import problems
from transfer import backbones, pooling, prediction
from transfer.exporting import checking, formats, writing
from transfer.linear import LinearHead
from transfer.prediction import Classifier
from transfer.runtimes import graphs
from transfer.strategies import finetune_few, plan


@pytest.fixture(scope="module")
def fine_tuned() -> Classifier:
    """The model as `finetune_few` builds, compiles and trains it, after one step."""
    backbone = problems.builtin(96)
    random = np.random.default_rng(0)
    width = pooling.top(backbone.blocks).width
    kernel = random.normal(0, 0.1, (width, 3)).astype(np.float32)
    head = LinearHead(kernel, np.zeros(3, np.float32), 1.0, 1.0, 0.0)
    chosen = plan.plan(backbone.network, finetune_few.POLICY.frozen_level)
    parts = backbones.halves(backbone, chosen.cut, head, dropout=0.5)
    parts.upper.compile(keras.optimizers.AdamW(1e-4), "categorical_crossentropy")
    tensors = np.asarray(parts.lower(random.uniform(0, 255, (4, 96, 96, 3)), training=False))
    parts.upper.train_on_batch(tensors, np.eye(3, dtype=np.float32)[[0, 1, 2, 0]])
    return Classifier(backbones.classifier(parts.whole), ("a", "b", "c"), 96)


def _write(classifier: Classifier, folder: Path) -> None:
    writer = writing.WRITERS["savedmodel"][0]
    writing.write(formats.named("savedmodel"), writer, classifier, folder, [])


@pytest.mark.slow
def test_a_fine_tuned_model_gives_the_same_answers_elsewhere(fine_tuned, sample_folder, tmp_path):
    pictures = sorted(sample_folder.rglob("*.jpg"))[::12]
    _write(fine_tuned, tmp_path / "model")
    answers = checking.elsewhere(tmp_path / "model", pictures)["probabilities"]
    expected = prediction.predict_files(fine_tuned, pictures)
    assert np.abs(answers - expected).max() <= checking.TOLERANCE
    assert len({tuple(row.round(3)) for row in answers}) > 1


@pytest.mark.parametrize("size", [32, 64, 150])  # two that grow and one that shrinks
def test_pixels_and_bytes_of_a_picture_get_the_same_answer(fine_tuned, tmp_path, size):
    pixels = np.random.default_rng(size).integers(0, 256, (size, size, 3), np.uint8)
    tf.io.write_file(str(tmp_path / "one.png"), tf.io.encode_png(pixels))
    _write(fine_tuned, tmp_path / "model")
    serve = tf.saved_model.load(str(tmp_path / "model")).signatures["serving_pixels"]
    received = serve(images=tf.cast(pixels[None], tf.float32))["probabilities"].numpy()
    expected = prediction.predict_files(fine_tuned, [tmp_path / "one.png"])
    np.testing.assert_allclose(received, expected, atol=1e-6)


def test_a_large_network_keeps_its_weights_as_variables_and_answers_alike(
    fine_tuned, tmp_path, monkeypatch
):
    pixels = np.random.default_rng(3).uniform(0, 255, (2, 96, 96, 3)).astype(np.float32)

    def answers(name: str) -> tuple[np.ndarray, bool]:
        _write(fine_tuned, tmp_path / name)
        loaded = tf.saved_model.load(str(tmp_path / name))
        serve = loaded.signatures["serving_pixels"]
        return serve(images=pixels)["probabilities"].numpy(), bool(serve.variables)

    small, variables = answers("small")
    assert not variables
    monkeypatch.setattr(graphs, "_MOST_CONSTANT", 0)
    large, variables = answers("large")
    assert variables
    np.testing.assert_allclose(small, large, atol=1e-5)
