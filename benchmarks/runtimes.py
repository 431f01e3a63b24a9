"""Measure how many pictures a second each runtime gets out of a backbone on this machine's CPU.

    python -m benchmarks.runtimes
    python -m benchmarks.runtimes --backbones MobileNetV2 builtin --repeats 9

The runtimes take turns, so that what else the machine does meets all alike; pictures a second of
processor time hardly depend on it. LiteRT (in TensorFlow)
and ONNX Runtime (`pip install onnxruntime onnx tf2onnx`) are for comparison only; one that is not
installed is reported as absent. Prints one JSON object.
"""

import argparse
import json
import logging
import os
import platform
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf

from transfer import backbones, catalog, devices, imaging, runtimes, sample, weights
from transfer.runtimes import graphs, vino
from transfer.runtimes.base import least_cosine

BACKBONES = ("MobileNetV2", "MobileNetV2:0.35", "MobileNet", "builtin")
_BATCH = 32
_PAUSE = 0.3  # seconds: threads of ONNX Runtime spin for a while when their work is done

Pass = Callable[[list[np.ndarray]], Iterator[np.ndarray]]  # batches of pictures -> outputs


def keras_compiled(model: keras.Model) -> Pass:
    """Keras' model as a `tf.function`."""
    predict = backbones.compiled(model, _BATCH)
    return lambda batches: (predict(batch) for batch in batches)


def tensorflow_fixed(model: keras.Model) -> Pass:
    """A graph with fixed weights."""
    return _streamed(graphs.KerasExtractor(graphs.fixed(model, _shape(model))))


def openvino(model: keras.Model) -> Pass:
    """OpenVINO in single precision."""
    return _streamed(vino.convert(model, _shape(model)).compiled("float32"))


def openvino_half(model: keras.Model) -> Pass:
    """OpenVINO in the half precision of this CPU."""
    converted = vino.convert(model, _shape(model))
    if converted.half is None:
        raise ImportError("this CPU has no half precision")
    return _streamed(converted.compiled(converted.half))


def chosen(model: keras.Model, samples: np.ndarray) -> Pass:
    """What `runtimes.fastest` chooses."""
    return _streamed(runtimes.fastest(model, samples))


def litert(model: keras.Model) -> Pass:
    """LiteRT, formerly TensorFlow Lite, with XNNPACK."""
    graph = graphs.traced(model, (_BATCH, *_shape(model)), np.float32)
    data = tf.lite.TFLiteConverter.from_concrete_functions([graph]).convert()
    interpreter = tf.lite.Interpreter(model_content=data, num_threads=devices.cpus())
    interpreter.allocate_tensors()
    place = interpreter.get_input_details()[0]["index"]
    answer = interpreter.get_output_details()[0]["index"]

    def one(batch: np.ndarray) -> np.ndarray:
        interpreter.set_tensor(place, batch.astype(np.float32))
        interpreter.invoke()
        return interpreter.get_tensor(answer)

    return lambda batches: (one(batch) for batch in batches)


