"""What a model says of pictures when it leaves the app: the one place that names its outputs.

    name           type, shape            what it is
    probabilities  float32 [n, classes]   of each class, calibrated; they add up to 1
    confidence     float32 [n]            the highest of them
    answers        bool [n]               the confidence reaches the limit that the user chose, so
                                          that the answer is right as often as was asked for
    strangeness    float32 [n]            how far the picture is from all that was learned, at the
                                          stage of the network where it is farthest, over the limit
                                          that keeps 95 % of the set's own: 1 is that limit
    known          bool [n]               the strangeness is at most 1: else it is none of these

The last two are there where the run has learned what is familiar (`refusal`). The pictures are
pixels [n, height, width, 3], RGB, 0-255. All of it is made of Keras's own layers and operations, so
that every format can hold it and nobody needs this package to load it.
"""

from typing import Any

import keras
import numpy as np

from transfer import backbones, pooling, refusal
from transfer.refusal import Familiar, Near

NAMES = ("probabilities", "confidence", "answers", "strangeness", "known")
_LEAST = 1e-30  # of a probability, so that its logarithm is finite
TOLD = "_with_means"  # ends the name of the network of an ensemble by which it knows its pictures
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
    probabilities, means = read or (model.outputs[0], [])
    confidence = ops.max(probabilities, axis=-1)
    found = {
        "probabilities": probabilities,
        "confidence": confidence,
        "answers": ops.greater_equal(confidence, limit),
    }
    if familiar is not None and len(means) == len(familiar.stages):
        strangeness = _strangeness(means, familiar)
        found |= {"strangeness": strangeness, "known": ops.less_equal(strangeness, 1.0)}
    return keras.Model(model.inputs[0], found, name="answers")


def vectors(model: keras.Model) -> keras.Model | None:
    """Return the model from pixels to the means of the network's last `refusal.STAGES` stages.

    A list of [n, d], from generic to specific; the last is that of the last stage which the head
    reads. Of several views of a picture it is their mean, of an ensemble that of the network with
    the most weight.
    None where there is no network with a head.
    """
    read = _with_vectors(model)
    return keras.Model(model.inputs[0], read[1], name="vectors") if read else None


def sharpened(probabilities: Any, factor: float) -> Any:
    """Return probabilities with all logits times a factor; see `calibration.sharpened`."""
    return ops.softmax(factor * ops.log(ops.maximum(probabilities, _LEAST)), axis=-1)


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


def _with_vectors(model: keras.Model) -> tuple[Any, list[Any]] | None:
    """Return the tensors (probabilities, the last stages' means) behind the model's own inputs."""
    network = backbones.after_resizing(model)
    both = _both(network)
    if both is None:
        return None
    found = both(model.inputs[0] if network is model else _given(network))
    return found[0], found[1:]


def _both(network: keras.Model) -> keras.Model | None:
    """Return the network with all these outputs, side by side; None where it has no head."""
    layers = {layer.name: layer for layer in network.layers}
    if backbones.HEAD in layers:
        return _with_means(network)
    inner = [layer for layer in network.layers if isinstance(layer, keras.Model)]
    if told := [one for one in inner if one.name.endswith(TOLD)]:
        return _of_several(network, told[0])
    for member in inner:
        if (views := layers.get(VIEWS)) is not None and (both := _both(member)) is not None:
            said, *means = both(views.output)
            count = len(views.input)
            every = [joined(said, count), *(_mean(one, count) for one in means)]
            return keras.Model(network.inputs[0], every)
        if (read := vectors(member)) is not None:
            return keras.Model(network.inputs[0], [network.outputs[0], *read(_given(member))])
    return None


def _of_several(network: keras.Model, member: keras.Model) -> keras.Model | None:
    """Return an ensemble with the stages' means of one of its networks.

    That one is computed once: the others' part of the graph reads it from the call that gives them.
    """
    both = _with_means(member)
    if both is None:
        return None
    call = member._inbound_nodes[-1]  # Keras has no public name for it
    said = both(call.input_tensors[0])
    count = len(member.outputs)
    above = keras.Model([network.inputs[0], *call.output_tensors], network.outputs[0])
    answers = above([network.inputs[0], *said[:count]])
    return keras.Model(network.inputs[0], [answers, *said[count:]])


def _with_means(network: keras.Model) -> keras.Model | None:
    """Return a network (see `backbones.reading`, `with_head`) that tells its stages' means, too.

    What it answers is computed once, from the same call that gives the means. The upper part of a
    cut network has no layer `WITHIN`: its stages are those that it computes itself.
    """
    within = next((one for one in network.layers if one.name == backbones.WITHIN), None)
    if within is None:
        head: Any = next((one for one in network.layers if one.name == backbones.HEAD), None)
        if head is None:
            return None
        means = _means(keras.Model(network.inputs[0], head.input))
        return keras.Model(network.inputs[0], [*network.outputs, *means])
    both = keras.Model(within.inputs[0], [*within.outputs, *_means(within)])
    call = within._inbound_nodes[-1]
    said = both(call.input_tensors[0])
    read = said[: len(within.outputs)]
    above = {id(tensor): new for tensor, new in zip(call.output_tensors, read, strict=True)}
    if not all(id(tensor) in above for tensor in network.outputs):
        after = keras.Model(call.output_tensors, network.outputs)
        answers = after(read if len(read) > 1 else read[0])
        read = answers if isinstance(answers, list | tuple) else [answers]
    return keras.Model(network.inputs[0], [*read, *said[len(within.outputs) :]])


def _means(network: keras.Model) -> list[Any]:
    """Return the tensors of the last stages' means of a network that ends in pooled blocks."""
    last = pooling.last(network, refusal.STAGES)
    return [_pooled(one.stage.tensor, f"mean_{one.stage.number}") for one in last]


def _pooled(tensor: Any, name: str) -> Any:
    return keras.layers.GlobalAveragePooling2D(name=name)(tensor)


def _given(layer: keras.layers.Layer) -> Any:
    """Return the tensor that a layer is given within its model."""
    return layer._inbound_nodes[-1].input_tensors[0]


def _strangeness(means: list[Any], known: Familiar) -> Any:
    """Return the score of `Familiar.scores`, its numbers being the weights of layers."""
    pairs = zip(known.stages, means, strict=True)
    found = [_distance(near, values, f"{i}") for i, (near, values) in enumerate(pairs)]
    return ops.max(ops.stack(found, axis=-1), axis=-1)


def _distance(near: Near, values: Any, name: str) -> Any:
    """Return `Near.distances` over the limit, [n]."""
    length = ops.sqrt(ops.sum(ops.square(values), axis=-1, keepdims=True))
    unit = values / ops.maximum(length, 1e-9)
    center = keras.layers.Rescaling(
        1.0, offset=(-near.center).tolist(), dtype="float32", name=f"center_{name}"
    )
    seen = center(unit)
    own = _dense(f"directions_{name}", seen, near.directions)
    nearest = _dense(f"neighbours_{name}", own, 2 * near.neighbours.T, -near.lengths)
    distance = ops.sum(ops.square(seen), axis=-1) - ops.max(nearest, axis=-1)
    return ops.maximum(distance, 0.0) / near.limit


def _dense(name: str, values: Any, kernel: np.ndarray, bias: np.ndarray | None = None) -> Any:
    layer = keras.layers.Dense(
        kernel.shape[1], use_bias=bias is not None, trainable=False, dtype="float32", name=name
    )
    answer = layer(values)
    layer.set_weights([kernel] if bias is None else [kernel, bias])
    return answer
