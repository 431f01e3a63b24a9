"""Kinds of bad input: how a corpus of them is made, planted among good pictures, with its end.

The kinds stand in `corpus_archives`, `corpus_bombs`, `corpus_folders`, `corpus_names`,
`corpus_pictures`, `corpus_tables` and `corpus_unusual`; `test_corpus` takes each one in as a person
would.
"""

import functools
import io
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image


@dataclass(frozen=True)
class Made:
    """One bad input on the disk, and all that must become of it.

    `accepted` are the names that come in beside the good ones; `rejected` the names that are left
    out, each with a part of the reason; `either` may be accepted or rejected, by chance. `told` are
    parts of warnings. Where there is an `error`, a part of it, nothing comes in. `labels` are the
    classes of some accepted files. `during` is called again and again while it is taken in.
    """

    source: Path
    accepted: tuple[str, ...] = ()
    rejected: Mapping[str, str] = field(default_factory=dict)
    either: tuple[str, ...] = ()
    told: tuple[str, ...] = ()
    error: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    good: tuple[str, ...] = tuple(f"{label}/{i}.png" for label in ("cat", "dog") for i in range(4))
    during: Callable[[], None] = lambda: None


@dataclass(frozen=True)
class Kind:
    """One kind of bad input: its name, and the function that makes it in a folder."""

    name: str
    make: Callable[[Path], Made]
    module: str
    slow: bool = False


KINDS: list[Kind] = []

Maker = Callable[[Path], Made]


def kind(make: Maker) -> Maker:
    """Add a kind to the corpus."""
    KINDS.append(Kind(make.__name__, make, make.__module__))
    return make


def slow_kind(make: Maker) -> Maker:
    """Add a kind that takes longer than a daily test may."""
    KINDS.append(Kind(make.__name__, make, make.__module__, slow=True))
    return make


def picture(
    name: str, reason: str | None = None, slow: bool = False
) -> Callable[[Callable[[], bytes]], Callable[[], bytes]]:
    """Add a kind of one file in a folder of good pictures.

    Args:
        name: of the file.
        reason: a part of why it is left out; None where it comes in.
        slow: whether it takes longer than a daily test may.
    """

    def add(make: Callable[[], bytes]) -> Callable[[], bytes]:
        def plant(folder: Path) -> Made:
            source = planted(folder / "pets", {name: make()})
            if reason is None:
                return Made(source, accepted=(name,))
            return Made(source, rejected={name: reason})

        KINDS.append(Kind(make.__name__, plant, make.__module__, slow))
        return make

    return add


@functools.cache
def good() -> Mapping[str, bytes]:
    """Two classes of four small pictures, by name."""
    return {name: noise(seed) for seed, name in enumerate(Made(Path()).good)}


def noise(seed: int, width: int = 12, height: int = 10) -> bytes:
    """A small PNG of its own."""
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    return saved(Image.fromarray(pixels), "PNG")


def saved(image: Image.Image, form: str, **options: object) -> bytes:
    """The bytes of a picture file."""
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def planted(folder: Path, extra: Mapping[str, bytes] = {}) -> Path:
    """Write the good pictures and some more files into a folder."""
    for name, data in {**good(), **extra}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def zipped(path: Path, extra: Mapping[str, bytes] = {}, method: int = zipfile.ZIP_DEFLATED) -> Path:
    """Write the good pictures and some more files into a zip; the good ones come last."""
    with zipfile.ZipFile(path, "w", method) as made:
        for name, data in {**extra, **good()}.items():
            made.writestr(name, data)
    return path


def tarred(path: Path, extra: Mapping[str, bytes] = {}, mode: str = "w") -> Path:
    """Write the good pictures and some more files into a tar; the good ones come first."""
    with tarfile.open(path, mode) as made:  # pyright: ignore[reportCallIssue, reportArgumentType]
        for name, data in {**good(), **extra}.items():
            add_to(made, name, data)
    return path


def add_to(tar: tarfile.TarFile, name: str, data: bytes, **fields: object) -> None:
    """Add one entry to a tar, with fields of its header as wished."""
    member = tarfile.TarInfo(name)
    member.size = len(data)
    for key, value in fields.items():
        setattr(member, key, value)
    tar.addfile(member, io.BytesIO(data))
