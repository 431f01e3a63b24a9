"""What a model says of pictures when it leaves the app: the one place that names its outputs.

    name           type, shape            what it is
    probabilities  float32 [n, classes]   of each class, calibrated; they add up to 1
    confidence     float32 [n]            the highest of them
    answers        bool [n]               the confidence reaches the limit that the user chose, so
                                          that the answer is right as often as was asked for
    strangeness    float32 [n]            how far the picture is from all that was learned, over the
                                          limit that keeps 95 % of the set's own: 1 is that limit
    known          bool [n]               the strangeness is at most 1: else it is none of these

The last two are there where the run has learned what is familiar (`refusal`). The pictures are
pixels [n, height, width, 3], RGB, 0-255. All of it is made of Keras's own layers and operations, so
that every format can hold it and nobody needs this package to load it.
"""

from typing import Any

import keras
import numpy as np

from transfer import backbones
from transfer.refusal import Familiar

NAMES = ("probabilities", "confidence", "answers", "strangeness", "known")
_LEAST = 1e-30  # of a probability, so that its logarithm is finite
VIEWS = "views"  # the layer of a model that puts several views of a picture one after the other

ops: Any = keras.ops  # the types in Keras allow for None


def build(model: keras.Model, limit: float, familiar: Familiar | None) -> keras.Model:
    """Return the model from pixels to a dict of named outputs; it shares the weights of `model`.

    Args:
        model: pixels to probabilities.
        limit: of the confidence, from which on it answers; 0: always.
        familiar: tells what it has not learned; None: that is not known.
    """
    read = None if familiar is None else _with_vectors(model)
    probabilities, read_vectors = read or (model.outputs[0], None)
    confidence = ops.max(probabilities, axis=-1)
    found = {
        "probabilities": probabilities,
        "confidence": confidence,
        "answers": ops.greater_equal(confidence, limit),
    }
    if familiar is not None and read_vectors is not None:
        strangeness = _strangeness(read_vectors, familiar)
        found |= {"strangeness": strangeness, "known": ops.less_equal(strangeness, 1.0)}
    return keras.Model(model.inputs[0], found, name="answers")


def vectors(model: keras.Model) -> keras.Model | None:
    """Return the model from pixels to what its head reads, [n, d]; None where it has no such head.

    Of a model that looks at several views of a picture, it is their mean.
    """
    read = _with_vectors(model)
    return keras.Model(model.inputs[0], read[1], name="vectors") if read else None


def joined(probabilities: Any, count: int) -> Any:
    """Return the answer to `count` views, which stand behind each other [count * n, classes].

    The softmax of the mean of the logits [n, classes].
    """
    logs = ops.log(ops.maximum(probabilities, _LEAST))
    return ops.softmax(_mean(logs, count), axis=-1)


def _mean(tensor: Any, count: int) -> Any:
    """Return the mean over views, [count * n, d] to [n, d]."""
    width = int(tensor.shape[-1])
    return ops.mean(ops.reshape(tensor, (count, -1, width)), axis=0)


def _with_vectors(model: keras.Model) -> tuple[Any, Any] | None:
    """Return the tensors (probabilities, what the head reads) behind the model's own inputs."""
    network = backbones.after_resizing(model)
    both = _both(network)
    if both is None:
        return None
    return both(model.inputs[0] if network is model else _given(network))


def _both(network: keras.Model) -> keras.Model | None:
    """Return the network with both outputs; None where there is no head that reads one vector.

    Of several views it is the mean vector, of an ensemble that of its first network.
    """
    layers = {layer.name: layer for layer in network.layers}
    if (head := layers.get(backbones.HEAD)) is not None:
        return keras.Model(network.inputs[0], [network.outputs[0], head.input])
    for member in network.layers:
        if not isinstance(member, keras.Model):
            continue
        if (views := layers.get(VIEWS)) is not None and (inner := _both(member)) is not None:
            said, read = inner(views.output)
            count = len(views.input)
            return keras.Model(network.inputs[0], [joined(said, count), _mean(read, count)])
        if (read := vectors(member)) is not None:
            return keras.Model(network.inputs[0], [network.outputs[0], read(_given(member))])
    return None


def _given(layer: keras.layers.Layer) -> Any:
    """Return the tensor that a layer is given within its model."""
    return layer._inbound_nodes[-1].input_tensors[0]  # Keras has no public name for it


def _strangeness(read: Any, known: Familiar) -> Any:
    """Return the score of `Familiar.scores`, its numbers being the weights of layers."""
    length = ops.sqrt(ops.sum(ops.square(read), axis=-1, keepdims=True))
    unit = read / ops.maximum(length, 1e-9)
    near = _dense("neighbours", _dense("directions", unit, known.directions), known.neighbours.T)
    return (1.0 - ops.max(near, axis=-1)) / known.limit


def _dense(name: str, values: Any, kernel: np.ndarray) -> Any:
    layer = keras.layers.Dense(
        kernel.shape[1], use_bias=False, trainable=False, dtype="float32", name=name
    )
    answer = layer(values)
    layer.set_weights([kernel])
    return answer
