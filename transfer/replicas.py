"""The copy of a model that is trained where devices want one: half precision, or several of them.

The copy has the same float32 weights. When the training is over the model takes them back, so that
what is judged, kept and exported computes in float32 on any device.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
import tensorflow as tf

from transfer import backbones, devices
from transfer.devices import Acceleration

_PREPROCESSING = (keras.layers.Rescaling, keras.layers.Normalization)


@contextmanager
def working(model: keras.Model, how: Acceleration | None = None) -> Iterator[keras.Model]:
    """Yield what to train instead of `model`, within the scope of its devices.

    On one device in full precision that is `model` itself. Otherwise it is a copy; `model` takes
    its weights when the block ends without an error.

    Args:
        model: with its layers frozen as they shall be.
        how: what suits this process by default.
    """
    how = how or devices.acceleration()
    if how.plain:
        yield model
        return
    with _strategy(how).scope():
        copy = _copied(model, how.precision)
        _hand_over(model, copy)
        yield copy
    _hand_over(copy, model)


def scaled(optimizer: keras.Optimizer, model: keras.Model) -> keras.Optimizer:
    """Return the optimizer, with the loss scaled if gradients in float16 would get lost otherwise.

    Loss scaling as in arXiv 1710.03740; Keras halves and doubles the scale by itself.
    """
    policies = {layer.dtype_policy.name for layer in layers(model)}
    if "mixed_float16" not in policies:
        return optimizer
    return keras.optimizers.LossScaleOptimizer(optimizer)


def crossentropy(label_smoothing: float) -> keras.losses.Loss:
    """Return the mean cross-entropy of a batch, in nats, also where devices share the batch."""
    if _sharing() == 1:
        return keras.losses.CategoricalCrossentropy(label_smoothing=label_smoothing)
    return _SharedCrossentropy(label_smoothing=label_smoothing, reduction="sum")


def shared(data: tf.data.Dataset) -> tf.data.Dataset:
    """Return batches that the devices can share evenly; on one device the same ones.

    Args:
        data: batches (inputs [n, ...], targets [n, classes]).

    Returns:
        batches with a third part, weights [n]. Where n is no multiple of the number of devices,
        rows without a target and of weight 0 fill it up.
    """
    devices_sharing = _sharing()
    if devices_sharing == 1:
        return data

    def filled(inputs: tf.Tensor, targets: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        count = tf.shape(targets)[0]
        missing = tf.math.floormod(-count, devices_sharing)
        rows = tf.math.floormod(tf.range(count + missing), count)
        rest: Any = [0, missing]
        return (
            tf.cond(missing > 0, lambda: tf.gather(inputs, rows), lambda: inputs),
            tf.pad(targets, [rest, [0, 0]]),
            tf.pad(tf.ones([count]), [rest]),
        )

    return data.map(filled)


def layers(model: keras.Model) -> Iterator[keras.layers.Layer]:
    """Yield the layers of a model and of the models within it."""
    for layer in model.layers:
        yield layer
        if isinstance(layer, keras.Model):
            yield from layers(layer)


class _SharedCrossentropy(keras.losses.CategoricalCrossentropy):
    """Adds up over the devices to the mean over the pictures of the whole batch.

    Keras would count the rows of `shared` that are none.
    """

    def call(self, y_true: Any, y_pred: Any) -> Any:
        losses = super().call(y_true, y_pred)
        pictures = tf.reduce_sum(tf.cast(tf.reduce_any(y_true > 0, axis=-1), losses.dtype))
        context: Any = tf.distribute.get_replica_context()
        if context is not None:  # else Keras only looks at the shapes
            pictures = context.all_reduce(tf.distribute.ReduceOp.SUM, pictures)
        return losses / pictures


def _sharing() -> int:
    return tf.distribute.get_strategy().num_replicas_in_sync


def _strategy(how: Acceleration) -> tf.distribute.Strategy:
    if len(how.devices) == 1:
        return tf.distribute.get_strategy()
    return tf.distribute.MirroredStrategy(list(how.devices))


def _copied(model: keras.Model, precision: str) -> keras.Model:
    def copied(layer: keras.layers.Layer) -> keras.layers.Layer:
        # A softmax in half precision loses digits (Keras guide), and so do pixels in bfloat16.
        whole = layer.name == backbones.HEAD or isinstance(layer, _PREPROCESSING)
        dtype = "float32" if whole else precision
        copy = type(layer).from_config({**layer.get_config(), "dtype": dtype})
        copy.trainable = layer.trainable
        return copy

    return keras.models.clone_model(model, clone_function=copied, recursive=True)


def _hand_over(source: keras.Model, target: keras.Model) -> None:
    """Give `target` all values of `source`: weights, statistics, the state of random numbers."""
    for one, other in zip(source.variables, target.variables, strict=True):
        other.assign(keras.ops.convert_to_numpy(one))
