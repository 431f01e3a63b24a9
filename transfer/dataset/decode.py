"""Decode a picture file of any usual kind into upright RGB pixels: the one function that does.

The rules can be followed bit for bit inside a TensorFlow graph, which is what `imaging` does for
the exported model: EXIF-upright, transparent parts on white, 16 bits cut to the upper 8, the first
frame, and very large pictures reduced by a whole factor.
"""

import io
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from transfer.errors import DataError

FORMATS = ("JPEG", "MPO", "PNG", "WEBP", "BMP", "GIF", "TIFF")
_MOST_MEGAPIXELS = (Image.MAX_IMAGE_PIXELS or 0) // 1_000_000  # Pillow's own limit: 89
REDUCE_FROM = 480  # the short side of a stored picture is under twice this, in pixels


def decode(source: Path | bytes) -> np.ndarray:
    """Return the picture as uint8 [height, width, 3], RGB, upright.

    Args:
        source: a file, or its bytes.

    Raises:
        DataError: the file is missing, damaged, too large or not a picture; the reason in words.
    """
    name = f"'{source}'" if isinstance(source, Path) else "The file"
    try:
        data = source.read_bytes() if isinstance(source, Path) else source
    except OSError as error:
        raise DataError(f"{name} cannot be read: {error.strerror}.") from error
    if reason := _refusal(data):
        raise DataError(f"{name} {reason}.")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # odd metadata is not the picture's fault
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            with Image.open(io.BytesIO(data), formats=FORMATS) as picture:
                pixels = _rgb(picture)
        except UnidentifiedImageError:
            raise DataError(f"{name} is not a picture of a kind that is read.") from None
        except (Image.DecompressionBombWarning, Image.DecompressionBombError):
            raise DataError(
                f"{name} has more than {_MOST_MEGAPIXELS} million pixels, the most that is read;"
                " make it smaller and add it again."
            ) from None
        except MemoryError:
            raise DataError(f"{name} needs more memory than there is to read a picture.") from None
        except Exception as error:  # Pillow raises many kinds on damaged files
            raise DataError(f"{name} is damaged: {error}.") from error
    return reduce(pixels)


def reduce(pixels: np.ndarray) -> np.ndarray:
    """Shrink uint8 [h, w, 3] by a whole factor so that the short side is under 2 * REDUCE_FROM.

    Each new pixel is the rounded mean of a block; what does not fill a block at the right and at
    the bottom is cut off.
    """
    factor = min(pixels.shape[:2]) // REDUCE_FROM
    if factor < 2:
        return pixels
    height, width = pixels.shape[0] // factor, pixels.shape[1] // factor
    total = np.zeros((height, width, 3), np.uint32)
    for row in range(factor):
        for column in range(factor):  # slice by slice: no large copy of the picture
            rows, columns = (
                slice(row, height * factor, factor),
                slice(column, width * factor, factor),
            )
            total += pixels[rows, columns]
    return ((total + factor * factor // 2) // (factor * factor)).astype(np.uint8)


def _refusal(data: bytes) -> str | None:
    if not data:
        return "is empty (0 bytes)"
    if data[:4] in (b"PK\x03\x04", b"Rar!") or data[:2] == b"\x1f\x8b":
        return "is an archive, not a picture; unpack it and add its pictures"
    return None


def _rgb(picture: Image.Image) -> np.ndarray:
    picture.load()  # the first frame, whole: a truncated file raises here
    upright = ImageOps.exif_transpose(picture)
    if upright.mode.startswith("I;16"):
        grey = (np.asarray(upright).astype(np.uint16) >> 8).astype(np.uint8)
        return np.repeat(grey[..., None], 3, axis=2)
    if upright.mode in ("I", "F"):
        return np.repeat(_eight_bits(np.asarray(upright))[..., None], 3, axis=2)
    if "A" in upright.mode or "a" in upright.mode or "transparency" in upright.info:
        rgba = np.asarray(upright.convert("RGBA")).astype(np.uint16)
        rgb, alpha = rgba[..., :3], rgba[..., 3:]
        return ((rgb * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)
    return np.asarray(upright.convert("RGB"))


def _eight_bits(values: np.ndarray) -> np.ndarray:
    """Bring 32-bit grey values to 8 bits: as they are, as 16 bits, or stretched from 0."""
    finite = np.nan_to_num(values.astype(np.float64))
    low, high = finite.min(initial=0.0), finite.max(initial=0.0)
    if low >= 0 and high <= 255 and values.dtype.kind != "f":
        return finite.astype(np.uint8)
    if low >= 0 and high <= 65535 and values.dtype.kind != "f":
        return (finite.astype(np.uint32) >> 8).astype(np.uint8)
    return np.round(255 * (finite - low) / max(high - low, 1e-9)).astype(np.uint8)
