import math
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

from transfer import backbones, batches, catalog, training, weights
from transfer.augmentation import Augmentation
from transfer.batches import TrainingBatches
from transfer.linear import LinearHead
from transfer.training import FitSettings, Validation

SIZE = 64
SETTINGS = FitSettings(
    epochs=3, patience=5, rates={"head/.*": 1e-3}, default_rate=1e-4, weight_decay=1e-3
)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Twenty-four pictures of noise, bright above or bright below."""
    folder = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    paths = []
    for i in range(24):
        pixels = rng.integers(0, 120, (80, 90, 3))
        half = slice(0, 40) if i % 2 else slice(40, 80)
        pixels[half] += 100
        paths.append(folder / f"{i:02d}.png")
        Image.fromarray(pixels.astype(np.uint8)).save(paths[-1])
    return paths, np.arange(24) % 2


def _model(name: str = "builtin") -> tuple[backbones.Backbone, keras.Model]:
    spec = catalog.backbone(name)
    if name == "builtin":
        backbone = backbones.load(spec, SIZE, weights.obtain(spec, SIZE))
    else:  # the graph alone matters here, so random weights will do
        network = getattr(keras.applications, spec.function)(
            include_top=False, weights=None, input_shape=(SIZE, SIZE, 3)
        )
        backbone = backbones.Backbone(spec, SIZE, network, Path("none"))
    rng = np.random.default_rng(1)
    kernel = rng.normal(0, 0.01, (backbone.feature_dim, 2)).astype(np.float32)
    head = LinearHead(kernel, np.zeros(2, np.float32), 1.0, 0.0)
    model = backbones.with_head(backbone, head, dropout=0.2)
    backbones.freeze_all_but(backbone.network, backbones.last_stage(backbone.network))
    return backbone, model


def _batches(files, seed: int = 0) -> TrainingBatches:
    paths, labels = files
    return TrainingBatches(paths[:16], labels[:16], 2, SIZE, 8, seed, Augmentation())


def _validation(files) -> Validation:
    paths, labels = files
    pictures = np.concatenate(list(batches.pictures(paths[16:], SIZE, 8).as_numpy_iterator()))
    return Validation(pictures, labels[16:], ("below", "above"))


@pytest.mark.parametrize("name", ["builtin", "MobileNetV2"])
def test_batch_norm_does_not_move_by_a_bit_and_the_last_stage_does(files, tmp_path, name):
    # `training=False` at the call is not enough under fit() in Keras 3.15: it moves them.
    backbone, model = _model(name)
    before = backbones.batch_norm_statistics(backbone.network)
    frozen = [np.array(v.numpy()) for v in backbone.network.non_trainable_variables]
    trained = [np.array(v.numpy()) for v in backbone.network.trainable_variables]
    training.fit(model, _batches(files), _validation(files), SETTINGS, tmp_path)
    after = backbones.batch_norm_statistics(backbone.network)
    assert len(before) > 0
    for one, other in zip(before, after, strict=True):
        assert one.tobytes() == other.tobytes()
    for one, variable in zip(frozen, backbone.network.non_trainable_variables, strict=True):
        assert one.tobytes() == variable.numpy().tobytes()
    moved = [
        not np.array_equal(one, variable.numpy())
        for one, variable in zip(trained, backbone.network.trainable_variables, strict=True)
    ]
    assert any(moved)


def test_an_interrupted_training_ends_as_an_undisturbed_one(files, tmp_path):
    keras.utils.set_random_seed(0)
    _, whole = _model()
    history, ended = training.fit(
        whole, _batches(files), _validation(files), SETTINGS, tmp_path / "one"
    )
    assert ended == "epochs"
    assert [row["epoch"] for row in history] == [0, 1, 2, 3]

    class KilledError(Exception):
        pass

    def die(row):
        if row["epoch"] == 1:
            raise KilledError

    keras.utils.set_random_seed(0)
    _, first = _model()
    with pytest.raises(KilledError):
        training.fit(
            first, _batches(files), _validation(files), SETTINGS, tmp_path / "two", on_epoch=die
        )
    _, second = _model()
    resumed, _ = training.fit(
        second, _batches(files), _validation(files), SETTINGS, tmp_path / "two"
    )
    for mine, theirs in zip(history, resumed, strict=True):
        assert mine["val_loss"] == pytest.approx(theirs["val_loss"], rel=1e-4)
    for mine, theirs in zip(whole.trainable_variables, second.trainable_variables, strict=True):
        np.testing.assert_allclose(mine.numpy(), theirs.numpy(), rtol=1e-2, atol=1e-5)


def test_the_best_epoch_is_restored(files, tmp_path):
    _, model = _model()
    wild = FitSettings(
        epochs=4, patience=2, rates={"head/.*": 3.0}, default_rate=0.3, weight_decay=0.0
    )
    validation = _validation(files)
    history, ended = training.fit(model, _batches(files), validation, wild, tmp_path)
    best = min(row["val_loss"] for row in history if math.isfinite(row["val_loss"]))
    predict = backbones.compiled(model, 8)
    probabilities = predict(validation.pictures)
    loss = -np.log(np.maximum(probabilities[np.arange(8), validation.labels], 1e-12)).mean()
    assert loss == pytest.approx(best, rel=1e-4)
    assert ended in ("patience", "diverged", "epochs")


def test_a_budget_ends_it_after_the_batch_at_hand(files, tmp_path):
    _, model = _model()
    late = FitSettings(
        epochs=50, patience=50, rates={}, default_rate=1e-4, weight_decay=0.0, deadline=0.0
    )
    history, ended = training.fit(model, _batches(files), _validation(files), late, tmp_path)
    assert ended == "budget"
    assert len(history) == 2


def test_the_last_stage_learns_at_a_tenth_of_the_heads_rate(files, tmp_path):
    _, model = _model()
    rates: list[tuple[float, ...]] = []

    def watch(_):
        inner = model.optimizer.optimizers
        rates.append(tuple(float(one.learning_rate) for one in inner))

    training.fit(model, _batches(files), _validation(files), SETTINGS, tmp_path, on_epoch=watch)
    for head, stage in rates:
        assert stage == pytest.approx(head / 10)


def test_the_same_seed_and_epoch_give_the_same_batches(files):
    one, same, other = _batches(files), _batches(files), _batches(files, seed=1)
    first = list(one.epoch(1).as_numpy_iterator())
    for mine, theirs in zip(first, same.epoch(1).as_numpy_iterator(), strict=True):
        assert np.array_equal(mine[0], theirs[0])
    assert not np.array_equal(first[0][0], next(one.epoch(2).as_numpy_iterator())[0])
    assert not np.array_equal(first[0][0], next(other.epoch(1).as_numpy_iterator())[0])
    assert first[0][0].min() >= 0
    assert first[0][0].max() <= 255
    assert sum(len(batch[1]) for batch in first) == 16


def test_pictures_that_do_not_fit_in_memory_are_read_each_time(files, monkeypatch):
    kept = list(_batches(files).epoch(1).as_numpy_iterator())
    monkeypatch.setattr(batches, "CACHE_BYTES", 0)
    read = list(_batches(files).epoch(1).as_numpy_iterator())
    for mine, theirs in zip(kept, read, strict=True):
        assert np.array_equal(mine[0], theirs[0])
