"""The one path from a picture's bytes to the network's input size, inside TensorFlow graphs.

Training, evaluation and the exported model all go through these functions. They give the same
pixels as `dataset.decode`, which reads more formats but needs Pillow: upright (EXIF), transparent
parts on white, very large pictures reduced by whole factors.
"""

import functools
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from transfer.dataset.decode import REDUCE_FROM

_EXIF_SEARCHED = 65536  # bytes; the EXIF segment of a JPEG file lies at its start


def decode(data: tf.Tensor) -> tf.Tensor:
    """Decode one JPEG, PNG, GIF (first frame), BMP or WebP file.

    What could be read only in another way than `dataset.decode` does is refused.

    Args:
        data: string scalar, the bytes of the file.

    Returns:
        uint8 [height, width, 3], RGB, upright.

    Raises:
        tf.errors.InvalidArgumentError: it is damaged, or of a kind that is not read.
    """
    start = tf.strings.substr(data, 0, 4)
    kinds: list[tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]] = [
        (tf.equal(tf.strings.substr(start, 0, 3), b"\xff\xd8\xff"), _decode_jpeg),
        (tf.equal(start, b"\x89PNG"), _decode_png),
        (tf.equal(start, b"GIF8"), _decode_gif),
        (tf.equal(start, b"RIFF"), _decode_webp),
        (tf.equal(tf.strings.substr(start, 0, 2), b"BM"), _decode_bmp),
    ]
    pixels = tf.case(
        [(known, functools.partial(way, data)) for known, way in kinds],
        default=lambda: _refused(data),
    )
    pixels = _reduce(tf.ensure_shape(pixels, [None, None, 3]))
    return tf.ensure_shape(pixels, [None, None, 3])


def resizer(image_size: int, name: str = "resize") -> keras.layers.Layer:
    """Return the layer that brings pictures to [image_size, image_size, 3].

    Bilinear with antialiasing, the aspect ratio not kept: nothing of the picture is cut away.
    """
    return keras.layers.Resizing(
        image_size, image_size, interpolation="bilinear", antialias=True, name=name
    )


def decode_and_resize(data: tf.Tensor, image_size: int) -> tf.Tensor:
    """Return uint8 [image_size, image_size, 3] for the bytes of one picture.

    The resized values are rounded, as the models of `backbones.classifier` do with theirs.
    """
    return resize(decode(data), image_size)


def resize_stored(data: tf.Tensor, image_size: int) -> tf.Tensor:
    """Do the same for a picture of the store: an upright PNG file in RGB, of no size to reduce."""
    return resize(tf.io.decode_png(data, channels=3), image_size)


def resize(pixels: tf.Tensor, image_size: int) -> tf.Tensor:
    """Return uint8 [..., image_size, image_size, 3] of a picture or several of one size, 0-255.

    As `resizer` does, and four times as fast where a picture grows: there is nothing to smooth, so
    both weigh the same pixels alike. But the last digits of the sums differ, and one value in a
    thousand, halfway between two whole numbers, is rounded the other way. So all that answers for
    pictures comes through here.
    """
    size = [image_size, image_size]

    def resized(antialias: bool) -> tf.Tensor:
        return tf.image.resize(pixels, size, method="bilinear", antialias=antialias)

    grows = tf.reduce_max(tf.shape(pixels)[-3:-1]) <= image_size
    values = tf.cond(grows, lambda: resized(antialias=False), lambda: resized(antialias=True))
    return tf.saturate_cast(tf.round(values), tf.uint8)


def _decode_jpeg(data: tf.Tensor) -> tf.Tensor:
    # Pillow uses the accurate transform too; TensorFlow's default is the fast one.
    pixels = tf.io.decode_jpeg(data, channels=3, dct_method="INTEGER_ACCURATE")
    header = tf.strings.substr(data, 0, _EXIF_SEARCHED)
    return _turn_upright(pixels, _orientation(header, b"Exif\0\0"))


