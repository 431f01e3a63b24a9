"""The whole flow on one page: a run folder with its settings in, a measured model out."""

import math
import platform
import resource
import time
from collections.abc import Callable
from dataclasses import replace
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
from transfer.runs import Run
from transfer.strategies import REGISTRY, Task, Trained
from transfer.training import Progress

OnStep = Callable[[str, float, float, str], None]  # phase, done, total, words
_STATUS_EVERY = 0.5  # seconds
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
    """
    with run.locked():
        if run.finished:
            return run.result()
        return _Flow(run, on_step or (lambda *_: None)).work()


class _Flow:
    """One process's work on one run."""

    def __init__(self, run: Run, on_step: OnStep) -> None:
        self.run, self.config, self.on_step = run, run.config(), on_step
        self.began = time.monotonic()
        self.phase, self.last_status = "", 0.0
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
        probe, report, seconds = self._judged(REGISTRY["linear_top"](task), index, parts.val)
        trained = probe
        reports = {probe.strategy: report}
        if self.config.strategy != probe.strategy:
            # The last evaluations take as long as the one just made, for each picture.
            reserve = _RESERVE + 1.5 * seconds * (1 + len(parts.test) / len(parts.val))
            other = REGISTRY[self.config.strategy](replace(task, deadline=self.deadline - reserve))
            other, other_report, _ = self._judged(other, index, parts.val)
            reports[other.strategy] = other_report
            if _better(other_report, report):
                trained = other
            self.run.write("history", list(other.history))
        else:
            self.run.write("history", list(probe.history))
        self._say("saving", 0, 1, "Saving the model")
        model = trained.refit() if trained.refit else trained.model
        self._save(model)
        test = self._report(model, index, parts.test, "test") if parts.test else None
        result = self._result(index, parts, trained, reports, test)
        self.run.finish(result)
        self._say("finished", 1, 1, "Finished")
        return result

    def _split(self, index: ImageIndex) -> Split:
        kept = self.run.read("split")
        if kept is None:
            kept = split.split(index, self.config.seed).to_json()
            self.run.write("split", kept)
        return Split.from_json(kept)

    def _task(self, index: ImageIndex, parts: Split) -> Task:
        spec = catalog.backbone(self.config.backbone)
        path = weights.obtain(spec, self.config.image_size, self._counter("weights"))
        self._say("loading", 0, 1, f"Loading {spec.name}")
        backbone = backbones.load(spec, self.config.image_size, path)
        classes = {name: number for number, name in enumerate(index.classes)}
        labels = np.array([classes[picture.label] for picture in index.pictures])
        positions = sorted([*parts.train, *parts.val])  # test pictures only meet the whole model
        known = features.compute(backbone, index, positions, self._counter("features"))
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
            on_progress=self._training_progress,
            on_search=self._counter("head"),
            on_epoch=self._epoch,
        )

    def _judged(
        self, trained: Trained, index: ImageIndex, positions: tuple[int, ...]
    ) -> tuple[Trained, Report, float]:
        """Return the solution, its report from the Keras model itself, and the seconds it took."""
        start = time.monotonic()
        report = self._report(trained.model, index, positions, "validation")
        self.run.record_spent(self._spent())
        return trained, report, time.monotonic() - start

    def _report(
        self, model: keras.Model, index: ImageIndex, positions: tuple[int, ...], phase: str
    ) -> Report:
        classifier = Classifier(model, index.classes, self.config.image_size)
        pictures = [index.pictures[i] for i in positions]
        paths = [index.path(picture) for picture in pictures]
        answers = prediction.probabilities(classifier, paths, self._counter(phase))
        labels = np.array([index.classes.index(picture.label) for picture in pictures])
        return evaluation.evaluate(answers, labels, index.classes)

    def _save(self, model: keras.Model) -> None:
        partial = self.run.model_path.with_name(".model.partial.keras")
        model.save(partial)
        partial.replace(self.run.model_path)

    def _result(
        self,
        index: ImageIndex,
        parts: Split,
        trained: Trained,
        reports: dict[str, Report],
        test: Report | None,
    ) -> dict[str, Any]:
        return {
            "run": str(self.run.folder),
            "requested": self.config.strategy,
            "shipped": trained.strategy,
            "backbone": self.config.backbone,
            "validation": reports[trained.strategy].overall.to_json(),
            "test": test.overall.to_json() if test else None,
            "seconds": round(self._spent(), 2),
            "classes": list(index.classes),
            "splits": parts.counts(),
            "image_size": self.config.image_size,
            "ended": trained.ended,
            "candidates": {name: report.to_json() for name, report in reports.items()},
            "test_report": test.to_json() if test else None,
            "warnings": [*index.warnings, *parts.warnings],
            "peak_memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        }

    def _spent(self) -> float:
        return self.spent_before + time.monotonic() - self.began

    def _counter(self, phase: str) -> Callable[[int, int], None]:
        return lambda done, total: self._say(phase, done, total, _WORDS[phase])

    def _training_progress(self, progress: Progress) -> None:
        done = (progress.epoch - 1) * progress.steps + progress.step
        words = f"Training, epoch {progress.epoch} of at most {progress.epochs}"
        self._say("fine_tuning", done, progress.epochs * progress.steps, words)

    def _epoch(self, row: dict[str, Any]) -> None:
        self.run.event("epoch", **row)
        self.run.record_spent(self._spent())

    def _say(self, phase: str, done: float, total: float, words: str) -> None:
        """Tell the caller and, a few times a second at most, the run folder."""
        if phase != self.phase:
            self.run.event("phase", phase=phase, words=words)
        now = time.monotonic()
        if phase != self.phase or now - self.last_status > _STATUS_EVERY:
            self.run.status(phase, done=done, total=total, words=words)
            self.last_status = now
        self.phase = phase
        self.on_step(phase, done, total, words)


_WORDS = {
    "weights": "Downloading the weights",
    "features": "Looking at the pictures",
    "head": "Fitting the linear classifier",
    "validation": "Checking on the validation pictures",
    "test": "Measuring on the test pictures",
}


def _better(one: Report, other: Report) -> bool:
    """Whether validation prefers `one`: more right answers, or as many and a lower loss."""
    return (one.overall.accuracy, -one.loss) > (other.overall.accuracy, -other.loss)


def _versions() -> dict[str, str]:
    packages = ("keras", "tensorflow", "numpy", "scikit-learn", "pillow")
    found = {name: metadata.version(name) for name in packages}
    return {"transfer": __version__, "python": platform.python_version(), **found}
