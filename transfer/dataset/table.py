"""Read labels and splits from a CSV of `file,label` that lies beside the pictures."""

import csv
import io
from collections.abc import Sequence
from pathlib import PurePosixPath

from transfer.dataset import layout, names
from transfer.dataset.index import Rejected
from transfer.dataset.layout import SPLIT_NAMES, Labelled, Layout
from transfer.errors import DataError

_FILE_TITLES = (
    "file", "filename", "file_name", "image", "image_name", "image_path", "path", "filepath",
    "file_path", "picture", "name", "img", "image_id",
)  # fmt: skip
_LABEL_TITLES = (
    "label", "labels", "class", "category", "target", "classname", "class_name", "label_name",
)  # fmt: skip
_SPLIT_TITLES = ("split", "set", "subset", "partition", "fold")
_DELIMITERS = ",;\t"


def read(paths: Sequence[str], data: bytes, table: str) -> Layout:
    """Find the label of each file in the table.

    A file is looked for below the table's folder; where it is not, by its bare name, if that is
    unique in the upload.

    Args:
        paths: with forward slashes, as they stand in the upload; no two are equal.
        data: the bytes of the CSV, with or without titles; a third column may name the split.
        table: where the CSV stands in the upload.

    Raises:
        DataError: the CSV cannot be read as one.
    """
    folder = PurePosixPath(table).parent
    own = PurePosixPath(table).name
    rows = _rows(data, own)
    find = _Finder(paths, folder)
    columns, rows = _columns(rows, find)
    file_column, label_column, split_column = columns
    padding = [""] * (max(columns) + 1)
    files: dict[int, Labelled] = {}
    rejected: list[Rejected] = []
    for row in rows:
        cells = [names.clean_text(cell).strip() for cell in row] + padding
        file, label = cells[file_column], cells[label_column]
        position = find(file)
        known = files.get(position) if position is not None else None
        if position is None:
            rejected.append(Rejected(names.shown(file), f"'{own}' names it, but it is missing"))
        elif not label:
            rejected.append(Rejected(names.shown(file), f"'{own}' gives it no class"))
        elif known and known.label != label:
            reason = f"'{own}' gives it two classes, '{known.label}' and '{label}'"
            rejected.append(Rejected(names.shown(file), f"{reason}; the first counts"))
        elif not known:
            split = SPLIT_NAMES.get(cells[split_column].lower()) if split_column >= 0 else None
            files[position] = Labelled(position, _below(folder, paths[position]), label, split)
    silent = f"'{own}' does not name it with a class"
    for position, path in enumerate(paths):
        if position not in files and path != table:
            reason = silent if layout.is_picture(path) else layout.NO_PICTURE
            rejected.append(Rejected(_below(folder, path), reason))
    return Layout(tuple(sorted(files.values(), key=lambda f: f.position)), tuple(rejected))


class _Finder:
    """Finds the position of a file that a table names."""

    def __init__(self, paths: Sequence[str], folder: PurePosixPath) -> None:
        self._folder = folder
        self._positions = {path: position for position, path in enumerate(paths)}
        self._bare: dict[str, int | None] = {}
        for position, path in enumerate(paths):
            pure = PurePosixPath(path)
            if layout.is_picture(path):
                for key in {pure.name, pure.stem}:  # some tables leave the ending out
                    self._bare[key] = None if key in self._bare else position

    def __call__(self, file: str) -> int | None:
        path = PurePosixPath(names.clean(file))
        if not path.name or ".." in path.parts:
            return None
        found = self._positions.get(str(self._folder / path))
        return self._bare.get(path.name) if found is None else found


def _below(folder: PurePosixPath, path: str) -> str:
    """Return a path as seen from the table's folder; as it is where it lies elsewhere."""
    pure = PurePosixPath(path)
    return str(pure.relative_to(folder)) if pure.is_relative_to(folder) else path


def _rows(data: bytes, table: str) -> list[list[str]]:
    text = _text(data)
    first = next((line for line in text.splitlines() if line.strip()), "")
    delimiter = max(_DELIMITERS, key=first.count)  # a comma where there is none of them
    try:
        lines = csv.reader(
            io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True
        )
        return [row for row in lines if any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise DataError(
            f"The table '{table}' cannot be read as a CSV of file,label: {error}. Save it again"
            " from a spreadsheet as CSV (UTF-8)."
        ) from error


def _columns(rows: list[list[str]], find: _Finder) -> tuple[tuple[int, int, int], list[list[str]]]:
    """Return the columns of file, label and split (-1: none), and the rows below the titles."""
    titles = [cell.strip().lower() for cell in rows[0]] if rows else []
    file = _first(titles, _FILE_TITLES)
    label = _first(titles, _LABEL_TITLES)
    if (file is None and label is None) or any(find(cell) is not None for cell in rows[0]):
        return (0, 1, 2), rows
    if file is None:
        file = 1 if label == 0 else 0
    if label is None:
        label = 0 if file == 1 else file + 1
    split = _first(titles, _SPLIT_TITLES)
    return (file, label, -1 if split is None else split), rows[1:]


def _first(titles: list[str], known: Sequence[str]) -> int | None:
    return next((i for i, title in enumerate(titles) if title in known), None)


def _text(data: bytes) -> str:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", errors="replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace")
