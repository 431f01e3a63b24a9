"""Know by its first bytes what a person may take for a picture, and say what to do with it."""

import re

_SAVE = "which is not read; save it as JPEG and add that"
_KINDS = (
    (
        rb"PK\x03\x04|Rar!|\x1f\x8b|7z\xbc\xaf",
        "is an archive, not a picture; unpack it and add its pictures",
    ),
    (rb".{4}ftyp(heic|heix|hevc|heim|heis|mif1|msf1|avif)", f"is a HEIC or AVIF picture, {_SAVE}"),
    (rb".{4}ftypcrx", f"is a raw picture of a camera, {_SAVE}"),
    (rb"\0\0\0\x0cjP  |\xff\x4f\xff\x51", f"is a JPEG 2000 picture, {_SAVE}"),
    (rb"\xff\x0a|\0\0\0\x0cJXL ", f"is a JPEG XL picture, {_SAVE}"),
    (rb"8BPS", f"is a Photoshop file, {_SAVE}"),
    (
        rb".{4}(ftyp|moov|mdat|wide)|RIFF.{4}AVI |\x1aE\xdf\xa3|\0\0\x01[\xba\xb3]|FLV\x01",
        "is a video, which is not read; save single pictures of it and add those",
    ),
    (rb"\s*%PDF-", "is a PDF, not a picture; save its pictures as JPEG and add those"),
    (
        rb"(\xef\xbb\xbf)?\s*(<\?xml[^>]*>\s*)?(<!--.{0,500}?-->\s*)?"
        rb"(<!DOCTYPE svg[^>]*>\s*)?<svg\b",
        "is an SVG drawing, not a photograph; save it as PNG and add that",
    ),
    (
        rb"(?i)(\xef\xbb\xbf)?\s*(<!--.{0,500}?-->\s*)?<(!doctype html|html|head|body)\b",
        "is a web page, as when a download failed; download the picture again",
    ),
)
_KNOWN = tuple((re.compile(start, re.DOTALL), words) for start, words in _KINDS)
_SEARCHED = 2_000  # bytes


def reason(data: bytes) -> str | None:
    """Return why these bytes are no picture, as the end of a sentence; None: they may be one."""
    start = data[:_SEARCHED]
    return next((words for kind, words in _KNOWN if kind.match(start)), None)
