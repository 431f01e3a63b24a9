"""The settings of one training run: frozen, checked once, JSON both ways."""

import dataclasses
from dataclasses import dataclass
from typing import Any

from transfer import catalog
from transfer.errors import SettingsError


@dataclass(frozen=True)
class RunConfig:
    """All that decides the outcome of a run; two runs with equal settings give equal models.

    The head learns at `learning_rate`, the top layers at a tenth of it and the middle ones at a
    hundredth (the lectures' policy). What is None follows the strategy's policy or is measured.
    """

    dataset: str  # digest of the data set in the store
    backbone: str  # a name of the catalog
    image_size: int  # side of the square network input, in pixels
    strategy: str = catalog.DEFAULT_STRATEGY
    epochs: int | None = None  # of the fine-tuning phase, at most
    budget: float | None = None  # seconds for the whole run; None: no limit
    seed: int = 0
    batch_size: int = 32
    learning_rate: float = 1e-3
    weight_decay: float = 1e-3
    dropout: float = 0.2
    patience: int | None = None  # epochs without a better validation loss before stopping
    horizontal_flip: bool | None = None  # may a picture be mirrored without changing its class?
    quarter_turns: bool | None = None  # may it be turned by quarter turns?

    def __post_init__(self) -> None:
        catalog.strategy(self.strategy)
        _within("--image-size", self.image_size, 32, 1024, "pixels")
        catalog.check_image_size(catalog.backbone(self.backbone), self.image_size)
        if self.epochs is not None:
            _within("--epochs", self.epochs, 1, 1000, "epochs")
        _within("--seed", self.seed, 0, 2**31 - 1, "")
        _within("the batch size", self.batch_size, 1, 4096, "pictures")
        if self.budget is not None:
            _within("--budget", self.budget, 1, 30 * 24 * 3600, "seconds")

    @property
    def measures(self) -> bool:
        """Whether the data set has to be measured before a training with these settings."""
        left_open = None in (self.horizontal_flip, self.quarter_turns)
        chosen_later = self.strategy in ("auto", "all")
        return chosen_later or (left_open and catalog.strategy(self.strategy).tunes)

    def to_json(self) -> dict[str, Any]:
        """Return the settings as a JSON object."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "RunConfig":
        """Return the settings that `to_json` wrote.

        Raises:
            SettingsError: the object holds settings that this version does not know.
        """
        known = {field.name for field in dataclasses.fields(cls)}
        if unknown := sorted(set(value) - known):
            raise SettingsError(
                f"The run was made by another version: its setting '{unknown[0]}' is unknown here."
                " Open it with the version that made it, or train again into a new folder."
            )
        return cls(**value)

    def differences(self, other: "RunConfig") -> list[str]:
        """Return one phrase for each setting in which `other` differs."""
        mine, theirs = self.to_json(), other.to_json()
        return [
            f"{key} was {_told(mine[key])} and is {_told(theirs[key])}"
            for key in mine
            if mine[key] != theirs[key]
        ]


def _told(value: Any) -> str:
    return "left open" if value is None else str(value)


def _within(name: str, value: float, low: float, high: float, unit: str) -> None:
    if not low <= value <= high:
        raise SettingsError(
            f"{name} should be between {low} and {high} {unit}".rstrip()
            + f", but is {value}. Choose a value in that range."
        )
