"""Uploads on their way into the store: bytes arrive in pieces, in order, straight on disk.

    STORE/uploads/<id>/
        upload.json      what is known of it (`Upload`); replaced as a whole
        data             the bytes that have arrived; its size says how many
        source/<name>    the same file, under its own name, once it is being read

What arrived stays when a connection breaks: the sender asks how far it got and goes on from there.
An upload is meant to become a data set, or a run that was taken away elsewhere: its purpose says.
"""

import contextlib
import re
import secrets
import shutil
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from app import jobs
from transfer import store
from transfer.dataset import names
from transfer.errors import TransferError

MOST_BYTES = 20 * 1024**3  # of one upload
_SPARE_BYTES = 1024**3  # of disk, beside the upload
_COPIES = 3  # of an upload on disk while it is read: the archive, its files, the pictures
_NAME_BYTES = 200  # a file system takes 255
_ID = re.compile(r"[0-9a-f]{16}")
_BROKEN_OFF_SECONDS, _UNFINISHED_SECONDS, _FINISHED_SECONDS = 60, 2 * 24 * 3600, 24 * 3600
_FINISHING = threading.Lock()
_INSTEAD = {
    "data": "Choose a zip or a folder with pictures in it.",
    "run": "Choose the file of a run as it was downloaded.",
}

Purpose = Literal["data", "run"]
State = Literal["receiving", "queued", "reading", "done", "failed", "unlabelled"]


class UploadError(TransferError):
    """An upload cannot begin or cannot go on as asked."""


class UnknownUploadError(UploadError):
    """There is no such upload, or it is there no longer."""


class TooLargeError(UploadError):
    """More bytes than are taken in one upload or in one piece."""


class NoSpaceError(UploadError):
    """The disk has no room for it."""


class OffsetError(UploadError):
    """A piece does not continue what is here; `received` says where to go on."""

    def __init__(self, message: str, received: int) -> None:
        super().__init__(message)
        self.received = received


@dataclass(frozen=True)
class Aim:
    """What is to become of an upload: a run, a data set, or a part of the data set `into`.

    `label` is the class of pictures of which nothing else says one. By its `mark` a sender that was
    broken off finds its bytes again when the same files are chosen anew; without one it cannot.
    """

    purpose: Purpose = "data"
    into: str | None = None  # a digest
    label: str | None = None
    mark: str = ""


@dataclass(frozen=True)
class Upload:
    """What is known of one upload; `purpose`, `into`, `label` and `mark` as in its `Aim`."""

    id: str
    name: str  # made harmless
    size: int
    created: float  # unix seconds
    purpose: Purpose = "data"
    state: State = "receiving"
    digest: str | None = None  # of the data set that it became, or brought with it
    run: str | None = None  # the id of the run that it became
    into: str | None = None
    label: str | None = None
    mark: str = ""
    added: int = 0  # pictures that were new to `into`
    error: str | None = None
    done: int = 0  # pictures read so far
    total: int = 0
    reading: float = 0.0  # unix seconds when the first of them were read; 0: not yet
    warnings: tuple[str, ...] = ()

    @property
    def aim(self) -> Aim:
        """What is to become of it."""
        return Aim(self.purpose, self.into, self.label, self.mark)

    @property
    def folder(self) -> Path:
        """Where it lies."""
        return _root() / self.id

    @property
    def data(self) -> Path:
        """The bytes that have arrived."""
        return self.folder / "data"

    @property
    def source(self) -> Path:
        """The whole file under its own name: what is said of it names it."""
        return self.folder / "source" / self.name

    @property
    def received(self) -> int:
        """How many bytes have arrived."""
        if self.state != "receiving":
            return self.size
        with contextlib.suppress(FileNotFoundError):
            return self.data.stat().st_size
        return 0

    def to_json(self) -> dict[str, Any]:
        """Return what a page is told of it."""
        return {**asdict(self), "received": self.received}


def begin(name: str, size: int, aim: Aim = Aim(), *, free: int | None = None) -> Upload:
    """Make room for a new upload, or find the one of the same files that was broken off.

    Args:
        name: the file's own name.
        size: its bytes.
        aim: what is to become of it.
        free: bytes free on the disk; None asks the disk.

    Raises:
        TooLargeError: it is larger than what is read.
        NoSpaceError: it does not fit the disk.
        UploadError: it has no bytes.
    """
    sweep()
    name = safe_name(name)
    if size <= 0:
        raise UploadError(f"'{name}' is empty. {_INSTEAD[aim.purpose]}")
    if size > MOST_BYTES:
        raise TooLargeError(
            f"'{name}' has {amount(size)}; at most {amount(MOST_BYTES)} are read at once. Split it"
            " into several data sets, or make the pictures smaller."
        )
    if begun := _broken_off(name, size, aim):
        return begun
    needed = size * _COPIES + _SPARE_BYTES
    free = free_bytes() if free is None else free
    if needed > free:
        raise NoSpaceError(
            f"'{name}' has {amount(size)}, and reading it takes {amount(needed)} of disk;"
            f" {amount(free)} are free on this machine. Delete data sets or runs that are no longer"
            " needed, then try again."
        )
    upload = Upload(secrets.token_hex(8), name, size, time.time(), **asdict(aim))
    upload.folder.mkdir(parents=True)
    upload.data.touch()
    save(upload)
    return upload


