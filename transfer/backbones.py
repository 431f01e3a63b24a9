"""A pretrained network with its preprocessing: build it, cut it, and put a head on it."""

import functools
import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np

from transfer import catalog, imaging, pooling, weights
from transfer.builtin import network as builtin_network
from transfer.catalog import BackboneSpec
from transfer.drop_connect import DropConnect
from transfer.linear import LinearHead
from transfer.pooling import Block
from transfer.stages import Stage

# Statistics of ImageNet, as `keras.applications.imagenet_utils` has them.
_TORCH_MEAN = (0.485, 0.456, 0.406)
_TORCH_STD = (0.229, 0.224, 0.225)
_CAFFE_MEAN_BGR = (103.939, 116.779, 123.68)

NETWORK_WITH_HEAD = "network_with_head"  # what in a `classifier` comes after its resizing
WITHIN = "within"  # the layer of a network with a head that is the backbone up to what is pooled
VIEWS = "views"  # the layer that puts several views of each picture one after the other
HEAD = "head"  # the name of the classifier's layer: its variables are "head/kernel", "head/bias"


@dataclass(frozen=True)
class Backbone:
    """A pretrained network without its own classifier.

    `network` maps preprocessed pictures [n, image_size, image_size, 3] to a feature map
    [n, h, w, feature_dim]; `weights_path` is the file that its weights came from. `ready` is for
    what takes seconds to build of the network and may be built ahead (see `features.prepare`).
    """

    spec: BackboneSpec
    image_size: int
    network: keras.Model
    weights_path: Path
    ready: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)

    @functools.cached_property
    def blocks(self) -> tuple[Block, ...]:
        """What is kept of a picture: see `pooling.blocks`."""
        return pooling.blocks(self.network)

    @functools.cached_property
    def digest(self) -> str:
        """SHA-256 of the weight file."""
        with self.weights_path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()


def load(spec: BackboneSpec, image_size: int, weights_path: Path) -> Backbone:
    """Build a network of the catalog for one input size and load its weights.

    Raises:
        BackboneError: the size is too small for the network (from `catalog`).
    """
    shape = (image_size, image_size, 3)
    if spec.name == catalog.BUILTIN:
        return Backbone(
            spec, image_size, builtin_network.build_pretrained(shape, weights_path), weights_path
        )
    arguments = {"include_top": False, "weights": None, "input_shape": shape}
    if spec.alpha is not None:
        arguments["alpha"] = spec.alpha
    network = getattr(keras.applications, spec.function)(**arguments)
    weights.load_into(network, weights_path)
    return Backbone(spec, image_size, network, weights_path)


def vectors(backbone: Backbone, blocks: tuple[Block, ...] = ()) -> keras.Model:
    """Return the model: resized RGB pictures (0-255) in, pooled stages [n, d] out.

    `blocks` stand side by side in the answer; none: the means of the last stage.
    """
    chosen = blocks or (pooling.top(backbone.blocks),)
    read = reading(backbone, [pooling.pooled(block) for block in chosen])
    if len(chosen) == 1:
        return read
    joined = keras.layers.Concatenate(name="stages")(read.outputs)
    return keras.Model(read.input, joined, name="pooled_features")


def reading(backbone: Backbone, tensors: list[Any]) -> keras.Model:
    """Return the model: resized RGB pictures (0-255) in, these tensors of the network out."""
    size = backbone.image_size
    within = keras.Model(backbone.network.input, tensors, name=WITHIN)
    inputs = keras.Input((size, size, 3), dtype="float32", name="pictures")
    outputs = within(_preprocess(inputs, backbone.spec.preprocessing))
    one = outputs[0] if isinstance(outputs, list | tuple) and len(outputs) == 1 else outputs
    return keras.Model(inputs, one, name="pooled_features")


def with_head(
    backbone: Backbone, head: LinearHead, blocks: tuple[Block, ...] = (), dropout: float = 0.0
) -> keras.Model:
    """Return the trainable model: resized RGB pictures (0-255) in, class probabilities out.

    The head, the layer named `HEAD`, reads `blocks` (see `vectors`) and starts with the weights of
    `head`.
    """
    features = vectors(backbone, blocks)
    outputs = _headed(features.output, head, dropout)
    model = keras.Model(features.input, outputs, name=NETWORK_WITH_HEAD)
    set_head(model, head)
    return model


def set_head(model: keras.Model, head: LinearHead) -> None:
    """Give a model of `with_head`, or a `classifier` of one, the weights of another head."""
    after_resizing(model).get_layer(HEAD).set_weights([head.kernel, head.bias])


def scale_head(model: keras.Model, factor: float) -> None:
    """Multiply all logits of a model with a layer `HEAD`: the same answers, more or less sure."""
    for variable in head_variables(model):
        variable.assign(variable * factor)


def head_variables(model: keras.Model) -> list[keras.Variable]:
    """Return the variables of the layer `HEAD`, wherever in the model it is; none without one."""
    return [one for one in model.variables if f"/{one.path}".split("/")[-2] == HEAD]


def looks(model: keras.Model) -> int:
    """Return how many views of a picture a model looks at: so many times the memory it takes."""
    for layer in model.layers:
        if layer.name == VIEWS:
            return len(layer.input)
        if isinstance(layer, keras.Model) and (found := looks(layer)) > 1:
            return found
    return 1


@dataclass(frozen=True)
class Halves:
    """A network with a head, cut at one place of its graph; the halves share its weights.

    `lower` maps resized pictures (0-255) to that place's tensor [n, h, w, c], `upper` maps that to
    probabilities, `whole` pictures to probabilities.
    """

    lower: keras.Model
    upper: keras.Model
    whole: keras.Model


