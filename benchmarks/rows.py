"""Finished runs as lines of a file: what was run, what it answered, which pictures it got right."""

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

from benchmarks.processes import ROOT
from transfer.dataset import library
from transfer.dataset.index import ImageIndex
from transfer.runs import Run


@dataclass(frozen=True)
class Key:
    """What was run; `budget` in seconds and `image_size` in pixels where one was asked for."""

    dataset: str
    backbone: str
    method: str
    seed: int = 0
    budget: float | None = None
    image_size: int | None = None


@dataclass(frozen=True)
class Marks:
    """Which pictures were classified rightly: one digit 0 or 1 a picture, in the set's order.

    `pictures` is the same for the same pictures in the same order.
    """

    right: str
    pictures: str

    @classmethod
    def of(cls, index: ImageIndex, positions: Sequence[int], answers: np.ndarray) -> "Marks":
        """Mark answers [n, classes] for these pictures of a data set."""
        pictures = [index.pictures[i] for i in positions]
        labels = index.class_numbers()[list(positions)]
        if answers.shape != (len(labels), len(index.classes)):
            raise ValueError(f"got answers {answers.shape} for {len(labels)} pictures")
        contents = "".join(picture.sha256 + picture.label for picture in pictures)
        right = "".join("01"[int(hit)] for hit in answers.argmax(axis=1) == labels)
        return cls(right, hashlib.sha256(contents.encode()).hexdigest()[:16])

    @property
    def array(self) -> np.ndarray:
        """The digits as booleans [n]."""
        return np.frombuffer(self.right.encode(), np.uint8) == ord("1")


@dataclass(frozen=True)
class Row:
    """One finished run."""

    key: Key
    answer: dict[str, Any]
    seconds: float
    peak_memory_mb: int
    marks: dict[str, Marks] = field(default_factory=dict)  # "validation", "test"
    code: str = ""  # of the program that ran: see `code`


class Rows:
    """The rows in a file, one JSON object a line; added to, never changed.

    A line that a killed process left unfinished is passed over. Of equal keys the last row counts.
    """

    def __init__(self, file: Path) -> None:
        self._file, self._rows = file, dict[Key, Row]()
        for line in file.read_text(encoding="utf-8").splitlines() if file.is_file() else ():
            try:
                row = _row(json.loads(line))
            except ValueError:
                continue
            self._rows[row.key] = row

    def __contains__(self, key: Key) -> bool:
        return key in self._rows

    def __getitem__(self, key: Key) -> Row:
        return self._rows[key]

    def __iter__(self) -> Iterator[Row]:
        return iter(self._rows.values())

    def add(self, row: Row) -> None:
        """Keep a row, on disk at once."""
        self._rows[row.key] = row
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with self._file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(row), ensure_ascii=False) + "\n")


def marks_of_run(folder: Path, home: Path) -> dict[str, Marks]:
    """Return what the shipped model of a finished run got right; `home` is its store."""
    run, found = Run(folder), {}
    with patch.dict(os.environ, {"TRANSFER_HOME": str(home)}):
        index = library.open_dataset(run.config().dataset)
    for part in ("validation", "test"):
        if (kept := run.answers(part)) is not None:
            found[part] = Marks.of(index, kept[0].tolist(), kept[1])
    return found


def code() -> str:
    """Return a name of the program as it is now, so that rows of another one are noticed."""
    digest = hashlib.sha256()
    for path in sorted((ROOT / "transfer").rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def _row(value: dict[str, Any]) -> Row:
    key = Key(**value.pop("key"))
    marks = {part: Marks(**one) for part, one in value.pop("marks").items()}
    return Row(key=key, marks=marks, **value)
