"""The built-in backbone: a small residual network whose weights lie in the repository.

It was trained by `scripts/pretrain_builtin.py` to tell apart pictures that the script itself
generates (`transfer.builtin.pictures`); it has never seen a photograph. It is there so that the
workbench works without any download, and so that tests and demonstrations run on real weights.
Backbones trained on ImageNet do better: choose one of them wherever its weights can be had.

    layer                                    width    of the picture's size
    stem_conv, stem_bn, stem_relu               16    1/2
    stage1_block1_conv1 ... stage1_block1_out   16    1/2
    stage2_block1_conv1 ... stage2_block1_out   48    1/4
    stage3_block1_conv1 ... stage3_block1_out  128    1/8
    stage4_block1_conv1 ... stage4_block1_out  256    1/16

Pictures go in as RGB in [-1, 1] (mode "tf" of `keras.applications.imagenet_utils`).
"""

from pathlib import Path
from typing import cast

import keras
import numpy as np
from keras import layers

from transfer.errors import BackboneError

INPUT_SIZE: int = 128
FEATURE_DIM: int = 256
STAGES: tuple[str, ...] = (
    "stem_relu",
    "stage1_block1_out",
    "stage2_block1_out",
    "stage3_block1_out",
    "stage4_block1_out",
)
"""The last layer of the stem and of each stage, from the picture upwards."""

WEIGHTS_PATH: Path = Path(__file__).with_name("builtin.weights.npz")

_STEM_WIDTH = 16
_STAGES = ((16, 1), (48, 1), (128, 1), (FEATURE_DIM, 1))
"""Width and number of blocks of each stage."""


def build(
    input_shape: tuple[int | None, int | None, int] = (INPUT_SIZE, INPUT_SIZE, 3),
) -> keras.Model:
    """Return the network with random weights, from a picture in [-1, 1] to its last feature map.

    Args:
        input_shape: Height, width and 3; either size may be None. Defaults to 128 x 128.

    Returns:
        A model without a top, whose output is [n, height / 16, width / 16, 256].
    """
    inputs = cast(keras.KerasTensor, keras.Input(input_shape, name="picture"))
    x = _convolution(inputs, _STEM_WIDTH, "stem", stride=2)
    x = layers.ReLU(name="stem_relu")(x)
    for stage, (width, blocks) in enumerate(_STAGES, start=1):
        for block in range(1, blocks + 1):
            stride = 2 if stage > 1 and block == 1 else 1
            x = _block(x, width, stride, f"stage{stage}_block{block}")
    return keras.Model(inputs, x, name="builtin")


def build_pretrained(
    input_shape: tuple[int | None, int | None, int] = (INPUT_SIZE, INPUT_SIZE, 3),
    weights_path: Path = WEIGHTS_PATH,
) -> keras.Model:
    """Return the network of `build` with the weights of the repository."""
    model = build(input_shape)
    load(model, weights_path)
    return model


def load(model: keras.Model, weights_path: Path = WEIGHTS_PATH) -> None:
    """Give the network the weights of a file, layer by layer, by name.

    Raises:
        BackboneError: The file is missing, or belongs to another network.
    """
    if not weights_path.is_file():
        raise BackboneError(
            f"Expected the built-in backbone's weights in {weights_path}, found no such file; "
            "make them with: python -m scripts.pretrain_builtin"
        )
    with np.load(weights_path) as stored:
        expected = _variables(model)
        if set(stored.files) != set(expected) or any(
            stored[name].shape != tuple(variable.shape) for name, variable in expected.items()
        ):
            raise BackboneError(
                f"Expected the weights of the built-in backbone in {weights_path}, found those of "
                "another network; make them anew with: python -m scripts.pretrain_builtin"
            )
        for name, variable in expected.items():
            variable.assign(stored[name].astype(np.float32))


def save(model: keras.Model, weights_path: Path) -> None:
    """Write the weights: kernels in half precision, the few others in single precision."""
    arrays = {
        name: np.asarray(keras.ops.convert_to_numpy(variable))
        for name, variable in _variables(model).items()
    }
    halved = {
        name: array.astype(np.float16 if array.ndim > 1 else np.float32)
        for name, array in arrays.items()
    }
    np.savez(weights_path, allow_pickle=False, **halved)


def _variables(model: keras.Model) -> dict[str, keras.Variable]:
    return {
        f"{layer.name}/{variable.name}": variable
        for layer in model.layers
        for variable in layer.weights
    }


def _convolution(
    x: keras.KerasTensor, width: int, name: str, stride: int = 1, kernel: int = 3, tag: str = ""
) -> keras.KerasTensor:
    x = layers.Conv2D(
        width,
        kernel,
        strides=stride,
        padding="same",
        use_bias=False,
        kernel_initializer="he_normal",
        name=f"{name}_conv{tag}",
    )(x)
    return layers.BatchNormalization(momentum=0.95, epsilon=1e-3, name=f"{name}_bn{tag}")(x)


def _block(x: keras.KerasTensor, width: int, stride: int, name: str) -> keras.KerasTensor:
    """Two 3x3 convolutions beside a shortcut (ResNet-D: pooled, then 1x1, where sizes differ)."""
    y = _convolution(x, width, name, stride=stride, tag="1")
    y = layers.ReLU(name=f"{name}_relu1")(y)
    y = _convolution(y, width, name, tag="2")
    if stride > 1:
        x = layers.AveragePooling2D(2, padding="same", name=f"{name}_shortcut_pool")(x)
    if x.shape[-1] != width:
        x = _convolution(x, width, f"{name}_shortcut", kernel=1)
    return layers.ReLU(name=f"{name}_out")(layers.Add(name=f"{name}_add")([x, y]))
