"""Where each pixel of a changed picture is taken from: one affine map and one resampling."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from transfer.augmentation import draws
from transfer.augmentation.draws import Operations
from transfer.changes import Amounts

_DEGREE = np.float32(np.pi / 180)


def mirrored(batch: np.ndarray) -> np.ndarray:
    """Return pictures [n, height, width, 3] of any type, mirrored left to right."""
    return batch[:, :, ::-1]


def turned(batch: np.ndarray, quarter_turns: int) -> np.ndarray:
    """Return pictures [n, height, width, 3] of any type, turned counter-clockwise."""
    return np.rot90(batch, quarter_turns, axes=(1, 2))


def straight(far: Amounts, turn: bool) -> bool:
    """Whether all that moves pixels keeps rows rows and columns columns, and stays inside."""
    tilted = far.rotation or far.shear or far.translation or far.lens or far.randaugment
    return not (tilted or turn)


def maps(
    size: int | tf.Tensor,
    drawn: Operations,
    far: Amounts,
    flips: tuple[bool, bool],
    seed: tf.Tensor,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Merge all that moves pixels into one affine map for each picture.

    Args:
        size: side of the pictures, in pixels.
        drawn: what RandAugment does.
        far: how far the rest goes.
        flips: whether pictures may be mirrored left to right, and turned by quarter turns.
        seed: int64 [2].

    Returns:
        float32 [n, 6], rows (a, b, c, d, e, f): the pixel at column x and row y of the result is
        taken from column a x + b y + c and row d x + e y + f; and float32 [n], how much larger
        things are than they were.
    """
    angle = drawn["rotate"]
    n, one = tf.shape(angle)[0], tf.ones_like(angle)
    drew, more = draws.uniform(n, 6, seed, draws.PLACE), draws.uniform(n, 8, seed, draws.MORE_PLACE)
    last = tf.cast(size - 1, tf.float32)
    smallest = 1 - far.crop
    kept = smallest + (1 - smallest) * drew[:, :2]  # width, height
    kept = _scaled(kept, far, more)
    shifts = tf.stack([drawn["shift_x"], drawn["shift_y"]], 1)
    shear_x, shear_y = drawn["shear_x"], drawn["shear_y"]
    if far.translation:
        shifts += far.translation * (2 * more[:, 2:4] - 1)
    if far.rotation:
        angle += far.rotation * _DEGREE * (2 * more[:, 4] - 1)
    if far.shear:
        # One of the two sides, for both at once would rotate.
        slant = tf.tan(far.shear * _DEGREE * (2 * more[:, 5] - 1))
        shear_x += tf.where(more[:, 6] < 0.5, slant, 0.0)
        shear_y += tf.where(more[:, 6] < 0.5, 0.0, slant)
    middle = last * (0.5 + (drew[:, 2:4] - 0.5) * (1 - kept) + shifts)
    cosine, sine = tf.cos(angle), tf.sin(angle)
    linear = _matrix(cosine, -sine, sine, cosine)
    linear @= _matrix(one, shear_x, shear_y, one)
    mirror, turn = flips
    if turn:
        quarter = tf.cast(4 * drew[:, 4], tf.int32)
        cosine, sine = tf.gather([1.0, 0, -1, 0], quarter), tf.gather([0.0, 1, 0, -1], quarter)
        linear @= _matrix(cosine, -sine, sine, cosine)
    if mirror:
        side = tf.where(drew[:, 5] < 0.5, -one, one)
        linear @= _matrix(side, 0 * one, 0 * one, one)
    if far.upside_down:
        side = tf.where(more[:, 7] < 0.5, -one, one)
        linear @= _matrix(one, 0 * one, 0 * one, side)
    linear = kept[:, :, None] * linear
    # The middle of the result, last / 2, is taken from the middle of the crop.
    offset = middle - tf.reduce_sum(linear, axis=2) * last / 2
    affine = tf.reshape(tf.concat([linear, offset[:, :, None]], axis=2), [n, 6])
    return affine, tf.math.rsqrt(kept[:, 0] * kept[:, 1])


def lenses(n: tf.Tensor, strength: float, seed: tf.Tensor) -> tf.Tensor | None:
    """Draw how far each picture is bent, float32 [n]: barrel above 0, pincushion below; or none."""
    return strength * (2 * draws.uniform(n, 1, seed, draws.LENS)[:, 0] - 1) if strength else None


def crop(batch: tf.Tensor, transforms: tf.Tensor, size: int | tf.Tensor) -> tf.Tensor:
    """Do as `project` where `straight`, at a fifth of the cost."""
    last = tf.cast(tf.shape(batch)[1] - 1, tf.float32)
    left, top = transforms[:, 2] / last, transforms[:, 5] / last
    steps = tf.cast(size - 1, tf.float32) / last
    # A box from right to left mirrors the picture.
    bottom, right = top + transforms[:, 4] * steps, left + transforms[:, 0] * steps
    boxes = tf.stack([top, left, bottom, right], axis=1)
    return tf.image.crop_and_resize(
        batch, boxes, tf.range(tf.shape(batch)[0]), tf.stack([size, size])
    )


