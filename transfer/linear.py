"""Fit a linear classifier on features, its strength chosen by cross-validation (scikit-learn)."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import StratifiedGroupKFold

# From strong to weak regularisation, so that each fit starts from its simpler neighbour.
STRENGTHS: tuple[float, ...] = tuple(float(c) for c in np.logspace(-3.5, 1.0, 10))
_GIVE_UP_AFTER = 2  # strengths in a row without a better cross-validated loss


@dataclass(frozen=True)
class LinearHead:
    """Softmax regression on raw features: logits = features @ kernel + bias.

    `kernel` is [features, classes], `bias` [classes], both float32, standardisation folded in.
    `strength` is scikit-learn's C (the inverse of the L2 penalty); `loss` the cross-validated
    negative log-likelihood at that strength, in nats.
    """

    kernel: np.ndarray
    bias: np.ndarray
    strength: float
    loss: float

    def probabilities(self, features: np.ndarray) -> np.ndarray:
        """Return class probabilities [n, classes] for features [n, features]."""
        logits = features @ self.kernel + self.bias
        logits -= logits.max(axis=1, keepdims=True)
        odds = np.exp(logits)
        return odds / odds.sum(axis=1, keepdims=True)


@dataclass(frozen=True)
class SearchStep:
    """One strength tried: mean losses (nats) and accuracies inside and outside the folds' parts."""

    step: int
    total: int  # at most
    strength: float
    loss: float
    accuracy: float
    val_loss: float
    val_accuracy: float


def choose_strength(
    features: np.ndarray,
    labels: np.ndarray,
    groups: np.ndarray,
    seed: int,
    on_step: Callable[[SearchStep], None] | None = None,
) -> tuple[float, float]:
    """Return (strength, cross-validated loss) of the best strength by negative log-likelihood.

    Args:
        features: float32 [n, d].
        labels: class numbers 0..C-1 [n], each class at least once.
        groups: content ids [n]; pictures of one group stay in one fold.
        seed: decides the folds.
        on_step: told of each strength when it has been tried on all folds.
    """
    folds = _folds(labels, groups, seed)
    if not folds:  # too few pictures to hold any back: the middle of the range
        return STRENGTHS[len(STRENGTHS) // 2], float("nan")
    losses: list[float] = []
    warm = [_classifier(STRENGTHS[0]) for _ in folds]
    scaled = [_Scaled(features[train], features[held]) for train, held in folds]
    for step, strength in enumerate(STRENGTHS):
        inside, outside = np.zeros(2), np.zeros(2)
        for model, data, (train, held) in zip(warm, scaled, folds, strict=True):
            model.C = strength
            _fit(model, data.train, labels[train])
            inside += _sums(model, data.train, labels[train])
            outside += _sums(model, data.held, labels[held])
        inside /= sum(len(train) for train, _ in folds)
        outside /= sum(len(held) for _, held in folds)
        losses.append(float(outside[0]))
        if on_step:
            values = map(float, (strength, *inside, *outside))
            on_step(SearchStep(step + 1, len(STRENGTHS), *values))
        if step - int(np.argmin(losses)) >= _GIVE_UP_AFTER:
            break
    best = int(np.argmin(losses))
    return STRENGTHS[best], losses[best]


def fit(
    features: np.ndarray, labels: np.ndarray, num_classes: int, strength: float, loss: float
) -> LinearHead:
    """Fit softmax regression with the given strength on features [n, d] and labels [n]."""
    data = _Scaled(features, features[:0])
    model = _classifier(strength)
    _fit(model, data.train, labels)
    coefficients, intercepts = model.coef_, model.intercept_
    if len(model.classes_) == 2:  # scikit-learn keeps one row: the log-odds of the second class
        coefficients = np.concatenate([-coefficients / 2, coefficients / 2])
        intercepts = np.concatenate([-intercepts / 2, intercepts / 2])
    if len(model.classes_) != num_classes:
        raise ValueError(f"expected {num_classes} classes in the labels, got {len(model.classes_)}")
    kernel = coefficients.T / data.scale[:, None]
    bias = intercepts - data.mean @ kernel
    return LinearHead(kernel.astype(np.float32), bias.astype(np.float32), strength, loss)


class _Scaled:
    """Training and held-out features, standardised by the training ones."""

    def __init__(self, train: np.ndarray, held: np.ndarray) -> None:
        self.mean = train.mean(axis=0, dtype=np.float64).astype(np.float32)
        spread = train.std(axis=0, dtype=np.float64).astype(np.float32)
        self.scale = np.where(spread > 1e-6, spread, 1.0).astype(np.float32)
        self.train = (train - self.mean) / self.scale
        self.held = (held - self.mean) / self.scale


def _classifier(strength: float) -> LogisticRegression:
    # On 1,749 x 1,280 features three times as fast as the default tolerance, for the same answers.
    return LogisticRegression(C=strength, solver="lbfgs", max_iter=150, tol=1e-3, warm_start=True)


def _fit(model: LogisticRegression, features: np.ndarray, labels: np.ndarray) -> None:
    with warnings.catch_warnings():
        # Weak penalties on separable data converge slowly; cross-validation judges them anyway.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(features, labels)


def _folds(
    labels: np.ndarray, groups: np.ndarray, seed: int
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return (train, held-out) positions; folds whose training part misses a class are dropped."""
    distinct = min(len(np.unique(groups[labels == c])) for c in np.unique(labels))
    count = min(distinct, 5 if len(labels) < 1000 else 3)
    if count < 2:
        return []
    splitter = StratifiedGroupKFold(count, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The least populated class")
        folds = list(splitter.split(np.zeros(len(labels)), labels, groups))
    classes = len(np.unique(labels))
    return [fold for fold in folds if len(fold[1]) and len(np.unique(labels[fold[0]])) == classes]


def _sums(model: LogisticRegression, features: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return [the summed loss, the number of right answers]."""
    probabilities = np.clip(model.predict_proba(features), 1e-7, 1.0)
    loss = log_loss(labels, probabilities, labels=model.classes_, normalize=False)
    right = (model.classes_[probabilities.argmax(axis=1)] == labels).sum()
    return np.array([loss, right], np.float64)
