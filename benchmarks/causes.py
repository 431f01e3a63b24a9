"""Trainings of known cause on real pictures: what is done to each, and what should be read of it.

Of each cause there are several trainings, on different sets. The design half was looked at while
the rules were chosen, the held-out half was not.
"""

from dataclasses import dataclass
from typing import Any, Literal

HEALTHY = ("healthy", "plateau")


@dataclass(frozen=True)
class Cause:
    """One training: what it learns from, how, and the readings that count as right.

    Attributes:
        name: unique among all.
        expected: kinds of the worst reading, any of which is right.
        dataset: a folder of the shared data sets.
        classes: so many of its classes, by name; None: all.
        train: pictures of each class to learn from.
        val: pictures of each class to judge by.
        held_out: not looked at while the rules were chosen.
        rate: of the head; the network learns at a tenth and a hundredth of it.
        trained: which part of the network learns with the head: its last resolution, most of it,
            or nothing.
        head: as solved in closed form, or drawn by chance so that logits spread about so far.
        shuffled: share of the training labels that are drawn by chance.
        one_class: validation has pictures of the first class only.
    """

    name: str
    expected: tuple[str, ...]
    dataset: str
    classes: int | None
    train: int
    val: int
    held_out: bool = False
    backbone: str = "builtin"
    size: int = 64
    rate: float = 1e-3
    epochs: int = 12
    patience: int = 5
    trained: Literal["few", "many", "head"] = "few"
    head: float | None = None
    dropout: float = 0.2
    weight_decay: float = 1e-3
    label_smoothing: float = 0.1
    augmentation: Literal["light", "strong"] | None = "light"
    shuffled: float = 0.0
    one_class: bool = False
    batch_size: int = 32
    seed: int = 0


_SMALL = "MobileNetV2:0.35"
_EURO: tuple[Any, ...] = ("eurosat", None, 40, 20)  # 400 pictures in ten classes; 200 judge
_CLOTHES: tuple[Any, ...] = ("clothing", None, 60, 30)
_THREE: tuple[Any, ...] = ("eurosat", 3, 60, 60)  # easy
_ANTS: tuple[Any, ...] = ("ants-bees", 2, 60, 50)
_STEEL: tuple[Any, ...] = ("steel-defects", None, 25, 15)
_UNTAMED: dict[str, Any] = {
    "dropout": 0.0,
    "weight_decay": 0.0,
    "label_smoothing": 0.0,
    "augmentation": None,
}

_HIGH = ("rate_too_high", "diverged")
_LONG: dict[str, Any] = {"patience": 99}

