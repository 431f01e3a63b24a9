"""Fit a linear classifier on features in closed form, its strength by leave-one-out (NumPy).

Ridge regression of targets -1 and 1 on standardised features, as in big_vision's `fewshot_lsr.py`.
With X the standardised features over sqrt(d), centred, and H = 1/n + X (X'X + strength I)^-1 X',
each picture's answer by a classifier that has not learned it is y - ((I - H) y) / (1 - h), exactly
(PRESS, Allen 1974). Without the 1/n of the intercept it would seem to be right always. A softmax of
the answers times one temperature gives probabilities.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from scipy import linalg
from scipy.optimize import minimize_scalar

# From strong to weak regularisation; features are scaled so that one range fits all networks.
STRENGTHS: tuple[float, ...] = tuple(float(s) for s in np.logspace(1.5, -4.0, 12))
_GIVE_UP_AFTER = 3  # strengths in a row without a better loss
_LARGE = 1500  # unknowns: above it, a factorisation a strength is faster than all eigenvectors
_LARGE_STRENGTHS = (3.0, 1.0, 0.3, 0.1, 0.03)
_MOST_ANSWERS = 2**26  # numbers that are kept so as not to go through the pictures again
_CHUNK = 4096  # rows that are taken to double precision at once
_TEMPERATURES = (-2.0, 6.0)  # natural logarithms
_FLOOR = 1e-6  # least probability that counts


@dataclass(frozen=True)
class LinearHead:
    """Softmax of a linear function of raw features: logits = features @ kernel + bias.

    `kernel` is [features, classes], `bias` [classes], both float32, standardisation and
    temperature folded in. `strength` is the weight of the squared L2 penalty; `loss` the
    leave-one-out negative log-likelihood at that strength, in nats.
    """

    kernel: np.ndarray
    bias: np.ndarray
    strength: float
    temperature: float
    loss: float

    def probabilities(self, features: np.ndarray) -> np.ndarray:
        """Return class probabilities [n, classes] for features [n, features]."""
        return softmax(features.astype(np.float32) @ self.kernel + self.bias)


@dataclass(frozen=True)
class Probe:
    """A head, and what it would have said of each picture had it not learned that one.

    `held_out` are probabilities float32 [n, classes]; pictures of one group were left out together.
    """

    head: LinearHead
    held_out: np.ndarray


@dataclass(frozen=True)
class SearchStep:
    """One strength tried: mean losses (nats) and accuracies on learned and on left-out pictures."""

    step: int
    total: int  # at most
    strength: float
    loss: float
    accuracy: float
    val_loss: float
    val_accuracy: float


class _Solver(Protocol):
    """Ridge regression on one set of centred features, for any strength."""

    strengths: tuple[float, ...]

    def residuals(self, strength: float) -> tuple[np.ndarray, np.ndarray]:
        """Return ((I - H) Y [n, classes], the diagonal of I - H [n])."""
        ...

    def block(self, strength: float, rows: np.ndarray) -> np.ndarray:
        """Return I - H for these rows [k, k]."""
        ...

    def weights(self, strength: float) -> np.ndarray:
        """Return [d, classes] for the standardised features."""
        ...


def probe(
    features: np.ndarray,
    labels: np.ndarray,
    num_classes: int,
    groups: np.ndarray | None = None,
    on_step: Callable[[SearchStep], None] | None = None,
) -> Probe:
    """Fit the head whose strength gives the best leave-one-out likelihood.

    Args:
        features: [n, d], any float type; memory beyond it is that of min(n, d) squared doubles.
        labels: class numbers [n], each of 0 .. num_classes - 1 at least once.
        num_classes: number of columns of the answer.
        groups: content ids [n]; pictures of one group are left out together. None: each alone.
        on_step: told of each strength when it has been tried.
    """
    scaled = _Scaled(features)
    targets = _targets(labels, num_classes)
    solver = _solver(scaled, targets)
    together = _larger_groups(groups)
    best: tuple[float, float, float, np.ndarray] | None = None
    since = 0
    for step, strength in enumerate(solver.strengths, start=1):
        residuals, diagonal = solver.residuals(strength)
        scores = targets - residuals / np.maximum(diagonal, 1e-12)[:, None]
        for rows in together:
            left_out = np.linalg.lstsq(solver.block(strength, rows), residuals[rows], rcond=None)[0]
            scores[rows] = targets[rows] - left_out
        temperature = best_temperature(scores, labels)
        held_loss = loss(scores, labels, temperature)
        if on_step:
            inside = loss(targets - residuals, labels, temperature)
            learned = (targets - residuals).argmax(axis=1) == labels
            held = scores.argmax(axis=1) == labels
            row = (strength, inside, float(learned.mean()), held_loss, float(held.mean()))
            on_step(SearchStep(step, len(solver.strengths), *row))
        since += 1
        if best is None or held_loss < best[0]:
            best, since = (held_loss, strength, temperature, scores), 0
        if since >= _GIVE_UP_AFTER:
            break
    if best is None:
        raise ValueError("expected at least one strength to try")
    best_loss, strength, temperature, scores = best
    head = _head(scaled, solver.weights(strength), targets, strength, temperature)
    return Probe(
        replace(head, loss=best_loss),
        softmax(scores * temperature).astype(np.float32),
    )


def fit(features: np.ndarray, labels: np.ndarray, num_classes: int, like: LinearHead) -> LinearHead:
    """Fit another set of pictures [n, d] with the strength and the temperature of `like`."""
    scaled, targets = _Scaled(features), _targets(labels, num_classes)
    weights = _solver(scaled, targets).weights(like.strength)
    head = _head(scaled, weights, targets, like.strength, like.temperature)
    return replace(head, loss=like.loss)


def calibrated(probabilities: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """Return (loss in nats, temperature) of the factor of logits that makes the labels likeliest.

    Args:
        probabilities: [n, classes].
        labels: class numbers [n].
    """
    logits = logit(probabilities)
    return min((loss(logits, labels, t), t) for t in (best_temperature(logits, labels), 1.0))


def logit(probabilities: np.ndarray) -> np.ndarray:
    """Return log probabilities, bounded."""
    return np.log(np.maximum(probabilities, _FLOOR))


def loss(logits: np.ndarray, labels: np.ndarray, temperature: float = 1.0) -> float:
    """Return the mean negative log-likelihood of a softmax of logits [n, classes], in nats."""
    scaled = logits * temperature
    scaled -= scaled.max(axis=1, keepdims=True)
    own = scaled[np.arange(len(labels)), labels]
    return float((np.log(np.exp(scaled).sum(axis=1)) - own).mean())


def softmax(logits: np.ndarray) -> np.ndarray:
    """Return exp(logits) over its sum, row by row."""
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    return odds / odds.sum(axis=1, keepdims=True)


class _Scaled:
    """Features [n, d], read as (x - mean) / (spread * sqrt(d)), some rows at a time."""

    def __init__(self, features: np.ndarray) -> None:
        self.raw = features
        self.n, self.d = features.shape
        total, squares = np.zeros(self.d), np.zeros(self.d)
        for start in range(0, self.n, _CHUNK):
            part = features[start : start + _CHUNK].astype(np.float64)
            total += part.sum(axis=0)
            squares += (part * part).sum(axis=0)
        self.mean = total / self.n
        spread = np.sqrt(np.maximum(squares / self.n - self.mean**2, 0.0))
        self.scale = np.where(spread > 1e-5, spread, 1.0) * np.sqrt(self.d)

    def rows(self, start: int, stop: int) -> np.ndarray:
        return (self.raw[start:stop].astype(np.float64) - self.mean) / self.scale

    def chunks(self) -> list[tuple[int, int]]:
        return [(i, min(i + _CHUNK, self.n)) for i in range(0, self.n, _CHUNK)]

    def gram(self) -> np.ndarray:
        """Return X'X [d, d]."""
        return sum((x.T @ x for x in map(self._chunk, self.chunks())), np.zeros((self.d, self.d)))

    def times(self, targets: np.ndarray) -> np.ndarray:
        """Return X'Y [d, classes]."""
        start = np.zeros((self.d, targets.shape[1]))
        return sum((self._chunk(c).T @ targets[slice(*c)] for c in self.chunks()), start)

    def _chunk(self, bounds: tuple[int, int]) -> np.ndarray:
        return self.rows(*bounds)


