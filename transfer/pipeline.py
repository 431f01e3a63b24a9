"""The whole flow on one page: a run folder with its settings in, a measured model out."""

import math
import platform
import resource
import time
from dataclasses import dataclass, replace
from importlib import metadata
from typing import Any

import keras
import numpy as np

from transfer import __version__, backbones, catalog, evaluation, features, prediction, weights
from transfer.dataset import library, split
from transfer.dataset.index import ImageIndex
from transfer.dataset.split import Split
from transfer.evaluation import Report
from transfer.prediction import Classifier
from transfer.reporter import OnStep, Reporter
from transfer.runs import Run
from transfer.strategies import REGISTRY, Task, Trained

_RESERVE = 5.0  # seconds of a budget kept for saving the model


def run(run: Run, on_step: OnStep | None = None) -> dict[str, Any]:
    """Do what the run's settings say, or go on where a killed process left off.

    data set -> split -> features -> strategies -> validation chooses -> refit -> test -> model.

    Args:
        run: a run folder that `Run.start` has prepared.
        on_step: told how far each phase is.

    Returns:
        The result, as it stands in the run folder.

    Raises:
        TransferError: the data, the weights or the run folder cannot be used; says what to do.
        StoppedError: the user stopped the run before there was anything to keep.
    """
    with run.locked():
        if run.finished:
            return run.result()
        return _Flow(run, Reporter(run, on_step)).work()


