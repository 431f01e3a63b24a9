"""What changes to a data set do to the accuracy of a quick linear classifier, within seconds.

Ridge regression on kept features, each picture judged by a classifier that has not learned it nor
any of its group, in closed form (see `linear`, whose eigenvectors would take too long here): with
the Cholesky factor LL' = X'X + s I and Z = L^-1 X', the hat matrix is H = Z'Z + 1/n. Where there
are fewer pictures than features, LL' = XX' + s I and I - H = s L'^-1 L^-1 - 1/n. The strength s is
found once, before any change, so that nothing but the changes makes a difference.
"""

import contextlib
import math
import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import linalg

from transfer import evaluation, store
from transfer.dataset import library, mending, relation_files, versions
from transfer.dataset.index import ImageIndex, Picture
from transfer.dataset.mending import Change
from transfer.errors import DataError
from transfer.feature_store import FeatureStore
from transfer.health import probe_files
from transfer.health.probe_files import Source

FEWEST = 4  # pictures that a class needs to take part, as in a training
STRENGTHS = (10.0, 3.0, 1.0, 0.3, 0.1, 0.03)
_Z95 = 1.959963984540054
_MOST_CLASSES = 50  # of which the difference is told
_LEAST = 1e-6  # of what is left of a picture's own influence


@dataclass(frozen=True)
class Probed:
    """Of each picture, by name, its class, whether it was told right, held out, and its group."""

    labels: dict[str, str]
    right: dict[str, bool]
    groups: dict[str, int]
    strength: float


@dataclass(frozen=True)
class Difference:
    """How two accuracies on the same pictures differ: `value` with its 95 % interval."""

    value: float
    low: float
    high: float


def answer(digest: str) -> dict[str, Any]:
    """Return what the changes that are not kept yet do to the accuracy, as JSON; it is kept, too.

    Raises:
        DataError: the data set was not checked yet, or has too few pictures.
    """
    began = time.monotonic()
    source = probe_files.read_source(digest)
    if source is None:
        raise unchecked()
    changes = versions.draft(digest)
    base = mending.apply(_base(digest), ())
    changed = mending.apply(base, changes)
    kept = _Kept(source, related(digest))
    old = _before(base, kept)
    new = probed(changed, kept, old.strength) if changes else old
    found = {
        "fingerprint": probe_files.fingerprint(changes),
        "backbone": source.backbone,
        **compared(old, new, _relabelled(changes)),
        "unseen": len(changed.pictures) - len(kept.known(changed)),
        "seconds": round(time.monotonic() - began, 2),
    }
    probe_files.write_answer(digest, found)
    return found


def related(digest: str) -> dict[str, int]:
    """Return the group of each content, as the newest check of a version of this data set has it.

    Copies and bursts are what they are, whatever their labels: an older version's do as well.
    """
    for version in reversed(versions.history(digest)):
        with contextlib.suppress(DataError, KeyError):
            index = library.open_dataset(version.digest, minimum_per_class=1)
            if (kept := relation_files.read(index)) is not None:
                contents = [picture.sha256 for picture in index.pictures]
                return dict(zip(contents, kept["groups"], strict=True))
    return {}


class _Kept:
    """The kept features of a data set."""

    def __init__(self, source: Source, related: Mapping[str, int] | None = None) -> None:
        self.source = source
        self.related = related or {}
        self._store = FeatureStore(store.home() / source.folder, source.width)

    def known(self, index: ImageIndex) -> list[Picture]:
        """Return the pictures of which there are features.

        Raises:
            DataError: they are the smaller part.
        """
        contents = [picture.sha256 for picture in index.pictures]
        missing = {contents[i] for i in self._store.missing(contents)}
        known = [picture for picture in index.pictures if picture.sha256 not in missing]
        if 2 * len(known) < len(index.pictures):
            raise unchecked()
        return known

    def read(self, pictures: Sequence[Picture]) -> np.ndarray:
        """Return what the last stage says of pictures, float16 [n, d]."""
        return self._store.read([picture.sha256 for picture in pictures], self.source.slice)


def probed(index: ImageIndex, kept: _Kept, strength: float | None = None) -> Probed:
    """Judge every picture by a classifier that learned from all others that are not of its group.

    Args:
        index: the data set; classes of fewer than `FEWEST` pictures are set aside.
        kept: its features; pictures without any are set aside, too.
        strength: of the penalty; None: the best of `STRENGTHS`.

    Raises:
        DataError: most features are missing, or fewer than two classes are large enough.
    """
    known = kept.known(index)
    counts = Counter(picture.label for picture in known)
    pictures = [picture for picture in known if counts[picture.label] >= FEWEST]
    classes = sorted({picture.label for picture in pictures})
    if len(classes) < 2:
        raise DataError(
            f"Expected at least 2 classes of {FEWEST} or more pictures to tell apart, found"
            f" {len(classes)}. Add pictures, or undo a change."
        )
    labels = np.array([classes.index(picture.label) for picture in pictures])
    together = groups(pictures, kept.related)
    scores, used = held_out(
        kept.read(pictures), labels, together,
        STRENGTHS if strength is None else (strength,),
    )  # fmt: skip
    right = scores.argmax(axis=1) == labels
    names = [picture.name for picture in pictures]
    return Probed(
        {picture.name: picture.label for picture in pictures},
        dict(zip(names, right.tolist(), strict=True)),
        dict(zip(names, together.tolist(), strict=True)),
        used,
    )


