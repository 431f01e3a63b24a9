"""Every runtime gives Keras' outputs, in order, and Keras takes over where one cannot."""

import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import keras
import numpy as np
import pytest

from transfer import devices, runtimes
from transfer.runtimes import Extractor, Outputs, choice, graphs, vino
from transfer.runtimes.base import least_cosine

ROOT = Path(__file__).parents[2]
SIZE = 32

HAS_OPENVINO = importlib.util.find_spec("openvino") is not None
needs_openvino = pytest.mark.skipif(not HAS_OPENVINO, reason="OpenVINO is not installed")


def pictures(count: int, size: int = SIZE) -> np.ndarray:
    """Pictures with coarse structure, as photos have it: uint8 [count, size, size, 3]."""
    coarse = np.random.default_rng(5).integers(0, 256, (count, size // 8, size // 8, 3), np.uint8)
    return coarse.repeat(8, axis=1).repeat(8, axis=2)


def with_statistics(model: keras.Model) -> keras.Model:
    """Give every normalization something to do."""
    draw = np.random.default_rng(2)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.set_weights([draw.uniform(0.5, 1.5, w.shape) for w in layer.get_weights()])
    return model


@pytest.fixture(scope="module")
def network() -> keras.Model:
    """A small network with two outputs: a pooled one and a feature map."""
    keras.utils.set_random_seed(1)
    inputs = keras.Input((SIZE, SIZE, 3))
    values = keras.layers.Rescaling(1 / 127.5, -1.0)(inputs)
    for channels in (8, 16):
        values = keras.layers.Conv2D(channels, 3, strides=2, padding="same")(values)
        values = keras.layers.BatchNormalization()(values)
        values = keras.layers.Activation("swish")(values)
    pooled = keras.layers.GlobalAveragePooling2D()(values)
    return with_statistics(keras.Model(inputs, [pooled, values]))


def expected(model: keras.Model, batch: np.ndarray) -> Outputs:
    outputs = model(batch.astype(np.float32), training=False)
    return tuple(np.asarray(values) for values in keras.tree.flatten(outputs))


def assert_same(received: Outputs, wanted: Outputs, tolerance: float = 1e-4) -> None:
    assert len(received) == len(wanted)
    for one, other in zip(received, wanted, strict=True):
        assert one.dtype == np.float32
        np.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance)


@pytest.fixture(
    params=[pytest.param("openvino", marks=needs_openvino), "keras", "pieces", "accelerator"]
)
def extractor(request: pytest.FixtureRequest, network: keras.Model) -> Extractor:
    shape = (SIZE, SIZE, 3)
    if request.param == "openvino":
        return vino.convert(network, shape).compiled("float32")
    if request.param == "pieces":
        return graphs.KerasExtractor(graphs.fixed(network, shape), threads=2, piece=3)
    compute = graphs.fixed(network, shape) if request.param == "keras" else graphs.jitted(network)
    return graphs.KerasExtractor(compute, threads=1 if request.param == "keras" else 2)


def test_a_stream_gives_the_outputs_of_each_batch_in_order(
    extractor: Extractor, network: keras.Model
) -> None:
    batch = pictures(64)
    batches = [batch[:10], batch[10:11], batch[11:61], batch[61:]]
    received = list(extractor.stream(iter(batches)))
    assert [len(pooled) for pooled, _ in received] == [10, 1, 50, 3]
    for outputs, pixels in zip(received, batches, strict=True):
        assert_same(outputs, expected(network, pixels))
    assert_same(extractor(batch[:5]), expected(network, batch[:5]))


def test_the_next_batch_is_fetched_before_the_last_is_handed_out(extractor: Extractor) -> None:
    fetched = []

    def batches() -> Iterator[np.ndarray]:
        for number in range(10):
            fetched.append(number)
            yield pictures(4)

    stream = extractor.stream(batches())
    next(stream)
    assert 2 <= len(fetched) <= 4


def test_a_stream_can_be_left_and_others_run_beside_it(
    extractor: Extractor, network: keras.Model
) -> None:
    batch = pictures(40)
    left = extractor.stream([batch, batch, batch])
    next(left)
    beside = extractor.stream([batch[::-1], batch])
    assert_same(next(beside), expected(network, batch[::-1]))
    assert_same(next(left), expected(network, batch))
    left.close()  # pyright: ignore[reportAttributeAccessIssue]
    assert_same(next(beside), expected(network, batch))


def test_the_error_of_a_batch_that_cannot_be_read_arrives(extractor: Extractor) -> None:
    def batches() -> Iterator[np.ndarray]:
        yield pictures(3)
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        list(extractor.stream(batches()))
    assert len(extractor(pictures(2))[0]) == 2


@pytest.mark.parametrize("most_constant", [0, graphs._MOST_CONSTANT])
def test_weights_are_read_once_whether_constants_or_not(
    most_constant: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(graphs, "_MOST_CONSTANT", most_constant)
    inputs = keras.Input((SIZE, SIZE, 3))
    values = keras.layers.Conv2D(8, 3, activation="relu", name="convolution")(inputs)
    model = keras.Model(inputs, keras.layers.BatchNormalization()(values))
    batch, shape = pictures(5), (SIZE, SIZE, 3)
    wanted = expected(model, batch)
    computes = [graphs.fixed(model, shape)]
    if HAS_OPENVINO:
        computes.append(vino.convert(model, shape).compiled("float32"))
    layer = model.get_layer("convolution")
    layer.set_weights([2 * weight + 1 for weight in layer.get_weights()])
    for compute in computes:
        assert_same(compute(batch), wanted)
    assert not np.allclose(expected(model, batch)[0], wanted[0], rtol=0.1)


@needs_openvino
def test_openvino_takes_whole_numbers_only(network: keras.Model) -> None:
    extractor = vino.convert(network, (SIZE, SIZE, 3)).compiled("float32")
    with pytest.raises(TypeError, match="uint8; received float32"):
        extractor(pictures(2).astype(np.float32))


@needs_openvino
def test_the_fastest_on_a_cpu_is_openvino(
    network: keras.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices, "has_accelerator", lambda: False)
    said: list[str] = []
    extractor = runtimes.fastest(network, pictures(8), said.append)
    assert (extractor.name, said) == ("openvino", [])
    received, wanted = extractor(pictures(20)), expected(network, pictures(20))
    assert least_cosine(wanted, received) > choice.LEAST_COSINE


def test_keras_computes_where_openvino_is_missing(
    network: keras.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices, "has_accelerator", lambda: False)
    monkeypatch.setitem(sys.modules, "openvino", None)
    said: list[str] = []
    extractor = runtimes.fastest(network, pictures(8), said.append)
    assert extractor.name == "keras"
    assert "OpenVINO is not installed" in said[0]
    assert_same(extractor(pictures(5)), expected(network, pictures(5)))


@needs_openvino
def test_keras_computes_where_openvino_disagrees(
    network: keras.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices, "has_accelerator", lambda: False)
    monkeypatch.setattr(choice, "LEAST_COSINE", 1.1)
    said: list[str] = []
    assert runtimes.fastest(network, pictures(8), said.append).name == "keras"
    assert "cosine of 1.0000" in said[0]


@needs_openvino
def test_keras_computes_what_openvino_cannot_convert(monkeypatch: pytest.MonkeyPatch) -> None:
    import tensorflow as tf

    class Strings(keras.layers.Layer):
        def call(self, values: tf.Tensor) -> tf.Tensor:
            return tf.strings.to_number(tf.strings.as_string(values))

    monkeypatch.setattr(devices, "has_accelerator", lambda: False)
    inputs = keras.Input((SIZE, SIZE, 3))
    model = keras.Model(inputs, Strings()(inputs))
    said: list[str] = []
    extractor = runtimes.fastest(model, pictures(2), said.append)
    assert extractor.name == "keras"
    assert "OpenVINO cannot be used for this network" in said[0]
    assert_same(extractor(pictures(3)), (pictures(3).astype(np.float32),))


def test_an_accelerator_runs_keras_compiled(
    network: keras.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices, "has_accelerator", lambda: True)  # XLA compiles for the CPU, too
    extractor = runtimes.fastest(network, pictures(8))
    assert extractor.name == "keras"
    assert least_cosine(expected(network, pictures(20)), extractor(pictures(20))) > 0.999


def test_half_precision_is_a_copy_that_agrees(network: keras.Model) -> None:
    copy = graphs.half_precision(network)
    received = graphs.eager(copy)(pictures(8))
    wanted = expected(network, pictures(8))
    assert {layer.compute_dtype for layer in copy.layers if layer.weights} == {"float16"}
    assert {layer.compute_dtype for layer in network.layers} == {"float32"}
    assert 0.9999 < least_cosine(wanted, received) < 1.0  # computed in fewer digits, not the same


class Imitation(Extractor):
    """Gives what it was told to."""

    name, precision = "keras", "float16"

    def __init__(self, outputs: np.ndarray) -> None:
        self.outputs = outputs

    def stream(self, batches: Iterable[np.ndarray]) -> Iterator[Outputs]:
        for _ in batches:
            yield (self.outputs,)


@pytest.mark.parametrize(("noise", "chosen"), [(0.0, True), (0.02, False), (np.nan, False)])
def test_half_precision_is_taken_only_if_right(noise: float, chosen: bool) -> None:
    draw = np.random.default_rng(0)
    # What the pictures share is 10 times what tells them apart: the plain cosine is blind to noise.
    right = 1.0 + 0.1 * draw.standard_normal((8, 50))
    wrong = right + noise * draw.standard_normal((8, 50))
    plain = Imitation(right)
    half = Imitation(wrong)
    if noise == 0.02:
        assert least_cosine((right,), (wrong,)) > choice.LEAST_COSINE
    taken = choice._agreeing_half(plain, lambda: half, (right,), pictures(8))
    assert (taken is half) == chosen


def test_half_precision_that_fails_is_done_without() -> None:
    def broken() -> Extractor:
        raise RuntimeError("no such instruction")

    plain = Imitation(pictures(2))
    assert choice._agreeing_half(plain, broken, (pictures(2),), pictures(2)) is plain


def test_least_cosine() -> None:
    a = np.array([[1.0, 0.0], [0.0, 2.0], [0.0, 0.0]], np.float32)
    assert least_cosine((a,), (3 * a,)) == pytest.approx(1.0)
    turned = a.copy()
    turned[1] = [1.0, 1.0]
    assert least_cosine((a, a), (a, turned)) == pytest.approx(0.5**0.5)
    assert least_cosine((a,), (np.maximum(a, 0.5),)) == 0.0  # nothing against something
    assert least_cosine((a,), (a * np.nan,)) == -1.0
    assert least_cosine((a,), (a[:2],)) == -1.0


@pytest.mark.parametrize("size", [(SIZE, SIZE), (None, None)])
def test_frozen_gives_keras_answers_for_any_number_of_pictures(
    network: keras.Model, size: tuple[int | None, int | None]
) -> None:
    inputs = keras.Input((*size, 3))
    resized = keras.layers.Resizing(SIZE, SIZE)(inputs)
    model = keras.Model(inputs, keras.layers.Softmax()(network(resized)[0]))
    predict = runtimes.frozen(model, 8)
    for count in (1, 8, 21):
        batch = pictures(count)
        assert_same((predict(batch),), expected(model, batch))
    if size == (None, None):
        larger = pictures(3, 48)
        assert_same((predict(larger),), expected(model, larger))
    half = pictures(4).astype(np.float32) + 0.5  # not cut to whole numbers
    assert_same((predict(half),), expected(model, half))


def test_small_batches_go_to_all_cores_of_a_cpu(
    network: keras.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices, "has_accelerator", lambda: False)
    monkeypatch.setattr(devices, "cpus", lambda: 3)
    extractor = runtimes.small_batches(network, (SIZE, SIZE, 3))
    assert (extractor._threads, extractor._piece) == (3, graphs._PIECE)
    batches = [pictures(7), pictures(3), pictures(1)]
    for outputs, batch in zip(extractor.stream(batches), batches, strict=True):
        assert_same(outputs, expected(network, batch))
    monkeypatch.setattr(devices, "has_accelerator", lambda: True)
    assert runtimes.small_batches(network, (SIZE, SIZE, 3))._piece is None


@pytest.mark.parametrize(
    ("file", "text", "count"),
    [
        ("cpu.max", "150000 100000\n", 2),
        ("cpu.max", "50000 100000\n", 1),
        ("cpu.max", "max 100000\n", 4),
        ("cpu/cpu.cfs_quota_us", "300000\n", 3),
        ("cpu/cpu.cfs_quota_us", "-1\n", 4),
        ("nothing", "", 4),
    ],
)
def test_cpus_are_those_that_the_process_may_use(
    file: str, text: str, count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu/cpu.cfs_period_us").write_text("100000\n")
    (tmp_path / file).write_text(text)
    monkeypatch.setattr(devices, "_CGROUP", tmp_path)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 5, 7}, raising=False)
    assert devices.cpus() == count


QUIET = """
import socket, sys, threading
def refuse(*arguments): raise SystemExit(f"something wants the network: {arguments}")
socket.socket.connect = socket.getaddrinfo = socket.create_connection = refuse
import keras, numpy as np
from transfer import runtimes
inputs = keras.Input((32, 32, 3))
model = keras.Model(inputs, keras.layers.Conv2D(4, 3, activation="swish")(inputs))
print("begin", flush=True); print("begin", file=sys.stderr, flush=True)
before = set(threading.enumerate())
samples = np.random.default_rng(0).integers(0, 256, (8, 32, 32, 3), np.uint8)
extractor = runtimes.fastest(model, samples, print)
extractor(samples)
assert set(threading.enumerate()) == before, threading.enumerate()
print("end", extractor.name, sys.modules.get("openvino_telemetry"))
"""


@needs_openvino
def test_openvino_is_quiet_tells_nobody_and_leaves_no_files(tmp_path: Path) -> None:
    own = {"HOME": str(tmp_path), "TMPDIR": str(tmp_path), "TF_CPP_MIN_LOG_LEVEL": "3"}
    hidden = {"CUDA_VISIBLE_DEVICES": "-1", "PYTHONPATH": str(ROOT), "KERAS_HOME": str(tmp_path)}
    environment = {name: value for name, value in os.environ.items() if name != "CI"}
    done = subprocess.run(
        [sys.executable, "-c", QUIET],
        env={**environment, **own, **hidden},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.split("begin\n")[1] == "end openvino None\n"
    said = [line for line in done.stderr.split("begin\n")[1].splitlines() if "XLA" not in line]
    assert said == []
    left = [path.name for path in tmp_path.rglob("*")]
    assert set(left) <= {"keras.json"}, left


FAMILIES = {  # the smallest input that each takes
    "ConvNeXtTiny": 32,
    "EfficientNetB0": 32,
    "MobileNetV3Small": 32,
    "VGG16": 32,
    "MobileNetV2": 32,
    "EfficientNetV2B0": 32,
    "DenseNet121": 32,
    "ResNet50V2": 32,
    "NASNetMobile": 32,
    "InceptionV3": 75,
    "Xception": 71,
    "InceptionResNetV2": 75,
}


@needs_openvino
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[] if name in ("MobileNetV3Small", "VGG16") else pytest.mark.slow)
        for name in FAMILIES
    ],
)
def test_openvino_computes_what_keras_does_for_each_family(name: str) -> None:
    keras.utils.set_random_seed(0)
    size = FAMILIES[name]
    build = getattr(keras.applications, name)
    network = build(include_top=False, weights=None, input_shape=(size, size, 3))
    samples = np.random.default_rng(1).integers(0, 256, (4, size, size, 3), np.uint8)
    received = vino.convert(network, (size, size, 3)).compiled("float32")(samples)
    wanted = expected(network, samples)
    assert np.ptp(wanted[0]) > 0
    assert least_cosine(wanted, received) > 0.99999
