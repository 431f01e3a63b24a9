"""Would more pictures help, and in which class? The probe's learning curve, and twice the pictures.

Leave-one-out accuracies at about six sizes, log-spaced, several draws each, are fitted by a power
law a - b * n^-c (Hestness et al. 2017; Viering & Loog 2022). What the fit leaves open is in the
band: pictures and draws are resampled, and each resampled curve takes its exponent c by how well
it fits. Nothing is said beyond twice the pictures.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.random import Generator

from transfer import evaluation, linear
from transfer.errors import DataError

SIZES = 6
REPEATS, _REPEATS_OF_MANY, _MANY = 5, 2, 20_000  # with many pictures chance is small
LEAST_A_CLASS = 4  # pictures of each class without which nothing is forecast
LEAST_APART = 10  # groups of each class, where pictures come in groups: parts of fewer say nothing
BEYOND = 2.0  # the furthest size, in multiples of the present one
_SMALLEST = 1 / 10  # share of the pictures at the first size, and
_LEAST_DRAWN = 3  # pictures of each class there
_DRAWS = 500  # resampled curves
_BAND = (5.0, 95.0)  # percentiles
_QUANTILE = 1.6448536269514722  # the same of the normal distribution
_EXPONENTS = np.geomspace(0.1, 1.0, 10)
_MISFIT = 5e-3  # accuracy by which no power law is exact
_WORTH = 0.01  # accuracy by doubling that is worth the work
_NOTHING = 1e-3  # a class's gain that is not told
_OFTEN = 0.5  # of the way from guessing to sureness that a class gains most before it is named
_LATE = 3  # sizes, the last ones, by which a class's errors are known
_UNLIKE = 0.4  # natural logarithm: how much classes differ in the share of errors that they lose
_STEPS = 4  # points of the forecast

Verdict = Literal["helps", "may_help", "enough"]
OnStep = Callable[[int, int], None]


@dataclass(frozen=True)
class Point:
    """Accuracy with so many pictures, measured or forecast, with its 90 % band."""

    images: int
    accuracy: float
    low: float
    high: float


@dataclass(frozen=True)
class Gain:
    """What twice the pictures add to an accuracy, with its 90 % band."""

    accuracy: float
    low: float
    high: float


@dataclass(frozen=True)
class ClassGain:
    """One class: its recall now, and what twice the pictures of all classes add to it.

    `gain` is None where that cannot be told from chance.
    """

    name: str
    images: int
    recall: float
    gain: Gain | None

    def to_json(self) -> dict[str, Any]:
        """Return the class as a JSON object."""
        gain = self.gain
        return {
            "class": self.name,
            "images": self.images,
            "recall": self.recall,
            "gain": gain.accuracy if gain else None,
            "low": gain.low if gain else None,
            "high": gain.high if gain else None,
        }


@dataclass(frozen=True)
class Forecast:
    """The learning curve, up to all pictures as measured and up to twice as many as forecast.

    The band of the curve says where the accuracy is that the probe would have on endlessly many
    pictures; that of the forecast, where the measured accuracy comes to lie. `verdict`: doubling
    adds surely more than a point (`helps`), surely less (`enough`), or neither is sure. `most`
    is the class that gains most, None where that may well be another one.
    """

    curve: tuple[Point, ...]
    forecast: tuple[Point, ...]
    gain: Gain
    per_class: tuple[ClassGain, ...]
    most: str | None
    verdict: Verdict

    def to_json(self) -> dict[str, Any]:
        """Return the forecast as a JSON object."""
        return {
            "curve": [asdict(point) for point in self.curve],
            "forecast": [asdict(point) for point in self.forecast],
            "gain": asdict(self.gain),
            "per_class": [one.to_json() for one in self.per_class],
            "most": self.most,
            "verdict": self.verdict,
            "sentence": self.sentence(),
        }

    def words(self) -> list[str]:
        """Return the curve as lines of a table, and the sentence."""
        rows = [
            f"{one.images:7,} pictures: {100 * one.accuracy:.1f} %"
            f" ({100 * one.low:.1f} to {100 * one.high:.1f} %)"
            for one in self.curve
        ]
        end = self.forecast[-1]
        low, high = 100 * end.low, 100 * end.high
        rows.append(f"{end.images:7,} pictures, if there were: {low:.1f} to {high:.1f} %")
        return [*rows, self.sentence()]

    def sentence(self) -> str:
        """Return what it means, for people."""
        low, high = 100 * self.gain.low, 100 * self.gain.high
        now, then = self.forecast[0].images, self.forecast[-1].images
        adds = f"{then:,} pictures instead of {now:,} would add {low:.1f} to {high:.1f} points"
        words = {
            "helps": f"More pictures help: {adds}.",
            "may_help": f"More pictures may help: {adds}.",
            "enough": f"More pictures of this kind hardly help: {adds}.",
        }[self.verdict]
        return f"{words} '{self.most}' gains most." if self.most else words


@dataclass(frozen=True)
class Trials:
    """Leave-one-out answers on parts of the pictures.

    `right` bool [trials, n], `drawn` bool [trials, n]: which pictures the part held; `size` int64
    [trials]: which of the sizes, ascending, the last of them all pictures.
    """

    right: np.ndarray
    drawn: np.ndarray
    size: np.ndarray


def forecast(
    features: np.ndarray,
    labels: np.ndarray,
    classes: tuple[str, ...],
    groups: np.ndarray,
    seed: int,
    on_step: OnStep | None = None,
) -> Forecast:
    """Measure the learning curve and draw it on to twice the pictures.

    Args:
        features: [n, d], any float type.
        labels: class numbers [n], at least `LEAST_A_CLASS` of each.
        classes: their names.
        groups: [n]; pictures of one group are drawn and left out together.
        seed: draws the parts and resamples.
        on_step: told of (fits done, fits in all).

    Raises:
        DataError: a class has too few pictures.
    """
    counts = np.bincount(labels, minlength=len(classes))
    if (least := int(counts.min())) < LEAST_A_CLASS:
        raise DataError(
            f"Class '{classes[int(counts.argmin())]}' has {least} pictures to learn from; a"
            f" forecast needs {LEAST_A_CLASS} of each. Add more, or take the class out."
        )
    apart = _apart(labels, groups)
    torn = np.flatnonzero((apart < LEAST_APART) & (apart < counts))
    if len(torn):
        fewest = int(apart[torn[0]])
        raise DataError(
            f"The pictures of '{classes[int(torn[0])]}' show only {fewest} different"
            f" occasions (copies and bursts count once); a forecast needs {LEAST_APART} of each"
            " class. Add pictures that were taken at other times or places."
        )
    trials = measured(features, labels, len(classes), groups, seed, on_step)
    rng = np.random.default_rng([seed, 1])
    return summed_up(trials, labels, classes, groups, rng)


def _apart(labels: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Return the number of groups of each class, int64 [classes]."""
    return np.array([len(np.unique(groups[labels == one])) for one in range(labels.max() + 1)])


