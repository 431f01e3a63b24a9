"""Do the trainings of an ensemble, one after the other, while there is time; go on where killed.

RUN/checkpoint/members/
    KEY/              what a training needs to go on, until it is done
    KEY.npz           the sets of weights that it gave
    judging.npy       what the frozen part says of the pictures that judge
"""

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

from transfer import advisor, checkpoints, pooling, sharing, store
from transfer.backbones import Backbone
from transfer.catalog import STRATEGIES
from transfer.checkpoints import Arrays
from transfer.config import RunConfig
from transfer.dataset.index import ImageIndex
from transfer.dataset.split import Split
from transfer.ensembling import bench, tuning
from transfer.ensembling.bench import Bench
from transfer.ensembling.members import Member
from transfer.ensembling.pool import Problem
from transfer.ensembling.tuning import Training, Weights
from transfer.features import Features
from transfer.reporter import Reporter
from transfer.runs import Run
from transfer.strategies import POLICIES, Task, fine_tuning, finetune_few, heads
from transfer.strategies.fine_tuning import Policy
from transfer.tempo import Tempo

_KEPT = "retraining"  # what was measured for the trainings, in the run folder
_ROWS_WITH_AN_EPOCH = 3  # of the history: the head, the start, one epoch


@dataclass(frozen=True)
class Network:
    """The network to train, and what it said of the pictures before that."""

    backbone: Backbone
    features: Features


def clear(run: Run) -> None:
    """Remove what a killed process would have needed to go on."""
    shutil.rmtree(_folder(run), ignore_errors=True)


def worth_it(run: Run, seconds: float) -> bool:
    """Whether trainings in so many seconds come to anything: else nothing is measured for them."""
    return seconds >= sharing.LEAST or run.read(_KEPT) is not None


def _folder(run: Run) -> Path:
    return run.checkpoint_folder / "members"


