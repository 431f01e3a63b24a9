"""Read the entries of a zip, each for itself: damage to one leaves the others."""

import stat
import struct
import zipfile
from pathlib import Path

from transfer.dataset import intake
from transfer.dataset.intake import Intake

STARTS = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")
_END = b"PK\x05\x06"
_LOCATOR_64, _END_64 = b"PK\x06\x07", b"PK\x06\x06"
_UTF8 = 0x800  # flag bit 11: the name is UTF-8 (APPNOTE 4.4.4)


def read(source: Path, taken: Intake) -> None:
    """Take the entries of the zip `source` in."""
    if _most_entries(source) > taken.limits.entries:
        taken.count(taken.limits.entries + 1)
    try:
        archive = zipfile.ZipFile(source)
    except intake.DAMAGE as error:
        intake.raise_if_real(error)
        cut = "its end with the list of files is missing, as when a copy was cut short"
        taken.damaged(error if zipfile.is_zipfile(source) else cut)
        return
    with archive:
        taken.count(len(archive.infolist()))
        for entry in archive.infolist():
            name = _name(entry)
            if not name.endswith(("/", "\\")) and taken.wanted(name):
                _take(archive, entry, name, taken)


def _take(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, name: str, taken: Intake) -> None:
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind not in (0, stat.S_IFREG):
        taken.reject(name, intake.LINK if stat.S_ISLNK(kind) else intake.DEVICE)
    elif entry.flag_bits & 0x1:
        taken.reject(name, intake.ENCRYPTED)
    else:
        try:
            with archive.open(entry) as stream:
                taken.write(name, stream, entry.compress_size)
        except intake.DAMAGE as error:
            intake.raise_if_real(error)
            words = intake.in_words(error)
            taken.reject(name, f"its part of the archive is damaged ({words})")


def _name(entry: zipfile.ZipInfo) -> str:
    """Return an entry's name; many tools write UTF-8 without saying so, which zipfile misreads."""
    if entry.flag_bits & _UTF8:
        return entry.filename
    try:
        return entry.filename.encode("cp437").decode("utf-8")
    except UnicodeError:
        return entry.filename


def _most_entries(source: Path) -> int:
    """Return how many entries the directory of a zip can hold at most, without reading it.

    By its size (at least 46 bytes an entry, APPNOTE 4.3.12), since a stated count may lie. The
    directory is looked for where zipfile looks for it; 0 where it finds none.
    """
    size = source.stat().st_size
    with source.open("rb") as file:
        file.seek(max(0, size - 65_557))
        tail = file.read()
        at = len(tail) - 22
        if at < 0 or not (tail[at:].startswith(_END) and tail.endswith(b"\0\0")):
            at = tail.rfind(_END)
        if at < 0 or len(tail) < at + 22:
            return 0
        directory = struct.unpack_from("<I", tail, at + 12)[0]
        place = size - len(tail) + at - 20
        file.seek(max(0, place))
        locator = file.read(20)
        if place < 0 or not locator.startswith(_LOCATOR_64):
            return min(directory, size) // 46
        file.seek(max(0, place - 56))
        record = file.read(56)
    if not record.startswith(_END_64):
        return min(directory, size) // 46
    return min(max(directory % 0xFFFFFFFF, struct.unpack_from("<Q", record, 40)[0]), size) // 46
