"""Many pictures in, a table out: a folder or a zip is streamed through a model into a CSV file.

However many there are, only some batches are in memory. The file appears under its name once it is
whole; what a killed process has left is written over by the next.
"""

import csv
import glob
import itertools
import zipfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import tensorflow as tf

from transfer import backbones, devices, imaging, prediction, store
from transfer.dataset.decode import MOST_PIXELS, UnreadableError, read
from transfer.errors import DataError
from transfer.prediction import Classifier
from transfer.runs import Run

_BATCH = 32
_AHEAD = 3  # batches that are read while one is answered
_MOST_BYTES = 256 * 2**20  # of one picture file
PROBABILITIES = "probabilities"

Load = Callable[[], bytes]
OnProgress = Callable[[int, int], None]


@dataclass(frozen=True)
class Scored:
    """Where the table is, for how many pictures it has an answer, and for how many a reason."""

    path: Path
    answered: int
    left_out: int

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {"path": str(self.path), "answered": self.answered, "left_out": self.left_out}


@dataclass(frozen=True)
class _Read:
    """One file: its resized pixels, or why there are none."""

    name: str
    pixels: np.ndarray | None
    reason: str = ""


def score(run: Run, source: Path, target: Path, on_progress: OnProgress | None = None) -> Scored:
    """Write the answers of a run's model for all pictures in `source` to `target`.

    One row a file, in the order of their names: file, label, probability, the probability of each
    class, the model's further outputs, and the reason where a file was left out. Other files than
    pictures are among them too, so that none is missed.

    Args:
        run: a finished run.
        source: a folder, with all below it, or a zip.
        target: the CSV file (UTF-8); one that is there is replaced once the new one is whole.
        on_progress: called with (files done, files in all).

    Raises:
        DataError: there is no picture in `source`, or it is neither a folder nor a zip.
    """
    classifier = prediction.load(run)
    answered = done = 0
    with _opened(source) as files:
        if not files:
            raise DataError(
                f"There is no picture in '{source}'. Name a folder or a zip with picture files"
                " (JPEG, PNG, WebP, BMP, GIF or TIFF)."
            )
        for rest in target.parent.glob(f".{glob.escape(target.name)}.*.partial*"):
            rest.unlink(missing_ok=True)
        with (
            store.replacing(target) as partial,
            partial.open("w", newline="", encoding="utf-8") as out,
        ):
            table = csv.writer(out)
            answer = _answering(classifier)
            table.writerow(_header(classifier))
            for some in _read_ahead(files, classifier.image_size):
                table.writerows(_rows(classifier, answer, some))
                done += len(some)
                answered += sum(one.pixels is not None for one in some)
                if on_progress:
                    on_progress(done, len(files))
    return Scored(target, answered, done - answered)


class _opened:  # noqa: N801
    """The files of a folder or a zip, each with what reads it, by name."""

    def __init__(self, source: Path) -> None:
        self._source = source
        self._zip: zipfile.ZipFile | None = None

    def __enter__(self) -> list[tuple[str, Load]]:
        if self._source.is_dir():
            paths = sorted(path for path in self._source.rglob("*") if path.is_file())
            named = ((str(path.relative_to(self._source)), path) for path in paths)
            return [(name, path.read_bytes) for name, path in named if not _is_clutter(name)]
        try:
            self._zip = zipped = zipfile.ZipFile(self._source)
        except (OSError, zipfile.BadZipFile) as error:
            raise DataError(
                f"'{self._source}' is neither a folder nor a zip that can be read. Name one."
            ) from error
        entries = sorted((one for one in zipped.infolist() if not one.is_dir()), key=_name)
        return [
            (one.filename, lambda one=one: _from_zip(zipped, one))
            for one in entries
            if not _is_clutter(one.filename)
        ]

    def __exit__(self, *_: object) -> None:
        if self._zip:
            self._zip.close()


def _is_clutter(name: str) -> bool:
    """Whether a file is none of the user's: hidden, or left there by macOS or Windows."""
    parts = PurePosixPath(name.replace("\\", "/")).parts
    hidden = any(part.startswith((".", "__MACOSX")) for part in parts)
    return hidden or parts[-1].lower() in ("thumbs.db", "desktop.ini")


