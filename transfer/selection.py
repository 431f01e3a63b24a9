"""Choose which classifiers answer together, by what they say of pictures that they left out."""

import numpy as np

from transfer import linear

GREEDY_FROM = 20  # pictures a class; with fewer, choosing costs more than it gains (plain average)
_START = 2  # the best so many are in from the beginning, so that it is never one hard pick
_BAGS = 8
_ROUNDS = 30
_MOST = 2000  # pictures that judge, at most
_LEAST_WEIGHT = 0.02  # members below it would cost more than they say


def weights(answers: list[np.ndarray], labels: np.ndarray, seed: int) -> np.ndarray:
    """Return each member's weight in the mean of the logits; they add up to 1.

    With at least `GREEDY_FROM` pictures a class: selection with replacement from a sorted start
    (Caruana et al., ICML 2004), averaged over bags of pictures. With fewer: equal weights.

    Args:
        answers: for each member, probabilities [n, classes] for pictures that it left out.
        labels: class numbers [n].
        seed: draws the bags.
    """
    if len(answers) == 1 or len(labels) / answers[0].shape[1] < GREEDY_FROM:
        return np.full(len(answers), 1 / len(answers))
    rng = np.random.default_rng(seed)
    chosen = rng.permutation(len(labels))[:_MOST]
    logits = np.stack([linear.logit(one[chosen]) for one in answers])
    truth = labels[chosen]
    total = np.zeros(len(answers))
    for _ in range(_BAGS):
        bag = rng.integers(0, len(truth), len(truth))
        total += _greedy(logits[:, bag], truth[bag])
    return total / total.sum()


def lasting(weights: np.ndarray) -> np.ndarray:
    """Return weights without the smallest; never one alone, however little the second may count."""
    second = np.sort(weights)[-2:].min()
    kept = np.where(weights >= min(_LEAST_WEIGHT, second), weights, 0.0)
    return kept / kept.sum()


def _greedy(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return counts of one greedy selection from logits [members, n, classes]."""
    alone = [linear.loss(one, labels) for one in logits]
    counts = np.zeros(len(logits))
    counts[np.argsort(alone)[:_START]] = 1
    total = np.tensordot(counts, logits, 1)
    best = linear.loss(total / counts.sum(), labels)
    for _ in range(_ROUNDS):
        tried = [linear.loss((total + one) / (counts.sum() + 1), labels) for one in logits]
        winner = int(np.argmin(tried))
        if tried[winner] >= best - 1e-5:
            break
        best = tried[winner]
        counts[winner] += 1
        total += logits[winner]
    return counts / counts.sum()
