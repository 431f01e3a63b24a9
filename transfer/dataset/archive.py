"""Bring an upload onto the disk without trusting it: a zip, a tar or a folder.

Every file gets a name of our own; nothing is ever written where the archive says. Links, encrypted
entries, nested archives and names that lead elsewhere are listed as rejected; limits on count,
bytes and ratio hold while the data streams (see `intake`).
"""

import bz2
import gzip
import lzma
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from tarfile import ReadError
from typing import IO, Self, cast

from transfer.dataset import intake, names
from transfer.dataset.intake import Intake, Limits, Stream, Upload
from transfer.errors import ArchiveError, DataError

_ZIP_STARTS = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")
_ZIP_END = b"PK\x05\x06"
_ZIP64_LOCATOR, _ZIP64_END = b"PK\x06\x07", b"PK\x06\x06"
_ZIP_UTF8 = 0x800  # flag bit 11: the name is UTF-8 (APPNOTE 4.4.4)
_TAR_BLOCK = 512
_TAR_OVERHEAD = 2048  # bytes an entry: header, padding, extended header
# What the readers raise on damaged data; without an errno an OSError comes from a decompressor.
_DAMAGE = (
    zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, OSError,
    struct.error, ValueError, NotImplementedError, RuntimeError, MemoryError,
)  # fmt: skip
_BROKEN_HEADERS = (
    tarfile.InvalidHeaderError,  # pyright: ignore[reportAttributeAccessIssue]
    tarfile.TruncatedHeaderError,  # pyright: ignore[reportAttributeAccessIssue]
)


def unpack(
    source: Path, target: Path, limits: Limits, on_step: Callable[[], None] = lambda: None
) -> Upload:
    """Read a zip, a tar or a folder.

    Archives are unpacked into `target`; the files of a folder stay where they are.

    Args:
        source: the upload; its kind is seen from its content, not from its name.
        target: an empty or missing folder.
        limits: what the upload may hold at most.
        on_step: called now and then, as a sign of life.

    Raises:
        ArchiveError: it is no archive that is read, it is damaged from the start, or over a limit.
        DataError: there is nothing at `source`, or it cannot be read.
    """
    taken = Intake(source, target, limits, on_step)
    try:
        if source.is_dir():
            _read_folder(source, taken)
        elif source.is_file():
            target.mkdir(parents=True, exist_ok=True)
            _read_archive(source, taken)
        else:
            raise DataError(f"There is nothing at '{source}'. Check the name and try again.")
    except OSError as error:
        raise DataError(
            f"'{names.shown(source.name)}' cannot be read: {intake.in_words(error)}."
        ) from error
    return taken.result()


def _read_archive(source: Path, taken: Intake) -> None:
    with source.open("rb") as file:
        start = file.read(_TAR_BLOCK)
    # By the first bytes: a tar that ends with a zip would pass for a zip by its last ones.
    if start.startswith(_ZIP_STARTS):
        _read_zip(source, taken)
    elif _is_tar(source, start):
        _read_tar(source, taken)
    elif zipfile.is_zipfile(source):  # behind something else, as in a self-extracting archive
        _read_zip(source, taken)
    else:
        raise ArchiveError(
            f"'{names.shown(source.name)}' is neither a zip nor a tar archive that can be read, nor"
            " a folder. Pack the class folders into a zip file and try again."
        )


def _read_folder(source: Path, taken: Intake) -> None:
    folders = [source]
    while folders:
        folder = folders.pop()
        try:
            inside = sorted(folder.iterdir())
        except OSError as error:
            if folder == source:
                raise
            taken.reject(folder.relative_to(source).as_posix(), f"it cannot be read ({error})")
            continue
        for path in inside:
            taken.count()
            name = path.relative_to(source).as_posix()
            if path.is_symlink():
                if not taken.passes(name):
                    taken.reject(name, intake.LINK)
            elif path.is_dir():
                if not taken.passes(name):
                    folders.append(path)
            elif taken.wanted(name):
                _take_file(name, path, taken)


def _take_file(name: str, path: Path, taken: Intake) -> None:
    try:
        if path.is_file():
            taken.refer(name, path)
        else:
            taken.reject(name, intake.DEVICE)
    except OSError as error:
        taken.reject(name, f"it cannot be read ({error.strerror})")


def _read_zip(source: Path, taken: Intake) -> None:
    if _most_zip_entries(source) > taken.limits.entries:
        taken.count(taken.limits.entries + 1)
    try:
        archive = zipfile.ZipFile(source)
    except _DAMAGE as error:
        _raise_if_real(error)
        cut = "its end with the list of files is missing, as when a copy was cut short"
        taken.damaged(cut if zipfile.is_zipfile(source) is False else error)
        return
    with archive:
        taken.count(len(archive.infolist()))
        for entry in archive.infolist():
            name = _zip_name(entry)
            if not entry.is_dir() and not name.endswith("\\") and taken.wanted(name):
                _take_zip_entry(archive, entry, name, taken)


def _take_zip_entry(
    archive: zipfile.ZipFile, entry: zipfile.ZipInfo, name: str, taken: Intake
) -> None:
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind not in (0, stat.S_IFREG):
        taken.reject(name, intake.LINK if stat.S_ISLNK(kind) else intake.DEVICE)
    elif entry.flag_bits & 0x1:
        taken.reject(name, intake.ENCRYPTED)
    else:
        try:
            with archive.open(entry) as stream:
                taken.write(name, stream, entry.compress_size)
        except ArchiveError:
            raise
        except _DAMAGE as error:
            _raise_if_real(error)
            words = intake.in_words(error)
            taken.reject(name, f"its part of the archive is damaged ({words})")