def _decode_png(data: tf.Tensor) -> tf.Tensor:
    commented = tf.size(_parts(data, b"Raw profile type exif")) > 1
    plain = ~commented | (tf.size(_parts(data, b"eXIf")) > 1)
    data = _only(data, plain, "PNG files with EXIF in a comment")
    rgba = tf.cast(tf.io.decode_png(data, channels=4), tf.int32)
    # Of under 8 bits (in IHDR, the first chunk) what is opaque gets alpha 1, 3 or 15.
    opaque = (_number(data, 24, 1) < 8) & tf.equal(tf.size(_parts(data, b"tRNS")), 1)
    pixels = _on_white(rgba[..., :3], tf.where(opaque, 255, rgba[..., 3:]))
    return _turn_upright(pixels, _orientation(data, b"eXIf"))


def _decode_webp(data: tf.Tensor) -> tf.Tensor:
    frames = tf.cast(tf.io.decode_webp(data, channels=0), tf.int32)  # with or without alpha
    shape = tf.shape(frames)[-3:]
    first: Any = tf.reshape(frames, tf.concat([[-1], shape], 0))[0]
    both: Any = tf.concat([first[..., 3:], tf.fill([shape[0], shape[1], 1], 255)], -1)
    return _turn_upright(_on_white(first[..., :3], both[..., :1]), _orientation(data, b"EXIF"))


def _decode_gif(data: tf.Tensor) -> tf.Tensor:
    """Decode the first frame where it has no transparent parts and fills the whole picture."""
    flags = _number(data, 10, 1)  # GIF89a, 18: of the logical screen
    colours = tf.where(flags >= 128, 3 * tf.bitwise.left_shift(2, flags & 7), 0)

    def after_block(at: tf.Tensor) -> tf.Tensor:
        whole = tf.while_loop(
            lambda one: _number(data, one, 1) > 0,
            lambda one: [one + 1 + _number(data, one, 1)],
            [at],
        )
        return whole[0] + 1

    def extension(at: tf.Tensor, transparent: tf.Tensor) -> list[tf.Tensor]:
        control = tf.equal(_number(data, at + 1, 1), 0xF9)  # the flags are its fourth byte
        found = control & ((_number(data, at + 3, 1) & 1) > 0)
        return [after_block(at + 2), transparent | found]

    at, transparent = tf.while_loop(
        lambda one, _: tf.equal(_number(data, one, 1), 0x21), extension, [13 + colours, False]
    )
    data = _only(data, ~transparent, "GIF files with transparent parts")
    screen = [_number(data, 6, 2), _number(data, 8, 2)]
    frame = [_number(data, at + 5, 2), _number(data, at + 7, 2)]
    whole = tf.reduce_all(tf.equal(screen, frame))
    data = _only(data, whole, "GIF files whose first frame is a part of it")
    return tf.io.decode_image(data, channels=3, expand_animations=False)


