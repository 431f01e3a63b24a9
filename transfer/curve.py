"""A training's rows as numbers to reason with: where it began, what it fell to, what it does now.

Rows are those of `history.json`: one of phase "head" where there is one, then those of phase
"fine_tuning", of which epoch 0 is the start. The validation loss is at the best temperature, so it
never tells of a network that is too sure of itself; `plain_val_loss` does.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Row = dict[str, Any]

_THIRD = 3


@dataclass(frozen=True)
class Curve:
    """What is known of one training, epoch by epoch; NaN where a number is missing.

    `head` is the row of the head phase and `start` that of epoch 0, both empty where missing. Of
    the n epochs that followed: `loss` and `accuracy` on the pictures that are learned from (with
    dropout and augmentation on), `val_loss`, `val_accuracy` and `plain_val_loss` on validation
    pictures, `rate` of the head, all float64 [n].
    """

    head: Row
    start: Row
    loss: np.ndarray
    accuracy: np.ndarray
    val_loss: np.ndarray
    val_accuracy: np.ndarray
    plain_val_loss: np.ndarray
    rate: np.ndarray

    @classmethod
    def of(cls, history: Sequence[Row]) -> "Curve":
        """Take the rows apart, up to the first epoch whose numbers are none."""
        tuned = [row for row in history if row.get("phase") != "head"]
        epochs = [row for row in tuned if row.get("epoch", 0) > 0]
        broken = next((i for i, row in enumerate(epochs) if not finite(row)), len(epochs))
        heads = [row for row in history if row.get("phase") == "head"]
        starts = [row for row in tuned if row.get("epoch", 0) == 0]

        def column(name: str) -> np.ndarray:
            return np.array([number(row, name) for row in epochs[:broken]], np.float64)

        return cls(
            heads[-1] if heads else {},
            starts[-1] if starts else {},
            column("loss"),
            column("accuracy"),
            column("val_loss"),
            column("val_accuracy"),
            column("plain_val_loss"),
            column("learning_rate"),
        )

    @property
    def epochs(self) -> int:
        """How many epochs have been trained."""
        return len(self.loss)

    @property
    def start_val_loss(self) -> float:
        """The validation loss before the first epoch; NaN where it is not known."""
        return _first_known(number(self.start, "val_loss"), number(self.head, "val_loss"))

    @property
    def start_val_accuracy(self) -> float:
        """The validation accuracy before the first epoch; NaN where it is not known."""
        return _first_known(number(self.start, "val_accuracy"), number(self.head, "val_accuracy"))

    @property
    def start_loss(self) -> float:
        """The loss before the first epoch as it is: on training, else on validation pictures."""
        return _first_known(number(self.head, "loss"), number(self.start, "plain_val_loss"))

    @property
    def start_accuracy(self) -> float:
        """The accuracy of the head on training pictures as they are; NaN where not known."""
        return number(self.head, "accuracy")

    @property
    def judged(self) -> np.ndarray:
        """The validation losses from the start on, float64 [epochs + 1]."""
        return np.array([self.start_val_loss, *self.val_loss])

    @property
    def plain(self) -> np.ndarray:
        """The validation losses without the temperature, as `judged`."""
        return np.array([number(self.start, "plain_val_loss"), *self.plain_val_loss])

    @property
    def best(self) -> int:
        """The epoch with the lowest validation loss, the start being 0."""
        judged = self.judged
        return int(np.nanargmin(judged)) if np.isfinite(judged).any() else 0

    @property
    def third(self) -> int:
        """How many epochs make the last third, at least one."""
        return max(1, self.epochs // _THIRD)

    def lately(self, values: np.ndarray) -> float:
        """Return the mean over the last third of the epochs."""
        return float(np.mean(values[-self.third :]))


def number(row: Row, name: str) -> float:
    """Return a number of a row; NaN where it is missing (JSON has no other word for it)."""
    value = row.get(name)
    return math.nan if value is None else float(value)


def finite(row: Row) -> bool:
    """Whether both losses of an epoch's row are numbers; one that is missing is none."""
    return math.isfinite(number(row, "loss")) and math.isfinite(number(row, "val_loss"))


def _first_known(*values: float) -> float:
    return next((one for one in values if math.isfinite(one)), math.nan)
