"""How fast a training goes on and how long it will take, by its steps so far."""

import math
import time
from collections import deque

from transfer import boundary
from transfer.training import Progress

_LEAST = 4  # steps that say something of a speed
_REFERENCE = 10.0  # seconds of steps, with which later ones are compared
_LATELY = 30.0  # seconds: the steps of the last ones count; fewer follow each gust on the machine
_OUTLIER = 4.0  # times the median: a graph is built, or something is saved
_SLOWDOWNS = (0.5, 20.0)


class Tempo:
    """Tell it of each step, and of the pictures that pass through the frozen part.

    The first step of each epoch is no measure of the others: graphs are built, pictures fetched.
    """

    def __init__(self) -> None:
        self._last: Progress | None = None
        self._at = 0.0  # when that step was done
        self._steps: deque[tuple[float, float]] = deque()  # when, and seconds of it
        self._reference: list[float] = []
        self._between: float | None = None  # seconds from one epoch to the next, without a view
        self._looked: list[tuple[float, int]] = []  # when, at how many pictures, since that step
        self._view = 0.0  # seconds that a view takes
        self._viewed = 0  # the last epoch that had one made

    def view(self, done: int, total: int) -> None:
        """Take down that so many pictures of a view are made."""
        self._looked.append((time.monotonic(), done))
        (began, first), (now, last) = self._looked[0], self._looked[-1]
        if last > first:
            self._view = (now - began) / (last - first) * total

    def step(self, progress: Progress) -> None:
        """Take down that a step is done."""
        now, last = time.monotonic(), self._last
        if last and (progress.epoch, progress.step) == (last.epoch, last.step + 1):
            self._steps.append((now, now - self._at))
            if sum(self._reference) < _REFERENCE or len(self._reference) < _LEAST:
                self._reference.append(now - self._at)
            while len(self._steps) > _LEAST and self._steps[0][0] < now - _LATELY:
                self._steps.popleft()
        elif last and progress.epoch == last.epoch + 1:
            self._between = max(0.0, now - self._at - (self._view if self._looked else 0.0))
        if self._looked:
            self._viewed, self._looked = progress.epoch, []
        self._last, self._at = progress, now

    @property
    def a_step(self) -> float | None:
        """Seconds that a step takes now; None where too few have been seen."""
        return _mean([seconds for _, seconds in self._steps])

    @property
    def between(self) -> float | None:
        """Seconds from an epoch's last step to the first of the next: validation and saving."""
        return self._between

    @property
    def slowdown(self) -> float:
        """How many times as long as at the beginning of the training everything takes now."""
        now, then = self.a_step, _mean(self._reference)
        if not now or not then:
            return 1.0
        return min(max(now / then, _SLOWDOWNS[0]), _SLOWDOWNS[1])

    @property
    def left(self) -> float | None:
        """Seconds that the training will go on if no patience ends it; None: not yet known."""
        a_step, last = self.a_step, self._last
        if a_step is None or last is None:
            return None
        epochs = last.epochs - last.epoch
        between = a_step if self._between is None else self._between
        views = min(boundary.MOST_VIEWS, last.epochs) - last.epoch
        views = max(0, views) if self._viewed == last.epoch else 0
        steps = last.steps - last.step + epochs * (last.steps - 1)
        return steps * a_step + epochs * between + views * self._view


def _mean(seconds: list[float]) -> float | None:
    """Return the mean without what is far above the others; None of too few."""
    if len(seconds) < _LEAST:
        return None
    limit = _OUTLIER * sorted(seconds)[len(seconds) // 2]
    some = [one for one in seconds if one <= limit]
    return math.fsum(some) / len(some)
