"""Every kind of bad input ends in a clear sentence, in time, in little memory, the good kept."""

import os
import re
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.transfer import (
    corpus,
    corpus_archives,
    corpus_bombs,
    corpus_folders,
    corpus_names,
    corpus_pictures,
    corpus_tables,
    corpus_unusual,
)
from transfer import store
from transfer.dataset import library
from transfer.dataset.index import ImageIndex
from transfer.errors import DataError

MOST_CPU = 10.0  # seconds of one core, in all processes that read
MOST_SECONDS = 60.0  # of the wall, also on a machine that is busy with other work
SLOW = 6  # times as much for a kind that is marked as slow
MOST_MEMORY = 1_000 * 1024**2  # bytes that the process which reads has at its peak
MODULES = (
    corpus_archives, corpus_bombs, corpus_folders, corpus_names, corpus_pictures, corpus_tables,
    corpus_unusual,
)  # fmt: skip
KINDS = [
    pytest.param(kind, id=kind.name, marks=[pytest.mark.slow] if kind.slow else [])
    for kind in corpus.KINDS
]
REMEDY = re.compile(r"\b(again|pack|put|split|check|make)\b", re.IGNORECASE)
# Python's own words, which say nothing to a person, and what a terminal would obey.
JARGON = re.compile(r"Errno|0x[0-9a-f]{4}|Traceback|<\w[\w.]* |[a-z]Error\b|\bNone\b|b'|[\0-\x1f]")
LETTERS_AT_MOST = 700


class _Watch:
    """The processes that take an input in: the most memory of any, and the seconds of all.

    Their seconds are read from each of them, never from what this process has waited for: that has
    those of other tests in it, whose processes end at any moment.
    """

    def __init__(self) -> None:
        self.bytes = 0
        self._seconds: dict[int, float] = {}
        self.children: list[subprocess.Popen[bytes]] = []
        self.over = threading.Event()

    def run(self, during: Callable[[], None]) -> None:
        """Look again and again, until it is over."""
        while not self.over.wait(0.01):
            during()
            for child in tuple(self.children):
                try:
                    status = Path(f"/proc/{child.pid}/status").read_text()
                    times = Path(f"/proc/{child.pid}/stat").read_text()
                except OSError:
                    continue
                if found := re.search(r"VmHWM:\s+(\d+) kB", status):
                    self.bytes = max(self.bytes, int(found[1]) * 1024)
                self._seconds[child.pid] = _seconds(times)

    @property
    def cpu(self) -> float:
        """The seconds of one core that all of them took, with those that they started."""
        return sum(self._seconds.values())


@contextmanager
def _watching(during: Callable[[], None], monkeypatch: pytest.MonkeyPatch) -> Iterator[_Watch]:
    watch = _Watch()

    class Watched(subprocess.Popen):
        def __init__(self, *arguments: object, **options: object) -> None:
            super().__init__(*arguments, **options)  # pyright: ignore
            watch.children.append(self)

    monkeypatch.setattr(subprocess, "Popen", Watched)
    watcher = threading.Thread(target=watch.run, args=(during,))
    watcher.start()
    try:
        yield watch
    finally:
        watch.over.set()
        watcher.join()


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_of_bad_input_ends_well(
    kind: corpus.Kind,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = kind.make(tmp_path)
    before = set(tmp_path.iterdir())
    started = time.monotonic()
    with _watching(made.during, monkeypatch) as watch:
        if made.error is None:
            _holds(made, library.import_dataset(made.source))
        else:
            with pytest.raises(DataError) as caught:
                library.import_dataset(made.source)
            assert made.error in str(caught.value)
            assert REMEDY.search(str(caught.value)), f"no remedy: {caught.value}"
            _are_clear([str(caught.value)], tmp_path)
    seconds = time.monotonic() - started
    print(f"{kind.name}: {seconds:.1f} s, {watch.cpu:.1f} of CPU, {watch.bytes / 1024**2:.0f} MB")
    assert watch.cpu < MOST_CPU * (SLOW if kind.slow else 1)
    assert seconds < MOST_SECONDS * (SLOW if kind.slow else 1)
    assert watch.bytes < MOST_MEMORY
    assert watch.children or made.error, "it was not read in a process of its own"
    assert all(child.poll() is not None for child in watch.children)
    # Nothing lies where it should not: neither beside the input nor in the store.
    assert before == set(tmp_path.iterdir())
    assert not list((store.home() / "datasets").glob(".import-*"))


def _seconds(stat: str) -> float:
    """Return the seconds of one core that a process and its ended children took, from its stat."""
    fields = stat.rpartition(")")[2].split()  # from the third one on: its name may have spaces
    return sum(int(ticks) for ticks in fields[11:15]) / os.sysconf("SC_CLK_TCK")


def _holds(made: corpus.Made, index: ImageIndex) -> None:
    """Check that all that is good came in, and that all else is told."""
    names, either = {picture.name: picture for picture in index.pictures}, set(made.either)
    reasons: dict[str, str] = {}
    for item in index.rejected:
        reasons[item.file] = f"{reasons.get(item.file, '')} {item.reason}"
    assert set(made.good) - set(names) == set(), "good pictures are lost"
    assert set(names) - either == {*made.good, *made.accepted}, reasons
    assert set(reasons) - either == set(made.rejected)
    for name, reason in made.rejected.items():
        assert reason in reasons[name]
    for name, label in made.labels.items():
        assert names[name].label == label
    told = " ".join(index.warnings)
    for part in made.told:
        assert part in told
    assert made.told or not index.warnings, "an unexpected warning"
    _are_clear([*(item.reason for item in index.rejected), *index.warnings], made.source.parent)


def _are_clear(sentences: Iterable[str], folder: Path) -> None:
    for sentence in sentences:
        plain = sentence.replace(str(folder), "")
        assert not JARGON.search(plain), sentence
        assert str(store.home()) not in sentence
        assert len(plain) <= LETTERS_AT_MOST


def test_the_corpus_has_at_least_sixty_kinds_each_with_a_name_of_its_own() -> None:
    names = [kind.name for kind in corpus.KINDS]
    assert {kind.module for kind in corpus.KINDS} == {module.__name__ for module in MODULES}
    assert len(set(names)) == len(names) >= 60
