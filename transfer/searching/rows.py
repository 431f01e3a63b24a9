"""The trials as everybody reads them: plain rows, the best of them first, why one was stopped."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from transfer.searching.space import Settings

State = Literal["complete", "pruned", "stopped", "unfinished"]


@dataclass(frozen=True)
class TrialRow:
    """One trial.

    Attributes:
        number: from 0.
        round: "coarse" or "fine".
        wave: how often a range had been widened before.
        settings: what was tried.
        value: lowest validation loss of its epochs; None where there was none, or where the
            training was ruined.
        epochs: that it trained for.
        state: "complete"; "pruned": worse than the others at the same epoch; "stopped": by a rule;
            "unfinished": it goes on where it was.
        seconds: that it took.
        reason: why it ended.
    """

    number: int
    round: str
    wave: int
    settings: Settings
    value: float | None
    epochs: int
    state: State
    seconds: float
    reason: str


def ranked(rows: Iterable[TrialRow]) -> list[TrialRow]:
    """Return the trials that can be compared, the best first; pruned ones come after whole ones."""
    known = [row for row in rows if row.value is not None and row.state in ("complete", "pruned")]
    return sorted(known, key=lambda row: (row.state == "pruned", row.value, row.number))


def best(rows: Iterable[TrialRow]) -> TrialRow | None:
    """Return the whole trial with the lowest validation loss."""
    whole = [row for row in ranked(rows) if row.state == "complete"]
    return whole[0] if whole else None


def lowest(history: Sequence[dict[str, Any]]) -> float | None:
    """Return the lowest validation loss of the epochs; the start does not count."""
    losses = [row["val_loss"] for row in history if row["epoch"] > 0]
    finite = [loss for loss in losses if math.isfinite(loss)]
    return min(finite) if finite else None
