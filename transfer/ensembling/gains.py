"""Whether an ensemble is better than its best member alone, on the same pictures (NumPy)."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy import special, stats

from transfer import evaluation


@dataclass(frozen=True)
class Gain:
    """How much more often the ensemble was right than one member, in points of accuracy.

    `low` and `high` are the ends of the paired 95 % interval, groups of pictures being independent;
    `p` is that of McNemar's exact test; `only_ensemble` and `only_member` count the pictures on
    which one of both alone was right.
    """

    points: float
    low: float
    high: float
    only_ensemble: int
    only_member: int
    p: float

    def to_json(self) -> dict[str, Any]:
        """Return the numbers as a JSON object."""
        return asdict(self)


def compare(ensemble: np.ndarray, member: np.ndarray, groups: np.ndarray) -> Gain:
    """Compare which pictures each got right.

    Args:
        ensemble: whether it was right on each picture, bool [n].
        member: the same of the member.
        groups: number of the group of each picture [n].
    """
    difference = ensemble.astype(float) - member
    n, mean = len(difference), float(difference.mean())
    sums = np.bincount(np.unique(groups, return_inverse=True)[1], difference - mean)
    count = len(sums)
    error = float(np.sqrt((sums**2).sum() * count / max(count - 1, 1))) / n
    alone, other = int((ensemble & ~member).sum()), int((member & ~ensemble).sum())
    error = max(error, evaluation.least_error(alone, other, n))
    half = float(special.stdtrit(max(count - 1, 1), 0.975)) * error
    p = float(stats.binomtest(alone, alone + other).pvalue) if alone + other else 1.0
    return Gain(100 * mean, 100 * (mean - half), 100 * (mean + half), alone, other, p)
