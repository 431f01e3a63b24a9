"""What was measured for an advice, as the core writes it into `advice.json`."""

from dataclasses import dataclass
from typing import Any

from app import shapes, ways
from app.shapes import EACH, SuspiciousError, expect
from transfer.errors import RunError
from transfer.runs import Run

_NAME = "advice"
_NUMBER = (float, None)
_GUESS = ({"safe": bool, "accuracy": float, "changed": float, "n": int}, None)
_SHAPE = {
    "size": {
        "images": int, "classes": int, "per_class": float, "smallest_class": int,
        "verdict": str, "confidence": float, "slope": _NUMBER,
        "curve": [{"images": int, "accuracy": float, "standard_error": _NUMBER}],
    },
    "similarity": {
        "bn_shift": _NUMBER, "bn_shift_error": _NUMBER, "measure": str,  # "spread": may be there
        "verdict": str, "confidence": float,
        "stage_profile": [
            {"stage": int, "layer": str, "accuracy": float, "standard_error": _NUMBER}
        ],
    },
    "point": {
        "size": float, "size_low": float, "size_high": float,
        "difference": float, "difference_low": float, "difference_high": float,
    },
    "strategy": str,
    "reasons": [str],
    "augmentation": ({"mirror": _GUESS, "turn": _GUESS}, None),
    "costs": {EACH: _NUMBER},
    "backbone": str,
    "image_size": int,
    "seconds": float,
}  # fmt: skip


@dataclass(frozen=True)
class Step:
    """The accuracy of a probe that learned from so many pictures, in [0, 1]."""

    images: int
    accuracy: float
    standard_error: float | None


@dataclass(frozen=True)
class Stage:
    """The cross-validated accuracy of a probe on one stage of the network, in [0, 1]."""

    stage: int
    layer: str
    accuracy: float
    standard_error: float | None


@dataclass(frozen=True)
class Size:
    """How many pictures there are, and whether more would help.

    `slope` is the accuracy gained by doubling them; `confidence` in [0, 1] that of the verdict.
    """

    images: int
    classes: int
    per_class: float
    smallest_class: int
    little: bool
    confidence: float
    curve: tuple[Step, ...]
    slope: float | None


@dataclass(frozen=True)
class Similarity:
    """How near the pictures are to those that the network knows.

    `bn_shift` is None for networks without BatchNorm; `measure` then says what was used. `spread`
    is the effective number of directions of the last stage's features, where it was measured.
    """

    bn_shift: float | None
    bn_shift_error: float | None
    spread: float | None
    measure: str
    similar: bool
    confidence: float
    profile: tuple[Stage, ...]


@dataclass(frozen=True)
class Span:
    """A place on one axis of the table, from 0 to 1 with the border at 0.5, and its error bar."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Guess:
    """Whether a change leaves the classes of pictures as they are, and by what that is guessed.

    `accuracy` is that of a probe on `n` pictures that it has not learned from, `changed` that on
    the same pictures mirrored or turned.
    """

    safe: bool
    accuracy: float
    changed: float
    n: int


@dataclass(frozen=True)
class Advice:
    """One advice with its evidence; `costs` in seconds for each strategy, where known."""

    size: Size
    similarity: Similarity
    amount: Span
    difference: Span
    strategy: str
    reasons: tuple[str, ...]
    mirror: Guess | None
    turn: Guess | None
    costs: dict[str, float]
    backbone: str
    image_size: int
    seconds: float


def read(run: Run) -> Advice | None:
    """Return the advice in a run folder; None where there is none that can be understood."""
    try:
        value = run.read(_NAME)
        return None if value is None else parsed(value)
    except (RunError, SuspiciousError):
        return None


def parsed(value: Any) -> Advice:
    """Return what the core wrote.

    Raises:
        SuspiciousError: it has another form, as that of another version may have.
    """
    shapes.check(value, _SHAPE, "advice.json")
    size, likeness, point = value["size"], value["similarity"], value["point"]
    known = size["verdict"] in ("little", "lots") and ways.known(value["strategy"])
    known = known and likeness["verdict"] in ("similar", "different")
    shares = [one["accuracy"] for one in (*size["curve"], *likeness["stage_profile"])]
    shares += [size["confidence"], likeness["confidence"], *point.values()]
    expect(known and all(0 <= share <= 1 for share in shares), "its advice is none")
    guesses, spread = value["augmentation"] or {}, likeness.get("spread")
    expect(shapes.fits(spread, _NUMBER), "its advice is none")
    return Advice(
        size=Size(
            images=size["images"],
            classes=size["classes"],
            per_class=size["per_class"],
            smallest_class=size["smallest_class"],
            little=size["verdict"] == "little",
            confidence=size["confidence"],
            curve=tuple(Step(**_only(one, Step)) for one in size["curve"]),
            slope=size["slope"],
        ),
        similarity=Similarity(
            bn_shift=likeness["bn_shift"],
            bn_shift_error=likeness["bn_shift_error"],
            spread=spread,
            measure=likeness["measure"],
            similar=likeness["verdict"] == "similar",
            confidence=likeness["confidence"],
            profile=tuple(Stage(**_only(one, Stage)) for one in likeness["stage_profile"]),
        ),
        amount=_span(point, "size"),
        difference=_span(point, "difference"),
        strategy=value["strategy"],
        reasons=tuple(value["reasons"]),
        mirror=_guess(guesses.get("mirror")),
        turn=_guess(guesses.get("turn")),
        costs={name: cost for name, cost in value["costs"].items() if cost is not None},
        backbone=value["backbone"],
        image_size=value["image_size"],
        seconds=value["seconds"],
    )


def _span(point: dict[str, float], axis: str) -> Span:
    return Span(point[axis], point[f"{axis}_low"], point[f"{axis}_high"])


def _guess(value: dict[str, Any] | None) -> Guess | None:
    return None if value is None else Guess(**_only(value, Guess))


def _only(value: dict[str, Any], kind: type) -> dict[str, Any]:
    """Return the fields that a dataclass has; the core may write more."""
    return {name: value[name] for name in kind.__dataclass_fields__}