class _Flow:
    """One process's work on one run."""

    def __init__(self, run: Run, reporter: Reporter) -> None:
        self.run, self.config, self.reporter = run, run.config(), reporter
        self.began = time.monotonic()
        self.spent_before = run.seconds_spent()
        budget = self.config.budget
        self.deadline = math.inf if budget is None else self.began + budget - self.spent_before

    def work(self) -> dict[str, Any]:
        """Go through the stages; each leaves in the run folder or the store what the next needs."""
        keras.utils.set_random_seed(self.config.seed)
        self.run.write("versions", _versions())
        index = library.open_dataset(self.config.dataset)
        parts = self._split(index)
        task = self._task(index, parts)
        candidates = [self._judged(REGISTRY["linear_top"](task), index, parts.val)]
        self.reporter.something_to_keep = True
        for row in candidates[0].trained.history:
            self.reporter.epoch(row)
        if self.config.strategy != candidates[0].trained.strategy:
            task = replace(task, deadline=self.deadline - _reserve(candidates[0], parts))
            candidates.append(self._judged(REGISTRY[self.config.strategy](task), index, parts.val))
        self.run.write("history", list(candidates[-1].trained.history))
        shipped = max(candidates, key=_preference)
        self.reporter.say("saving", 0, 1, "Saving the model")
        trained = shipped.trained
        model = trained.refit() if trained.refit else trained.model
        self._save(model)
        answers = {"validation": (parts.val, shipped.answers)}
        test = None
        if parts.test:
            test, said = self._report(model, index, parts.test, "test")
            answers["test"] = (parts.test, said)
        self.run.save_answers(**answers)
        result = self._result(index, parts, candidates, shipped, test)
        self.run.finish(result)
        self.reporter.say("finished", 1, 1, "Finished")
        return result

    def _split(self, index: ImageIndex) -> Split:
        kept = self.run.read("split")
        if kept is None:
            kept = split.split(index, self.config.seed).to_json()
            self.run.write("split", kept)
        return Split.from_json(kept)

    def _task(self, index: ImageIndex, parts: Split) -> Task:
        spec = catalog.backbone(self.config.backbone)
        path = weights.obtain(spec, self.config.image_size, self.reporter.counter("weights"))
        self.reporter.say("loading", 0, 1, f"Loading {spec.name}")
        backbone = backbones.load(spec, self.config.image_size, path)
        classes = {name: number for number, name in enumerate(index.classes)}
        labels = np.array([classes[picture.label] for picture in index.pictures])
        positions = sorted([*parts.train, *parts.val])  # test pictures only meet the whole model
        self.reporter.plan(
            {
                "features": len(positions),
                "train": len(parts.train),
                "validation": len(parts.val),
                "test": len(parts.test),
                "export": 2 * len(parts.test or parts.val),
            },
            0 if self.config.strategy == "linear_top" else self.config.epochs,
        )
        known = features.compute(backbone, index, positions, self.reporter.counter("features"))
        table = np.zeros((len(labels), backbone.feature_dim), np.float32)
        table[positions] = known
        return Task(
            config=self.config,
            run=self.run,
            index=index,
            split=parts,
            labels=labels,
            backbone=backbone,
            features=table,
            deadline=self.deadline,
            on_progress=self.reporter.training,
            on_search=self.reporter.search,
            on_epoch=self._epoch,
            should_stop=self.reporter.stop_wanted,
        )

    def _judged(
        self, trained: Trained, index: ImageIndex, positions: tuple[int, ...]
    ) -> "_Candidate":
        """Judge a solution by the Keras model itself, on the validation pictures."""
        start = time.monotonic()
        report, answers = self._report(trained.model, index, positions, "validation")
        self.run.record_spent(self._spent())
        row = {"strategy": trained.strategy, **report.overall.to_json(), "loss": report.loss}
        self.run.event("candidate", **row)
        return _Candidate(trained, report, answers, time.monotonic() - start)

    def _report(
        self, model: keras.Model, index: ImageIndex, positions: tuple[int, ...], phase: str
    ) -> tuple[Report, np.ndarray]:
        classifier = Classifier(model, index.classes, self.config.image_size)
        pictures = [index.pictures[i] for i in positions]
        paths = [index.path(picture) for picture in pictures]
        answers = prediction.probabilities(classifier, paths, self.reporter.counter(phase))
        labels = np.array([index.classes.index(picture.label) for picture in pictures])
        return evaluation.evaluate(answers, labels, index.classes), answers

    def _save(self, model: keras.Model) -> None:
        partial = self.run.model_path.with_name(".model.partial.keras")
        model.save(partial)
        partial.replace(self.run.model_path)

    def _result(
        self,
        index: ImageIndex,
        parts: Split,
        candidates: list["_Candidate"],
        shipped: "_Candidate",
        test: Report | None,
    ) -> dict[str, Any]:
        return {
            "run": str(self.run.folder),
            "requested": self.config.strategy,
            "shipped": shipped.trained.strategy,
            "backbone": self.config.backbone,
            "validation": shipped.report.overall.to_json(),
            "test": test.overall.to_json() if test else None,
            "seconds": round(self._spent(), 2),
            "classes": list(index.classes),
            "splits": parts.counts(),
            "image_size": self.config.image_size,
            "ended": candidates[-1].trained.ended,
            "candidates": {one.trained.strategy: one.report.to_json() for one in candidates},
            "test_report": test.to_json() if test else None,
            "warnings": [*index.warnings, *parts.warnings],
            "peak_memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        }

    def _spent(self) -> float:
        return self.spent_before + time.monotonic() - self.began

    def _epoch(self, row: dict[str, Any]) -> None:
        self.reporter.epoch(row)
        self.run.record_spent(self._spent())


@dataclass(frozen=True)
class _Candidate:
    """A solution with its validation report, answers [n, classes], and the seconds they took."""

    trained: Trained
    report: Report
    answers: np.ndarray
    seconds: float


def _preference(candidate: _Candidate) -> tuple[float, float]:
    """More right answers first; among equals the lower loss."""
    return candidate.report.overall.accuracy, -candidate.report.loss


def _reserve(first: _Candidate, parts: Split) -> float:
    """Return seconds to keep for the end: evaluating takes as long again for each picture."""
    return _RESERVE + 1.5 * first.seconds * (1 + len(parts.test) / len(parts.val))


def _versions() -> dict[str, str]:
    packages = ("keras", "tensorflow", "numpy", "scikit-learn", "pillow")
    found = {name: metadata.version(name) for name in packages}
    return {"transfer": __version__, "python": platform.python_version(), **found}