class _Primal:
    """More pictures than features: eigenvectors of X'X [d, d]."""

    strengths = STRENGTHS

    def __init__(self, scaled: _Scaled, targets: np.ndarray) -> None:
        self.scaled, self.targets = scaled, targets - targets.mean(axis=0)
        self.values, self.vectors = linalg.eigh(scaled.gram(), overwrite_a=True, check_finite=False)
        self.values = np.maximum(self.values, 0.0)
        self.rotated = self.vectors.T @ scaled.times(self.targets)
        self._known: dict[float, tuple[np.ndarray, np.ndarray]] = {}

    def residuals(self, strength: float) -> tuple[np.ndarray, np.ndarray]:
        if strength not in self._known:
            many = self.targets.size * len(self.strengths) > _MOST_ANSWERS
            self._known = self._answers((strength,) if many else self.strengths)
        answers, leverages = self._known[strength]
        return self.targets - answers, 1 - 1 / self.scaled.n - leverages

    def _answers(self, strengths: tuple[float, ...]) -> dict[float, tuple[np.ndarray, np.ndarray]]:
        """Return (HY [n, classes], h [n]) for each strength, in one pass over the pictures."""
        inverses = [1 / (self.values + strength) for strength in strengths]
        answers = np.empty((len(inverses), *self.targets.shape), np.float32)
        leverages = np.empty((len(inverses), self.scaled.n), np.float64)
        for start, stop in self.scaled.chunks():
            z = self.scaled.rows(start, stop) @ self.vectors
            leverages[:, start:stop] = ((z * z) @ np.stack(inverses, axis=1)).T
            for i, inverse in enumerate(inverses):
                answers[i, start:stop] = z @ (self.rotated * inverse[:, None])
        return {one: (answers[i], leverages[i]) for i, one in enumerate(strengths)}

    def block(self, strength: float, rows: np.ndarray) -> np.ndarray:
        x = np.concatenate([self.scaled.rows(i, i + 1) for i in rows])
        z = x @ self.vectors
        hat = (z / (self.values + strength)) @ z.T + 1 / self.scaled.n
        return np.eye(len(rows)) - hat

    def weights(self, strength: float) -> np.ndarray:
        return self.vectors @ (self.rotated / (self.values + strength)[:, None])


