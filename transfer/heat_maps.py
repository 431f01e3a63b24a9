"""Class activation maps: which parts of a picture speak for a class, as far as the model tells.

The score of a class is its logit less the mean of all logits, which is all that a softmax sees of
it: log p(class) - mean of log p. Where the head is linear in pooled feature maps, as with every
strategy of ours, the score is a sum over the places of those maps plus a bias, so the map is exact
(CAM, Zhou et al. 2016, for each stage that is read). For other models, ensembles among them, each
feature map is weighted by the gradient of the score: Grad-CAM (Selvaraju et al. 2017), whose
weights are the same at all places of a map that is pooled as a whole; of maps pooled in parts each
part keeps its own (HiResCAM, Draelos & Carin 2020).
"""

import io
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import keras
import numpy as np
from PIL import Image

from transfer import backbones, imaging, linear, overlays, stages
from transfer.dataset.decode import decode
from transfer.errors import RunError, SettingsError
from transfer.prediction import Classifier

_POOLS = re.compile(r"(pool|halves)_\d+")  # the names of the layers that `pooling` makes
_LEAST = 1e-30  # of a probability whose logarithm is taken


@dataclass(frozen=True)
class HeatMap:
    """How much each part of a picture speaks for one class, and the model's answer.

    `maps` are float64 [h, w], one for each feature map that is read, at their own sizes: their
    sums and `bias` give `score`, exactly so where `exact` is true; else it is a first-order guess,
    and `bias` is what it leaves over. `probabilities` [classes] are the model's.
    """

    label: int
    maps: tuple[np.ndarray, ...]
    bias: float
    score: float
    exact: bool
    probabilities: np.ndarray

    @property
    def evidence(self) -> np.ndarray:
        """One map at the size of the finest, float64; its sum is the score.

        The bias is spread evenly: with standardised features it says what the average training
        picture has of each, so what is above 0 speaks for the class more than such a picture does.
        """
        whole = overlays.joined(self.maps)
        return whole + self.bias / whole.size


class Explainer(Protocol):
    """What explains the answers of one model."""

    def __call__(self, pixels: np.ndarray, label: int | None = None) -> HeatMap:
        """Return the map of uint8 [size, size, 3] for a class; None: for the likeliest."""
        ...


def explainer(classifier: Classifier) -> Explainer:
    """Return what explains a classifier's answers: exactly where its head is linear.

    Raises:
        RunError: the model pools no feature maps as ours do.
    """
    network = backbones.after_resizing(classifier.model)
    try:
        return _Linear(network, classifier.image_size)
    except _OtherModelError:
        return by_gradient(classifier)


def by_gradient(classifier: Classifier) -> Explainer:
    """Return what explains any model of the app, by the gradient of the score.

    Raises:
        RunError: the model pools no feature maps as ours do.
    """
    if keras.backend.backend() != "tensorflow":
        raise RunError(
            "The heat maps of this model need TensorFlow behind Keras. Unset KERAS_BACKEND and try"
            " again."
        )
    return _Gradient(classifier.model, classifier.image_size)


def pixels(source: Path | bytes, image_size: int) -> np.ndarray:
    """Return a picture file as a classifier sees it, uint8 [image_size, image_size, 3].

    Raises:
        DataError: it is missing or is not a picture.
    """
    own = io.BytesIO()
    Image.fromarray(decode(source)).save(own, "PNG", compress_level=0)
    data: Any = keras.ops.convert_to_tensor(own.getvalue(), dtype="string")
    return np.asarray(imaging.decode_and_resize(data, image_size))


def number_of(name: str | None, classes: tuple[str, ...]) -> int | None:
    """Return the number of a class; None for None.

    Raises:
        SettingsError: the model knows no such class.
    """
    if name is None:
        return None
    if name not in classes:
        raise SettingsError(
            f"There is no class '{name}'. The model knows: {', '.join(classes)}. Choose one of"
            " these."
        )
    return classes.index(name)


class _OtherModelError(Exception):
    """The model is not a linear head on pooled feature maps."""


