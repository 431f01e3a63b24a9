"""Place a data set on the decision table, from what was measured: plain NumPy, no model in sight.

The table of the CNN lectures (Stanford CS231n, transfer learning) asks two things: are there few
pictures or many, and are they like those that the network learned from? Both answers come with a
confidence; the thresholds and what they rest on stand beside them.
"""

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from transfer.wording import percent

Size = Literal["little", "lots"]
Similarity = Literal["similar", "different"]

TABLE: dict[tuple[Size, Similarity], str] = {
    ("little", "similar"): "linear_top",
    ("little", "different"): "linear_stages",
    ("lots", "similar"): "finetune_few",
    ("lots", "different"): "finetune_many",
}
# "Lots" begins at about so many pictures in all, and a class.
LOTS_IMAGES, LOTS_PER_CLASS = 1000, 100
_STEEP = 0.02  # accuracy gained by doubling the pictures, above which there are rather few
_SIZE_DOUBT = 0.7  # doublings: how exactly the border is known

# BatchNorm shift: under 0.10 similar and over 0.14 different to begin with (measured on seven small
# sets); five networks on four sets gave 0.08 to 0.12 and 0.22 to 0.28.
SHIFT_BORDER = 0.14
_SHIFT_DOUBT = 0.2  # natural logarithm
_SHIFT_LEAST = 0.01  # less is chance; what chance explains is taken off, so it may even be 0
# Effective number of directions of the last stage, for networks without BatchNorm: 32 to 69 and 9
# to 26 on the same networks and sets. A weaker witness: it depends on the classes too.
SPREAD_BORDER = 29.0
_SPREAD_DOUBT = 0.35
_SPREAD_MOST = 1.5  # log odds
# The stage profile, in standard errors of the paired difference: middle stage minus last.
_PROFILE_WEIGHT, _PROFILE_MOST = 0.8, 3.0
_FAR = 4.0  # log odds, or doublings, at the edge of the drawn table


@dataclass(frozen=True)
class StageScore:
    """How well a linear probe of one stage does on pictures that it left out, in [0, 1]."""

    stage: int
    layer: str
    accuracy: float
    standard_error: float


@dataclass(frozen=True)
class CurvePoint:
    """Leave-one-out accuracy of the last stage's probe on a part of the pictures."""

    images: int
    accuracy: float
    standard_error: float


@dataclass(frozen=True)
class Evidence:
    """What was measured on the pictures that may be learned from.

    `right` says for each stage and picture whether the probe that left it out was right
    [stages, n]. `bn_shift` is None for networks without BatchNorm; `spread` the effective number of
    directions of the last stage's features.
    """

    class_sizes: tuple[int, ...]
    curve: tuple[CurvePoint, ...]
    profile: tuple[StageScore, ...]
    right: np.ndarray
    bn_shift: float | None
    bn_shift_error: float
    spread: float


@dataclass(frozen=True)
class Axis:
    """One axis: the verdict, its confidence in [0.5, 1], the place in [0, 1] and its error bar."""

    verdict: str
    confidence: float
    place: float
    low: float
    high: float


