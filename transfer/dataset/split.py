"""Split an image index into train, validation and test: stratified, seeded, copies together."""

from collections import defaultdict
from dataclasses import dataclass
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
    pictures of which a copy is among the pictures that judge them.
    """

    train: tuple[int, ...]
    val: tuple[int, ...]
    test: tuple[int, ...]
    left_out: tuple[int, ...] = ()
    warnings: tuple[str, ...] = ()

    def counts(self) -> dict[str, int]:
        """Return the number of pictures in each part."""
        return {"train": len(self.train), "val": len(self.val), "test": len(self.test)}

    def to_json(self) -> dict[str, Any]:
        """Return the split as a JSON object."""
        return {key: list(value) for key, value in vars(self).items()}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "Split":
        """Return the split that `to_json` wrote."""
        return cls(
            train=tuple(value["train"]),
            val=tuple(value["val"]),
            test=tuple(value["test"]),
            left_out=tuple(value["left_out"]),
            warnings=tuple(value["warnings"]),
        )


def split(index: ImageIndex, seed: int) -> Split:
    """Return the user's own split where the folders state one, else a stratified 70/15/15 split.

    Where only `train` and `test` folders exist, validation comes out of `train`. Pictures with the
    same pixels never stand on both sides.

    Raises:
        DataError: a class has too few pictures left to learn from, or there is no train folder.
    """
    parts: dict[str | None, list[int]] = defaultdict(list)
    for position, picture in enumerate(index.pictures):
        parts[picture.split].append(position)
    named = {name for name in parts if name is not None}
    if len(named) < 2:
        everything = list(range(len(index.pictures)))
        result = _stratified(index, everything, seed, VALIDATION_SHARE, TEST_SHARE)
    elif "train" not in named:
        raise DataError(
            "Expected a 'train' folder beside the 'val' and 'test' folders, but found none."
            " Add one, or put the class folders at the top and let the app split them."
        )
    else:
        result = _given(index, parts, seed)
    _check_classes(index, result)
    return result


def _given(index: ImageIndex, parts: dict[str | None, list[int]], seed: int) -> Split:
    test = parts["test"]
    val, leaked_val = _without_copies(index, parts["val"], test)
    train, leaked_train = _without_copies(index, parts["train"], [*test, *val])
    if not val:
        inner = _stratified(index, train, seed, VALIDATION_SHARE, 0.0)
        train, val = list(inner.train), list(inner.val)
    left_out = tuple(sorted([*leaked_val, *leaked_train]))
    warnings = ()
    if left_out:
        warnings = (
            f"{len(left_out)} pictures of the train and val folders are left out: the same"
            " pictures are in the folders that judge the result.",
        )
    return Split(tuple(sorted(train)), tuple(sorted(val)), tuple(sorted(test)), left_out, warnings)


def _without_copies(
    index: ImageIndex, candidates: list[int], judges: list[int]
) -> tuple[list[int], list[int]]:
    """Return (kept, left out): a candidate with the pixels of a judge is left out."""
    seen = {index.pictures[i].sha256 for i in judges}
    kept = [i for i in candidates if index.pictures[i].sha256 not in seen]
    return kept, [i for i in candidates if index.pictures[i].sha256 in seen]


def _stratified(
    index: ImageIndex, positions: list[int], seed: int, val_share: float, test_share: float
) -> Split:
    """Share out each class by itself, whole groups of copies at a time."""
    rng = np.random.default_rng(seed)
    side_of: dict[str, str] = {}  # sha256 -> part; a copy under another label follows its twin
    sides: dict[str, list[int]] = {"train": [], "val": [], "test": []}
    by_label: dict[str, list[int]] = defaultdict(list)
    for i in positions:
        by_label[index.pictures[i].label].append(i)
    for _, members in sorted(by_label.items()):
        groups: dict[str, list[int]] = defaultdict(list)
        for i in members:
            groups[index.pictures[i].sha256].append(i)
        open_places = {
            "test": _places(len(members), test_share),
            "val": _places(len(members), val_share),
        }
        keys = sorted(groups)
        for position in rng.permutation(len(keys)):
            key = keys[position]
            size = len(groups[key])
            side = side_of.get(key) or next(
                (name for name, places in open_places.items() if places >= size), "train"
            )
            side_of[key] = side
            sides[side].extend(groups[key])
            if side in open_places:
                open_places[side] -= size
    train, val, test = (tuple(sorted(sides[name])) for name in ("train", "val", "test"))
    return Split(train, val, test)


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
