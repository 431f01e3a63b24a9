"""The figures behind the page of results: whom a finished run confuses, class by class."""

import csv
import io
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np

from transfer import store
from transfer.dataset import library
from transfer.dataset.index import ImageIndex
from transfer.errors import DataError
from transfer.evaluation import Accuracy, wilson
from transfer.runs import Run

_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # a spreadsheet would reckon what begins like this

# Strategies whose kept model, once chosen and measured, learns from the validation pictures too.
REFITTED = ("linear_top", "linear_stages")

_OLDER = (
    "This run is of an older version, which kept no answers of single pictures: train it again to"
    " see them."
)
_DELETED = (
    "The data set of this run was deleted, so its pictures cannot be shown. Upload the same"
    " pictures again and they are back."
)
_ANOTHER = (
    "The data set in the store is not the one that this run was judged by, so its pictures are not"
    " shown."
)


@dataclass(frozen=True)
class Answer:
    """What the model said of one picture: class numbers, and the probability of what it said."""

    name: str
    sha256: str
    truth: int
    said: int
    sure: float

    @property
    def right(self) -> bool:
        """Whether it said what the label says."""
        return self.truth == self.said


@dataclass(frozen=True, eq=False)
class Figures:
    """What a finished run did on the pictures that judge it.

    `part` is "test", or "validation" where there was no test. `confusion[i, j]` counts pictures of
    class i that were called class j. `answers` (in the order of `probabilities` [n, classes]) are
    empty where the pictures are not to be had; `gone` then says why. `taught` counts the pictures
    of each class that the run learned from, where that is known.
    """

    part: str
    classes: tuple[str, ...]
    confusion: np.ndarray
    digest: str
    answers: tuple[Answer, ...] = ()
    probabilities: np.ndarray | None = None
    taught: tuple[int, ...] | None = None
    gone: str | None = None

    @property
    def overall(self) -> Accuracy:
        """The share of right answers with its interval."""
        return wilson(self.right, self.pictures)

    @property
    def right(self) -> int:
        """How many answers are right."""
        return int(self.confusion.trace())

    @property
    def pictures(self) -> int:
        """How many pictures judge the run."""
        return int(self.confusion.sum())

    @cached_property
    def mistakes(self) -> tuple[Answer, ...]:
        """The wrong answers, the surest first."""
        return _surest(answer for answer in self.answers if not answer.right)

    @cached_property
    def confused(self) -> tuple["Pair", ...]:
        """Who was called what by mistake, the most frequent first."""
        return tuple(pairs(self.confusion))

    def cell(self, truth: int, said: int) -> tuple[Answer, ...]:
        """Return the answers of one cell of the confusion matrix, the surest first."""
        return _surest(one for one in self.answers if (one.truth, one.said) == (truth, said))


@dataclass(frozen=True)
class Pair:
    """So many (`count`) of the `of` pictures of class `truth` were called class `said`."""

    truth: int
    said: int
    count: int
    of: int


@dataclass(frozen=True)
class ClassRow:
    """One class: how many of its pictures were found, how often its name was right.

    `found` is the recall, None where the class has no pictures here; `trusted` the precision, None
    where nothing was called so. `taught`: pictures that the run learned from, where known.
    """

    number: int
    name: str
    found: Accuracy | None
    trusted: Accuracy | None
    right: int
    taught: int | None

    @property
    def pictures(self) -> int:
        """How many pictures of the class judge the run."""
        return self.found.n if self.found else 0

    @property
    def named(self) -> int:
        """How many pictures were called so."""
        return self.trusted.n if self.trusted else 0


def read(run: Run) -> Figures:
    """Return the figures of a finished run, kept in memory while its folder is unchanged.

    Raises:
        RunError: the run is not finished, or damaged.
    """
    data_set = store.home() / "datasets" / run.config().dataset
    return _read(str(run.folder), _changed(run.folder), _changed(data_set))


