"""What a search may choose: a range for each setting, drawn from, narrowed and widened."""

import dataclasses
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from transfer import changes, recipe, toolbox
from transfer.errors import SettingsError

Settings = dict[str, Any]  # {"learning_rate": 1e-3, ..., "augmentation": "light"}
Side = Literal["low", "high"]

AUGMENTATION = "augmentation"
_EDGE = 0.1  # the outermost tenth of a range, in log space where the range is
_MARGIN = 0.05  # of the range, beyond the best few
_WIDEST = 0.5  # of the range: a fine round is at most so wide
_DECADES = 2.0  # by which a range in log space is widened
_DIGITS = 4


@dataclass(frozen=True)
class Range:
    """From `low` to `high`, both included; widening it goes to `least` and `most` and no further.

    `log`: drawn in log space. `whole`: whole numbers.
    """

    low: float
    high: float
    least: float
    most: float
    log: bool = True
    whole: bool = False

    def share(self, value: float) -> float:
        """Return where in the range a value lies: 0 at its low end, 1 at its high end."""
        low, high = self._scaled(self.low), self._scaled(self.high)
        return 0.5 if low == high else (self._scaled(value) - low) / (high - low)

    def at(self, share: float) -> float:
        """Return the value there."""
        low, high = self._scaled(self.low), self._scaled(self.high)
        place = low + share * (high - low)
        if self.whole:
            return round(place)
        # Rounding may not lead out of the range.
        return min(max(rounded(10**place if self.log else place), self.low), self.high)

    def edge(self, value: float) -> Side | None:
        """Return at which edge a value lies, where the range could be wider on that side."""
        share = self.share(value)
        # Of a few whole numbers the outermost tenth is the outermost one.
        if (share <= _EDGE) and self.low > self.least and self.low < self.high:
            return "low"
        if (share >= 1 - _EDGE) and self.high < self.most and self.low < self.high:
            return "high"
        return None

    def widened(self, side: Side) -> "Range":
        """Return the range with more room on one side: two decades, or as much again as it has."""
        if self.log:
            low, high = self.low / 10**_DECADES, self.high * 10**_DECADES
        else:
            room = max(self.high - self.low, 1.0 if self.whole else 0.0)
            low, high = self.low - room, self.high + room
        if side == "low":
            return dataclasses.replace(self, low=max(self.least, rounded(low)))
        return dataclasses.replace(self, high=min(self.most, rounded(high)))

    def round_best(self, values: Sequence[float]) -> "Range":
        """Return a narrower range round the best few values, the best of all first."""
        shares = [min(max(self.share(value), 0.0), 1.0) for value in values]
        low, high = min(shares) - _MARGIN, max(shares) + _MARGIN
        low = max(low, shares[0] - _WIDEST / 2, 0.0)
        high = min(high, shares[0] + _WIDEST / 2, 1.0)
        return dataclasses.replace(self, low=self.at(low), high=self.at(high))

    def _scaled(self, value: float) -> float:
        return math.log10(value) if self.log else value


