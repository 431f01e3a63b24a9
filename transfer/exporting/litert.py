"""LiteRT files: in float32 for pictures of any size, and in whole numbers of 8 bits.

The quantisation is that of LiteRT's converter after training: weights and activations in 8 bits,
their ranges measured on training pictures (Jacob et al. 2018, arXiv 1712.05877). Where 8 bits are
too few, activations have 16.
"""

import tempfile
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from transfer import batches
from transfer.exporting import formats, graphs
from transfer.prediction import Classifier

_INT8 = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
_INT16 = [tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8]


def write(classifier: Classifier, folder: Path, examples: Sequence[Path]) -> None:
    """Write the model in float32 into `folder`; `examples` are not needed here."""
    del examples
    pixels = tf.TensorSpec([1, None, None, 3], tf.uint8, name="images")
    _convert(classifier, graphs.from_pixels(classifier), pixels, _path(folder), {})


def write_int8(classifier: Classifier, folder: Path, examples: Sequence[Path]) -> None:
    """Write it with weights and activations of 8 bits; `examples` are training pictures."""
    _quantised(classifier, folder, examples, _INT8)


def write_int16(classifier: Classifier, folder: Path, examples: Sequence[Path]) -> None:
    """Write it with weights of 8 bits and activations of 16."""
    _quantised(classifier, folder, examples, _INT16)


def _quantised(
    classifier: Classifier, folder: Path, examples: Sequence[Path], ops: list[Any]
) -> None:
    size, answer = classifier.image_size, graphs.answering(classifier)

    def pictures() -> Iterator[dict[str, np.ndarray]]:
        for batch in batches.pictures(examples, size, 1).as_numpy_iterator():
            yield {"images": batch.astype(np.float32)}

    settings = {
        "optimizations": [tf.lite.Optimize.DEFAULT],
        "representative_dataset": pictures,
        "target_spec.supported_ops": ops,
    }
    if ops == _INT8:
        settings["inference_input_type"] = tf.uint8
    pixels = tf.TensorSpec([1, size, size, 3], tf.float32, name="images")
    _convert(classifier, answer, pixels, _path(folder), settings)


def _convert(
    classifier: Classifier,
    function: graphs.Function,
    pixels: tf.TensorSpec,
    target: Path,
    settings: dict[str, Any],
) -> None:
    """Write a file with one signature, `graphs.SIGNATURE`, whose outputs keep their names."""
    module = tf.Module()
    module.variables_of_model = [variable.value for variable in classifier.outputs.variables]
    module.answer = tf.function(function, input_signature=[pixels])
    with tempfile.TemporaryDirectory() as work:
        tf.saved_model.save(module, work, signatures={graphs.SIGNATURE: module.answer})
        converter = tf.lite.TFLiteConverter.from_saved_model(
            work, signature_keys=[graphs.SIGNATURE]
        )
        for name, value in settings.items():
            owner, _, last = name.rpartition(".")
            setattr(getattr(converter, owner) if owner else converter, last, value)
        with warnings.catch_warnings():  # the converter's own interpreter is an old one
            warnings.filterwarnings("ignore", r"\s*Warning: tf\.lite\.Interpreter is deprecated")
            target.write_bytes(converter.convert())


def _path(folder: Path) -> Path:
    return folder / formats.named("litert").file
