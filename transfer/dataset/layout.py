"""Read labels and splits off the way files are laid out: class folders, split folders, or a CSV."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from transfer.dataset.index import Rejected

# What people call the three folders, in lower case.
SPLIT_NAMES = {
    "train": "train", "training": "train", "trainset": "train", "train_set": "train",
    "training_set": "train",
    "val": "val", "valid": "val", "validation": "val", "dev": "val", "val_set": "val",
    "validation_set": "val",
    "test": "test", "testing": "test", "tests": "test", "testset": "test", "test_set": "test",
    "eval": "test",
}  # fmt: skip
PICTURE_ENDINGS = frozenset(
    (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff")
)
_FILE_TITLES = ("file", "filename", "file_name", "image", "path", "filepath", "picture", "name")
_LABEL_TITLES = ("label", "class", "category", "target", "classname", "class_name")
_SPLIT_TITLES = ("split", "set", "subset", "partition")


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


def read(names: Sequence[str], table: bytes | None = None, table_name: str = "") -> Layout:
    """Find the label of each file.

    Args:
        names: paths with forward slashes, as they stand in the upload.
        table: the bytes of a CSV of `file,label`, where there is one; paths are relative to it.
        table_name: where the CSV stands in the upload.
    """
    if table is not None:
        return _by_table(names, table, table_name)
    return _by_folders(names)


def _by_folders(names: Sequence[str]) -> Layout:
    parts = [PurePosixPath(name).parts for name in names]
    pictures = [part for part in parts if PurePosixPath(part[-1]).suffix.lower() in PICTURE_ENDINGS]
    wrapped = _wrapping(pictures or parts)
    tops = {part[wrapped] for part in pictures if len(part) > wrapped + 1}
    splits = {top for top in tops if top.lower() in SPLIT_NAMES}
    meant = {SPLIT_NAMES[top.lower()] for top in splits}
    deep = any(len(part) > wrapped + 2 and part[wrapped] in splits for part in pictures)
    by_split = deep and ("train" in meant or splits == tops)
    files, rejected = [], []
    for position, part in enumerate(parts):
        inner = part[wrapped:] if len(part) > wrapped else part[-1:]
        name = "/".join(inner)
        if len(inner) < 2:
            rejected.append(Rejected(name, "it lies outside the class folders, so it has no class"))
        elif not by_split:
            files.append(Labelled(position, name, inner[0], None))
        elif inner[0] not in splits:
            reason = "it lies outside the train, val and test folders"
            rejected.append(Rejected(name, reason))
        elif len(inner) < 3:
            reason = f"it lies in '{inner[0]}' outside the class folders, so it has no class"
            rejected.append(Rejected(name, reason))
        else:
            files.append(Labelled(position, name, inner[1], SPLIT_NAMES[inner[0].lower()]))
    return Layout(tuple(files), tuple(rejected))


def _wrapping(parts: Sequence[tuple[str, ...]]) -> int:
    """Return how many folders wrap everything: each the only one, with mostly folders inside."""
    depth = 0
    while True:
        inside = [part for part in parts if len(part) > depth + 1]
        only = {part[depth] for part in inside}
        deeper = sum(len(part) > depth + 2 for part in inside)
        if len(only) != 1 or 2 * deeper <= len(inside) or only.pop().lower() in SPLIT_NAMES:
            return depth
        depth += 1


def _by_table(names: Sequence[str], table: bytes, table_name: str) -> Layout:
    rows = [row for row in csv.reader(io.StringIO(_text(table)), skipinitialspace=True) if row]
    columns, rows = _columns(rows)
    folder = PurePosixPath(table_name).parent
    places = {str(PurePosixPath(name)): i for i, name in enumerate(names)}
    files, rejected = {}, []
    for row in rows:
        cells = [cell.strip() for cell in row]
        file, label = (cells[i] if i < len(cells) else "" for i in columns[:2])
        wanted = str(folder / file.replace("\\", "/").removeprefix("./"))
        if not label:
            rejected.append(Rejected(file, f"the table '{table_name}' gives it no class"))
        elif wanted not in places:
            rejected.append(Rejected(file, f"the table '{table_name}' names it, but it is missing"))
        elif places[wanted] in files and files[places[wanted]].label != label:
            known = files[places[wanted]].label
            reason = f"the table gives it two classes, '{known}' and '{label}'; the first counts"
            rejected.append(Rejected(file, reason))
        else:
            said = cells[columns[2]].lower() if 0 <= columns[2] < len(cells) else ""
            split = SPLIT_NAMES.get(said)
            position = places[wanted]
            files[position] = Labelled(position, names[position], label, split)
    for name, position in places.items():
        if position not in files and name != table_name:
            rejected.append(Rejected(name, f"the table '{table_name}' does not name it"))
    return Layout(tuple(files.values()), tuple(rejected))


def _columns(rows: list[list[str]]) -> tuple[tuple[int, int, int], list[list[str]]]:
    """Return the columns of file, label and split (-1: none), and the rows below the titles."""
    titles = [cell.strip().lower() for cell in rows[0]] if rows else []
    file = next((i for i, title in enumerate(titles) if title in _FILE_TITLES), None)
    label = next((i for i, title in enumerate(titles) if title in _LABEL_TITLES), None)
    if file is None or label is None:
        return (0, 1, 2), rows
    split = next((i for i, title in enumerate(titles) if title in _SPLIT_TITLES), -1)
    return (file, label, split), rows[1:]


def _text(data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace")
