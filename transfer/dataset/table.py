"""Read labels and splits from a CSV of `file,label` that lies beside the pictures."""

import csv
import io
import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

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
_GROUP_TITLES = (
    "group", "groups", "group_id", "burst", "scene", "session", "subject", "subject_id", "patient",
    "patient_id", "video", "clip", "film", "series", "sequence",
)  # fmt: skip
_DELIMITERS = ",;\t|"
_SAID = re.compile(r"sep=(.)\s*")  # the first line, as Excel writes it: which delimiter follows
_ONE, _ZERO = frozenset(("1", "1.0", "true")), frozenset(("0", "0.0", "false"))
_SAMPLE = 1_000  # bytes, by which 16-bit letters are seen that no mark announces
_MOST_BYTES = 64 * 1024**2
_MOST_TOLD = 10_000  # rows that are told of one by one
_LINE = re.compile(r"[^\r\n]+")
_SHEETS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")  # what spreadsheets are saved as


def content(path: Path) -> bytes:
    """Return the bytes of a CSV; of one that is too large just so many that `read` says so."""
    with path.open("rb") as file:
        return file.read(min(path.stat().st_size, _MOST_BYTES + 1))


def read(
    paths: Sequence[str], data: bytes, table: str, on_row: Callable[[], None] = lambda: None
) -> Layout:
    """Find the label of each file in the table.

    A file is looked for below the table's folder; where it is not, by its bare name, if that is
    unique in the upload; then by both in other upper and lower case. Instead of a class the table
    may have a column for each, with a 1 in that of the picture's own.

    Args:
        paths: with forward slashes, as they stand in the upload; no two are equal.
        data: the bytes of the CSV, with or without titles; a third column may name the split. Under
            a title such as "group" or "patient" it may say which pictures belong together.
        table: where the CSV stands in the upload.
        on_row: called for each row, as a sign of life.

    Raises:
        DataError: the CSV cannot be read as one.
    """
    folder = PurePosixPath(table).parent
    own = PurePosixPath(table).name
    rows = _rows(data, own)
    find = _Finder(paths, folder)
    columns, rows = _columns(rows, find)
    file_column, label_column, split_column, group_column = columns
    padding = [""] * (max(columns) + 1)
    files: dict[int, Labelled] = {}
    rejected = _Told(own)
    for row in rows:
        on_row()
        cells = [names.clean_text(cell).strip() for cell in row] + padding
        file, label = cells[file_column], cells[label_column]
        position = find(file)
        known = files.get(position) if position is not None else None
        if position is None:
            why = find.why_not(file) if rejected.tells else ""
            rejected.add(file, f"'{own}' names it, but {why}")
        elif not label:
            rejected.add(file, f"'{own}' gives it no class")
        elif known and known.label != label:
            reason = f"'{own}' gives it two classes, '{known.label}' and '{label}'"
            rejected.add(file, f"{reason}; the first counts")
        elif not known:
            split = SPLIT_NAMES.get(cells[split_column].lower()) if split_column >= 0 else None
            group = cells[group_column] or None if group_column >= 0 else None
            name = _below(folder, paths[position])
            files[position] = Labelled(position, name, label, split, group)
    silent, silently = f"'{own}' does not name it with a class", []
    for position, path in enumerate(paths):
        if position not in files and path != table:
            reason = silent if layout.is_picture(path) else layout.NO_PICTURE
            silently.append(Rejected(_below(folder, path), reason))
    left_out = (*rejected.all(), *silently)
    return Layout(tuple(sorted(files.values(), key=lambda f: f.position)), left_out)


def explained(found: Layout, unused: Mapping[str, str]) -> Layout:
    """Return the layout with the reason why each of some tables was not used, by its path."""

    def told(one: Rejected) -> Rejected:
        whys = (why for path, why in unused.items() if f"/{path}".endswith(f"/{one.file}"))
        return replace(one, reason=next(whys, one.reason))

    texts = layout.NO_PICTURE
    rejected = tuple(told(one) if one.reason == texts else one for one in found.rejected)
    return replace(found, rejected=rejected)


