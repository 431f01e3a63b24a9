"""Read what is whole in a zip whose list of files is lost, as when a copy was cut short."""

import struct
import zipfile
import zlib
from pathlib import Path
from typing import IO

from transfer.dataset import intake
from transfer.dataset.intake import Intake

# APPNOTE 4.3.7: the header before the bytes of each file.
_START, _HEADER = b"PK\x03\x04", struct.Struct("<4s2xHH4xIIIHH")
_ENCRYPTED, _SIZES_BEHIND, _UTF8 = 0x1, 0x8, 0x800  # flags (APPNOTE 4.4.4)
_STORED, _DEFLATED = 0, 8
_BEHIND_START, _BEHIND_AT_MOST = b"PK\x07\x08", 28  # between a file and the next header
_PIECE = 1 << 16


def read(source: Path, taken: Intake) -> None:
    """Take in the files of the zip `source` one after the other, up to the damage."""
    with source.open("rb") as file:
        try:
            while _take_next(file, taken):
                pass
        except intake.DAMAGE as error:
            intake.raise_if_real(error)


def named(name: str, flags: int) -> str:
    """Return a name that was read as code page 437; many tools write UTF-8 without saying so."""
    if flags & _UTF8:
        return name
    try:
        return name.encode("cp437").decode("utf-8")
    except UnicodeError:
        return name


class _Stream:
    """The bytes of one file in a zip, to its end; a wrong sum is raised there.

    Args:
        file: the zip, where the file's bytes start.
        deflated: whether they are packed.
        packed: how many there are; None where that is not known before.
        total: the CRC-32 that they should have; not used where `packed` is None.
    """

    def __init__(self, file: IO[bytes], deflated: bool, packed: int | None, total: int) -> None:
        self._file, self._left, self._total, self._sum = file, packed, total, 0
        self._unpack = zlib.decompressobj(-zlib.MAX_WBITS) if deflated else None
        self._over = False

    def read(self, size: int = -1, /) -> bytes:
        """Return up to `size` bytes; none at the end."""
        if self._over:
            return b""
        data = self._inflated(size) if self._unpack else self._piece(size)
        self._sum = zlib.crc32(data, self._sum)
        if not data:
            self._over = True
            self._check()
        return data

    def _inflated(self, size: int) -> bytes:
        unpack = self._unpack
        while unpack is not None and not unpack.eof:
            piece = unpack.unconsumed_tail or self._piece(_PIECE)
            if not piece:
                raise EOFError
            if data := unpack.decompress(piece, max(0, size)):
                return data
        if unpack is not None:
            self._file.seek(-len(unpack.unused_data), 1)  # that is of what comes next
        return b""

    def _piece(self, size: int) -> bytes:
        wanted = size if self._left is None else min(size, self._left)
        data = self._file.read(wanted)
        if self._left is not None:
            self._left -= len(data)
            if wanted and not data:
                raise EOFError
        return data

    def _check(self) -> None:
        if self._left is None:  # APPNOTE 4.3.9: the sum and the sizes come behind
            behind = self._file.read(_BEHIND_AT_MOST)
            at = 4 if behind.startswith(_BEHIND_START) else 0
            self._total = int.from_bytes(behind[at : at + 4], "little")
            self._file.seek(max(0, behind.find(_START)) - len(behind), 1)
        if self._sum != self._total:
            raise zipfile.BadZipFile("its sum is wrong")


def _take_next(file: IO[bytes], taken: Intake) -> bool:
    """Take one file in; return whether there was one."""
    header = file.read(_HEADER.size)
    if len(header) < _HEADER.size or not header.startswith(_START):
        return False
    _, flags, method, total, packed, _, name_length, extra_length = _HEADER.unpack(header)
    taken.count()
    raw = file.read(name_length)
    name = raw.decode("utf-8", "replace") if flags & _UTF8 else named(raw.decode("cp437"), flags)
    extra = file.read(extra_length)
    if packed == 0xFFFFFFFF and extra[:2] == b"\1\0" and len(extra) >= 20:  # APPNOTE 4.5.3
        packed = struct.unpack_from("<Q", extra, 12)[0]
    start, behind = file.tell(), bool(flags & _SIZES_BEHIND)
    stream = _Stream(file, method == _DEFLATED, None if behind else packed, total)
    readable = method == _DEFLATED or (method == _STORED and not behind)
    try:
        if name.endswith("/"):
            taken.folder(name)
        elif taken.wanted(name):
            if flags & _ENCRYPTED or not readable:
                taken.reject(name, intake.ENCRYPTED if flags & _ENCRYPTED else intake.PACKING)
            else:
                taken.write(name, stream, packed or file.seek(0, 2) - file.seek(start))
        while behind and stream.read(_PIECE):  # to where the next one starts
            taken.on_step()
    except zipfile.BadZipFile as error:
        taken.reject(name, f"its part of the archive is damaged ({intake.in_words(error)})")
    if not behind:
        file.seek(start + packed)
    return True
