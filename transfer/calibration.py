"""How far probabilities can be believed, one temperature that mends them, and when to be silent.

Everything here is NumPy on probabilities [n, classes] and class numbers [n]. A temperature T
divides all logits of a classifier: the answer stays the same, only how sure it is changes (Guo et
al. 2017). A factor is 1 / T: it multiplies logits.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from transfer import crossval, evaluation, linear
from transfer.evaluation import Accuracy

BINS = 10  # of equal width, as Naeini et al. 2015
INDICATIVE = 200  # pictures: with fewer, the ECE says little
TARGETS = (0.8, 0.85, 0.9, 0.92, 0.94, 0.95, 0.96, 0.97, 0.98, 0.99, 0.995)
USUAL_TARGET = 0.95
NEVER = 1.1  # a threshold that no probability reaches
_FOLDS = 5
_LEAST = 1e-30  # of a probability, so that its logarithm is finite


@dataclass(frozen=True)
class Scores:
    """How good probabilities are; less is better.

    `nll` is the mean negative log-likelihood in nats, `brier` the mean squared distance from the
    one-hot labels summed over classes (Brier 1950; 0 to 2), `ece` the expected calibration error of
    the top probability over `BINS` bins (0 to 1), of `n` pictures.
    """

    nll: float
    brier: float
    ece: float
    n: int

    def to_json(self) -> dict[str, Any]:
        """Return the scores as a JSON object."""
        return {**vars(self)}


@dataclass(frozen=True)
class Bin:
    """The pictures whose top probability lies in [low, high).

    `sure` is their mean top probability, `right` the share that was right with its interval.
    """

    low: float
    high: float
    sure: float
    right: Accuracy

    def to_json(self) -> dict[str, Any]:
        """Return the bin as a JSON object."""
        return {**vars(self), "right": self.right.to_json()}


@dataclass(frozen=True)
class Fitted:
    """One temperature, and how it was checked.

    `loss_before` and `loss_after` are negative log-likelihoods (nats) on pictures which the
    temperature of their fold was not fitted on, with T = 1 and with it. Where it did not help
    there, `temperature` is 1.
    """

    temperature: float
    loss_before: float
    loss_after: float
    n: int

    @property
    def factor(self) -> float:
        """By what logits are multiplied."""
        return 1 / self.temperature

    @property
    def helped(self) -> bool:
        """Whether it is used."""
        return self.loss_after < self.loss_before


@dataclass(frozen=True)
class Answered:
    """What happens where a classifier is silent below a threshold of its top probability.

    `share` of the pictures got an answer, `right` of those were right; None: no picture got one.
    """

    share: Accuracy
    right: Accuracy | None

    def to_json(self) -> dict[str, Any]:
        """Return both as a JSON object."""
        return {
            "share": self.share.to_json(),
            "right": self.right.to_json() if self.right else None,
        }


def scores(probabilities: np.ndarray, labels: np.ndarray) -> Scores:
    """Return how good these probabilities are.

    Raises:
        ValueError: there are no pictures.
    """
    if not len(labels):
        raise ValueError("expected at least one picture")
    own = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    one_hot = np.eye(probabilities.shape[1])[labels]
    gaps = [one.right.n * abs(one.right.accuracy - one.sure) for one in bins(probabilities, labels)]
    return Scores(
        nll=float(-np.log(np.maximum(own, 1e-12)).mean()),
        brier=float(((probabilities - one_hot) ** 2).sum(axis=1).mean()),
        ece=float(sum(gaps)) / len(labels),
        n=len(labels),
    )


def bins(probabilities: np.ndarray, labels: np.ndarray) -> tuple[Bin, ...]:
    """Return the bins of a reliability diagram that hold pictures, from unsure to sure."""
    sure, right = _top(probabilities, labels)
    number = np.minimum((sure * BINS).astype(int), BINS - 1)
    return tuple(
        Bin(
            i / BINS,
            (i + 1) / BINS,
            float(sure[number == i].mean()),
            evaluation.wilson(int(right[number == i].sum()), int((number == i).sum())),
        )
        for i in range(BINS)
        if (number == i).any()
    )


def sharpened(probabilities: np.ndarray, factor: float) -> np.ndarray:
    """Return the probabilities with all logits times a factor, float32 [n, classes]."""
    logits = np.log(np.maximum(probabilities.astype(np.float64), _LEAST))
    return linear.softmax(factor * logits).astype(np.float32)


def fit(probabilities: np.ndarray, labels: np.ndarray, groups: np.ndarray, seed: int = 0) -> Fitted:
    """Return the temperature that makes these labels likeliest, if it stands a cross-check.

    In each of five folds of whole groups the temperature of the other four is tried. Where they
    lose likelihood by it altogether, nothing is changed.

    Args:
        probabilities: of pictures that the classifier has not learned from.
        labels: class numbers [n].
        groups: [n]; pictures of one group stay in one fold.
        seed: draws the folds.
    """
    if not len(labels):
        return Fitted(1.0, 0.0, 0.0, 0)
    logits = np.log(np.maximum(probabilities.astype(np.float64), _LEAST))
    before = linear.loss(logits, labels)
    folds = min(_FOLDS, len(np.unique(groups)))
    if folds < 2:
        return Fitted(1.0, before, before, len(labels))
    fold_of = crossval.assigned(labels, groups, folds, np.random.default_rng(seed))
    after = 0.0
    for fold in range(folds):
        held = fold_of == fold
        if held.any() and not held.all():
            factor = linear.best_temperature(logits[~held], labels[~held])
            after += held.mean() * linear.loss(logits[held], labels[held], factor)
    own = linear.best_temperature(logits, labels)
    helped = after < before and linear.loss(logits, labels, own) < before
    return Fitted(1 / own if helped else 1.0, before, float(after), len(labels))


def threshold(probabilities: np.ndarray, labels: np.ndarray, target: float) -> float:
    """Return the least top probability from which on answers are right as often as is wanted.

    One more mistake than was seen is reckoned with, as in conformal risk control (Angelopoulos et
    al. 2024), for the threshold is chosen on the very pictures: (mistakes + 1) / (answers + 1) is
    at most 1 - target. 0 where it may answer always, `NEVER` where no threshold will do.
    """
    sure, right = _top(probabilities, labels)
    order = np.argsort(-sure, kind="stable")
    mistakes, answers = np.cumsum(~right[order]), np.arange(1, len(order) + 1)
    good = (mistakes + 1) / (answers + 1) <= 1 - target + 1e-12
    good[:-1] &= sure[order][:-1] > sure[order][1:]  # equal probabilities get the same answer
    if not good.any():
        return NEVER
    last = int(np.flatnonzero(good)[-1])
    if last == len(order) - 1:
        return 0.0
    return float((sure[order][last] + sure[order][last + 1]) / 2)


def answered(probabilities: np.ndarray, labels: np.ndarray, limit: float) -> Answered:
    """Return how often a classifier answers that is silent below a limit, and how often rightly."""
    sure, right = _top(probabilities, labels)
    given = sure >= limit
    return Answered(
        evaluation.wilson(int(given.sum()), len(given)),
        evaluation.wilson(int(right[given].sum()), int(given.sum())) if given.any() else None,
    )


def _top(probabilities: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return each picture's top probability, and whether that class is its own."""
    return probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