def measured(
    features: np.ndarray,
    labels: np.ndarray,
    num_classes: int,
    groups: np.ndarray,
    seed: int,
    on_step: OnStep | None = None,
) -> Trials:
    """Fit the probe on parts of the pictures; arguments as `forecast` has them."""
    rng = np.random.default_rng(seed)
    n = len(labels)
    least = _LEAST_DRAWN / float(np.median(_apart(labels, groups)))
    shares = np.geomspace(min(max(_SMALLEST, least), 0.5), 1.0, SIZES)
    parts = [
        (size, _part(labels, groups, share, rng))
        for size, share in enumerate(shares[:-1])
        for _ in range(REPEATS if n <= _MANY else _REPEATS_OF_MANY)
    ]
    parts.append((SIZES - 1, np.ones(n, bool)))
    right, tell = np.zeros((len(parts), n), bool), on_step or (lambda _done, _total: None)
    for row, (_, part) in enumerate(parts):
        tell(row, len(parts))
        held = linear.probe(features[part], labels[part], num_classes, groups[part]).held_out
        right[row, part] = held.argmax(axis=1) == labels[part]
    tell(len(parts), len(parts))
    return Trials(right, np.stack([p for _, p in parts]), np.array([size for size, _ in parts]))


def summed_up(
    trials: Trials,
    labels: np.ndarray,
    classes: tuple[str, ...],
    groups: np.ndarray,
    rng: Generator,
) -> Forecast:
    """Return the forecast that follows from the trials; arguments as `forecast` has them."""
    n = len(labels)
    curves = _resampled(trials, groups, rng)
    sizes = np.array([trials.drawn[trials.size == k].sum(axis=1).mean() for k in range(SIZES)])
    fit = _Fit(curves, sizes / sizes[-1], rng)
    curve = _points(trials, curves, sizes, groups)
    now, spread = curve[-1].accuracy, (curve[-1].high - curve[-1].low) / (2 * _QUANTILE)
    # With m pictures the n of now are judged again: only the rest of them bring new chance.
    points = []
    for times in np.geomspace(1.0, BEYOND, _STEPS + 1):
        noise = rng.normal(0.0, spread * np.sqrt(1 - 1 / times), len(fit.slopes))
        low, high = np.percentile(now + fit.gains(times) + noise, _BAND)
        accuracy = now + float(fit.gains(times).mean())
        points.append(Point(round(times * n), *(float(min(v, 1.0)) for v in (accuracy, low, high))))
    gain = _gain(fit.gains(BEYOND))
    # Of several sizes, so that luck with the last one counts less.
    errors = 1 - curves.drawn[:, -_LATE:].mean(axis=1)
    rates = fit.gains(BEYOND) / np.maximum(errors, 1e-6)
    gains = _class_gains(trials, labels, groups, rates, rng)
    most = int(gains.mean(axis=1).argmax())
    often = float((gains.argmax(axis=0) == most).mean())
    # Of two classes alike, one gains most in half of the resampled curves.
    needed = _OFTEN + (1 - _OFTEN) / len(classes)
    right, members = trials.right[-1], [labels == one for one in range(len(classes))]
    return Forecast(
        curve=curve,
        forecast=tuple(points),
        gain=gain,
        per_class=tuple(
            ClassGain(name, int(own.sum()), float(right[own].mean()), told)
            for name, own, told in zip(classes, members, map(_told, gains), strict=True)
        ),
        most=classes[most] if _told(gains[most]) and often > needed else None,
        verdict="helps" if gain.low > _WORTH else "enough" if gain.high < _WORTH else "may_help",
    )


