"""Decode a picture file of any usual kind into upright RGB pixels: the one function that does.

The rules can be followed bit for bit inside a TensorFlow graph, which is what `imaging` does for
the exported model: EXIF-upright, transparent parts on white, 16 bits cut to the upper 8, the first
frame, and very large pictures reduced by a whole factor.
"""

import io
import re
import warnings
from collections.abc import Callable
from pathlib import Path, PurePath

import numpy as np
from PIL import Image, UnidentifiedImageError

from transfer.dataset import layout, lookalikes, segments
from transfer.errors import DataError

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")
MOST_PIXELS = 100_000_000
REDUCE_FROM = 480  # the short side of a stored picture is under twice this, in pixels
Image.MAX_IMAGE_PIXELS = MOST_PIXELS  # Pillow's own check comes before it takes any memory

_ORIENTATION = 0x0112  # EXIF 2.32, table 6
_STRIP = 1 << 20  # pixels converted at once, to save memory
_STARTS = re.compile(rb"\xff\xd8\xff|\x89PNG|GIF8|BM|RIFF....WEBP|II[*+]\0|MM\0[*+]", re.DOTALL)


class UnreadableError(DataError):
    """Why one file cannot be read as a picture, as the end of a sentence on the file."""


def decode(source: Path | bytes) -> np.ndarray:
    """Return the picture as uint8 [height, width, 3], RGB, upright.

    Args:
        source: a file, or its bytes.

    Raises:
        DataError: the file is missing, damaged, too large or not a picture; the reason in words.
    """
    name = f"'{source}'" if isinstance(source, Path) else "The file"
    try:
        if isinstance(source, Path):
            return read(source.read_bytes(), source.name)
        return read(source)
    except OSError as error:
        raise DataError(f"{name} cannot be read: {error.strerror}.") from error
    except MemoryError:
        raise DataError(f"{name} needs more memory than there is to read a picture.") from None
    except UnreadableError as reason:
        raise DataError(f"{name} {reason}.") from reason.__cause__


