"""What a finished run left behind, as a report reads it; what is not there is left out."""

import contextlib
import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from transfer import store
from transfer.dataset import library, versions
from transfer.dataset.index import ImageIndex
from transfer.errors import DataError
from transfer.evaluation import Accuracy, wilson
from transfer.runs import Run

Row = dict[str, Any]


@dataclass(frozen=True)
class Judged:
    """One picture that judged the run: its file, its label and what was said, as class numbers."""

    name: str
    path: Path
    truth: int
    said: int
    sure: float


@dataclass(frozen=True, eq=False)
class Material:
    """A finished run: its settings, its result, and what it read from its folder and the store.

    `dataset` is the name of the data set with the version that the run learned from.
    `index` is None where the data set is gone. `answers` is (positions [n], probabilities
    [n, classes]) of the pictures of `part`, None where they were not kept.
    """

    run: Run
    name: str
    dataset: str
    settings: Row
    result: Row
    index: ImageIndex | None
    answers: tuple[np.ndarray, np.ndarray] | None

    @property
    def part(self) -> str:
        """The pictures that judge: "test", or "validation" where there was no test."""
        return "test" if self.result.get("test_report") else "validation"

    @property
    def report(self) -> Row:
        """What `evaluation.Report.to_json` wrote of that part."""
        if self.part == "test":
            return self.result["test_report"]
        return self.result["candidates"][self.result["shipped"]]

    @property
    def classes(self) -> tuple[str, ...]:
        """The class names in the order of the answer."""
        return tuple(self.report["classes"])

    @property
    def confusion(self) -> np.ndarray:
        """Counts [classes, classes]: the label's row, the answer's column."""
        return np.array(self.report["confusion"], np.int64)

    @property
    def overall(self) -> Accuracy:
        """The share of right answers with its interval."""
        return wilson(int(self.confusion.trace()), int(self.confusion.sum()))

    @functools.cached_property
    def labels(self) -> np.ndarray | None:
        """The true class numbers of the pictures of `answers`, where they are known."""
        if self.index is None or self.answers is None:
            return None
        return self.index.class_numbers()[self.answers[0]]

    @functools.cached_property
    def judged(self) -> tuple[Judged, ...]:
        """The pictures that judge, where they and their answers are there."""
        if self.index is None or self.answers is None or self.labels is None:
            return ()
        positions, probabilities = self.answers
        said, sure = probabilities.argmax(axis=1), probabilities.max(axis=1)
        found = []
        for place, position in enumerate(positions):
            picture = self.index.pictures[int(position)]
            one = (int(self.labels[place]), int(said[place]), float(sure[place]))
            found.append(Judged(picture.name, self.index.path(picture), *one))
        return tuple(found)

    def kept(self, name: str) -> Any:
        """Return what stands under a name in the run folder, None where it cannot be read."""
        with contextlib.suppress(Exception):  # a report is worth more than a part of it
            return self.run.read(name)
        return None

    def health(self) -> Row | None:
        """Return what the newest check of the data set found; None where there was none."""
        digest = str(self.settings.get("dataset"))
        paths = (store.home() / "health").glob(f"{digest}-*/health.json")
        with contextlib.suppress(OSError, ValueError):
            newest = max(paths, key=lambda path: path.stat().st_mtime, default=None)
            found = store.read_json(newest) if newest else None
            return found if isinstance(found, dict) else None
        return None


def read(run: Run) -> Material:
    """Return what a finished run left behind.

    Raises:
        RunError: the run is not finished, or damaged.
    """
    result = run.result()
    settings = run.config().to_json()
    digest = settings["dataset"]
    part = "test" if result.get("test_report") else "validation"
    report = result["test_report"] or result["candidates"][result["shipped"]]
    answers, index = run.answers(part), None
    with contextlib.suppress(DataError):
        index = library.open_dataset(digest)
    if index and answers and not _fits(index, tuple(report["classes"]), answers[0]):
        index = None
    return Material(
        run=run,
        name=str(run.about()["name"]),
        dataset=_named(digest),
        settings=settings,
        result=result,
        index=index,
        answers=answers,
    )


def _fits(index: ImageIndex, classes: tuple[str, ...], positions: np.ndarray) -> bool:
    """Whether a data set is the one that the run was judged by."""
    return index.classes == classes and positions.max(initial=-1) < len(index.pictures)


def _named(digest: str) -> str:
    """Return how people call the data set, and which of its versions it is."""
    folder = library.folder(digest)
    version = versions.version(folder)
    for place in (folder, library.folder(version.series)):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            if name := store.read_json(place / "about.json").get("name"):
                return f"{name}, version {version.number}"
    return f"{digest[:8]}, version {version.number}"
