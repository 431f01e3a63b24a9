"""Pictures at the network's input size, one after the other in a file that is mapped into memory.

What does not fit in memory is decoded once, not in each epoch: to read even a small picture back
takes a sixth of the time of decoding it.
"""

import os
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

_SHARE_OF_FREE = 0.25  # of the disk's free bytes


def kept(
    file: Path, shape: tuple[int, int, int, int], made: Callable[[], Iterable[np.ndarray]]
) -> np.ndarray | None:
    """Return the file's pictures, uint8 of this shape, written first where they are not there.

    A file is there whole or not at all. None where the disk has too little room: the caller has to
    decode each time.

    Args:
        file: where; of these pictures in this order only.
        shape: (pictures, height, width, 3).
        made: gives all pictures in batches, uint8 [n, height, width, 3].
    """
    if file.is_file():
        return np.load(file, mmap_mode="r")
    size = int(np.prod(shape, dtype=np.int64))
    partial = file.with_name(f".{file.name}.partial")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        partial.unlink(missing_ok=True)  # what a killed process has left
        if size > _SHARE_OF_FREE * shutil.disk_usage(file.parent).free:
            return None
        target = np.lib.format.open_memmap(partial, mode="w+", dtype=np.uint8, shape=shape)
        with partial.open("r+b") as opened:
            # Now, for on a full disk a mapped file ends the process without a word.
            os.posix_fallocate(opened.fileno(), 0, partial.stat().st_size)
    except OSError:
        partial.unlink(missing_ok=True)
        return None
    done = 0
    for pictures in made():
        target[done : done + len(pictures)] = pictures
        done += len(pictures)
    target.flush()
    del target
    partial.replace(file)
    return np.load(file, mmap_mode="r")
