"""How good a classifier is, with its uncertainty: plain NumPy, no model in sight."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

_Z95 = 1.959963984540054  # 97.5 % quantile of the normal distribution
# When two classes are said to be mixed up: below that it is hearsay, and a long list is not read.
_LEAST_OF_A_CLASS = 4
_LEAST_MISTAKES = 2
_MOST_CONFUSED = 5


@dataclass(frozen=True)
class Accuracy:
    """A share of right answers with its 95 % Wilson interval, all in [0, 1]; `n` pictures."""

    accuracy: float
    low: float
    high: float
    n: int

    def to_json(self) -> dict[str, Any]:
        """Return the four numbers as a JSON object."""
        return {"accuracy": self.accuracy, "low": self.low, "high": self.high, "n": self.n}

    def sentence(self) -> str:
        """Return the number as a person reads it: '91.2 % (86.0 to 94.6 %, 153 pictures)'."""
        low, high = 100 * self.low, 100 * self.high
        return f"{100 * self.accuracy:.1f} % ({low:.1f} to {high:.1f} %, {self.n} pictures)"


@dataclass(frozen=True)
class Confused:
    """Two classes that cannot be told apart yet.

    Of their pictures that were called one or the other, `share` were called by the right name, each
    class counting one half, with its 95 % interval; tossing a coin gives 1/2. `n` pictures.
    """

    first: str
    second: str
    share: float
    low: float
    high: float
    n: float


@dataclass(frozen=True)
class ClassScore:
    """Precision and recall of one class; None where nothing was predicted or nothing is there."""

    precision: float | None
    recall: float | None
    n: int


@dataclass(frozen=True)
class Report:
    """What one model did on one set of pictures.

    `confusion[i][j]` counts pictures of class i that were called class j, in the order of
    `classes`. `loss` is the mean negative log-likelihood in nats.
    """

    overall: Accuracy
    loss: float
    classes: tuple[str, ...]
    per_class: dict[str, ClassScore]
    confusion: tuple[tuple[int, ...], ...]

    def to_json(self) -> dict[str, Any]:
        """Return the report as a JSON object."""
        return {
            **self.overall.to_json(),
            "loss": self.loss,
            "classes": list(self.classes),
            "per_class": {
                name: {"precision": score.precision, "recall": score.recall, "n": score.n}
                for name, score in self.per_class.items()
            },
            "confusion": [list(row) for row in self.confusion],
        }


def wilson(right: int, n: int) -> Accuracy:
    """Return the share `right / n` with its 95 % Wilson score interval (Wilson 1927).

    >>> wilson(90, 100).low.__round__(3)
    0.826

    Raises:
        ValueError: `n` is not positive, or `right` is not between 0 and `n`.
    """
    if n <= 0 or not 0 <= right <= n:
        raise ValueError(f"expected 0 <= right <= n and n > 0, got right={right}, n={n}")
    return Accuracy(right / n, *limits(right / n, n), n)


def limits(share: float, n: float, quantile: float = _Z95) -> tuple[float, float]:
    """Return the Wilson score interval of a share of `n` independent pictures.

    Args:
        share: in [0, 1].
        n: may be broken, where it stands for more pictures that depend on each other.
        quantile: how many standard errors to either side.
    """
    z2 = quantile**2
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = quantile / (1 + z2 / n) * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    # Where all or none are, the limit is exact, and must not be a little beside it.
    low = 0.0 if share <= 0 else max(0.0, centre - half)
    return low, 1.0 if share >= 1 else min(1.0, centre + half)


def least_error(better: int, worse: int, n: int) -> float:
    """Return the least standard error of a paired difference of two accuracies, in [0, 1].

    Half a picture more in each cell (Agresti and Min 2005): n pictures on which two models were
    right and wrong alike do not prove that they always are.

    Args:
        better: pictures on which only the first was right.
        worse: those on which only the second was.
        n: all pictures that judged both.
    """
    first, second, all_of_them = better + 0.5, worse + 0.5, n + 2
    return math.sqrt(first + second - (first - second) ** 2 / all_of_them) / all_of_them


def evaluate(probabilities: np.ndarray, labels: np.ndarray, classes: tuple[str, ...]) -> Report:
    """Compare probabilities [n, classes] with the true class numbers [n].

    Raises:
        ValueError: the shapes do not fit together, or there are no pictures.
    """
    if probabilities.shape != (len(labels), len(classes)) or not len(labels):
        raise ValueError(f"got probabilities {probabilities.shape} for {len(labels)} labels")
    predicted = probabilities.argmax(axis=1)
    confusion = np.zeros((len(classes), len(classes)), dtype=np.int64)
    np.add.at(confusion, (labels, predicted), 1)
    likelihood = probabilities[np.arange(len(labels)), labels]
    return Report(
        overall=wilson(int(confusion.trace()), len(labels)),
        loss=float(-np.log(np.maximum(likelihood, 1e-12)).mean()),
        classes=classes,
        per_class={name: _class_score(confusion, i) for i, name in enumerate(classes)},
        confusion=tuple(tuple(int(count) for count in row) for row in confusion),
    )


def apart(confusion: np.ndarray, classes: tuple[str, ...]) -> tuple[Confused, ...]:
    """Return the pairs of classes that cannot be told apart yet, the worst first, a few at most.

    Of two classes' pictures that were called one or the other, the share of right names (each class
    one half) is not above 1/2 beyond its 95 % interval: that of the mean of two proportions by the
    Wilson limits of each (Zou & Donner 2008). A few pictures of each and some mistakes are needed.

    Args:
        confusion: counts [classes, classes], true class by called class; means of several
            repetitions are as good.
        classes: their names.
    """
    found = []
    for i, j in zip(*np.triu_indices(len(classes), 1), strict=True):
        right = np.array([confusion[i, i], confusion[j, j]], float)
        wrong = np.array([confusion[i, j], confusion[j, i]], float)
        there = right + wrong
        if there.min() < _LEAST_OF_A_CLASS or wrong.sum() < _LEAST_MISTAKES:
            continue
        shares = right / there
        ends = np.array([limits(s, n) for s, n in zip(shares, there, strict=True)])
        share = float(shares.mean())
        below, above = (float(np.hypot(*(shares - ends[:, side]))) / 2 for side in (0, 1))
        if share - below <= 0.5:
            names = classes[int(i)], classes[int(j)]
            found.append(Confused(*names, share, share - below, share + above, float(there.sum())))
    return tuple(sorted(found, key=lambda one: (one.share, -one.n))[:_MOST_CONFUSED])


def _class_score(confusion: np.ndarray, i: int) -> ClassScore:
    right, called, there = int(confusion[i, i]), int(confusion[:, i].sum()), int(confusion[i].sum())
    return ClassScore(right / called if called else None, right / there if there else None, there)
