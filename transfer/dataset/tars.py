"""Read the entries of a tar as a stream, compressed or not, up to its end or to the damage."""

import bz2
import gzip
import lzma
import tarfile
from pathlib import Path
from tarfile import ReadError
from typing import IO, Self, cast

from transfer.dataset import intake
from transfer.dataset.intake import Intake, Stream

_GZIP, _BZIP2, _XZ = b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0"
_BLOCK = 512
_OVERHEAD = 2048  # bytes an entry: header, padding, extended header
_BROKEN_HEADERS = (
    tarfile.InvalidHeaderError,  # pyright: ignore[reportAttributeAccessIssue]
    tarfile.EmptyHeaderError,  # pyright: ignore[reportAttributeAccessIssue]
    tarfile.TruncatedHeaderError,  # pyright: ignore[reportAttributeAccessIssue]
)


def is_tar(source: Path) -> bool:
    """Whether the file is a tar by its content, or something compressed that is cut short."""
    try:
        with source.open("rb") as file, _decompressed(file) as stream:
            block = stream.read(_BLOCK)
    except intake.DAMAGE as error:
        intake.raise_if_real(error)
        # What cannot even be decompressed is told by the reader: it is damaged.
        return True
    try:
        tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except tarfile.TarError:
        # An empty tar is blocks of zeros.
        return len(block) == _BLOCK and not any(block)
    return True


def read(source: Path, taken: Intake) -> None:
    """Take the entries of the tar `source` in."""
    packed, limits = source.stat().st_size, taken.limits
    most = limits.total_bytes + (limits.entries + 100) * _OVERHEAD
    try:
        with source.open("rb") as file, _decompressed(file) as stream:
            counted = cast(IO[bytes], _Counted(stream, most, packed, taken))
            # As a stream: nothing is read twice, and `extractfile` can only go forward.
            with tarfile.open(fileobj=counted, mode="r|", tarinfo=_Member) as archive:
                for member in archive:
                    archive.members.clear()  # pyright: ignore  # it would keep each of them
                    taken.count()
                    _take(archive, member, packed, taken)
    except intake.DAMAGE as error:
        intake.raise_if_real(error)
        taken.damaged(error)


class _Counted:
    """A decompressed stream that ends in an error rather than never."""

    def __init__(self, stream: Stream, most: int, packed: int, taken: Intake) -> None:
        self.stream, self.left, self.taken = stream, most, taken
        limits = taken.limits
        self.plausible = max(limits.swollen_bytes, int(limits.ratio * packed))

    def read(self, size: int = -1, /) -> bytes:
        data = self.stream.read(size)
        self.left -= len(data)
        if self.left < 0:
            raise intake.too_large(self.taken.source, self.taken.limits)
        self.plausible -= len(data)
        if self.plausible < 0:
            raise ReadError(intake.BOMB)
        self.taken.on_step()
        return data


class _Member(tarfile.TarInfo):
    """A tar entry; unlike tarfile's own it does not take damage for the end of the tar."""

    @classmethod
    def fromtarfile(cls, tarfile: tarfile.TarFile) -> Self:
        try:
            return super().fromtarfile(tarfile)
        except _BROKEN_HEADERS as error:
            raise ReadError(f"{error}, where an entry or the end should be") from error


class _Whole:
    """The bytes of a tar entry; unlike tarfile's own it does not end early without a word."""

    def __init__(self, stream: Stream, size: int) -> None:
        self.stream, self.left = stream, size

    def read(self, size: int = -1, /) -> bytes:
        data = self.stream.read(size)
        self.left -= len(data)
        if not data and self.left:
            raise ReadError("unexpected end of data")
        return data


def _take(archive: tarfile.TarFile, member: tarfile.TarInfo, packed: int, taken: Intake) -> None:
    if member.isdir():
        taken.folder(member.name)
        return
    if not taken.wanted(member.name):
        return
    if member.issparse():  # holes take nothing
        pieces = cast(list[tuple[int, int]], member.sparse)
        packed = sum(size for _, size in pieces)
    stream = archive.extractfile(member) if member.isreg() else None
    if stream is not None:
        taken.write(member.name, _Whole(stream, member.size), packed)
    else:
        link = member.issym() or member.islnk()
        taken.reject(member.name, intake.LINK if link else intake.DEVICE)


def _decompressed(file: IO[bytes]) -> IO[bytes]:
    """Return the stream inside a gzip, bzip2 or xz file, or the file itself."""
    start = file.read(6)
    file.seek(0)
    if start.startswith(_GZIP):
        return gzip.GzipFile(fileobj=file)  # pyright: ignore[reportReturnType]
    if start.startswith(_BZIP2):
        return bz2.BZ2File(file)  # pyright: ignore[reportReturnType]
    if start == _XZ:
        return lzma.LZMAFile(file)  # pyright: ignore[reportReturnType]
    return file