def unused(found: Layout, pictures: int, better: str | None) -> str:
    """Return why a table that could be read does not say the classes.

    Args:
        found: what it says.
        pictures: how many there are.
        better: the table that is used; None where the folders say the classes.
    """
    named = len(found.files)
    if better is not None:
        return f"'{names.shown(better)}' names more pictures, and only one table counts"
    return (
        f"this table names {'only ' if named else ''}{named} of {pictures} pictures, so the"
        " classes are those of the folders; a row is expected to be file,label"
    )


class _Told:
    """The rows of a table that are of no use: not each of a million is told by itself."""

    def __init__(self, table: str) -> None:
        self._table, self._more = table, 0
        self._rows: list[Rejected] = []

    @property
    def tells(self) -> bool:
        """Whether one more row is told of, and not only counted."""
        return len(self._rows) < _MOST_TOLD

    def add(self, file: str, reason: str) -> None:
        """Note a row, and why it is of no use."""
        if self.tells:
            self._rows.append(Rejected(names.shown(file), reason))
        else:
            self._more += 1

    def all(self) -> list[Rejected]:
        """Return what is told."""
        if not self._more:
            return self._rows
        rows = "row" if self._more == 1 else "rows"
        more = f"{self._more:,} more of its {rows} name no picture, or give it no class of its own"
        return [*self._rows, Rejected(self._table, more)]


class _Finder:
    """Finds the position of a file that a table names."""

    def __init__(self, paths: Sequence[str], folder: PurePosixPath) -> None:
        self._folder = folder
        self._positions = {path: position for position, path in enumerate(paths)}
        self._bare: dict[str, int | None] = {}
        self._other_case: dict[str, int | None] = {}
        self._known: set[str] = set()
        for position, path in enumerate(paths):
            pure = PurePosixPath(path)
            self._known |= {pure.name.casefold(), pure.stem.casefold()}
            if layout.is_picture(path):
                keys = {pure.name, pure.stem}  # some tables leave the ending out
                _note(self._bare, keys, position)
                _note(self._other_case, {key.casefold() for key in (path, *keys)}, position)

    def __call__(self, file: str) -> int | None:
        if "://" in file:  # an address may end in a question
            file = file.partition("?")[0]
        bare = names.clean_text(file).replace("\\", "/").rstrip("/").rpartition("/")[2]
        if (
            bare.casefold() not in self._known and bare != "."
        ):  # at once: a table may name a million that are not there
            return None
        path = _inside(self._folder, file)
        if path is None or not path.name:
            return None
        if (found := self._positions.get(str(path))) is not None:
            return found
        if (found := self._bare.get(path.name)) is not None:
            return found
        found = self._other_case.get(str(path).casefold())
        return self._other_case.get(path.name.casefold()) if found is None else found

    def why_not(self, file: str) -> str:
        """Return why a file was not found."""
        path = _inside(self._folder, file)
        if path is None:
            return "that leads outside the upload"
        if path.name in self._bare and self._bare[path.name] is None:
            return "there are several of that name; write its folder before it"
        return "it is missing"


def _note(known: dict[str, int | None], keys: Iterable[str], position: int) -> None:
    """Note where each of the keys leads to; to nothing where it leads to several."""
    for key in keys:
        known[key] = None if key in known else position


def _inside(folder: PurePosixPath, file: str) -> PurePosixPath | None:
    """Return the path in the upload that a table in a folder of it names; None: it is outside."""
    path = PurePosixPath(names.clean(file))
    if ".." not in path.parts:
        return folder / path
    parts: list[str] = []
    for part in (folder / path).parts:
        if part != "..":
            parts.append(part)
        elif parts and parts[-1] != "/":
            parts.pop()
        else:
            return None
    return PurePosixPath(*parts)


def _below(folder: PurePosixPath, path: str) -> str:
    """Return a path as seen from the table's folder; as it is where it lies elsewhere."""
    pure = PurePosixPath(path)
    return str(pure.relative_to(folder)) if pure.is_relative_to(folder) else path


