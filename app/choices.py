"""The expert's choices for a training, one value: typed, checked, and text for an address."""

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass, field, fields, replace
from typing import Any

from app import words
from transfer import changes as changing
from transfer import recipe as recipes
from transfer import toolbox
from transfer.changes import Amounts, Changes
from transfer.config import RunConfig
from transfer.errors import SettingsError
from transfer.recipe import Recipe

LEVEL = "How far pictures are changed"
_RECIPE = frozenset(one.name for one in fields(Recipe))
_CHANGES = frozenset(one.name for one in fields(Changes))
_OF_SCHEDULES = {
    "drop": ("step", "plateau"),
    "drops": ("step",),
    "cycles": ("cyclic", "restarts"),
    "plateau_patience": ("plateau",),
}


@dataclass(frozen=True)
class Choices:
    """What an expert may choose of a `RunConfig`; as it stands here, all is as usual."""

    batch_size: int = RunConfig.batch_size
    learning_rate: float = RunConfig.learning_rate
    weight_decay: float = RunConfig.weight_decay
    dropout: float = RunConfig.dropout
    patience: int | None = RunConfig.patience
    recipe: Recipe = field(default_factory=Recipe)
    changes: Changes = field(default_factory=Changes)

    def get(self, name: str) -> Any:
        """Return one choice by the name of its field, nested or not."""
        return getattr(self._home(name), name)

    def put(self, name: str, value: Any) -> "Choices":
        """Return the choices with another one; None is the usual.

        Raises:
            SettingsError: the value is out of range; says what to do in words of the page.
        """
        if value is None:
            value = usual(name)
        try:
            if name in _RECIPE:
                return replace(self, recipe=replace(self.recipe, **{name: value}))
            if name in _CHANGES:
                return replace(self, changes=replace(self.changes, **{name: value}))
            recipes.check(name, value)
        except SettingsError as problem:
            raise SettingsError(_in_words_of_the_page(name, str(problem))) from None
        changed: dict[str, Any] = {name: value}
        return replace(self, **changed)

    @property
    def different(self) -> dict[str, Any]:
        """What is not as usual, by name."""
        return {name: self.get(name) for name in names() if self.get(name) != usual(name)}

    @property
    def settings(self) -> dict[str, Any]:
        """What to give to a `RunConfig`."""
        return {one.name: getattr(self, one.name) for one in fields(self)}

    @property
    def told(self) -> str:
        """Say how many choices differ from the usual, and which."""
        different = [title(name) for name in self.different]
        if not different:
            return "All choices are the usual ones."
        differ = "choice differs" if len(different) == 1 else "choices differ"
        return f"{len(different)} {differ} from the usual: {words.and_so_on(different)}."

    def matters(self, name: str) -> bool:
        """Whether a setting does anything beside the others."""
        if name == "patience":
            return self.recipe.early_stopping
        if name == "magnitude":
            return self.changes.randaugment != 0
        return self.recipe.schedule in _OF_SCHEDULES.get(name, (self.recipe.schedule,))

    def flips(
        self, said: tuple[bool | None, bool | None], guessed: tuple[bool, bool]
    ) -> tuple[bool, bool]:
        """Return whether pictures are mirrored and turned, as a training has it.

        What is said counts; what is guessed to be harmless only where pictures are changed at all.
        """
        changed = self.changes.level != "none"
        mirror, turn = (
            guess and changed if answer is None else answer
            for answer, guess in zip(said, guessed, strict=True)
        )
        return mirror, turn

    def done(self, strategy: str) -> Changes:
        """Return all that is done to pictures, what the level does included."""
        far = changing.amounts(changing.POLICIES[strategy], self.changes)
        nothing = Amounts()
        some = {name: value for name, value in vars(far).items() if value != getattr(nothing, name)}
        made: dict[str, Any] = {"level": self.changes.level, **some}
        return Changes(**made)

    def to_text(self) -> str | None:
        """Return what is not as usual, for an address; None where nothing is."""
        return json.dumps(self.different, separators=(",", ":")) if self.different else None

    def _home(self, name: str) -> Any:
        return self.recipe if name in _RECIPE else self.changes if name in _CHANGES else self


def from_text(text: str | None) -> Choices:
    """Return the choices that `to_text` wrote; what cannot be read is as usual."""
    try:
        said = json.loads(text or "{}")
    except (ValueError, RecursionError):
        return Choices()
    made, known = Choices(), set(names())
    for name, value in said.items() if isinstance(said, dict) else ():
        if name not in known or not _fits(name, value):
            continue
        try:
            made = made.put(name, value)
        except SettingsError:  # of another version, or typed into the address
            continue
    return made


def names() -> Iterable[str]:
    """Return the names of all choices, in the order of the page."""
    return (*(one.name for one in toolbox.SETTINGS), "level", *_titles())


def usual(name: str) -> Any:
    """Return the usual value of a choice; None: that of the way of learning."""
    return Choices().get(name)


def title(name: str) -> str:
    """Return what a choice is called on the page."""
    if name == "level":
        return LEVEL
    return _titles().get(name) or toolbox.setting(name).title


def kind(name: str) -> type:
    """Return of which type a choice is: int, float, bool or str."""
    if name in ("level", "upside_down"):
        return str if name == "level" else bool
    if name in _CHANGES:
        return int if name == "randaugment" else float
    return toolbox.setting(name).kind


def _titles() -> dict[str, str]:
    return {one.name: one.title for one in changing.CHOICES}


def _fits(name: str, value: Any) -> bool:
    if kind(name) is float:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return number and math.isfinite(value)
    return type(value) is kind(name)


def _in_words_of_the_page(name: str, sentence: str) -> str:
    shown = f"‘{title(name)}’"
    option = f"--{name.replace('_', '-')}"
    for called in (option, f"'{name}'"):
        sentence = sentence.replace(called, shown)
    return sentence.replace(", or leave it out", ", or leave the field empty")