class _Dual:
    """More features than pictures: eigenvectors of XX' [n, n]."""

    strengths = STRENGTHS

    def __init__(self, scaled: _Scaled, targets: np.ndarray) -> None:
        self.scaled, self.targets = scaled, targets - targets.mean(axis=0)
        self.x = scaled.rows(0, scaled.n)
        values, self.vectors = linalg.eigh(self.x @ self.x.T, overwrite_a=True, check_finite=False)
        self.values = np.maximum(values, 0.0)
        self.rotated = self.vectors.T @ self.targets

    def _shrunk(self, strength: float) -> np.ndarray:
        return strength / (self.values + strength)

    def residuals(self, strength: float) -> tuple[np.ndarray, np.ndarray]:
        shrunk = self._shrunk(strength)
        # The constant vector is an eigenvector of value 0: taking 1/n off removes its part.
        diagonal = (self.vectors**2) @ shrunk - 1 / self.scaled.n
        return self.vectors @ (self.rotated * shrunk[:, None]), diagonal

    def block(self, strength: float, rows: np.ndarray) -> np.ndarray:
        some = self.vectors[rows]
        return (some * self._shrunk(strength)) @ some.T - 1 / self.scaled.n

    def weights(self, strength: float) -> np.ndarray:
        dual = self.vectors @ (self.rotated / (self.values + strength)[:, None])
        return self.x.T @ dual


