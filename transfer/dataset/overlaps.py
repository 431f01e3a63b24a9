"""Find patches of one larger picture: pictures that overlap by a part, shifted but not scaled.

All shifts of two pictures are tried at once by their Fourier transforms, each divided by what
is in the common part (as in Lewis 1995); what agrees is then looked at in the stored pictures.
"""

from collections import defaultdict

import numpy as np
from PIL import Image
from scipy import fft

from transfer.dataset import detail, registration, threads, tints
from transfer.dataset.index import ImageIndex
from transfer.dataset.looks import SIDE, Looks

_LEAST = 0.3  # of a picture that is common
_AGREE = 0.75  # correlation in the common part of the small copies
_AGREE_FINE, _AGREE_MIDDLE = 0.8, 0.85  # the same in the stored pictures
_MOST_PAIRS = 25_000  # that are tried; in larger data sets each with the next ones of its class
_MOST_READ = 600  # pairs that are looked at in the stored pictures
_BATCH = 128


def find(index: ImageIndex, looks: Looks) -> list[tuple[int, int]]:
    """Return pairs of pictures of one class and one size that show parts of one larger picture."""
    shapes = registration.band(looks.grey(), 0.0, 4.0)
    pairs = _pairs(index)
    if not len(pairs):
        return []
    likeness, shifts = _shifted(shapes, pairs)
    order = np.argsort(-likeness, kind="stable")[:_MOST_READ]
    order = order[likeness[order] > _AGREE]
    return _checked(index, looks.thumbs, pairs[order], shifts[order]) if len(order) else []


def _pairs(index: ImageIndex) -> np.ndarray:
    """Return pairs of positions to try, [m, 2]: patches have a class and a size in common."""
    parts: dict[tuple[str, int, int], list[int]] = defaultdict(list)
    for position, picture in enumerate(index.pictures):
        parts[picture.label, picture.width, picture.height].append(position)
    rows = [np.array(part) for part in parts.values() if len(part) > 1]
    total = sum(len(part) * (len(part) - 1) // 2 for part in rows)
    if not rows:
        return np.zeros((0, 2), int)
    each = len(index.pictures) if total <= _MOST_PAIRS else _MOST_PAIRS // len(index.pictures)
    found = []
    for part in rows:
        for ahead in range(1, min(each, len(part) - 1) + 1):
            found.append(np.stack([part[:-ahead], part[ahead:]], axis=1))
    return np.sort(np.concatenate(found), axis=1)[:_MOST_PAIRS] if found else np.zeros((0, 2), int)


def _shifted(shapes: np.ndarray, pairs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the best correlation of each pair over all shifts, [m], and that shift, [m, 2]."""
    size = 2 * SIDE
    needed, places = np.unique(pairs, return_inverse=True)
    own = shapes[needed].astype(np.float32)
    waves, sums = fft.rfft2(own, (size, size), workers=-1), _sums(own)
    # Places in the table are shifts of the second picture (down, across), modulo its size.
    moved = np.fft.fftfreq(size, 1 / size).astype(int)
    common = np.maximum(0, SIDE - np.abs(moved))
    allowed = common[:, None] * common[None] >= _LEAST * SIDE**2
    ends = places.reshape(pairs.shape)

    def some(start: int) -> tuple[np.ndarray, np.ndarray]:
        first, second = ends[start : start + _BATCH].T
        table = fft.irfft2(waves[first] * np.conj(waves[second]), (size, size))
        table /= np.sqrt(_energies(sums[first], 1) * _energies(sums[second], -1))
        table[:, ~allowed] = -1
        flat = table.reshape(len(first), -1)
        best = flat.argmax(axis=1)
        shift = np.stack([moved[best // size], moved[best % size]], axis=1)
        return flat[np.arange(len(best)), best], shift

    parts = threads.several(some, range(0, len(pairs), _BATCH))
    likeness, shifts = zip(*parts, strict=True)
    return np.concatenate(likeness), np.concatenate(shifts)


def _sums(shapes: np.ndarray) -> np.ndarray:
    """Return the squares summed from the upper left corner to each place, [n, side+1, side+1]."""
    sums = np.zeros((len(shapes), SIDE + 1, SIDE + 1))
    np.cumsum(np.cumsum(shapes.astype(np.float64) ** 2, axis=1), axis=2, out=sums[:, 1:, 1:])
    return sums.astype(np.float32)


def _energies(sums: np.ndarray, way: int) -> np.ndarray:
    """Return what is in the part of each picture that each shift leaves in common.

    Args:
        sums: from `_sums`.
        way: 1 for the first picture of a pair, -1 for the one that is shifted.

    Returns:
        float32 [n, 2 * SIDE, 2 * SIDE] by shift, in the order of the Fourier transform; at least 1.
    """
    for axis in (1, 2):
        sums = np.moveaxis(sums, axis, 0)
        # Shifts from 0 on leave what follows them, those below 0 (from -SIDE on) what is before.
        after, before = sums[SIDE] - sums[:SIDE], sums[:SIDE]
        if way < 0:
            after, before = sums[SIDE:0:-1], sums[SIDE] - sums[SIDE:0:-1]
        sums = np.moveaxis(np.concatenate([after, before]), 0, axis)
    return np.maximum(1, sums).astype(np.float32)


def _checked(
    index: ImageIndex, thumbs: np.ndarray, pairs: np.ndarray, shifts: np.ndarray
) -> list[tuple[int, int]]:
    """Return the pairs whose fine detail and colours agree in the common part."""
    needed, places = np.unique(pairs, return_inverse=True)
    places = places.reshape(pairs.shape)
    rows = []
    for position in needed:
        with Image.open(index.path(index.pictures[position])) as picture:
            rows.append(detail.reduced(picture)[0])
    grey = np.stack(rows).astype(np.float32)
    warps = np.tile(np.eye(2, 3), (len(pairs), 1, 1))
    warps[:, :, 2] = -shifts[:, ::-1] / SIDE
    kept: list[tuple[int, int]] = []
    for start in range(0, len(pairs), _BATCH):
        part = slice(start, start + _BATCH)
        agrees = detail.parts_agree(
            grey[places[part, 0]],
            grey[places[part, 1]],
            warps[part],
            (_AGREE_FINE, _AGREE_MIDDLE),
        )
        agrees &= tints.agree(thumbs[pairs[part, 0]], thumbs[pairs[part, 1]], warps[part])
        kept += [(int(i), int(j)) for i, j in pairs[part][agrees]]
    return kept
