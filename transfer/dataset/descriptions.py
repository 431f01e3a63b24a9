"""Describe a picture in few numbers: what it shows without its edges, mirrored and turned.

Each small copy becomes its lowest frequencies (as in a perceptual hash, but kept as numbers),
without its mean colour and its contrast, so that light and compression hardly change it.
"""

import functools

import numpy as np
from scipy.fft import dct

from transfer.dataset.looks import SIDE

Span = tuple[float, float]
Turn = tuple[bool, bool, bool]  # transposed, mirrored, upside down

_EITHER = (False, True)
TURNS: tuple[Turn, ...] = tuple((a, b, c) for a in _EITHER for b in _EITHER for c in _EITHER)
UPRIGHT = TURNS.index((False, False, False))
_LIGHT, _COLOUR = 7, 4  # frequencies of a description, along each side
_SAMPLES = 16  # a window of a small copy is read at so many places along each side
_GREY = np.array([0.299, 0.587, 0.114], np.float32)


def described(thumbs: np.ndarray, windows: tuple[Span, ...] = ((0.0, 1.0),)) -> np.ndarray:
    """Return the lowest frequencies of parts of each small copy, all of length 1.

    Args:
        thumbs: uint8 [n, SIDE, SIDE, 3].
        windows: parts of a side; each across is combined with each down.

    Returns:
        float32 [len(windows) ** 2, n, d], across changing more slowly than down.
    """
    pixels = thumbs.astype(np.float32)
    grey = pixels @ _GREY
    parts = [
        _frequencies(grey, windows, _LIGHT),
        _frequencies(pixels[..., 0] - grey, windows, _COLOUR),
        _frequencies(pixels[..., 2] - grey, windows, _COLOUR),
    ]
    rows = np.concatenate(parts, axis=2)
    return rows / np.sqrt((rows**2).sum(axis=2, keepdims=True) + 1e-3)


def turned_rows(rows: np.ndarray, turn: Turn) -> np.ndarray:
    """Return what `described` says of whole pictures as it says it of the turned ones, [n, d].

    A cosine is the same from both ends, but for the sign of the odd ones.
    """
    order, signs = _turning(turn)
    return rows[:, order] * signs


def turned(pictures: np.ndarray, turn: Turn) -> np.ndarray:
    """Return square pictures [n, side, side, ...] transposed, mirrored and upside down."""
    transposed, mirrored, over = turn
    found = pictures.swapaxes(1, 2) if transposed else pictures
    found = found[:, :, ::-1] if mirrored else found
    return found[:, ::-1] if over else found


def inverses() -> np.ndarray:
    """Return the place in `TURNS` of what undoes each turn, int64 [8]."""
    corner = np.arange(4).reshape(1, 2, 2)
    again = [[turned(turned(corner, one), other) for other in TURNS] for one in TURNS]
    return np.array([[(found == corner).all() for found in row] for row in again]).argmax(axis=1)


def _frequencies(channel: np.ndarray, windows: tuple[Span, ...], size: int) -> np.ndarray:
    """Return the lowest `size` frequencies of all windows, [windows ** 2, n, kept]."""
    number, count = len(channel), len(windows)
    waves = np.concatenate([_waves(window, size) for window in windows])  # [count * size, SIDE]
    across = (channel.reshape(-1, SIDE) @ waves.T).reshape(number, SIDE, -1)
    both = np.ascontiguousarray(across.swapaxes(1, 2)).reshape(-1, SIDE) @ waves.T
    both = both.reshape(number, count, size, count, size)  # of each: across, down
    heights, kept = _heights(size)
    # Photographs have less of the higher frequencies, about by their height (Field 1987).
    values = both.transpose(1, 3, 0, 4, 2).reshape(count**2, number, size, size) * heights
    return values[:, :, kept]


@functools.cache
def _heights(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return how high each frequency [down, across] is, and which are kept."""
    height = np.hypot(*np.meshgrid(np.arange(size), np.arange(size), indexing="ij"))
    return height.astype(np.float32), (height > 0) & (height <= size - 0.5)


@functools.cache
def _turning(turn: Turn) -> tuple[np.ndarray, np.ndarray]:
    """Return where each number of a turned description stands in the plain one, and its sign."""
    transposed, mirrored, over = turn
    orders, signs, before = [], [], 0
    for size in (_LIGHT, _COLOUR, _COLOUR):
        _, kept = _heights(size)
        places = np.zeros((size, size), np.int64)
        places[kept] = before + np.arange(kept.sum())
        before += int(kept.sum())
        orders.append((places.T if transposed else places)[kept])
        odd = (-1.0) ** np.arange(size)
        sign = (odd[None, :] if mirrored else 1.0) * (odd[:, None] if over else 1.0)
        signs.append((sign * np.ones((size, size)))[kept])
    return np.concatenate(orders), np.concatenate(signs).astype(np.float32)


def _waves(span: Span, count: int) -> np.ndarray:
    """Return what takes the lowest cosines from SIDE pixels, of a part of the side, [count, SIDE].

    The samples are means over the pixels that they cover.
    """
    edges = np.linspace(span[0] * SIDE, span[1] * SIDE, _SAMPLES + 1)
    pixels = np.arange(SIDE)
    upper = np.minimum(edges[1:, None], pixels + 1)
    lower = np.maximum(edges[:-1, None], pixels)
    means = np.clip(upper - lower, 0, None)
    cosines = dct(np.eye(_SAMPLES), axis=0, norm="ortho")[:count]
    return (cosines @ (means / means.sum(axis=1, keepdims=True))).astype(np.float32)
