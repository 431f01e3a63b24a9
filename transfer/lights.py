"""The traffic light of a check: green, amber or red."""

from collections.abc import Iterable
from typing import Literal

Light = Literal["green", "amber", "red"]
_ORDER: tuple[Light, ...] = ("green", "amber", "red")


def worst(lights: Iterable[Light]) -> Light:
    """Return the worst of some lights, green where there is none.

    >>> worst(["green", "red", "amber"])
    'red'
    """
    return _ORDER[max((_ORDER.index(light) for light in lights), default=0)]
