"""The checks before a training: seconds that may save hours, each with a light and a sentence."""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from transfer import costs, looking, overfitting, preparing, range_test, start_loss, trial
from transfer.backbones import Backbone
from transfer.dataset import library, relations
from transfer.dataset.index import ImageIndex
from transfer.dataset.split import Split
from transfer.lights import Light, worst
from transfer.reporter import Reporter
from transfer.runs import Run
from transfer.trial import Trial

NAME = "checks"  # of what is kept in the run folder
LIT = ("pictures", "start_loss", "overfit", "rate_range", "cost")
_STEPS = 6


def run(
    run: Run, on_step: Callable[..., None] | None = None, backbone: Backbone | None = None
) -> dict[str, Any]:
    """Check the training of a prepared run folder before it begins; keep and return the answer.

    Args:
        run: a run folder that `Run.start` has prepared, with a strategy that trains the network.
        on_step: told how far it is.
        backbone: the network of the settings, where it has been loaded already.

    Raises:
        TransferError: the data, the weights or the settings cannot be used; says what to do.
    """
    with run.locked():
        if (known := run.read(NAME)) is not None:
            return known
        reporter, config = Reporter(run, on_step), run.config()
        trial.policy_of(config.strategy)
        index = library.open_dataset(config.dataset)
        split = _split(run, index, config.seed, reporter)
        network = preparing.network(config, reporter, backbone)
        found = check(run, index, split, network, reporter)
        run.write(NAME, found)
        reporter.say("finished", 1, 1, "Finished")
        return found


def check(
    run: Run, index: ImageIndex, split: Split, backbone: Backbone, reporter: Reporter
) -> dict[str, Any]:
    """Do all checks, the measured memory first: later it would hide in what the others took."""
    began = time.monotonic()

    def tell(done: float, words: str) -> None:
        reporter.say("checks", done, _STEPS, words)

    tell(0, "Taking a sample of the pictures")
    made = trial.prepare(run, index, split, backbone, **_allowed(run))
    pictures = looking.run(made, run.checks_folder)
    tell(1, "Timing two steps")
    cost = costs.run(made, split)
    made = _with_batch(made, cost.batch_size)
    tell(2, "Comparing the loss at the start with guessing")
    start = start_loss.run(made)
    tell(3, f"Learning {overfitting.PICTURES} pictures by heart")
    overfit = overfitting.run(made, lambda done, all_: tell(3 + done / all_, _BY_HEART))
    size = range_test.batch_for(cost.seconds_a_step, cost.batch_size)
    tell(4, _RATES)
    rates = range_test.run(made, size, lambda done, all_: tell(4 + done / all_, _RATES))
    made.reset()
    found = {
        "pictures": pictures.to_json(),
        "start_loss": start.to_json(),
        "overfit": overfit.to_json(),
        "rate_range": rates.to_json(),
        "cost": cost.to_json(),
    }
    lights: list[Light] = [found[name]["light"] for name in LIT]
    config = run.config()
    return {
        **found,
        "light": worst(lights),
        "dataset": index.digest,
        "backbone": config.backbone,
        "strategy": config.strategy,
        "image_size": config.image_size,
        "classes": list(index.classes),
        "seconds": round(time.monotonic() - began, 2),
    }


_BY_HEART = f"Learning {overfitting.PICTURES} pictures by heart"
_RATES = "Letting the learning rate rise"


def _split(run: Run, index: ImageIndex, seed: int, reporter: Reporter) -> Split:
    """Return the run's split, kept as the training would keep it."""
    if (kept := run.read("split")) is None:
        kept = relations.shared_out(index, seed, reporter.counter("copies")).to_json()
        run.write("split", kept)
    return Split.from_json(kept)


def _allowed(run: Run) -> dict[str, bool]:
    """Return what may be done to pictures: as the user says, else as an advice here measured it."""
    config, advice = run.config(), run.read("advice") or {}
    guesses = advice.get("augmentation", {})
    said = {"mirror": config.horizontal_flip, "turn": config.quarter_turns}
    return {
        name: bool(value if value is not None else guesses.get(name, {}).get("safe"))
        for name, value in said.items()
    }


def _with_batch(made: Trial, size: int) -> Trial:
    """Return the trial with the batch that fits."""
    task = made.task
    if size == task.config.batch_size:
        return made
    return replace(made, task=replace(task, config=replace(task.config, batch_size=size)))
