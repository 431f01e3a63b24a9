"""How many bytes files take, and how many go with them: a file may have several names.

Versions of a data set share their pictures by hard links. What is used counts each file once; what
is freed counts those that are then gone under all their names.
"""

import contextlib
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path

_Inode = tuple[int, int]  # device and number: one file, whatever it is called


def size(place: Path) -> int:
    """Return the bytes of a file, or of all files in a folder; 0 where there is none."""
    return sum(taken for _, taken in files(place))


def files(place: Path) -> Iterator[tuple[str, int]]:
    """Yield the path and the bytes of a file, or of all files in a folder, however deep.

    A file that came before under another name takes nothing. A symbolic link counts for itself.
    """
    seen: set[_Inode] = set()
    for path, stat in _walked(place):
        inode = stat.st_dev, stat.st_ino
        yield path, 0 if inode in seen else stat.st_size
        if stat.st_nlink > 1:
            seen.add(inode)


def freed_by(*places: Path) -> int:
    """Return the bytes that go when files and folders are deleted, none of which holds another."""
    names: Counter[_Inode] = Counter()
    freed = 0
    for _, stat in chain.from_iterable(map(_walked, places)):
        inode = stat.st_dev, stat.st_ino
        names[inode] += 1
        if names[inode] == stat.st_nlink:
            freed += stat.st_size
    return freed


def _walked(place: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Yield all files; what goes away meanwhile is passed over."""
    if place.is_symlink() or not place.is_dir():
        with contextlib.suppress(OSError):
            yield str(place), place.lstat()
        return
    waiting: list[str | Path] = [place]
    while waiting:
        for entry in _entries(waiting.pop()):
            if entry.is_dir(follow_symlinks=False):
                waiting.append(entry.path)
                continue
            with contextlib.suppress(OSError):
                yield entry.path, entry.stat(follow_symlinks=False)


def _entries(folder: str | Path) -> Iterable[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError:
        return ()