def project(
    batch: tf.Tensor, transforms: tf.Tensor, bent: tf.Tensor | None, size: int | tf.Tensor
) -> tf.Tensor:
    """Resample by the affine maps of `maps`, reflecting at the edges.

    Args:
        batch: float32 [n, side, side, 3].
        transforms: float32 [n, 6].
        bent: of `lenses`.
        size: side of the result, in pixels.
    """
    if bent is not None:
        rows, columns = _bent(size, bent)
        a, b, c, d, e, f = tf.unstack(transforms[:, :, None, None], axis=1)
        return _sample(batch, d * columns + e * rows + f, a * columns + b * rows + c)
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=batch,
        transforms=tf.pad(transforms, [[0, 0], [0, 2]]),
        output_shape=tf.stack([size, size]),
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="REFLECT",
    )


def sharply(
    held: tf.Tensor,
    transforms: tf.Tensor,
    larger: tf.Tensor,
    size: int,
    moved: Callable[[tf.Tensor, tf.Tensor], tf.Tensor],
) -> tf.Tensor:
    """Resample pictures that are held at a larger side, so that enlarged parts are sharp.

    Between the picture at the network's side and the picture as it is held, as between two levels
    of a mipmap: the larger the part, the more of the finer one (trilinear filtering).

    Args:
        held: float32 [n, side, side, 3], side > size.
        transforms: of `maps` for `size`.
        larger: float32 [n], of `maps`.
        size: side of the result, in pixels.
        moved: `crop` or `project`, from pictures and transforms to pictures of that side.
    """
    coarse = tf.image.resize(held, [size, size], antialias=True)
    ratio = tf.cast(tf.shape(held)[1], tf.float32) / tf.cast(size, tf.float32)
    # Pixel x of the coarse picture has its middle at (x + 0.5) ratio - 0.5 of the fine one.
    finer = transforms * ratio + np.array([0, 0, 1, 0, 0, 1], np.float32) * (0.5 * ratio - 0.5)
    share = tf.clip_by_value(tf.math.log(larger) / tf.math.log(ratio), 0.0, 1.0)
    share = share[:, None, None, None]
    low, high = moved(coarse, transforms), moved(held, finer)
    return low + share * (high - low)


def _bent(size: int | tf.Tensor, strengths: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Return (rows, columns), float32 [n, size, size], from which a lens takes each pixel.

    The distance r from the middle, 1 at the middle of a side, is taken from r (1 + k r²) / (1 + k),
    and for a negative k from r (1 + |k|) / (1 + |k| r²), the division model (Fitzgibbon 2001):
    neither folds, and both leave the middle of the picture and of its sides where they are.
    """
    half = tf.cast(size - 1, tf.float32) / 2
    place = (tf.cast(tf.range(size), tf.float32) - half) / half
    square = place[:, None] ** 2 + place[None] ** 2
    k = tf.abs(strengths)[:, None, None]
    factor = (1 + k * square) / (1 + k)
    factor = tf.where(strengths[:, None, None] < 0, 1 / factor, factor)
    return half + half * factor * place[:, None], half + half * factor * place[None]


def _scaled(kept: tf.Tensor, far: Amounts, more: tf.Tensor) -> tf.Tensor:
    """Shrink the kept shares [n, 2] (width, height) for ResNet's crop and for stretching."""
    if far.scale > 1:
        kept /= 1 + (far.scale - 1) * more[:, :1]
    if far.stretching > 1:
        # From 1 / stretching to stretching; one side stays, the other is cut.
        aspect = tf.pow(far.stretching, 2 * more[:, 1] - 1)
        kept *= tf.minimum(tf.stack([1 / aspect, aspect], axis=1), 1.0)
    return kept


def _matrix(a: tf.Tensor, b: tf.Tensor, c: tf.Tensor, d: tf.Tensor) -> tf.Tensor:
    return tf.reshape(tf.stack([a, b, c, d], axis=1), [-1, 2, 2])


def _sample(batch: tf.Tensor, rows: tf.Tensor, columns: tf.Tensor) -> tf.Tensor:
    """Return pictures at places [n, size, size], bilinear, reflected at the edges."""
    n, size = tf.shape(batch)[0], tf.shape(batch)[1]
    last = tf.cast(size - 1, tf.float32)
    rows, columns = _reflected(rows, last), _reflected(columns, last)
    flat = tf.reshape(batch, [n * size * size, 3])
    starts = (tf.range(n) * size * size)[:, None, None]

    def at(row: tf.Tensor, column: tf.Tensor) -> tf.Tensor:
        return tf.gather(flat, starts + tf.cast(row, tf.int32) * size + tf.cast(column, tf.int32))

    top, left = tf.floor(rows), tf.floor(columns)
    bottom, right = tf.minimum(top + 1, last), tf.minimum(left + 1, last)
    down, across = (rows - top)[..., None], (columns - left)[..., None]
    upper = (1 - across) * at(top, left) + across * at(top, right)
    lower = (1 - across) * at(bottom, left) + across * at(bottom, right)
    return (1 - down) * upper + down * lower


def _reflected(places: tf.Tensor, last: tf.Tensor) -> tf.Tensor:
    """Bring places into [0, last], mirrored at the outer edge of the outermost pixels."""
    period = 2 * (last + 1)
    folded = tf.math.floormod(places + 0.5, period)
    return tf.clip_by_value(tf.minimum(folded, period - folded) - 0.5, 0.0, last)