def unchecked() -> DataError:
    """Return the error for a data set of which no features are kept."""
    return DataError("These pictures were not checked yet. Check the data first, then come back.")


def groups(pictures: Sequence[Picture], related: Mapping[str, int] | None = None) -> np.ndarray:
    """Return group ids, int64 [n].

    Equal pictures share one, those that the user groups, and those that a check found related:
    `related` has the number of the group of each content (copies, bursts).
    """
    parent = list(range(len(pictures)))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    first: dict[tuple[str, str], int] = {}
    for i, picture in enumerate(pictures):
        keys = [("content", picture.sha256)]
        keys += [("group", picture.group)] if picture.group else []
        if related and picture.sha256 in related:
            keys.append(("related", str(related[picture.sha256])))
        for key in keys:
            parent[root(i)] = root(first.setdefault(key, i))
    return np.array([root(i) for i in range(len(pictures))])


def held_out(
    features: np.ndarray, labels: np.ndarray, groups: np.ndarray, strengths: Sequence[float]
) -> tuple[np.ndarray, float]:
    """Return (scores float64 [n, classes] of pictures not learned, the strength they are of).

    Of several strengths, from strong to weak, the one with the least squared error counts.

    Args:
        features: [n, d], any float type.
        labels: class numbers [n], each of 0 .. classes - 1 at least once.
        groups: ids [n]; pictures of one group are left out together.
        strengths: of the penalty, for features scaled to a squared length of 1 on average.
    """
    x, told = _scaled(features), _targets(labels)
    targets = told - told.mean(axis=0)
    n, d = x.shape
    gram = linalg.blas.ssyrk(1.0, x.T if d < n else x, lower=1)
    together = _several(groups)
    best: tuple[float, float, np.ndarray] | None = None
    for strength in strengths:
        z = _rotated(x, gram, strength)
        if d < n:
            residuals = targets - z.T @ (z @ targets)
            diagonal = 1 - 1 / n - np.einsum("ij,ij->j", z, z)
        else:
            residuals = z.T @ (z @ targets)
            diagonal = np.einsum("ij,ij->j", z, z) - 1 / n
        errors = residuals / np.maximum(diagonal, _LEAST)[:, None]
        for rows in together:
            some = z[:, rows].astype(np.float64)
            hat = some.T @ some
            block = (np.eye(len(rows)) - hat if d < n else hat) - 1 / n
            errors[rows] = np.linalg.lstsq(block, residuals[rows], rcond=1e-6)[0]
        loss = float(np.square(errors, dtype=np.float64).mean())
        if best is not None and loss > best[0]:
            break
        best = (loss, strength, errors)
    if best is None:
        raise ValueError("expected at least one strength")
    return told.astype(np.float64) - best[2], best[1]


def compared(old: Probed, new: Probed, relabelled: Set[str]) -> dict[str, Any]:
    """Return as JSON how right both are on the pictures that both have, and where they differ.

    `untouched` is the same without those that were given another class one by one: a picture that
    got the class which the check had seen in it counts as right from then on, true or not.
    """
    both = [name for name in old.right if name in new.right]
    if not both:
        raise DataError("No picture is left as it was, so there is nothing to compare. Undo some.")
    same = [n for n in both if n not in relabelled or old.labels[n] == new.labels[n]]
    return {
        **_paired(old, new, both),
        "untouched": _paired(old, new, same) if 0 < len(same) < len(both) else None,
        "classes": _by_class(old, new, both),
        "class_count": [len(set(old.labels.values())), len(set(new.labels.values()))],
    }


def difference(before: np.ndarray, after: np.ndarray, groups: np.ndarray) -> Difference:
    """Return how much more often it is right after than before, on the same pictures, bool [n].

    The 95 % interval adds one picture to each side on which they differ (Bonett and Price 2012): it
    holds for few pictures, too. It is wider where pictures of one group (ids [n]) change together,
    by what that adds to the variance (the design effect, Kish 1965).
    """
    n = len(before)
    gained, lost = int((after & ~before).sum()), int((before & ~after).sum())
    up, down = (gained + 1) / (n + 2), (lost + 1) / (n + 2)
    half = _Z95 * math.sqrt(_design((after ^ before) * np.where(after, 1, -1), groups))
    half *= math.sqrt((up + down - (up - down) ** 2) / (n + 2))
    value = (gained - lost) / n
    low, high = min(value, up - down - half), max(value, up - down + half)
    return Difference(value, max(-1.0, low), min(1.0, high))


