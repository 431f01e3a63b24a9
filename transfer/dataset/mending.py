"""Mend a data set: changes to its labels, parts and groups, each of which can be told and undone.

Nothing here touches a disk. A change names its pictures by `Picture.name`; where a name occurs
twice, the later ones are numbered ("a (2).jpg"), from the first change on. A name stays as it is
when its picture gets another class: it is how the user knows the file.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from transfer.dataset import names, patterns
from transfer.dataset.index import ImageIndex, Picture
from transfer.errors import DataError

PARTS = ("train", "val", "test")
LONGEST = 100  # characters of a name that is given to a class or a group
_MOST_NAMED = 3  # classes that are named in a sentence


class NameTakenError(DataError):
    """A class is called like that, perhaps up to case; `other` is its name. Merging is the way."""

    def __init__(self, message: str, other: str) -> None:
        super().__init__(message)
        self.other = other


@dataclass(frozen=True)
class Change:
    """One change to a data set.

    What `do` says it is:

    - "relabel": the pictures get the class `to`, which may be a new one.
    - "split_off": the pictures become the class `to`, which must be a new one.
    - "move": the pictures go to the part `to` of `PARTS`; None: the app shares them out.
    - "merge": all pictures of the classes get the class `to`.
    - "rename": the one class is called `to`.
    - "delete": the pictures go, or where none are named the classes with all of theirs.
    - "group": the pictures belong together under the name `to`, or to nothing where it is None;
      where there is a `pattern`, its one group names the group of every picture by its name.

    Where pictures are named, `classes` says in which they were; it is for telling only.
    """

    do: str
    pictures: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    to: str | None = None
    pattern: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the change as a JSON object."""
        return {key: list(v) if isinstance(v, tuple) else v for key, v in vars(self).items()}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "Change":
        """Return the change that `to_json` wrote, or a part of one: what is left out is empty."""
        return cls(
            do=value["do"],
            pictures=tuple(value.get("pictures", ())),
            classes=tuple(value.get("classes", ())),
            to=value.get("to"),
            pattern=value.get("pattern"),
        )


def apply(index: ImageIndex, changes: Iterable[Change]) -> ImageIndex:
    """Return the data set as it is after the changes; its folder and its digest stay.

    Raises:
        DataError: a change does not fit the data set; the message says why.
    """
    changes = tuple(changes)
    work = _Work(index)
    if not changes and not work.renamed:
        return index
    for change in changes:
        work.do(change)
    return work.result()


def completed(index: ImageIndex, change: Change) -> Change:
    """Return a change as it is kept: names tidy, each once, with the classes of its pictures.

    Raises:
        DataError: it does not fit the data set.
    """
    pictures, classes = tuple(dict.fromkeys(change.pictures)), tuple(dict.fromkeys(change.classes))
    if pictures:
        known = {picture.name: picture.label for picture in apply(index, ()).pictures}
        classes = tuple(sorted({known[name] for name in pictures if name in known}))
    to = change.to
    if to is not None and to not in index.classes:  # a class keeps its name, whatever it is
        to = _tidy(to)
    found = replace(change, pictures=pictures, classes=classes, to=to)
    apply(index, [found])
    return found


def words(change: Change) -> str:
    """Return the change as a sentence without its full stop, for somebody who looks it up later."""
    n = len(change.pictures)
    some = f"{n:,} {'picture' if n == 1 else 'pictures'}"
    of = f"{some} of {_listed(change.classes)}" if change.classes else some
    classes = f"the {'class' if len(change.classes) == 1 else 'classes'} {_listed(change.classes)}"
    match change.do:
        case "relabel":
            source = f" from {_listed(change.classes)}" if change.classes else ""
            return f"{some} moved{source} to '{change.to}'"
        case "split_off":
            return f"{of} split off as the new class '{change.to}'"
        case "move" if change.to is None:
            return f"{of} left to the app to share out"
        case "move":
            return f"{of} put into the part '{change.to}'"
        case "merge":
            return f"{classes} merged into '{change.to}'"
        case "rename":
            return f"{classes} renamed to '{change.to}'"
        case "delete":
            return f"{of} deleted" if n else f"{classes} deleted with all pictures"
        case "group" if change.pattern is not None:
            return f"groups named by the file names, by the pattern {change.pattern}"
        case "group" if change.to is None:
            return f"{some} taken out of {'its' if n == 1 else 'their'} groups"
        case "group":
            return f"{some} grouped as '{change.to}'"
    return f"a change of an unknown kind, '{change.do}'"


