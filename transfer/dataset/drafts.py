"""The changes to a data set that are not kept yet, as a small file in its folder."""

from dataclasses import dataclass
from pathlib import Path

from transfer import store
from transfer.dataset.mending import Change
from transfer.errors import DataError

FILE = "draft.json"


@dataclass(frozen=True)
class Draft:
    """The changes, the oldest first, and those that were undone, the last one at the end."""

    changes: tuple[Change, ...] = ()
    undone: tuple[Change, ...] = ()


def read(folder: Path) -> Draft:
    """Return the draft of the data set in a folder, empty where there is none.

    Raises:
        DataError: the file is damaged.
    """
    path = folder / FILE
    try:
        value = store.read_json(path)
        return Draft(*(tuple(map(Change.from_json, value[key])) for key in ("changes", "undone")))
    except FileNotFoundError:
        return Draft()
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"The list of changes '{path}' cannot be read ({error}). Discard the changes that are"
            " not kept yet; the pictures themselves are not touched."
        ) from error


def write(folder: Path, value: Draft) -> None:
    """Write the draft of the data set in a folder; an empty one leaves no file.

    Raises:
        DataError: the disk is full.
    """
    if value == Draft():
        clear(folder)
        return
    lists = {key: [one.to_json() for one in changes] for key, changes in vars(value).items()}
    try:
        store.write_json(folder / FILE, lists)
    except OSError as error:
        raise DataError(
            f"The change could not be noted: {error}. Free some space on the disk and try again."
        ) from error


def clear(folder: Path) -> None:
    """Remove the draft of the data set in a folder."""
    (folder / FILE).unlink(missing_ok=True)


def state(folder: Path) -> tuple[int, ...] | None:
    """Return what is another one whenever the draft in a folder has changed; None: there is none.

    Each writing makes a new file, so that two within one tick of the clock differ, too.
    """
    try:
        found = (folder / FILE).stat()
    except FileNotFoundError:
        return None
    return found.st_mtime_ns, found.st_ino, found.st_size
