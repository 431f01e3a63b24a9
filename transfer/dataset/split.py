"""Split an image index into train, validation and test: stratified, seeded, groups together."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from transfer.dataset.index import ImageIndex
from transfer.errors import DataError

VALIDATION_SHARE = 0.15
TEST_SHARE = 0.15


@dataclass(frozen=True)
class Split:
    """Positions in `index.pictures` of each part, ascending, and what to say about it.

    `test` may be empty: the user's own folders held none. `left_out` are training or validation
    pictures of which a copy is among the pictures that judge them. `groups` has for each picture of
    the index the number of its group: pictures of one group are never on both sides.
    """

    train: tuple[int, ...]
    val: tuple[int, ...]
    test: tuple[int, ...]
    left_out: tuple[int, ...] = ()
    warnings: tuple[str, ...] = ()
    groups: tuple[int, ...] = ()

    def counts(self) -> dict[str, int]:
        """Return the number of pictures in each part."""
        return {"train": len(self.train), "val": len(self.val), "test": len(self.test)}

    def together(self, positions: Sequence[int] | np.ndarray) -> np.ndarray:
        """Return the number of the group of each of these pictures, int64 [n].

        In splits of an earlier version, which knew no groups, each picture is one of its own.
        """
        chosen = np.asarray(positions, np.int64)
        return np.asarray(self.groups, np.int64)[chosen] if self.groups else chosen

    def to_json(self) -> dict[str, Any]:
        """Return the split as a JSON object."""
        return {key: list(value) for key, value in vars(self).items()}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "Split":
        """Return the split that `to_json` wrote."""
        return cls(**{key: tuple(items) for key, items in value.items()})


def split(
    index: ImageIndex,
    seed: int,
    copies: np.ndarray | None = None,
    groups: np.ndarray | None = None,
) -> Split:
    """Return the user's own split where the folders state one, else a stratified 70/15/15 split.

    Where only `train` and `test` folders exist, validation comes out of `train`.

    Args:
        index: the data set.
        seed: decides who is where.
        copies: number of the cluster of copies of each picture, int64 [n]; none of them stands on
            both sides, not even of the user's own split. None: equal pixels are copies.
        groups: number of the group of each picture, int64 [n], where more than copies belongs
            together, such as a burst; where the split is ours, none stands on both sides.

    Raises:
        DataError: a class has too few pictures left to learn from, or there is no train folder.
    """
    copies = _equal(index) if copies is None else copies
    groups = copies if groups is None else groups
    parts: dict[str | None, list[int]] = defaultdict(list)
    for position, picture in enumerate(index.pictures):
        parts[picture.split].append(position)
    named = {name for name in parts if name is not None}
    if named and parts[None]:  # some were put into a part by hand; the others may be learned from
        parts["train"] = sorted([*parts["train"], *parts.pop(None)])
        named.add("train")
    if len(named) < 2:
        everything = list(range(len(index.pictures)))
        result = _stratified(index, everything, groups, seed, (VALIDATION_SHARE, TEST_SHARE))
    elif "train" not in named:
        raise DataError(
            "Expected a 'train' folder beside the 'val' and 'test' folders, but found none."
            " Add one, or put the class folders at the top and let the app split them."
        )
    else:
        result = _given(index, parts, copies, groups, seed)
    _check_classes(index, result)
    return replace(result, groups=tuple(groups.tolist()))


def _equal(index: ImageIndex) -> np.ndarray:
    return np.unique([picture.sha256 for picture in index.pictures], return_inverse=True)[1]


def _given(
    index: ImageIndex,
    parts: dict[str | None, list[int]],
    copies: np.ndarray,
    groups: np.ndarray,
    seed: int,
) -> Split:
    test = parts["test"]
    val, leaked_val = _without_copies(copies, parts["val"], test)
    train, leaked_train = _without_copies(copies, parts["train"], [*test, *val])
    warnings: list[str] = []
    if not val:
        inner = _stratified(index, train, groups, seed, (VALIDATION_SHARE, 0.0))
        train, val = list(inner.train), list(inner.val)
    left_out = tuple(sorted([*leaked_val, *leaked_train]))
    if left_out:
        number = "1 picture" if len(left_out) == 1 else f"{len(left_out)} pictures"
        warnings.append(
            f"{number} of the train and val folders {'is' if len(left_out) == 1 else 'are'} left"
            " out: the same pictures, or copies of them, are in the folders that judge the result."
        )
    return Split(
        tuple(sorted(train)), tuple(sorted(val)), tuple(sorted(test)), left_out, tuple(warnings)
    )


def _without_copies(
    copies: np.ndarray, candidates: list[int], judges: list[int]
) -> tuple[list[int], list[int]]:
    """Return (kept, left out): a candidate of which a judge is a copy is left out."""
    seen = set(copies[judges].tolist()) if judges else set()
    kept = [i for i in candidates if copies[i] not in seen]
    return kept, [i for i in candidates if copies[i] in seen]


def _stratified(
    index: ImageIndex,
    positions: list[int],
    groups: np.ndarray,
    seed: int,
    shares: tuple[float, float],
) -> Split:
    """Share out whole groups so that each class gets its shares of (validation, test)."""
    rng = np.random.default_rng(seed)
    members: dict[int, list[int]] = defaultdict(list)
    for i in positions:
        members[int(groups[i])].append(i)
    of_class = {key: Counter(index.pictures[i].label for i in g) for key, g in members.items()}
    totals = sum(of_class.values(), Counter())
    room = {
        "test": {label: _places(n, shares[1]) for label, n in totals.items()},
        "val": {label: _places(n, shares[0]) for label, n in totals.items()},
    }
    side = dict.fromkeys(members, "train")
    for label in sorted(totals):  # class by class, so that one more class changes no other
        keys = sorted((k for k in members if label in of_class[k]), key=lambda k: members[k][0])
        for place in rng.permutation(len(keys)):
            key = keys[place]
            if min(of_class[key]) == label:  # a group of several classes is shared out once
                side[key] = _first_with_room(room, of_class[key])
    _fill_empty(side, of_class, [name for name, share in zip(("val", "test"), shares, strict=True)
                                 if share])  # fmt: skip
    sides: dict[str, list[int]] = {"train": [], "val": [], "test": []}
    for key, name in side.items():
        sides[name].extend(members[key])
    train, val, test = (tuple(sorted(sides[name])) for name in ("train", "val", "test"))
    return Split(train, val, test, warnings=_untested(of_class, shares))


def _first_with_room(room: dict[str, dict[str, int]], counts: Counter[str]) -> str:
    """Return the part that still has places for all of a group, and take them."""
    for name, places in room.items():
        if all(places[label] >= n for label, n in counts.items()):
            for label, n in counts.items():
                places[label] -= n
            return name
    return "train"


def _fill_empty(side: dict[int, str], of_class: dict[int, Counter[str]], wanted: list[str]) -> None:
    """Give a part that got nothing of a class its smallest group, where two others are left.

    That happens where a class has only a few, large groups.
    """
    labels = sorted({label for counts in of_class.values() for label in counts})
    for label in labels:
        for name in reversed(wanted):  # the test first: it makes the number honest
            if any(side[key] == name and label in of_class[key] for key in side):
                continue
            in_train = Counter(one for key in side if side[key] == "train" for one in of_class[key])
            spare = [
                key
                for key in side
                if side[key] == "train"
                and label in of_class[key]
                and all(in_train[one] > 1 for one in of_class[key])
            ]
            if spare:
                side[min(spare, key=lambda key: (of_class[key].total(), key))] = name


def _untested(of_class: dict[int, Counter[str]], shares: tuple[float, float]) -> tuple[str, ...]:
    """Return a warning for each class that has too few groups to be in every part."""
    needed = 1 + sum(share > 0 for share in shares)
    number = Counter(label for counts in of_class.values() for label in counts)
    return tuple(
        f"All pictures of '{label}' belong together in"
        f" {'one group' if number[label] == 1 else f'{number[label]} groups'} (copies or bursts),"
        " so it cannot be fully tested on pictures of another occasion. Add pictures of it that"
        " were taken at other times or places."
        for label in sorted(number)
        if number[label] < needed
    )


def _places(members: int, share: float) -> int:
    """Return how many of a class's pictures a part gets: at least one where it gets any."""
    return max(1, round(members * share)) if share else 0


def _check_classes(index: ImageIndex, result: Split) -> None:
    in_train = {index.pictures[i].label for i in result.train}
    if missing := [name for name in index.classes if name not in in_train]:
        raise DataError(
            f"Class '{missing[0]}' has no pictures to learn from: none of its own are in the train"
            " folder. Add at least 4 there, or take the class out of the other folders."
        )
    if not result.val:
        raise DataError(
            "No pictures are left to choose the best model by: all of them are copies of each"
            " other. Add more, different pictures."
        )
