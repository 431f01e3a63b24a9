"""The members of an ensemble that makes them itself: network after network, while there is time."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from transfer import catalog, features, honesty, preparing, weights
from transfer.config import RunConfig
from transfer.dataset.index import ImageIndex
from transfer.dataset.split import Split
from transfer.ensembling import pool
from transfer.ensembling.members import Member
from transfer.ensembling.pool import Problem
from transfer.reporter import Reporter
from transfer.runs import Run

_SLACK = 1.3  # of an estimate of seconds


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
) -> Made:
    """Return the members on these networks, in this order.

    The first is always taken. Another one is left out where its pictures would not have passed
    through it, and the test pictures through all of them, before the time is up.
    """
    problem = Problem.of(index, parts, config.seed)
    made, forward, fixed = Made(), 0.0, 0.0  # seconds: to answer for the test, to load and fit
    answers = len(parts.test) or len(parts.val)
    reporter.plan({"features": len(problem.positions), "test": answers, "export": 2 * answers})
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
        forward += answers * (features.seconds_per_picture(backbone) or 0.0)
        fixed = max(fixed, time.monotonic() - began - looked)
        reporter.something_to_keep = True
        run.record_spent(clock.spent())
        run.event("members", network=name, so_far=len(made.members))
    return made


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
