"""What the formats without a decoder of pictures have in common: pixels in, named outputs out."""

from collections.abc import Callable

import keras
import tensorflow as tf

from transfer.prediction import Classifier

Function = Callable[[tf.Tensor], dict[str, tf.Tensor]]
_Lines = Callable[[tf.Tensor, tf.Tensor, int], tf.Tensor]
SIGNATURE = "serving_default"


def from_pixels(classifier: Classifier) -> Function:
    """Return the classifier for pictures of any one size [n, h, w, 3], resized inside the graph."""
    size, answer = classifier.image_size, answering(classifier)

    def from_any_size(images: tf.Tensor) -> dict[str, tf.Tensor]:
        return answer(resized(tf.cast(images, tf.float32), size))

    return from_any_size


def answering(classifier: Classifier) -> Function:
    """Return the named outputs of pictures that have the network's size, float32 in 0-255."""
    model = without_antialiasing(classifier.outputs)

    def answer(pictures: tf.Tensor) -> dict[str, tf.Tensor]:
        return {name: tf.identity(one) for name, one in model(pictures, training=False).items()}

    return answer


def resized(pictures: tf.Tensor, size: int) -> tf.Tensor:
    """Return float32 [n, size, size, 3] of [n, h, w, 3], in whole numbers, as `imaging.resize`.

    TensorFlow's operation that antialiases is in neither LiteRT nor ONNX. Here are its sums, in its
    order: where a value lies halfway between two whole numbers, the last digit decides.
    """
    grows = tf.reduce_max(tf.shape(pictures)[1:3]) <= size
    lines = _along_rows(_along_columns(pictures, size, _between), size, _between)
    values = tf.where(grows, lines, _averaging(pictures, size))
    return tf.clip_by_value(tf.round(values), 0.0, 255.0)


def without_antialiasing(model: keras.Model) -> keras.Model:
    """Return the model with its layers that antialias written out; it shares all others."""
    return keras.models.clone_model(model, clone_function=_replaced) if _resizes(model) else model


class _Averaging(keras.layers.Layer):
    """Resizes as `imaging.resizer` does."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self._size = size

    def call(self, pictures: tf.Tensor) -> tf.Tensor:
        """Return the pictures in the other size; those that have it already as they are."""
        if tuple(pictures.shape[1:3]) == (self._size, self._size):
            return pictures
        return _averaging(pictures, self._size)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return [n, size, size, channels]."""
        return (input_shape[0], self._size, self._size, input_shape[-1])


def _replaced(layer: keras.layers.Layer) -> keras.layers.Layer:
    if isinstance(layer, keras.layers.Resizing) and layer.antialias:
        return _Averaging(int(layer.height))
    if isinstance(layer, keras.Model) and _resizes(layer):
        return keras.models.clone_model(layer, clone_function=_replaced)
    return layer


def _resizes(model: keras.Model) -> bool:
    return any(
        one.antialias if isinstance(one, keras.layers.Resizing) else _resizes(one)
        for one in model.layers
        if isinstance(one, keras.layers.Resizing | keras.Model)
    )


def _averaging(pictures: tf.Tensor, size: int) -> tf.Tensor:
    """Return float32 [n, size, size, 3]: triangles as wide as the scale, where it shrinks."""
    return _along_columns(_along_rows(pictures, size, _averaged), size, _averaged)


def _along_rows(pictures: tf.Tensor, size: int, lines: _Lines) -> tf.Tensor:
    """Return [n, size, w, 3] of [n, h, w, 3]."""
    shape = tf.shape(pictures)
    flat = tf.reshape(pictures, [shape[0], shape[1], shape[2] * 3])
    known = pictures.shape[2]
    shape_now = [_known(pictures), size, shape[2] if known is None else known, 3]
    return tf.reshape(lines(flat, shape[1], size), shape_now)


def _along_columns(pictures: tf.Tensor, size: int, lines: _Lines) -> tf.Tensor:
    turned = _along_rows(tf.transpose(pictures, [0, 2, 1, 3]), size, lines)
    return tf.transpose(turned, [0, 2, 1, 3])


def _known(pictures: tf.Tensor) -> int:
    count = pictures.shape[0]
    return -1 if count is None else int(count)


def _between(lines: tf.Tensor, old: tf.Tensor, size: int) -> tf.Tensor:
    """Return [n, size, m] of [n, old, m]: straight lines between neighbours.

    As `tensorflow/core/kernels/image/resize_bilinear_op.cc` does with half-pixel centres.
    """
    # Where pictures grow, this is `size`; divided by a constant, graphs would multiply instead, and
    # without the maximum with 0, which is itself, they would divide last.
    divisor = tf.cast(tf.maximum(old, size), tf.float32)
    scale = tf.maximum(tf.cast(old, tf.float32) / divisor, 0.0)
    places = (tf.range(size, dtype=tf.float32) + 0.5) * scale - 0.5
    lower = tf.floor(places)
    first = tf.gather(lines, tf.cast(tf.maximum(lower, 0.0), tf.int32), axis=1)
    last = tf.cast(old - 1, tf.float32)
    second = tf.gather(lines, tf.cast(tf.minimum(tf.math.ceil(places), last), tf.int32), axis=1)
    return first + (second - first) * (places - lower)[tf.newaxis, :, tf.newaxis]


def _averaged(lines: tf.Tensor, old: tf.Tensor, size: int) -> tf.Tensor:
    """Return [n, size, m] of [n, old, m], each the mean of some lines, weighted by a triangle.

    As `tensorflow/core/kernels/image/scale_and_translate_op.cc` does.
    """
    count = tf.cast(old, tf.float32)
    scale = 1.0 / (size / count)
    wide = tf.maximum(scale, 1.0)
    places = (tf.range(size, dtype=tf.float32) + 0.5) * scale
    start = tf.maximum(tf.math.ceil(places - wide - 0.5), 0.0)
    end = tf.minimum(tf.floor(places + wide - 0.5), count - 1.0)
    taps = tf.range(2 * tf.cast(tf.math.ceil(wide), tf.int32) + 1)
    taken = tf.cast(taps, tf.float32)[:, tf.newaxis] + start[tf.newaxis]  # [taps, size]
    far = tf.abs((taken + 0.5 - places[tf.newaxis]) * (1.0 / wide))
    weights = tf.where(taken <= end[tf.newaxis], tf.maximum(1.0 - far, 0.0), 0.0)
    weights *= 1.0 / tf.reduce_sum(weights, axis=0, keepdims=True)
    flat = tf.cast(tf.minimum(tf.reshape(taken, [-1]), count - 1.0), tf.int32)
    shape = tf.shape(lines)
    turned = tf.reshape(tf.transpose(lines, [1, 0, 2]), [shape[1], shape[0] * shape[2]])
    each = tf.reshape(tf.gather(turned, flat), [-1, size, shape[0] * shape[2]])
    # Summed along the first axis: the only one along which all runtimes go one by one.
    total = tf.reduce_sum(each * weights[:, :, tf.newaxis], axis=0)
    return tf.transpose(tf.reshape(total, [size, shape[0], shape[2]]), [1, 0, 2])
