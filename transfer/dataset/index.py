"""What a data set holds: its pictures with their labels, and what was left out and why."""

from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Origin:
    """What a file says of itself beside its pixels, as it came: nothing of this shows the subject.

    `bytes` of the file, Pillow's names of its `format` and `mode`, its size in pixels before it was
    turned upright or reduced, the EXIF `orientation` (1: none), and from EXIF the `camera` (maker,
    model and software, "" where it says none) and the time at which it was `taken`, in seconds on
    the clock of the camera.
    """

    bytes: int
    format: str
    mode: str
    width: int
    height: int
    orientation: int = 1
    camera: str = ""
    taken: float | None = None


@dataclass(frozen=True)
class Picture:
    """One labelled picture.

    `name` is its path as the user knows it, `file` where its upright RGB copy lies in the data
    set's folder. `split` is "train", "val" or "test" where the user's folders say so. `sha256` is
    of the decoded pixels and their shape: equal pictures have equal ones. Sizes in pixels, of the
    copy. `origin` is None in data sets that were taken in by an earlier version. `group` is what
    the user says belongs together (one patient, one film, one burst), where anything is said.
    """

    name: str
    label: str
    split: str | None
    file: str
    sha256: str
    width: int
    height: int
    origin: Origin | None = None
    group: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the picture as a JSON object; much faster than `asdict`, with many of them."""
        return {**vars(self), "origin": self.origin and dict(vars(self.origin))}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "Picture":
        """Return the picture that `to_json` wrote."""
        origin = value.get("origin")
        return cls(**{**value, "origin": Origin(**origin) if origin else None})


@dataclass(frozen=True)
class Rejected:
    """One file that was left out, and why, in words."""

    file: str
    reason: str


@dataclass(frozen=True)
class ImageIndex:
    """One data set in the store: `pictures` sorted by split, label and name."""

    root: Path
    digest: str
    pictures: tuple[Picture, ...]
    rejected: tuple[Rejected, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def classes(self) -> tuple[str, ...]:
        """The class names, sorted."""
        return tuple(sorted({picture.label for picture in self.pictures}))

    def class_numbers(self) -> np.ndarray:
        """Return the place of each picture's class in `classes`, int64 [len(pictures)]."""
        numbers = {name: number for number, name in enumerate(self.classes)}
        return np.array([numbers[picture.label] for picture in self.pictures])

    def counts(self) -> dict[str, int]:
        """Return the number of pictures of each class, in the order of `classes`."""
        return dict(sorted(Counter(picture.label for picture in self.pictures).items()))

    def by_split(self, split: str | None) -> tuple[Picture, ...]:
        """Return the pictures that the user's folders put there; None: those without a split."""
        return tuple(picture for picture in self.pictures if picture.split == split)

    def path(self, picture: Picture) -> Path:
        """Return where the picture's upright RGB copy lies."""
        return self.root / picture.file

    def to_json(self) -> dict[str, Any]:
        """Return the index as a JSON object; the folder is not part of it."""
        return {
            "digest": self.digest,
            "pictures": [picture.to_json() for picture in self.pictures],
            "rejected": [asdict(item) for item in self.rejected],
            "warnings": list(self.warnings),
        }

    @classmethod
    def from_json(cls, root: Path, value: dict[str, Any]) -> "ImageIndex":
        """Return the index that `to_json` wrote, for the folder that it lies in."""
        return cls(
            root=root,
            digest=value["digest"],
            pictures=tuple(Picture.from_json(item) for item in value["pictures"]),
            rejected=tuple(Rejected(**item) for item in value["rejected"]),
            warnings=tuple(value["warnings"]),
        )