def _name(entry: zipfile.ZipInfo) -> str:
    return entry.filename


def _from_zip(zipped: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    if entry.file_size > _MOST_BYTES:
        raise UnreadableError(f"has more than {_MOST_BYTES >> 20} MB, the most that is read")
    with zipped.open(entry) as file:
        return file.read(_MOST_BYTES)


def _read_ahead(files: Sequence[tuple[str, Load]], size: int) -> Iterator[list[_Read]]:
    """Yield all files, read and resized, a batch at a time; some are read ahead, and no more."""
    waiting: list[Any] = []
    starts = iter(range(0, len(files), _BATCH))
    with ThreadPoolExecutor(max(1, devices.cpus())) as pool:
        for start in itertools.chain(starts, [None] * _AHEAD):
            if start is not None:
                some = files[start : start + _BATCH]
                waiting.append([pool.submit(_read, name, load, size) for name, load in some])
            if waiting and (start is None or len(waiting) > _AHEAD):
                yield [one.result() for one in waiting.pop(0)]


def _read(name: str, load: Load, size: int) -> _Read:
    try:
        pixels = read(load(), name)
        return _Read(name, imaging.resize(tf.constant(pixels), size).numpy())
    except UnreadableError as reason:
        return _Read(name, None, f"It {reason}.")
    except (OSError, zipfile.BadZipFile, RuntimeError, NotImplementedError) as error:
        return _Read(name, None, f"It cannot be read: {error}.")
    except MemoryError:
        return _Read(name, None, f"It needs more memory than there is ({MOST_PIXELS} pixels fit).")


def _answering(classifier: Classifier) -> Callable[[np.ndarray], dict[str, np.ndarray]]:
    """Return what answers for a batch, by a graph for so many pictures; fewer are padded."""
    model = classifier.outputs
    graph = tf.function(lambda values: model(values, training=False))
    at_once = max(1, _BATCH // backbones.looks(model))

    def piece(pixels: np.ndarray) -> dict[str, np.ndarray]:
        padded = np.pad(pixels, [(0, at_once - len(pixels)), (0, 0), (0, 0), (0, 0)])
        given = graph(tf.constant(padded, tf.float32))
        return {name: np.asarray(one)[: len(pixels)] for name, one in given.items()}

    def answer(pixels: np.ndarray) -> dict[str, np.ndarray]:
        parts = [piece(pixels[i : i + at_once]) for i in range(0, len(pixels), at_once)]
        return {name: np.concatenate([one[name] for one in parts]) for name in parts[0]}

    return answer


def _header(classifier: Classifier) -> list[str]:
    further = [name for one in _further(classifier) for name in one[1]]
    return ["file", "label", "probability", *classifier.classes, *further, "reason"]


def _further(classifier: Classifier) -> list[tuple[str, list[str]]]:
    """Return each output beside the probabilities with the names of its columns."""
    found = []
    for name, one in classifier.outputs.output.items():
        if name != PROBABILITIES:
            width = int(np.prod([int(length) for length in one.shape[1:]], initial=1))
            found.append((name, [name] if width == 1 else [f"{name}_{i}" for i in range(width)]))
    return found


def _rows(
    classifier: Classifier,
    answer: Callable[[np.ndarray], dict[str, np.ndarray]],
    some: Sequence[_Read],
) -> Iterator[list[Any]]:
    pixels = [one.pixels for one in some if one.pixels is not None]
    said = answer(np.stack(pixels)) if pixels else {}
    place = 0
    empty = [""] * (2 + len(classifier.classes) + sum(len(n) for _, n in _further(classifier)))
    for one in some:
        if one.pixels is None:
            yield [one.name, *empty, one.reason]
            continue
        shares = said[PROBABILITIES][place]
        more = [v for name, _ in _further(classifier) for v in np.ravel(said[name][place]).tolist()]
        best = int(shares.argmax())
        row = [classifier.classes[best], _digits(shares[best]), *map(_digits, shares)]
        yield [one.name, *row, *map(_digits, more), ""]
        place += 1


def _digits(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float | np.floating) else str(value)