def read(data: bytes, name: str = "") -> np.ndarray:
    """Do the work of `decode` for bytes.

    Args:
        data: the bytes.
        name: that of the file, where it is known; only the reason makes use of it.

    Raises:
        UnreadableError: with the reason alone.
        MemoryError: there is not enough, at least not now.
    """
    if not data:
        raise UnreadableError("is empty (0 bytes)")
    if reason := lookalikes.reason(data):
        raise UnreadableError(reason)
    if segments.has_too_many_scans(data):
        raise UnreadableError(
            "is a JPEG of hundreds of scans, which take minutes to read; save it again as an"
            " ordinary JPEG"
        )
    try:
        return reduce(_pixels(data))
    except (MemoryError, UnreadableError):
        raise
    except Exception as error:  # Pillow raises many kinds on damaged files
        if (bare := segments.without_metadata(data)) is None:
            raise UnreadableError(_in_words(error, data, name)) from error
        try:
            return reduce(_pixels(bare))
        except (MemoryError, UnreadableError):
            raise
        except Exception:
            raise UnreadableError(_in_words(error, data, name)) from error


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
            rows = slice(row, height * factor, factor)
            total += pixels[rows, column : width * factor : factor]
    return ((total + factor * factor // 2) // (factor * factor)).astype(np.uint8)


def _pixels(data: bytes) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # odd metadata is not the picture's fault
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            with Image.open(io.BytesIO(data), formats=FORMATS) as picture:
                # Asked again, since threads share one list of warning filters.
                if picture.width * picture.height > MOST_PIXELS:
                    raise Image.DecompressionBombWarning
                picture.load()  # the first frame, whole: a truncated file raises here
                return _upright(_rgb(picture), _orientation(picture))
        except (Image.DecompressionBombWarning, Image.DecompressionBombError):
            raise UnreadableError(
                f"has more than {MOST_PIXELS // 1_000_000} million pixels, the most that is read;"
                " make it smaller and add it again"
            ) from None


def _rgb(picture: Image.Image) -> np.ndarray:
    """Return uint8 [h, w, 3] of a loaded picture of any mode."""
    mode, transparency = picture.mode, picture.info.get("transparency")
    if mode.startswith("I;16"):
        values = np.asarray(picture).astype(np.uint16)
        grey = (values >> 8).astype(np.uint8)
        if isinstance(transparency, int):
            grey[values == transparency] = 255
        return np.repeat(grey[..., None], 3, axis=2)
    if mode in ("I", "F"):
        return np.repeat(_eight_bits(np.asarray(picture))[..., None], 3, axis=2)
    if "A" in mode or "a" in mode or transparency is not None:
        return _in_strips(_with_rough_transparency(picture), "RGBA", _on_white)
    return _in_strips(picture, "RGB", lambda values: values)


def _with_rough_transparency(picture: Image.Image) -> Image.Image:
    transparency = picture.info.get("transparency")
    # Of 16-bit colours Pillow keeps the upper 8 bits, but not of the transparent one.
    if isinstance(transparency, tuple) and max(transparency) > 255:
        picture.info["transparency"] = tuple(value >> 8 for value in transparency)
    return picture


def _in_strips(
    picture: Image.Image, mode: str, convert: Callable[[np.ndarray], np.ndarray]
) -> np.ndarray:
    """Return uint8 [h, w, 3]; Pillow would copy the whole picture three times on the way."""
    width, height = picture.size
    result = np.empty((height, width, 3), np.uint8)
    rows = max(1, _STRIP // max(1, width))
    for top in range(0, height, rows):
        below = min(top + rows, height)
        strip = picture.crop((0, top, width, below)).convert(mode)
        result[top:below] = convert(np.asarray(strip))
    return result


def _on_white(rgba: np.ndarray) -> np.ndarray:
    """Composite uint8 [h, w, 4] on white, rounded to the nearest."""
    values = rgba.astype(np.uint16)
    rgb, alpha = values[..., :3], values[..., 3:]
    return ((rgb * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)


def _eight_bits(values: np.ndarray) -> np.ndarray:
    """Bring 32-bit grey values to 8 bits: from 0..255, 16 bits, 0..1, or else from their range."""
    finite = np.nan_to_num(values.astype(np.float32), posinf=0, neginf=0)
    low, high = float(finite.min(initial=0)), float(finite.max(initial=0))
    if low >= 0 and high <= 1 and values.dtype.kind == "f":
        return np.round(finite * 255).astype(np.uint8)
    if low >= 0 and high <= 255:
        return finite.astype(np.uint8)
    if low >= 0 and high <= 65535:
        return (finite.astype(np.uint16) >> 8).astype(np.uint8)
    return np.round((finite - low) * (255 / (high - low))).astype(np.uint8)


def _orientation(picture: Image.Image) -> int:
    """Return the EXIF orientation, 1..8; 1 where there is none or the EXIF block is broken."""
    if picture.format == "TIFF":  # Pillow turns these itself, on loading
        return 1
    for key in ("xmp", "XML:com.adobe.xmp"):  # where Pillow looks too, but browsers do not
        picture.info.pop(key, None)
    try:
        value = picture.getexif().get(_ORIENTATION, 1)
    except Exception:  # as many kinds as there are ways to break it
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    if orientation >= 5:
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)


def _in_words(error: Exception, data: bytes, name: str) -> str:
    if isinstance(error, UnidentifiedImageError) and not _STARTS.match(data):
        if layout.is_picture(name):
            ending = PurePath(name).suffix
            return f"is named like a picture ({ending}) but holds none that can be read"
        return "is not a picture of a kind that is read (JPEG, PNG, WebP, BMP, GIF, TIFF)"
    if segments.is_unusual_jpeg(data):
        return "is a kind of JPEG that is not read; save it again as an ordinary JPEG"
    words = re.sub(r"<[^>]*>", "", str(error))  # Python's own names of things
    if isinstance(error, UnidentifiedImageError) or "truncated" in words.lower():
        return "is damaged: a part of it is missing or unreadable"
    return f"is damaged ({' '.join(words.split()) or type(error).__name__})"
