"""The whole flow on one page: a run folder with its settings in, a measured model out."""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras

from transfer import (
    advisor,
    answering,
    calibrating,
    catalog,
    checkpoints,
    features,
    honesty,
    interpreting,
    judging,
    outcome,
    prediction,
    preparing,
    refusing,
    sharing,
    shortage,
    viewing,
    views_at_test,
)
from transfer.answering import Answering
from transfer.backbones import Backbone
from transfer.calibrating import Settled
from transfer.dataset import library, relations
from transfer.dataset.split import Split
from transfer.errors import DataError, TransferError
from transfer.features import Features
from transfer.judging import Candidate, Judged
from transfer.prediction import Classifier
from transfer.reporter import OnStep, Reporter
from transfer.runs import Run
from transfer.strategies import POLICIES, REGISTRY, Task
from transfer.tempo import Tempo


def run(
    run: Run,
    on_step: OnStep | None = None,
    backbone: Backbone | None = None,
    began: float | None = None,
) -> dict[str, Any]:
    """Do what the run's settings say, or go on where a killed process left off.

    data set -> split -> features -> advice -> strategies -> validation chooses -> refit -> test.

    Args:
        run: a run folder that `Run.start` has prepared.
        on_step: told how far each phase is.
        backbone: the network of the settings, where it has been loaded already.
        began: since when the time counts, in `time.monotonic()` seconds; None: since now.

    Returns:
        The result, as it stands in the run folder.

    Raises:
        TransferError: the data, the weights or the run folder cannot be used; says what to do.
        StoppedError: the user stopped the run before there was anything to keep.
    """
    with run.locked():
        if run.finished:
            return run.result()
        with deletion_explained(run):
            return _Flow(run, Reporter(run, on_step), backbone, began).work()


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
        with deletion_explained(run):
            return _Flow(run, Reporter(run, on_step), backbone).advise()


@contextmanager
def deletion_explained(run: Run) -> Iterator[None]:
    """Turn the error of a picture that is gone into a sentence."""
    try:
        yield
    except TransferError:
        raise
    except Exception as error:
        folder = library.folder(run.config().dataset)
        if shortage.of(error) or (folder.is_dir() and not _is_missing(error, folder)):
            raise
        raise DataError(
            "Pictures of this run's data set were deleted while it was at work. What it has learned"
            " until now is kept: take the same pictures in again and start it again, and it goes on"
            " where it was."
        ) from error


def _is_missing(error: Exception, folder: Path) -> bool:
    """Whether an error says that a file of the folder is not there, Python's or TensorFlow's."""
    return "No such file" in str(error) and str(folder) in str(error)


def prepared(run: Run, on_step: OnStep | None = None, backbone: Backbone | None = None) -> Task:
    """Return the training problem of a run folder that the caller has locked: nothing is trained.

    Raises:
        TransferError: the data, the weights or the run folder cannot be used; says what to do.
    """
    return _Flow(run, Reporter(run, on_step), backbone).task()


_HURRY = 10.0  # seconds of a budget: too few to measure anything


