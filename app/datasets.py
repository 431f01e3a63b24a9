"""The data sets of the store as the pages show them: names, sizes, thumbnails."""

import shutil
import time
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from PIL import Image, ImageOps

from transfer import sample, store
from transfer.dataset import library
from transfer.dataset.index import ImageIndex, Picture
from transfer.errors import DataError

FEWEST = 4  # pictures that a class needs
THUMBNAIL_SIDES = (96, 192, 384)  # pixels


@dataclass(frozen=True)
class DataSet:
    """One data set in the store; `added` in seconds since 1970."""

    digest: str
    name: str
    added: float
    pictures: int
    classes: int


def listed() -> list[DataSet]:
    """Return all data sets, the newest first."""
    root = store.home() / "datasets"
    folders = [path.parent for path in root.glob("*/index.json")] if root.is_dir() else []
    found = [entry for folder in folders if (entry := _entry(folder))]
    return sorted(found, key=lambda entry: -entry.added)


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


def size(digest: str) -> int:
    """Return the bytes that a data set takes on the disk."""
    try:
        pictures = _picture_bytes(*_version(digest))
    except DataError:
        return _bytes_below(_folder(digest))
    return pictures + sum(p.stat().st_size for p in _folder(digest).iterdir() if p.is_file())


def name(digest: str) -> str:
    """Return what people call the data set."""
    entry = _entry(_folder(digest))
    return entry.name if entry else "a data set that was deleted"


def rename(digest: str, new: str) -> None:
    """Give the data set another name.

    Raises:
        DataError: the name is empty.
    """
    new = " ".join(new.split())[:80]
    if not new:
        raise DataError("A data set needs a name. Type one and press Enter.")
    about = _about(_folder(digest))
    store.write_json(_folder(digest) / "about.json", {**about, "name": new})


def describe(digest: str, name: str) -> None:
    """Note the name under which a new data set came in; an earlier name stays."""
    if not _about(_folder(digest)):
        about = {"name": name[:80], "added": time.time()}
        store.write_json(_folder(digest) / "about.json", about)


def delete(digest: str) -> None:
    """Remove a data set with its thumbnails."""
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
    if not path.is_file():
        with Image.open(original) as picture:
            square = ImageOps.fit(picture.convert("RGB"), (side, side), Image.Resampling.BOX)
        with store.replacing(path) as partial:
            square.save(partial, "JPEG", quality=82)
    return path


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
        whole = index(folder.name)
    except (OSError, DataError):
        return None
    about = _about(folder)
    return DataSet(
        digest=folder.name,
        name=str(about.get("name") or folder.name[:8]),
        added=float(str(about.get("added") or modified)),
        pictures=len(whole.pictures),
        classes=len(whole.classes),
    )


@lru_cache(maxsize=128)
def _picture_bytes(home: str, digest: str, version: int) -> int:  # noqa: ARG001
    return _bytes_below(Path(home) / "datasets" / digest / "images")


def _bytes_below(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


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


@lru_cache(maxsize=32)
def _index(home: str, digest: str, version: int) -> ImageIndex:  # noqa: ARG001
    root = Path(home) / "datasets" / digest
    try:
        return ImageIndex.from_json(root, store.read_json(root / "index.json"))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"The file '{root / 'index.json'}' cannot be read ({error}). The data set is damaged:"
            " upload the pictures again."
        ) from error
