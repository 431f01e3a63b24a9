"""Read labels and splits off the folders in which the pictures lie."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from transfer.dataset import names
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
LOOSE = "it lies outside the class folders, so it has no class"

Parts = tuple[str, ...]


@dataclass(frozen=True)
class Labelled:
    """A file with what its place says: its position among the files, name, label and split.

    Only a table can name its `group`: what belongs together, such as the pictures of one film.
    """

    position: int
    name: str
    label: str
    split: str | None
    group: str | None = None


@dataclass(frozen=True)
class Layout:
    """All files that have a label, and those that have none with the reason."""

    files: tuple[Labelled, ...]
    rejected: tuple[Rejected, ...]


def read(paths: Sequence[str], loose: str | None = None) -> Layout:
    """Find the label of each file by its folder.

    Folders that wrap everything are taken off. Where there is a training folder, or nothing but
    split folders, the classes are below them; folders below a class belong to it.

    Args:
        paths: with forward slashes, as they stand in the upload.
        loose: the class of the pictures that lie in no folder, named as if they lay in one of its
            name; None: they have none.
    """
    parts = [PurePosixPath(path).parts for path in paths]
    pictures = [part for part in parts if is_picture(part[-1])]
    wrapped = _wrapping(pictures or parts)
    splits = _split_folders([part[wrapped:] for part in pictures if len(part) > wrapped + 1])
    taken = {"/".join(part[wrapped:]): 1 for part in parts}
    files, rejected = [], []
    for position, part in enumerate(parts):
        inner = part[wrapped:] if len(part) > wrapped else part[-1:]
        name = "/".join(inner)
        if loose and "/" not in name and is_picture(name):
            named = names.unique(f"{_as_folder(loose)}/{name}", taken)
            files.append(Labelled(position, named, loose, None))
        elif reason := _no_class(inner, splits):
            rejected.append(Rejected(name, reason if is_picture(part[-1]) else NO_PICTURE))
        elif splits:
            split = SPLIT_NAMES[inner[0].lower()]
            files.append(Labelled(position, name, names.trimmed(inner[1]), split))
        else:
            files.append(Labelled(position, name, names.trimmed(inner[0]), None))
    return Layout(tuple(files), tuple(rejected))


def is_picture(path: str) -> bool:
    """Whether a file is named like a picture."""
    return PurePosixPath(path).suffix.lower() in PICTURE_ENDINGS


def _as_folder(label: str) -> str:
    return label.replace("/", "-").replace("\\", "-")


def _no_class(inner: Parts, splits: set[str]) -> str | None:
    """Return why a file has no class, if so."""
    if len(inner) < 2:
        return LOOSE
    if splits and inner[0] not in splits:
        return "it lies outside the train, val and test folders"
    if splits and len(inner) < 3:
        return f"it lies in '{inner[0]}' outside the class folders, so it has no class"
    if not names.trimmed(inner[1] if splits else inner[0]):
        return "its folder has no name that can be seen; name it like the class"
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