def _decode_bmp(data: tf.Tensor) -> tf.Tensor:
    """Decode a BMP in true colour or in grey; TensorFlow does not read palettes."""
    depth, packed = _number(data, 28, 2), _number(data, 30, 4)
    plain = tf.equal(packed, 0) & (depth >= 8)
    data = _only(data, plain, "BMP files that are packed or in few colours")
    start, end = 14 + _number(data, 14, 4), _number(data, 10, 4)
    palette = tf.reshape(_values(tf.strings.substr(data, start, (end - start) // 4 * 4)), [-1, 4])
    grey = tf.reduce_all(tf.equal(palette[:, :3], tf.range(tf.shape(palette)[0])[:, tf.newaxis]))
    data = _only(data, (depth > 8) | grey, "BMP files with a palette of colours")
    return tf.io.decode_image(data, channels=3, expand_animations=False)


def _refused(data: tf.Tensor) -> tf.Tensor:
    _only(data, tf.strings.length(data) < 0, "files that are no JPEG, PNG, GIF, BMP or WebP")
    return tf.zeros([1, 1, 3], tf.uint8)


def _only(data: tf.Tensor, condition: tf.Tensor, what: str) -> tf.Tensor:
    """Return the data, refusing them unless the condition holds: no answer rather than another one.

    What reads them waits for that: else TensorFlow's own error may come before these words.
    """
    words = f"This model does not read {what}. Save the picture as JPEG and try again."
    holds = tf.debugging.Assert(condition, [tf.constant(words)], summarize=1)
    with tf.control_dependencies([holds] if holds is not None else []):
        return tf.identity(data)


def _on_white(rgb: tf.Tensor, alpha: tf.Tensor) -> tf.Tensor:
    """Composite int32 [h, w, 3] with its alpha [h, w, 1] on white, rounded to the nearest."""
    return tf.cast((rgb * alpha + 255 * (255 - alpha) + 127) // 255, tf.uint8)


def _values(data: tf.Tensor) -> tf.Tensor:
    return tf.cast(tf.io.decode_raw(data, tf.uint8), tf.int32)


def _number(data: tf.Tensor, at: tf.Tensor | int, size: int) -> tf.Tensor:
    """Return the number (int32 scalar) of so many bytes, the lowest first, at one place."""
    values = tf.ensure_shape(_values(tf.strings.substr(data, at, size)), [size])
    return tf.reduce_sum(values * [256**i for i in range(size)])


def _parts(data: tf.Tensor, mark: bytes) -> tf.Tensor:
    """Return what stands before, between and after each occurrence of `mark`, string [n]."""
    return tf.strings.split(data[tf.newaxis], mark).values


def _orientation(data: tf.Tensor, mark: bytes) -> tf.Tensor:
    """Return the EXIF orientation 1..8 (int32 scalar) of a file; 1 where there is none.

    Looks behind `mark` for the directory entry itself, in both byte orders (EXIF 2.32, tag 0x0112,
    type SHORT, count 1): the graph has no other way, and no decoder of TensorFlow's does it.
    """
    parts = _parts(data, mark)
    behind = tf.strings.reduce_join(parts[1:2])  # "" where there is none
    values = _values(tf.strings.substr(behind, 0, _EXIF_SEARCHED))
    big = _value_after(values, [0x01, 0x12, 0x00, 0x03, 0x00, 0x00, 0x00, 0x01, 0x00])
    little = _value_after(values, [0x12, 0x01, 0x03, 0x00, 0x01, 0x00, 0x00, 0x00])
    found = tf.where(big > 0, big, little)
    return tf.where((found >= 1) & (found <= 8), found, 1)


def _value_after(values: tf.Tensor, pattern: list[int]) -> tf.Tensor:
    """Return the byte that follows the first occurrence of `pattern`, or 0."""
    places = tf.maximum(tf.size(values) - len(pattern), 0)
    match = tf.ones([places], tf.bool)
    for offset, byte in enumerate(pattern):
        match &= tf.equal(values[offset : offset + places], byte)
    first = tf.cast(tf.argmax(tf.cast(tf.concat([match, [True]], 0), tf.int32)), tf.int32)
    padded = tf.concat([values, tf.zeros([len(pattern) + 1], tf.int32)], 0)
    return tf.where(first < places, padded[first + len(pattern)], 0)


def _turn_upright(pixels: tf.Tensor, orientation: tf.Tensor) -> tf.Tensor:
    """Undo the eight EXIF orientations (EXIF 2.32, table 6)."""
    turned = tf.switch_case(
        orientation - 1,
        [
            lambda: pixels,
            lambda: pixels[:, ::-1],
            lambda: pixels[::-1, ::-1],
            lambda: pixels[::-1],
            lambda: tf.transpose(pixels, [1, 0, 2]),
            lambda: tf.transpose(pixels, [1, 0, 2])[:, ::-1],
            lambda: tf.transpose(pixels, [1, 0, 2])[::-1, ::-1],
            lambda: tf.transpose(pixels, [1, 0, 2])[::-1],
        ],
    )
    return tf.ensure_shape(turned, [None, None, 3])


def _reduce(pixels: tf.Tensor) -> tf.Tensor:
    """Shrink by a whole factor so that the short side is under twice `REDUCE_FROM`."""
    factor = tf.maximum(tf.reduce_min(tf.shape(pixels)[:2]) // REDUCE_FROM, 1)
    return tf.cond(factor >= 2, lambda: _box(pixels, factor), lambda: pixels)


def _box(pixels: tf.Tensor, factor: tf.Tensor) -> tf.Tensor:
    height, width = tf.shape(pixels)[0] // factor, tf.shape(pixels)[1] // factor
    whole = tf.cast(pixels[: height * factor, : width * factor], tf.int32)
    blocks = tf.reshape(whole, [height, factor, width, factor, 3])
    total, area = tf.reduce_sum(blocks, axis=[1, 3]), factor * factor
    return tf.cast((total + area // 2) // area, tf.uint8)
