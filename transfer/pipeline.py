"""The whole flow on one page: a run folder with its settings in, a measured model out."""

import math
import platform
import resource
import time
from dataclasses import replace
from importlib import metadata
from typing import Any

import keras

from transfer import __version__, advisor, backbones, catalog, features, judging, weights
from transfer.backbones import Backbone
from transfer.dataset import library, split
from transfer.dataset.split import Split
from transfer.features import Features
from transfer.judging import Candidate, Judged
from transfer.reporter import OnStep, Reporter
from transfer.runs import Run
from transfer.strategies import REGISTRY, Task

_RESERVE = 5.0  # seconds of a budget kept for saving the model
_LEAST_SECONDS = 15.0  # less is not worth beginning a fine-tuning for


def run(
    run: Run, on_step: OnStep | None = None, backbone: Backbone | None = None
) -> dict[str, Any]:
    """Do what the run's settings say, or go on where a killed process left off.

    data set -> split -> features -> advice -> strategies -> validation chooses -> refit -> test.

    Args:
        run: a run folder that `Run.start` has prepared.
        on_step: told how far each phase is.
        backbone: the network of the settings, where it has been loaded already.

    Returns:
        The result, as it stands in the run folder.

    Raises:
        TransferError: the data, the weights or the run folder cannot be used; says what to do.
        StoppedError: the user stopped the run before there was anything to keep.
    """
    with run.locked():
        if run.finished:
            return run.result()
        return _Flow(run, Reporter(run, on_step), backbone).work()


def advise(
    run: Run, on_step: OnStep | None = None, backbone: Backbone | None = None
) -> dict[str, Any]:
    """Measure the data set of a prepared run folder; keep and return the advice.

    Raises:
        TransferError: the data, the weights or the run folder cannot be used; says what to do.
    """
    with run.locked():
        if (kept := run.read("advice")) is not None:
            return kept
        return _Flow(run, Reporter(run, on_step), backbone).advise()


