"""Two small classifiers that ask numbers for the class; both with all classes as likely."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
from scipy.special import softmax
from sklearn import config_context
from sklearn.tree import ExtraTreeRegressor
from sklearn.utils.class_weight import compute_sample_weight

_MANY = 500  # rows from which a second thread is worth starting
_TREES, _SHARE_TRIED = 32, 0.3  # of the numbers at each branch: a logo shows in few of them
_SHRINKAGE = 0.9  # of the covariance: there are far more numbers in a drawing than pictures


def forest(values: np.ndarray, labels: np.ndarray, asked: np.ndarray, seed: int) -> np.ndarray:
    """Return what extremely randomised trees make of what is asked (Geurts et al. 2006).

    The trees are grown one by one, and as regressions on a column for each class, whose squared
    error is Gini's impurity: with trees as small as these `ExtraTreesClassifier` spends most of its
    time on other things.

    Args:
        values: float32 [n, d], to learn from.
        labels: int [n].
        asked: float32 [m, d].
        seed: of the trees.

    Returns:
        Probabilities [m, classes], in the order of the labels.
    """
    weights = compute_sample_weight("balanced", labels)
    _, places = np.unique(labels, return_inverse=True)
    wanted = np.eye(places.max() + 1)[places]

    def told(number: int) -> np.ndarray:
        with config_context(skip_parameter_validation=True, assume_finite=True):
            tree = ExtraTreeRegressor(
                max_features=_SHARE_TRIED,  # pyright: ignore[reportArgumentType]
                min_samples_leaf=2,
                random_state=seed * _TREES + number,
            ).fit(values, wanted, weights, check_input=False)
            return np.reshape(tree.predict(asked, check_input=False), (len(asked), -1))

    if len(labels) < _MANY:
        return np.mean([told(number) for number in range(_TREES)], axis=0)
    with ThreadPoolExecutor(2) as pool:
        return np.mean(list(pool.map(told, range(_TREES))), axis=0)


def discriminant(values: np.ndarray, labels: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """Return what Fisher's linear discriminant makes of what is asked.

    The covariance within the classes is shrunk towards a sphere (Friedman 1989), for there are more
    numbers than rows. `LinearDiscriminantAnalysis` gives the same, six times as slowly.

    Args:
        values: float [n, d], to learn from.
        labels: int [n].
        asked: float [m, d].

    Returns:
        Probabilities [m, classes], in the order of the labels.
    """
    values, asked = values.astype(np.float64), asked.astype(np.float64)
    means, spread = [], np.zeros((values.shape[1], values.shape[1]))
    classes = np.unique(labels)
    for k in classes:
        own = values[labels == k]
        means.append(own.mean(axis=0))
        spread += (own - means[-1]).T @ (own - means[-1]) / (len(own) * len(classes))
    even = _SHRINKAGE * np.trace(spread) / len(spread) + 1e-9
    spread *= 1 - _SHRINKAGE
    spread[np.diag_indices(len(spread))] += even
    centres = np.stack(means, axis=1)
    weights = np.linalg.solve(spread, centres)
    return softmax(asked @ weights - 0.5 * (centres * weights).sum(axis=0), axis=1)
