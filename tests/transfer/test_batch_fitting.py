"""A batch that does not fit is halved until it does, for real in a training too."""

import math
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.conftest import ROOT
from tests.transfer import problems
from transfer import backbones, batch_fitting, memory, store
from transfer.backbones import Backbone
from transfer.config import RunConfig
from transfer.dataset.index import ImageIndex
from transfer.errors import SettingsError
from transfer.runs import Run
from transfer.strategies import finetune_few

SIZE = 48


@pytest.fixture
def run(tmp_path) -> Run:
    made = Run(tmp_path / "run")
    made.start(RunConfig("0f" * 16, "builtin", SIZE))
    return made


@pytest.fixture(autouse=True)
def _store(tmp_path_factory, monkeypatch) -> None:
    monkeypatch.setattr(store, "home", lambda: tmp_path_factory.getbasetemp() / "fitting")
    problems.compute_with_keras(monkeypatch)


@pytest.fixture(scope="module")
def index(tmp_path_factory) -> ImageIndex:
    return problems.dataset(tmp_path_factory.mktemp("pictures"), per_class=18, classes=2)


@pytest.fixture(scope="module")
def backbone() -> Iterator[Backbone]:
    yield problems.builtin(SIZE)


def _exhausted() -> Exception:
    return tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")


def test_the_largest_half_that_fits_is_kept_and_told(run, capsys):
    tried: list[int] = []

    def attempt(size: int) -> int:
        tried.append(size)
        if size > 10:
            raise _exhausted()
        return size

    assert batch_fitting.largest(run, 32, attempt) == 8
    assert tried == [32, 16, 8]
    assert batch_fitting.kept(run, 32) == 8
    assert batch_fitting.kept(run, 64) == 64
    words = [event["words"] for event in run.events_since()[0]]
    assert ["16 at a time" in words[0], "8 at a time" in words[1]] == [True, True]
    assert "0.50 times the learning rate" in capsys.readouterr().err
    tried.clear()
    batch_fitting.largest(run, 32, attempt)
    assert tried == [8]


def test_not_even_one_picture_is_a_sentence(run):
    def attempt(size: int) -> None:
        raise MemoryError

    with pytest.raises(SettingsError, match="smaller"):
        batch_fitting.largest(run, 4, attempt)


def test_other_errors_pass(run):
    def attempt(size: int) -> None:
        raise tf.errors.InvalidArgumentError(None, None, "Shapes do not match")

    with pytest.raises(tf.errors.InvalidArgumentError):
        batch_fitting.largest(run, 4, attempt)
    assert run.read("batch") is None


@pytest.mark.parametrize(
    ("error", "memory_is_short"),
    [
        (_exhausted(), True),
        (MemoryError(), True),
        (tf.errors.InternalError(None, None, "CUDA_ERROR_OUT_OF_MEMORY: out of memory"), True),
        (tf.errors.InternalError(None, None, "Blas GEMM launch failed"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_what_is_lack_of_memory(error, memory_is_short):
    assert memory.exhausted(error) is memory_is_short


class _Limited(keras.layers.Layer):
    """Stands for a GPU on which no more than so many pictures fit."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most = most

    def call(self, inputs):
        most = self._most

        def passed(values: np.ndarray) -> np.ndarray:
            if len(values) > most:
                raise MemoryError("OOM when allocating tensor")
            return values

        @tf.custom_gradient
        def limited(values):
            checked = tf.numpy_function(passed, [values], tf.float32)
            return tf.ensure_shape(checked, values.shape), lambda upstream: upstream

        return limited(inputs)

    def compute_output_shape(self, input_shape):
        return input_shape


def test_a_training_goes_on_with_half(index, backbone, tmp_path, monkeypatch):
    """The graph itself raises ResourceExhaustedError, in the middle of the first epoch."""
    headed = backbones._headed
    limit = _Limited(9)
    monkeypatch.setattr(backbones, "_headed", lambda f, *rest: headed(limit(f), *rest))
    monkeypatch.setattr(backbones, "compiled", _unlimited(limit, backbones.compiled))
    settings = {"epochs": 2, "batch_size": 16, "learning_rate": 3e-3}
    task = problems.task(tmp_path / "run", index, backbone, **settings)
    trained = finetune_few.train(task)
    assert task.run.read("batch") == {"batch_size": 8, "planned": 16}
    assert [row["epoch"] for row in trained.history if row["phase"] == "fine_tuning"] == [0, 1, 2]
    assert all(math.isfinite(row["val_loss"]) for row in trained.history)
    assert any("8 at a time" in str(event) for event in task.run.events_since()[0])


def _unlimited(limit, compiled):
    """Let answers through: only training steps are too large."""

    def made(model, batch_size):
        most, limit._most = limit._most, 10**9
        predict = compiled(model, batch_size)
        shape = model.input.shape[1:]
        predict(np.zeros((1, *shape), np.float32))  # traced with no limit
        limit._most = most
        return predict

    return made


def test_the_epochs_stay_and_the_rate_goes_with_the_root(index, backbone, tmp_path):
    from transfer.strategies import fine_tuning

    task = problems.task(tmp_path / "run", index, backbone, batch_size=16)
    prepared = fine_tuning.Prepared(None, None, None, {"head/.*": 1e-3}, 1e-4)  # pyright: ignore[reportArgumentType]
    whole = fine_tuning.fit_settings(task, finetune_few.POLICY, prepared)
    quarter = fine_tuning.fit_settings(task, finetune_few.POLICY, prepared, 4)
    assert quarter.epochs == whole.epochs
    assert quarter.rates["head/.*"] == pytest.approx(0.5e-3)
    assert quarter.default_rate == pytest.approx(0.5e-4)


def test_memory_that_is_taken_is_measured():
    with memory.peak() as taken:
        np.ones(16 * 1024**2)  # 128 MB, freed at once
    assert 100 < taken.megabytes < 400


def test_there_is_free_memory():
    free = memory.free()
    assert free is not None
    assert 0 < free < 64 * 1024**2


_STARVED = """
import resource, sys
import numpy as np, tensorflow as tf, keras
from transfer import memory
inputs = keras.Input((64, 64, 16))
model = keras.Model(inputs, keras.layers.Conv2D(256, 3, padding="same")(inputs))
model.compile(loss="mse")
def step(n):
    model.train_on_batch(np.zeros((n, 64, 64, 16), "f4"), np.zeros((n, 64, 64, 256), "f4"))
step(1)
now = int(open("/proc/self/statm").read().split()[0]) * 4096
resource.setrlimit(resource.RLIMIT_AS, (now + 600 * 1024**2, -1))
try:
    step(256)
    print("fits")
except BaseException as error:
    print(type(error).__name__, memory.exhausted(error))
step(2)
print("goes on")
"""


def test_a_process_that_may_take_no_more_memory_raises_what_is_known():
    done = subprocess.run(
        [sys.executable, "-c", _STARVED],
        cwd=Path(ROOT),
        capture_output=True,
        text=True,
        timeout=300,
    )
    first, *rest = done.stdout.splitlines() or [done.stderr[-500:]]
    assert first.endswith("True"), (first, done.stderr[-2000:])
    assert rest == ["goes on"]
