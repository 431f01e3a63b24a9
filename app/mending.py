"""The draft of a data set's next version as the page Mend shows it, picture by picture.

A picture is known by its position in `base`, which no change moves; so a change of the page's
gallery and the answer to it are a list of small numbers, however long the file names are.
"""

from typing import Any

from app import datasets
from transfer.dataset import mending, versions
from transfer.dataset.index import ImageIndex
from transfer.dataset.mending import Change
from transfer.errors import DataError

GONE = -1  # the class of a picture that was deleted
_OF_PICTURES = ("relabel", "split_off", "move", "delete")
_OF_CLASSES = ("merge", "rename", "delete")
_LETTERS = {"train": "t", "val": "v", "test": "e", None: "r"}


def base(digest: str) -> ImageIndex:
    """Return the version that is being changed, no two of its pictures of the same name.

    Raises:
        DataError: the data set is no longer there.
    """
    return mending.apply(datasets.index(digest), ())


def drafted(digest: str) -> ImageIndex:
    """Return the data set with the changes that are not kept yet.

    Raises:
        DataError: the data set is no longer there, or its list of changes is damaged.
    """
    return mending.apply(datasets.index(digest), versions.draft(digest))


def pictures(digest: str) -> dict[str, Any]:
    """Return what no change touches, as JSON: of each picture its name, content, class and part.

    Raises:
        DataError: the data set is no longer there.
    """
    index = base(digest)
    return {
        "names": [picture.name for picture in index.pictures],
        "contents": [picture.sha256 for picture in index.pictures],
        "classes": list(index.classes),
        "labels": index.class_numbers().tolist(),
        "splits": "".join(_LETTERS[picture.split] for picture in index.pictures),
    }


def draft(digest: str) -> dict[str, Any]:
    """Return how the pictures stand now, as JSON, in the order of `base`.

    `labels` are numbers of `classes`, or GONE; `splits` a letter each: t(rain), v(alidation),
    e (test) or r(est). `changes` are in words, and so is what `undo` and `redo` would do.

    Raises:
        DataError: the data set is no longer there, or its list of changes is damaged.
    """
    changes, undone = versions.draft(digest), versions.undone(digest)
    index = base(digest)
    now = {picture.name: picture for picture in mending.apply(index, changes).pictures}
    classes = sorted({picture.label for picture in now.values()})
    numbers = {name: number for number, name in enumerate(classes)}
    there = [now.get(picture.name) for picture in index.pictures]
    return {
        "classes": classes,
        "labels": [numbers[one.label] if one else GONE for one in there],
        "splits": "".join(_LETTERS[one.split] if one else "r" for one in there),
        "changes": [mending.words(change) for change in changes],
        "undo": mending.words(changes[-1]) if changes else None,
        "redo": mending.words(undone[-1]) if undone else None,
    }


def change(digest: str, value: Any) -> dict[str, Any]:
    """Make a change {"do", "pictures": positions, "classes": names, "to"}; return the new `draft`.

    Raises:
        DataError: it is no change, or it does not fit the data set as it is now.
    """
    versions.change(digest, _read(base(digest), value))
    return draft(digest)


def undo(digest: str) -> dict[str, Any]:
    """Take the last change back; return the new `draft`."""
    versions.undo(digest)
    return draft(digest)


def redo(digest: str) -> dict[str, Any]:
    """Make the change again that was taken back last; return the new `draft`."""
    versions.redo(digest)
    return draft(digest)


def _read(index: ImageIndex, value: Any) -> Change:
    """Return the change that the gallery sent."""
    if not isinstance(value, dict):
        raise _none()
    do, to = str(value.get("do")), value.get("to")
    positions, classes = value.get("pictures") or [], value.get("classes") or []
    known = (_OF_PICTURES if positions else ()) + (_OF_CLASSES if classes else ())
    right = do in known and bool(positions) != bool(classes)
    right &= isinstance(positions, list) and isinstance(classes, list)
    right &= to is None or isinstance(to, str)
    if not right or not all(isinstance(name, str) for name in classes):
        raise _none()
    if not all(type(at) is int and 0 <= at < len(index.pictures) for at in positions):
        raise _none()
    names = tuple(index.pictures[at].name for at in positions)
    return Change(do, names, tuple(classes), to)


def _none() -> DataError:
    return DataError(
        "This is no change that can be made to this data set. Load the page again, and make it"
        " once more."
    )
