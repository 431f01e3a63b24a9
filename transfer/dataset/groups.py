"""Which pictures a split must not tear apart: copies, bursts, patches, and what people name."""

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import PurePosixPath

import numpy as np

from transfer.dataset import bursts, descriptions, duplicates, overlaps, patterns
from transfer.dataset.duplicates import Duplicates
from transfer.dataset.index import ImageIndex
from transfer.dataset.looks import Looks

_PAIRS = 2000  # of pictures, that say whether those of one group are more alike


@dataclass(frozen=True)
class Groups:
    """What belongs together.

    `ids`, int64 [n]: pictures of one group share an id. `bursts` are the groups that hold
    neighbours in number or time, or patches of one larger picture; the largest first. `named` says
    whether the user named groups.
    """

    ids: np.ndarray
    bursts: tuple[tuple[int, ...], ...] = ()
    named: bool = False

    def clusters(self) -> tuple[tuple[int, ...], ...]:
        """Return the positions of two or more pictures that belong together, the largest first."""
        return duplicates.clusters(self.ids)


@dataclass(frozen=True)
class Guess:
    """A pattern of file names that seems to name groups, with an example and words for people."""

    pattern: str
    example: str
    groups: int
    words: str


def find(index: ImageIndex, looks: Looks, found: Duplicates) -> Groups:
    """Return what must stay together in a split.

    Args:
        index: the data set; what its pictures name as their group counts.
        looks: of all its pictures.
        found: its copies.
    """
    number = len(index.pictures)
    rows = descriptions.described(looks.thumbs)[0]
    links = [*bursts.find(index, rows), *overlaps.find(index, looks)]
    copies = [link for part in found.clusters() for link in pairwise(part)]
    by_name: dict[str, list[int]] = defaultdict(list)
    for position, picture in enumerate(index.pictures):
        if picture.group:
            by_name[picture.group].append(position)
    named = [link for part in by_name.values() for link in pairwise(part)]
    ids = duplicates.joined(number, [*links, *copies, *named])
    in_burst = {int(ids[first]) for first, _ in links}
    parts = duplicates.clusters(ids)
    shot = tuple(part for part in parts if int(ids[part[0]]) in in_burst)
    return Groups(ids, shot, bool(by_name))


def by_pattern(index: ImageIndex, pattern: str) -> list[str | None]:
    """Return the group of each picture as its name says, None where it does not; see `patterns`.

    Raises:
        DataError: it is no usable pattern.
    """
    return patterns.named([picture.name for picture in index.pictures], pattern)


def guess(index: ImageIndex, looks: Looks) -> Guess | None:
    """Return a file-name pattern that seems to name groups; None where names and looks do not."""
    rows = descriptions.described(looks.thumbs)[0]
    best, most = None, 0.0
    for pattern in _patterns([PurePosixPath(picture.name).stem for picture in index.pictures]):
        names = by_pattern(index, pattern)
        if _few_a_group(names, len(index.classes)) and (gain := _gain(index, rows, names)) > most:
            best, most = (pattern, names), gain
    if best is None:
        return None
    pattern, names = best
    sizes: dict[str, list[int]] = defaultdict(list)
    for position, name in enumerate(names):
        if name:
            sizes[name].append(position)
    example = max(sizes, key=lambda name: len(sizes[name]))
    files = [PurePosixPath(index.pictures[i].name).name for i in sizes[example][:2]]
    count = len(sizes)
    words = (
        f"The file names seem to say what belongs together: {' and '.join(files)} would be of one"
        f" group, '{example}'. That makes {count:,} groups, and pictures of one group look more"
        " alike than others of their class. If that is so, let a group stay on one side when the"
        " pictures are split."
    )
    return Guess(pattern, example, count, words)


def _patterns(stems: Sequence[str]) -> list[str]:
    """Return patterns worth a try: the part before the last number, the first part, word-number."""
    found = [r"^(.*)[_ .-]\d+$", r"^(.*?) ?\(\d+\)$", r"^(.*)[_ .-][A-Za-z]+\d+$", r"^([^_-]+)[_-]"]
    words: dict[str, int] = defaultdict(int)
    for stem in stems:
        for word in set(re.findall(r"([A-Za-z]+[_-]?)\d+(?=\D)", stem)):
            words[word] += 1
    often = sorted(words, key=lambda word: (-words[word], word))
    found += [rf"({re.escape(word)}\d+)" for word in often[:5] if words[word] > 0.8 * len(stems)]
    return found


def _few_a_group(names: Sequence[str | None], classes: int) -> bool:
    """Whether names make many groups of a few pictures each."""
    sizes: dict[str, int] = defaultdict(int)
    for name in names:
        if name:
            sizes[name] += 1
    number = len(names)
    together = sum(size for size in sizes.values() if size > 1)
    many = len(sizes) >= max(6, 2 * classes + 1)
    return together >= 0.6 * number and many and max(sizes.values()) <= max(4, 0.2 * number)


def _gain(index: ImageIndex, rows: np.ndarray, names: Sequence[str | None]) -> float:
    """Return how often pictures of one group are more alike than others of their class, over half.

    0 where that may be chance, or is too little.
    """
    random = np.random.default_rng(0)
    labels = index.class_numbers()
    own = np.flatnonzero([name is not None for name in names])
    groups = np.unique([names[int(i)] or "" for i in own], return_inverse=True)[1]
    keys = groups * len(index.classes) + labels[own]
    order = np.argsort(keys, kind="stable")
    same = np.flatnonzero(np.diff(keys[order]) == 0)
    same = random.choice(same, min(len(same), _PAIRS), replace=False) if len(same) else same
    if len(same) < 10:
        return 0.0
    first, second = own[order[same]], own[order[same + 1]]
    others = np.array([random.choice(np.flatnonzero(labels == labels[i])) for i in first])
    within, between = ((rows[first] * rows[place]).sum(axis=1) for place in (second, others))
    wins = float((within > between).mean())
    error = 0.5 / np.sqrt(len(others))
    return wins - 0.5 if wins - 3 * error > 0.6 else 0.0