def onnxruntime(model: keras.Model) -> Pass:
    """ONNX Runtime with its own CPU kernels."""
    import onnxruntime as ort  # pyright: ignore[reportMissingImports]
    import tf2onnx  # pyright: ignore[reportMissingImports]

    spec = tf.TensorSpec((None, *_shape(model)), tf.float32, name="pictures")
    function = tf.function(lambda pictures: model(pictures, training=False))
    logging.disable(logging.WARNING)
    proto, _ = tf2onnx.convert.from_function(function, input_signature=[spec])
    logging.disable(logging.NOTSET)
    options = ort.SessionOptions()
    options.intra_op_num_threads = devices.cpus()
    session = ort.InferenceSession(
        proto.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return lambda batches: (
        np.asarray(session.run(None, {"pictures": batch.astype(np.float32)})[0])
        for batch in batches
    )


RUNTIMES: dict[str, Callable[[keras.Model], Pass]] = {
    "keras_compiled": keras_compiled,
    "tensorflow_fixed": tensorflow_fixed,
    "openvino": openvino,
    "openvino_half": openvino_half,
    "litert": litert,
    "onnxruntime": onnxruntime,
}


def measure(name: str, pictures: int, repeats: int) -> dict[str, Any]:
    """Return rates, start-up and agreement of each runtime for one backbone."""
    spec = catalog.backbone(name)
    size = spec.input_size
    backbone = backbones.load(spec, size, weights.obtain(spec, size))
    model = backbones.vectors(backbone)
    pixels = _pictures(pictures, size)
    batches = [pixels[start : start + _BATCH] for start in range(0, pictures, _BATCH)]
    expected = np.concatenate([graphs.eager(model)(batch)[0] for batch in batches])
    report: dict[str, Any] = {}
    passes: dict[str, Pass] = {}
    makers = {**RUNTIMES, "chosen": lambda network: chosen(network, pixels[:8])}
    for runtime, build in makers.items():
        began = time.perf_counter()
        try:
            passes[runtime] = build(model)
            received = np.concatenate(list(passes[runtime](batches)))
        except Exception as error:  # whatever keeps it from running is what is to be reported
            passes.pop(runtime, None)
            report[runtime] = {"absent": f"{type(error).__name__}: {error}"[:300]}
            continue
        report[runtime] = {
            "first_pass_seconds": round(time.perf_counter() - began, 2),
            "least_cosine": round(least_cosine((expected,), (received,)), 6),
        }
    rates: dict[str, list[float]] = {runtime: [] for runtime in passes}
    shares: dict[str, list[float]] = {runtime: [] for runtime in passes}
    for _ in range(repeats):
        for runtime, run in passes.items():
            time.sleep(_PAUSE)
            began, worked = time.perf_counter(), time.process_time()
            for _ in run(batches):
                pass
            rates[runtime].append(pictures / (time.perf_counter() - began))
            shares[runtime].append(pictures / (time.process_time() - worked))
    for runtime in passes:
        report[runtime]["pictures_per_second"] = _spread(rates[runtime])
        report[runtime]["pictures_per_cpu_second"] = _spread(shares[runtime])
    return report


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--backbones", nargs="+", default=BACKBONES)
    parser.add_argument("--pictures", type=int, default=96, help=f"a multiple of {_BATCH}")
    parser.add_argument("--repeats", type=int, default=7)
    arguments = parser.parse_args()
    if arguments.pictures % _BATCH or arguments.pictures <= 0:
        parser.error(f"--pictures has to be a multiple of {_BATCH}")
    result = {
        "machine": platform.machine(),
        "cpus": devices.cpus(),
        "batch": _BATCH,
        "repeats": arguments.repeats,
        "backbones": {
            name: measure(name, arguments.pictures, arguments.repeats)
            for name in arguments.backbones
        },
    }
    print(json.dumps(result, indent=2))


def _spread(values: list[float]) -> dict[str, float]:
    kinds = {"min": min(values), "median": np.median(values), "max": max(values)}
    return {kind: round(float(value), 1) for kind, value in kinds.items()}


def _shape(model: keras.Model) -> tuple[int, ...]:
    return tuple(model.input_shape[1:])


def _streamed(extractor: runtimes.Extractor) -> Pass:
    return lambda batches: (outputs[0] for outputs in extractor.stream(batches))


def _pictures(count: int, size: int) -> np.ndarray:
    """Return generated pictures of many kinds: uint8 [count, size, size, 3]."""
    with tempfile.TemporaryDirectory() as folder:
        written = sample.write_sample(Path(folder) / "sample", per_class=count // 4, seed=0)
        files = sorted(written.rglob("*.jpg"))
        chosen_files = [files[i * len(files) // count] for i in range(count)]
        return np.stack(
            [
                imaging.decode_and_resize(tf.io.read_file(str(file)), size).numpy()
                for file in chosen_files
            ]
        )


if __name__ == "__main__":
    main()
