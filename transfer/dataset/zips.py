"""Read the entries of a zip, each for itself: damage to one leaves the others."""

import stat
import struct
import zipfile
from pathlib import Path
from typing import IO

from transfer.dataset import intake, salvage
from transfer.dataset.intake import Intake

STARTS = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")
# APPNOTE 4.3.12, 4.3.16 and 4.3.14 with 4.3.15: what starts each, and the sizes that are needed.
_ENTRY_START, _ENTRY = b"PK\x01\x02", struct.Struct("<4s24xHHH12x")
_END_START, _END = b"PK\x05\x06", struct.Struct("<4s8xI6x")
_END_64_START, _LOCATOR_64_START = b"PK\x06\x06", b"PK\x06\x07"
_END_64 = struct.Struct("<4s36xQ8x4s16x")
_END_AT_MOST = _END.size + 65_535  # with the comment


def read(source: Path, taken: Intake) -> None:
    """Take the entries of the zip `source` in."""
    if _has_more_entries(source, taken.limits.entries):
        taken.count(taken.limits.entries + 1)
    try:
        archive = zipfile.ZipFile(source)
    except intake.DAMAGE as error:
        intake.raise_if_real(error)
        cut = "its end with the list of files is missing, as when a copy was cut short"
        whole = zipfile.is_zipfile(source)
        if not isinstance(error, MemoryError):
            salvage.read(source, taken)
        taken.damaged(error if whole else cut)
        return
    with archive:
        taken.count(len(archive.infolist()))
        for entry in archive.infolist():
            name = salvage.named(entry.filename, entry.flag_bits)
            if name.endswith(("/", "\\")) or stat.S_ISDIR(entry.external_attr >> 16):
                taken.folder(name)
            elif taken.wanted(name):
                _take(archive, entry, name, taken)


def _take(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, name: str, taken: Intake) -> None:
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind not in (0, stat.S_IFREG):
        taken.reject(name, intake.LINK if stat.S_ISLNK(kind) else intake.DEVICE)
    elif entry.flag_bits & 0x1:
        taken.reject(name, intake.ENCRYPTED)
    elif taken.bursts(entry.file_size, entry.compress_size):
        taken.reject(name, intake.BOMB)
    else:
        try:
            with archive.open(entry) as stream:
                taken.write(name, stream, entry.compress_size)
        except NotImplementedError:
            taken.reject(name, intake.PACKING)
        except intake.DAMAGE as error:
            intake.raise_if_real(error)
            words = intake.in_words(error)
            taken.reject(name, f"its part of the archive is damaged ({words})")


def _has_more_entries(source: Path, most: int) -> bool:
    """Whether the directory of a zip holds more entries, hopping over it without keeping it.

    The count that a zip states may lie. The directory is looked for where zipfile looks for it;
    where there is none, or it is damaged, zipfile will say so.
    """
    with source.open("rb") as file:
        start, end = _directory(file, source.stat().st_size)
        file.seek(start)
        for _ in range(most + 1):
            header = file.read(_ENTRY.size)
            if start >= end or not header.startswith(_ENTRY_START) or len(header) < _ENTRY.size:
                return False
            size = _ENTRY.size + sum(_ENTRY.unpack(header)[1:])
            start += size
            file.seek(start)
    return True


def _directory(file: IO[bytes], size: int) -> tuple[int, int]:
    """Return where the directory of a zip starts and ends; equal where there is none."""
    file.seek(max(0, size - _END_AT_MOST))
    tail = file.read()
    at = len(tail) - _END.size
    if at < 0 or not (tail[at:].startswith(_END_START) and tail.endswith(b"\0\0")):
        at = tail.rfind(_END_START)
    if at < 0 or len(tail) < at + _END.size:
        return 0, 0
    end, length = size - len(tail) + at, _END.unpack_from(tail, at)[1]
    file.seek(max(0, end - _END_64.size))
    end_64 = _END_64.unpack(file.read(_END_64.size).ljust(_END_64.size, b"\0"))
    if end >= _END_64.size and end_64[0] == _END_64_START and end_64[2] == _LOCATOR_64_START:
        end, length = end - _END_64.size, end_64[1]
    return max(0, end - length), end
