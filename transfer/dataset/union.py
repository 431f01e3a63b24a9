"""Join two data sets into one: more pictures for classes that are there, or more classes."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from transfer.dataset import names
from transfer.dataset.index import ImageIndex, Picture


@dataclass(frozen=True)
class Joined:
    """Two data sets as one, in the folder of the first; `notes` say what was not added."""

    index: ImageIndex
    notes: tuple[str, ...]


def join(first: ImageIndex, second: ImageIndex) -> Joined:
    """Return a data set with the pictures of both.

    Classes of the same name become one, also where they differ only in case: they get the name that
    the first one has. What is there already, pixel for pixel and in the same class, is not added
    again. Where the first data set has parts of its own, pictures without one go to "train", so
    that what judges it stays the same; where it has none, the app shares the added ones out, too.

    Args:
        first: a data set whose pictures have different names.
        second: what is added to it; where a name is taken, it is numbered.
    """
    added = list(_added(first, second))
    notes: tuple[str, ...] = ()
    if left := len(second.pictures) - len(added):
        them = "1 picture was" if left == 1 else f"{left:,} pictures were"
        notes = (f"{them} not added: the same were there already, in the same class.",)
    rejected = dict.fromkeys((*first.rejected, *second.rejected))
    pictures = sorted((*first.pictures, *added), key=lambda p: (p.split or "", p.label, p.name))
    index = replace(
        first,
        pictures=tuple(pictures),
        rejected=tuple(sorted(rejected, key=lambda item: (item.file, item.reason))),
    )
    return Joined(replace(index, warnings=(*_warnings(index, first, second), *notes)), notes)


def _added(first: ImageIndex, second: ImageIndex) -> Iterator[Picture]:
    """Yield the pictures that are new, with the names, classes and parts that they get."""
    classes = set(first.classes)
    spelling: dict[str, str] = {}
    for label in (*first.classes, *second.classes):
        spelling.setdefault(label.casefold(), label)
    parted = len({picture.split for picture in first.pictures} - {None}) > 1
    taken = {picture.name: 1 for picture in first.pictures}
    seen = {(picture.sha256, picture.label) for picture in first.pictures}
    for picture in second.pictures:
        label = picture.label if picture.label in classes else spelling[picture.label.casefold()]
        if (picture.sha256, label) in seen:
            continue
        seen.add((picture.sha256, label))
        part = (picture.split or "train") if parted else None
        name = names.unique(picture.name, taken)
        yield replace(picture, name=name, label=label, split=part)


def _warnings(index: ImageIndex, *parts: ImageIndex) -> tuple[str, ...]:
    """Return what is to be said about a union; whether names are alike is found anew."""
    old = {text for part in parts for text in names.alike(part.classes)}
    kept = [text for part in parts for text in part.warnings if text not in old]
    return tuple(dict.fromkeys((*names.alike(index.classes), *kept)))
