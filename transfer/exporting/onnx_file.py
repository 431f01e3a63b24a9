"""An ONNX file, by way of tf2onnx (opset 18: what ONNX Runtime has read since 1.14, of 2023)."""

from collections.abc import Sequence
from pathlib import Path

import tensorflow as tf

from transfer.errors import ExportError
from transfer.exporting import formats, graphs
from transfer.prediction import Classifier

_OPSET = 18


def write(classifier: Classifier, folder: Path, examples: Sequence[Path]) -> None:
    """Write the model into `folder`; `examples` are not needed here.

    Raises:
        ExportError: tf2onnx is not installed.
    """
    del examples
    try:
        import tf2onnx
    except ImportError as error:
        raise ExportError(
            "The ONNX format needs the package tf2onnx, which is not installed here."
            " Install it (pip install tf2onnx onnx) or choose another format."
        ) from error
    pixels = tf.TensorSpec([None, None, None, 3], tf.uint8, name="images")
    function = tf.function(graphs.from_pixels(classifier), input_signature=[pixels])
    target = folder / formats.named("onnx").file
    tf2onnx.convert.from_function(function, [pixels], opset=_OPSET, output_path=str(target))
