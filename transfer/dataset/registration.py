"""Lay pictures over one another as well as they go, and say how alike what they then show is.

All pictures are square and grey here. A pair is registered over shift, zoom, aspect, turn and
shear by least squares from coarse to fine (Baker and Matthews 2004, inverse compositional), and as
in Evangelidis and Psarakis 2008 its light does not count. How alike two pictures are is
then asked of fine, middle and coarse detail apart: two photographs of the same kind of thing agree
in the coarse, copies in all that both of them hold.
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from transfer.dataset import threads

_LEAST_OVERLAP = 0.4  # of the first picture
_FARTHEST = 0.35  # shift of a corner, in sides, from where it was at first
_BATCH_PIXELS = 60_000  # of pairs at a time: what is made of them fits into the cache
_TINY = 1e-6


@dataclass(frozen=True)
class Fit:
    """How pairs lie over one another.

    `warps` float64 [n, 2, 3]: (x, y, 1) of the first picture to (x, y) of the second, in sides from
    the centre; `overlap` float32 [n]: share of the first picture that the second shows too, 0 where
    they did not fit; `likeness` float32 [n]: correlation of what both show.
    """

    warps: np.ndarray
    overlap: np.ndarray
    likeness: np.ndarray


def from_windows(windows: np.ndarray) -> np.ndarray:
    """Return the warps under which parts of two pictures fall together, [n, 2, 3].

    Args:
        windows: [n, 2, 4], of both pictures left, right, upper, lower, in shares of the sides.
    """
    low, high = windows[:, :, 0::2].astype(float), windows[:, :, 1::2].astype(float)
    scale = (high[:, 1] - low[:, 1]) / (high[:, 0] - low[:, 0])
    shift = low[:, 1] - 0.5 - scale * (low[:, 0] - 0.5)
    warps = np.zeros((len(windows), 2, 3))
    warps[:, 0, 0], warps[:, 1, 1], warps[:, :, 2] = scale[:, 0], scale[:, 1], shift
    return warps


def register(
    first: np.ndarray,
    second: np.ndarray,
    warps: np.ndarray,
    steps: int,
    least: float = _LEAST_OVERLAP,
) -> Fit:
    """Improve warps of pairs of pictures.

    Args:
        first: float32 [n, side, side].
        second: the same shape.
        warps: where to begin, [n, 2, 3].
        steps: of least squares.
        least: share of the first picture that has to be in the second.
    """
    step = max(1, _BATCH_PIXELS // max(1, first[0].size))

    def part(start: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        own = slice(start, start + step)
        return _register(first[own], second[own], warps[own], steps, least)

    parts = list(threads.several(part, range(0, len(first), step)))
    return Fit(*(np.concatenate(values) for values in zip(*parts, strict=True)))


def band(pictures: np.ndarray, fine: float, coarse: float) -> np.ndarray:
    """Return the detail between two sizes (standard deviations of a blur, in pixels)."""
    return (blurred(pictures, fine) if fine else pictures) - blurred(pictures, coarse)


def blurred(pictures: np.ndarray, spread: float) -> np.ndarray:
    """Return pictures [n, side, side] blurred; wide blurs are boxes, twice, which is faster."""
    if spread < 3:
        return ndimage.gaussian_filter(pictures, (0, spread, spread), mode="nearest", truncate=3)
    size = round(math.sqrt(6 * spread**2 + 1))  # two boxes of that size have the same variance
    for _ in range(2):
        for axis in (1, 2):
            pictures = ndimage.uniform_filter1d(pictures, size, axis, mode="nearest")
    return pictures


def warped(pictures: np.ndarray, warps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the second pictures as the first ones would show them, and where they do.

    Returns:
        float32 [n, side, side], and a mask of the same shape.
    """
    number, side = pictures.shape[:2]
    x, y = _coordinates(side)
    pixels = warps * side
    pixels[:, :, 2] += (side - 1) / 2
    pixels = pixels.astype(np.float32)
    places = pixels[:, :, 0, None] * x + pixels[:, :, 1, None] * y + pixels[:, :, 2, None]
    inside = ((places >= -0.5) & (places <= side - 0.5)).all(axis=1)
    np.clip(places, 0, side - 1.001, out=places)
    corner = places.astype(np.int32)
    part = places - corner
    flat = pictures.reshape(-1)
    start = corner[:, 1] * side + corner[:, 0] + (np.arange(number) * side * side)[:, None]
    upper, lower = flat[start], flat[start + side]
    upper += (flat[start + 1] - upper) * part[:, 0]
    lower += (flat[start + side + 1] - lower) * part[:, 0]
    found = upper + (lower - upper) * part[:, 1]
    return found.reshape(pictures.shape), inside.reshape(pictures.shape)


