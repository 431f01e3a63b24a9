"""What a reading of the curves is, and what it has to know besides them."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np

from transfer.curve import Curve
from transfer.remedies import Remedy

Level = Literal["good", "note", "warning", "stop"]
ILL: tuple[Level, ...] = ("warning", "stop")


@dataclass(frozen=True)
class Facts:
    """What the curves do not say of themselves.

    `val_counts` are the validation pictures of each class, `settings` those of `RunConfig`,
    `strategy` the one that made the curves, `epochs` how many are planned at most (None: not
    known), `ended` why training ended (None: it has not).
    """

    num_classes: int
    train_images: int
    val_counts: tuple[int, ...]
    strategy: str = "finetune_few"
    settings: Mapping[str, Any] = field(default_factory=dict)
    epochs: int | None = None
    ended: str | None = None

    @property
    def val_images(self) -> int:
        """How many pictures judge."""
        return sum(self.val_counts)

    @property
    def guessing_loss(self) -> float:
        """The loss of one who knows nothing, in nats: ln C."""
        return math.log(max(2, self.num_classes))

    @property
    def guessing_accuracy(self) -> float:
        """The validation accuracy of one who always names the commonest class."""
        return max(self.val_counts, default=0) / max(1, self.val_images)

    @property
    def mixes(self) -> bool:
        """Whether training pictures are mixed, which costs training loss and accuracy."""
        changes = self.settings.get("changes") or {}
        return any(changes.get(name) for name in ("mixup", "cutmix"))

    def spread(self, accuracy: float) -> float:
        """Return the standard error of a validation accuracy, with a picture more on each side."""
        n = self.val_images + 2
        share = (accuracy * self.val_images + 1) / n
        return math.sqrt(share * (1 - share) / n)


@dataclass(frozen=True)
class Reading:
    """One thing that the curves say.

    `title` is a few words, `words` what it means in plain ones, `evidence` the numbers, `remedy`
    what a button can do about it.
    """

    kind: str
    level: Level
    title: str
    words: str
    evidence: str
    remedy: Remedy | None = None

    @property
    def ill(self) -> bool:
        """Whether something should be done about it."""
        return self.level in ILL

    def to_json(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        return asdict(self)


@dataclass(frozen=True)
class Seen:
    """A training as far as it is known."""

    curve: Curve
    facts: Facts

    @property
    def over(self) -> bool:
        """Whether no epoch follows."""
        planned = self.facts.epochs
        return self.facts.ended is not None or (
            planned is not None and self.curve.epochs >= planned
        )

    @property
    def accuracy(self) -> float:
        """The validation accuracy at the best epoch so far."""
        return float([self.curve.start_val_accuracy, *self.curve.val_accuracy][self.curve.best])

    @property
    def rate(self) -> float:
        """The head's full learning rate."""
        said = self.facts.settings.get("learning_rate")
        return float(said) if said else float(np.max(self.curve.rate, initial=0.0))
