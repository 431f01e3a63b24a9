"""The data sets of the store as the pages show them: names, versions, sizes, thumbnails."""

import contextlib
import os
import shutil
import time
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from PIL import Image, ImageOps

from app import usage
from transfer import sample, store
from transfer.dataset import drafts, library, mending
from transfer.dataset import versions as series
from transfer.dataset.index import ImageIndex, Picture
from transfer.dataset.versions import Version
from transfer.errors import DataError

FEWEST = 4  # pictures that a class needs
THUMBNAIL_SIDES = (96, 192, 384)  # pixels


@dataclass(frozen=True)
class DataSet:
    """One version of a data set in the store; `added` in seconds since 1970.

    `name` says which version it is where there are several; `number` counts from 1, and `versions`
    is how many there are.
    """

    digest: str
    name: str
    added: float
    pictures: int
    classes: int
    number: int = 1
    versions: int = 1


def listed() -> list[DataSet]:
    """Return all data sets, of each the newest version, the one that was added last first."""
    newest: dict[str, DataSet] = {}
    for entry in every():
        known = newest.setdefault(_series(entry.digest)[0].series, entry)
        if known.number < entry.number:
            newest[_series(entry.digest)[0].series] = entry
    return sorted(newest.values(), key=lambda entry: -entry.added)


def every() -> list[DataSet]:
    """Return all versions of all data sets, the one that was added last first."""
    root = store.home() / "datasets"
    folders = [path.parent for path in root.glob("*/index.json")] if root.is_dir() else []
    found = [entry for folder in folders if (entry := _entry(folder))]
    return sorted(found, key=lambda entry: -entry.added)


def versions(digest: str) -> tuple[Version, ...]:
    """Return the versions that are here of the series of a data set, the oldest first.

    Raises:
        DataError: the data set is no longer there.
    """
    _version(digest)
    return _series(digest)


def index(digest: str) -> ImageIndex:
    """Return a data set with all its classes, kept in memory while its file is unchanged.

    Raises:
        DataError: it is no longer there.
    """
    return _index(*_version(digest))


def by_class(digest: str) -> dict[str, tuple[Picture, ...]]:
    """Return the pictures of each class, in the order of the classes."""
    return _by_class(*_version(digest))


def usable(digest: str) -> ImageIndex:
    """Return a data set as a training sees it: classes with too few pictures are set aside.

    Raises:
        DataError: it is no longer there.
    """
    return _usable(*_version(digest))


def warnings(digest: str) -> tuple[str, ...]:
    """Return what to say about the data set as a whole."""
    try:
        return usable(digest).warnings
    except DataError:
        return index(digest).warnings  # no class is large enough


def drafted(digest: str) -> ImageIndex:
    """Return a data set with the changes that are not kept yet.

    It is kept in memory while its files are unchanged.

    Raises:
        DataError: it is no longer there, or its list of changes is damaged.
    """
    return _drafted(*_version(digest), drafts.state(_folder(digest)))


def size(digest: str) -> int:
    """Return the bytes that go when a version is deleted: other versions keep what they share."""
    try:
        pictures = _picture_bytes(*_version(digest), _state(store.home() / "datasets"))
    except DataError:
        return usage.freed_by(_folder(digest))
    return pictures + sum(p.stat().st_size for p in _folder(digest).iterdir() if p.is_file())


def name(digest: str) -> str:
    """Return what people call the data set, with its version where there are several."""
    try:
        _version(digest)
    except DataError:
        return "a data set that was deleted"
    return _named(digest)


def title(digest: str) -> str:
    """Return what people call the data set, whichever version it is."""
    about = _about(_folder(digest))
    return str(about.get("name") or digest[:8])


def rename(digest: str, new: str) -> None:
    """Give the data set another name, in all its versions.

    Raises:
        DataError: the name is empty, or the data set is no longer there.
    """
    new = " ".join(new.split())[:80]
    if not new:
        raise DataError("A data set needs a name. Type one and press Enter.")
    for one in versions(digest):
        folder = _folder(one.digest)
        store.write_json(folder / "about.json", {**_about(folder), "name": new})


def describe(digest: str, name: str) -> bool:
    """Note the name of a data set that came in; whether it is new: an earlier name stays.

    A version gets the name of the others of its series.
    """
    if _about(_folder(digest)):
        return False
    others = (one.digest for one in _series(digest) if one.digest != digest)
    name = next(map(title, others), name)
    about = {"name": name[:80], "added": time.time()}
    store.write_json(_folder(digest) / "about.json", about)
    return True


def delete(digest: str) -> None:
    """Remove a version of a data set with its thumbnails; the other versions stay."""
    shutil.rmtree(_folder(digest), ignore_errors=True)
    shutil.rmtree(store.home() / "thumbnails" / digest, ignore_errors=True)


def sample_digest() -> str:
    """Return the sample data set, drawing it and taking it in at the first use (seconds)."""
    kept = store.home() / "sample" / "digest"
    if kept.is_file() and (_folder(kept.read_text()) / "index.json").is_file():
        return kept.read_text()
    digest = library.import_dataset(sample.sample_dataset()).digest
    describe(digest, "Sample: drawn fruit")
    with store.replacing(kept) as partial:
        partial.write_text(digest)
    return digest


