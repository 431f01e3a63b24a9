"""What the checks before a training found, as the core writes it into `checks.json`.

A part that is missing, or has another form than expected, is left out: the rest is read without it.
"""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

from app import measurements, shapes
from transfer.runs import Run

NAME = "checks"
LIGHTS = ("green", "amber", "red")
_TOLD = {"light": str, "words": str}
_NUMBER = (float, None)
_PICTURES = {**_TOLD, "plain": [str], "augmented": [str], "labels": [str]}
_START = {**_TOLD, "loss": _NUMBER, "expected": float, "closed_form": _NUMBER}
_OVERFIT = {**_TOLD, "images": int, "steps": int, "losses": [float], "accuracy": float}
_RANGE = {
    **_TOLD, "rates": [float], "losses": [float], "chosen": _NUMBER, "planned": float,
    "batch_size": int,
}  # fmt: skip
_COST = {
    **_TOLD, "seconds_a_step": float, "steps": int, "epochs": int, "minutes": float,
    "memory_mb": float, "batch_size": int, "halved_from": (int, None), "device": str,
}  # fmt: skip


@dataclass(frozen=True)
class Told:
    """What every check has: "green", "amber" or "red", and a sentence."""

    light: str
    words: str


@dataclass(frozen=True)
class Pictures(Told):
    """The input as the network sees it: files, plain and augmented, and the class of each."""

    plain: tuple[Path, ...]
    augmented: tuple[Path, ...]
    labels: tuple[str, ...]


@dataclass(frozen=True)
class StartLoss(Told):
    """Losses in nats of a random head, of guessing, and of the head with which training begins."""

    loss: float | None
    expected: float
    closed_form: float | None


@dataclass(frozen=True)
class Overfit(Told):
    """A few pictures learned by heart: the loss at each step, the accuracy at the end."""

    images: int
    steps: int
    losses: tuple[float, ...]
    accuracy: float


@dataclass(frozen=True)
class RateRange(Told):
    """The smoothed loss at each rate; what follows from it, and what the settings say."""

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    chosen: float | None
    planned: float
    batch_size: int


@dataclass(frozen=True)
class Cost(Told):
    """What the training takes at most; `halved_from` is the batch that did not fit, if any."""

    seconds_a_step: float
    steps: int
    epochs: int
    minutes: float
    memory_mb: float
    batch_size: int
    halved_from: int | None
    device: str


@dataclass(frozen=True)
class Rehearsal:
    """All checks of one training; what could not be read is None."""

    pictures: Pictures | None
    start_loss: StartLoss | None
    overfit: Overfit | None
    rate_range: RateRange | None
    cost: Cost | None

    @property
    def told(self) -> tuple[Told, ...]:
        """The checks that are there, in the order in which they are shown."""
        every = (self.pictures, self.start_loss, self.overfit, self.rate_range, self.cost)
        return tuple(one for one in every if one is not None)

    @property
    def light(self) -> str:
        """The worst of the lights."""
        return max((one.light for one in self.told), key=LIGHTS.index)


T = TypeVar("T", bound=Told)


def read(run: Run) -> Rehearsal | None:
    """Return what the checks left in their folder; None where there is nothing to be read."""
    if (value := measurements.outcome(run, NAME)) is None:
        return None
    found = Rehearsal(
        pictures=_pictures(run, value.get("pictures")),
        start_loss=_made(StartLoss, value.get("start_loss"), _START),
        overfit=_made(Overfit, value.get("overfit"), _OVERFIT),
        rate_range=_made(RateRange, value.get("rate_range"), _RANGE),
        cost=_made(Cost, value.get("cost"), _COST),
    )
    return found if found.told else None


def _pictures(run: Run, value: Any) -> Pictures | None:
    """Return the pictures, each where it is in the run folder and nowhere else."""
    made = _made(Pictures, value, _PICTURES)
    if made is None:
        return None
    places = [
        tuple(run.checks_folder / Path(name).name for name in names)
        for names in (made.plain, made.augmented)
    ]
    return Pictures(made.light, made.words, places[0], places[1], made.labels)


def _made(kind: type[T], value: Any, shape: dict[str, Any]) -> T | None:
    """Return what a part says; None where it has another shape."""
    if not shapes.fits(value, shape) or value["light"] not in LIGHTS:
        return None
    known: dict[str, Any] = {one.name: value[one.name] for one in fields(kind)}
    made: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in known.items()}
    return kind(**made)