@dataclass(frozen=True)
class _Block:
    """Rows of the head's kernel and the feature map that they read, the `place`-th of the reader.

    `window` is (height, width) of the part that one row means; None: all of the map.
    """

    rows: slice
    place: int
    window: tuple[int, int] | None

    def map(self, features: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Return [h, w] of a feature map [h, w, channels] for the weights of all rows."""
        own, (height, width, channels) = weights[self.rows], features.shape
        if self.window is None:
            return features @ own / (height * width)
        # As `pooling.pooled`: two by two parts, the middle of an odd side in both halves.
        (tall, wide), found = self.window, np.zeros((height, width))
        parts = own.reshape(2, 2, channels)
        for i, top in enumerate((0, height - tall)):
            for j, left in enumerate((0, width - wide)):
                part = np.s_[top : top + tall, left : left + wide]
                found[part] += features[part] @ parts[i, j] / (tall * wide)
        return found


class _Linear:
    """A softmax of a linear function of pooled feature maps: nothing is approximated."""

    def __init__(self, network: keras.Model, image_size: int) -> None:
        head = _head(network)
        within, given = _within(head)
        maps, self._blocks, start = [], [], 0
        outputs: list[Any] = within.outputs
        for output in outputs:
            tensor, window = _pooled(output)
            width = int(output.shape[-1])
            self._blocks.append(_Block(slice(start, start + width), len(maps), window))
            maps.append(tensor)
            start += width
        if len(head.get_weights()[0]) != start:
            raise _OtherModelError
        self._head = head
        inner = keras.Model(within.input, maps, name="maps")
        self._read = _fast(keras.Model(network.inputs, inner(given)), image_size)

    def __call__(self, pixels: np.ndarray, label: int | None = None) -> HeatMap:
        kernel, bias = (np.asarray(value, np.float64) for value in self._head.get_weights())
        features = [one.astype(np.float64) for one in self._read(pixels)]
        every = [
            np.stack([block.map(features[block.place], row) for row in kernel.T])
            for block in self._blocks
        ]  # for each block [classes, h, w]
        logits = np.sum([one.sum(axis=(1, 2)) for one in every], axis=0) + bias
        probabilities = linear.softmax(logits[None])[0]
        chosen = int(logits.argmax()) if label is None else label
        return HeatMap(
            label=chosen,
            maps=tuple(one[chosen] - one.mean(axis=0) for one in every),
            bias=float(bias[chosen] - bias.mean()),
            score=float(logits[chosen] - logits.mean()),
            exact=True,
            probabilities=probabilities,
        )


class _Gradient:
    """Any model that pools as `pooling` does, wherever in it: feature maps times gradients."""

    def __init__(self, model: keras.Model, image_size: int) -> None:
        every = model._flatten_layers()  # pyright: ignore[reportAttributeAccessIssue]
        # Once each: a layer may stand in several of the models within this one.
        found = {id(layer): layer for layer in every if _POOLS.fullmatch(layer.name)}
        pools = list(found.values())
        if not pools:
            raise RunError(
                "There is no heat map of this model: it does not pool feature maps as the networks"
                " of this app do. Everything else works; train it here to see where it looks."
            )
        self._graph = _graph(model, pools, image_size)

    def __call__(self, pixels: np.ndarray, label: int | None = None) -> HeatMap:
        values = pixels[None].astype(np.float32)
        answer, score, chosen, maps = self._graph(values, np.int32(-1 if label is None else label))
        found = tuple(np.asarray(one, np.float64) for one in maps)
        total = sum(float(one.sum()) for one in found)
        return HeatMap(
            label=int(chosen),
            maps=found,
            bias=float(score) - total,
            score=float(score),
            exact=False,
            probabilities=np.asarray(answer, np.float64),
        )


def _graph(model: keras.Model, pools: list[keras.layers.Layer], image_size: int) -> Any:
    """Return (picture [1, s, s, 3], class or -1) -> (probabilities, score, class, maps)."""
    import tensorflow as tf  # gradients are the one thing that Keras does not have for all backends

    shape = tf.TensorSpec([1, image_size, image_size, 3], tf.float32)

    @tf.function(input_signature=[shape, tf.TensorSpec([], tf.int32)])
    def graph(values: Any, label: Any) -> Any:
        with tf.GradientTape(watch_accessed_variables=False) as tape:

            def watched(features: Any) -> Any:
                # A copy: how one stage makes the next is not to count for it a second time.
                copy = tf.identity(features)
                tape.watch(copy)
                return copy

            with _told(pools, watched) as seen:
                answer = model(values, training=False)[0]
            chosen = tf.where(label < 0, tf.argmax(answer, output_type=tf.int32), label)
            logs = tf.math.log(tf.maximum(answer, _LEAST))
            score = logs[chosen] - tf.reduce_mean(logs)
        gradients = tape.gradient(score, seen, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        maps = [tf.reduce_sum(g * a, axis=-1)[0] for g, a in zip(gradients, seen, strict=True)]
        return answer, score, chosen, maps

    return graph


@contextmanager
def _told(layers: list[keras.layers.Layer], watched: Callable[[Any], Any]) -> Iterator[list[Any]]:
    """Yield the list of all that these layers read meanwhile, each passed through `watched`."""
    seen: list[Any] = []

    def telling(original: Callable[..., Any]) -> Callable[..., Any]:
        def call(inputs: Any, *more: Any, **named: Any) -> Any:
            seen.append(watched(inputs))
            return original(seen[-1], *more, **named)

        return call

    for layer in layers:
        layer.call = telling(layer.call)
    try:
        yield seen
    finally:
        for layer in layers:
            del layer.call


def _head(network: keras.Model) -> keras.layers.Dense:
    """Return the linear head, of which the answer is the softmax."""
    head = next((one for one in network.layers if one.name == backbones.HEAD), None)
    if (
        not isinstance(head, keras.layers.Dense)
        or head.activation is not keras.activations.softmax
        or _operation(network.outputs[0]) is not head
    ):
        raise _OtherModelError
    return head


def _within(head: Any) -> tuple[keras.Model, Any]:
    """Return the network whose pooled maps the head reads, and what it is given."""
    given = [head.input]
    joining = _operation(head.input)
    if isinstance(joining, keras.layers.Concatenate):
        given = list(joining.input)
    networks = {id(_operation(one)): _operation(one) for one in given}
    within: Any = next(iter(networks.values()))
    indices = [one._keras_history.tensor_index for one in given]
    if len(networks) > 1 or not isinstance(within, keras.Model):
        raise _OtherModelError
    if indices != list(range(len(within.outputs))):
        raise _OtherModelError
    node = within._inbound_nodes[given[0]._keras_history.node_index]
    (tensor,) = node.arguments.keras_tensors
    return within, tensor


def _pooled(output: Any) -> tuple[Any, tuple[int, int] | None]:
    """Return the feature map that a pooled vector is made of, and its window (see `_Block`)."""
    layer = _operation(output)
    if isinstance(layer, keras.layers.GlobalAveragePooling2D):
        return layer.input, None
    before = stages.parents(layer)
    if (
        isinstance(layer, keras.layers.Flatten)
        and isinstance(before[0], keras.layers.AveragePooling2D)
        and tuple(before[0].output.shape[1:3]) == (2, 2)
    ):
        tall, wide = before[0].pool_size
        return before[0].input, (int(tall), int(wide))
    raise _OtherModelError


def _operation(tensor: Any) -> Any:
    return tensor._keras_history.operation


def _fast(reader: keras.Model, image_size: int) -> Callable[[np.ndarray], list[np.ndarray]]:
    """Return a fast function from one picture [s, s, 3] to its feature maps [h, w, channels]."""
    predict: Callable[..., Any] = reader.predict_on_batch
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf  # see `backbones.compiled`

        shape = tf.TensorSpec([1, image_size, image_size, 3], tf.float32)
        predict = tf.function(
            lambda values: reader(values, training=False), input_signature=[shape]
        )

    def run(pixels: np.ndarray) -> list[np.ndarray]:
        given = keras.ops.convert_to_tensor(pixels[None], dtype="float32")
        outputs = predict(given)
        several = outputs if isinstance(outputs, list | tuple) else [outputs]
        return [np.asarray(keras.ops.convert_to_numpy(one))[0] for one in several]

    return run
