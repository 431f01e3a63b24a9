"""Find copies of pictures in a data set: the same pixels, or the same photograph changed a little.

Changed a little: compressed anew, made larger or smaller, stretched, cropped by up to a tenth at
each side, brighter or darker, with noise, from one burst, mirrored or turned. Three sieves, each
finer and slower than the last: `candidates` on the small copies, registration on the small copies,
and on the stored pictures; see `verification`.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import Literal

import numpy as np
from PIL import Image
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from transfer.dataset import candidates, verification
from transfer.dataset.index import ImageIndex
from transfer.dataset.looks import Looks

OnStep = Callable[[int, int], None]

_ALL_PAIRS = 30  # equal pictures of which all pairs are named; of more, each with the next


@dataclass(frozen=True)
class Pair:
    """Two pictures that show the same, by their positions in `index.pictures`, `first` < `second`.

    `kind` is "exact" where their pixels are the same; `likeness` from 0 to 1.
    """

    first: int
    second: int
    kind: Literal["exact", "near"]
    likeness: float


@dataclass(frozen=True)
class Duplicates:
    """All pairs, and `ids`, int64 [n]: pictures with the same id are copies of one another."""

    pairs: tuple[Pair, ...]
    ids: np.ndarray

    def clusters(self) -> tuple[tuple[int, ...], ...]:
        """Return the positions of two or more copies that belong together, the largest first."""
        return clusters(self.ids)


def find(index: ImageIndex, looks: Looks, on_progress: OnStep | None = None) -> Duplicates:
    """Return the copies among the pictures of a data set.

    Equal pictures are looked at once. Time grows with the square of the number of pictures, but the
    square is a product of matrices: 100,000 pictures take minutes.

    Args:
        index: the data set.
        looks: of all its pictures.
        on_progress: called with (steps done, steps in all).
    """
    equal: dict[str, list[int]] = defaultdict(list)
    for position, picture in enumerate(index.pictures):
        equal[picture.sha256].append(position)
    pairs = [Pair(i, j, "exact", 1.0) for same in equal.values() for i, j in _pairs(same)]
    different = np.array([same[0] for same in equal.values()], dtype=np.int64)
    if len(different) > 1:
        pairs += _near(index, looks.thumbs, different, on_progress)
    pairs.sort(key=lambda pair: (pair.first, pair.second))
    links = [(pair.first, pair.second) for pair in pairs]
    return Duplicates(tuple(pairs), joined(len(index.pictures), links))


def conflicts(index: ImageIndex, found: Duplicates) -> tuple[tuple[int, ...], ...]:
    """Return the clusters whose pictures have different labels: one of them must be wrong."""
    return _differing(found, [picture.label for picture in index.pictures])


def leaks(index: ImageIndex, found: Duplicates) -> tuple[tuple[int, ...], ...]:
    """Return the clusters that lie in several of the user's own split folders."""
    return _differing(found, [picture.split or "" for picture in index.pictures])


def clusters(ids: np.ndarray) -> tuple[tuple[int, ...], ...]:
    """Return the positions of each id that occurs twice or more, the largest first."""
    order = np.argsort(ids, kind="stable")
    parts = np.split(order, np.flatnonzero(np.diff(ids[order])) + 1)
    several = (tuple(part.tolist()) for part in parts if len(part) > 1)
    return tuple(sorted(several, key=lambda part: (-len(part), part)))


def joined(number: int, links: Iterable[tuple[int, int]]) -> np.ndarray:
    """Return an id for each of so many pictures, the same where links lead, int64 [number]."""
    ends = np.array(list(links), dtype=np.int64).reshape(-1, 2)
    graph = coo_array((np.ones(len(ends)), (ends[:, 0], ends[:, 1])), shape=(number, number))
    return connected_components(graph, directed=False)[1].astype(np.int64)


def _near(
    index: ImageIndex, thumbs: np.ndarray, positions: np.ndarray, on_progress: OnStep | None
) -> list[Pair]:
    """Return the near copies among pictures that all differ."""
    own = thumbs[positions]

    def read(place: int) -> Image.Image:
        with Image.open(index.path(index.pictures[positions[place]])) as picture:
            return picture.convert("RGB")

    steps = _Steps(on_progress)
    found = candidates.search(own, steps.part(0))
    found, fit = verification.glance(own, found)
    verdict = verification.verify(read, own, found, fit, steps.part(1))
    likeness: dict[tuple[int, int], float] = {}
    for place in np.flatnonzero(verdict.copies):
        ends = positions[[found.first[place], found.second[place]]]
        pair = (int(ends.min()), int(ends.max()))
        likeness[pair] = max(likeness.get(pair, 0.0), float(verdict.likeness[place]))
    steps.end()
    return [Pair(*pair, "near", value) for pair, value in likeness.items()]


class _Steps:
    """Tells one progress of two parts, in hundredths."""

    def __init__(self, on_progress: OnStep | None) -> None:
        self._tell = on_progress

    def part(self, number: int) -> OnStep:
        def step(done: int, total: int) -> None:
            if self._tell:
                self._tell(50 * number + (50 * done) // max(1, total), 100)

        return step

    def end(self) -> None:
        if self._tell:
            self._tell(100, 100)


def _pairs(same: Sequence[int]) -> Iterable[tuple[int, int]]:
    return combinations(same, 2) if len(same) <= _ALL_PAIRS else pairwise(same)


def _differing(found: Duplicates, names: Sequence[str]) -> tuple[tuple[int, ...], ...]:
    return tuple(part for part in found.clusters() if len({names[i] for i in part}) > 1)
