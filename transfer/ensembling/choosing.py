"""Which members answer together, and with what weight: selection with replacement (NumPy)."""

import numpy as np

_START = 5  # of the best, at most, are in from the beginning: as many as do best together
_BAGS = 20
_FEW = 4  # members that are all in each bag; of more, half are, drawn anew
_ROUNDS = 50
_FLOOR = 1e-6  # least probability that counts
_GAIN = 1e-6  # nats; less is none
_LEAST = 0.02  # members below it would cost more than they say


def weights(answers: np.ndarray, labels: np.ndarray, groups: np.ndarray, seed: int) -> np.ndarray:
    """Return each member's weight in the mean of the probabilities; they add up to 1.

    Greedy selection with replacement from a sorted start, averaged over bags that hold half of the
    members each, so that it is never one hard pick (Caruana et al., ICML 2004); what is made small
    is the negative log-likelihood of the mean. The pictures of a bag are drawn by groups, since
    those of one group are right or wrong together.

    Args:
        answers: of each member, probabilities for pictures that it did not learn from
            [members, n, classes].
        labels: class numbers [n].
        groups: number of the group of each picture [n].
        seed: draws the bags.
    """
    if len(answers) == 1:
        return np.ones(1)
    own = answers[:, np.arange(len(labels)), labels].astype(np.float64)
    group_of = np.unique(groups, return_inverse=True)[1]
    count = int(group_of.max()) + 1
    rng = np.random.default_rng(seed)
    total = np.zeros(len(answers))
    for _ in range(_BAGS):
        some = rng.permutation(len(own))[: max(_FEW, len(own) // 2)]
        drawn = rng.multinomial(count, np.full(count, 1 / count))
        total[some] += _greedy(own[some], drawn[group_of].astype(np.float64))
    mean = total / total.sum()
    mean = np.where(mean >= _LEAST, mean, 0.0)
    return mean / mean.sum()


def best(answers: np.ndarray, labels: np.ndarray) -> int:
    """Return the member that these pictures would pick alone.

    It is the one that is right most often; of several, that with the best likelihood.

    Args:
        answers: probabilities [members, n, classes].
        labels: class numbers [n].
    """
    right = (answers.argmax(axis=2) == labels).sum(axis=1)
    own = answers[:, np.arange(len(labels)), labels].astype(np.float64)
    likely = np.log(np.maximum(own, _FLOOR)).mean(axis=1)
    return int(np.lexsort((likely, right))[-1])


def _greedy(own: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Return shares of one greedy selection [members].

    Args:
        own: the probability that each member gave the true class [members, n].
        times: how often each picture is in the bag [n].
    """
    share = times / times.sum()

    def loss(mean: np.ndarray) -> np.ndarray:
        return -np.log(np.maximum(mean, _FLOOR)) @ share

    order = np.argsort(loss(own), kind="stable")[:_START]
    together = np.cumsum(own[order], axis=0)
    alone = loss(together / np.arange(1, len(order) + 1)[:, None])
    first = int(np.argmin(alone))
    counts = np.zeros(len(own))
    counts[order[: first + 1]] = 1
    total, lowest = together[first], float(alone[first])
    for _ in range(_ROUNDS):
        tried = loss((total + own) / (counts.sum() + 1))
        winner = int(np.argmin(tried))
        if tried[winner] >= lowest - _GAIN:
            break
        lowest = float(tried[winner])
        counts[winner] += 1
        total = total + own[winner]
    return counts / counts.sum()