def order(confusion: np.ndarray) -> list[int]:
    """Return the classes so that those confused with each other stand side by side.

    Hierarchical clustering (average linkage) of the confusion rates of both directions together;
    classes that are never confused follow in their old order.
    """
    rates = confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    likeness = rates + rates.T
    np.fill_diagonal(likeness, 0)
    mixed = likeness.any(axis=1)
    clear = [int(i) for i in np.nonzero(~mixed)[0]]
    return [*_clustered(likeness, [int(i) for i in np.nonzero(mixed)[0]]), *clear]


def pairs(confusion: np.ndarray) -> list[Pair]:
    """Return who was called what by mistake, the most frequent first."""
    there = confusion.sum(axis=1)
    found = [
        Pair(int(i), int(j), int(confusion[i, j]), int(there[i]))
        for i, j in zip(*np.nonzero(confusion), strict=True)
        if i != j
    ]
    return sorted(found, key=lambda pair: (-pair.count, -pair.count / pair.of))


def hits(confusion: np.ndarray) -> list[Pair]:
    """Return the classes of which some pictures were found, as pairs with themselves."""
    there = confusion.sum(axis=1)
    right = confusion.diagonal()
    return [Pair(i, i, int(right[i]), int(there[i])) for i in range(len(right)) if right[i]]


def class_rows(figures: Figures) -> list[ClassRow]:
    """Return the classes, the one that is found least first; those without pictures last."""
    there, called = figures.confusion.sum(axis=1), figures.confusion.sum(axis=0)
    right = figures.confusion.diagonal()
    rows = [
        ClassRow(
            number=i,
            name=name,
            found=wilson(int(right[i]), int(there[i])) if there[i] else None,
            trusted=wilson(int(right[i]), int(called[i])) if called[i] else None,
            right=int(right[i]),
            taught=figures.taught[i] if figures.taught else None,
        )
        for i, name in enumerate(figures.classes)
    ]
    return sorted(rows, key=_worst_first)


def largest_class(figures: Figures) -> tuple[str, int]:
    """Return the class with the most pictures, and their number: what guessing could reach."""
    there = figures.confusion.sum(axis=1)
    return figures.classes[int(there.argmax())], int(there.max())


def per_class(figures: Figures) -> list[dict[str, str | float | None]]:
    """Return the table of the classes: shares and their intervals in [0, 1], None where unknown."""
    return [
        {"class": row.name, "pictures": row.pictures, "right": row.right, "called_so": row.named}
        | _three("recall", row.found)
        | _three("precision", row.trusted)
        for row in class_rows(figures)
    ]


def per_class_csv(figures: Figures) -> bytes:
    """Return the table of the classes, for a spreadsheet."""
    rows = per_class(figures)
    return _csv([list(rows[0]), *(list(row.values()) for row in rows)])


def confusion_csv(figures: Figures) -> bytes:
    """Return the confusion matrix, for a spreadsheet: a row for each true class."""
    rows = [[name, *figures.confusion[i].tolist()] for i, name in enumerate(figures.classes)]
    return _csv([["label / answer", *figures.classes], *rows])


def answers_csv(figures: Figures) -> bytes:
    """Return one row a picture, for a spreadsheet: its label, the answer, all probabilities."""
    header = ["picture", "label", "answer", "right", "probability"]
    header += [f"probability of {name}" for name in figures.classes]
    all_probabilities = figures.probabilities if figures.probabilities is not None else ()
    rows = [
        [one.name, figures.classes[one.truth], figures.classes[one.said],
         "yes" if one.right else "no", f"{one.sure:.4f}", *(f"{p:.4f}" for p in probabilities)]
        for one, probabilities in zip(figures.answers, all_probabilities, strict=True)
    ]  # fmt: skip
    return _csv([header, *rows])


@lru_cache(maxsize=8)
def _read(folder: str, _: int, __: int) -> Figures:
    run = Run(Path(folder))
    result = run.result()
    part = "test" if result["test_report"] else "validation"
    report = result["test_report"] or result["candidates"][result["shipped"]]
    digest, classes = run.config().dataset, tuple(report["classes"])
    bare = Figures(part, classes, np.array(report["confusion"], np.int64), digest)
    kept = run.answers(part)
    if kept is None:
        return _without(bare, _OLDER)
    try:
        index = library.open_dataset(digest)
    except DataError:
        return _without(bare, _DELETED)
    positions, probabilities = kept
    if index.classes != classes or positions.max(initial=-1) >= len(index.pictures):
        return _without(bare, _ANOTHER)
    return Figures(
        part=part,
        classes=classes,
        confusion=bare.confusion,
        digest=digest,
        answers=_answers(index, classes, positions, probabilities),
        probabilities=probabilities,
        taught=_taught(run, index, classes, result["shipped"]),
    )


