"""The expert's choices for a fine-tuning: frozen, checked once, JSON both ways."""

import dataclasses
from dataclasses import dataclass
from typing import Any

from transfer import bounds, toolbox
from transfer.errors import SettingsError


@dataclass(frozen=True)
class Recipe:
    """How the network steps and what holds it back; the defaults are right for most.

    What each does, and when to change it, is said in `toolbox`. Linear strategies are solved in
    closed form and need none of it.
    """

    optimizer: str = "adamw"
    schedule: str = "cosine"
    warm_up: float = 0.1  # share of the steps
    drop: float = 0.1  # what is left of the rate at each drop: He et al. 2016
    drops: int = 2
    cycles: int = 4
    plateau_patience: int = 2  # epochs
    l1: float = 0.0  # prices of the kernels of the head and of the trained layers
    l2: float = 0.0
    drop_connect: float = 0.0  # share of the head's connections
    # Of the labels (Inception v3, arXiv 1512.00567): a head in closed form starts too sure.
    label_smoothing: float = 0.1
    frozen_level: int | None = None  # None: the strategy's policy; see `strategies.plan`
    early_stopping: bool = True

    def __post_init__(self) -> None:
        toolbox.optimizer(self.optimizer)
        toolbox.schedule(self.schedule)
        for one in toolbox.SETTINGS:
            if one.in_recipe and one.kind in (int, float):
                check(one.name, getattr(self, one.name))

    def to_json(self) -> dict[str, Any]:
        """Return the choices as a JSON object."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "Recipe":
        """Return the choices that `to_json` wrote; what an older version lacks is as usual.

        Raises:
            SettingsError: a choice is not known to this version, or is out of range.
        """
        known = {field.name for field in dataclasses.fields(cls)}
        if unknown := sorted(set(value) - known):
            raise SettingsError(
                f"The run was made by another version: its setting '{unknown[0]}' is unknown here."
                " Open it with the version that made it, or train again into a new folder."
            )
        return cls(**value)


def check(name: str, value: float | None) -> None:
    """Check one number of the toolbox; None leaves it open.

    Raises:
        SettingsError: it is out of range.
    """
    one = toolbox.setting(name)
    if value is None:
        return
    bounds.within(one.option, value, one.low, one.high)
    if one.kind is int and value != int(value):
        raise SettingsError(f"{one.option} should be a whole number, but is {value}. Round it.")
