"""Which pictures of a data set may be copies of one another: a quick look at the small copies.

What `descriptions` say of them is compared, of whole pictures, of pictures without an edge, and of
pictures mirrored and turned. Whoever is alike must be looked at closely; see `registration`.
"""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from transfer.dataset import descriptions, threads
from transfer.dataset.descriptions import TURNS, UPRIGHT, Span
from transfer.dataset.looks import SIDE

OnStep = Callable[[int, int], None]
View = tuple[int, Span, Span]  # a place in `TURNS`, what is seen across, and down

_WINDOWS: tuple[Span, ...] = ((0.0, 1.0), (0.0, 0.9), (0.1, 1.0))
_MANY = 30_000  # pictures from which on the whole pictures alone are compared
_NEAREST = 5  # candidates of a picture, of each sort
_LEAST = 0.7  # likeness of a candidate
_FLAT = 8.0  # spread of a small copy (0-255) under which its colours say more than its shapes
_FLAT_NEAREST = 3
_CELLS = 16_000_000  # likenesses in memory at a time
_CACHED = 500_000  # likenesses that stay in the processor's cache
_INVERSE = descriptions.inverses()


@dataclass(frozen=True)
class Candidates:
    """Pairs worth a closer look, the likeliest first.

    `first` < `second` are positions, int64 [n]; `likeness` float32 [n]; `turn` [n] says how the
    second picture has to be turned (a place in `TURNS`), and `windows` [n, 2, 4] which part of the
    first and of the second (left, right, upper, lower; shares of the sides) show the same.
    """

    first: np.ndarray
    second: np.ndarray
    likeness: np.ndarray
    turn: np.ndarray
    windows: np.ndarray

    def __len__(self) -> int:
        return len(self.first)

    def take(self, chosen: np.ndarray) -> "Candidates":
        """Return some of them, by their places or by a mask."""
        return Candidates(*(value[chosen] for value in vars(self).values()))


def search(thumbs: np.ndarray, on_progress: OnStep | None = None) -> Candidates:
    """Return the pairs that are alike at a glance.

    Args:
        thumbs: uint8 [n, SIDE, SIDE, 3], with n of at least 2.
        on_progress: called with (pictures done, pictures in all).
    """
    number = len(thumbs)
    windows = _WINDOWS if number < _MANY else _WINDOWS[:1]
    spans = list(itertools.product(windows, windows))
    upright: list[View] = [(UPRIGHT, across, down) for across, down in spans]
    around: list[View] = [(turn, *spans[0]) for turn in range(len(TURNS)) if turn != UPRIGHT]
    cut = descriptions.described(thumbs, windows)
    plain = cut[0]
    step = max(1, _CACHED // number)

    def of_rows(start: int) -> np.ndarray:
        rows = slice(start, min(start + step, number))
        of_turned = [descriptions.turned_rows(plain[rows], TURNS[turn]) for turn, _, _ in around]
        found = _nearest(list(cut[:, rows]), plain, rows, 0)
        return np.hstack([found, _nearest(of_turned, plain, rows, len(upright))])

    parts = []
    for part in threads.several(of_rows, range(0, number, step)):
        parts.append(part)
        if on_progress:
            on_progress(min(step * len(parts), number), number)
    parts.extend(_of_flat(thumbs))
    return _once(np.concatenate(parts, axis=1), upright + around)


def _nearest(views: list[np.ndarray], plain: np.ndarray, rows: slice, first: int) -> np.ndarray:
    """Return (first, second, likeness, view) of the pictures likest to some, [4, found].

    Args:
        views: descriptions of those pictures in several ways, each [rows, d].
        plain: of all pictures, [n, d].
        rows: which pictures they are.
        first: the place of the first view among all.
    """
    best = views[0] @ plain.T
    other = np.empty_like(best)
    for view in views[1:]:
        np.maximum(best, np.matmul(view, plain.T, out=other), out=best)
    own = np.arange(rows.start, rows.stop)
    best[np.arange(len(own)), own] = -1
    row, column = _highest(best, _NEAREST, _LEAST)
    each = np.stack([(view[row] * plain[column]).sum(axis=1) for view in views])
    return np.stack([own[row], column, best[row, column], each.argmax(axis=0) + first])


def _highest(likeness: np.ndarray, count: int, least: float) -> tuple[np.ndarray, np.ndarray]:
    """Return rows and columns of the values over a limit, at most so many a row, the highest."""
    rows, columns = np.nonzero(likeness > least)
    if len(rows) > 10 * count * len(likeness):
        kept = np.argpartition(-likeness, count - 1, axis=1)[:, :count]
        rows, columns = np.repeat(np.arange(len(kept)), kept.shape[1]), kept.ravel()
        over = likeness[rows, columns] > least
        return rows[over], columns[over]
    order = np.lexsort((-likeness[rows, columns], rows))
    rows, columns = rows[order], columns[order]
    begins = np.searchsorted(rows, np.arange(len(likeness)))
    kept = np.arange(len(rows)) - begins[rows] < count
    return rows[kept], columns[kept]


def _of_flat(thumbs: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the pairs of even pictures with the nearest colours: compression took their shapes."""
    small = thumbs.reshape(len(thumbs), 8, SIDE // 8, 8, SIDE // 8, 3).mean(axis=(2, 4))
    rows = small.reshape(len(thumbs), -1).astype(np.float32)
    flat = np.flatnonzero(thumbs.astype(np.float32).std(axis=(1, 2)).max(axis=1) < _FLAT)
    if len(flat) < 2:
        return
    rows, squares = rows[flat] - 127.5, ((rows[flat] - 127.5) ** 2).sum(axis=1)
    step = max(1, _CELLS // len(flat))
    for start in range(0, len(flat), step):
        own = np.arange(start, min(start + step, len(flat)))
        near = 2 * rows[own] @ rows.T - squares - squares[own, None]
        near[np.arange(len(own)), own] = -np.inf
        row, column = _highest(near, _FLAT_NEAREST, -np.inf)
        alike = np.clip(1 + near[row, column] / rows.shape[1] / _FLAT**2, _LEAST, 1)
        view = np.zeros(len(row))
        yield np.stack([flat[own[row]], flat[column], alike, view])


def _once(found: np.ndarray, views: list[View]) -> Candidates:
    """Return each pair in each turn once, as the likeliest of its finds, the likeliest first."""
    first, second, likeness, view = found
    swapped = first > second
    windows = np.tile(np.array([0.0, 1.0, 0.0, 1.0], np.float32), (len(first), 2, 1))
    spans = np.array([(*across, *down) for _, across, down in views], np.float32)
    turns = np.array([turn for turn, _, _ in views])
    windows[:, 0] = spans[view.astype(int)]
    turn = turns[view.astype(int)]
    # The first of a find is the one that was turned; a pair names how its second is to be turned.
    turn = np.where(swapped, turn, _INVERSE[turn])
    windows[swapped] = windows[swapped][:, ::-1]
    low, high = np.minimum(first, second).astype(int), np.maximum(first, second).astype(int)
    order = np.lexsort((turn, high, low, -likeness))
    keys = np.stack([low, high, turn != UPRIGHT], axis=1)[order]
    once = order[np.sort(np.unique(keys, axis=0, return_index=True)[1])]
    return Candidates(
        low[once], high[once], likeness[once].astype(np.float32), turn[once], windows[once]
    )
