"""Bring an upload onto the disk without trusting it: a zip, a tar or a folder.

Every file gets a name of our own; nothing is ever written where the archive says. Links, encrypted
entries, nested archives and names that lead elsewhere are listed as rejected; limits on count,
bytes and ratio hold while the data streams.
"""

import hashlib
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from transfer.dataset.index import Rejected
from transfer.errors import ArchiveError, DataError

_BLOCK = 1 << 20
_HIDDEN = ("__macosx", "thumbs.db", "desktop.ini")
_ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar", ".zst")
_END_OF_ZIP = b"PK\x05\x06"


@dataclass(frozen=True)
class Limits:
    """What an upload may hold at most."""

    entries: int = 200_000
    total_bytes: int = 20 * 1024**3
    file_bytes: int = 256 * 1024**2
    ratio: float = 200.0  # unpacked to packed, once a file is larger than `ratio_from`
    ratio_from: int = 16 * 1024**2


@dataclass(frozen=True)
class Unpacked:
    """One file on disk: its name in the upload, where its bytes are, and their SHA-256."""

    name: str
    path: Path
    sha256: str


def unpack(
    source: Path, target: Path, limits: Limits
) -> tuple[list[Unpacked], list[Rejected], list[str]]:
    """Return (files, rejected, warnings) of a zip, a tar or a folder.

    Archives are unpacked into `target`; the files of a folder stay where they are.

    Raises:
        ArchiveError: it is no archive that is read, it is damaged from the start, or over a limit.
        DataError: there is nothing at `source`.
    """
    if source.is_dir():
        return _Folder(source, limits).read()
    if not source.is_file():
        raise DataError(f"There is nothing at '{source}'. Check the name and try again.")
    target.mkdir(parents=True, exist_ok=True)
    if zipfile.is_zipfile(source):
        return _Zip(source, target, limits).read()
    if tarfile.is_tarfile(source):
        return _Tar(source, target, limits).read()
    raise ArchiveError(
        f"'{source.name}' is neither a zip nor a tar archive that can be read, nor a folder."
        " Pack the class folders into a zip file and try again."
    )


class _Reader:
    """What all kinds have in common: checks of names, the limits, the writing."""

    def __init__(self, source: Path, limits: Limits) -> None:
        self.source, self.limits = source, limits
        self.files: list[Unpacked] = []
        self.rejected: list[Rejected] = []
        self.warnings: list[str] = []
        self.total, self.hidden = 0, 0

    def finish(self) -> tuple[list[Unpacked], list[Rejected], list[str]]:
        if self.hidden:
            self.warnings.append(f"{self.hidden} hidden and system files were passed over.")
        return self.files, self.rejected, self.warnings

    def reject(self, name: str, reason: str) -> None:
        self.rejected.append(Rejected(shown(name), reason))

    def too_many(self) -> ArchiveError:
        return ArchiveError(
            f"'{self.source.name}' holds more than {self.limits.entries:,} files, the most that is"
            " read. Split it into several data sets."
        )

    def wanted(self, name: str) -> bool:
        """Whether the name is harmless; where it is not, say so."""
        parts = PurePosixPath(name.replace("\\", "/")).parts
        if any(
            (part.startswith(".") and part != "..") or part.lower() in _HIDDEN for part in parts
        ):
            self.hidden += 1
            return False
        if not parts or name.startswith(("/", "\\")) or ".." in parts or ":" in parts[0]:
            self.reject(name, "its name leads outside the archive")
            return False
        if name.lower().endswith(_ARCHIVES):
            self.reject(name, "it is an archive inside the upload; unpack it first")
            return False
        return True

    def keep(self, name: str, stream: IO[bytes], target: Path, packed: int | None) -> None:
        """Write one file under a name of our own, within the limits."""
        path = target / f"{len(self.files):06d}"
        digest, size = hashlib.sha256(), 0
        with path.open("wb") as file:
            while block := stream.read(_BLOCK):
                size += len(block)
                self.total += len(block)
                if reason := self._over(size, packed):
                    break
                file.write(block)
                digest.update(block)
            else:
                reason = None
        if reason:
            path.unlink()
            self.reject(name, reason)
        else:
            self.files.append(Unpacked(normal(name), path, digest.hexdigest()))

    def _over(self, size: int, packed: int | None) -> str | None:
        limits = self.limits
        if self.total > limits.total_bytes:
            raise ArchiveError(
                f"'{self.source.name}' unpacks to more than {limits.total_bytes / 1e9:.0f} GB, the"
                " most that is read. Split it, or make the pictures smaller."
            )
        if size > limits.file_bytes:
            return f"it is larger than {limits.file_bytes // 1024**2} MB, the most that is read"
        if packed and size > limits.ratio_from and size > limits.ratio * packed:
            return "it unpacks to hundreds of times its size, which no picture does"
        return None