@dataclass(frozen=True)
class Space:
    """The ranges of all settings, and the levels of augmentation to choose from.

    A range whose ends are equal leaves nothing to choose.
    """

    learning_rate: Range = Range(1e-5, 1e-1, 1e-8, 100.0)
    weight_decay: Range = Range(1e-5, 1e-1, 1e-8, 10.0)
    l2: Range = Range(1e-7, 1e-2, 1e-10, 10.0)
    dropout: Range = Range(0.0, 0.6, 0.0, 0.95, log=False)
    # 0 is the same as -1: at least the last level learns.
    frozen_level: Range = Range(-3, -1, -5, -1, log=False, whole=True)
    augmentation: tuple[str, ...] = tuple(changes.LEVELS)

    def __post_init__(self) -> None:
        for name, one in self.ranges().items():
            _check(name, one)
        unknown = [level for level in self.augmentation if level not in changes.LEVELS]
        if unknown or not self.augmentation:
            raise SettingsError(
                f"The levels of augmentation should be some of {', '.join(changes.LEVELS)}, but"
                f" came as '{', '.join(self.augmentation)}'. Choose at least one of these."
            )

    def ranges(self) -> dict[str, Range]:
        """Return the ranges by the names of the settings."""
        return {name: value for name, value in vars(self).items() if isinstance(value, Range)}

    def round_best(self, best: Sequence[Settings]) -> "Space":
        """Return a narrower space round the settings of the best few trials, the best one first."""
        if not best:
            return self
        narrow = {
            name: one.round_best([settings[name] for settings in best])
            for name, one in self.ranges().items()
        }
        tried = {settings[AUGMENTATION] for settings in best}
        levels = tuple(level for level in self.augmentation if level in tried)
        return Space(**narrow, augmentation=levels or self.augmentation)

    def widened(self, edges: Iterable[tuple[str, Side]]) -> "Space":
        """Return the space with some ranges widened: (setting, side) each."""
        wider = {name: getattr(self, name).widened(side) for name, side in edges}
        return dataclasses.replace(self, **wider)

    def to_json(self) -> dict[str, Any]:
        """Return the space as a JSON object."""
        return {**dataclasses.asdict(self), AUGMENTATION: list(self.augmentation)}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "Space":
        """Return the space that `to_json` wrote."""
        ranges = {name: Range(**one) for name, one in value.items() if name != AUGMENTATION}
        return cls(**ranges, augmentation=tuple(value[AUGMENTATION]))


def parsed(given: Iterable[str]) -> Space:
    """Return the usual space, changed by "NAME=LOW:HIGH" or "augmentation=none,light" texts.

    Raises:
        SettingsError: one is of another form, unknown or out of range.
    """
    usual = Space()
    said: dict[str, Any] = {}
    for text in given:
        name, _, value = (part.strip() for part in text.partition("="))
        name = name.replace("-", "_").lower()
        if name == AUGMENTATION:
            said[name] = tuple(level.strip().lower() for level in value.split(","))
            continue
        if name not in usual.ranges():
            raise SettingsError(
                f"A search chooses among {', '.join(vars(usual))}, but '{text}' came."
                " Write it as in learning_rate=1e-4:1e-2."
            )
        said[name] = _range(text, value, usual.ranges()[name])
    return dataclasses.replace(usual, **said)


def settings_of_run(settings: Settings) -> dict[str, Any]:
    """Return what `RunConfig.changed` takes, for a run with the settings of a trial."""
    nested: dict[str, Any] = {}
    for name, value in settings.items():
        if name == AUGMENTATION:
            nested["changes"] = {"level": value}
        elif toolbox.setting(name).in_recipe:
            nested.setdefault("recipe", {})[name] = value
        else:
            nested[name] = value
    return nested


def rounded(value: float) -> float:
    """Return the value as people read it: what is shown is what was tried."""
    return float(f"{value:.{_DIGITS}g}")


def _range(text: str, value: str, usual: Range) -> Range:
    low, sign, high = value.partition(":")
    try:
        ends = float(low), float(high if sign else low)
    except ValueError:
        raise SettingsError(
            f"A range is given as NAME=LOW:HIGH, but '{text}' came."
            " Write it as in learning_rate=1e-4:1e-2."
        ) from None
    least, most = min(usual.least, ends[0]), max(usual.most, ends[1])
    return dataclasses.replace(usual, low=ends[0], high=ends[1], least=least, most=most)


def _check(name: str, one: Range) -> None:
    for value in (one.low, one.high):
        recipe.check(name, value)
    if one.low > one.high or (one.log and one.low <= 0):
        expected = "from a low to a high number" + (" above 0" if one.log else "")
        raise SettingsError(
            f"The range of {name.replace('_', ' ')} should go {expected}, but is {one.low:g} to"
            f" {one.high:g}. Turn it round, or choose another."
        )
