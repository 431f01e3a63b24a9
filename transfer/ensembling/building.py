"""Make an ensemble in a prepared run folder: members, weights, one model, its honest numbers."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

from transfer import batches, calibrating, calibration, outcome, pipeline, refusing, runtimes
from transfer.calibration import Fitted
from transfer.dataset import library, relations
from transfer.dataset.split import Split
from transfer.ensembling import (
    assembling,
    choosing,
    costs,
    finished,
    networks,
    planning,
    results,
    retraining,
)
from transfer.ensembling.members import Member
from transfer.ensembling.networks import Clock
from transfer.ensembling.pool import Problem
from transfer.ensembling.results import Outcome
from transfer.errors import RunError
from transfer.reporter import OnStep, Reporter
from transfer.runs import Run

_BATCH = 32
_CHECKED = 8  # pictures on which the joined model is compared with its members
_TOLERANCE = 1e-4  # of a probability


def build(run: Run, on_step: OnStep | None = None) -> dict[str, Any]:
    """Make the ensemble that `planning` prepared, or go on where a killed process left off.

    Members -> weights by pictures that they had not learned -> one model -> test.

    Args:
        run: the run folder.
        on_step: told how far each phase is.

    Returns:
        The result, as it stands in the run folder.

    Raises:
        TransferError: the data, the weights or a member cannot be used; says what to do.
        StoppedError: the user stopped the run before there was anything to keep.
    """
    with run.locked():
        if run.finished:
            return run.result()
        with pipeline.deletion_explained(run):
            return _Flow(run, Reporter(run, on_step)).work()


class _Flow:
    """One process's work on one ensemble."""

    def __init__(self, run: Run, reporter: Reporter) -> None:
        self.run, self.config, self.reporter = run, run.config(), reporter
        self.plan = planning.read(run)
        budget = self.config.budget
        self.clock = Clock(run.seconds_spent(), math.inf if budget is None else budget)
        reporter.deadline = self.clock.deadline
        run.write("versions", outcome.versions())
        self.index = library.open_dataset(self.config.dataset)
        self.parts = self._split()

    def work(self) -> dict[str, Any]:
        """Go through the stages."""
        keras.utils.set_random_seed(self.config.seed)
        problem, members, left_out = self._members()
        self.reporter.name = ""
        self.reporter.something_to_keep = True
        self.reporter.say("validation", 0, 1, "Choosing who answers")
        answers = np.stack([one.held_out for one in members])
        weights = choosing.weights(answers, problem.labels, problem.groups, self.config.seed)
        best = choosing.best(answers, problem.labels)
        used = [i for i, weight in enumerate(weights) if weight > 0]
        together = np.tensordot(weights, answers, 1).astype(np.float32)
        fitted = calibration.fit(together, problem.labels, problem.groups, self.config.seed)
        together = calibration.sharpened(together, fitted.factor)
        self.reporter.say("saving", 0, 1, "Building one model of them")
        model = assembling.classifier(
            [members[i] for i in used],
            [weights[i] for i in used],
            self.config.image_size,
            fitted.factor,
        )
        self._save(model)
        told = sorted({*used, best})
        measured = [members[i] for i in told]
        tested = self._tested(measured, weights[told], model, fitted.factor)
        found = Outcome(
            members=members,
            weights=weights,
            best=best,
            held_out=together[problem.judging],
            tested=dict(zip(told, tested[:-1], strict=True)) if tested is not None else {},
            whole=tested[-1] if tested is not None else None,
            costs=dict(zip(told, costs.of_members(measured), strict=True)),
            milliseconds=costs.milliseconds(model, self.config.image_size),
            megabytes=costs.megabytes(model),
            left_out=left_out,
        )
        result = results.result(
            self.run, self.index, self.parts, problem, found, self.clock.spent()
        )
        self.run.save_answers(**found.answers(self.parts))
        self._learn_silence(fitted, problem, together, found, model)
        self.run.write("history", [])
        self.run.finish(result)
        retraining.clear(self.run)
        self.reporter.say("finished", 1, 1, "Finished")
        return result

    def _learn_silence(
        self,
        fitted: Fitted,
        problem: Problem,
        together: np.ndarray,
        found: Outcome,
        model: keras.Model,
    ) -> None:
        """Keep how far its answers can be believed, and what is familiar to it, as of any run."""
        judging, labels = problem.judging, self.index.class_numbers()
        known = {"validation": (together[judging], problem.labels[judging])}
        whole = not judging.all()
        if whole:
            known["held_out"] = (together[~judging], problem.labels[~judging])
        if found.whole is not None:
            known["test"] = (found.whole, labels[list(self.parts.test)])
        calibrating.write(self.run, fitted, "held_out" if whole else "validation", known)
        counter = self.reporter.counter("familiar")
        refusing.learn_of(self.run, model, self.index, self.parts, counter)

    def _split(self) -> Split:
        kept = self.run.read("split")
        if kept is None:
            counter = self.reporter.counter("copies")
            kept = relations.shared_out(self.index, self.config.seed, counter).to_json()
            self.run.write("split", kept)
        return Split.from_json(kept)

    def _members(self) -> tuple[Problem, list[Member], list[str]]:
        """Return what was judged, who was, and the networks for which there was no time.

        Finished runs have answered for the validation pictures only, and so have members that were
        trained on all the others: where there are any, these pictures alone choose.
        """
        problem = Problem.of(self.index, self.parts, self.config.seed)
        made = networks.Made()
        if self.plan.backbones:
            made = networks.members(
                self.run, self.config, self.index, self.parts,
                list(self.plan.backbones), self.reporter, self.clock, self.plan.kinds,
            )  # fmt: skip
        whole = len(problem.labels)
        if not self.plan.runs and all(len(one.held_out) == whole for one in made.members):
            return problem, made.members, made.left_out
        shared, labels = finished.Networks(), self.index.class_numbers()
        members = [
            replace(one, held_out=one.held_out[problem.judging])
            if len(one.held_out) == whole
            else one
            for one in made.members
        ]
        for number, folder in enumerate(self.plan.runs):
            self.reporter.say("loading", number, len(self.plan.runs), "Loading the runs")
            members.append(finished.member(Run(Path(folder)), self.parts, labels, shared))
        return problem.judged(), members, made.left_out

    def _save(self, model: keras.Model) -> None:
        partial = self.run.model_path.with_name(".model.partial.keras")
        model.save(partial)
        partial.replace(self.run.model_path)

    def _tested(
        self, members: list[Member], weights: np.ndarray, model: keras.Model, factor: float
    ) -> np.ndarray | None:
        """Return what each member and, last, all together say of the test pictures, in one pass.

        Args:
            members: those that answer, and the one they are compared with.
            weights: of each, float64 [members].
            model: what ships, which has to say the same.
            factor: of the logits of their mean.

        Returns:
            float32 [members + 1, n, classes], or None where there are no test pictures.
        """
        paths = [self.index.path(self.index.pictures[i]) for i in self.parts.test]
        if not paths:
            return None
        size, rows = self.config.image_size, list[np.ndarray]()
        shape = (size, size, 3)
        apart = runtimes.small_batches(assembling.separate(members, size), shape)
        data = batches.pictures(paths, size, _BATCH)
        for outputs in apart.stream(data.as_numpy_iterator()):
            rows.append(np.stack(outputs))
            done = min(len(rows) * _BATCH, len(paths))
            self.reporter.counter("test")(done, len(paths))
        answers = np.concatenate(rows, axis=1)
        together = calibration.sharpened(np.tensordot(weights, answers, 1), factor)
        _check_same(model, next(data.as_numpy_iterator()), together)
        return np.concatenate([answers, together[None]])


def _check_same(model: keras.Model, pictures: np.ndarray, answers: np.ndarray) -> None:
    """Check on some pictures that what was measured is what ships.

    Raises:
        RunError: it is not.
    """
    said = np.asarray(model(pictures[:_CHECKED].astype(np.float32), training=False))
    difference = float(np.abs(said - answers[: len(said)]).max())
    if not difference <= _TOLERANCE:
        raise RunError(
            "The joined model answers differently from its members (a probability is off by"
            f" {difference:.2g}), so it was not kept. Please report this with the versions in the"
            " run's folder."
        )