class _Flow:
    """One process's work on one run."""

    def __init__(self, run: Run, reporter: Reporter, backbone: Backbone | None) -> None:
        self.run, self.config, self.reporter = run, run.config(), reporter
        self.began = time.monotonic()
        self.spent_before = run.seconds_spent()
        budget = self.config.budget
        self.deadline = math.inf if budget is None else self.began + budget - self.spent_before
        reporter.deadline = self.deadline
        self.loaded = backbone
        run.write("versions", _versions())
        self.index = library.open_dataset(self.config.dataset)
        self.parts = self._split()

    def work(self) -> dict[str, Any]:
        """Go through the stages; each leaves in the run folder or the store what the next needs."""
        backbone, kept = self._network()
        advice = self._advice(backbone, kept) if self.config.measures else None
        names = self._strategies(advice)
        self.reporter.expect(sum(map(_tunes, names)), len(names))
        task = self._task(backbone, kept, advice)
        candidates: list[Candidate] = []
        for place, name in enumerate(names):
            candidates.append(self._candidate(task, name, names[place + 1 :], candidates))
        chosen = judging.choose(candidates, self.config.strategy, _advised(advice)).finished()
        self.run.write("history", list(chosen.trained.history))
        self.reporter.say("saving", 0, 1, "Saving the model")
        self._save(chosen)
        if self.parts.test and chosen.test is None:
            chosen = self._tested(chosen)
        result = self._result(candidates, chosen, advice, names)
        self._keep_answers(chosen)
        self.run.finish(result)
        self.reporter.say("finished", 1, 1, "Finished")
        return result

    def advise(self) -> dict[str, Any]:
        """Measure only."""
        advice = self._advice(*self._network())
        self.reporter.say("finished", 1, 1, "Finished")
        return advice

    def _split(self) -> Split:
        kept = self.run.read("split")
        if kept is None:
            kept = split.split(self.index, self.config.seed).to_json()
            self.run.write("split", kept)
        return Split.from_json(kept)

    def _network(self) -> tuple[Backbone, Features]:
        spec, size = catalog.backbone(self.config.backbone), self.config.image_size
        path = weights.obtain(spec, size, self.reporter.counter("weights"))
        self.reporter.say("loading", 0, 1, f"Loading {spec.name}")
        backbone = self.loaded or backbones.load(spec, size, path)
        keras.utils.set_random_seed(self.config.seed)  # building a network draws, too
        positions = sorted([*self.parts.train, *self.parts.val])  # test only meets the whole model
        self.reporter.plan(
            {
                **({"advice": 0} if self.config.measures else {}),
                "features": len(positions),
                "train": len(self.parts.train),
                "validation": len(self.parts.val),
                "test": len(self.parts.test),
                "export": 2 * len(self.parts.test or self.parts.val),
            }
        )
        counter = self.reporter.counter("features")
        return backbone, features.compute(backbone, self.index, positions, counter, self._log)

    def _log(self, words: str) -> None:
        self.run.event("note", words=words)

    def _advice(self, backbone: Backbone, kept: Features) -> dict[str, Any]:
        if (known := self.run.read("advice")) is not None:
            return known
        counter, seed = self.reporter.counter("advice"), self.config.seed
        measured = advisor.measure(backbone, self.index, self.parts, kept, seed, counter)
        advice = {**measured.to_json(), "seconds": round(self._spent(), 2)}
        self.run.write("advice", advice)
        return advice

    def _strategies(self, advice: dict[str, Any] | None) -> list[str]:
        """Return what to train, what is compared with before what it is compared by."""
        asked = self.config.strategy
        if asked == "all":
            return list(REGISTRY)
        if asked != "auto" or advice is None:
            return [asked]
        advised = advice["strategy"]
        return [judging.PROBE, advised] if _tunes(advised) else [advised]

    def _task(self, backbone: Backbone, kept: Features, advice: dict[str, Any] | None) -> Task:
        guess = advice["augmentation"] if advice else {}
        config, reporter = self.config, self.reporter
        return Task(
            config=config,
            run=self.run,
            index=self.index,
            split=self.parts,
            labels=self.index.class_numbers(),
            backbone=backbone,
            features=kept,
            deadline=self.deadline,
            mirror=_allowed(config.horizontal_flip, guess.get("mirror")),
            turn=_allowed(config.quarter_turns, guess.get("turn")),
            on_progress=reporter.training,
            on_search=reporter.search,
            on_epoch=self._epoch,
            on_view=reporter.viewing,
            should_stop=reporter.stop_wanted,
        )

    def _candidate(
        self, task: Task, name: str, later: list[str], before: list[Candidate]
    ) -> Candidate:
        """Train in one way within its share of the time, and judge it."""
        self.reporter.name = catalog.strategy(name).title if before or later else ""
        began = time.monotonic()
        task = replace(task, deadline=self._deadline(name, later, before))
        trained = REGISTRY[name](task)
        seconds = time.monotonic() - began
        judged = self._judge(trained.model, self.parts.val, "validation")
        self.run.record_spent(self._spent())
        row = {"strategy": name, **judged.report.overall.to_json(), "loss": judged.report.loss}
        self.run.event("candidate", **row)
        if not before and not _tunes(name):
            for epoch in trained.history:
                self.reporter.epoch(epoch)
        self.reporter.something_to_keep = True
        made = Candidate(trained, judged, seconds)
        if self.config.strategy == "all" and self.parts.test:
            return self._tested(made)
        return made

    def _deadline(self, name: str, later: list[str], before: list[Candidate]) -> float:
        """Share the time that is left among the fine-tunings to come; keep some for the end."""
        if not _tunes(name) or self.deadline == math.inf:
            return self.deadline
        first = before[0].validation if before else None
        answered = first.seconds / len(first.right) if first else 0.05
        everything = len(self.parts.val) + len(self.parts.test)
        rounds = 1 + sum(map(_tunes, later))
        left = self.deadline - time.monotonic() - _RESERVE - 1.5 * answered * everything * rounds
        share = max(left / rounds, _LEAST_SECONDS if rounds > 1 else 0.0)
        return min(time.monotonic() + share, self.deadline)

    def _tested(self, candidate: Candidate) -> Candidate:
        finished = candidate.finished()
        if finished.model is None:
            return finished
        return replace(finished, test=self._judge(finished.model, self.parts.test, "test"))

    def _judge(self, model: keras.Model, positions: tuple[int, ...], phase: str) -> Judged:
        counter = self.reporter.counter(phase)
        return judging.judge(model, self.index, positions, self.config.image_size, counter)

    def _save(self, chosen: Candidate) -> None:
        partial = self.run.model_path.with_name(".model.partial.keras")
        if chosen.model is not None:
            chosen.model.save(partial)
        partial.replace(self.run.model_path)

    def _keep_answers(self, chosen: Candidate) -> None:
        answers = {"validation": (self.parts.val, chosen.validation.answers)}
        if chosen.test:
            answers["test"] = (self.parts.test, chosen.test.answers)
        self.run.save_answers(**answers)

    def _result(
        self,
        candidates: list[Candidate],
        chosen: Candidate,
        advice: dict[str, Any] | None,
        names: list[str],
    ) -> dict[str, Any]:
        everyone = [chosen if one.name == chosen.name else one for one in candidates]
        test = chosen.test.report if chosen.test else None
        return {
            "run": str(self.run.folder),
            "requested": self.config.strategy,
            "advised": _advised(advice),
            "shipped": chosen.name,
            "backbone": self.config.backbone,
            "validation": chosen.validation.report.overall.to_json(),
            "test": test.overall.to_json() if test else None,
            "seconds": round(self._spent(), 2),
            "classes": list(self.index.classes),
            "splits": self.parts.counts(),
            "image_size": self.config.image_size,
            "ended": chosen.trained.ended,
            "candidates": {one.name: one.validation.report.to_json() for one in candidates},
            "comparison": [one.to_json() for one in everyone] if len(names) > 1 else [],
            "test_report": test.to_json() if test else None,
            "warnings": [*self.index.warnings, *self.parts.warnings],
            "peak_memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        }

    def _spent(self) -> float:
        return self.spent_before + time.monotonic() - self.began

    def _epoch(self, row: dict[str, Any]) -> None:
        self.reporter.something_to_keep = True
        self.reporter.epoch(row)
        self.run.record_spent(self._spent())


def _advised(advice: dict[str, Any] | None) -> str | None:
    return advice["strategy"] if advice else None


def _tunes(strategy: str) -> bool:
    return catalog.strategy(strategy).tunes


def _allowed(said: bool | None, guess: dict[str, Any] | None) -> bool:
    """Return what the user said, else what was measured."""
    return said if said is not None else bool(guess and guess["safe"])


def _versions() -> dict[str, str]:
    packages = ("keras", "tensorflow", "numpy", "scipy", "pillow")
    found = {name: metadata.version(name) for name in packages}
    return {"transfer": __version__, "python": platform.python_version(), **found}