def _answers(
    index: ImageIndex, classes: tuple[str, ...], positions: np.ndarray, probabilities: np.ndarray
) -> tuple[Answer, ...]:
    number = {name: i for i, name in enumerate(classes)}
    said, sure = probabilities.argmax(axis=1).tolist(), probabilities.max(axis=1).tolist()
    found = []
    for position, what, how_sure in zip(positions.tolist(), said, sure, strict=True):
        picture = index.pictures[position]
        truth = number[picture.label]
        found.append(Answer(picture.name, picture.sha256, truth, what, how_sure))
    return tuple(found)


def _taught(
    run: Run, index: ImageIndex, classes: tuple[str, ...], strategy: str
) -> tuple[int, ...] | None:
    parts = run.read("split")
    if not parts:
        return None
    learned = [*parts["train"], *(parts["val"] if strategy in REFITTED else ())]
    if max(learned, default=-1) >= len(index.pictures):
        return None
    counts = Counter(index.pictures[position].label for position in learned)
    return tuple(counts[name] for name in classes)


def _clustered(likeness: np.ndarray, members: list[int]) -> list[int]:
    """Join the two likest groups until one is left, each time with their likest ends together."""
    groups = [[i] for i in members]
    means = likeness[np.ix_(members, members)].astype(float)
    np.fill_diagonal(means, -1)
    while len(groups) > 1:
        i, j = sorted(int(k) for k in np.unravel_index(means.argmax(), means.shape))
        sizes = len(groups[i]), len(groups[j])
        means[i] = means[:, i] = (sizes[0] * means[i] + sizes[1] * means[j]) / sum(sizes)
        means[i, i] = -1
        means = np.delete(np.delete(means, j, 0), j, 1)
        ways = [
            [*left, *right]
            for left in (groups[i], groups[i][::-1])
            for right in (groups[j], groups[j][::-1])
        ]
        groups[i] = max(ways, key=lambda way: likeness[way[sizes[0] - 1], way[sizes[0]]])
        del groups[j]
    return groups[0] if groups else []


def _without(figures: Figures, why: str) -> Figures:
    return Figures(figures.part, figures.classes, figures.confusion, figures.digest, gone=why)


def _surest(answers: Iterable[Answer]) -> tuple[Answer, ...]:
    return tuple(sorted(answers, key=lambda answer: (-answer.sure, answer.name)))


def _worst_first(row: ClassRow) -> tuple[float, ...]:
    """Of equal shares, the one that more pictures speak for; then the one trusted less."""
    if row.found is None:
        return (2.0,)
    trusted = row.trusted.accuracy if row.trusted else 0.0
    return row.found.accuracy, row.found.high, trusted, -row.pictures


def _three(term: str, share: Accuracy | None) -> dict[str, float | None]:
    ends = (share.accuracy, share.low, share.high) if share else (None, None, None)
    rounded = (None if end is None else round(end, 4) for end in ends)
    return dict(zip((term, f"{term}_low", f"{term}_high"), rounded, strict=True))


def _csv(rows: Sequence[Sequence[object]]) -> bytes:
    """Return rows as a CSV that spreadsheets read in any script and do not take for formulas."""
    text = io.StringIO()
    writer = csv.writer(text)
    for row in rows:
        writer.writerow([_harmless(cell) if isinstance(cell, str) else cell for cell in row])
    return text.getvalue().encode("utf-8-sig")


def _harmless(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) else text


def _changed(folder: Path) -> int:
    """Return when something was last put into a folder: files of the store come in by renaming."""
    try:
        return folder.stat().st_mtime_ns
    except FileNotFoundError:
        return 0
