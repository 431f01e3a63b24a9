"""The features of pictures, kept on disk and found by the content of each picture."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from transfer import feature_segments
from transfer.errors import BackboneError
from transfer.feature_segments import KEY, ROW, Segment

_LARGEST = float(np.finfo(ROW).max)
_PIECE_BYTES = 8 * 2**20  # read at a time: large enough for the disk, small beside the result


class FeatureStore:
    """The features of one network, shared by all runs, data sets, splits and users.

    Several processes and threads may read and append at once. What a picture's features are never
    changes: a second row of the same picture is as good as the first.
    """

    def __init__(self, folder: Path, width: int) -> None:
        """Open a folder; it is made by the first `append`.

        Args:
            folder: of one network, input size, weight file and version of the calculation.
            width: numbers a row; rows of another width are not seen.
        """
        self.folder = folder
        self.width = width
        self._own: Segment | None = None
        self._seen: _Seen = ({}, _Index.of((), width))  # set at once: threads may share this

    def missing(self, contents: Sequence[str]) -> list[int]:
        """Return the positions whose rows are not here, each content once, where it comes first.

        Args:
            contents: SHA-256 of the pictures, as hexadecimal digits; may repeat.
        """
        keys = _keys(contents)
        absent = np.flatnonzero(self._refreshed().find(keys) < 0)
        first = np.unique(keys[absent], return_index=True)[1]
        return np.sort(absent[first]).tolist()

    def append(self, contents: Sequence[str], rows: np.ndarray) -> None:
        """Keep the rows of these pictures, as float16; too large numbers become the largest one.

        A process that is killed meanwhile loses at most these rows.

        Args:
            contents: SHA-256 of the pictures, as hexadecimal digits.
            rows: the features, [len(contents), width].

        Raises:
            BackboneError: something in `rows` is not a number.
        """
        keys = _keys(contents)
        if rows.shape != (len(keys), self.width):
            raise ValueError(f"expected rows {(len(keys), self.width)}, received {rows.shape}")
        if broken := int(np.isnan(rows).any(axis=1).sum()):
            raise BackboneError(
                f"The network gave values that are not numbers (NaN) for {broken} of {len(rows)}"
                " pictures, so its weight file is probably damaged. Delete that file and download"
                " it again, or choose another network."
            )
        kept = np.ascontiguousarray(np.clip(rows, -_LARGEST, _LARGEST), ROW)
        if len(keys) and not (self._own and self._own.append(keys, kept)):
            self._own = Segment.begin(self.folder, keys, kept)

    def read(
        self, contents: Sequence[str], columns: slice | None = None, chunk: int = 4096
    ) -> np.ndarray:
        """Return the kept features of pictures, float16 [len(contents), columns], in their order.

        Files are read from front to back; beside the result this takes a few megabytes.

        Args:
            contents: SHA-256 of the pictures, as hexadecimal digits; may repeat.
            columns: which numbers of each row, without gaps; all by default.
            chunk: rows read at a time, at most.

        Raises:
            RunError: some are not here.
        """
        chosen = self._columns(columns)
        index = self._refreshed()
        return index.read(index.sought(_keys(contents)), chosen, chunk)

    def chunks(
        self, contents: Sequence[str], columns: slice | None = None, chunk: int = 4096
    ) -> Iterator[np.ndarray]:
        """Yield what `read` returns in pieces of `chunk` rows, the last one shorter."""
        chosen = self._columns(columns)
        index = self._refreshed()
        places = index.sought(_keys(contents))
        for start in range(0, len(places), chunk):
            yield index.read(places[start : start + chunk], chosen, chunk)

    def _refreshed(self) -> "_Index":
        """Return where each row lies, with what other processes have added meanwhile."""
        found = feature_segments.of_width(self.folder, self.width)
        sizes = {segment: segment.sizes for segment in found}
        before, index = self._seen
        if sizes != before:
            index = _Index.of(found, self.width)
            self._seen = sizes, index
        return index

    def _columns(self, columns: slice | None) -> range:
        chosen = range(self.width)[columns or slice(None)]
        if chosen.step != 1:
            raise ValueError(f"expected columns without gaps, received {columns}")
        return chosen


@dataclass(frozen=True)
class _Index:
    """Where each row lies. A place counts the rows of all segments, one after the other."""

    segments: tuple[Segment, ...]
    starts: np.ndarray  # int64 [segments]: the place of the first row of each
    keys: np.ndarray  # bytes [n], sorted
    places: np.ndarray  # int64 [n], of each key
    width: int

    @classmethod
    def of(cls, segments: Sequence[Segment], width: int) -> "_Index":
        parts = [segment.keys(width) for segment in segments]
        keys = np.concatenate([np.zeros(0, KEY), *parts])
        places = np.argsort(keys, kind="stable")
        starts = np.cumsum([0, *map(len, parts)])[:-1]
        return cls(tuple(segments), starts, keys[places], places, width)

    def find(self, keys: np.ndarray) -> np.ndarray:
        """Return the place of each key, -1 where it is not here."""
        if not len(self.keys):
            return np.full(len(keys), -1)
        nearest = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        return np.where(self.keys[nearest] == keys, self.places[nearest], -1)

    def sought(self, keys: np.ndarray) -> np.ndarray:
        """Return the place of each key; raises RunError where one is not here."""
        places = self.find(keys)
        if count := int((places < 0).sum()):
            raise feature_segments.lost(count)
        return places

    def read(self, places: np.ndarray, columns: range, chunk: int) -> np.ndarray:
        """Return the rows at these places, in pieces from the front of the files to their end."""
        result = np.empty((len(places), len(columns)), np.float16)
        order = np.argsort(places, kind="stable")
        step = max(1, min(chunk, _PIECE_BYTES // (self.width * ROW.itemsize)))
        rows = np.empty((min(step, len(places)), self.width), ROW)
        for start in range(0, len(order), step):
            part = order[start : start + step]
            ascending, which = np.unique(places[part], return_inverse=True)
            self._fill(rows, ascending)
            result[part] = rows[which, columns.start : columns.stop]
        return result

    def _fill(self, rows: np.ndarray, places: np.ndarray) -> None:
        """Read the rows at ascending places, which may lie in several segments."""
        # The last one of those that start here: those before it are empty.
        owners = np.searchsorted(self.starts, places, side="right") - 1
        for owner in np.unique(owners):
            first, last = np.searchsorted(owners, [owner, owner + 1])
            numbers = places[first:last] - self.starts[owner]
            self.segments[owner].read(numbers, rows[first:last])


_Seen = tuple[
    dict[Segment, tuple[int, int]], _Index
]  # the sizes of the files, and what was in them


def _keys(contents: Sequence[str]) -> np.ndarray:
    """Return SHA-256s as bytes [n]."""
    if any(len(content) != 2 * KEY.itemsize for content in contents):
        raise ValueError("expected the SHA-256 of each picture, as 64 hexadecimal digits")
    return np.frombuffer(bytes.fromhex("".join(contents)), KEY)