class _Flow:
    """One process's work on one run."""

    def __init__(
        self, run: Run, reporter: Reporter, backbone: Backbone | None, began: float | None = None
    ) -> None:
        self.run, self.config, self.reporter = run, run.config(), reporter
        self.began = time.monotonic() if began is None else began
        self.spent_before = run.seconds_spent()
        budget = self.config.budget
        self.deadline = math.inf if budget is None else self.began + budget - self.spent_before
        reporter.deadline = self.deadline
        reporter.something_to_keep = self._has_learned()
        self.loaded = backbone
        self.judged: Classifier | None = None
        self.answering: Answering | None = None
        run.write("versions", outcome.versions())
        self.index = library.open_dataset(self.config.dataset)
        self.parts = self._split()
        self.interpreter = interpreting.Interpreter(run, self.index, self.parts)

    def work(self) -> dict[str, Any]:
        """Go through the stages; each leaves in the run folder or the store what the next needs."""
        backbone, kept = self._network()
        advice = self._advice(backbone, kept) if self.config.measures else None
        self._honesty(backbone, kept)
        names = self._strategies(advice)
        self._expect(names)
        task = self._task(backbone, kept, advice)
        costs = advice["costs"] if advice else {}
        candidates: list[Candidate] = []
        for place, name in enumerate(names):
            later = names[place + 1 :]
            if self.config.strategy == "all":  # each of them is tested before the next begins
                self._expect([name], later=_seconds(later, costs))
            if made := self._candidate(task, name, later, candidates):
                candidates.append(made)
        chosen = judging.choose(candidates, self.config.strategy, outcome.advised(advice))
        settled = calibrating.settle(chosen.finished(), self.index, self.parts, self.config.seed)
        chosen = settled.candidate
        self.run.write("history", list(chosen.trained.history))
        self.reporter.say("saving", 0, 1, "Saving the model")
        self._save(chosen)
        if self.parts.test and chosen.test is None:
            chosen = self._tested(chosen)
        self._learn_silence(replace(settled, candidate=chosen))
        candidates = [chosen if one.name == chosen.name else one for one in candidates]
        result = outcome.result(
            self.run, self.index, self.parts, candidates, chosen, advice, self._spent()
        )
        result["readings"] = self.interpreter.by_strategy
        self.run.finish(result)
        self.reporter.say("finished", 1, 1, "Finished")
        return result

    def task(self) -> Task:
        """Do all that comes before the training, as `work` does."""
        backbone, kept = self._network()
        advice = self._advice(backbone, kept) if self.config.measures else None
        return self._task(backbone, kept, advice)

    def advise(self) -> dict[str, Any]:
        """Measure only."""
        advice = self._advice(*self._network())
        self.reporter.say("finished", 1, 1, "Finished")
        return advice

    def _split(self) -> Split:
        kept = self.run.read("split")
        if kept is None:
            counter = self.reporter.counter("copies")
            kept = relations.shared_out(self.index, self.config.seed, counter).to_json()
            self.run.write("split", kept)
        return Split.from_json(kept)

    def _network(self) -> tuple[Backbone, Features]:
        backbone = preparing.network(self.config, self.reporter, self.loaded)
        positions = sorted([*self.parts.train, *self.parts.val])  # test only meets the whole model
        self.reporter.plan(
            {
                **({"advice": 0} if self.config.measures else {}),
                "features": len(positions),
                "train": len(self.parts.train),
                "validation": len(self.parts.val),
                "test": len(self.parts.test),
                "familiar": refusing.pictures(self.parts),
                "export": 2 * len(self.parts.test or self.parts.val),
            }
        )
        if self.config.strategy == "all":  # how long its ways take is measured first
            self.reporter.expect(0, 1, later=math.inf)
        elif self.config.strategy in REGISTRY:
            self._expect([self.config.strategy])
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

    def _honesty(self, backbone: Backbone, kept: Features) -> None:
        if self.run.read("honesty") is None:
            found = honesty.of_training(backbone, self.index, self.parts, kept, self.config.seed)
            self.run.write("honesty", found)

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
            deadline=lambda: self.deadline,
            mirror=_allowed(config.horizontal_flip, guess.get("mirror")),
            turn=_allowed(config.quarter_turns, guess.get("turn")),
            on_progress=reporter.training,
            on_search=reporter.search,
            on_epoch=self._epoch,
            on_history=self._read,
            on_view=reporter.viewing,
            on_block=reporter.counter("head"),
            should_stop=reporter.stop_wanted,
        )

    def _candidate(
        self, task: Task, name: str, later: list[str], before: list[Candidate]
    ) -> Candidate | None:
        """Train in one way within its share of the time, and judge it.

        None where it was only advised, and the time is over before a training could begin.
        """
        self.reporter.name = catalog.strategy(name).title if before or later else ""
        began = time.monotonic()
        self.interpreter.strategy = name
        self.reporter.training_ends = self._share(task, name, later).ends
        short = self.reporter.training_ends() - began < sharing.LEAST
        optional = bool(before) and self.config.strategy == "auto" and _tunes(name)
        if optional and short and not self._begun(name):
            self.run.event("no_time", strategy=name)
            return None
        trained = REGISTRY[name](replace(task, deadline=self.reporter.training_ends))
        trained = viewing.viewed(trained, self.config.test_time, task.mirror)
        seconds = time.monotonic() - began
        self.interpreter.read(trained.history, self.reporter.epochs, trained.ended)
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

    def _has_learned(self) -> bool:
        """Whether epochs of an earlier process are kept, the best of which a stop would leave."""
        tuned = self.run.checkpoint_folder.glob("*/")
        return any(row["epoch"] for folder in tuned for row in checkpoints.rows(folder))

    def _begun(self, name: str) -> bool:
        """Whether an earlier process has trained in this way: what it came to is not lost."""
        return (self.run.checkpoint_folder / name).exists()

    def _share(self, task: Task, name: str, later: list[str]) -> sharing.Share:
        """Return the time of a training, measuring how long its network will take to answer."""
        self.reporter.tempo = Tempo()
        hurry = self.deadline - time.monotonic() < _HURRY
        if _tunes(name) and self.answering is None and not hurry:
            self.reporter.say("fine_tuning", 0, 1, "Measuring how fast the network answers")
            self.answering = answering.measure(task.backbone, task.paths(self.parts.train))
            self.reporter.answers(self.answering)
        views = views_at_test.views(self.config.test_time, task.mirror)
        answers = views * (len(self.parts.val) + len(self.parts.test))
        return sharing.Share(
            name,
            later,
            answers + refusing.pictures(self.parts),
            len(self.parts.val),
            self.deadline,
            self.answering,
            self.reporter.tempo,
        )

    def _expect(self, names: list[str], later: float = 0.0) -> None:
        """Take down for the time left what is to be trained."""
        steps = -(-len(self.parts.train) // self.config.batch_size)
        epochs = [
            self.config.epochs or POLICIES[one].epochs_of(steps) for one in names if _tunes(one)
        ]
        self.reporter.expect(len(epochs), len(names), max(epochs, default=0), later)

    def _tested(self, candidate: Candidate) -> Candidate:
        finished = candidate.finished()
        if finished.model is None:
            return finished
        return replace(finished, test=self._judge(finished.model, self.parts.test, "test"))

    def _judge(self, model: keras.Model, positions: tuple[int, ...], phase: str) -> Judged:
        if self.judged is None or self.judged.model is not model:  # else its graph is there
            self.judged = prediction.of_model(model, self.index.classes, self.config.image_size)
        return judging.judge(self.judged, self.index, positions, self.reporter.counter(phase))

    def _save(self, chosen: Candidate) -> None:
        partial = self.run.model_path.with_name(".model.partial.keras")
        if chosen.model is not None:
            chosen.model.save(partial)
        partial.replace(self.run.model_path)

    def _learn_silence(self, settled: Settled) -> None:
        """Keep all answers, how far they can be believed, and what is familiar to the model."""
        one = settled.candidate
        answers = {"validation": (self.parts.val, one.validation.answers)}
        if one.test:
            answers["test"] = (self.parts.test, one.test.answers)
        self.run.save_answers(**answers)
        calibrating.keep(self.run, settled, self.index, self.parts)
        counter = self.reporter.counter("familiar")
        refusing.learn(self.run, one, self.index, self.parts, counter)

    def _spent(self) -> float:
        return self.spent_before + time.monotonic() - self.began

    def _epoch(self, row: dict[str, Any]) -> None:
        self.reporter.something_to_keep = True
        self.reporter.epoch(row)
        self.run.record_spent(self._spent())

    def _read(self, rows: list[dict[str, Any]]) -> None:
        if not any(row["epoch"] for row in rows):  # the start, judged as the epochs are
            start = {key: value for row in rows for key, value in row.items()}
            self.reporter.epoch({**start, "phase": "head"})
        self.interpreter.read(rows, self.reporter.epochs)


def _tunes(strategy: str) -> bool:
    return catalog.strategy(strategy).tunes


def _seconds(strategies: list[str], costs: dict[str, float | None]) -> float:
    """Return what these will take; infinite where one is not known."""
    known = [costs.get(name) for name in strategies]
    return math.inf if None in known else sum(filter(None, known))


def _allowed(said: bool | None, guess: dict[str, Any] | None) -> bool:
    """Return what the user said, else what was measured."""
    return said if said is not None else bool(guess and guess["safe"])
