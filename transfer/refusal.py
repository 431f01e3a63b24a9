"""Tell pictures of none of the classes by how far they are from all that was learned (NumPy).

The distance from the nearest training picture, 1 minus the cosine of the vectors that the head
reads (Sun et al. 2022, "Out-of-distribution detection with deep nearest neighbors"). On the shared
data sets it was better than Mahalanobis's distance, the relative one and the residual of a subspace
(`benchmarks/RESULTS.md`). The training vectors are kept by their main directions only, so that they
are small enough to travel within an exported model.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import linalg

from transfer import evaluation
from transfer.evaluation import Accuracy

KEEPS = 0.95  # share of the set's own validation pictures that are to be known
MOST_PICTURES = 1000  # that are kept to be compared with
_DIRECTIONS = 128
_LEAST_LEARNED, _LEAST_JUDGING = 10, 5  # pictures, for a limit at all
_LEAST_LENGTH = 1e-9


@dataclass(frozen=True)
class Familiar:
    """What has been learned, as a distance from it.

    Of a vector x [d], p = (x / |x|) @ directions [r], and its distance is 1 minus the highest of
    neighbours @ p. `neighbours` [n, r] are the same of training pictures. The score is the distance
    over `limit`: above 1 a picture is taken for none of the classes.
    """

    directions: np.ndarray
    neighbours: np.ndarray
    limit: float

    def scores(self, vectors: np.ndarray) -> np.ndarray:
        """Return how strange these are, float64 [n]; 1 is the limit."""
        near = (_unit(vectors) @ self.directions) @ self.neighbours.T
        return (1 - near.max(axis=1)) / self.limit

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the fields as arrays, float32."""
        return {name: np.asarray(value, np.float32) for name, value in vars(self).items()}

    @classmethod
    def from_arrays(cls, kept: dict[str, np.ndarray]) -> "Familiar":
        """Return what `arrays` gave."""
        return cls(kept["directions"], kept["neighbours"], float(kept["limit"]))


@dataclass(frozen=True)
class Refused:
    """How well other pictures are told from the set's own.

    `auroc` is the chance that one of the others is stranger than one of the set's own; `others` and
    `own` are the shares of each that are refused.
    """

    auroc: float
    others: Accuracy
    own: Accuracy

    def to_json(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        return {
            "auroc": self.auroc,
            "others": self.others.to_json(),
            "own": self.own.to_json(),
        }


def fit(vectors: np.ndarray, validation: np.ndarray) -> Familiar | None:
    """Return what is familiar; None where there are too few pictures to say.

    Args:
        vectors: of training pictures [n, d], at most `MOST_PICTURES`.
        validation: vectors of pictures that were not learned [m, d]; the limit keeps `KEEPS` of
            them, one more than were seen being reckoned with (conformal prediction, Vovk 2005).
    """
    if len(vectors) < _LEAST_LEARNED or len(validation) < _LEAST_JUDGING:
        return None
    units = _unit(vectors)
    directions = _principal(units, min(_DIRECTIONS, *units.shape))
    found = Familiar(directions, units @ directions, 1.0)
    distances = np.sort(found.scores(validation))
    place = int(np.ceil(KEEPS * (len(distances) + 1))) - 1
    limit = float(distances[min(place, len(distances) - 1)])
    return replace(found, limit=max(limit, _LEAST_LENGTH))


def sample(labels: np.ndarray, positions: tuple[int, ...], seed: int) -> tuple[int, ...]:
    """Return at most `MOST_PICTURES` of the positions; classes take turns."""
    if len(positions) <= MOST_PICTURES:
        return positions
    drawn = np.random.default_rng([seed, 23]).permutation(np.asarray(positions))
    own = labels[drawn]
    turn = np.empty(len(drawn), np.int64)
    for label in np.unique(own):
        turn[own == label] = np.arange(int((own == label).sum()))
    order = np.argsort(turn, kind="stable")[:MOST_PICTURES]
    return tuple(int(i) for i in drawn[order])


def auroc(own: np.ndarray, others: np.ndarray) -> float:
    """Return the chance that one of `others` has a higher score than one of `own`; ties half."""
    ranks = _ranks(np.concatenate([own, others]))[len(own) :]
    return float((ranks.sum() - len(others) * (len(others) + 1) / 2) / (len(own) * len(others)))


def refused(own: np.ndarray, others: np.ndarray) -> Refused:
    """Compare the scores of the set's own pictures, never seen before, with those of others."""
    shares = [evaluation.wilson(int((some > 1).sum()), len(some)) for some in (others, own)]
    return Refused(auroc(own, others), *shares)


def _unit(vectors: np.ndarray) -> np.ndarray:
    values = vectors.astype(np.float64)
    return values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), _LEAST_LENGTH)


def _principal(z: np.ndarray, count: int) -> np.ndarray:
    """Return the orthonormal directions [d, count] of the largest spread of rows around 0."""
    n, d = z.shape
    gram = z @ z.T if n <= d else z.T @ z
    side = len(gram)
    values, vectors = linalg.eigh(gram, subset_by_index=(side - count, side - 1))
    if n > d:
        return vectors
    return (z.T @ vectors) / np.sqrt(np.maximum(values, 1e-9))


def _ranks(values: np.ndarray) -> np.ndarray:
    """Return ranks from 1; equal values share the mean of theirs."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2)[inverse]
