"""A pretrained network with its preprocessing: build it, cut it, and put a head on it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from transfer import catalog, imaging, weights
from transfer.builtin import network as builtin_network
from transfer.catalog import BackboneSpec
from transfer.linear import LinearHead

# Statistics of ImageNet, as `keras.applications.imagenet_utils` has them.
_TORCH_MEAN = (0.485, 0.456, 0.406)
_TORCH_STD = (0.229, 0.224, 0.225)
_CAFFE_MEAN_BGR = (103.939, 116.779, 123.68)

HEAD = "head"  # the name of the classifier's layer: its variables are "head/kernel", "head/bias"


@dataclass(frozen=True)
class Backbone:
    """A pretrained network without its own classifier.

    `network` maps preprocessed pictures [n, image_size, image_size, 3] to a feature map
    [n, h, w, feature_dim]; `weights_path` is the file that its weights came from.
    """

    spec: BackboneSpec
    image_size: int
    network: keras.Model
    weights_path: Path

    @property
    def feature_dim(self) -> int:
        """Channels of the last feature map."""
        return int(self.network.output.shape[-1])


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


def pooled(backbone: Backbone) -> keras.Model:
    """Return the model: resized RGB pictures (0-255) in, mean-pooled [n, feature_dim] out."""
    size = backbone.image_size
    inputs = keras.Input((size, size, 3), dtype="float32", name="pictures")
    features = backbone.network(_preprocess(inputs, backbone.spec.preprocessing))
    outputs = keras.layers.GlobalAveragePooling2D(name="pool")(features)
    return keras.Model(inputs, outputs, name="pooled_features")


def with_head(backbone: Backbone, head: LinearHead, dropout: float = 0.0) -> keras.Model:
    """Return the trainable model: resized RGB pictures (0-255) in, class probabilities out.

    The head, the layer named `HEAD`, starts with the weights of `head`.
    """
    features = pooled(backbone)
    values = features.output
    if dropout:
        values = keras.layers.Dropout(dropout, name="dropout")(values)
    # float32 whatever the policy: a softmax in half precision loses digits (Keras guide).
    dense = keras.layers.Dense(
        head.kernel.shape[1], activation="softmax", dtype="float32", name=HEAD
    )
    model = keras.Model(features.input, dense(values), name="network_with_head")
    dense.set_weights([head.kernel, head.bias])
    return model


def classifier(network_with_head: keras.Model) -> keras.Model:
    """Return one model: RGB pictures of any size in, class probabilities out.

    Input [n, height, width, 3], uint8 or float, in 0-255; resizing and preprocessing are inside.
    Output float32 [n, num_classes]. Shares its weights with `network_with_head`.
    """
    size = int(network_with_head.input.shape[1])
    inputs = keras.Input((None, None, 3), dtype="float32", name="pictures")
    resized = keras.ops.round(imaging.resizer(size)(inputs))
    return keras.Model(inputs, network_with_head(resized), name="classifier")


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


def last_stage(network: keras.Model) -> list[keras.layers.Layer]:
    """Return the layers of the last resolution that has weights to train, in graph order.

    A stage is all that follows the last layer with a larger feature map. Where the last resolution
    holds no weights (VGG ends in a pooling layer), the one before is added.
    """
    layers = list(network.layers)
    areas = [_area(layer) for layer in layers]
    stage_area = areas[-1]
    while True:
        start = max((i for i, area in enumerate(areas) if area > stage_area), default=-1) + 1
        stage = layers[start:]
        if start == 0 or any(_convolves(layer) for layer in stage):
            return stage
        stage_area = areas[start - 1]


def freeze_all_but(network: keras.Model, trained: list[keras.layers.Layer]) -> None:
    """Make only `trained` trainable, and no BatchNormalization anywhere.

    Under `fit`, `training=False` at the call does not keep BatchNormalization's moving statistics
    still in Keras 3.15; `trainable = False` on each such layer does.
    """
    network.trainable = True
    chosen = {id(layer) for layer in trained}
    for layer in network.layers:
        frozen = isinstance(layer, keras.layers.BatchNormalization)
        layer.trainable = id(layer) in chosen and not frozen


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


def _area(layer: keras.layers.Layer) -> int:
    output = layer.output
    shape = (output[0] if isinstance(output, list | tuple) else output).shape
    return int(shape[1] or 1) * int(shape[2] or 1) if len(shape) == 4 else 1


def _convolves(layer: keras.layers.Layer) -> bool:
    return any(len(variable.shape) >= 4 for variable in layer.trainable_variables)
