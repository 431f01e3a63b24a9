"""The members of an ensemble that makes them itself: network after network, while there is time."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from transfer import catalog, features, honesty, preparing, refusing, weights
from transfer.config import RunConfig
from transfer.dataset.index import ImageIndex
from transfer.dataset.split import Split
from transfer.ensembling import choosing, pool, retraining
from transfer.ensembling.members import Member, Reading
from transfer.ensembling.pool import Problem
from transfer.ensembling.retraining import Network, Trainings
from transfer.reporter import Reporter
from transfer.runs import Run

_SLACK = 1.3  # of an estimate of seconds
_KERAS = 2.0  # times as long as features, which a faster runtime computes, takes what ships


class Clock:
    """The working time of a run across restarts, in seconds."""

    def __init__(self, before: float, budget: float) -> None:
        self._before, self._began = before, time.monotonic()
        self.deadline = self._began + budget - before  # in `time.monotonic()` seconds

    def spent(self) -> float:
        """Return the seconds that all processes have worked."""
        return self._before + time.monotonic() - self._began

    def left(self) -> float:
        """Return the seconds that are left."""
        return self.deadline - time.monotonic()


@dataclass
class Made:
    """The members, and the networks for which there was no time."""

    members: list[Member] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)


class _NoTimeError(Exception):
    """The pictures would not have passed through the network in time; what was computed is kept."""


def members(
    run: Run,
    config: RunConfig,
    index: ImageIndex,
    parts: Split,
    names: list[str],
    reporter: Reporter,
    clock: Clock,
    kinds: tuple[str, ...] = (),
) -> Made:
    """Return the members on these networks, in this order, then those that train one of them.

    The first is always taken. Another one is left out where its pictures would not have passed
    through it, and those at the end through all of them, before the time is up. Trained is the
    network of the linear classifier that answers out of fold would pick alone, in what time is
    left.
    """
    problem = Problem.of(index, parts, config.seed)
    made, forward, fixed = Made(), 0.0, 0.0  # seconds: to answer at the end, to load and fit
    known: dict[str, Network] = {}
    answers, familiar = len(parts.test) or len(parts.val), refusing.pictures(parts)
    reporter.plan({
        "features": len(problem.positions), "test": answers, "familiar": familiar,
        "export": 2 * answers,
    })  # fmt: skip
    answers += familiar
    for name in names:
        began = time.monotonic()
        if made.members and (reporter.stop_wanted() or clock.left() < _SLACK * (fixed + forward)):
            made.left_out.append(name)
            continue
        reporter.name = name
        own = replace(config, backbone=name, image_size=_size(config, name))
        backbone = preparing.network(own, reporter)
        counter = reporter.counter("features")
        if made.members:
            counter = _in_time(counter, lambda later=fixed + forward: clock.left() - later)
        looking = time.monotonic()
        try:
            kept = features.compute(backbone, index, list(problem.positions), counter)
        except _NoTimeError:
            made.left_out.append(name)
            continue
        looked = time.monotonic() - looking
        if not made.members and run.read("honesty") is None:
            run.write("honesty", honesty.of_training(backbone, index, parts, kept, config.seed))
        made.members += pool.members(problem, backbone, kept, reporter.counter("head"))
        known[name] = Network(backbone, kept)
        forward += _KERAS * answers * (features.seconds_per_picture(backbone) or 0.0)
        fixed = max(fixed, time.monotonic() - began - looked)
        reporter.something_to_keep = True
        run.record_spent(clock.spent())
        run.event("members", network=name, so_far=len(made.members))
    if kinds:
        name = _best(made.members, problem)
        one = known[name]
        seconds = features.seconds_per_picture(one.backbone) or 0.0
        # To judge them, and to answer with several upper parts.
        forward += _KERAS * (2 * answers + len(problem.positions)) * seconds
        reserved = _SLACK * (forward + fixed)
        if not retraining.worth_it(run, clock.left() - reserved):
            made.left_out += [f"{name} retrained, {kind}" for kind in kinds]
            return made
        trainings = Trainings(
            run, config, index, parts, problem, one, kinds, reporter,
            left=lambda: clock.left() - reserved,
            spent=lambda: run.record_spent(clock.spent()),
        )  # fmt: skip
        retrained, late = trainings.members()
        made.members += retrained
        made.left_out += late
    return made


def _best(members: list[Member], problem: Problem) -> str:
    """Return the network of the linear classifier that does best alone."""
    some = [one for one in members if isinstance(one.solution, Reading)]
    answers = np.stack([one.held_out for one in some])
    solution = some[choosing.best(answers, problem.labels)].solution
    return solution.backbone.spec.name if isinstance(solution, Reading) else ""


def _size(config: RunConfig, name: str) -> int:
    spec = catalog.backbone(name)
    return config.image_size if name == config.backbone else weights.default_size(spec)


def _in_time(
    tell: Callable[[int, int], None], left: Callable[[], float]
) -> Callable[[int, int], None]:
    """Return `tell` that gives up where what is left of the pictures takes longer than there is."""
    seen: list[tuple[float, int]] = []

    def told(done: int, total: int) -> None:
        tell(done, total)
        seen.append((time.monotonic(), done))
        (began, first), (now, last) = seen[0], seen[-1]
        if last > first and (now - began) / (last - first) * (total - last) > left():
            raise _NoTimeError

    return told