def _rows(data: bytes, table: str) -> Iterator[list[str]]:
    """Yield the rows that are not blank, one by one: there may be millions."""
    if len(data) > _MOST_BYTES:
        raise _no_csv(
            table, f"it is larger than {_MOST_BYTES // 1024**2} MB, the most that is read"
        )
    if data.startswith(_SHEETS):
        raise _no_csv(table, "it is a spreadsheet or an archive")
    text = _text(data)
    first = next((line for line in _lines(text) if line.strip()), "")
    if said := _SAID.fullmatch(first.strip()):
        text, delimiter = text.partition(first)[2], said[1]
    else:
        delimiter = max(_DELIMITERS, key=first.count)  # a comma where there is none of them
    try:
        lines = _parsed(_lines(text) if _has_lone_quote(text, delimiter) else [text], delimiter)
        yield from (row for row in lines if any(cell.strip() for cell in row))
    except csv.Error as error:
        raise _no_csv(table, str(error)) from error


def _parsed(parts: Iterable[str], delimiter: str) -> Iterator[list[str]]:
    for part in parts:
        lines = io.StringIO(part, newline="")
        yield from csv.reader(lines, delimiter=delimiter, skipinitialspace=True)


def _lines(text: str) -> Iterator[str]:
    return (found[0] for found in _LINE.finditer(text))


def _has_lone_quote(text: str, delimiter: str) -> bool:
    """Whether a quote swallows the lines behind it: no name and no class has several lines."""
    if '"' not in text:
        return False
    try:
        return any(
            "\n" in cell or "\r" in cell for row in _parsed([text], delimiter) for cell in row
        )
    except csv.Error:
        return True


def _no_csv(table: str, why: str) -> DataError:
    return DataError(
        f"The table '{table}' cannot be read as a CSV of file,label: {why}. Save it again from a"
        " spreadsheet as CSV (UTF-8)."
    )


def _columns(
    rows: Iterator[list[str]], find: _Finder
) -> tuple[tuple[int, int, int, int], Iterator[list[str]]]:
    """Return the columns of file, label, split and group (-1: none), and the rows below titles."""
    first = next(rows, [])
    titles = [cell.strip().lower() for cell in first]
    file = _first(titles, _FILE_TITLES)
    label = _first(titles, _LABEL_TITLES)
    if (file is None and label is None) or any(find(cell) is not None for cell in first):
        return (0, 1, 2, -1), itertools.chain([first] if first else [], rows)
    if file is None:
        file = 1 if label == 0 else 0
    split, group = _first(titles, _SPLIT_TITLES), _first(titles, _GROUP_TITLES)
    if label is None:
        classes = [i for i in range(len(titles)) if i not in (file, split, group)]
        label = 0 if file == 1 else file + 1
        second = next(rows, [])
        rows = itertools.chain([second], rows)
        if len(classes) > 1 and _marked(second, classes) is not None:
            label, rows = len(titles), _with_class(rows, first, classes)
    columns = (file, label, -1 if split is None else split, -1 if group is None else group)
    return columns, rows


def _marked(row: list[str], columns: Sequence[int]) -> int | None:
    """Return the only one of the columns with a 1, all others being 0."""
    cells = {i: row[i].strip().lower() if i < len(row) else "" for i in columns}
    marked = [i for i, cell in cells.items() if cell in _ONE]
    zeros = sum(cell in _ZERO for cell in cells.values())
    return marked[0] if len(marked) == 1 and zeros == len(columns) - 1 else None


def _with_class(
    rows: Iterable[list[str]], titles: list[str], columns: Sequence[int]
) -> Iterator[list[str]]:
    """Put behind each row the title of the column that it marks."""
    for row in rows:
        marked = _marked(row, columns)
        cells = [*row, *[""] * len(titles)][: len(titles)]
        yield [*cells, "" if marked is None else titles[marked]]


def _first(titles: list[str], known: Sequence[str]) -> int | None:
    return next((i for i, title in enumerate(titles) if title in known), None)


def _text(data: bytes) -> str:
    if data.startswith((b"\xff\xfe\0\0", b"\0\0\xfe\xff")):
        return data.decode("utf-32", errors="replace")
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", errors="replace")
    start = data[:_SAMPLE]
    for encoding, zeros in (("utf-16-le", start[1::2]), ("utf-16-be", start[::2])):
        if 2 * zeros.count(0) > max(len(zeros), 4) and start.count(0) < 0.6 * len(start):
            return data.decode(encoding, errors="replace")
    data = data.replace(b"\0", b"")  # what a crash leaves at the end
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace")
