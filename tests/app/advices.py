"""Advices as the core writes them, for each cell of the table."""

from collections.abc import Mapping
from typing import Any

from app import advising
from app.advising import Subject
from transfer.config import RunConfig

CELLS = {
    ("similar", "little"): "linear_top",
    ("different", "little"): "linear_stages",
    ("similar", "lots"): "finetune_few",
    ("different", "lots"): "finetune_many",
}
_LAYERS = ("Conv1_relu", "block_3_expand_relu", "block_6_expand_relu", "block_13_expand_relu",
           "out_relu")  # fmt: skip


def advice(
    likeness: str = "similar", amount: str = "lots", changes: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """One advice; `changes` replaces whole parts of it."""
    like, little = likeness == "similar", amount == "little"
    images = 120 if little else 2059
    shares = (0.41, 0.58, 0.71, 0.83, 0.93) if like else (0.52, 0.74, 0.88, 0.91, 0.84)
    value = {
        "size": {
            "images": images, "classes": 10, "per_class": images // 10,
            "smallest_class": images // 20, "verdict": amount, "confidence": 0.93,
            "curve": [
                {"images": images // 8, "accuracy": 0.71, "standard_error": 0.02},
                {"images": images // 4, "accuracy": 0.78, "standard_error": 0.015},
                {"images": images // 2, "accuracy": 0.83, "standard_error": 0.012},
                {"images": images, "accuracy": 0.86, "standard_error": 0.01},
            ],
            "slope": 0.031,
        },
        "similarity": {
            "bn_shift": 0.079 if like else 0.221, "bn_shift_error": 0.004, "measure": "bn_shift",
            "verdict": likeness, "confidence": 0.97,
            "stage_profile": [
                {"stage": n, "layer": layer, "accuracy": share, "standard_error": 0.011}
                for n, (layer, share) in enumerate(zip(_LAYERS, shares, strict=True), start=1)
            ],
        },
        "point": {
            "size": 0.22 if little else 0.71, "size_low": 0.15 if little else 0.65,
            "size_high": 0.29 if little else 0.76, "difference": 0.2 if like else 0.8,
            "difference_low": 0.12 if like else 0.71, "difference_high": 0.3 if like else 0.88,
        },
        "strategy": CELLS[likeness, amount],
        "reasons": [f"There are {images} pictures in 10 classes.", "The shift is 0.079 & <small>."],
        "augmentation": {
            "mirror": {"safe": True, "accuracy": 0.93, "changed": 0.925, "n": 245},
            "turn": {"safe": False, "accuracy": 0.93, "changed": 0.61, "n": 245},
        },
        "costs": {"linear_top": 12.0, "linear_stages": 20.0,
                  "finetune_few": 400.0, "finetune_many": 900.0},
        "backbone": "builtin", "image_size": 96, "seconds": 21.4,
    }  # fmt: skip
    return {**value, **(changes or {})}


def measure(subject: Subject, value: Mapping[str, Any]) -> None:
    """Leave behind what the job of a measurement leaves when it has ended."""
    run = advising.Subject(subject.digest, subject.backbone, subject.image_size).run
    run.start(RunConfig(subject.digest, subject.backbone, subject.image_size, strategy="auto"))
    run.write("advice", dict(value))