class _Factorised:
    """Many pictures and many features: a Cholesky factor for each strength, in single precision."""

    strengths = _LARGE_STRENGTHS

    def __init__(self, scaled: _Scaled, targets: np.ndarray) -> None:
        self.scaled, self.targets = scaled, (targets - targets.mean(axis=0)).astype(np.float32)
        self.dual = scaled.n <= scaled.d
        if self.dual:
            self.x = scaled.rows(0, scaled.n).astype(np.float32)
            self.gram = self.x @ self.x.T
        else:
            self.gram = scaled.gram().astype(np.float32)
            self.rotated = scaled.times(self.targets).astype(np.float32)
        self._kept: tuple[float, np.ndarray] | None = None

    def _inverse(self, strength: float) -> np.ndarray:
        if self._kept is None or self._kept[0] != strength:
            matrix = self.gram + np.float32(strength) * np.eye(len(self.gram), dtype=np.float32)
            factor, _ = linalg.lapack.spotrf(matrix, lower=1, overwrite_a=1)
            inverse, _ = linalg.lapack.spotri(factor, lower=1, overwrite_c=1)
            inverse = np.tril(inverse)
            inverse += np.tril(inverse, -1).T
            self._kept = strength, inverse
        return self._kept[1]

    def residuals(self, strength: float) -> tuple[np.ndarray, np.ndarray]:
        inverse = self._inverse(strength)
        n = self.scaled.n
        if self.dual:
            shrunk = strength * inverse
            return (shrunk @ self.targets).astype(np.float64), np.diag(shrunk) - 1 / n
        weights = inverse @ self.rotated
        residuals, diagonal = np.empty(self.targets.shape), np.empty(n)
        for start, stop in self.scaled.chunks():
            x = self.scaled.rows(start, stop).astype(np.float32)
            residuals[start:stop] = self.targets[start:stop] - x @ weights
            diagonal[start:stop] = 1 - 1 / n - np.einsum("ij,ij->i", x @ inverse, x)
        return residuals, diagonal

    def block(self, strength: float, rows: np.ndarray) -> np.ndarray:
        inverse = self._inverse(strength)
        if self.dual:
            return strength * inverse[np.ix_(rows, rows)] - 1 / self.scaled.n
        x = np.concatenate([self.scaled.rows(i, i + 1) for i in rows]).astype(np.float32)
        return np.eye(len(rows)) - (x @ inverse) @ x.T - 1 / self.scaled.n

    def weights(self, strength: float) -> np.ndarray:
        inverse = self._inverse(strength)
        if self.dual:
            return (self.x.T @ (inverse @ self.targets)).astype(np.float64)
        return (inverse @ self.rotated).astype(np.float64)


def _solver(scaled: _Scaled, targets: np.ndarray) -> _Solver:
    if min(scaled.n, scaled.d) > _LARGE:
        return _Factorised(scaled, targets)
    return _Dual(scaled, targets) if scaled.n <= scaled.d else _Primal(scaled, targets)


def _targets(labels: np.ndarray, num_classes: int) -> np.ndarray:
    if set(np.unique(labels)) != set(range(num_classes)):
        raise ValueError(f"expected all {num_classes} classes in the labels")
    targets = np.full((len(labels), num_classes), -1.0)
    targets[np.arange(len(labels)), labels] = 1.0
    return targets


def _head(
    scaled: _Scaled, weights: np.ndarray, targets: np.ndarray, strength: float, temperature: float
) -> LinearHead:
    kernel = temperature * weights / scaled.scale[:, None]
    bias = temperature * targets.mean(axis=0) - scaled.mean @ kernel
    return LinearHead(
        kernel.astype(np.float32), bias.astype(np.float32), strength, temperature, float("nan")
    )


def best_temperature(scores: np.ndarray, labels: np.ndarray) -> float:
    """Return the factor of scores [n, classes] that makes the labels [n] most likely.

    A part of each label goes to all classes, the less the more pictures there are (Platt 1999):
    where none was wrong, it would otherwise be sure beyond all measure.
    """
    n, classes = scores.shape
    doubt = classes / (n + 2 * classes)

    def smoothed(log: float) -> float:
        temperature = float(np.exp(log))
        everywhere = temperature * scores.mean(axis=1)
        own = temperature * scores[np.arange(n), labels]
        return loss(scores, labels, temperature) + doubt * float((own - everywhere).mean())

    found = minimize_scalar(
        smoothed, bounds=_TEMPERATURES, method="bounded", options={"xatol": 1e-3}
    )
    return float(np.exp(found.x))


def _larger_groups(groups: np.ndarray | None) -> list[np.ndarray]:
    """Return the rows of each group of several pictures."""
    if groups is None:
        return []
    order = np.argsort(groups, kind="stable")
    edges = np.flatnonzero(np.diff(groups[order])) + 1
    return [rows for rows in np.split(order, edges) if len(rows) > 1]
