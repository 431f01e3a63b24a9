"""Reports of a check as the core writes them into `health.json`, about the drawn fruit."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from app import checking, datasets
from app.checking import Subject
from transfer.config import RunConfig
from transfer.dataset.index import ImageIndex, Picture

CLEAN: dict[str, Any] = {
    "duplicates": [], "conflicts": [], "leaks": [], "shortcuts": [], "suspect_labels": [],
    "flaws": [], "groups": {"count": 72, "bursts": [], "named": False, "guess": None},
    "number": None, "seconds": 3.2,
}  # fmt: skip
GUESS = {"pattern": r"^(\w+?)_", "example": "apple", "groups": 3,
         "words": "The file names seem to say what belongs together."}  # fmt: skip
CURVE = {
    "curve": [
        {"images": 18, "accuracy": 0.5, "low": 0.4, "high": 0.6},
        {"images": 36, "accuracy": 0.62, "low": 0.55, "high": 0.69},
        {"images": 72, "accuracy": 0.7, "low": 0.65, "high": 0.75},
    ],
    "forecast": [{"images": 144, "accuracy": 0.76, "low": 0.7, "high": 0.82}],
    "per_class": [
        {"class": "a", "images": 24, "recall": 0.7, "gain": None, "low": None, "high": None},
        {"class": "b", "images": 24, "recall": 0.6, "gain": 0.1, "low": 0.02, "high": 0.2},
    ],
    "sentence": "More pictures help: 144 pictures instead of 72 would add 1.0 to 9.0 points.",
}


def index(*pictures: tuple[str, str] | tuple[str, str, str]) -> ImageIndex:
    """An index of pictures given as (name, label) or (name, label, part), each of its own."""
    made = [
        Picture(one[0], one[1], one[2] if len(one) > 2 else None, "", f"{i:064x}", 40, 30)
        for i, one in enumerate(pictures)
    ]
    return ImageIndex(Path(), "0f" * 16, tuple(made))


def cluster(pictures: Sequence[Picture], kind: str = "exact") -> dict[str, Any]:
    """These pictures as a cluster of copies."""
    return {
        "kind": kind,
        "files": [one.name for one in pictures],
        "labels": [one.label for one in pictures],
        "splits": [one.split for one in pictures],
    }


def share(accuracy: float, n: int = 312) -> dict[str, Any]:
    """A share of right answers, five points to each side."""
    return {"accuracy": accuracy, "low": accuracy - 0.05, "high": accuracy + 0.05, "n": n}


def number(grouped: float, ungrouped: float, warn: bool, **more: Any) -> dict[str, Any]:
    """A number with groups kept together and torn apart."""
    return {
        "grouped": share(grouped), "ungrouped": share(ungrouped),
        "gap": ungrouped - grouped, "warn": warn, "apart": [], **more,
    }  # fmt: skip


def check(subject: Subject, **parts: Any) -> None:
    """Leave behind what the job of a check leaves when it has ended, with these parts in it."""
    subject.run.start(
        RunConfig(subject.digest, subject.backbone, subject.image_size, strategy="auto")
    )
    subject.run.write("health", {**CLEAN, "dataset": subject.digest, **parts})


def checked(digest: str, **parts: Any) -> Subject:
    """Leave behind a check of a data set as the pages ask for it."""
    subject = checking.usual(digest)
    check(subject, **parts)
    return subject


def some(digest: str, count: int, label: str | None = None) -> list[Picture]:
    """The first pictures of a data set, of one class or of all."""
    every = datasets.index(digest).pictures
    return [one for one in every if label in (None, one.label)][:count]
