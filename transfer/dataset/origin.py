"""Read what a picture file says of itself beside its pixels: its kind, its camera, its time."""

import calendar
import io
import time
import warnings
from contextlib import suppress
from typing import Any

from PIL import Image

from transfer.dataset import names
from transfer.dataset.decode import FORMATS
from transfer.dataset.index import Origin

# EXIF 2.32, tables 4 and 8.
_ORIENTATION, _MAKE, _MODEL, _SOFTWARE, _CHANGED = 0x0112, 0x010F, 0x0110, 0x0131, 0x0132
_EXIF, _TAKEN, _FRACTION = 0x8769, 0x9003, 0x9291
_CAMERA_LETTERS = 120


def read(data: bytes) -> Origin:
    """Return what the bytes of a picture file say; nothing is raised where they say nonsense.

    Only headers are read: this takes a fraction of the time that decoding takes.
    """
    nothing = Origin(len(data), "", "", 0, 0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with Image.open(io.BytesIO(data), formats=FORMATS) as picture:
                return _of(picture, data)
        except MemoryError:  # not the file's fault: to be read again with more
            raise
        except Exception:  # as many kinds as there are ways to lie
            return nothing


def _of(picture: Image.Image, data: bytes) -> Origin:
    plain = Origin(len(data), str(picture.format), picture.mode, picture.width, picture.height)
    try:
        return _with_exif(plain, _exif(picture, data))
    except MemoryError:
        raise
    except Exception:
        return plain


def _exif(picture: Image.Image, data: bytes) -> Image.Exif:
    for key in ("xmp", "XML:com.adobe.xmp"):  # where Pillow looks for the orientation too
        picture.info.pop(key, None)
    if picture.format == "PNG" and "exif" not in picture.info and b"eXIf" not in data:
        # Pillow would decode the whole picture in search of what may stand behind its pixels.
        return Image.Image.getexif(picture)
    return picture.getexif()


def _with_exif(plain: Origin, exif: Image.Exif) -> Origin:
    inner: dict[int, Any] = exif.get_ifd(_EXIF)
    orientation = exif.get(_ORIENTATION, 1)
    words = (str(exif.get(tag) or "").strip("\0 ") for tag in (_MAKE, _MODEL, _SOFTWARE))
    camera = names.clean_text(" ".join(filter(None, words)))[:_CAMERA_LETTERS]
    turned = orientation if isinstance(orientation, int) and 1 <= orientation <= 8 else 1
    width, height = plain.width, plain.height
    if plain.format == "TIFF" and turned >= 5:  # Pillow tells its size as turned already
        width, height = height, width
    return Origin(
        plain.bytes,
        plain.format,
        plain.mode,
        width,
        height,
        turned,
        camera,
        _seconds(inner.get(_TAKEN) or exif.get(_CHANGED), inner.get(_FRACTION)),
    )


def _seconds(moment: Any, fraction: Any) -> float | None:
    """Return '2024:05:17 10:31:07' and hundredths as '25' in seconds."""
    with suppress(ValueError, TypeError):
        whole = calendar.timegm(time.strptime(str(moment).strip("\0 "), "%Y:%m:%d %H:%M:%S"))
        digits = str(fraction or "").strip("\0 ")
        return whole + (float(f"0.{digits}") if digits.isascii() and digits.isdigit() else 0.0)
    return None
