"""Walk the parts of a JPEG or PNG without decoding it: what is beside its pixels, its scans."""

import re
import struct
from collections.abc import Iterator

_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_NEEDED = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")
_JPEG, _SCAN, _END = b"\xff\xd8\xff", 0xDA, 0xD9
# ITU-T T.81, table B.1, and T.87: markers of frames, of those with one scan for each detail.
_FRAMES = frozenset((*range(0xC0, 0xD0), 0xF7)) - {0xC4, 0xC8, 0xCC}
_USUAL_FRAMES, _PROGRESSIVE = frozenset((0xC0, 0xC1, 0xC2)), frozenset((0xC2, 0xC6, 0xCA, 0xCE))
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")  # in a scan; FF 00 and restarts belong to it
_MOST_SCANS = 100  # of a progressive JPEG; usual ones have ten


def without_metadata(data: bytes) -> bytes | None:
    """Return a PNG or JPEG without what it says beside its pixels; None for others and cut ones.

    Pillow gives up on a picture whose colour profile or comments are damaged or huge.
    """
    if data.startswith(_PNG):
        return _bare_png(data)
    return _bare_jpeg(data) if data.startswith(_JPEG) else None


def has_too_many_scans(data: bytes) -> bool:
    """Whether a JPEG makes its reader go over all its pixels hundreds of times."""
    if not data.startswith(_JPEG) or _frame(data) not in _PROGRESSIVE:
        return False
    scans = 0
    for marker, _, _ in _segments(data, into_scans=True):
        scans += marker == _SCAN
        if scans > _MOST_SCANS:
            return True
    return False


def is_unusual_jpeg(data: bytes) -> bool:
    """Whether it is a JPEG of a kind that few programs write, such as one without loss."""
    frame = _frame(data) if data.startswith(_JPEG) else None
    return frame is not None and frame not in _USUAL_FRAMES


def _frame(data: bytes) -> int | None:
    """Return the marker of a JPEG's frame; None where there is none."""
    return next((marker for marker, _, _ in _segments(data) if marker in _FRAMES), None)


def _segments(data: bytes, into_scans: bool = False) -> Iterator[tuple[int, int, int]]:
    """Yield marker, start and end of each segment, up to the first scan, or to the last."""
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker, size = struct.unpack_from(">xBH", data, at)
        if marker == _END:
            return
        yield marker, at, at + 2 + size
        at += 2 + size
        if marker == _SCAN:
            found = _MARKER.search(data, at) if into_scans else None
            if found is None:
                return
            at = found.start()


def _bare_png(data: bytes) -> bytes | None:
    parts, at = [_PNG], len(_PNG)
    while at + 12 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        if kind in _PNG_NEEDED:
            parts.append(data[at : at + 12 + size])
        at += 12 + size
        if kind == b"IEND" and at <= len(data):
            return b"".join(parts)
    return None


def _bare_jpeg(data: bytes) -> bytes | None:
    parts = [data[:2]]
    for marker, start, end in _segments(data):
        segment = data[start:end]
        if marker == _SCAN:
            return b"".join((*parts, data[start:]))
        metadata = 0xE0 <= marker <= 0xEF or marker == 0xFE  # APP0 to APP15, COM
        if not metadata or (segment[4:].startswith((b"Exif\0\0", b"Adobe")) and len(segment) >= 16):
            parts.append(segment)
    return None
