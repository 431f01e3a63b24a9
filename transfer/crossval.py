"""The accuracy of the probe on a small data set: repeated cross-validation, and what bursts feign.

Every picture is judged by classifiers that have learned neither it nor its group. Accuracies of the
folds depend on each other, for their classifiers share most of what they learned from; an interval
that takes them for independent is too narrow (Bates et al. 2021). The correction is that of Nadeau
& Bengio (2003): (1 / (folds * repeats) + judging / learning) times the variance between folds.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import special

from transfer import evaluation, linear
from transfer.evaluation import Accuracy

FOLDS, REPEATS = 5, 5
_GAP = 0.05  # accuracy that pictures in bursts may feign before it is said
_SHUFFLES = 3


@dataclass(frozen=True)
class Repeated:
    """What repeated grouped cross-validation found.

    `overall` is the accuracy with its 95 % interval, `recalls` that of each class (None: no
    pictures), `confusion` float64 [classes, classes] the mean counts of the repeats, true class by
    called class, and `answers` float32 [n, classes] the mean probabilities of each picture.
    """

    overall: Accuracy
    recalls: tuple[Accuracy | None, ...]
    confusion: np.ndarray
    answers: np.ndarray
    folds: int
    repeats: int


@dataclass(frozen=True)
class Gap:
    """Accuracy with and without leaving out what belongs together, on the same pictures.

    `gap` is ungrouped minus grouped with its paired 95 % interval; `warn` where it is over 5 points
    and beyond chance.
    """

    grouped: Accuracy
    ungrouped: Accuracy
    gap: float
    low: float
    high: float
    warn: bool

    def to_json(self) -> dict[str, Any]:
        """Return both numbers and their difference as a JSON object."""
        return {
            "grouped": self.grouped.to_json(),
            "ungrouped": self.ungrouped.to_json(),
            "gap": self.gap,
            "gap_low": self.low,
            "gap_high": self.high,
            "warn": self.warn,
        }


def repeated(
    features: np.ndarray,
    labels: np.ndarray,
    num_classes: int,
    groups: np.ndarray,
    seed: int,
    folds: int = FOLDS,
    repeats: int = REPEATS,
) -> Repeated:
    """Judge the probe on each picture by classifiers that have not learned from its group.

    Each classifier's strength is chosen by leave-one-out within what it learns from.

    Args:
        features: [n, d], any float type.
        labels: class numbers [n].
        num_classes: number of classes.
        groups: [n]; pictures of one group are in one fold.
        seed: draws the folds.
        folds: parts; all but one teach.
        repeats: how often the parts are drawn.

    Raises:
        ValueError: there are fewer groups than folds, or a single class.
    """
    if len(np.unique(groups)) < folds or len(np.unique(labels)) < 2:
        raise ValueError(
            f"expected at least {folds} groups and two classes, got {len(np.unique(groups))} groups"
            f" and {len(np.unique(labels))} classes"
        )
    rng = np.random.default_rng(seed)
    n = len(labels)
    answers, right = np.zeros((n, num_classes)), np.zeros(n)
    confusion = np.zeros((num_classes, num_classes))
    for _ in range(repeats):
        fold_of = assigned(labels, groups, folds, rng)
        once = np.empty((n, num_classes))
        for fold in range(folds):
            held = fold_of == fold
            once[held] = _answers(features, labels, groups, held, num_classes)
        called = once.argmax(axis=1)
        np.add.at(confusion, (labels, called), 1 / repeats)
        answers += once / repeats
        right += (called == labels) / repeats
    inflation = 1 / repeats + folds / (folds - 1)  # of the variance between pictures, over n

    def share(rows: np.ndarray) -> Accuracy | None:
        return clustered(right[rows], groups[rows], inflation) if rows.any() else None

    return Repeated(
        overall=clustered(right, groups, inflation),
        recalls=tuple(share(labels == one) for one in range(num_classes)),
        confusion=confusion,
        answers=answers.astype(np.float32),
        folds=folds,
        repeats=repeats,
    )


def assigned(
    labels: np.ndarray, groups: np.ndarray, folds: int, rng: np.random.Generator
) -> np.ndarray:
    """Return each picture's fold [n]: whole groups, each class as evenly as they allow."""
    members = np.unique(groups, return_inverse=True)[1]
    count = int(members.max()) + 1
    classes = np.unique(labels, return_inverse=True)[1]
    of_class = np.zeros((count, int(classes.max()) + 1))
    np.add.at(of_class, (members, classes), 1.0)
    order = rng.permutation(count)
    order = order[np.argsort(-of_class[order].sum(axis=1), kind="stable")]  # the largest first
    filled = np.zeros((folds, of_class.shape[1]))
    fold_of = np.empty(count, np.int64)
    for group in order:
        own = of_class[group] > 0
        crowded, size = filled[:, own].sum(axis=1), filled.sum(axis=1)
        fold = int(np.lexsort((rng.random(folds), size, crowded))[0])
        fold_of[group] = fold
        filled[fold] += of_class[group]
    return fold_of[members]


