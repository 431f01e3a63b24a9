"""Do the same with many parts of a data set, several at a time."""

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

_MOST = 8

T = TypeVar("T")
R = TypeVar("R")


def most() -> int:
    """Return how many threads work side by side: one a core, but no more than eight."""
    return min(_MOST, os.cpu_count() or 1)


def several(work: Callable[[T], R], parts: Iterable[T]) -> Iterator[R]:
    """Yield what a function makes of each part, in order.

    Pays where most of the work is done by Pillow, NumPy or SciPy, which let other threads run.
    """
    with ThreadPoolExecutor(most()) as pool:
        yield from pool.map(work, parts)