def _relabelled(changes: Sequence[Change]) -> set[str]:
    """Return the pictures that were given another class, not as a part of their whole class."""
    some = [change.pictures for change in changes if change.do in ("relabel", "split_off")]
    return set().union(*some)


def _base(digest: str) -> ImageIndex:
    """Return the version without its changes."""
    root = store.home() / "datasets" / digest
    return ImageIndex.from_json(root, store.read_json(root / "index.json"))


def _before(base: ImageIndex, kept: _Kept) -> Probed:
    """Return what is known of the data set before any change; computed once."""
    path = probe_files.before(base.digest)
    related_groups = len(set(kept.related.values()))
    facts = f"{kept.source.folder}:{kept.source.columns}:{len(kept.known(base))}:{related_groups}"
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):  # absent or damaged
        file = store.read_json(path)
        if file["facts"] == facts:
            labels = dict(zip(file["names"], file["labels"], strict=True))
            right = dict(zip(file["names"], file["right"], strict=True))
            together = dict(zip(file["names"], file["groups"], strict=True))
            return Probed(labels, right, together, float(file["strength"]))
    found = probed(base, kept)
    rows = {
        "names": list(found.labels),
        "labels": list(found.labels.values()),
        "right": list(found.right.values()),
        "groups": list(found.groups.values()),
    }
    with contextlib.suppress(OSError):  # on a full disk it is computed again
        store.write_json(path, {"facts": facts, "strength": found.strength, **rows})
    return found


def _scaled(features: np.ndarray) -> np.ndarray:
    """Return (x - mean) / (spread sqrt(d)), float32 [n, d]."""
    x = features.astype(np.float32)
    x -= x.mean(axis=0, dtype=np.float64).astype(np.float32)
    spread = np.sqrt(np.einsum("ij,ij->j", x, x, dtype=np.float64) / len(x))
    return x / (np.where(spread > 1e-5, spread, 1.0) * math.sqrt(x.shape[1])).astype(np.float32)


def _targets(labels: np.ndarray) -> np.ndarray:
    """Return 1 for the own class and -1 for the others, float32 [n, classes]."""
    targets = np.full((len(labels), int(labels.max()) + 1), -1.0, np.float32)
    targets[np.arange(len(labels)), labels] = 1.0
    return targets


def _rotated(x: np.ndarray, gram: np.ndarray, strength: float) -> np.ndarray:
    """Return L^-1 X' [d, n] with fewer features than pictures, else sqrt(strength) L^-1 [n, n]."""
    matrix = gram + np.float32(strength) * np.eye(len(gram), dtype=np.float32)
    factor, failed = linalg.lapack.spotrf(matrix, lower=1, overwrite_a=1)
    if failed:
        raise ValueError(f"expected a positive definite matrix, spotrf gave {failed}")
    if x.shape[1] < len(x):
        return linalg.blas.strsm(1.0, factor, x.T, lower=1)
    scale = np.float32(math.sqrt(strength)) * np.eye(len(x), dtype=np.float32)
    return linalg.blas.strsm(1.0, factor, scale, lower=1)


def _several(groups: np.ndarray) -> list[np.ndarray]:
    """Return the rows of each group of several pictures."""
    order = np.argsort(groups, kind="stable")
    edges = np.flatnonzero(np.diff(groups[order])) + 1
    return [rows for rows in np.split(order, edges) if len(rows) > 1]


def _design(values: np.ndarray, groups: np.ndarray) -> float:
    """Return how much larger the variance of a mean is for groups than for single pictures."""
    centred = values - values.mean()
    single = float(np.square(centred).sum())
    if not single:
        return 1.0
    sums = np.bincount(np.unique(groups, return_inverse=True)[1], weights=centred)
    return max(1.0, float(np.square(sums).sum()) / single)


def _paired(old: Probed, new: Probed, names: list[str]) -> dict[str, Any]:
    before = np.array([old.right[name] for name in names])
    after = np.array([new.right[name] for name in names])
    together = np.array([new.groups[name] for name in names])
    return {
        "pictures": len(names),
        "before": evaluation.wilson(int(before.sum()), len(names)).to_json(),
        "after": evaluation.wilson(int(after.sum()), len(names)).to_json(),
        "difference": vars(difference(before, after, together)),
    }


def _by_class(old: Probed, new: Probed, names: list[str]) -> list[dict[str, Any]]:
    """Return the classes of which another share is right now, the largest difference first."""
    shares: dict[str, list[list[bool]]] = defaultdict(lambda: [[], []])
    for name in names:
        shares[old.labels[name]][0].append(old.right[name])
        shares[new.labels[name]][1].append(new.right[name])
    rows = []
    for name, (before, after) in shares.items():
        if before and after and sum(before) * len(after) != sum(after) * len(before):
            then, now = sum(before) / len(before), sum(after) / len(after)
            rows.append({"name": name, "before": then, "after": now, "pictures": len(after)})
    return sorted(rows, key=lambda row: -abs(row["after"] - row["before"]))[:_MOST_CLASSES]
