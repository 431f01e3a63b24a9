"""A copy is trained where devices want one: in half precision, or on several devices at once."""

import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.conftest import ROOT
from tests.transfer import fitted, problems
from transfer import backbones, devices, linear, pacing, replicas, training
from transfer.devices import Acceleration

SIZE = 32
CPU = ("/device:CPU:0",)


def _model(size: int = SIZE) -> keras.Model:
    backbone = problems.builtin(size)
    kernel = np.random.default_rng(1).normal(0, 0.05, (256, 2)).astype(np.float32)
    head = linear.LinearHead(kernel, np.zeros(2, np.float32), 1.0, 1.0, 0.0)
    model = backbones.with_head(backbone, head, dropout=0.2)
    backbones.freeze_batch_norm(backbone.network)
    backbone.network.layers[1].trainable = False
    return model


def _pictures(count: int) -> np.ndarray:
    return np.stack([problems.stripes(i % 2, i, SIZE) for i in range(count)]).astype(np.float32)


@pytest.fixture(scope="module")
def two_devices(tmp_path_factory) -> dict[str, dict[str, np.ndarray]]:
    """What training gives on two virtual devices, in a fresh process."""
    folder = tmp_path_factory.mktemp("two")
    command = [sys.executable, "-m", "tests.transfer.fitted", "2", str(folder)]
    done = subprocess.run(
        command, cwd=ROOT, env=dict(os.environ), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return {name: dict(np.load(folder / f"{name}.npz")) for name in ("undisturbed", "resumed")}


def _alike(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> None:
    """Where a gradient is next to nothing, Adam lets rounding decide the sign of its step."""
    assert set(one) == set(other)
    assert len(one) > 6
    for name, value in one.items():
        if name in ("loss", "val_loss", "mean_val_loss", "accuracy"):
            np.testing.assert_allclose(value, other[name], atol=1e-3, err_msg=name)
        else:
            np.testing.assert_allclose(value, other[name], atol=5e-4, err_msg=name)
            assert np.abs(value - other[name]).mean() < 1e-5, name


class TestTwoDevices:
    def test_they_give_what_one_gives_with_the_same_batches(self, two_devices, tmp_path: Path):
        keras.utils.set_random_seed(0)
        _alike(fitted.fit(tmp_path, "one"), two_devices["undisturbed"])

    def test_an_interrupted_training_ends_as_an_undisturbed_one(self, two_devices):
        _alike(two_devices["undisturbed"], two_devices["resumed"])


class TestWorkingCopy:
    def test_one_device_in_full_precision_trains_the_model_itself(self):
        model = _model()
        with replicas.working(model, Acceleration()) as trained:
            assert trained is model

    @pytest.mark.parametrize(
        "precision",
        [
            "mixed_bfloat16",
            pytest.param("mixed_float16", marks=pytest.mark.slow),  # no CPU computes in it
        ],
    )
    def test_half_precision_learns_and_gives_float32_back(self, precision, tmp_path):
        model, pictures = _model(), _pictures(16)
        frozen = [one.numpy() for one in model.non_trainable_variables if "seed" not in one.path]
        paths = [one.path for one in model.trainable_variables]
        labels = np.arange(16) % 2
        before = _loss(model, pictures, labels)
        with replicas.working(model, Acceleration(CPU, precision)) as trained:
            assert [one.path for one in trained.trainable_variables] == paths  # rates go by these
            assert {one.dtype for one in trained.variables} <= {"float32", "uint32", "int64"}
            assert replicas.scaled(keras.optimizers.SGD(), trained).name.startswith(
                "loss_scale" if precision == "mixed_float16" else "sgd"
            )
            assert backbones.after_resizing(trained).get_layer(backbones.HEAD).dtype == "float32"
            answers = np.asarray(trained(pictures, training=False))
            np.testing.assert_allclose(answers, model.predict_on_batch(pictures), atol=0.02)
            settings = training.FitSettings(4, 9, {"head/.*": 1e-2}, 1e-3, 0.0)
            validation = training.Validation(pictures, labels)
            training.fit(trained, _Batches(pictures, labels), validation, settings, tmp_path)
            told = np.asarray(trained(pictures, training=False))
        assert {layer.compute_dtype for layer in replicas.layers(model)} == {"float32"}
        np.testing.assert_allclose(model.predict_on_batch(pictures), told, atol=0.03)
        assert _loss(model, pictures, labels) < before - 0.1
        after = [one.numpy() for one in model.non_trainable_variables if "seed" not in one.path]
        assert [one.tobytes() for one in frozen] == [one.tobytes() for one in after]

    def test_a_broken_off_training_leaves_the_model_as_it_was(self):
        model = _model()
        before = problems.values(model.variables)
        half = Acceleration(CPU, "mixed_bfloat16")
        with pytest.raises(RuntimeError), replicas.working(model, half) as trained:
            for one in trained.trainable_variables:
                one.assign(one + 1.0)
            raise RuntimeError
        for mine, theirs in zip(before, problems.values(model.variables), strict=True):
            np.testing.assert_array_equal(mine, theirs)

    @pytest.mark.slow
    def test_the_scale_of_the_loss_is_in_the_checkpoint(self, tmp_path):
        model, pictures, labels = _model(), _pictures(8), np.arange(8) % 2
        settings = training.FitSettings(1, 9, {"head/.*": 1e-3}, 1e-4, 0.0)
        with replicas.working(model, Acceleration(CPU, "mixed_float16")) as trained:
            validation = training.Validation(pictures, labels)
            training.fit(trained, _Batches(pictures, labels), validation, settings, tmp_path)
            scale = float(trained.optimizer.dynamic_scale.numpy())
            count = len(trained.trainable_variables) + len(trained.optimizer.variables)
        with np.load(tmp_path / "fine_tuning.npz") as kept:
            now = [kept[name] for name in kept if name.startswith("now")]
        assert len(now) >= count
        assert any(one.shape == () and float(one) == scale for one in now)


def test_batches_for_one_device_are_left_alone():
    data = tf.data.Dataset.from_tensors((tf.zeros([3, 2]), tf.ones([3, 2])))
    assert replicas.shared(data) is data


class _Batches:
    """The same batch again and again."""

    steps = 6

    def __init__(self, pictures: np.ndarray, labels: np.ndarray) -> None:
        self._batch = pictures, np.eye(2, dtype=np.float32)[labels]

    def epoch(self, number: int, start: int = 0) -> tf.data.Dataset:
        return tf.data.Dataset.from_tensors(self._batch).repeat(self.steps - start)


def _loss(model: keras.Model, pictures: np.ndarray, labels: np.ndarray) -> float:
    answers = model.predict_on_batch(pictures)
    return float(-np.log(answers[np.arange(len(labels)), labels]).mean())


def test_rates_can_be_read_and_set_whatever_holds_them():
    paced = pacing.paced("adamw", {"head/.*": 1e-3}, 1e-4, 0.0)
    paced.slow_to(0.5)
    assert paced.fastest == pytest.approx(5e-4)
    assert devices.acceleration().plain  # this process: one CPU