CAUSES = (
    # The rate a hundred times too high, and more.
    Cause("rate-100-eurosat", _HIGH, *_EURO, rate=0.1, **_LONG),
    Cause("rate-100-clothing-small", _HIGH, *_CLOTHES, rate=0.1, backbone=_SMALL, size=96, **_LONG),
    Cause("rate-1000-ants", _HIGH, *_ANTS, rate=1.0, backbone=_SMALL, size=96),
    Cause("rate-100-many-steel", _HIGH, *_STEEL, rate=0.1, trained="many", held_out=True),
    Cause("rate-300-clothing", _HIGH, *_CLOTHES, rate=0.3, held_out=True),
    Cause("rate-100-eurosat-small", _HIGH, *_EURO, rate=0.1, backbone=_SMALL, held_out=True),
    # A thousand times too low.
    Cause("rate-1000th-eurosat", ("rate_too_low",), *_EURO, rate=1e-6, **_LONG),
    Cause("rate-1000th-chance-head", ("rate_too_low",), *_CLOTHES, rate=1e-6, head=0.3, **_LONG),
    Cause("rate-1000th-clothing", ("rate_too_low",), *_CLOTHES, rate=1e-6, held_out=True, **_LONG),
    Cause("rate-1000th-steel-small", ("rate_too_low",), *_STEEL, rate=1e-6, backbone=_SMALL,
          size=96, head=0.3, held_out=True),
    # Labels that mean nothing.
    Cause("shuffled-eurosat", ("guessing",), *_EURO, shuffled=1.0),
    Cause("shuffled-ants", ("guessing",), *_ANTS, shuffled=1.0, backbone=_SMALL, size=96),
    Cause("shuffled-clothing", ("guessing",), *_CLOTHES, shuffled=1.0, held_out=True),
    Cause("shuffled-three-by-heart", ("guessing",), *_THREE, shuffled=1.0, trained="many",
          rate=3e-3, epochs=20, held_out=True, **_UNTAMED, **_LONG),
    # Validation that cannot tell.
    Cause("one-class-eurosat", ("validation_one_sided",), *_EURO, one_class=True),
    Cause("one-class-ants", ("validation_one_sided",), *_ANTS, one_class=True, held_out=True),
    Cause("tiny-validation-eurosat", ("validation_too_small",), "eurosat", 3, 40, 3),
    Cause("tiny-validation-steel", ("validation_too_small",), "steel-defects", None, 25, 3),
    Cause("tiny-validation-ants", ("validation_too_small",), "ants-bees", 2, 60, 6,
          backbone=_SMALL, size=96, held_out=True),
    Cause("tiny-validation-clothing", ("validation_too_small",), "clothing", 4, 60, 4,
          held_out=True),
    # Far too few epochs.
    Cause("one-epoch-clothing", ("falling_still",), *_CLOTHES, head=0.3, epochs=2),
    Cause("two-epochs-eurosat", ("falling_still",), *_EURO, epochs=3, head=0.3),
    Cause("three-epochs-eurosat", ("falling_still",), "eurosat", None, 100, 30, epochs=3,
          backbone=_SMALL, rate=3e-3),
    Cause("two-epochs-clothing-small", ("falling_still",), *_CLOTHES, epochs=2, backbone=_SMALL,
          size=96, head=0.3, held_out=True),
    Cause("three-epochs-steel", ("falling_still",), "steel-defects", None, 25, 40, epochs=3,
          head=0.3, held_out=True),
    # Nothing holds it back.
    Cause("twenty-pictures-ants", ("overfitting",), "ants-bees", 2, 10, 100, rate=1e-2,
          trained="many", epochs=30, batch_size=10, **_UNTAMED, **_LONG),
    Cause("thirty-pictures-eurosat", ("overfitting",), "eurosat", None, 3, 20, rate=1e-2,
          trained="many", epochs=30, batch_size=10, **_UNTAMED, **_LONG),
    Cause("wrong-labels-eurosat", ("overfitting",), *_EURO, shuffled=0.4, rate=3e-3,
          trained="many", epochs=25, **_UNTAMED, **_LONG),
    Cause("twenty-pictures-clothing", ("overfitting",), "clothing", 4, 5, 40, rate=1e-2,
          trained="many", epochs=30, batch_size=10, held_out=True, **_UNTAMED, **_LONG),
    Cause("wrong-labels-clothing", ("overfitting",), *_CLOTHES, shuffled=0.4, rate=3e-3,
          trained="many", epochs=25, held_out=True, **_UNTAMED, **_LONG),
    # Too weak to learn it.
    Cause("head-alone-clothing", ("underfitting",), "clothing", None, 90, 30, trained="head",
          size=32, epochs=15, **_LONG),
    Cause("head-alone-eurosat", ("underfitting",), "eurosat", None, 150, 30, trained="head",
          size=32, epochs=15, weight_decay=0.3, **_LONG),
    Cause("head-alone-clothing-small", ("underfitting",), "clothing", None, 90, 30, trained="head",
          backbone=_SMALL, size=64, epochs=15, held_out=True, **_LONG),
    Cause("head-alone-ants", ("underfitting",), "ants-bees", 2, 60, 50, trained="head", size=32,
          epochs=15, held_out=True, **_LONG),
    # Training is made harder than judging.
    Cause("dropout-eurosat", ("validation_better",), "eurosat", 3, 80, 80, dropout=0.8,
          augmentation="strong"),
    Cause("dropout-ants", ("validation_better",), "ants-bees", 2, 70, 50, dropout=0.9,
          augmentation="strong", backbone=_SMALL, size=96),
    Cause("dropout-steel", ("validation_better",), "steel-defects", None, 40, 30, dropout=0.85,
          augmentation="strong", backbone=_SMALL, size=96, held_out=True),
    Cause("dropout-eurosat-five", ("validation_better",), "eurosat", 5, 80, 60, dropout=0.85,
          augmentation="strong", trained="many", held_out=True),
    # A head that is sure of the wrong thing.
    Cause("bad-head-eurosat", ("bad_start",), *_EURO, head=10.0),
    Cause("bad-head-ants", ("bad_start",), *_ANTS, head=10.0, backbone=_SMALL, size=96),
    Cause("bad-head-clothing", ("bad_start",), *_CLOTHES, head=8.0, held_out=True),
    # Long after nothing changed.
    Cause("plateau-eurosat", ("plateau",), "eurosat", 3, 80, 80, epochs=30, **_LONG),
    Cause("plateau-steel", ("plateau",), "steel-defects", None, 40, 40, epochs=30, backbone=_SMALL,
          size=96, held_out=True, **_LONG),
    # Healthy: nothing here is ill.
    Cause("healthy-eurosat-three", HEALTHY, "eurosat", 3, 100, 100),
    Cause("healthy-eurosat-small", HEALTHY, "eurosat", 5, 100, 60, backbone=_SMALL, size=96),
    Cause("healthy-steel", HEALTHY, "steel-defects", None, 40, 40, backbone=_SMALL, size=96),
    Cause("healthy-steel-many", (*HEALTHY, "validation_better"), "steel-defects", None, 40, 40,
          trained="many", augmentation="strong", backbone=_SMALL, size=96),
    Cause("healthy-ants", HEALTHY, "ants-bees", 2, 70, 120, backbone=_SMALL, size=128),
    Cause("healthy-eurosat-five", HEALTHY, "eurosat", 5, 120, 60, held_out=True, seed=1),
    Cause("healthy-eurosat-many", (*HEALTHY, "validation_better"), "eurosat", 4, 120, 60,
          trained="many", augmentation="strong", backbone=_SMALL, size=64, held_out=True, seed=1),
    Cause("healthy-steel-builtin", HEALTHY, "steel-defects", None, 40, 40, held_out=True, seed=1),
    Cause("healthy-clothing-pair", HEALTHY, "clothing", 2, 100, 100, backbone=_SMALL, size=96,
          held_out=True, seed=1),
    Cause("healthy-clothing-four", HEALTHY, "clothing", 4, 110, 60, backbone=_SMALL, size=128,
          held_out=True, seed=1),
)  # fmt: skip