def gap(
    features: np.ndarray, labels: np.ndarray, num_classes: int, groups: np.ndarray, seed: int = 0
) -> Gap:
    """Compare leaving out whole groups with leaving out single pictures, by the same probe.

    Without a group there is less to learn from, too. So a warning also needs that groups drawn at
    random, of the same sizes within the same classes, do better than these.

    Args:
        features: [n, d], any float type.
        labels: class numbers [n], each of 0 .. num_classes - 1 at least once.
        num_classes: number of classes.
        groups: [n]; pictures of one group belong together (copies, bursts, one person's).
        seed: draws the random groups.
    """

    def right(together: np.ndarray | None) -> np.ndarray:
        answers = linear.probe(features, labels, num_classes, together).held_out
        return (answers.argmax(axis=1) == labels).astype(float)

    honest = right(groups)
    flattered = right(None) if len(np.unique(groups)) < len(groups) else honest
    difference, low, high = _paired(flattered - honest, groups)
    warn = difference > _GAP and low > 0
    if warn:
        rng = np.random.default_rng(seed)
        drawn = [right(_shuffled(groups, labels, rng)) for _ in range(_SHUFFLES)]
        warn = _paired(np.mean(drawn, axis=0) - honest, groups)[1] > 0
    return Gap(
        grouped=clustered(honest, groups),
        ungrouped=evaluation.wilson(int(flattered.sum()), len(flattered)),
        gap=difference,
        low=low,
        high=high,
        warn=warn,
    )


def clustered(right: np.ndarray, groups: np.ndarray, inflation: float = 1.0) -> Accuracy:
    """Return the share of right answers where pictures of one group are right or wrong together.

    Wilson's interval for as many independent pictures as would give the variance that is seen
    between the groups (the design effect, Kish 1965), with the t quantile of so many groups.

    Args:
        right: for each picture how often it was right, in [0, 1]; [n].
        groups: [n]; pictures of one group are not independent of each other.
        inflation: by how much the variance is larger than these answers show.

    Raises:
        ValueError: there are no pictures, or not as many groups.
    """
    if right.shape != groups.shape or not len(right):
        raise ValueError(f"expected a group for each picture, got {right.shape}, {groups.shape}")
    share, n = float(right.mean()), len(right)
    sums = np.bincount(np.unique(groups, return_inverse=True)[1], right - share)
    count = len(sums)
    if count == 1:
        return Accuracy(share, 0.0, 1.0, n)
    variance = float((sums**2).sum()) / n**2 * count / (count - 1)
    # Where all groups were right there is nothing to estimate it from: a group is one answer.
    effective = min(float(n), share * (1 - share) / variance) if variance > 1e-12 else float(count)
    quantile = float(special.stdtrit(count - 1, 0.975))
    return Accuracy(share, *evaluation.limits(share, max(effective / inflation, 1.0), quantile), n)


def _paired(differences: np.ndarray, groups: np.ndarray) -> tuple[float, float, float]:
    """Return the mean of differences [n] with its 95 % interval, groups being independent."""
    mean, n = float(differences.mean()), len(differences)
    sums = np.bincount(np.unique(groups, return_inverse=True)[1], differences - mean)
    count = len(sums)
    if count < 2:
        return mean, -1.0, 1.0
    error = float(np.sqrt((sums**2).sum() * count / (count - 1))) / n
    half = float(special.stdtrit(count - 1, 0.975)) * error
    return mean, mean - half, mean + half


def _shuffled(groups: np.ndarray, labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return groups of the same sizes that hold other pictures of the same classes."""
    shuffled = groups.copy()
    for label in np.unique(labels):
        own = np.flatnonzero(labels == label)
        shuffled[own] = groups[rng.permutation(own)]
    return shuffled


def _answers(
    features: np.ndarray,
    labels: np.ndarray,
    groups: np.ndarray,
    held: np.ndarray,
    num_classes: int,
) -> np.ndarray:
    """Return probabilities [held, classes] of a probe that has learned all others."""
    known, learned = np.unique(labels[~held], return_inverse=True)
    answers = np.zeros((int(held.sum()), num_classes))
    if len(known) == 1:
        answers[:, known] = 1.0
        return answers
    head = linear.probe(features[~held], learned, len(known), groups[~held]).head
    answers[:, known] = head.probabilities(features[held])
    return answers
