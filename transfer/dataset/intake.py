"""Take the files of an upload in one by one: harmless names only, limits held while they stream."""

import errno
import hashlib
import lzma
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Protocol

from transfer.dataset import names
from transfer.dataset.index import Rejected
from transfer.errors import ArchiveError

OUTSIDE = "its name leads outside the archive"
LINK = "it is a link, and links are not followed"
DEVICE = "it is a device, not a file"
NESTED = "it is an archive inside the upload; unpack it first"
ENCRYPTED = "it is encrypted; pack it without a password"
BOMB = "it unpacks to hundreds of times its size, which no picture does"
PACKING = "it is packed in a way that is not read; pack it again as an ordinary zip"

# What the readers raise on damaged data; without an errno an OSError comes from a decompressor.
DAMAGE = (
    zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, OSError,
    struct.error, ValueError, ArithmeticError, LookupError, NotImplementedError, RuntimeError,
    MemoryError,
)  # fmt: skip

_BLOCK = 1 << 20
_ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".tbz2", ".xz", ".txz", ".7z", ".rar", ".zst")


@dataclass(frozen=True)
class Limits:
    """What an upload may hold at most."""

    entries: int = 200_000
    total_bytes: int = 20 * 1024**3
    file_bytes: int = 256 * 1024**2
    ratio: float = 200.0  # unpacked to packed, once a file is larger than `ratio_from`
    ratio_from: int = 16 * 1024**2
    swollen_bytes: int = 512 * 1024**2  # of all files of such a ratio together, however small


@dataclass(frozen=True)
class Unpacked:
    """One file on disk: its name in the upload, and where its bytes are.

    `sha256` is of its bytes; None for the files of a folder, which are not read yet.
    """

    name: str
    path: Path
    sha256: str | None


@dataclass(frozen=True)
class Upload:
    """All files of an upload, those left out, and notes on the upload as a whole."""

    files: tuple[Unpacked, ...]
    rejected: tuple[Rejected, ...]
    notes: tuple[str, ...]


class Stream(Protocol):
    """What can be read block by block."""

    def read(self, size: int = -1, /) -> bytes:
        """Return at most `size` bytes; none at the end."""
        ...


