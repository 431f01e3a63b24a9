"""The sections of a report on how good the model is: overall, class by class, what it confuses."""

import numpy as np

from transfer.evaluation import Accuracy, wilson
from transfer.reporting import drawing
from transfer.reporting.document import Block, Chart, Section, Table, Text
from transfer.reporting.drawing import Bar
from transfer.reporting.material import Material
from transfer.reporting.numbers import interval
from transfer.wording import many, percent

_MOST_DRAWN = 40  # classes; of more the matrix cannot be read, and the pairs are listed instead
_PAIRS = 12

ABOUT_THE_INTERVAL = (
    "The range is the 95 % Wilson interval: in 95 of 100 such tests it holds the true share. It"
    " holds for pictures like these. With another camera, in another light or at another place it"
    " may be worse: test it there too."
)


def sentence(found: Material) -> str:
    """Return how often it is right, with the interval: the sentence that heads the report."""
    n = found.overall.n
    which = "it has never seen" if found.part == "test" else "held back from its learning"
    low = percent(found.overall.low, n).removesuffix(" %")
    return (
        f"It is right on {percent(found.overall.accuracy, n)} of {many(n, 'picture')} {which}"
        f" (between {low} and {percent(found.overall.high, n)})."
    )


def guess(found: Material) -> float:
    """Return the share that one would reach who always names the commonest class."""
    there = found.confusion.sum(axis=1)
    return float(there.max() / there.sum())


def results(found: Material) -> Section:
    """Return the accuracy beside guessing, and each class with its intervals."""
    chance = guess(found)
    words = [
        f"To answer the commonest class each time would be right on {percent(chance)} (dotted)."
    ]
    if found.part != "test":
        words.append(
            "There were no test pictures: these ones chose the model too, so the figure may be a"
            " little too kind."
        )
    bars = [Bar("All", found.overall), *_recalls(found)]
    blocks: list[Block] = [
        Text(tuple(words)),
        Chart(
            drawing.whiskers(bars, chance),
            "; ".join(f"{bar.name}: {interval(bar.share)}" for bar in bars),
            "Found: the share of a class's pictures that got its name, with 95 % intervals",
        ),
        Text((ABOUT_THE_INTERVAL,), quiet=True),
        class_table(found),
    ]  # fmt: skip
    return Section("How good it is", tuple(blocks))


def class_table(found: Material) -> Table:
    """Return recall and precision of each class with their 95 % Wilson intervals."""
    counts, rows = found.confusion, []
    right, there, called = counts.diagonal(), counts.sum(axis=1), counts.sum(axis=0)
    for i in _worst_first(counts):
        shares = [
            interval(wilson(int(right[i]), int(n))) if n else "none" for n in (there[i], called[i])
        ]
        rows.append((found.classes[i], f"{there[i]:,}", *shares))
    head = ("Class", "Pictures", "Found (recall)", "Trusted (precision)")
    return Table(head, tuple(rows), "Trusted: the share of pictures given a name that deserve it",
                 numbers=(1,))  # fmt: skip


def confusion(found: Material) -> Section:
    """Return what it takes for what."""
    counts, blocks = found.confusion, []
    if len(found.classes) <= _MOST_DRAWN:
        blocks.append(
            Chart(
                drawing.confusion(counts, found.classes),
                "; ".join(_pairs(found)) or "no mistakes",
                "Rows: the label. Columns: what it said. On the diagonal the two agree.",
            )
        )
    pairs = _pairs(found)[:_PAIRS]
    blocks.append(Text(("Its most frequent mistakes:", *pairs) if pairs else ("No mistakes.",)))
    return Section("What it takes for what", tuple(blocks))


def _recalls(found: Material) -> list[Bar]:
    counts = found.confusion
    right, there = counts.diagonal(), counts.sum(axis=1)
    return [
        Bar(found.classes[i], wilson(int(right[i]), int(there[i])))
        for i in _worst_first(counts)
        if there[i]
    ]


def _worst_first(counts: np.ndarray) -> list[int]:
    """Return the classes, the one that is found least first; those without pictures last."""
    there = counts.sum(axis=1)
    shares = np.where(there > 0, counts.diagonal() / np.maximum(there, 1), 2.0)
    return [int(i) for i in np.lexsort((-there, shares))]


def _pairs(found: Material) -> list[str]:
    """Return who was called what by mistake, the most frequent first."""
    counts = found.confusion
    wrong = [
        (int(counts[i, j]), int(i), int(j))
        for i, j in zip(*np.nonzero(counts), strict=True)
        if i != j
    ]
    there = counts.sum(axis=1)
    return [
        f"‘{found.classes[i]}’ called ‘{found.classes[j]}’: {n:,} of {there[i]:,}"
        for n, i, j in sorted(wrong, key=lambda one: (-one[0], one[1:]))
    ]


def as_accuracy(value: object) -> Accuracy | None:
    """Return a share with its interval from JSON; None where it is none."""
    if isinstance(value, dict) and {"accuracy", "low", "high", "n"} <= value.keys():
        return Accuracy(value["accuracy"], value["low"], value["high"], int(value["n"]))
    return None
