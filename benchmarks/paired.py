"""Compare ways to classify on the same test pictures: bootstrap intervals, and the regret."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

_DRAWS = 20_000


@dataclass(frozen=True)
class Difference:
    """A difference of accuracies on the same pictures with its 95 % interval, in points.

    `draws` are the differences of the resampled pictures.
    """

    points: float
    low: float
    high: float
    draws: np.ndarray

    def to_json(self) -> dict[str, float]:
        """Return the three numbers as a JSON object."""
        return {key: round(getattr(self, key), 2) for key in ("points", "low", "high")}


@dataclass(frozen=True)
class Regret:
    """How many points the best strategy has more than another way, and which it was."""

    best: str
    difference: Difference


def difference(one: np.ndarray, other: np.ndarray, seed: int = 0) -> Difference:
    """Return how much more often `one` is right than `other`.

    Args:
        one: for each picture the share of runs (seeds) that were right, in [0, 1]; [n].
        other: the same for the same pictures.
        seed: of the resampling of the pictures. Seeds of training are not resampled.
    """
    if one.shape != other.shape or one.ndim != 1 or not len(one):
        raise ValueError(f"expected the same pictures, received {one.shape} and {other.shape}")
    # As few distinct values as these are resampled by their counts: exactly the bootstrap.
    values, counts = np.unique(np.round(one - other, 9), return_counts=True)
    rng = np.random.default_rng(seed)
    draws = 100 * (rng.multinomial(len(one), counts / len(one), _DRAWS) @ values) / len(one)
    return _summary(100 * float((one - other).mean()), draws)


def regret(rights: Mapping[str, np.ndarray], other: np.ndarray, seed: int = 0) -> Regret:
    """Return the best of the strategies minus another way, on the same pictures.

    The best is chosen on these very pictures, so the regret is rather too large than too small;
    the interval is for the difference to that one.

    Args:
        rights: what may be best, as `difference` takes it.
        other: the way that is judged.
        seed: of the resampling.
    """
    means = {name: float(right.mean()) for name, right in rights.items()}
    best = max(means, key=lambda name: means[name])
    return Regret(best, difference(rights[best], other, seed))


def mean(differences: Sequence[Difference]) -> Difference:
    """Return the mean of differences on different data sets, each resampled by itself."""
    if not differences:
        raise ValueError("expected at least one difference")
    draws = np.mean([one.draws for one in differences], axis=0)
    return _summary(float(np.mean([one.points for one in differences])), draws)


def _summary(points: float, draws: np.ndarray) -> Difference:
    low, high = np.percentile(draws, (2.5, 97.5))
    return Difference(points, float(low), float(high), draws)
