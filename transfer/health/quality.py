"""Flaws of a data set: classes and pictures that are few, small, dark, blurred, odd or unlike."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from transfer.dataset.index import ImageIndex
from transfer.dataset.looks import Looks
from transfer.health import cues

KINDS = (
    "few", "imbalance", "small", "flat", "dark", "bright", "blurred", "odd_shape", "unlike",
)  # fmt: skip
ENOUGH = 20  # pictures of a class; with fewer the interval of its accuracy is over 35 points wide
_IMBALANCE = 3.0  # times as many pictures as the median class, or as few
_SMALL, _SMALLER = 64, 4.0  # short side in pixels; times smaller than the median of the set
_NORMAL = 1.4826  # median absolute deviation to standard deviation, of a normal distribution
_FAR = 2.0  # robust deviations from the median, beside a limit for each kind
_DARK, _BRIGHT = 35.0, 225.0  # mean grey value
_WASHED_OUT, _FLAT = 40.0, 2.5  # spread of the grey values
_FLATTER = 4.0  # times less contrast than the medians of the set and of the class
_RULE = 0.25  # of a class: what more of its pictures have is how it looks, not a flaw
_BLURRED, _SOFTER = 8.0, 3.0  # Laplacian at 128 pixels; times softer than the median of the set
_ODD, _LONG = 1.5, 2.4  # times as long as the median shape; as long at all
_NEIGHBOURS, _LONELY, _ENOUGH_TO_COMPARE = 5, 5.0, 20
_BLOCK, _WIDEST = 1024, 256


@dataclass(frozen=True)
class Flaw:
    """One kind of flaw with the pictures that have it, the worst first.

    `positions` are places in `index.pictures`, `values` what was measured of each and `labels` its
    class. Of "few" and "imbalance" there are no positions: `labels` are the classes and `values`
    how many pictures are to be added, or how many times as many it has as the median class.

    Values of the others: "small" the short side of the file in pixels, "dark" and "bright" the
    mean grey value (0-255), "flat" its spread, "blurred" the spread of the Laplacian at a short
    side of 128 pixels, "odd_shape" width over height, "unlike" the distance to the nearest others
    over the median of that distance.
    """

    kind: str
    positions: tuple[int, ...]
    values: tuple[float, ...]
    labels: tuple[str, ...]


def find(index: ImageIndex, looks: Looks, top: np.ndarray | None = None) -> tuple[Flaw, ...]:
    """Return what is wrong with classes and pictures; kinds in the order of `KINDS`.

    What is usual in the set is no flaw: a picture stands out from the others, and is bad in
    itself. Medians and median deviations are used, so that the flawed do not hide each other.

    Args:
        index: the data set.
        looks: of all its pictures.
        top: features [n, d] of a network, where they are known; needed for "unlike".
    """
    if not index.pictures:
        return ()
    numbers = index.class_numbers()
    flat = _unusual(_flat(looks, numbers), numbers)
    dark, bright, blurred = (
        _unusual(found & ~flat, numbers)
        for found in (_dark(looks), _bright(looks), _blurred(looks))
    )
    checks: list[tuple[str, Callable[[], tuple[np.ndarray, np.ndarray, np.ndarray]]]] = [
        ("small", lambda: _small(index)),
        ("flat", lambda: _below(looks.measure("contrast"), flat)),
        ("dark", lambda: _below(looks.measure("brightness"), dark)),
        ("bright", lambda: _above(looks.measure("brightness"), bright)),
        ("blurred", lambda: _below(looks.measure("sharpness"), blurred)),
        ("odd_shape", lambda: _odd_shape(index)),
    ]
    if top is not None:
        checks.append(("unlike", lambda: _unlike(top)))
    flaws = [_few(index), _imbalance(index)]
    flaws += [_of_pictures(kind, index, *check()) for kind, check in checks]
    return tuple(flaw for flaw in flaws if flaw.labels)


def _few(index: ImageIndex) -> Flaw:
    missing = {name: ENOUGH - n for name, n in index.counts().items() if n < ENOUGH}
    ordered = sorted(missing, key=lambda name: -missing[name])
    return Flaw("few", (), tuple(float(missing[name]) for name in ordered), tuple(ordered))


def _imbalance(index: ImageIndex) -> Flaw:
    counts = index.counts()
    ordered = sorted(counts.values())
    # Of two classes the larger one is the measure: the mean would hide that one is tiny.
    usual = ordered[len(ordered) // 2]
    ratios = {name: n / usual for name, n in counts.items()}
    far = [name for name, ratio in ratios.items() if not 1 / _IMBALANCE < ratio < _IMBALANCE]
    far.sort(key=lambda name: -abs(np.log(ratios[name])))
    return Flaw("imbalance", (), tuple(ratios[name] for name in far), tuple(far))


def _small(index: ImageIndex) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    sides = np.array([min(cues.dimensions(one)) for one in index.pictures], np.float64)
    usual = float(np.median(sides))
    return _below(sides, (sides < _SMALL) | (sides * _SMALLER <= usual) & (sides < 4 * _SMALL))


def _unusual(flawed: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """Return the flawed but those of classes that look like that as a rule, bool [n]."""
    shares = np.bincount(numbers, flawed) / np.maximum(np.bincount(numbers), 1)
    return flawed & (shares <= _RULE)[numbers]


def _flat(looks: Looks, numbers: np.ndarray) -> np.ndarray:
    contrast = looks.measure("contrast")
    usual = np.array([np.median(contrast[numbers == k]) for k in range(numbers.max() + 1)])
    return (contrast < _FLAT) & (
        contrast * _FLATTER < np.minimum(usual[numbers], np.median(contrast))
    )


def _dark(looks: Looks) -> np.ndarray:
    light = looks.measure("brightness")
    return (light < _DARK) & (light < np.median(light) / 2) & _below_others(light)


def _bright(looks: Looks) -> np.ndarray:
    """Return which are washed out: light all over, and not as a rule in this set."""
    light, contrast = looks.measure("brightness"), looks.measure("contrast")
    pale = (light > _BRIGHT) & (contrast < _WASHED_OUT)
    return pale & _below_others(-light) & (contrast < np.median(contrast) / 1.5)


def _blurred(looks: Looks) -> np.ndarray:
    sharp = looks.measure("sharpness")
    # A picture of low contrast is soft as well: what counts is how soft its edges are.
    against = np.log(sharp + 0.1) - np.log(looks.measure("contrast") + 1)
    low = (sharp < _BLURRED) & (sharp * _SOFTER < np.median(sharp))
    return low & _below_others(np.log(sharp + 0.1)) & _below_others(against)


def _odd_shape(index: ImageIndex) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    shapes = np.log(np.array([one.width / one.height for one in index.pictures], np.float64))
    usual = float(np.median(np.abs(shapes)))
    length = np.abs(shapes)  # an upright one is as usual as one that lies
    odd = (length > usual + np.log(_ODD)) & (length > np.log(_LONG))
    chosen = np.flatnonzero(odd & (length > usual + _FAR * _deviation(length)))
    return chosen, np.exp(shapes[chosen]), -length[chosen]


def _unlike(top: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return pictures whose nearest others are far (Ramaswamy, Rastogi and Shim, SIGMOD 2000)."""
    n = len(top)
    if n < _ENOUGH_TO_COMPARE:
        return np.zeros(0, int), np.zeros(0), np.zeros(0)
    distance = _to_neighbours(_directions(top))
    logs = np.log(distance + 1e-6)
    usual = float(np.median(logs))
    chosen = np.flatnonzero(logs > usual + _LONELY * max(_deviation(logs), 0.05))
    values = np.exp(logs[chosen] - usual)
    return chosen, values, -values


