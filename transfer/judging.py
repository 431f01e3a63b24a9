"""Judge finished solutions by the Keras model itself, and say which one ships."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np

from transfer import catalog, evaluation, prediction
from transfer.dataset.index import ImageIndex
from transfer.evaluation import Report
from transfer.prediction import Classifier
from transfer.strategies import Trained

OnStep = Callable[[int, int], None]
PROBE = "linear_stages"  # what a fine-tuned network has to beat


@dataclass(frozen=True)
class Judged:
    """What a model said of some pictures: `report`, and answers [n, classes]; seconds it took."""

    report: Report
    answers: np.ndarray
    right: np.ndarray
    seconds: float


@dataclass(frozen=True)
class Candidate:
    """A solution with its validation, its test where it had one, and what it cost to train."""

    trained: Trained
    validation: Judged
    seconds: float
    test: Judged | None = None
    model: keras.Model | None = None  # what would ship: refitted where the strategy can

    @property
    def name(self) -> str:
        """The strategy."""
        return self.trained.strategy

    @property
    def shipped(self) -> keras.Model:
        """The model that would ship, as far as it is made."""
        return self.model or self.trained.model

    def finished(self) -> "Candidate":
        """Return it with the model that would ship."""
        if self.model is not None:
            return self
        trained = self.trained
        return replace(self, model=trained.refit() if trained.refit else trained.model)

    def to_json(self) -> dict[str, Any]:
        """Return its row of the comparison."""
        return {
            "strategy": self.name,
            "validation": self.validation.report.overall.to_json(),
            "test": self.test.report.overall.to_json() if self.test else None,
            "seconds": round(self.seconds, 1),
            "note": _NOTES.get(self.trained.ended),
        }


_NOTES = {
    "budget": "The time was up before it had finished: with more time it may do better.",
    "stopped": "It was stopped: with more time it may do better.",
}


def judge(
    classifier: Classifier, index: ImageIndex, positions: tuple[int, ...], on_step: OnStep
) -> Judged:
    """Let a model answer for these pictures of a data set."""
    began = time.monotonic()
    paths = [index.path(index.pictures[i]) for i in positions]
    answers = prediction.probabilities(classifier, paths, on_step)
    labels = index.class_numbers()[list(positions)]
    report = evaluation.evaluate(answers, labels, classifier.classes)
    return Judged(report, answers, answers.argmax(axis=1) == labels, time.monotonic() - began)


def choose(candidates: list[Candidate], requested: str, advised: str | None) -> Candidate:
    """Return the candidate that ships.

    A strategy that was named is the one. Otherwise it is the advised one, but a fine-tuned network
    only where it beats the probe by more than a standard error on the same validation pictures.
    """
    known = {one.name: one for one in candidates}
    wanted = known.get(requested) or known.get(advised or "")
    probe = known.get(PROBE)
    if wanted is None:
        return probe or candidates[0]
    if requested == wanted.name or probe is None or not catalog.strategy(wanted.name).tunes:
        return wanted
    gain, error = paired(wanted.validation.right, probe.validation.right)
    return wanted if gain > error else probe


def paired(right: np.ndarray, other: np.ndarray) -> tuple[float, float]:
    """Return (difference of two accuracies on the same pictures, its standard error)."""
    difference = right.astype(float) - other
    return float(difference.mean()), float(difference.std() / math.sqrt(len(difference)))
