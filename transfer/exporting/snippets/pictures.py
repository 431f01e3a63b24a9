"""Read picture files exactly as the program did that trained this model. Needs pillow and numpy."""

import io

import numpy as np
from PIL import Image

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")
ONE, HALF = np.float32(1), np.float32(0.5)
MOST_PIXELS = 100_000_000
REDUCE_FROM = 480  # the shorter side of what is read stays under twice this, in pixels


def read(data):
    """Return uint8 [height, width, 3], RGB and upright, for the bytes of a picture file.

    Raises ValueError for what cannot be read.
    """
    try:
        picture = Image.open(io.BytesIO(data), formats=FORMATS)
        if picture.width * picture.height > MOST_PIXELS:
            raise ValueError(f"it has more than {MOST_PIXELS // 1_000_000} million pixels")
        picture.load()  # the first frame, whole: a truncated file raises here
        return _reduced(_upright(_rgb(picture), _orientation(picture)))
    except Exception as error:  # Pillow raises many kinds on damaged files
        raise ValueError(f"This is no picture that can be read: {error}") from error


def resize(pixels, size):
    """Return uint8 [size, size, 3]: bilinear, antialiased where the picture shrinks, rounded.

    The same sums in the same order, in float32, as TensorFlow makes them: where a value lies
    halfway between two whole numbers, one digit decides.
    """
    pixels = pixels.astype(np.float32)
    if max(pixels.shape[:2]) <= size:  # grows: across first, then down
        wide = _between(pixels.swapaxes(0, 1), size).swapaxes(0, 1)
        values = _between(wide, size)
    else:
        low = _averaged(pixels, size)  # [size, width, 3]
        values = _averaged(low.swapaxes(0, 1), size).swapaxes(0, 1)
    return np.rint(values).clip(0, 255).astype(np.uint8)


def _between(pixels, size):
    """Return [size, ...] of [n, ...]: straight lines between neighbours."""
    places = (np.arange(size, dtype=np.float32) + HALF) * np.float32(len(pixels) / size) - HALF
    lower = np.floor(places)
    first = pixels[np.maximum(lower, 0).astype(int)]
    second = pixels[np.minimum(np.ceil(places), len(pixels) - 1).astype(int)]
    return first + (second - first) * (places - lower)[:, np.newaxis, np.newaxis]


def _averaged(pixels, size):
    """Return [size, ...] of [n, ...]: triangles as wide as the scale, where it shrinks."""
    count = len(pixels)
    scale = np.float32(1 / (np.float32(size) / np.float32(count)))
    wide = max(scale, ONE)
    places = (np.arange(size, dtype=np.float32) + HALF) * scale
    start = np.maximum(np.ceil(places - wide - HALF), 0)
    end = np.minimum(np.floor(places + wide - HALF), count - 1)
    weights, total = [], np.zeros(size, np.float32)
    for tap in range(2 * int(np.ceil(wide)) + 1):
        far = np.abs((start + tap + HALF - places) * (ONE / wide))
        weights.append(np.where(start + tap <= end, np.maximum(ONE - far, 0), 0))
        total = total + weights[-1]
    result = np.zeros((size, *pixels.shape[1:]), np.float32)
    for tap, weight in enumerate(weights):
        taken = pixels[np.minimum(start + tap, count - 1).astype(int)]
        result = result + taken * (weight * (ONE / total))[:, np.newaxis, np.newaxis]
    return result


def _rgb(picture):
    mode, transparency = picture.mode, picture.info.get("transparency")
    if mode.startswith("I;16"):
        values = np.asarray(picture).astype(np.uint16)
        grey = (values >> 8).astype(np.uint8)
        if isinstance(transparency, int):
            grey[values == transparency] = 255
        return np.repeat(grey[..., np.newaxis], 3, axis=2)
    if mode in ("I", "F"):
        raise ValueError("its numbers have more than 16 bits; save it with 8 bits a colour")
    if "A" not in mode and "a" not in mode and transparency is None:
        return np.asarray(picture.convert("RGB"))
    if isinstance(transparency, tuple) and max(transparency) > 255:
        picture.info["transparency"] = tuple(value >> 8 for value in transparency)
    rgba = np.asarray(picture.convert("RGBA")).astype(np.uint16)
    rgb, alpha = rgba[..., :3], rgba[..., 3:]
    return ((rgb * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)


def _orientation(picture):
    if picture.format == "TIFF":  # Pillow turns these itself, on loading
        return 1
    for key in ("xmp", "XML:com.adobe.xmp"):  # where Pillow looks too, but browsers do not
        picture.info.pop(key, None)
    try:
        return picture.getexif().get(0x0112, 1)  # EXIF 2.32, table 6
    except Exception:  # a broken EXIF block
        return 1


def _upright(pixels, orientation):
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)


def _reduced(pixels):
    factor = min(pixels.shape[:2]) // REDUCE_FROM
    if factor < 2:
        return pixels
    height, width = pixels.shape[0] // factor, pixels.shape[1] // factor
    total = np.zeros((height, width, 3), np.uint32)
    for row in range(factor):
        for column in range(factor):
            total += pixels[row : height * factor : factor, column : width * factor : factor]
    return ((total + factor * factor // 2) // (factor * factor)).astype(np.uint8)