@dataclass(frozen=True)
class _Curves:
    """Accuracies at each size: as measured [sizes], and of resampled pictures [draws, sizes]."""

    told: np.ndarray
    drawn: np.ndarray


def _points(
    trials: Trials, curves: _Curves, sizes: np.ndarray, groups: np.ndarray
) -> tuple[Point, ...]:
    """Return the measured curve with its band."""
    points = []
    for k, size in enumerate(sizes):
        told = float(curves.told[k])
        low, high = np.percentile(curves.drawn[:, k], _BAND)
        # Resampling cannot doubt what was always right; Wilson's interval can.
        if told in (0.0, 1.0):
            seen = len(np.unique(groups[trials.drawn[trials.size == k].any(axis=0)]))
            low, high = evaluation.limits(told, seen, _QUANTILE)
        points.append(Point(round(float(size)), told, float(low), float(high)))
    return tuple(points)


class _Fit:
    """Power laws through resampled curves: accuracy(s) = level - slope * (s^-c - 1), s a share."""

    def __init__(self, curves: _Curves, shares: np.ndarray, rng: Generator) -> None:
        """Fit each curve by generalised least squares, its exponent drawn by how well it fits.

        Args:
            curves: what is fitted.
            shares: of all pictures at each size; the last is 1.
            rng: draws the exponents.
        """
        drawn = curves.drawn
        covariance = np.cov(drawn.T) + _MISFIT**2 * np.eye(drawn.shape[1])
        whitened = np.linalg.inv(np.linalg.cholesky(covariance))
        targets = whitened @ drawn.T
        slopes, badness = [], []
        for exponent in _EXPONENTS:
            design = whitened @ np.stack([np.ones_like(shares), 1 - shares**-exponent], axis=1)
            level, slope = np.linalg.lstsq(design, targets, rcond=None)[0]
            slope = np.clip(slope, 0.0, np.maximum(1 - level, 0.0))
            rest = targets - design[:, 1:] * slope
            level = (design[:, 0] @ rest) / (design[:, 0] @ design[:, 0])
            rest = targets - design @ np.stack([level, slope])
            slopes.append(slope)
            badness.append((rest**2).sum(axis=0))
        # Curves are resampled around the measured one, which is itself one of many: half counts.
        likely = np.exp(-0.25 * (np.array(badness) - np.min(badness, axis=0)))
        chosen = (likely.cumsum(axis=0) / likely.sum(axis=0) < rng.random(len(drawn))).sum(axis=0)
        self.exponents = _EXPONENTS[chosen]
        self.slopes = np.array(slopes)[chosen, np.arange(len(drawn))]

    def gains(self, times: float) -> np.ndarray:
        """Return what so many times the pictures add, for each resampled curve [draws]."""
        return self.slopes * (1 - times**-self.exponents)