class Trainings:
    """The trainings of one ensemble.

    Args:
        run: the run folder.
        config: of the run; its network, strategy and time do not count.
        index: the data set.
        parts: its split.
        problem: the pictures of training and validation.
        network: what is trained.
        kinds: of `planning.KINDS`.
        reporter: told how far it is.
        left: returns the seconds that are left for trainings.
        spent: called after each epoch.
    """

    def __init__(
        self,
        run: Run,
        config: RunConfig,
        index: ImageIndex,
        parts: Split,
        problem: Problem,
        network: Network,
        kinds: tuple[str, ...],
        reporter: Reporter,
        left: Callable[[], float],
        spent: Callable[[], None],
    ) -> None:
        self._folder = _folder(run)
        self._problem, self._parts, self._kinds = problem, parts, kinds
        self._reporter, self._left, self._spent = reporter, left, spent
        self._name = network.backbone.spec.name
        chosen = _measured(run, index, parts, network, config.seed, reporter)
        self._policy = replace(POLICIES[chosen["strategy"]], averaging="averages" in kinds)
        self._task = Task(
            config=replace(
                config,
                backbone=self._name,
                image_size=network.backbone.image_size,
                strategy=chosen["strategy"],
                budget=None,
            ),
            run=run,
            index=index,
            split=parts,
            labels=index.class_numbers(),
            backbone=network.backbone,
            features=network.features,
            deadline=lambda: 0.0,
            mirror=chosen["mirror"],
            turn=chosen["turn"],
            on_view=reporter.viewing,
            should_stop=reporter.stop_wanted,
        )

    def members(self) -> tuple[list[Member], list[str]]:
        """Return the members, and the names of those for which there was no time."""
        planned = tuning.trainings(self._kinds, self._problem, self._parts)
        left_out, made = list[str](), dict[str, list[Weights]]()
        for number, one in enumerate(planned):
            self._reporter.name = f"{self._name}, {one.name}"
            found = self._kept(one) or self._train(one, len(planned) - number)
            if found:
                made[one.key] = found
            else:
                left_out.append(f"{self._name} retrained, {one.name}")
        if not made:
            return [], left_out
        self._reporter.name = ""
        outside = {one.key: one.parts.val for one in planned if one.key.startswith("fold-")}
        positions = self._problem.positions if outside else self._parts.val
        judge = Bench(self._task, self._policy, tuple(positions), self._folder, self._prepared)
        return tuning.members(
            self._name, self._problem, judge, made, self._kinds, outside
        ), left_out

    def _train(self, one: Training, remaining: int) -> list[Weights]:
        """Do one training within its share of the time; nothing where that is too short."""
        seconds = self._left() / remaining
        if seconds < sharing.LEAST or self._reporter.stop_wanted():
            return []
        began = time.monotonic()

        self._reporter.tempo = Tempo()
        self._reporter.training_ends = lambda: began + seconds

        def later(left: float) -> float:
            whole = time.monotonic() - began + left
            return min((remaining - 1) * whole, max(0.0, self._left() - left))

        task = self._own(one)
        task = replace(
            task,
            deadline=lambda: began + seconds,
            on_progress=lambda progress: self._reporter.training(progress, later),
            on_epoch=lambda _: self._spent(),
        )
        keras.utils.set_random_seed(one.seed)
        done = fine_tuning.tune(task, self._policy_of(one))
        if len(done.history) < _ROWS_WITH_AN_EPOCH:
            return []
        found = self._sets(one, done)
        _save(self._folder / f"{one.key}.npz", found)
        shutil.rmtree(task.run.folder, ignore_errors=True)
        self._spent()
        return found

    def _own(self, one: Training) -> Task:
        config = replace(self._task.config, seed=one.seed)
        if one.cyclic:
            recipe = replace(
                config.recipe,
                schedule="restarts",
                cycles=tuning.CYCLES,
                warm_up=0.0,
                early_stopping=False,
            )
            config = replace(config, recipe=recipe)
        task = replace(self._task, config=config, run=Run(self._folder / one.key), split=one.parts)
        return replace(task, head=heads.probe(task, pooling.top(task.features.blocks)).head)

    def _policy_of(self, one: Training) -> Policy:
        return replace(self._policy, snapshots=one.cyclic)

    def _sets(self, one: Training, done: fine_tuning.Tuned) -> list[Weights]:
        if one.cyclic:
            return [
                Weights("snapshots", f"snapshot {n} of {tuning.CYCLES}", bench.in_order(done, kept))
                for n, kept in checkpoints.snapshots(done.checkpoint).items()
            ]
        kind = "folds" if one.key.startswith("fold-") else "seeds"
        found = [Weights(kind, one.name, bench.trained(done))]
        if kind == "seeds" and self._policy.averaging:
            mean = bench.in_order(done, checkpoints.mean(done.checkpoint))
            found.append(Weights("averages", f"average over {one.name}", mean))
        return found

    def _kept(self, one: Training) -> list[Weights]:
        path = self._folder / f"{one.key}.npz"
        return _read(path) if path.is_file() else []

    def _prepared(self, done: int, total: int) -> None:
        self._reporter.say("validation", done, total, "Judging the trained members")


def _measured(
    run: Run, index: ImageIndex, parts: Split, network: Network, seed: int, reporter: Reporter
) -> dict[str, Any]:
    """Return {"strategy", "mirror", "turn"}: how much to train, and how pictures may be changed."""
    if (known := run.read(_KEPT)) is not None:
        return known
    counter = reporter.counter("advice")
    found = advisor.measure(network.backbone, index, parts, network.features, seed, counter)
    advised = found.advice.strategy
    tunes = {one.name for one in STRATEGIES if one.tunes}
    chosen = {
        "strategy": advised if advised in tunes else finetune_few.POLICY.strategy,
        "mirror": bool(found.mirror and found.mirror.safe),
        "turn": bool(found.turn and found.turn.safe),
    }
    run.write(_KEPT, chosen)
    return chosen


def _save(path: Path, sets: list[Weights]) -> None:
    arrays = {
        f"{n}|{one.kind}|{one.name}|{i}": value
        for n, one in enumerate(sets)
        for i, value in enumerate(one.values)
    }
    with store.replacing(path) as partial:
        np.savez(partial, allow_pickle=False, **arrays)


def _read(path: Path) -> list[Weights]:
    """Return the sets of weights that a training gave, in their order."""
    found: dict[str, tuple[str, str, Arrays]] = {}
    with np.load(path, allow_pickle=False) as kept:
        for key in kept.files:
            number, kind, name, _ = key.split("|")
            found.setdefault(number, (kind, name, []))[2].append(kept[key])
    return [Weights(*one) for one in found.values()]
