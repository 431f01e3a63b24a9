"""Searches on losses that are a formula of the settings, in no time and without TensorFlow.

`python -m tests.transfer.valleys FOLDER TRIALS SEED PAUSE` makes such a search, to be killed.
"""

import math
import sys
import time
from pathlib import Path
from typing import Any

from transfer.config import RunConfig
from transfer.runs import Run
from transfer.searching import plans
from transfer.searching.plans import Plan, Wish
from transfer.searching.rounds import Rounds, Tell
from transfer.searching.space import Settings
from transfer.searching.studies import OpenTrial

EPOCHS = 3
BEST_RATE = 1e-3


def loss(settings: Settings, epoch: int) -> float:
    """Return a loss that falls with the epochs and is lowest at the best rate."""
    return 0.1 + 0.05 * math.log10(settings["learning_rate"] / BEST_RATE) ** 2 + 0.3 / epoch


class Valley:
    """Makes trials whose loss only depends on the learning rate."""

    def __init__(self, pause: float = 0.0) -> None:
        self.pause = pause
        self.made: list[int] = []

    def make(self, trial: OpenTrial, settings: Settings, tell: Tell) -> None:
        """Report the losses, a pause between them."""
        self.made.append(trial.number)
        losses: list[float] = []
        for epoch in range(1, EPOCHS + 1):
            time.sleep(self.pause)
            losses.append(loss(settings, epoch))
            if trial.report(epoch, losses[-1]) and epoch < EPOCHS:
                trial.finish("pruned", min(losses), epoch, "worse")
                return
            tell(epoch / EPOCHS, f"epoch {epoch}")
        trial.finish("complete", min(losses), EPOCHS, "all epochs")


def search(
    folder: Path, wish: Wish, seed: int = 0, trainer: Valley | None = None
) -> dict[str, Any]:
    """Return the result of a search in a folder, begun or gone on with."""
    run = Run(folder)
    config = RunConfig("0" * 64, "builtin", 64, strategy="finetune_few", seed=seed)
    plan: Plan = plans.prepare(run, config, wish)
    with run.locked():
        return Rounds(run, plan, lambda *_: None).work(lambda: trainer or Valley())


def compared(found: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the trials of a result without what two searches may differ in: the time."""
    return [{**one, "seconds": 0} for one in found["trials"]]


if __name__ == "__main__":
    search(Path(sys.argv[1]), Wish(trials=int(sys.argv[2])), int(sys.argv[3]),
           Valley(float(sys.argv[4])))  # fmt: skip
