"""The one path from a picture's bytes to the network's input size, inside TensorFlow graphs.

Training, evaluation and the exported model all go through these functions. They give the same
pixels as `dataset.decode`, which reads more formats but needs Pillow: upright (EXIF), transparent
parts on white, very large pictures reduced by whole factors.
"""

import keras
import tensorflow as tf

from transfer.dataset.decode import REDUCE_FROM

_EXIF_SEARCHED = 65536  # bytes; the EXIF segment of a JPEG file lies at its start


def decode(data: tf.Tensor) -> tf.Tensor:
    """Decode one JPEG, PNG, GIF (first frame), BMP or WebP (without transparency) file.

    Args:
        data: string scalar, the bytes of the file.

    Returns:
        uint8 [height, width, 3], RGB, upright.
    """
    start = tf.strings.substr(data, 0, 4)
    is_jpeg = tf.equal(tf.strings.substr(start, 0, 3), b"\xff\xd8\xff")
    is_png = tf.equal(start, b"\x89PNG")
    pixels = tf.case(
        [(is_jpeg, lambda: _decode_jpeg(data)), (is_png, lambda: _decode_png(data))],
        default=lambda: tf.io.decode_image(data, channels=3, expand_animations=False),
    )
    pixels = _reduce(tf.ensure_shape(pixels, [None, None, 3]))
    return tf.ensure_shape(pixels, [None, None, 3])


def resizer(image_size: int) -> keras.layers.Layer:
    """Return the layer that brings pictures to [image_size, image_size, 3].

    Bilinear with antialiasing, the aspect ratio not kept: nothing of the picture is cut away.
    """
    return keras.layers.Resizing(
        image_size, image_size, interpolation="bilinear", antialias=True, name="resize"
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
    return _turn_upright(pixels, _orientation(data))


def _decode_png(data: tf.Tensor) -> tf.Tensor:
    rgba = tf.cast(tf.io.decode_png(data, channels=4), tf.int32)
    rgb, alpha = rgba[..., :3], rgba[..., 3:]
    return tf.cast((rgb * alpha + 255 * (255 - alpha) + 127) // 255, tf.uint8)


def _orientation(jpeg: tf.Tensor) -> tf.Tensor:
    """Return the EXIF orientation 1..8 (int32 scalar) of a JPEG file; 1 where there is none.

    Looks for the directory entry itself, in both byte orders (EXIF 2.32, tag 0x0112, type SHORT,
    count 1): the graph has no other way to read it, and no decoder of TensorFlow's does.
    """
    header = tf.strings.substr(jpeg, 0, _EXIF_SEARCHED)
    values = tf.cast(tf.io.decode_raw(header, tf.uint8), tf.int32)
    exif = _value_after(values, list(b"Exif\0\0")) > 0
    big = _value_after(values, [0x01, 0x12, 0x00, 0x03, 0x00, 0x00, 0x00, 0x01, 0x00])
    little = _value_after(values, [0x12, 0x01, 0x03, 0x00, 0x01, 0x00, 0x00, 0x00])
    found = tf.where(big > 0, big, little)
    return tf.where(exif & (found >= 1) & (found <= 8), found, 1)


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