class Intake:
    """Takes the entries of one upload in: checks names, holds the limits, writes the files."""

    def __init__(self, source: Path, target: Path, limits: Limits, on_step: Callable[[], None]):
        self.source, self.target, self.limits, self.on_step = source, target, limits, on_step
        self._files: list[Unpacked] = []
        self._rejected: list[Rejected] = []
        self._left_out: list[str] = []  # the whole names of the rejected
        self._notes: list[str] = []
        self._taken: dict[str, int] = {}
        self._folders: dict[str, None] = {}
        self._entries, self._total, self._hidden, self._swollen = 0, 0, 0, 0

    def result(self) -> Upload:
        """Return what was taken in."""
        if self._hidden == 1:
            self._notes.append("1 hidden or system file was passed over.")
        elif self._hidden:
            self._notes.append(f"{self._hidden} hidden or system files were passed over.")
        self._notes.extend(self._empty())
        return Upload(tuple(self._files), tuple(self._rejected), tuple(self._notes))

    def count(self, entries: int = 1) -> None:
        """Count entries, folders too.

        Raises:
            ArchiveError: there are more than are read.
        """
        self._entries += entries
        if self._entries > self.limits.entries:
            raise ArchiveError(
                f"'{names.shown(self.source.name)}' holds more than {self.limits.entries:,} files,"
                " the most that is read. Split it into several data sets."
            )

    def reject(self, name: str, reason: str) -> None:
        """Leave one file out, and say why."""
        self._rejected.append(Rejected(names.shown(name), reason))
        self._left_out.append(name)

    def folder(self, name: str) -> None:
        """Remember a folder: it is told where nothing is in it."""
        if not self.passes(name) and not names.leads_outside(name):
            self._folders[names.clean(name)] = None

    def passes(self, name: str) -> bool:
        """Whether a hidden file or folder is passed over; it is counted."""
        hidden = names.is_hidden(name)
        self._hidden += hidden
        return hidden

    def wanted(self, name: str) -> bool:
        """Whether a file's name is harmless; where it is not, the file is rejected."""
        if self.passes(name):
            return False
        if names.leads_outside(name) or not name.strip("/\\."):
            self.reject(name, OUTSIDE)
        elif name.lower().endswith(_ARCHIVES):
            self.reject(name, NESTED)
        else:
            return True
        return False

    def bursts(self, size: int, packed: int) -> bool:
        """Whether a file that states these sizes need not even be unpacked: it is a bomb."""
        limits = self.limits
        if size <= limits.ratio * packed:
            return False
        return size > limits.ratio_from or self._swollen + size > limits.swollen_bytes

    def write(self, name: str, stream: Stream, packed: int) -> None:
        """Write one file under a name of our own, within the limits.

        Args:
            name: the file's name in the archive.
            stream: its bytes; what it raises goes through, and the file does not stay.
            packed: the bytes that it takes in the archive.
        """
        path = self.target / f"{len(self._files):06d}"
        digest, size, reason = hashlib.sha256(), 0, None
        try:
            with path.open("wb") as file:
                while not reason and (block := stream.read(_BLOCK)):
                    size += len(block)
                    reason = self._over(len(block), size, packed)
                    file.write(block)
                    digest.update(block)
                    self.on_step()
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        if reason:
            path.unlink()
            self.reject(name, reason)
        else:
            self._add(Unpacked(names.clean(name), path, digest.hexdigest()))

    def refer(self, name: str, path: Path) -> None:
        """Take a file where it lies, within the limits."""
        size = path.stat().st_size
        if reason := self._over(size, size, size):
            self.reject(name, reason)
        else:
            self._add(Unpacked(names.clean(name), path, None))
            self.on_step()

    def damaged(self, error: Exception | str) -> None:
        """Keep what came before the damage, with a note.

        Raises:
            ArchiveError: nothing came before.
        """
        name = names.shown(self.source.name)
        if not self._files:
            raise ArchiveError(
                f"'{name}' is damaged ({in_words(error)}). Pack it again, or send it again."
            )
        self._notes.append(
            f"'{name}' is damaged ({in_words(error)}); only the {len(self._files)} files before the"
            " damage were read. Pack it again, or send it again."
        )

    def _add(self, file: Unpacked) -> None:
        name = names.unique(file.name, self._taken)
        self._files.append(Unpacked(name, file.path, file.sha256))

    def _empty(self) -> list[str]:
        """Return a sentence on the topmost folders in which there is nothing at all."""
        known = [*(file.name for file in self._files), *self._left_out]
        paths = [PurePosixPath(names.clean(name)) for name in known]
        full = {folder for path in paths for folder in (path, *path.parents)}
        empty = {folder for name in self._folders if (folder := PurePosixPath(name)) not in full}
        tops = [str(folder) for folder in sorted(empty) if empty.isdisjoint(folder.parents)]
        if not tops:
            return []
        some = ", ".join(f"'{names.shown(name)}'" for name in tops[:5])
        if len(tops) == 1:
            return [f"The folder {some} is empty. Add pictures to it, or leave it out."]
        more = ", ..." if len(tops) > 5 else ""
        return [f"{len(tops)} folders are empty ({some}{more}). Add pictures, or leave them out."]

    def _over(self, new: int, size: int, packed: int) -> str | None:
        limits = self.limits
        self._total += new
        if self._total > limits.total_bytes:
            raise too_large(self.source, limits)
        if size > limits.file_bytes:
            return f"it is larger than {limits.file_bytes // 1024**2} MB, the most that is read"
        if size > limits.ratio * packed:
            self._swollen += new
            if size > limits.ratio_from or self._swollen > limits.swollen_bytes:
                return BOMB
        return None


def too_large(source: Path, limits: Limits) -> ArchiveError:
    """Return the error that an upload is larger than what is read."""
    return ArchiveError(
        f"'{names.shown(source.name)}' unpacks to more than {limits.total_bytes / 1024**3:.3g} GB,"
        " the most that is read. Split it, or make the pictures smaller."
    )


def in_words(error: Exception | str) -> str:
    """Return what an error says, in one line, without Python's own words where that is possible."""
    if isinstance(error, MemoryError):
        return "it needs more memory than there is"
    if isinstance(error, OSError) and error.strerror:
        return names.shown(error.strerror[:1].lower() + error.strerror[1:])
    words = " ".join(str(error).replace(" b'", " '").split()) or "no more is known"
    return names.shown(words.rstrip("."))


def unreadable(error: OSError) -> str:
    """Return why one file or folder is left out that the system does not let read."""
    return f"it cannot be read ({in_words(error)})"


def raise_if_real(error: BaseException) -> None:
    """Let errors of the disk through: they say nothing about the archive."""
    if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
        raise error
