"""Put pictures that wait for the same model into one batch, whoever asked for them.

A few threads compute, batch after batch, and those that are free share what waits, so that some
pictures are decoded while others are answered. They wait for more pictures only while some are
known to be on their way, and only for milliseconds: whoever asks alone is answered at once.
"""

import math
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from transfer.serving.limits import Batching


class Model(Protocol):
    """What answers for several pictures at a time."""

    def compute(self, pictures: Sequence[Any]) -> dict[str, np.ndarray]:
        """Return arrays [len(pictures), ...] by name."""
        ...


@dataclass(frozen=True, eq=False)
class _Waiting:
    model: Model
    picture: Any
    answer: "Future[dict[str, np.ndarray]]" = field(default_factory=Future)


class Batcher:
    """Computes what is submitted, in batches, in so many threads of its own until it is closed.

    `sizes` counts the batches by their size.
    """

    def __init__(self, settings: Batching, threads: int = 1) -> None:
        self.sizes: dict[int, int] = {}
        self._settings = settings
        self._changed = threading.Condition()
        self._queue: list[_Waiting] = []
        self._coming, self._free, self._closed = 0, 0, False
        self._threads = [
            threading.Thread(target=self._work, name="batches", daemon=True) for _ in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    @contextmanager
    def coming(self) -> Iterator[None]:
        """Announce a picture that is about to be submitted, or to fail."""
        with self._changed:
            self._coming += 1
        try:
            yield
        finally:
            with self._changed:
                self._coming -= 1
                self._changed.notify_all()

    def submit(self, model: Model, picture: Any) -> "Future[dict[str, np.ndarray]]":
        """Return what will be the outputs for one prepared picture, without the first axis."""
        waiting = _Waiting(model, picture)
        with self._changed:
            if self._closed:
                raise RuntimeError("the batcher is closed")
            self._queue.append(waiting)
            self._changed.notify_all()
        return waiting.answer

    def close(self) -> None:
        """Compute what waits, and end."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        while batch := self._next():
            _answer([one for one in batch if one.answer.set_running_or_notify_cancel()])
            del batch  # so that a model which is dropped meanwhile is not held by it

    def _next(self) -> list[_Waiting]:
        """Return pictures for one model, the longest waiting first; none when all is over."""
        with self._changed:
            self._free += 1
            self._await()
            while not self._queue and not self._closed:  # another thread took all meanwhile
                self._await()
            waiting = self._first()
            batch = waiting[: min(self._settings.most, math.ceil(len(waiting) / self._free))]
            self._free -= 1
            if batch:
                self.sizes[len(batch)] = self.sizes.get(len(batch), 0) + 1
            taken = set(map(id, batch))
            self._queue = [one for one in self._queue if id(one) not in taken]
            return batch

    def _await(self) -> None:
        """Wait for a picture, and then for those on their way: not for long, and for one batch."""
        while not self._queue and not self._closed:
            self._changed.wait()
        deadline = time.monotonic() + self._settings.milliseconds / 1000
        while self._queue and not self._closed and self._coming > 0:
            left = deadline - time.monotonic()
            if left <= 0 or len(self._first()) >= self._settings.most:
                break
            self._changed.wait(left)

    def _first(self) -> list[_Waiting]:
        return [one for one in self._queue if one.model is self._queue[0].model]


def _answer(batch: Sequence[_Waiting]) -> None:
    """Set the answers; where a batch fails, each of its pictures is tried alone."""
    if not batch:
        return
    try:
        outputs = batch[0].model.compute([one.picture for one in batch])
    except Exception as error:
        if len(batch) == 1:
            batch[0].answer.set_exception(error)
            return
        for one in batch:
            _answer([one])
        return
    for i, one in enumerate(batch):
        one.answer.set_result({name: values[i] for name, values in outputs.items()})