@dataclass(frozen=True)
class Advice:
    """The cell that the data set falls into, and why."""

    size: Axis
    similarity: Axis
    strategy: str
    slope: float
    evidence: Evidence
    reasons: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the advice as a JSON object: size, similarity, point, strategy and reasons."""
        seen, images = self.evidence, sum(self.evidence.class_sizes)
        size, likeness = self.size, self.similarity
        return {
            "size": {
                "images": images,
                "classes": len(seen.class_sizes),
                "per_class": round(images / len(seen.class_sizes)),
                "smallest_class": min(seen.class_sizes),
                "verdict": size.verdict,
                "confidence": round(size.confidence, 3),
                "curve": [asdict(point) for point in seen.curve],
                "slope": self.slope,
            },
            "similarity": {
                "bn_shift": seen.bn_shift,
                "bn_shift_error": seen.bn_shift_error,
                "spread": seen.spread,
                "measure": "spread" if seen.bn_shift is None else "bn_shift",
                "stage_profile": [asdict(score) for score in seen.profile],
                "verdict": likeness.verdict,
                "confidence": round(likeness.confidence, 3),
            },
            "point": {
                "size": size.place,
                "size_low": size.low,
                "size_high": size.high,
                "difference": likeness.place,
                "difference_low": likeness.low,
                "difference_high": likeness.high,
            },
            "strategy": self.strategy,
            "reasons": list(self.reasons),
        }


def decide(evidence: Evidence) -> Advice:
    """Return the advice for what was measured."""
    slope = _slope(evidence.curve)
    size = _size(evidence, slope)
    likeness, gap, error = _similarity(evidence)
    strategy = TABLE[size.verdict, likeness.verdict]  # pyright: ignore[reportArgumentType]
    reasons = (_size_words(evidence, size, slope), *_similarity_words(evidence, gap, error))
    return Advice(size, likeness, strategy, slope, evidence, reasons)


def _slope(curve: tuple[CurvePoint, ...]) -> float:
    """Return the accuracy gained by the last doubling of the pictures."""
    if len(curve) < 2:
        return 0.0
    before, last = curve[-2], curve[-1]
    return (last.accuracy - before.accuracy) / math.log2(last.images / before.images)


def _size(evidence: Evidence, slope: float) -> Axis:
    """Place the number of pictures, in doublings from the border, corrected by the slope."""
    images, per_class = sum(evidence.class_sizes), float(np.median(evidence.class_sizes))
    doublings = min(math.log2(images / LOTS_IMAGES), math.log2(per_class / LOTS_PER_CLASS))
    # A curve that still climbs says that there is less than the number suggests; half a doubling.
    doublings -= 0.5 * float(np.clip((slope - _STEEP) / _STEEP, -1.0, 1.0))
    sure = _normal(abs(doublings) / _SIZE_DOUBT)
    place, low, high = (
        _place(doublings + shift) for shift in (0.0, -1.96 * _SIZE_DOUBT, 1.96 * _SIZE_DOUBT)
    )
    return Axis("lots" if doublings >= 0 else "little", sure, place, low, high)


def _similarity(evidence: Evidence) -> tuple[Axis, float, float]:
    """Return the axis, and the best middle stage minus the last with its standard error."""
    if evidence.bn_shift is not None:
        moved = max(evidence.bn_shift, _SHIFT_LEAST)
        doubt = math.hypot(_SHIFT_DOUBT, evidence.bn_shift_error / moved)
        odds = math.log(moved / SHIFT_BORDER) / doubt
    else:
        odds = math.log(SPREAD_BORDER / evidence.spread) / _SPREAD_DOUBT
        odds = float(np.clip(odds, -_SPREAD_MOST, _SPREAD_MOST))
    gap, error = _gap(evidence.right)
    odds += float(np.clip(_PROFILE_WEIGHT * gap / error, -_PROFILE_MOST, _PROFILE_MOST))
    sure = 1 / (1 + math.exp(-abs(odds)))
    place, low, high = (_place(odds + shift) for shift in (0.0, -1.5, 1.5))
    axis = Axis("different" if odds > 0 else "similar", sure, place, low, high)
    return axis, gap, error


def _gap(right: np.ndarray) -> tuple[float, float]:
    """Return (accuracy of the best middle stage minus the last, its paired standard error)."""
    if len(right) < 2:
        return 0.0, 1.0
    differences = right[:-1].astype(float) - right[-1]
    best = int(differences.mean(axis=1).argmax())
    n = right.shape[1]
    # One picture more or less is never certain: half a picture keeps the error from being nothing.
    return float(differences[best].mean()), float(differences[best].std() / math.sqrt(n) + 0.5 / n)


def _place(value: float) -> float:
    """Bring a signed evidence to (0, 1), the border at 0.5; far out, too, more is further out."""
    return round(0.5 + 0.5 * math.tanh(value / _FAR), 4)


def _normal(z: float) -> float:
    return 0.5 * (1 + math.erf(z / math.sqrt(2)))


def _size_words(evidence: Evidence, size: Axis, slope: float) -> str:
    images, classes = sum(evidence.class_sizes), len(evidence.class_sizes)
    few = "quite a lot" if size.verdict == "lots" else "few"
    words = (
        f"There are {images:,} pictures, without those put aside for the test, about"
        f" {round(images / classes):,} in each of {classes} classes: {few} (quite a lot begins near"
        f" {LOTS_IMAGES:,} pictures, with {LOTS_PER_CLASS} or more in a class)."
    )
    if len(evidence.curve) < 2:
        return words
    return words + (
        f" Twice as many would make a simple classifier right on about {100 * slope:.1f} % more of"
        " them, going by the last doubling."
        if slope > 0.0005
        else " A simple classifier hardly gains by more of them."
    )


def _similarity_words(evidence: Evidence, gap: float, error: float) -> list[str]:
    words = []
    if evidence.bn_shift is not None:
        side = "much as it saw" if evidence.bn_shift < SHIFT_BORDER else "unlike what it saw"
        words.append(
            f"The network sees them {side} when it learned: what its channels say of them is"
            f" shifted by {evidence.bn_shift:.2f} on average (0: the very kind that it learned"
            f" from; the border is near {SHIFT_BORDER:.2f})."
        )
    else:
        wide = "in many ways" if evidence.spread > SPREAD_BORDER else "in few ways"
        words.append(
            f"The network's last stage tells them apart {wide}: {evidence.spread:.0f} independent"
            f" directions (the border is near {SPREAD_BORDER:.0f}; a weaker sign than others)."
        )
    if len(evidence.profile) > 1:
        words.append(_profile_words(evidence, gap, error))
    return words


def _profile_words(evidence: Evidence, gap: float, error: float) -> str:
    images = sum(evidence.class_sizes)
    last = evidence.profile[-1]
    best = max(evidence.profile[:-1], key=lambda score: score.accuracy)
    highest, at_last = percent(best.accuracy, images), percent(last.accuracy, images)
    figures = f" ({highest} at stage {best.stage}, {at_last} at the last)"
    if gap > error:
        return (
            "A middle stage, which sees parts and textures, tells your classes apart better than"
            f" the last, which sees whole things{figures}: they are unlike everyday photographs."
        )
    if gap < -error:
        return (
            "The last stage, which sees whole things, tells your classes apart best"
            f"{figures}: the network knows such things."
        )
    return f"The middle stages tell your classes apart as well as the last{figures}."
