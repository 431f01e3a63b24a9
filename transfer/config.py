"""The settings of one training run: frozen, checked once, JSON both ways."""

import dataclasses
from dataclasses import dataclass, field
from typing import Any

from transfer import bounds, catalog, recipe
from transfer.changes import Changes
from transfer.errors import SettingsError
from transfer.recipe import Recipe


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
    recipe: Recipe = field(default_factory=Recipe)  # the expert's choices
    changes: Changes = field(default_factory=Changes)  # of pictures, where the network learns
    test_time: str = "none"  # which views of a picture the shipped model averages
    extends: str | None = None  # the run to which it adds epochs; it begins with that run's model

    def __post_init__(self) -> None:
        catalog.strategy(self.strategy)
        catalog.check_test_time(self.test_time)
        bounds.within("The input size (--image-size)", self.image_size, 32, 1024, "pixels")
        catalog.check_image_size(catalog.backbone(self.backbone), self.image_size)
        if self.epochs is not None:
            bounds.within("--epochs", self.epochs, 1, 1000, "epochs")
        bounds.within("--seed", self.seed, 0, 2**31 - 1)
        if self.budget is not None:
            bounds.within("--budget", self.budget, 1, 30 * 24 * 3600, "seconds")
        for name in ("batch_size", "learning_rate", "weight_decay", "dropout", "patience"):
            recipe.check(name, getattr(self, name))

    @property
    def measures(self) -> bool:
        """Whether the data set has to be measured before a training with these settings."""
        left_open = None in (self.horizontal_flip, self.quarter_turns)
        chosen_later = self.strategy in ("auto", "all")
        if self.test_time != "none" and self.horizontal_flip is None:
            return True
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
        known = {one.name for one in dataclasses.fields(cls)}
        if unknown := sorted(set(value) - known):
            raise SettingsError(
                f"The run was made by another version: its setting '{unknown[0]}' is unknown here."
                " Open it with the version that made it, or train again into a new folder."
            )
        kinds = {"recipe": Recipe, "changes": Changes}
        nested = {key: kind.from_json(value[key]) for key, kind in kinds.items() if key in value}
        return cls(**{**value, **nested})

    def changed(self, settings: dict[str, Any]) -> "RunConfig":
        """Return the settings with some of them changed, nested ones as {"recipe": {"l2": 1e-3}}.

        Raises:
            SettingsError: a setting is not known, or is out of range.
        """
        mine = self.to_json()
        merged = {
            key: {**mine[key], **value} if isinstance(mine.get(key), dict) else value
            for key, value in settings.items()
        }
        return RunConfig.from_json({**mine, **merged})

    def differences(self, other: "RunConfig") -> list[str]:
        """Return one phrase for each setting in which `other` differs."""
        mine, theirs = flat(self.to_json()), flat(other.to_json())
        return [
            f"{key.replace('_', ' ')} was {_told(mine[key])} and is {_told(theirs[key])}"
            for key in mine
            if mine[key] != theirs[key]
        ]


def flat(settings: dict[str, Any]) -> dict[str, Any]:
    """Return the settings without nesting: {"seed": 0, "recipe": {"l1": 0.0}} has "seed", "l1"."""
    alone = {key: value for key, value in settings.items() if not isinstance(value, dict)}
    within = (flat(value) for value in settings.values() if isinstance(value, dict))
    return {**alone, **{key: value for some in within for key, value in some.items()}}


def _told(value: Any) -> str:
    return "left open" if value is None else str(value)