def summary(changes: Sequence[Change]) -> tuple[str, ...]:
    """Return the changes in words, those that differ only in their pictures as one."""
    alike: dict[Change, dict[str, None]] = {}
    for change in changes:
        alike.setdefault(replace(change, pictures=()), {}).update(dict.fromkeys(change.pictures))
    return tuple(words(replace(change, pictures=tuple(p))) for change, p in alike.items())


class _Work:
    """The pictures by their names while changes are made to them, and how many each class has."""

    def __init__(self, index: ImageIndex) -> None:
        self.index = index
        taken = {picture.name: 1 for picture in index.pictures}
        self.renamed = len(taken) < len(index.pictures)
        self.pictures: dict[str, Picture] = {}
        for picture in index.pictures:
            name = picture.name
            if name in self.pictures:
                name = names.unique(name, taken)
                picture = replace(picture, name=name)
            self.pictures[name] = picture
        self.counts = Counter(picture.label for picture in index.pictures)
        self._kinds: dict[str, Callable[[Change], None]] = {
            "relabel": self._relabel, "split_off": self._split_off, "move": self._move,
            "merge": self._merge, "rename": self._rename, "delete": self._delete,
            "group": self._group,
        }  # fmt: skip

    def do(self, change: Change) -> None:
        """Make one change.

        Raises:
            DataError: it does not fit.
        """
        kind = self._kinds.get(change.do)
        if kind is None:
            raise DataError(
                f"Expected one of the changes {', '.join(self._kinds)}, received '{change.do}'."
                " Undo it, or update the app."
            )
        kind(change)

    def result(self) -> ImageIndex:
        """Return the data set as it is now, sorted as the importer does."""
        pictures = sorted(self.pictures.values(), key=lambda p: (p.split or "", p.label, p.name))
        before = names.alike(self.index.classes)
        warnings = [text for text in self.index.warnings if text not in before]
        return replace(
            self.index,
            pictures=tuple(pictures),
            warnings=(*names.alike(self.counts), *warnings),
        )

    def _relabel(self, change: Change) -> None:
        label = self._class_name(change)
        self._refuse_alike(label, ())
        self._label(self._named(change), label)

    def _split_off(self, change: Change) -> None:
        label = self._class_name(change)
        if label in self.counts:
            raise NameTakenError(
                f"Expected the name of a new class, but there is a class '{label}' already. Move"
                " the pictures into it, or choose another name.",
                label,
            )
        self._relabel(change)

    def _move(self, change: Change) -> None:
        if change.to is not None and change.to not in PARTS:
            raise DataError(
                f"Expected one of the parts {', '.join(PARTS)}, received '{change.to}'. Choose one"
                " of them, or let the app share the pictures out."
            )
        for picture in self._named(change):
            self.pictures[picture.name] = replace(picture, split=change.to)

    def _merge(self, change: Change) -> None:
        label, classes = self._class_name(change), self._classes(change)
        self._refuse_alike(label, classes)
        self._label(self._members(classes), label)

    def _rename(self, change: Change) -> None:
        label, classes = self._class_name(change), self._classes(change)
        if len(classes) != 1:
            raise DataError(f"Expected one class to rename, received {len(classes)}. Choose one.")
        if label in self.counts and label not in classes:
            raise NameTakenError(
                f"There is a class '{label}' already. To join the two, merge them; else choose"
                " another name.",
                label,
            )
        self._refuse_alike(label, classes)
        self._label(self._members(classes), label)

    def _delete(self, change: Change) -> None:
        by_name = bool(change.pictures) or not change.classes
        gone = self._named(change) if by_name else self._members(self._classes(change))
        if len(gone) == len(self.pictures):
            raise DataError(
                "This would delete every picture of the data set. Keep some, or delete the data set"
                " as a whole."
            )
        for picture in gone:
            del self.pictures[picture.name]
            self._uncount(picture.label)

    def _group(self, change: Change) -> None:
        if change.pattern is not None:
            groups = patterns.named(self.pictures, change.pattern)
            found = dict(zip(self.pictures, groups, strict=True))
            if not any(found.values()):
                raise DataError(
                    f"The pattern {change.pattern} fits none of the file names, for example"
                    f" '{names.shown(next(iter(self.pictures)))}'. Change it and try again."
                )
            for name, picture in self.pictures.items():
                self.pictures[name] = replace(picture, group=found[name])
            return
        group = None if change.to is None else _checked_name(change.to, "group")
        for picture in self._named(change):
            self.pictures[picture.name] = replace(picture, group=group)

    def _named(self, change: Change) -> list[Picture]:
        """Return the pictures that a change names."""
        if not change.pictures:
            raise DataError("Expected pictures to change, received none. Choose some first.")
        wanted = dict.fromkeys(change.pictures)
        if missing := [name for name in wanted if name not in self.pictures]:
            more = f" and {len(missing) - 1:,} others" if len(missing) > 1 else ""
            raise DataError(
                f"There is no picture '{names.shown(missing[0])}'{more} in this data set (any"
                " more). Open the page again, and choose among those that it shows."
            )
        return [self.pictures[name] for name in wanted]

    def _classes(self, change: Change) -> tuple[str, ...]:
        """Return the classes that a change names."""
        if not change.classes:
            raise DataError("Expected classes to change, received none. Choose some first.")
        if missing := [name for name in change.classes if name not in self.counts]:
            there = _listed(tuple(sorted(self.counts)))
            raise DataError(
                f"There is no class '{names.shown(missing[0])}' in this data set (any more); there"
                f" are {there}. Choose one of those."
            )
        return change.classes

    def _members(self, classes: Sequence[str]) -> list[Picture]:
        return [picture for picture in self.pictures.values() if picture.label in classes]

    def _label(self, pictures: Iterable[Picture], label: str) -> None:
        for picture in pictures:
            self._uncount(picture.label)
            self.counts[label] += 1
            self.pictures[picture.name] = replace(picture, label=label)

    def _uncount(self, label: str) -> None:
        self.counts[label] -= 1
        if not self.counts[label]:
            del self.counts[label]

    def _class_name(self, change: Change) -> str:
        """Return the class into which pictures go: one that is there, or a name fit for one."""
        name = change.to or ""
        # One that is there keeps its name, whatever its folder is called.
        return name if name in self.counts else _checked_name(name, "class")

    def _refuse_alike(self, label: str, allowed: Sequence[str]) -> None:
        """Refuse the name of a new class that is that of another one up to case."""
        if label in self.counts:
            return
        alike = {name.casefold(): name for name in sorted(self.counts) if name not in allowed}
        if other := alike.get(label.casefold()):
            raise NameTakenError(
                f"There is a class '{other}' already, which differs from '{label}' only in upper"
                f" and lower case. To join the two, merge them into '{other}'; else choose another"
                " name.",
                other,
            )


def _checked_name(text: str, what: str) -> str:
    name = _tidy(text)
    if not name:
        raise DataError(f"A {what} needs a name. Type one and try again.")
    if len(name) > LONGEST:
        raise DataError(
            f"Expected a name of at most {LONGEST} characters, received {len(name):,}. Choose a"
            " shorter one."
        )
    return name


def _tidy(name: str) -> str:
    return names.clean_text(" ".join(name.split()))


def _listed(classes: Sequence[str]) -> str:
    quoted = [f"'{names.shown(name)}'" for name in classes]
    if len(quoted) > _MOST_NAMED:
        return f"{len(quoted)} classes"
    return " and ".join(filter(None, [", ".join(quoted[:-1]), *quoted[-1:]]))