def thumbnail(digest: str, sha256: str, side: int) -> Path:
    """Return a square JPEG of a picture, made at the first use.

    Raises:
        DataError: there is no such picture, or no thumbnails of that size are made.
    """
    plain = digest.isalnum() and sha256.isalnum()
    original = _folder(digest) / "images" / f"{sha256}.png"
    if not plain or side not in THUMBNAIL_SIDES or not original.is_file():
        raise DataError("There is no such picture.")
    path = store.home() / "thumbnails" / digest / f"{sha256}-{side}.jpg"
    if not path.is_file() and not _taken_over(path, digest):
        with Image.open(original) as picture:
            square = ImageOps.fit(picture.convert("RGB"), (side, side), Image.Resampling.BOX)
        with store.replacing(path) as partial:
            square.save(partial, "JPEG", quality=82)
    return path


def _taken_over(path: Path, digest: str) -> bool:
    """Link a thumbnail to that of another version, where there is one."""
    made = [path.parent.with_name(one.digest) / path.name for one in _series(digest)]
    with contextlib.suppress(OSError):  # another file system, or deleted at this moment
        if other := next((other for other in made if other.is_file()), None):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.hardlink_to(other)
    return path.is_file()


def _folder(digest: str) -> Path:
    return store.home() / "datasets" / (digest if digest.isalnum() else "none")


def _version(digest: str) -> tuple[str, str, int]:
    """Return what decides whether something kept in memory is still right.

    Raises:
        DataError: the data set is no longer there.
    """
    try:
        changed = (_folder(digest) / "index.json").stat().st_mtime_ns
    except FileNotFoundError:
        raise DataError(
            "This data set is no longer in the store. Choose another, or upload it again."
        ) from None
    return str(store.home()), digest, changed


def _about(folder: Path) -> dict[str, object]:
    try:
        return store.read_json(folder / "about.json")
    except (OSError, ValueError):
        return {}


def _entry(folder: Path) -> DataSet | None:
    """Return a data set's line; None while it is being deleted."""
    try:
        modified = (folder / "index.json").stat().st_mtime
        pictures, classes = _counts(*_version(folder.name))
        past = _series(folder.name)
    except (OSError, DataError):
        return None
    return DataSet(
        digest=folder.name,
        name=_named(folder.name),
        added=float(str(_about(folder).get("added") or modified)),
        pictures=pictures,
        classes=classes,
        number=next((one.number for one in past if one.digest == folder.name), 1),
        versions=len(past),
    )


def _named(digest: str) -> str:
    past = _series(digest)
    number = next((one.number for one in past if one.digest == digest), 1)
    return f"{title(digest)}, version {number}" if number > 1 or len(past) > 1 else title(digest)


def _series(digest: str) -> tuple[Version, ...]:
    """Return the versions of a data set that is there."""
    root = store.home() / "datasets"
    known = _all_series(str(root), _state(root))
    return known.get(digest) or series.history(digest)


def _state(root: Path) -> tuple[int, tuple[str, ...]]:
    """Return what changes when a data set comes or goes."""
    return root.stat().st_mtime_ns, tuple(os.listdir(root))  # noqa: PTH208 - only the names


@lru_cache(maxsize=8)
def _all_series(root: str, state: object) -> dict[str, tuple[Version, ...]]:  # noqa: ARG001
    """Return for each version of all data sets the versions of its series, the oldest first."""
    found: dict[str, list[Version]] = {}
    for path in Path(root).glob("*/index.json"):
        one = series.version(path.parent)
        found.setdefault(one.series, []).append(one)
    past = [tuple(sorted(s, key=lambda one: (one.number, one.made, one.digest)))
            for s in found.values()]  # fmt: skip
    return {one.digest: versions for versions in past for one in versions}


@lru_cache(maxsize=128)
def _picture_bytes(home: str, digest: str, version: int, state: object) -> int:  # noqa: ARG001
    return usage.freed_by(Path(home) / "datasets" / digest / "images")


@lru_cache(maxsize=8)
def _drafted(home: str, digest: str, version: int, state: object) -> ImageIndex:  # noqa: ARG001
    return mending.apply(_index(home, digest, version), series.draft(digest))


@lru_cache(maxsize=32)
def _usable(home: str, digest: str, version: int) -> ImageIndex:  # noqa: ARG001
    return library.open_dataset(digest, minimum_per_class=FEWEST)


@lru_cache(maxsize=32)
def _by_class(home: str, digest: str, version: int) -> dict[str, tuple[Picture, ...]]:
    whole = _index(home, digest, version)
    groups: dict[str, list[Picture]] = {label: [] for label in whole.classes}
    for picture in whole.pictures:
        groups[picture.label].append(picture)
    return {label: tuple(pictures) for label, pictures in groups.items()}


@lru_cache(maxsize=1024)
def _counts(home: str, digest: str, version: int) -> tuple[int, int]:  # noqa: ARG001
    """Return the pictures and the classes: all that a list needs of versions, of which are many."""
    whole = _loaded(home, digest)
    return len(whole.pictures), len(whole.classes)


@lru_cache(maxsize=32)
def _index(home: str, digest: str, version: int) -> ImageIndex:  # noqa: ARG001
    return _loaded(home, digest)


def _loaded(home: str, digest: str) -> ImageIndex:
    root = Path(home) / "datasets" / digest
    try:
        return ImageIndex.from_json(root, store.read_json(root / "index.json"))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"The file '{root / 'index.json'}' cannot be read ({error}). The data set is damaged:"
            " upload the pictures again."
        ) from error
