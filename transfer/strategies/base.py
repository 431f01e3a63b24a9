"""What every strategy gets and gives back."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from transfer.backbones import Backbone
from transfer.config import RunConfig
from transfer.dataset.index import ImageIndex
from transfer.dataset.split import Split
from transfer.features import Features
from transfer.linear import LinearHead, SearchStep
from transfer.pooling import Block
from transfer.runs import Run
from transfer.training import Progress


@dataclass(frozen=True)
class Task:
    """One training problem, ready to be solved.

    `labels` are class numbers [len(index.pictures)]; `features` the pooled stages of the training
    and validation pictures. `mirror` and `turn` say what may be done to a picture without changing
    its class. `deadline` returns `time.monotonic()` seconds; it may move. `on_epoch` is told of
    each new row, `on_history` of all rows of the history so far, that of the head included.
    Trainings of one task in other settings may share its linear `head` and a folder of `views`,
    which then stays.
    """

    config: RunConfig
    run: Run
    index: ImageIndex
    split: Split
    labels: np.ndarray
    backbone: Backbone
    features: Features
    deadline: Callable[[], float]
    mirror: bool = True
    turn: bool = False
    on_progress: Callable[[Progress], None] | None = None
    on_search: Callable[[SearchStep], None] | None = None
    on_epoch: Callable[[dict[str, Any]], None] | None = None
    on_history: Callable[[list[dict[str, Any]]], None] = lambda _: None
    on_view: Callable[[int, int], None] | None = None
    on_block: Callable[[int, int], None] | None = None
    should_stop: Callable[[], bool] = lambda: False
    head: LinearHead | None = None
    views: Path | None = None

    @property
    def num_classes(self) -> int:
        """How many classes there are."""
        return len(self.index.classes)

    def paths(self, positions: tuple[int, ...]) -> list[Path]:
        """Return the files of these pictures."""
        return [self.index.path(self.index.pictures[i]) for i in positions]

    def of(self, block: Block, positions: tuple[int, ...]) -> np.ndarray:
        """Return the features of one block, float16 [len(positions), block.width]."""
        return self.features.of(block, positions)


@dataclass(frozen=True)
class Trained:
    """A solution: `model` has seen the training pictures only.

    `model` maps RGB pictures of any size (0-255) to probabilities. `refit` gives a model that has
    learned from training and validation pictures, where the strategy has one. It is called after
    validation, for it may be `model` itself with another head. `history` has one row an epoch;
    `ended` says why training ended.

    For an honest temperature: `held_out` are probabilities [train, classes] by solutions that had
    not learned the picture's group, where there are such; `factor` is what all logits were already
    multiplied with to calibrate them. `vectors` gives the means of the last stages (see
    `outputs.vectors`) of training or validation pictures, [n, d] each, where they are kept.
    """

    strategy: str
    model: keras.Model
    history: tuple[dict[str, Any], ...]
    ended: str
    refit: Callable[[], keras.Model] | None = None
    held_out: np.ndarray | None = None
    factor: float = 1.0
    vectors: Callable[[tuple[int, ...]], list[np.ndarray]] | None = None


Strategy = Callable[[Task], Trained]
