"""Find bursts: pictures that were taken one after the other of the same thing.

A burst needs two signs. Numbers or times that follow one another say that pictures may belong
together; that they look alike, clearly more than other pictures of their class do, says that they
do. Numbers alone say nothing: many data sets number all pictures of a class.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

import numpy as np

from transfer.dataset.index import ImageIndex

_AHEAD = 3  # how many of the next numbers or times may be of one burst
_NUMBERS = 5  # numbers that two frames of a burst may differ by
_SECONDS = 5.0  # between two frames of a burst
_FAR = 20  # places in order from which on pictures are no neighbours; a quarter of small classes
_RANDOM = 20_000  # pairs, at most, that say how alike the pictures of a class are anyway
_RARE, _RARE_TIMED = 0.995, 0.95  # quantiles of those that a burst has to exceed
_LEAST, _LEAST_TIMED = 0.65, 0.5  # likeness that it needs in any case
_ENOUGH = 0.97  # likeness that always is enough
_LONGEST, _SHARE, _SHORTEST = 100, 0.25, 6  # frames of a burst: at most, and of its class


def find(index: ImageIndex, rows: np.ndarray) -> list[tuple[int, int]]:
    """Return links between neighbours in number or time that look alike.

    Args:
        index: the data set.
        rows: how its pictures look, from `descriptions.described`.
    """
    links: dict[tuple[int, int], float] = {}
    for sequences, near, rare, least in (
        (_numbered(index), _NUMBERS, _RARE, _LEAST),
        (_timed(index), _SECONDS, _RARE_TIMED, _LEAST_TIMED),
    ):
        limits = _limits(index, rows, sequences, rare, least)
        for sequence in sequences:
            for first, second in _neighbours(sequence, near):
                likeness = float(rows[first] @ rows[second])
                if likeness > min(limits[first], limits[second]):
                    links[first, second] = likeness
    return _bounded(index, links)


def _numbered(index: ImageIndex) -> list[list[tuple[float, int]]]:
    """Return (number, position) of the pictures whose names differ by a number alone, in order."""
    found: dict[tuple[str, str], list[tuple[float, int]]] = defaultdict(list)
    for position, picture in enumerate(index.pictures):
        path = PurePosixPath(picture.name)
        if match := re.fullmatch(r"(.*?)(\d{1,12})(\D*)", path.stem):
            key = (str(path.parent), f"{match[1]}#{match[3]}")
            found[key].append((float(match[2]), position))
    return [sorted(part) for part in found.values() if len(part) > 1]


def _timed(index: ImageIndex) -> list[list[tuple[float, int]]]:
    """Return (seconds, position) of the pictures of each camera, in order."""
    found: dict[str, list[tuple[float, int]]] = defaultdict(list)
    for position, picture in enumerate(index.pictures):
        if picture.origin and picture.origin.taken is not None:
            found[picture.origin.camera].append((picture.origin.taken, position))
    return [sorted(part) for part in found.values() if len(part) > 1]


def _neighbours(sequence: Sequence[tuple[float, int]], near: float) -> Iterator[tuple[int, int]]:
    for place, (value, position) in enumerate(sequence):
        for other, after in sequence[place + 1 : place + 1 + _AHEAD]:
            if other - value <= near:
                yield min(position, after), max(position, after)


def _limits(
    index: ImageIndex,
    rows: np.ndarray,
    sequences: Sequence[Sequence[tuple[float, int]]],
    rare: float,
    least: float,
) -> np.ndarray:
    """Return for each picture how alike another one must be: more than its class is anyway, [n]."""
    places = np.full(len(rows), -1)
    start = 0
    for sequence in sequences:
        places[[position for _, position in sequence]] = np.arange(len(sequence)) + start
        start += len(sequence) + _FAR
    limits = np.full(len(rows), least)
    for own in map(np.array, _classes(index).values()):
        first, second = _pairs(own)
        far = max(_AHEAD + 1, min(_FAR, len(own) // 4))
        near = (np.abs(places[first] - places[second]) < far) & (places[first] >= 0)
        apart = (first != second) & ~near
        if apart.sum() >= 20:
            alike = (rows[first[apart]] * rows[second[apart]]).sum(axis=1)
            limits[own] = np.clip(np.quantile(alike, rare), least, _ENOUGH)
        else:  # nothing tells how alike they are anyway
            limits[own] = _ENOUGH
    return limits


def _pairs(own: np.ndarray) -> np.ndarray:
    """Return pairs of these positions, [2, m]: all of a small class, a sample of a large one."""
    if len(own) * (len(own) - 1) // 2 <= _RANDOM:
        return own[np.array(np.triu_indices(len(own), 1))]
    return np.random.default_rng(0).choice(own, (2, _RANDOM))


def _classes(index: ImageIndex) -> dict[tuple[str, str], list[int]]:
    """Return the positions of each class; the user's parts are apart: none decides for another."""
    found: dict[tuple[str, str], list[int]] = defaultdict(list)
    for position, picture in enumerate(index.pictures):
        found[picture.label, picture.split or ""].append(position)
    return found


def _bounded(index: ImageIndex, links: dict[tuple[int, int], float]) -> list[tuple[int, int]]:
    """Return the links, the likeliest first, as far as no burst takes too much of a class."""
    counts = {i: len(part) for part in _classes(index).values() for i in part}
    parents = list(range(len(index.pictures)))
    sizes = [1] * len(parents)

    def root(position: int) -> int:
        while parents[position] != position:
            parents[position] = parents[parents[position]]
            position = parents[position]
        return position

    kept = []
    for first, second in sorted(links, key=lambda link: (-links[link], link)):
        most = min(counts[i] for i in (first, second)) * _SHARE
        one, two = root(first), root(second)
        if one == two or sizes[one] + sizes[two] <= min(_LONGEST, max(_SHORTEST, most)):
            kept.append((first, second))
            if one != two:
                parents[two] = one
                sizes[one] += sizes[two]
    return kept
