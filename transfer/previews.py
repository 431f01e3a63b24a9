"""Training pictures as the network sees them, plain and changed: for a person to look at."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from transfer import augmentation as augmenting
from transfer import batches
from transfer.augmentation import Augmentation, mixing
from transfer.catalog import BackboneSpec
from transfer.dataset.index import ImageIndex

_COLOURS_OF = 200  # pictures
_WHOLE = "The whole picture is stretched to {0} x {0} pixels; nothing is cut away."
_PREPROCESSING = {
    "tf": "The values, 0 to 255, then go from -1 to 1.",
    "torch": "The values, 0 to 255, then go from 0 to 1; from each colour the mean of ImageNet is"
    " taken away, and what is left is divided by its spread there.",
    "caffe": "The colours then come in the order blue, green, red, and from each value, 0 to 255,"
    " the mean of ImageNet is taken away.",
    "none": "The values stay 0 to 255: the network itself does the rest.",
}


@dataclass(frozen=True)
class Grid:
    """Some pictures, side by side.

    `plain` and `augmented` are uint8 [n, image_size, image_size, 3] in 0-255: what enters the
    network's own preprocessing (see `preprocessing`). `labels` float32 [n, classes] are those that
    the augmented pictures are learned with: mixed where the pictures are.
    """

    plain: np.ndarray
    augmented: np.ndarray
    labels: np.ndarray


def grid(
    index: ImageIndex,
    positions: Sequence[int],
    image_size: int,
    augmentation: Augmentation | None,
    seed: int,
    learned: Sequence[int] = (),
) -> Grid:
    """Return pictures of a data set as a training with these settings would see them.

    Args:
        index: the data set.
        positions: of the pictures to show.
        image_size: side of the network's input, in pixels.
        augmentation: what is changed; None: nothing.
        seed: the same seed gives the same changes, another one others.
        learned: the positions that are trained on, whose colours PCA colour goes by; else those
            that are shown.
    """
    paths = [index.path(index.pictures[i]) for i in positions]
    numbers = index.class_numbers()[np.asarray(positions)]
    labels = np.eye(len(index.classes), dtype=np.float32)[numbers]
    plain = batches.loaded(paths, image_size)
    if augmentation is None:
        return Grid(plain, plain, labels)
    far, held = augmentation.amounts, augmentation.held_size(image_size)
    axes = _components(index, learned or positions, image_size) if far.pca_colour else None
    pictures = batches.loaded(paths, held) if held != image_size else plain
    key = batches.seed_of(seed)
    with tf.device("CPU"):
        values = tf.constant(pictures, tf.float32)
        values = augmenting.augment(values, augmentation, key, axes, image_size)
        if far.mixes:
            mix = mixing.draw(tf.constant(len(paths)), image_size, far, key)
            values = mixing.mixed(values, mix)
            own = tf.constant(labels)
            labels = mixing.labels(own, mixing.partners(own), mix.shares).numpy()
        changed = tf.saturate_cast(tf.round(values), tf.uint8).numpy()
    return Grid(plain, changed, labels)


def preprocessing(spec: BackboneSpec, image_size: int) -> str:
    """Say what happens to a picture between its file and the first layer of a network."""
    return f"{_WHOLE.format(image_size)} {_PREPROCESSING[spec.preprocessing]}"


def _components(index: ImageIndex, positions: Sequence[int], image_size: int) -> np.ndarray:
    places = np.unique(np.linspace(0, len(positions) - 1, _COLOURS_OF).astype(int))
    paths = [index.path(index.pictures[positions[i]]) for i in places]
    return augmenting.components(batches.loaded(paths, image_size))
