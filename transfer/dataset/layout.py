"""Read labels and splits off the folders in which the pictures lie."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from transfer.dataset.index import Rejected

# What people call the three folders, in lower case.
SPLIT_NAMES = {
    "train": "train", "training": "train", "trainset": "train", "train_set": "train",
    "training_set": "train", "train_data": "train",
    "val": "val", "valid": "val", "validation": "val", "dev": "val", "val_set": "val",
    "validation_set": "val", "val_data": "val",
    "test": "test", "testing": "test", "tests": "test", "testset": "test", "test_set": "test",
    "eval": "test", "test_data": "test",
}  # fmt: skip
PICTURE_ENDINGS = frozenset(
    (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff")
)
NO_PICTURE = "it is not a picture"

Parts = tuple[str, ...]


@dataclass(frozen=True)
class Labelled:
    """A file with what its place says: its position among the files, name, label and split."""

    position: int
    name: str
    label: str
    split: str | None


@dataclass(frozen=True)
class Layout:
    """All files that have a label, and those that have none with the reason."""

    files: tuple[Labelled, ...]
    rejected: tuple[Rejected, ...]


def read(paths: Sequence[str]) -> Layout:
    """Find the label of each file by its folder.

    Folders that wrap everything are taken off. Where there is a training folder, or nothing but
    split folders, the classes are below them; folders below a class belong to it.

    Args:
        paths: with forward slashes, as they stand in the upload.
    """
    parts = [PurePosixPath(path).parts for path in paths]
    pictures = [part for part in parts if is_picture(part[-1])]
    wrapped = _wrapping(pictures or parts)
    splits = _split_folders([part[wrapped:] for part in pictures if len(part) > wrapped + 1])
    files, rejected = [], []
    for position, part in enumerate(parts):
        inner = part[wrapped:] if len(part) > wrapped else part[-1:]
        name = "/".join(inner)
        if reason := _no_class(inner, splits):
            rejected.append(Rejected(name, reason if is_picture(part[-1]) else NO_PICTURE))
        elif splits:
            files.append(Labelled(position, name, inner[1], SPLIT_NAMES[inner[0].lower()]))
        else:
            files.append(Labelled(position, name, inner[0], None))
    return Layout(tuple(files), tuple(rejected))


def is_picture(path: str) -> bool:
    """Whether a file is named like a picture."""
    return PurePosixPath(path).suffix.lower() in PICTURE_ENDINGS


def _no_class(inner: Parts, splits: set[str]) -> str | None:
    """Return why a file has no class, if so."""
    if len(inner) < 2:
        return "it lies outside the class folders, so it has no class"
    if splits and inner[0] not in splits:
        return "it lies outside the train, val and test folders"
    if splits and len(inner) < 3:
        return f"it lies in '{inner[0]}' outside the class folders, so it has no class"
    return None


def _split_folders(pictures: Sequence[Parts]) -> set[str]:
    """Return the top folders that are splits; none where the top folders are classes."""
    tops = {part[0] for part in pictures}
    splits = {top for top in tops if top.lower() in SPLIT_NAMES}
    # 'train' may be a class of vehicles: then pictures lie in it and not in folders below it.
    deep = {part[0] for part in pictures if len(part) > 2}
    training = any(SPLIT_NAMES[top.lower()] == "train" for top in splits & deep)
    if splits & deep and (training or splits == tops):
        return splits
    return set()


def _wrapping(parts: Sequence[Parts]) -> int:
    """Return how many folders wrap everything: each the only one, with mostly folders inside."""
    depth = 0
    while True:
        inside = [part[depth:] for part in parts if len(part) > depth + 1]
        only = {part[0] for part in inside}
        deeper = [part[1:] for part in inside if len(part) > 2]
        if len(only) != 1 or 2 * len(deeper) <= len(inside):
            return depth
        # A single 'test' is a split, unless it is the name of a set that has its own splits.
        if only.pop().lower() in SPLIT_NAMES and not _split_folders(deeper):
            return depth
        depth += 1