def halves(
    backbone: Backbone,
    cut: Stage,
    head: LinearHead,
    dropout: float,
    drop_connect: float = 0.0,
) -> Halves:
    """Return the network with a new head, cut after `cut`: a place of `stages.cuts`."""
    lower = reading(backbone, [cut.tensor])
    top = pooling.pooled(pooling.top(backbone.blocks))
    # The graph from the cut on, with the very layers of the network.
    above = keras.Model(cut.tensor, _headed(top, head, dropout, drop_connect), name="above")
    set_head(above, head)
    whole = keras.Model(lower.input, above(lower.output), name=NETWORK_WITH_HEAD)
    return Halves(lower, above, whole)


def without_dropping(backbone: Backbone, trained: Halves) -> keras.Model:
    """Return the whole of `trained` as it is used: without what only its training needs.

    The same layers, but a plain head, no dropout, and nothing of how it was compiled.
    """
    kernel, bias = trained.upper.get_layer(HEAD).get_weights()
    return with_head(backbone, LinearHead(kernel, bias, math.nan, 1.0, math.nan))


def classifier(network_with_head: keras.Model) -> keras.Model:
    """Return one model: RGB pictures of any size in, class probabilities out.

    Input [n, height, width, 3], uint8 or float, in 0-255; resizing and preprocessing are inside.
    Output float32 [n, num_classes]. Shares its weights with `network_with_head`.
    """
    size = int(network_with_head.input.shape[1])
    inputs = keras.Input((None, None, 3), dtype="float32", name="pictures")
    resized = keras.ops.round(imaging.resizer(size)(inputs))
    return keras.Model(inputs, network_with_head(resized), name="classifier")


def after_resizing(model: keras.Model) -> keras.Model:
    """Return what in a `classifier` comes after its resizing: the same layers and weights.

    That is all of a model which does not resize.
    """
    return next((one for one in model.layers if one.name == NETWORK_WITH_HEAD), model)


def side(network: keras.Model) -> int:
    """Return the side in pixels of the pictures that a model takes; 0: any."""
    return int(network.inputs[0].shape[1] or 0)


def compiled(model: keras.Model, batch_size: int) -> Callable[[np.ndarray], np.ndarray]:
    """Return a fast function from a batch of at most `batch_size` pictures to the model's output.

    A smaller batch is padded, so that the graph is compiled once.
    """
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf  # about twice as fast as Model.predict on a CPU

        predict = tf.function(lambda values: model(values, training=False))
    else:
        predict = model.predict_on_batch

    def run(batch: np.ndarray) -> np.ndarray:
        padded = np.pad(batch, [(0, batch_size - len(batch)), (0, 0), (0, 0), (0, 0)])
        outputs = predict(keras.ops.convert_to_tensor(padded, dtype="float32"))
        return np.asarray(keras.ops.convert_to_numpy(outputs), np.float32)[: len(batch)]

    return run


def answers(
    predict: Callable[[np.ndarray], np.ndarray], inputs: np.ndarray, batch_size: int
) -> np.ndarray:
    """Return what `predict` says of all inputs, some at a time, float32 [len(inputs), ...]."""
    starts = range(0, len(inputs), batch_size)
    return np.concatenate([predict(inputs[start : start + batch_size]) for start in starts])


def freeze_batch_norm(network: keras.Model) -> None:
    """Make all layers trainable except BatchNormalization.

    Under `fit`, `training=False` at the call does not keep BatchNormalization's moving statistics
    still in Keras 3.15; `trainable = False` on each such layer does.
    """
    network.trainable = True
    for layer in network.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False


def batch_norm_statistics(network: keras.Model) -> list[np.ndarray]:
    """Return the moving means and variances of all BatchNormalization layers."""
    return [
        np.asarray(keras.ops.convert_to_numpy(value))
        for layer in network.layers
        if isinstance(layer, keras.layers.BatchNormalization)
        for value in (layer.moving_mean, layer.moving_variance)
    ]


def _preprocess(pictures: Any, kind: str) -> Any:
    """Bring RGB in 0-255 to what the network was trained on (`imagenet_utils.preprocess_input`)."""
    if kind == "tf":
        return keras.layers.Rescaling(1 / 127.5, offset=-1.0, name="preprocess")(pictures)
    if kind == "torch":
        scale = [1 / (255 * std) for std in _TORCH_STD]
        offset = [-mean / std for mean, std in zip(_TORCH_MEAN, _TORCH_STD, strict=True)]
        layer = keras.layers.Rescaling(scale, offset, name="preprocess")  # pyright: ignore[reportArgumentType]
        return layer(pictures)
    if kind == "caffe":
        offset = [-mean for mean in _CAFFE_MEAN_BGR]
        bgr = keras.ops.flip(pictures, axis=-1)
        layer = keras.layers.Rescaling(1.0, offset, name="preprocess")  # pyright: ignore[reportArgumentType]
        return layer(bgr)
    return pictures  # ConvNeXt, EfficientNet, MobileNetV3: inside the network


def _headed(features: Any, head: LinearHead, dropout: float, drop_connect: float = 0.0) -> Any:
    if dropout:
        features = keras.layers.Dropout(dropout, name="dropout")(features)
    # float32 whatever the policy: a softmax in half precision loses digits (Keras guide).
    classes = head.kernel.shape[1]
    given: dict[str, Any] = {"activation": "softmax", "dtype": "float32", "name": HEAD}
    if drop_connect:
        return DropConnect(classes, drop_connect, **given)(features)
    return keras.layers.Dense(classes, **given)(features)
