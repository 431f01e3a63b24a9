"""Pictures of a data set as a training with some settings sees them, ready for a page.

    asked     {"dataset": digest, "image_size": n, "level": of the strategy, "changes": {...},
              "mirror": bool, "turn": bool, "seed": n, "number": n}
    answer    {"plain": [JPEG in Base64, ...], "augmented": [...], "labels": [...]}

A label is that of the plain picture; where pictures are mixed it says the shares.
"""

import base64
import io
from typing import Any

import numpy as np
from PIL import Image

from transfer import augmentation, bounds, previews
from transfer.changes import LEVELS, Changes
from transfer.dataset import library
from transfer.dataset.index import ImageIndex
from transfer.errors import SettingsError

MOST = 24
_QUALITY = 90
_LEAST_SHARE = 0.005  # of a label that is worth a word


def pictures(asked: dict[str, Any]) -> dict[str, Any]:
    """Return what was asked for.

    Raises:
        DataError: there is no such data set.
        SettingsError: a setting is missing, unknown or out of range.
    """
    try:
        number, size = int(asked["number"]), int(asked["image_size"])
        level, seed = asked["level"], int(asked["seed"])
        changes = Changes.from_json(asked["changes"])
        mirror, turn = bool(asked["mirror"]), bool(asked["turn"])
        digest = str(asked["dataset"])
    except (KeyError, TypeError, ValueError, AttributeError):
        raise SettingsError(
            "A preview needs the data set, the size, the level, the changes and a seed. Ask with"
            " all of them."
        ) from None
    if level not in LEVELS:
        raise SettingsError(f"The level should be one of {', '.join(LEVELS)}, but is '{level}'.")
    bounds.within("number", number, 1, MOST, "pictures")
    bounds.within("image_size", size, 32, 1024, "pixels")
    index = library.open_dataset(digest)
    positions = _taking_turns(index, number)
    settings = augmentation.chosen(level, changes, mirror, turn)
    grid = previews.grid(index, positions, size, settings, seed)
    return {
        "plain": [_jpeg(pixels) for pixels in grid.plain],
        "augmented": [_jpeg(pixels) for pixels in grid.augmented],
        "labels": [_told(index.classes, shares) for shares in grid.labels],
    }


def _taking_turns(index: ImageIndex, number: int) -> list[int]:
    """Return the positions of a few pictures, of as many classes as that."""
    groups = [np.flatnonzero(index.class_numbers() == i) for i in range(len(index.classes))]
    longest = max(len(group) for group in groups)
    every = [
        int(group[i]) for i in range(min(longest, number)) for group in groups if i < len(group)
    ]
    return every[:number]


def _told(classes: tuple[str, ...], shares: np.ndarray) -> str:
    order = [int(i) for i in np.argsort(-shares) if shares[i] > _LEAST_SHARE]
    if len(order) == 1:
        return classes[order[0]]
    return " + ".join(f"{100 * shares[i]:.0f} % {classes[i]}" for i in order)


def _jpeg(pixels: np.ndarray) -> str:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=_QUALITY)
    return base64.b64encode(buffer.getvalue()).decode("ascii")
