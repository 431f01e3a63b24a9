"""The augmentation of an earlier version, as it was: what the two levels must go on doing.

Runs that were begun with it go on, and its results were measured.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import tensorflow as tf

# RandAugment (arXiv 1909.13719) and its largest strengths. All of them are moderate: the paper's
# solarize and equalize are left out, for they change what is bright and what is dark.
OPERATIONS = {
    "identity": 0.0,
    "rotate": np.pi / 15,  # 12 degrees either way
    "shear_x": 0.12,
    "shear_y": 0.12,
    "shift_x": 0.12,  # share of the side
    "shift_y": 0.12,
    "brightness": 0.3,  # relative, and so are the next two
    "contrast": 0.3,
    "saturation": 0.3,
    "sharpness": 0.9,  # -1 would be a 3 x 3 blur
    "posterize": 1.0,  # 6, 5 or 4 bits a channel
}
ERASED_AREA = (0.02, 0.2)  # share of the picture
ERASED_ASPECT = 2.0  # the longer side of an erased part by its shorter one, at most

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601; they add up to 1
_PLACE, _COLOUR, _OPERATIONS, _ERASE = range(4)  # each part draws from a stream of its own

Operations = dict[str, tf.Tensor]  # name -> float32 [n], 0 where the picture does not have it


@dataclass(frozen=True)
class Augmentation:
    """What may be changed, and how far.

    "light" crops, mirrors, turns and recolours; "strong" does that, then two operations of
    RandAugment, then random erasing.

    Attributes:
        level: "light" or "strong".
        mirror: half of the pictures are mirrored left to right.
        turn: each picture is turned by none, one, two or three quarter turns.
        smallest_crop: least share of each side that is kept. 0.84 keeps 70 % of the area, and the
            proportions of things change by 1 / 0.84 at most.
        colour: largest relative change of brightness, contrast and saturation.
        erasing: share of pictures of which a part is erased (strong only).
        operations: how many operations of RandAugment each picture gets (strong only).
    """

    level: Literal["light", "strong"] = "light"
    mirror: bool = True
    turn: bool = False
    smallest_crop: float = 0.84
    colour: float = 0.2
    erasing: float = 0.25
    operations: int = 2


def augment(batch: tf.Tensor, settings: Augmentation, seed: tf.Tensor) -> tf.Tensor:
    """Change each picture of a batch by itself.

    Small rotations, shears and shifts of the strong level are filled by reflection at the edge.
    Grey pictures stay grey.

    Args:
        batch: float32 [n, size, size, 3] in 0-255.
        settings: what may be changed, and how far.
        seed: int64 [2]; the same seed gives the same changes.

    Returns:
        float32, the same shape, clipped to 0-255.
    """
    n, strong = tf.shape(batch)[0], settings.level == "strong"
    drawn = _operations(n, settings.operations if strong else 0, seed)
    # One resampling and one pass over the colours, whatever was drawn: they cost the most.
    transforms = _placement(tf.shape(batch)[1], drawn, settings, seed)
    batch = (_project if strong or settings.turn else _crop)(batch, transforms)
    if strong:
        # Before the colours: rounding may not send equal channels to different steps.
        batch = _change_some(batch, drawn["posterize"], _posterize)
        batch = _change_some(batch, drawn["sharpness"], _sharpen)
    factors = 1 + settings.colour * (2 * _uniform(n, 3, seed, _COLOUR) - 1)
    batch = _recolour(
        batch,
        factors[:, 0] * (1 + drawn["brightness"]),
        factors[:, 1] * (1 + drawn["contrast"]),
        factors[:, 2] * (1 + drawn["saturation"]),
    )
    batch = tf.clip_by_value(batch, 0.0, 255.0)
    if strong:
        batch = _erase(batch, settings.erasing, seed)
    return batch


def mirrored(batch: np.ndarray) -> np.ndarray:
    """Return pictures [n, height, width, 3] of any type, mirrored left to right."""
    return batch[:, :, ::-1]


def turned(batch: np.ndarray, quarter_turns: int) -> np.ndarray:
    """Return pictures [n, height, width, 3] of any type, turned counter-clockwise."""
    return np.rot90(batch, quarter_turns, axes=(1, 2))


def _uniform(n: tf.Tensor, columns: int, seed: tf.Tensor, part: int) -> tf.Tensor:
    """Return float32 [n, columns] in [0, 1), another stream for each part."""
    own = tf.random.experimental.stateless_fold_in(seed, part)
    return tf.random.stateless_uniform(tf.stack([n, columns]), own)


def _operations(n: tf.Tensor, count: int, seed: tf.Tensor) -> Operations:
    """Draw `count` different operations for each picture, and their strengths.

    Different ones, so that two small rotations never make a large one.
    """
    size = len(OPERATIONS)
    draws = _uniform(n, 2 * size, seed, _OPERATIONS)
    rank = tf.argsort(tf.argsort(draws[:, :size], axis=1), axis=1)
    strengths = (2 * draws[:, size:] - 1) * np.array(list(OPERATIONS.values()), np.float32)
    strengths = tf.where(rank < count, strengths, 0.0)
    return dict(zip(OPERATIONS, tf.unstack(strengths, axis=1), strict=True))


def _placement(
    size: tf.Tensor, drawn: Operations, settings: Augmentation, seed: tf.Tensor
) -> tf.Tensor:
    """Merge all that moves pixels into one affine map for each picture.

    Returns:
        float32 [n, 6], rows (a, b, c, d, e, f): the pixel at column x and row y of the result is
        taken from column a x + b y + c and row d x + e y + f.
    """
    angle = drawn["rotate"]
    n, one = tf.shape(angle)[0], tf.ones_like(angle)
    draws = _uniform(n, 6, seed, _PLACE)
    last = tf.cast(size - 1, tf.float32)
    kept = settings.smallest_crop + (1 - settings.smallest_crop) * draws[:, :2]  # width, height
    shifts = tf.stack([drawn["shift_x"], drawn["shift_y"]], 1)
    middle = last * (0.5 + (draws[:, 2:4] - 0.5) * (1 - kept) + shifts)
    cosine, sine = tf.cos(angle), tf.sin(angle)
    linear = _matrix(cosine, -sine, sine, cosine)
    linear @= _matrix(one, drawn["shear_x"], drawn["shear_y"], one)
    if settings.turn:
        quarter = tf.cast(4 * draws[:, 4], tf.int32)
        cosine, sine = tf.gather([1.0, 0, -1, 0], quarter), tf.gather([0.0, 1, 0, -1], quarter)
        linear @= _matrix(cosine, -sine, sine, cosine)
    if settings.mirror:
        side = tf.where(draws[:, 5] < 0.5, -one, one)
        linear @= _matrix(side, 0 * one, 0 * one, one)
    linear = kept[:, :, None] * linear
    # The middle of the result, last / 2, is taken from the middle of the crop.
    offset = middle - tf.reduce_sum(linear, axis=2) * last / 2
    return tf.reshape(tf.concat([linear, offset[:, :, None]], axis=2), [n, 6])


def _matrix(a: tf.Tensor, b: tf.Tensor, c: tf.Tensor, d: tf.Tensor) -> tf.Tensor:
    return tf.reshape(tf.stack([a, b, c, d], axis=1), [-1, 2, 2])


def _project(batch: tf.Tensor, transforms: tf.Tensor) -> tf.Tensor:
    """Resample by the affine maps of `_placement`, reflecting at the edges."""
    moved = tf.raw_ops.ImageProjectiveTransformV3(
        images=batch,
        transforms=tf.pad(transforms, [[0, 0], [0, 2]]),
        output_shape=tf.shape(batch)[1:3],
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="REFLECT",
    )
    return tf.ensure_shape(moved, batch.shape)


def _crop(batch: tf.Tensor, transforms: tf.Tensor) -> tf.Tensor:
    """Do the same where nothing but cropping and mirroring was drawn, at a fifth of the cost."""
    last = tf.cast(tf.shape(batch)[1] - 1, tf.float32)
    left, top = transforms[:, 2] / last, transforms[:, 5] / last
    # A box from right to left mirrors the picture.
    boxes = tf.stack([top, left, top + transforms[:, 4], left + transforms[:, 0]], axis=1)
    numbers = tf.range(tf.shape(batch)[0])
    cropped = tf.image.crop_and_resize(batch, boxes, numbers, tf.shape(batch)[1:3])
    return tf.ensure_shape(cropped, batch.shape)


def _change_some(
    batch: tf.Tensor,
    strengths: tf.Tensor,
    change: Callable[[tf.Tensor, tf.Tensor], tf.Tensor],
) -> tf.Tensor:
    """Apply `change` to the pictures whose strength is not 0; each change costs a few passes."""
    rows = tf.where(strengths != 0)
    some = tf.reshape(tf.gather_nd(strengths, rows), [-1, 1, 1, 1])
    return tf.tensor_scatter_nd_update(batch, rows, change(tf.gather_nd(batch, rows), some))


def _posterize(batch: tf.Tensor, strengths: tf.Tensor) -> tf.Tensor:
    """Round values down to multiples of 4, 8 or 16."""
    step = 2.0 ** tf.floor(2 + 3 * tf.abs(strengths))
    return tf.floor(batch / step) * step


def _sharpen(batch: tf.Tensor, strengths: tf.Tensor) -> tf.Tensor:
    """Move values away from the mean of their neighbours, or towards it where negative."""
    return batch + strengths * (batch - tf.nn.avg_pool2d(batch, 3, 1, "SAME"))


def _recolour(
    batch: tf.Tensor, brightness: tf.Tensor, contrast: tf.Tensor, saturation: tf.Tensor
) -> tf.Tensor:
    """Multiply the mean, the distance from it and the distance from grey by factors [n]."""
    shape = tf.shape(batch)
    pixels = tf.reshape(batch, [shape[0], shape[1] * shape[2], 3])
    mean = tf.reduce_sum(tf.reduce_mean(pixels, axis=1) * _LUMA, axis=1, keepdims=True)
    saturation = saturation[:, None, None]
    towards_grey = (1 - saturation) * _LUMA[:, None]  # [n, 3, 1]: each channel gets the luma
    matrix = contrast[:, None, None] * (saturation * np.eye(3, dtype=np.float32) + towards_grey)
    offset = (brightness - contrast)[:, None] * mean
    return tf.reshape(pixels @ matrix + offset[:, :, None], shape)


def _erase(batch: tf.Tensor, share: float, seed: tf.Tensor) -> tf.Tensor:
    """Fill a rectangle of a share of the pictures with their mean colour (arXiv 1708.04896)."""
    n, size = tf.shape(batch)[0], tf.shape(batch)[1]
    draws = _uniform(n, 5, seed, _ERASE)
    area = ERASED_AREA[0] + (ERASED_AREA[1] - ERASED_AREA[0]) * draws[:, 1]
    aspect = tf.pow(ERASED_ASPECT, 2 * draws[:, 2] - 1)
    sides = tf.sqrt(tf.stack([area * aspect, area / aspect], axis=1))
    starts = draws[:, 3:] * (1 - sides)
    rows = tf.where(draws[:, 0] < share)
    places = tf.cast(tf.range(size), tf.float32) / tf.cast(size, tf.float32)
    low = tf.gather_nd(starts, rows)[:, :, None]
    high = low + tf.gather_nd(sides, rows)[:, :, None]
    inside = (places >= low) & (places < high)  # [erased, 2, size]: by rows, by columns
    mask = inside[:, 0, :, None, None] & inside[:, 1, None, :, None]
    some = tf.gather_nd(batch, rows)
    filled = tf.where(mask, tf.reduce_mean(some, axis=[1, 2], keepdims=True), some)
    return tf.tensor_scatter_nd_update(batch, rows, filled)
