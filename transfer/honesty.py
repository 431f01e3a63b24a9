"""The number of a data set that can be believed: groups kept together, small sets judged again."""

from typing import Any

import numpy as np

from transfer import crossval, evaluation, pooling
from transfer.backbones import Backbone
from transfer.dataset.index import ImageIndex
from transfer.dataset.split import Split
from transfer.features import Features

SMALL = 500  # pictures; up to here repeated cross-validation costs seconds and says more
_ALONE = 0.98  # share of pictures that stand alone, from which on bursts cannot feign a point
_MOST = 3000  # pictures of a large set that are looked at


def of_training(
    backbone: Backbone, index: ImageIndex, parts: Split, kept: Features, seed: int
) -> dict[str, Any] | None:
    """Measure it on the pictures that a run learns from and chooses by; the test stays out.

    None for a large set with hardly any copies or bursts: there it has nothing to tell.
    """
    positions = np.array(sorted([*parts.train, *parts.val]))
    together = parts.together(positions)
    if len(positions) > SMALL and len(np.unique(together)) > _ALONE * len(positions):
        return None
    rows = kept.of(pooling.top(backbone.blocks), positions.tolist())
    return measure(rows, index.class_numbers()[positions], index.classes, together, seed)


def measure(
    features: np.ndarray,
    labels: np.ndarray,
    classes: tuple[str, ...],
    groups: np.ndarray,
    seed: int,
) -> dict[str, Any]:
    """Measure the linear probe with groups kept together and with groups torn apart.

    Args:
        features: of the last stage, [n, d].
        labels: class numbers [n], each of the classes at least once.
        classes: their names.
        groups: number of the group of each picture [n].
        seed: draws samples and folds.

    Returns:
        {"grouped", "ungrouped": {"accuracy", "low", "high", "n"}, "gap", "gap_low", "gap_high",
        "warn"}, and of small sets what repeated grouped cross-validation says: "repeated", None
        otherwise, and "apart": the pairs of classes that it cannot tell apart.
    """
    chosen = _sample(labels, groups, seed)
    features, labels, groups = features[chosen], labels[chosen], groups[chosen]
    found = crossval.gap(features, labels, len(classes), groups).to_json()
    small = len(labels) <= SMALL and len(np.unique(groups)) >= crossval.FOLDS
    if not small:
        return {**found, "repeated": None, "apart": []}
    again = crossval.repeated(features, labels, len(classes), groups, seed)
    confused = evaluation.apart(again.confusion, classes)
    return {
        **found,
        "repeated": {**again.overall.to_json(), "folds": again.folds, "repeats": again.repeats},
        "apart": [[one.first, one.second] for one in confused],
    }


def _sample(labels: np.ndarray, groups: np.ndarray, seed: int) -> np.ndarray:
    """Return positions of whole groups, about `_MOST` pictures at most, of every class some."""
    if len(labels) <= _MOST:
        return np.arange(len(labels))
    rng = np.random.default_rng(seed)
    order = rng.permutation(np.unique(groups))
    place = np.argsort(order)[np.searchsorted(np.sort(order), groups)]
    share = np.sort(place)[_MOST - 1]
    chosen = place <= share
    for label in np.unique(labels):  # a rare class, none of whose groups was drawn
        if not chosen[labels == label].any():
            chosen |= groups == groups[labels == label][0]
    return np.flatnonzero(chosen)
