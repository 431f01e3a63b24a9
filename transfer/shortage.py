"""What a machine may run out of, disk and memory: how that is told from other errors, and words."""

import errno
import shutil
from typing import Literal

from transfer import store

Lacking = Literal["disk", "memory"]

ROOM = 16 * 1024**2  # bytes; with less on the disk nothing is begun

_NUMBERS: dict[int, Lacking] = {
    errno.ENOSPC: "disk",
    errno.EDQUOT: "disk",
    errno.EFBIG: "disk",  # a limit on the size of a file
    errno.ENOMEM: "memory",
}
# HDF5, SQLite, TensorFlow and C++ say it in words only.
_WORDS: dict[str, Lacking] = {
    "No space left on device": "disk",
    "database or disk is full": "disk",
    "Disk quota exceeded": "disk",
    "File too large": "disk",
    "OOM when allocating": "memory",
    "Cannot allocate memory": "memory",
    "Unable to allocate": "memory",
    "std::bad_alloc": "memory",
    "MemoryError": "memory",
}


def of(error: BaseException) -> Lacking | None:
    """Return what was lacking where an error, or one that led to it, says so."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, MemoryError):
            return "memory"
        number = getattr(seen, "errno", None)
        if lacking := _NUMBERS.get(number or 0) or told(str(seen)):
            return lacking
        seen = seen.__cause__ or seen.__context__
    return None


def told(words: str) -> Lacking | None:
    """Return what was lacking where a program's words say so."""
    return next((lacking for said, lacking in _WORDS.items() if said in words), None)


def in_words(lacking: Lacking) -> str:
    """Return what to do about it."""
    if lacking == "memory":
        return (
            "This computer has too little memory left for the training. What was done until now is"
            " kept. Close other programs and start it again: it goes on where it was. If it stays"
            " so, choose a smaller network or a smaller input size (--image-size)."
        )
    return (
        f"The disk with '{store.home()}' is full. What was done until now is kept. Make room: empty"
        " the bin, delete runs or data sets that are not needed any more, or move large files"
        " elsewhere. Then it goes on where it was."
    )


def free_bytes() -> int:
    """Return how much room there is on the disk with the store."""
    place = store.home().absolute()
    while not place.exists() and place != place.parent:
        place = place.parent
    return shutil.disk_usage(place).free