class _Zip(_Reader):
    def __init__(self, source: Path, target: Path, limits: Limits) -> None:
        super().__init__(source, limits)
        self.target = target

    def read(self) -> tuple[list[Unpacked], list[Rejected], list[str]]:
        if _most_zip_entries(self.source) > self.limits.entries:
            raise self.too_many()
        try:
            with zipfile.ZipFile(self.source) as archive:
                if len(archive.infolist()) > self.limits.entries:
                    raise self.too_many()
                for entry in archive.infolist():
                    if not entry.is_dir() and self.wanted(entry.filename):
                        self._entry(archive, entry)
        except (zipfile.BadZipFile, struct.error, ValueError, OSError) as error:
            raise ArchiveError(
                f"'{self.source.name}' is damaged ({error}). Make it again, or send it again."
            ) from error
        return self.finish()

    def _entry(self, archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> None:
        kind = stat.S_IFMT(entry.external_attr >> 16)
        if kind not in (0, stat.S_IFREG):
            self.reject(entry.filename, "it is a link or a device, not a file")
        elif entry.flag_bits & 0x1:
            self.reject(entry.filename, "it is encrypted; pack it without a password")
        else:
            try:
                with archive.open(entry) as stream:
                    self.keep(entry.filename, stream, self.target, entry.compress_size)
            except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
                self.reject(entry.filename, f"its part of the archive is damaged ({error})")


class _Tar(_Reader):
    def __init__(self, source: Path, target: Path, limits: Limits) -> None:
        super().__init__(source, limits)
        self.target = target

    def read(self) -> tuple[list[Unpacked], list[Rejected], list[str]]:
        entries = 0
        packed = self.source.stat().st_size
        try:
            with tarfile.open(self.source, "r|*") as archive:
                for member in archive:
                    entries += 1
                    if entries > self.limits.entries:
                        raise self.too_many()
                    if not member.isdir() and self.wanted(member.name):
                        self._member(archive, member, packed)
        except (tarfile.TarError, zlib.error, EOFError, OSError) as error:
            if not self.files:
                raise ArchiveError(
                    f"'{self.source.name}' is damaged ({error}). Make it again, or send it again."
                ) from error
            self.warnings.append(
                f"'{self.source.name}' is damaged ({error}); {len(self.files)} files before the"
                " damage were read."
            )
        return self.finish()

    def _member(self, archive: tarfile.TarFile, member: tarfile.TarInfo, packed: int) -> None:
        stream = archive.extractfile(member) if member.isreg() else None
        if stream is None:
            self.reject(member.name, "it is a link or a device, not a file")
        else:
            self.keep(member.name, stream, self.target, packed)


class _Folder(_Reader):
    def read(self) -> tuple[list[Unpacked], list[Rejected], list[str]]:
        for path in self._walk(self.source):
            name = path.relative_to(self.source).as_posix()
            if not self.wanted(name):
                continue
            size = path.stat().st_size
            self.total += size
            if reason := self._over(size, None):
                self.reject(name, reason)
                continue
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            self.files.append(Unpacked(normal(name), path, digest))
        return self.finish()

    def _walk(self, folder: Path) -> Iterator[Path]:
        for path in sorted(folder.iterdir()):
            name = path.relative_to(self.source).as_posix()
            if path.is_symlink():
                if self.wanted(name):
                    self.reject(name, "it is a link, and links are not followed")
            elif path.is_dir():
                yield from self._walk(path)
            elif not path.is_file():
                self.reject(name, "it is a device, not a file")
            elif len(self.files) >= self.limits.entries:
                raise self.too_many()
            else:
                yield path


def normal(name: str) -> str:
    """Return the name with forward slashes and without what a terminal or a page would obey."""
    cleaned = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in name)
    return PurePosixPath(cleaned.replace("\\", "/")).as_posix()


def shown(name: str) -> str:
    """Return the name as it is told to people: harmless, and not endless."""
    cleaned = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in name)
    return cleaned if len(cleaned) <= 300 else f"{cleaned[:200]}...{cleaned[-80:]}"


def _most_zip_entries(source: Path) -> int:
    """Return how many entries the directory of a zip can hold at most, without reading it.

    By its size (at least 46 bytes an entry, APPNOTE 4.3.12), since a stated count may lie.
    """
    size = source.stat().st_size
    with source.open("rb") as file:
        file.seek(max(0, size - 65_557))
        tail = file.read()
    at = tail.rfind(_END_OF_ZIP)
    if at < 0 or len(tail) < at + 16:
        return 0  # zipfile will say what is wrong
    directory = struct.unpack_from("<I", tail, at + 12)[0]
    return (size if directory == 0xFFFFFFFF else directory) // 46
