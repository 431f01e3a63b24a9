"""Read one file of an upload: its pixels into the data set, and what is known of it then."""

import hashlib
import os
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from transfer.dataset import decode, intake, looks, origin
from transfer.dataset.intake import Unpacked
from transfer.dataset.journal import Outcome

CHANGED = "it changed while it was read; add it again"
UNREADABLE = "it cannot be read"
_SMALL = 50_000  # bytes of pixels: compressing them would take longer than all else


@dataclass(frozen=True)
class Taken:
    """What came of one file, by its position in the upload; None where memory was short.

    `looks` is the picture's row of `looks`, where there is a picture and there was memory.
    """

    position: int
    outcome: Outcome | None
    looks: np.ndarray | None = None


def take(part: tuple[int, Unpacked], made: Path, work: Path) -> Taken:
    """Read a file, and write its pixels as a lossless file of our own into `made/images`.

    Args:
        part: the file's place in the upload, by which its unfinished copy is named; where it is,
            and the SHA-256 that its bytes should have.
        made: the folder of the data set.
        work: the folder for what is unfinished, on the same disk.
    """
    position, file = part
    try:
        with file.path.open("rb") as stream:
            # One byte more than there should be: it may grow without an end.
            data = stream.read(os.fstat(stream.fileno()).st_size + 1)
    except OSError as error:
        return Taken(position, {"reason": f"{UNREADABLE} ({intake.in_words(error)})"})
    except MemoryError:
        return Taken(position, None)
    if hashlib.sha256(data).hexdigest() != file.sha256:
        return Taken(position, {"reason": CHANGED})
    try:
        pixels = decode.read(data, file.name)
        return _kept(position, data, pixels, made, work)
    except decode.UnreadableError as reason:
        return Taken(position, {"reason": f"it {reason}"})
    except MemoryError:
        return Taken(position, None)


def _kept(position: int, data: bytes, pixels: np.ndarray, made: Path, work: Path) -> Taken:
    digest = hashlib.sha256(str(pixels.shape).encode())
    digest.update(pixels.tobytes())
    content = digest.hexdigest()
    name = f"images/{content}.png"
    path = made / name
    if not path.exists():
        partial = work / f"{position}.partial"
        level = 1 if pixels.size > _SMALL else 0
        Image.fromarray(pixels).save(partial, "PNG", compress_level=level)
        partial.replace(path)
    height, width = pixels.shape[:2]
    row = None
    with suppress(MemoryError):  # it is measured another time
        row = looks.row(pixels)
    outcome = {
        "file": name,
        "sha256": content,
        "width": width,
        "height": height,
        "origin": asdict(origin.read(data)),
    }
    return Taken(position, outcome, row)