def _zip_name(entry: zipfile.ZipInfo) -> str:
    """Return an entry's name; many tools write UTF-8 without saying so, which zipfile misreads."""
    if entry.flag_bits & _ZIP_UTF8:
        return entry.filename
    try:
        return entry.filename.encode("cp437").decode("utf-8")
    except UnicodeError:
        return entry.filename


def _most_zip_entries(source: Path) -> int:
    """Return how many entries the directory of a zip can hold at most, without reading it.

    By its size (at least 46 bytes an entry, APPNOTE 4.3.12), since a stated count may lie. The
    directory is looked for where zipfile looks for it; 0 where it finds none.
    """
    size = source.stat().st_size
    with source.open("rb") as file:
        file.seek(max(0, size - 65_557))
        tail = file.read()
        at = len(tail) - 22
        if at < 0 or not (tail[at:].startswith(_ZIP_END) and tail.endswith(b"\0\0")):
            at = tail.rfind(_ZIP_END)
        if at < 0 or len(tail) < at + 22:
            return 0
        directory = struct.unpack_from("<I", tail, at + 12)[0]
        place = size - len(tail) + at - 20
        file.seek(max(0, place))
        locator = file.read(20)
        if place < 0 or not locator.startswith(_ZIP64_LOCATOR):
            return min(directory, size) // 46
        file.seek(max(0, place - 56))
        record = file.read(56)
    if not record.startswith(_ZIP64_END):
        return min(directory, size) // 46
    return min(max(directory % 0xFFFFFFFF, struct.unpack_from("<Q", record, 40)[0]), size) // 46


class _Counted:
    """A decompressed stream that ends in an error rather than never."""

    def __init__(self, stream: Stream, most: int, taken: Intake) -> None:
        self.stream, self.left, self.taken = stream, most, taken

    def read(self, size: int = -1, /) -> bytes:
        data = self.stream.read(size)
        self.left -= len(data)
        if self.left < 0:
            raise intake.too_large(self.taken.source, self.taken.limits)
        self.taken.on_step()
        return data


class _Member(tarfile.TarInfo):
    """A tar entry; unlike tarfile's own it does not take a damaged one for the end of the tar."""

    @classmethod
    def fromtarfile(cls, tarfile: tarfile.TarFile) -> Self:
        try:
            return super().fromtarfile(tarfile)
        except _BROKEN_HEADERS as error:
            raise ReadError(f"an entry is damaged: {error}") from error


def _read_tar(source: Path, taken: Intake) -> None:
    packed, limits = source.stat().st_size, taken.limits
    most = limits.total_bytes + (limits.entries + 100) * _TAR_OVERHEAD
    try:
        with source.open("rb") as file, _decompressed(file) as stream:
            counted = cast(IO[bytes], _Counted(stream, most, taken))
            # As a stream: nothing is read twice, and `extractfile` can only go forward.
            with tarfile.open(fileobj=counted, mode="r|", tarinfo=_Member) as archive:
                for member in archive:
                    taken.count()
                    _take_tar_member(archive, member, packed, taken)
    except ArchiveError:
        raise
    except _DAMAGE as error:
        _raise_if_real(error)
        taken.damaged(error)


def _take_tar_member(
    archive: tarfile.TarFile, member: tarfile.TarInfo, packed: int, taken: Intake
) -> None:
    if member.isdir() or not taken.wanted(member.name):
        return
    stream = archive.extractfile(member) if member.isreg() else None
    if stream is not None:
        taken.write(member.name, stream, packed)
    else:
        link = member.issym() or member.islnk()
        taken.reject(member.name, intake.LINK if link else intake.DEVICE)


def _is_tar(source: Path, start: bytes) -> bool:
    try:
        with source.open("rb") as file, _decompressed(file) as stream:
            block = stream.read(_TAR_BLOCK)
    except _DAMAGE as error:
        _raise_if_real(error)
        # What cannot even be decompressed is told by the reader: it is damaged.
        return start.startswith((b"\x1f\x8b", b"BZh", b"\xfd7zXZ"))
    try:
        tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except tarfile.TarError:
        # An empty tar is blocks of zeros.
        return len(block) == _TAR_BLOCK and not any(block)
    return True


def _decompressed(file: IO[bytes]) -> IO[bytes]:
    """Return the stream inside a gzip, bzip2 or xz file, or the file itself."""
    start = file.read(6)
    file.seek(0)
    if start.startswith(b"\x1f\x8b"):
        return gzip.GzipFile(fileobj=file)  # pyright: ignore[reportReturnType]
    if start.startswith(b"BZh"):
        return bz2.BZ2File(file)  # pyright: ignore[reportReturnType]
    if start == b"\xfd7zXZ\0":
        return lzma.LZMAFile(file)  # pyright: ignore[reportReturnType]
    return file


def _raise_if_real(error: BaseException) -> None:
    """Let errors of the disk through: they say nothing about the archive."""
    if isinstance(error, OSError) and error.errno is not None:
        raise error
