"""Do the same with many small parts in several processes, and leave none of them behind.

For tiny pictures, of which most of the work is Python's own: threads would wait for each other.
"""

import multiprocessing
import os
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from typing import TypeVar

_CHUNK = 16  # parts that are sent at once
_AHEAD = 2  # chunks for each process that are on their way

T = TypeVar("T")
R = TypeVar("R")


def each(
    work: Callable[[T], R], parts: Sequence[T], processes: int, on_start: Callable[[T], None]
) -> Iterator[R]:
    """Yield what a function makes of each part, in order.

    The processes are forked: call it where no other thread is at work. They end with this one,
    however it ends, and one that dies takes this one's work down with an error.

    Args:
        work: a function of a module, or a partial of one.
        parts: what it is given, one by one.
        processes: how many work side by side.
        on_start: called with each part before it is worked on.

    Raises:
        BrokenProcessPool: a process died.
    """
    ours, theirs = os.pipe()
    forked = multiprocessing.get_context("fork")
    on_the_way: deque[Future[list[R]]] = deque()
    with ProcessPoolExecutor(processes, forked, _end_with_parent, (ours, theirs)) as pool:
        try:
            for start in range(0, len(parts), _CHUNK):
                chunk = parts[start : start + _CHUNK]
                for part in chunk:
                    on_start(part)
                on_the_way.append(pool.submit(_all, work, chunk))
                if len(on_the_way) > _AHEAD * processes:
                    yield from on_the_way.popleft().result()
            while on_the_way:
                yield from on_the_way.popleft().result()
        finally:
            for waiting in on_the_way:
                waiting.cancel()
    os.close(theirs)
    os.close(ours)


def _all(work: Callable[[T], R], parts: Sequence[T]) -> list[R]:
    return [work(part) for part in parts]


def _end_with_parent(ours: int, theirs: int) -> None:
    """Leave when the other end of a pipe is closed, which only the parent holds open."""
    os.close(theirs)
    threading.Thread(target=_wait, args=(ours,), daemon=True).start()


def _wait(pipe: int) -> None:
    os.read(pipe, 1)
    os._exit(1)
