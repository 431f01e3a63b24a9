"""Words and progress bars for people, on standard error."""

import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tqdm import tqdm

OnStep = Callable[[str, float, float, str], None]


def say(words: str) -> None:
    """Write one line for a person."""
    sys.stderr.write(f"{words}\n")
    sys.stderr.flush()


@contextmanager
def progress() -> Iterator[OnStep]:
    """Yield a function (phase, done, total, words) that shows how far the work is.

    On a terminal: a bar with the time left for each phase; elsewhere one line a phase.
    """
    bars: dict[str, tqdm] = {}
    terminal = sys.stderr.isatty()

    def step(phase: str, done: float, total: float, words: str) -> None:
        if phase not in bars:
            _finish(bars)
            if not terminal:
                say(f"{words} ...")
            bars[phase] = tqdm(total=total, file=_People(), disable=not terminal, leave=False)
        bar = bars[phase]
        bar.set_description(words, refresh=False)
        bar.total = total
        bar.update(done - bar.n)

    try:
        yield step
    finally:
        _finish(bars)


@contextmanager
def quiet() -> Iterator[None]:
    """Keep what native code writes to standard error to itself; on an error, show it.

    TensorFlow tells of missing GPUs and of its own settings before any log level counts. What is
    said in Python meanwhile still arrives.
    """
    sys.stderr.flush()
    with tempfile.TemporaryFile() as kept, _saved(2) as original, _words_to(original):
        os.dup2(kept.fileno(), 2)
        try:
            yield
        except BaseException:
            kept.seek(0)
            os.write(original, kept.read())
            raise
        finally:
            os.dup2(original, 2)


@contextmanager
def _words_to(descriptor: int) -> Iterator[None]:
    """Let Python write its standard error there, unless it goes elsewhere already."""
    before = sys.stderr
    if before is not sys.__stderr__:
        yield
        return
    with open(descriptor, "w", encoding=before.encoding, buffering=1, closefd=False) as words:
        sys.stderr = words
        try:
            yield
        finally:
            sys.stderr = before


class _People:
    """Standard error as it is at the time of each word: `quiet` may begin or end in between."""

    def write(self, words: str) -> int:
        return sys.stderr.write(words)

    def flush(self) -> None:
        sys.stderr.flush()

    def isatty(self) -> bool:
        return sys.stderr.isatty()


@contextmanager
def _saved(descriptor: int) -> Iterator[int]:
    copy = os.dup(descriptor)
    try:
        yield copy
    finally:
        os.close(copy)


def _finish(bars: dict[str, tqdm]) -> None:
    for bar in bars.values():
        bar.close()
