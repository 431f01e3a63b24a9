"""Reads the curves while a run goes on, and keeps what they say in its folder for who watches."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from transfer import diagnosis
from transfer.dataset.index import ImageIndex
from transfer.dataset.split import Split
from transfer.diagnosis import Facts
from transfer.runs import Run


class Interpreter:
    """Set `strategy` to what is being trained; `by_strategy` has the last readings of each."""

    def __init__(self, run: Run, index: ImageIndex, parts: Split) -> None:
        self._run, self._parts = run, parts
        self._settings = run.config().to_json()
        labels = index.class_numbers()[list(parts.val)]
        self._val_counts = tuple(np.bincount(labels, minlength=len(index.classes)).tolist())
        self._told: tuple[str, str] | None = None
        self.strategy = ""
        self.by_strategy: dict[str, list[dict[str, Any]]] = {}

    def read(
        self, history: Sequence[dict[str, Any]], epochs: int | None, ended: str | None = None
    ) -> None:
        """Keep what the rows so far say; append an event where the worst of it is another.

        Args:
            history: all rows up to now.
            epochs: how many are planned at most, where known.
            ended: why training ended; None while it goes on.
        """
        facts = Facts(
            num_classes=len(self._val_counts),
            train_images=len(self._parts.train),
            val_counts=self._val_counts,
            strategy=self.strategy,
            settings=self._settings,
            epochs=epochs,
            ended=ended,
        )
        found = [one.to_json() for one in diagnosis.read(history, facts)]
        self.by_strategy[self.strategy] = found
        epoch = max((row["epoch"] for row in history), default=0)
        now = {"strategy": self.strategy, "epoch": epoch, "ended": ended, "readings": found}
        self._run.write("readings", now)
        if found and self._told != (self.strategy, found[0]["kind"]):
            self._told = (self.strategy, found[0]["kind"])
            self._run.event("reading", strategy=self.strategy, epoch=epoch, reading=found[0])
