"""What small copies have lost: stamps along the border, and how steep the steepest edges are."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image
from scipy.ndimage import uniform_filter1d

from transfer.dataset import threads
from transfer.dataset.index import ImageIndex

_WIDTH, _HEIGHT = 0.36, 0.12  # of the picture: room for a date in one line
_SIZE = (48, 16)  # pixels to which a corner is brought
_CELL = (8, 2)  # pixels of that, across and down, that are taken together
_AROUND = (7, 9)  # down and across: ink is what differs from so many pixels around it
_PLACES = (0, 2, 4)  # corner heights from the border, whose ink does not reach two of them
_MIDDLE = 256  # pixels of the side of the square whose edges are measured
_EDGES = 99  # percentile: the steepest edges


@dataclass(frozen=True)
class Seen:
    """What was seen of n pictures.

    `ink` is float32 [n, 6, 3, d]: of the upper left and lower left corner, the middle of the upper
    and of the lower edge, the upper right and lower right corner, and for each of two places as
    large further inside. `steepness` is float32 [n]: the logarithm of
    the steepest edges at full size over those at half the size. A photograph has about -0.15; what
    was blurred or enlarged has no detail at its own size, and less than -0.5.
    """

    ink: np.ndarray
    steepness: np.ndarray


def read(index: ImageIndex, positions: Sequence[int] | np.ndarray) -> Seen:
    """Return what the stored pictures show that their small copies do not.

    Args:
        index: the data set; its stored pictures are read.
        positions: which of them.

    Raises:
        OSError: a stored picture is not there, or cannot be read.
    """
    parts = list(threads.several(lambda i: _look(index, i), positions))
    ink = _ink(np.stack([places for places, _ in parts]))
    steepness = np.array([steep for _, steep in parts], np.float32)
    return Seen(ink, steepness)


def _look(index: ImageIndex, position: int) -> tuple[np.ndarray, float]:
    """Return uint8 [corners, places, height, width, 3] of one picture, and its steepness."""
    with Image.open(index.path(index.pictures[position])) as opened:
        picture = opened.convert("RGB")
    wide, high = max(1.0, picture.width * _WIDTH), max(1.0, picture.height * _HEIGHT)
    corners = []
    for left in (0.0, (picture.width - wide) / 2, picture.width - wide):
        for below in (False, True):
            tops = [high * place for place in _PLACES]
            tops = [max(0.0, picture.height - high - top) for top in tops] if below else tops
            boxes = [(left, top, left + wide, top + high) for top in tops]
            corners.append([picture.resize(_SIZE, _BILINEAR, box=box) for box in boxes])
    places = np.array([[np.asarray(place) for place in corner] for corner in corners])
    return places, _steepness(picture)


def _ink(places: np.ndarray) -> np.ndarray:
    """Return where something differs from what is around it, float32 [..., d].

    Four maps: lighter, darker, warmer and colder. Digits change from picture to picture; where
    their ink is, and what it is like, does not.

    Args:
        places: uint8 [..., height, width, 3].
    """
    pixels = places.astype(np.float32)
    maps = []
    for values in (pixels.mean(axis=-1), pixels[..., 0] - pixels[..., 2]):
        differs = values - _smooth(values)
        for sign in (1, -1):
            cells = np.maximum(sign * differs, 0)
            rows, columns = _SIZE[1] // _CELL[1], _SIZE[0] // _CELL[0]
            cells = cells.reshape(*cells.shape[:-2], rows, _CELL[1], columns, _CELL[0])
            cells = np.log(cells.mean(axis=(-3, -1)) + 2)
            maps.append(cells.reshape(*cells.shape[:-2], -1))
    return np.concatenate(maps, axis=-1)


def _smooth(values: np.ndarray) -> np.ndarray:
    """Return the mean of so many pixels around each, of float32 [..., height, width]."""
    for axis, size in zip((-2, -1), _AROUND, strict=True):
        values = uniform_filter1d(values, size, axis=axis, mode="nearest")
    return values


def _steepness(picture: Image.Image) -> float:
    wide, high = min(_MIDDLE, picture.width), min(_MIDDLE, picture.height)
    left, top = (picture.width - wide) // 2, (picture.height - high) // 2
    grey = np.asarray(picture.crop((left, top, left + wide, top + high)).convert("L"), np.float32)
    if min(grey.shape) < 8:
        return 0.0
    rows, columns = grey.shape[0] // 2, grey.shape[1] // 2
    half = grey[: 2 * rows, : 2 * columns].reshape(rows, 2, columns, 2).mean(axis=(1, 3))
    fine, coarse = (float(np.percentile(_curved(one), _EDGES)) for one in (grey, half))
    return float(np.log((fine + 1) / (coarse + 1)))


def _curved(grey: np.ndarray) -> np.ndarray:
    around = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:]
    return np.abs(4 * grey[1:-1, 1:-1] - around)


_BILINEAR = Image.Resampling.BILINEAR