def agreement(first: np.ndarray, second: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Return the correlation of pairs of pictures where a mask says so, float32 [n]."""
    one, two = _normalised(first, mask), _normalised(second, mask)
    return (one * two).sum(axis=1)


def _register(
    first: np.ndarray, second: np.ndarray, warps: np.ndarray, steps: int, least: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    begun = warps
    slopes = _slopes(first)
    best, likeness, overlap = warps, np.full(len(warps), -1.0), np.zeros(len(warps))
    for step in range(steps + 1):
        shown, mask = warped(second, warps)
        one, two = _normalised(first, mask), _normalised(shown, mask)
        found = (one * two).sum(axis=1)
        share = mask.mean(axis=(1, 2))
        found[(share < least) | (_moved(warps, begun) > _FARTHEST)] = -1
        better = found > likeness
        best = np.where(better[:, None, None], warps, best)
        overlap, likeness = np.where(better, share, overlap), np.maximum(found, likeness)
        if step < steps:
            warps = _improved(warps, slopes * mask.reshape(len(mask), 1, -1), one, two, first, mask)
    return best, overlap.astype(np.float32), likeness.astype(np.float32)


def _improved(
    warps: np.ndarray,
    slopes: np.ndarray,
    one: np.ndarray,
    two: np.ndarray,
    first: np.ndarray,
    mask: np.ndarray,
) -> np.ndarray:
    """Return warps one step of least squares nearer, from what both pictures show now."""
    inner = mask.reshape(len(mask), -1)
    count = np.maximum(inner.sum(axis=1), 1)
    spread = _spread(first, mask)
    slopes = slopes / spread[:, None, None]
    # What changes the light alone tells nothing of the place.
    slopes = slopes - (slopes.sum(axis=2) / count[:, None])[:, :, None] * inner[:, None]
    slopes = slopes - (slopes @ one[:, :, None]) * one[:, None]
    square = slopes @ slopes.transpose(0, 2, 1)
    square += np.eye(6) * (1e-3 * np.trace(square, axis1=1, axis2=2) / 6 + _TINY)[:, None, None]
    change = np.linalg.solve(square, slopes @ (two - one)[:, :, None])[:, :, 0]
    step = np.zeros((len(warps), 3, 3))
    step[:, :2] = change.reshape(-1, 2, 3)
    # A step no larger than a sixth of the picture at its edge.
    size = np.abs(step[:, :2] @ np.array([0.5, 0.5, 1.0])).max(axis=1)
    step *= np.minimum(1, 0.15 / np.maximum(size, _TINY))[:, None, None]
    step[:, [0, 1, 2], [0, 1, 2]] += 1
    return warps @ np.linalg.inv(step)


def _slopes(pictures: np.ndarray) -> np.ndarray:
    """Return what each picture gains as each number of its warp grows, [n, 6, pixels]."""
    number, side = pictures.shape[:2]
    down, across = np.gradient(pictures, axis=(1, 2))
    x, y = _coordinates(side)
    across, down = (values.reshape(number, -1) * side for values in (across, down))
    return np.stack([across * x, across * y, across, down * x, down * y, down], axis=1)


def _coordinates(side: int) -> tuple[np.ndarray, np.ndarray]:
    middle = (np.arange(side, dtype=np.float32) + 0.5) / side - 0.5
    return np.tile(middle, side), np.repeat(middle, side)


def _normalised(pictures: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Return pictures without their mean, of length 1, zero outside a mask, [n, pixels]."""
    flat, inner = pictures.reshape(len(pictures), -1), mask.reshape(len(mask), -1)
    mean = (flat * inner).sum(axis=1) / np.maximum(inner.sum(axis=1), 1)
    centred = (flat - mean[:, None]) * inner
    return centred / np.maximum(np.sqrt((centred**2).sum(axis=1)), _TINY)[:, None]


def _spread(pictures: np.ndarray, mask: np.ndarray) -> np.ndarray:
    flat, inner = pictures.reshape(len(pictures), -1), mask.reshape(len(mask), -1)
    mean = (flat * inner).sum(axis=1) / np.maximum(inner.sum(axis=1), 1)
    return np.maximum(np.sqrt((((flat - mean[:, None]) * inner) ** 2).sum(axis=1)), _TINY)


def _moved(warps: np.ndarray, begun: np.ndarray) -> np.ndarray:
    """Return how far the farthest corner went, in sides."""
    corners = np.array([[x, y, 1.0] for x in (-0.5, 0.5) for y in (-0.5, 0.5)]).T
    return np.abs((warps - begun) @ corners).max(axis=(1, 2))