def finish(upload_id: str) -> Upload:
    """Hand a whole upload over to be read. Once more does no harm.

    Raises:
        OffsetError: bytes are missing.
        UnknownUploadError: there is no such upload.
    """
    with _FINISHING:  # of two at once, the second may not undo what the job writes meanwhile
        upload = get(upload_id)
        if upload.received != upload.size:
            raise OffsetError(
                f"Only {upload.received:,} of the {upload.size:,} bytes of '{upload.name}' have"
                " arrived. Send the rest first.",
                upload.received,
            )
        if upload.state == "receiving":
            # The state before the job: it may start at once and writes the next state.
            upload = save(replace(upload, state="queued"))
        if upload.state == "queued":
            jobs.submit("import", upload_id)
        return upload


def cancel(upload_id: str) -> None:
    """Stop an upload, wherever it is, and remove its bytes.

    Raises:
        UnknownUploadError: there is no such upload.
    """
    upload = get(upload_id)
    if upload.state != "receiving":
        jobs.forget("import", upload_id)  # ends the job too
    shutil.rmtree(upload.folder, ignore_errors=True)


def get(upload_id: str) -> Upload:
    """Return what is known of an upload now.

    Raises:
        UnknownUploadError: there is none of that name.
    """
    try:
        if not _ID.fullmatch(upload_id):
            raise FileNotFoundError
        value = store.read_json(_root() / upload_id / "upload.json")
        return Upload(**{**value, "warnings": tuple(value["warnings"])})
    except (OSError, ValueError, TypeError, KeyError):
        raise UnknownUploadError(
            "This upload is no longer known: it was cancelled, or given up long ago. Choose the"
            " pictures again."
        ) from None


def save(upload: Upload) -> Upload:
    """Write down what is known of an upload."""
    store.write_json(upload.folder / "upload.json", asdict(upload))
    return upload


def drop_bytes(upload: Upload) -> None:
    """Remove the bytes; what is known of the upload stays."""
    upload.data.unlink(missing_ok=True)
    shutil.rmtree(upload.source.parent, ignore_errors=True)


def sweep() -> None:
    """Remove uploads that were given up two days ago, and those that were read a day ago."""
    if not _root().is_dir():
        return
    for folder in _root().iterdir():
        with contextlib.suppress(OSError):
            if _is_over(folder):
                jobs.forget("import", folder.name)
                shutil.rmtree(folder, ignore_errors=True)


def unfinished() -> list[Upload]:
    """Return the uploads that were broken off and that can be gone on with, in no order."""
    idle = [one for one in _receiving() if _idle_seconds(one.folder) > _BROKEN_OFF_SECONDS]
    return [one for one in idle if one.mark and one.received]


def free_bytes() -> int:
    """Return the free bytes of the disk on which the store lies."""
    place = store.home()
    while not place.exists():
        place = place.parent
    return shutil.disk_usage(place).free


def safe_name(name: str) -> str:
    """Return a file name that leads nowhere and fits the file system, with its ending."""
    last = PurePosixPath(names.clean(name)).name.lstrip(". ") or "upload"
    ending = PurePosixPath(last).suffix
    ending = ending if len(ending.encode()) < 20 else ""
    stem = last.removesuffix(ending).encode()[: _NAME_BYTES - len(ending.encode())]
    return stem.decode(errors="ignore") + ending


def amount(size: int) -> str:
    """Return a number of bytes as people say it."""
    for unit, name in ((1024**3, "GB"), (1024**2, "MB"), (1024, "KB")):
        if size >= unit:
            number = size / unit
            return f"{number:.1f} {name}" if number < 10 and number % 1 else f"{number:,.0f} {name}"
    return f"{size} bytes"


def _receiving() -> Iterator[Upload]:
    for folder in _root().glob("*"):
        with contextlib.suppress(UnknownUploadError):
            if (upload := get(folder.name)).state == "receiving":
                yield upload


def _broken_off(name: str, size: int, aim: Aim) -> Upload | None:
    """Return the upload of the same files for the same aim of which a part is here already."""
    same = (one for one in _receiving() if (one.name, one.size, one.aim) == (name, size, aim))
    return next(same, None) if aim.mark else None


def _idle_seconds(folder: Path) -> float:
    """Return for how long nothing has happened to an upload."""
    paths = [path for path in (folder, *folder.glob("*")) if path.exists()]
    return time.time() - max(path.stat().st_mtime for path in paths)


def _root() -> Path:
    return store.home() / "uploads"


def _is_over(folder: Path) -> bool:
    """Whether nothing has happened to an upload for so long that nothing will."""
    idle = _idle_seconds(folder)
    try:
        upload = get(folder.name)
    except UnknownUploadError:  # broken off while it was made
        return idle > _UNFINISHED_SECONDS
    if upload.state in ("done", "failed"):
        return idle > _FINISHED_SECONDS
    job = jobs.latest("import", upload.id)
    return idle > _UNFINISHED_SECONDS and not (job and job.state in ("queued", "running"))
