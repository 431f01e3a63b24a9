"""The versions of a data set in the store: what is changed now, and what was kept.

<store>/datasets/<digest>/
    draft.json           the changes since that version, and those that were undone; may be absent
    version.json         its place in its series; absent where it was taken in and not made here

A version never changes. Its pictures are hard links to those of the version that it was made from,
so that it takes hardly any place, and any of the two can be deleted.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from transfer import store
from transfer.dataset import drafts, library, mending, union
from transfer.dataset.drafts import Draft
from transfer.dataset.index import ImageIndex
from transfer.dataset.mending import Change
from transfer.errors import DataError

FORMAT = 1  # part of the digest of every version that is made here
FACTS = "version.json"
_LOCK = ".versions.lock"


@dataclass(frozen=True)
class Version:
    """One version of a data set.

    `number` counts from 1, `made` is in seconds since 1970, `words` say what was changed. `parent`
    is the digest of the version that it was made from, which may have been deleted; `series` that
    of the data set with which all of them began.
    """

    digest: str
    number: int
    made: float
    parent: str | None
    words: tuple[str, ...]
    series: str


def draft(digest: str) -> tuple[Change, ...]:
    """Return the changes that are not kept yet, the oldest first.

    Raises:
        DataError: the data set is not here, or its list of changes is damaged.
    """
    return drafts.read(_folder(digest)).changes


def undone(digest: str) -> tuple[Change, ...]:
    """Return the changes that `redo` would make again, the next one last.

    Raises:
        DataError: the data set is not here, or its list of changes is damaged.
    """
    return drafts.read(_folder(digest)).undone


def drafted(digest: str) -> ImageIndex:
    """Return the data set with the changes that are not kept yet, in the folder of the version.

    Raises:
        DataError: the data set is not here, or damaged.
    """
    base = _open(digest)
    return mending.apply(base, drafts.read(base.root).changes)


def change(digest: str, new: Change) -> Change | None:
    """Add a change to those that are not kept yet; what was undone cannot be redone any more.

    Returns:
        The change as it was noted; None where it changes nothing, which is not noted.

    Raises:
        DataError: it does not fit the data set; the message says why.
    """
    with _locked():
        base = _open(digest)
        known = drafts.read(base.root)
        before = mending.apply(base, known.changes)
        noted = mending.completed(before, new)
        if mending.apply(before, [noted]).pictures == before.pictures:
            return None
        drafts.write(base.root, Draft((*known.changes, noted)))
        return noted


def undo(digest: str) -> Change | None:
    """Take the last change back and return it; None where there is none.

    Raises:
        DataError: the data set is not here, or its list of changes is damaged.
    """
    with _locked():
        folder = _folder(digest)
        known = drafts.read(folder)
        if not known.changes:
            return None
        *rest, last = known.changes
        drafts.write(folder, Draft(tuple(rest), (*known.undone, last)))
        return last


def redo(digest: str) -> Change | None:
    """Make the change again that was undone last and return it; None where there is none.

    Raises:
        DataError: the data set is not here, or its list of changes is damaged.
    """
    with _locked():
        folder = _folder(digest)
        known = drafts.read(folder)
        if not known.undone:
            return None
        *rest, last = known.undone
        drafts.write(folder, Draft((*known.changes, last), tuple(rest)))
        return last


def discard(digest: str) -> None:
    """Drop all changes that are not kept, for good.

    Raises:
        DataError: the data set is not here.
    """
    with _locked():
        drafts.clear(_folder(digest))


def keep(digest: str) -> str:
    """Make a version of the changes that are not kept yet; it has none itself.

    Returns:
        The digest of the new version; that of an older one of the series where it is equal, so the
        same one where nothing was changed.

    Raises:
        DataError: the data set is not here or damaged, or the disk is full.
    """
    with _locked():
        base = _open(digest)
        changes = drafts.read(base.root).changes
        index = mending.apply(base, changes) if changes else base
        return _frozen(base, index, mending.summary(changes), [base])


def changed(digest: str, changes: Sequence[Change]) -> str:
    """Make a version of these changes alone, whatever is not kept yet; see `keep`.

    Returns:
        Its digest; the same one where they change nothing.

    Raises:
        DataError: the data set is not here, or a change does not fit it.
    """
    with _locked():
        base = _open(digest)
        index = mending.apply(base, changes)
        return _frozen(base, index, mending.summary(changes), [base])


def add(digest: str, other: str) -> str:
    """Make a version with the pictures of another data set of the store; changes are kept as well.

    How the two become one is told in `union.join`.

    Returns:
        The digest of the new version; the same one where nothing was new and nothing changed.

    Raises:
        DataError: one of the two is not here or damaged, or the disk is full.
    """
    with _locked():
        base, source = _open(digest), _open(other)
        changes = drafts.read(base.root).changes
        before = mending.apply(base, changes)
        joined = union.join(before, mending.apply(source, ()))
        new = len(joined.index.pictures) - len(before.pictures)
        added = f"{new:,} {'picture' if new == 1 else 'pictures'} added"
        words = (*mending.summary(changes), f"{added} from '{_called(source.root)}'")
        return _frozen(base, joined.index, words, [base, source], joined.notes)


def history(digest: str) -> tuple[Version, ...]:
    """Return the versions that are here of the series to which a data set belongs, oldest first.

    Raises:
        DataError: the data set is not here.
    """
    return of_series(version(_folder(digest)).series)


def of_series(series: str) -> tuple[Version, ...]:
    """Return the versions that are here of a series, the oldest first; maybe none."""
    folders = {path.parent for path in _datasets().glob(f"*/{FACTS}")} | {_datasets() / series}
    found = [version(folder) for folder in folders if (folder / "index.json").is_file()]
    own = [one for one in found if one.series == series]
    return tuple(sorted(own, key=lambda one: (one.number, one.made, one.digest)))


def latest(digest: str) -> str:
    """Return the digest of the newest version of the series to which a data set belongs.

    Raises:
        DataError: the data set is not here.
    """
    return history(digest)[-1].digest


def number(digest: str) -> int:
    """Return the number of a version.

    Raises:
        DataError: the data set is not here.
    """
    return version(_folder(digest)).number


def version(folder: Path) -> Version:
    """Return what is known of the version in a folder; one that was taken in begins a series."""
    facts = _facts(folder)
    made = facts.get("made")
    if made is None:
        with contextlib.suppress(OSError):
            made = (folder / "index.json").stat().st_mtime
    return Version(
        digest=folder.name,
        number=int(facts.get("number", 1)),
        made=float(made or 0.0),
        parent=facts.get("parent"),
        words=tuple(facts.get("words", ())),
        series=str(facts.get("series", folder.name)),
    )


def address(index: ImageIndex, series: str) -> str:
    """Return the digest of a version: by its pictures, what is said of each, and its series."""
    rows = sorted([p.split or "", p.label, p.name, p.sha256, p.group or ""] for p in index.pictures)
    left_out = sorted([item.file, item.reason] for item in index.rejected)
    text = json.dumps(["version", FORMAT, series, rows, left_out])
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _frozen(
    base: ImageIndex,
    index: ImageIndex,
    words: Sequence[str],
    sources: Sequence[ImageIndex],
    notes: Sequence[str] = (),
) -> str:
    """Store an index as the next version, unless there is one that is equal; the lock is held."""
    own = version(base.root)
    unchanged = (base.pictures, base.rejected) == (index.pictures, index.rejected)
    found = base.digest if unchanged else None
    past = history(base.digest)
    made = address(index, own.series)
    found = found or next((one.digest for one in past if _address(one) == made), None)
    if found is None:
        facts = {
            "number": 1 + max(one.number for one in past),
            "parent": base.digest,
            "made": time.time(),
            "words": list(words),
            "series": own.series,
            "notes": list(notes),
        }
        gone = _facts(base.root).get("notes", [])  # of the version before: they are told there
        warnings = tuple(text for text in index.warnings if text in notes or text not in gone)
        _store(replace(index, digest=made, warnings=warnings), facts, sources)
    drafts.clear(base.root)
    return found or made


def _address(one: Version) -> str:
    """Return the address of a version, also of one that came in and has another digest."""
    if one.digest != one.series:
        return one.digest
    return address(mending.apply(_open(one.digest), ()), one.series)


def _store(index: ImageIndex, facts: dict[str, Any], sources: Sequence[ImageIndex]) -> None:
    """Make the folder of a version beside the others, and put it in its place at once."""
    folders = {picture.file: source.root for source in sources for picture in source.pictures}
    try:
        with tempfile.TemporaryDirectory(
            dir=_datasets(), prefix=library.TEMPORARY, ignore_cleanup_errors=True
        ) as work:
            made = Path(work) / "set"
            (made / "images").mkdir(parents=True)
            for file in dict.fromkeys(picture.file for picture in index.pictures):
                _link(f"{folders[file]}/{file}", f"{made}/{file}")  # of many: no Path for each
            with contextlib.suppress(OSError, ValueError):  # it may have no name yet
                about = store.read_json(sources[0].root / "about.json")
                store.write_json(made / "about.json", {**about, "added": facts["made"]})
            store.write_json(made / FACTS, facts)
            store.write_json(made / "index.json", index.to_json(), indent=None)
            library.put_in_place(made, _datasets() / index.digest)
    except OSError as error:
        raise DataError(
            f"The new version could not be stored: {error}. Free some space on the disk; where a"
            " picture is gone, take the pictures in again."
        ) from error


def _link(source: str, place: str) -> None:
    try:
        os.link(source, place)
    except OSError:  # another disk, a file system without links, or too many of them
        shutil.copyfile(source, place)


def _called(root: Path) -> str:
    try:
        return str(store.read_json(root / "about.json")["name"])
    except (OSError, ValueError, KeyError, TypeError):
        return root.name[:8]


def _datasets() -> Path:
    return store.home() / "datasets"


def _folder(digest: str) -> Path:
    folder = _datasets() / digest
    if not digest.isalnum() or not (folder / "index.json").is_file():
        raise DataError(
            "This data set is no longer in the store. Choose another, or upload it again."
        )
    return folder


def _open(digest: str) -> ImageIndex:
    folder = _folder(digest)
    try:
        return ImageIndex.from_json(folder, store.read_json(folder / "index.json"))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"The file '{folder / 'index.json'}' cannot be read ({error}). The data set is damaged:"
            " upload the pictures again."
        ) from error


def _facts(folder: Path) -> dict[str, Any]:
    try:
        value = store.read_json(folder / FACTS)
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


@contextlib.contextmanager
def _locked() -> Iterator[None]:
    """Let one process or thread at a time change drafts and make versions."""
    _datasets().mkdir(parents=True, exist_ok=True)
    with (_datasets() / _LOCK).open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
