"""Tell pictures of none of the classes by how far they are from all that was learned (NumPy).

The distance from the nearest training picture, 1 minus the cosine of the vectors that a stage of
the network gives (Sun et al. 2022, "Out-of-distribution detection with deep nearest neighbors"), at
several of the last stages: the last alone takes a blurred picture or a plain surface for one of its
own. Each stage has its limit, and a picture is as strange as it is where it is strangest. The
limits stand at the same height above what is usual at their stage, in standard deviations of the
logarithm, and at that height the share of the set's own pictures that is to be known is known at
all stages together: no stage needs a correction for there being others. Chosen by pictures that no
data set holds (`benchmarks/strangers.py`, `benchmarks/RESULTS.md`). The training vectors are kept
by their main directions only, so that they are small enough to travel within an exported model.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import linalg

from transfer import evaluation
from transfer.evaluation import Accuracy

KEEPS = 0.95  # share of the set's own pictures that are to be known
MOST_PICTURES = 1000  # that are kept to be compared with
STAGES = 3  # so many of the last
_DIRECTIONS = 128
_LEAST_LEARNED, _LEAST_JUDGING = 10, 5  # pictures, for a limit at all
_LEAST_LENGTH = 1e-9
_LEAST_SHARE = 1e-2  # of the usual distance: what is nearer is a copy, and no nearer for that
_LEAST_SPREAD = 1e-2  # of the logarithms
_FIELDS = ("center", "directions", "neighbours", "lengths", "limit")


@dataclass(frozen=True)
class Near:
    """What has been learned at one stage, as a distance from it.

    Of a vector x [d], u = x / |x| - center [d] and p = u @ directions [r]; its distance is
    |u|^2 - max(2 * neighbours @ p - lengths): of the nearest training picture v that is
    |x / |x| - v / |v||^2, or twice 1 minus the cosine, but for what lies beside all directions.
    `neighbours` [n, r] are p of training pictures, `lengths` [n] their |u|^2. Seen from the center
    small distances are no differences of large numbers.
    """

    center: np.ndarray
    directions: np.ndarray
    neighbours: np.ndarray
    lengths: np.ndarray
    limit: float = 1.0

    def distances(self, vectors: np.ndarray, own: np.ndarray | None = None) -> np.ndarray:
        """Return the distances, float64 [n].

        Args:
            vectors: [n, d].
            own: of training pictures, in their order: groups [n], whose pictures do not count.
        """
        seen = _unit(vectors) - self.center
        near = 2 * (seen @ self.directions) @ self.neighbours.T - self.lengths
        if own is not None:
            near[own[:, None] == own] = -np.inf
        return np.maximum((seen**2).sum(axis=1) - near.max(axis=1), 0)


@dataclass(frozen=True)
class Familiar:
    """What has been learned, at each of the stages: a picture's score is its largest distance.

    Each distance is over its stage's limit: above 1 a picture is taken for none of the classes.
    """

    stages: tuple[Near, ...]

    def scores(self, vectors: Sequence[np.ndarray]) -> np.ndarray:
        """Return how strange these are, float64 [n]; 1 is the limit. `vectors` [n, d] a stage."""
        return np.max([n.distances(v) / n.limit for n, v in _pairs(self.stages, vectors)], axis=0)

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the fields of each stage as arrays, float32."""
        return {
            f"{name}_{i}": np.asarray(getattr(near, name), np.float32)
            for i, near in enumerate(self.stages)
            for name in _FIELDS
        }

    @classmethod
    def from_arrays(cls, kept: dict[str, np.ndarray]) -> "Familiar | None":
        """Return what `arrays` gave; None of an earlier version, which knew one stage only."""
        count = sum(name.startswith("limit_") for name in kept)
        return cls(tuple(_kept(kept, i) for i in range(count))) if count else None


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


def fit(
    vectors: Sequence[np.ndarray], validation: Sequence[np.ndarray], groups: np.ndarray
) -> Familiar | None:
    """Return what is familiar; None where there are too few pictures to say.

    The limits keep `KEEPS` of the validation pictures, and of these and the training pictures
    together, each of which is compared with all of other groups (jackknife, Barber et al. 2021):
    the few validation pictures of a small set alone say little of so rare a thing. One picture more
    than were seen is reckoned with (conformal prediction, Vovk 2005). A network that has been
    fine-tuned knows its training pictures too well: there validation decides.

    Args:
        vectors: of training pictures [n, d] a stage, at most `MOST_PICTURES`.
        validation: of pictures that were not learned [m, d] a stage.
        groups: of the training pictures [n].
    """
    if len(groups) < _LEAST_LEARNED or len(validation[0]) < _LEAST_JUDGING:
        return None
    if len(np.unique(groups)) < 2:
        return None
    stages = [_near(one) for one in vectors]
    judging = _distances([n.distances(v) for n, v in _pairs(stages, validation)])
    learned = _distances([n.distances(v, groups) for n, v in _pairs(stages, vectors)])
    together = np.concatenate([judging, learned])
    usual, spread = together.mean(axis=0), np.maximum(together.std(axis=0), _LEAST_SPREAD)
    heights = ((together - usual) / spread).max(axis=1)
    height = max(_height(heights, 1), _height(heights[: len(judging)], 0))
    limits = np.exp(usual + height * spread)
    found = [replace(n, limit=float(limit)) for n, limit in zip(stages, limits, strict=True)]
    return Familiar(tuple(found))


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


def _pairs(
    stages: Sequence[Near], vectors: Sequence[np.ndarray]
) -> Iterator[tuple[Near, np.ndarray]]:
    return zip(stages, vectors, strict=True)


def _kept(kept: dict[str, np.ndarray], stage: int) -> Near:
    center, directions, neighbours, lengths, limit = (kept[f"{name}_{stage}"] for name in _FIELDS)
    return Near(center, directions, neighbours, lengths, float(limit))


def _near(vectors: np.ndarray) -> Near:
    """Return the training pictures at one stage, without a limit."""
    units = _unit(vectors)
    center = units.mean(axis=0)
    seen = units - center
    directions = _principal(seen, min(_DIRECTIONS, *seen.shape))
    return Near(center, directions, seen @ directions, (seen**2).sum(axis=1))


def _distances(rows: list[np.ndarray]) -> np.ndarray:
    """Return the logarithms of distances, [n, stages]."""
    found = np.stack(rows, axis=1)
    least = np.maximum(_LEAST_SHARE * np.median(found, axis=0), _LEAST_LENGTH)
    return np.log(np.maximum(found, least))


def _height(heights: np.ndarray, more: int) -> float:
    """Return the height that keeps `KEEPS` of these and of `more` beside."""
    place = int(np.ceil(KEEPS * (len(heights) + more))) - 1
    return float(np.sort(heights)[min(place, len(heights) - 1)])


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
