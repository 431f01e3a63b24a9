"""Which pictures belong together: copies and bursts, found once and kept beside the data set."""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from transfer.dataset import duplicates, groups, looks, relation_files, split
from transfer.dataset.duplicates import Duplicates, Pair
from transfer.dataset.groups import Groups
from transfer.dataset.index import ImageIndex
from transfer.dataset.split import Split

OnStep = Callable[[int, int], None]


@dataclass(frozen=True)
class Relations:
    """What belongs together in one data set, by positions in its pictures."""

    duplicates: Duplicates
    groups: Groups


def find(index: ImageIndex, on_progress: OnStep | None = None) -> Relations:
    """Return what belongs together; the second time it is read from the data set's folder.

    Args:
        index: the data set, with or without its small classes.
        on_progress: told of (done, total) while pictures are compared.
    """
    with contextlib.suppress(ValueError, KeyError, TypeError):
        if (kept := relation_files.read(index)) is not None:
            return _from_json(kept)
    looked = looks.compute(index)
    # Several threads compare pictures: matrix products with threads of their own would only wait.
    with threadpool_limits(1, "blas"):
        copies = duplicates.find(index, looked, on_progress)
        found = Relations(copies, groups.find(index, looked, copies))
    relation_files.write(index, _to_json(found))
    return found


def shared_out(index: ImageIndex, seed: int, on_progress: OnStep | None = None) -> Split:
    """Return the split in which copies and bursts stay on one side; see `split.split`.

    Raises:
        DataError: a class has too few pictures left to learn from, or there is no train folder.
    """
    found = find(index, on_progress)
    return split.split(index, seed, found.duplicates.ids, found.groups.ids)


def _to_json(found: Relations) -> dict[str, Any]:
    return {
        "pairs": [list(vars(pair).values()) for pair in found.duplicates.pairs],
        "copies": found.duplicates.ids.tolist(),
        "groups": found.groups.ids.tolist(),
        "bursts": [list(burst) for burst in found.groups.bursts],
        "named": found.groups.named,
    }


def _from_json(value: dict[str, Any]) -> Relations:
    pairs = tuple(Pair(*row) for row in value["pairs"])
    copies = Duplicates(pairs, np.array(value["copies"], np.int64))
    bursts = tuple(tuple(burst) for burst in value["bursts"])
    return Relations(copies, Groups(np.array(value["groups"], np.int64), bursts, value["named"]))