def _gain(gains: np.ndarray) -> Gain:
    low, high = np.percentile(gains, _BAND)
    return Gain(float(gains.mean()), float(low), float(high))


def _told(gains: np.ndarray) -> Gain | None:
    """Return the gain where it is surely one."""
    gain = _gain(gains)
    return gain if gain.low > _NOTHING else None


def _class_gains(
    trials: Trials, labels: np.ndarray, groups: np.ndarray, rates: np.ndarray, rng: Generator
) -> np.ndarray:
    """Return what twice the pictures add to each class's recall, [classes, draws].

    A class's own learning curve is too noisy to be drawn on: on two data sets it hardly told which
    class gained (correlation 0.5 and 0.8 with the truth). That each class loses the same share of
    its errors as all pictures do tells it better (0.9), give or take `_UNLIKE`.

    Args:
        trials: of all pictures.
        labels: class numbers [n].
        groups: [n].
        rates: the share of errors that twice the pictures spare, [draws].
        rng: resamples.
    """
    gains = []
    for label in range(int(labels.max()) + 1):
        own = labels == label
        part = Trials(trials.right[:, own], trials.drawn[:, own], trials.size)
        errors = 1 - _resampled(part, groups[own], rng).drawn[:, -_LATE:].mean(axis=1)
        unlike = np.exp(rng.normal(0.0, _UNLIKE, len(rates)))
        gains.append(errors * np.minimum(rates * unlike, 1.0))
    return np.array(gains)


def _resampled(trials: Trials, groups: np.ndarray, rng: Generator) -> _Curves:
    """Return the curve, and those of resampled groups of pictures and resampled parts."""
    members = np.unique(groups, return_inverse=True)[1]
    weights = rng.exponential(size=(_DRAWS, int(members.max()) + 1))[:, members]  # Rubin 1981
    weights = np.concatenate([np.ones((1, len(members))), weights])
    right, there = weights @ trials.right.T.astype(float), weights @ trials.drawn.T.astype(float)
    shares = right / np.maximum(there, 1e-12)
    curve = np.empty((len(weights), SIZES))
    for size in range(SIZES):
        parts = np.flatnonzero(trials.size == size)
        chosen = rng.integers(0, len(parts), (len(weights), len(parts)))
        chosen[0] = np.arange(len(parts))
        curve[:, size] = np.take_along_axis(shares[:, parts], chosen, axis=1).mean(axis=1)
    return _Curves(curve[0], curve[1:])


def _part(labels: np.ndarray, groups: np.ndarray, share: float, rng: Generator) -> np.ndarray:
    """Return about this share of each class, whole groups at a time, bool [n]."""
    members = np.unique(groups, return_inverse=True)[1]
    order = rng.permutation(int(members.max()) + 1)[members]
    part = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        own = np.flatnonzero(labels == label)
        own = own[np.argsort(order[own], kind="stable")]
        wanted = min(max(_LEAST_DRAWN, round(share * len(own))), len(own))
        part[own[order[own] <= order[own[wanted - 1]]]] = True
    return part
