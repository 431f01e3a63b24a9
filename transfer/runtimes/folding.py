"""Draw each BatchNormalization that follows a depthwise convolution into its kernel.

In inference both are linear, so one can do the work of both. TensorFlow's optimizer does the same
for other convolutions whose weights are constants, but not for depthwise ones (MobileNets became
1.2 times as fast).
"""

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from transfer import stages


def folded(model: keras.Model) -> dict[int, np.ndarray]:
    """Return new values, by the `id` of the variable, with which the model gives the same answers.

    The normalization is left with its shift: TensorFlow drops a factor of exactly one. A value that
    somebody else reads as well is left alone.
    """
    values: dict[int, np.ndarray] = {}
    for convolution, norm in _pairs(model):
        kernel, gamma, beta, mean, variance = (
            np.asarray(keras.ops.convert_to_numpy(variable))
            for variable in (
                convolution.kernel, norm.gamma, norm.beta, norm.moving_mean, norm.moving_variance,
            )
        )  # fmt: skip
        scale = gamma / np.sqrt(variance + norm.epsilon)
        values[id(convolution.kernel)] = kernel * scale.reshape(kernel.shape[2:])
        ones = np.full_like(variance, 1 - np.float32(norm.epsilon))
        values[id(norm.gamma)] = _undoing(ones, norm.epsilon)
        values[id(norm.beta)] = beta - mean * scale
        values[id(norm.moving_mean)] = np.zeros_like(mean)
        values[id(norm.moving_variance)] = ones
    return values


def _undoing(variance: np.ndarray, epsilon: float) -> np.ndarray:
    """Return the gamma with which a variance near one gives a factor of one, to the last bit.

    The machine's reciprocal of a root may be off by that bit, and another one on other machines.
    """
    root = np.asarray(keras.ops.convert_to_numpy(keras.ops.rsqrt(variance + np.float32(epsilon))))
    gamma = np.ones_like(variance)
    for bits in (-2, -1, 1, 2):
        near = np.float32(1) + bits * np.finfo(np.float32).eps
        gamma[root * near == 1] = near
    gamma[root == 1] = 1
    return gamma


def _pairs(model: keras.Model) -> Iterator[tuple[Any, Any]]:
    """Yield (depthwise convolution, the only layer that reads it: a BatchNormalization)."""
    for graph in _graphs(model):
        read = {id(tensor) for tensor in graph.outputs}
        readers: dict[int, list[Any]] = defaultdict(list)
        for operation in graph.operations:
            for parent in stages.parents(operation):
                readers[id(parent)].append(operation)
        for layer in graph.operations:
            if isinstance(layer, keras.layers.DepthwiseConv2D) and id(layer.output) not in read:
                after = readers[id(layer)]
                if _linear(layer) and len(after) == 1 and _plain(after[0]):
                    yield layer, after[0]


def _graphs(model: Any) -> Iterator[Any]:
    """Yield the model and the models within it."""
    if isinstance(model, keras.Model) and hasattr(model, "operations"):
        yield model
        for layer in model.layers:
            yield from _graphs(layer)


def _linear(layer: Any) -> bool:
    without = layer.activation is None or layer.activation is keras.activations.linear
    return without and not layer.use_bias and layer.data_format == "channels_last"


def _plain(layer: Any) -> bool:
    return (
        isinstance(layer, keras.layers.BatchNormalization)
        and layer.gamma is not None
        and layer.beta is not None
        and layer.axis in (-1, 3)
    )
