"""The files in which features lie: for each writer one of ids and one of rows.

    <random>-<width>.ids    the SHA-256 of each picture, 32 bytes
    <random>-<width>.rows   its features, `width` float16 numbers, in the same order

Both are only ever appended to. Rows are on disk before their ids, so what the ids promise is there,
and what a broken-off write left behind them is passed over. Lost bytes are noticed by the lengths
of the files; changed bytes are not.
"""

import contextlib
import fcntl
import itertools
import os
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from transfer.errors import RunError

_ID_BYTES = 32
KEY = np.dtype(f"S{_ID_BYTES}")  # of NumPy's bytes: equal length, so exact
ROW = np.dtype("<f2")


@dataclass(frozen=True)
class Segment:
    """The two files of one writer. Creating this object touches nothing on disk."""

    ids: Path

    @property
    def rows(self) -> Path:
        """The file with the features."""
        return self.ids.with_suffix(".rows")

    @property
    def sizes(self) -> tuple[int, int]:
        """The bytes of both files, ids first; -1 where one is not to be had."""
        return _size(self.ids), _size(self.rows)

    def keys(self, width: int) -> np.ndarray:
        """Return the SHA-256 of each picture whose row of `width` numbers is whole, bytes [n]."""
        try:
            keys = np.fromfile(self.ids, KEY)
        except OSError:
            return np.zeros(0, KEY)
        # Their rows, looked at after them, were there before them.
        return keys[: max(0, _size(self.rows)) // (width * ROW.itemsize)]

    def contents(self) -> set[bytes]:
        """Return the SHA-256 of each picture in it, also of those whose rows are not whole."""
        try:
            data = self.ids.read_bytes()
        except OSError:
            return set()
        return {data[i : i + _ID_BYTES] for i in range(0, len(data), _ID_BYTES)}

    @classmethod
    def begin(cls, folder: Path, keys: np.ndarray, rows: np.ndarray) -> "Segment":
        """Make a segment of these pictures; for the arguments see `append`."""
        folder.mkdir(parents=True, exist_ok=True)
        segment = cls(folder / f"{uuid.uuid4().hex}-{rows.shape[1]}.ids")
        with segment._opened("xb") as (ids_file, rows_file):
            _write(ids_file, rows_file, keys, rows)
        return segment

    def append(self, keys: np.ndarray, rows: np.ndarray) -> bool:
        """Add pictures, unless the files are gone or end in a broken-off write.

        Args:
            keys: SHA-256 of the pictures, bytes [n].
            rows: float16 [n, width], contiguous.

        Returns:
            whether they were added.
        """
        try:
            with self._opened("r+b") as (ids_file, rows_file):
                ids, ends = ids_file.seek(0, os.SEEK_END), rows_file.seek(0, os.SEEK_END)
                if ids * rows.strides[0] != ends * _ID_BYTES:
                    return False
                _write(ids_file, rows_file, keys, rows)
        except FileNotFoundError:
            return False
        return True

    def read(self, rows: np.ndarray, target: np.ndarray) -> None:
        """Read the rows with these ascending numbers into `target`, float16 [n, width].

        The file is not mapped into memory: one that shrinks would end the process.

        Raises:
            RunError: they are not there any more.
        """
        breaks = np.flatnonzero(np.diff(rows) != 1) + 1
        edges = [0, *breaks.tolist(), len(rows)]
        try:
            with self.rows.open("rb", buffering=0) as file:
                for first, last in itertools.pairwise(edges):
                    run = target[first:last]
                    file.seek(int(rows[first]) * target.strides[0])
                    if file.readinto(run.data) != run.nbytes:
                        raise lost(len(run))
        except FileNotFoundError:
            raise lost(len(rows)) from None

    @contextlib.contextmanager
    def _opened(self, mode: str) -> Iterator[tuple[IO[bytes], IO[bytes]]]:
        """Yield both files, for nobody else until they are closed."""
        with self.ids.open(mode) as ids_file:
            fcntl.flock(ids_file, fcntl.LOCK_EX)
            with self.rows.open(mode) as rows_file:
                yield ids_file, rows_file


def of_width(folder: Path, width: int) -> list[Segment]:
    """Return the segments in a folder whose rows have `width` numbers."""
    return [Segment(ids) for ids in sorted(folder.glob(f"[!.]*-{width}.ids"))]


def below(folder: Path) -> list[Segment]:
    """Return all segments below a folder, also those of which only one file is left."""
    found = (path for end in ("ids", "rows") for path in folder.rglob(f"[!.]*.{end}"))
    return [Segment(ids) for ids in sorted({path.with_suffix(".ids") for path in found})]


def lost(count: int) -> RunError:
    """Return the error for features that were here a moment ago."""
    return RunError(
        f"The kept features of {count} picture{'s' * (count != 1)} are gone, though they are needed"
        " now: files were deleted or damaged meanwhile. Start this work again, and they are"
        " computed anew."
    )


def _write(ids_file: IO[bytes], rows_file: IO[bytes], keys: np.ndarray, rows: np.ndarray) -> None:
    rows_file.write(rows.data)
    rows_file.flush()
    os.fsync(rows_file.fileno())  # else a power cut could leave ids, and zeros for their rows
    ids_file.write(keys.tobytes())
    ids_file.flush()


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return -1
