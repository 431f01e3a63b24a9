"""LiteRT files: in float32 for pictures of any size, and in whole numbers of 8 bits.

The quantisation is that of LiteRT's converter after training: weights and activations in 8 bits,
their ranges measured on training pictures (Jacob et al. 2018, arXiv 1712.05877). What comes
after the network, some thousand numbers a picture, stays in float32: how strange a picture is, is
a small difference of large numbers, of which 8 bits leave nothing. Where 8 bits are too few for the
network, activations have 16.
"""

import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

from transfer import batches
from transfer.exporting import formats, graphs
from transfer.prediction import Classifier

_INT8 = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8, tf.lite.OpsSet.TFLITE_BUILTINS]
_INT16 = [tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8]

_Examples = Callable[[], Iterator[dict[str, np.ndarray]]]


def write(classifier: Classifier, folder: Path, examples: Sequence[Path]) -> None:
    """Write the model in float32 into `folder`; `examples` are not needed here."""
    del examples
    pixels = tf.TensorSpec([1, None, None, 3], tf.uint8, name="images")
    function = graphs.from_pixels(classifier)
    with _converter(classifier, function, pixels) as converter, _old_interpreter():
        _path(folder).write_bytes(converter.convert())


def write_int8(classifier: Classifier, folder: Path, examples: Sequence[Path]) -> None:
    """Write it with weights and activations of 8 bits; `examples` are training pictures."""
    size, answer = classifier.image_size, graphs.answering(classifier)

    def from_bytes(images: tf.Tensor) -> dict[str, tf.Tensor]:
        return answer(tf.cast(images, tf.float32))

    pixels = tf.TensorSpec([1, size, size, 3], tf.uint8, name="images")
    with _converter(classifier, from_bytes, pixels) as converter:
        _quantise(converter, _pictures(examples, size, np.uint8), _INT8)
        with _old_interpreter():
            # The tool that finds what quantisation spoils is the one that can leave parts out.
            chosen = tf.lite.experimental.QuantizationDebugger(
                converter=converter, debug_dataset=_pictures(examples[:1], size, np.uint8)
            )
            after = _after_the_network(chosen.calibrated_model)
            chosen.options = tf.lite.experimental.QuantizationDebugOptions(denylisted_nodes=after)
            _path(folder).write_bytes(chosen.get_nondebug_quantized_model())


def write_int16(classifier: Classifier, folder: Path, examples: Sequence[Path]) -> None:
    """Write it with weights of 8 bits and activations of 16."""
    size = classifier.image_size
    pixels = tf.TensorSpec([1, size, size, 3], tf.float32, name="images")
    with _converter(classifier, graphs.answering(classifier), pixels) as converter:
        _quantise(converter, _pictures(examples, size, np.float32), _INT16)
        with _old_interpreter():
            _path(folder).write_bytes(converter.convert())


def _quantise(converter: Any, pictures: _Examples, ops: list[Any]) -> None:
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = pictures
    converter.target_spec.supported_ops = ops


def _pictures(examples: Sequence[Path], size: int, dtype: Any) -> _Examples:
    def pictures() -> Iterator[dict[str, np.ndarray]]:
        for batch in batches.pictures(examples, size, 1).as_numpy_iterator():
            yield {"images": batch.astype(dtype)}

    return pictures


def _after_the_network(model: bytes) -> list[str]:
    """Return the names of what operations give that neither read nor give a feature map."""
    interpreter = Interpreter(model_content=model)
    known = {one["index"]: one for one in interpreter.get_tensor_details()}
    names: list[str] = []
    for operation in interpreter._get_ops_details():  # no public name, as in LiteRT's own tools
        given = [known[i] for i in operation["outputs"] if i in known]
        read = [known[i] for i in operation["inputs"] if i in known]
        if all(len(one["shape"]) <= 2 for one in (*read, *given)):
            names += [one["name"] for one in given]
    return names


@contextmanager
def _converter(
    classifier: Classifier, function: graphs.Function, pixels: tf.TensorSpec
) -> Iterator[Any]:
    """Give a converter of one signature, `graphs.SIGNATURE`, whose outputs keep their names."""
    module = tf.Module()
    module.variables_of_model = [variable.value for variable in classifier.outputs.variables]
    module.answer = tf.function(function, input_signature=[pixels])
    with tempfile.TemporaryDirectory() as work:
        tf.saved_model.save(module, work, signatures={graphs.SIGNATURE: module.answer})
        yield tf.lite.TFLiteConverter.from_saved_model(work, signature_keys=[graphs.SIGNATURE])


@contextmanager
def _old_interpreter() -> Iterator[None]:
    with warnings.catch_warnings():  # the converter has its own
        warnings.filterwarnings("ignore", r"\s*Warning: tf\.lite\.Interpreter is deprecated")
        yield


def _path(folder: Path) -> Path:
    return folder / formats.named("litert").file