def _directions(top: np.ndarray) -> np.ndarray:
    """Return features centred, of length 1, float32; of wide ones a random projection."""
    values = np.nan_to_num(top.astype(np.float32))
    if values.shape[1] > _WIDEST:  # keeps distances (Johnson and Lindenstrauss 1984)
        rng = np.random.default_rng(0)
        values = values @ rng.normal(size=(values.shape[1], _WIDEST)).astype(np.float32)
    values = values - values.mean(axis=0)
    return values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-6)


def _to_neighbours(values: np.ndarray) -> np.ndarray:
    """Return the mean distance of each row to its nearest others, in blocks, float64 [n]."""
    n, most = len(values), 8192
    others = np.random.default_rng(0).permutation(n)[:most] if n > most else np.arange(n)
    found = np.empty(n)
    for start in range(0, n, _BLOCK):
        part = values[start : start + _BLOCK]
        alike = part @ values[others].T
        rows = np.arange(start, start + len(part))
        alike[rows[:, None] == others] = -np.inf
        nearest = np.partition(alike, -_NEIGHBOURS, axis=1)[:, -_NEIGHBOURS:]
        found[rows] = np.sqrt(np.maximum(2 - 2 * nearest, 0)).mean(axis=1)
    return found


def _below_others(values: np.ndarray) -> np.ndarray:
    return values < np.median(values) - _FAR * _deviation(values)


def _deviation(values: np.ndarray) -> float:
    """Return the robust standard deviation: 1.48 times the median absolute deviation."""
    return _NORMAL * float(np.median(np.abs(values - np.median(values))))


def _below(values: np.ndarray, flawed: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    chosen = np.flatnonzero(flawed)
    return chosen, values[chosen], values[chosen]


def _above(values: np.ndarray, flawed: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    chosen = np.flatnonzero(flawed)
    return chosen, values[chosen], -values[chosen]


def _of_pictures(
    kind: str, index: ImageIndex, chosen: np.ndarray, values: np.ndarray, order: np.ndarray
) -> Flaw:
    """Return a flaw of pictures, those first whose `order` is lowest."""
    ranks = np.argsort(order, kind="stable")
    positions = tuple(int(chosen[i]) for i in ranks)
    measured = tuple(float(values[i]) for i in ranks)
    return Flaw(kind, positions, measured, tuple(index.pictures[i].label for i in positions))
