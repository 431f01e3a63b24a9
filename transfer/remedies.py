"""What can be done about a reading: the words on a button, and the settings that it changes."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from transfer.config import RunConfig

_USUAL_RATE = RunConfig.learning_rate
_FACTOR = 10.0
_MORE_DROPOUT = 0.2
_MOST_DROPOUT = 0.6
_MOST_DECAY = 0.1
_MORE_EPOCHS = 2


@dataclass(frozen=True)
class Remedy:
    """A run that would go better: `label` is on the button, `settings` those of `RunConfig`.

    Settings of settings are dictionaries of their own: {"changes": {"level": "strong"}}.
    """

    label: str
    settings: dict[str, Any]

    def to_json(self) -> dict[str, Any]:
        """Return both as a JSON object."""
        return asdict(self)


def slower(settings: Mapping[str, Any]) -> Remedy:
    """A tenth of the rate; the usual one where it was far above that."""
    rate = _rate(settings)
    return _at(_USUAL_RATE if rate > _FACTOR * _USUAL_RATE else rate / _FACTOR)


def faster(settings: Mapping[str, Any]) -> Remedy:
    """Ten times the rate; the usual one where it was far below that."""
    rate = _rate(settings)
    return _at(_USUAL_RATE if rate < _USUAL_RATE / _FACTOR else rate * _FACTOR)


def longer(settings: Mapping[str, Any], epochs: int, ended: str | None) -> Remedy:
    """Twice as many epochs as were trained, and twice the time where that ended it."""
    more = _MORE_EPOCHS * max(1, epochs)
    changed: dict[str, Any] = {"epochs": more}
    if ended == "budget" and settings.get("budget"):
        changed["budget"] = _MORE_EPOCHS * settings["budget"]
    return Remedy(f"Train for up to {more} epochs", changed)


def held_back(settings: Mapping[str, Any]) -> Remedy:
    """More dropout, weight decay and augmentation."""
    dropout = min(_MOST_DROPOUT, float(settings.get("dropout", 0.0)) + _MORE_DROPOUT)
    decay = min(_MOST_DECAY, max(RunConfig.weight_decay, 10 * settings.get("weight_decay", 0.0)))
    return Remedy(
        "Train with more regularisation and augmentation",
        {
            "dropout": round(dropout, 3),
            "weight_decay": float(f"{decay:.3g}"),
            "changes": {"level": "strong"},
        },
    )


def freer(settings: Mapping[str, Any], strategy: str) -> Remedy:
    """Train more layers; where most are trained already, hold them back less."""
    deeper = {"finetune_few": "finetune_many"}.get(strategy)
    if deeper:
        return Remedy("Train more layers", {"strategy": deeper})
    if strategy.startswith("linear"):
        return Remedy("Train the last layers too", {"strategy": "finetune_few"})
    decay = settings.get("weight_decay", RunConfig.weight_decay) / 10
    return Remedy(
        "Train with less dropout and weight decay",
        {"dropout": 0.0, "weight_decay": float(f"{decay:.3g}"), "changes": {"level": "light"}},
    )


def gentler(settings: Mapping[str, Any]) -> Remedy:
    """Half the dropout and light augmentation."""
    return Remedy(
        "Train with lighter augmentation and half the dropout",
        {"dropout": round(settings.get("dropout", 0.0) / 2, 3), "changes": {"level": "light"}},
    )


def from_the_solved_head() -> Remedy:
    """Classifiers that are solved for and so have no start that could be bad."""
    return Remedy("Train linear classifiers on several stages", {"strategy": "linear_stages"})


def _at(rate: float) -> Remedy:
    rate = float(f"{rate:.3g}")
    return Remedy(f"Train at a rate of {rate:g}", {"learning_rate": rate})


def _rate(settings: Mapping[str, Any]) -> float:
    return float(settings.get("learning_rate") or _USUAL_RATE)
