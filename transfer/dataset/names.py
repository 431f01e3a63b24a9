"""Make the names that come with an upload safe to show, to compare and to write down."""

import re
import string
import unicodedata
from collections.abc import Iterable
from pathlib import PurePosixPath

_UNKNOWN = "\N{REPLACEMENT CHARACTER}"
_SHOWN_AT_MOST = 300  # characters
_INVISIBLE = f"{string.whitespace}\u00a0\u00ad\u200b\u200c\u200d\u2060\u3000\ufeff"
_DRIVE = re.compile(r"^[A-Za-z]:/")
_HIDDEN = frozenset(("__macosx", "thumbs.db", "desktop.ini"))
# Control, surrogate and line separating characters, and those that turn the writing direction.
_UNSAFE = frozenset(("Cc", "Cs", "Zl", "Zp"))
_TURNING = frozenset("\u200e\u200f\u061c\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def clean(name: str) -> str:
    """Return a path with forward slashes, composed (NFC), without what a terminal would obey."""
    return PurePosixPath(clean_text(name).replace("\\", "/")).as_posix()


def clean_text(text: str) -> str:
    """Return text composed (NFC), its control characters replaced by visible ones."""
    composed = unicodedata.normalize("NFC", _decoded(text))
    if composed.isprintable():  # nearly always, and much faster than letter by letter
        return composed
    return "".join(_visible(character) for character in composed)


def shown(name: str) -> str:
    """Return the name as it is told to people: harmless, and not endless."""
    cleaned = clean_text(name)
    return cleaned if len(cleaned) <= _SHOWN_AT_MOST else f"{cleaned[:200]}...{cleaned[-80:]}"


def trimmed(name: str) -> str:
    """Return the name without what nobody sees at its ends."""
    return name.strip(_INVISIBLE)


def is_hidden(name: str) -> bool:
    """Whether a file is hidden or the operating system's own, or lies in such a folder."""
    parts = name.replace("\\", "/").split("/")
    return any(
        (part.startswith(".") and part not in (".", "..")) or part.lower() in _HIDDEN
        for part in parts
    )


def leads_outside(name: str) -> bool:
    """Whether a path is absolute or climbs out of its folder, on any operating system."""
    path = name.replace("\\", "/")
    return path.startswith("/") or bool(_DRIVE.match(path)) or ".." in path.split("/")


def unique(name: str, taken: dict[str, int]) -> str:
    """Return the name, or with a number where it is taken already; the result is taken then.

    Args:
        name: a path with forward slashes.
        taken: the names so far, each with the last number that was tried for it.
    """
    path, free = PurePosixPath(name), name
    while free in taken:
        taken[name] += 1
        free = (path.parent / f"{path.stem} ({taken[name]}){path.suffix}").as_posix()
    taken[free] = 1
    return free


def alike(labels: Iterable[str]) -> tuple[str, ...]:
    """Return a warning for each class name that is another one in case, or but for its letters.

    The same letters may be written in several ways that Unicode calls compatible (NFKC): wide ones,
    ligatures, signs.
    """
    seen: dict[str, str] = {}
    found = []
    for label in sorted(set(labels)):
        other = seen.setdefault(unicodedata.normalize("NFKC", label).casefold(), label)
        if other != label:
            case = other.casefold() == label.casefold()
            how = "in upper and lower case" if case else "in how their letters are written"
            found.append(
                f"The classes '{other}' and '{label}' differ only {how}. If they are one class,"
                " name their folders alike."
            )
    return tuple(found)


def _decoded(text: str) -> str:
    """Undo Python's way to carry bytes that are no UTF-8: old archives hold Latin-1 names."""
    if text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text):
        return text
    data = text.encode("utf-8", "surrogatepass" if _lone(text) else "surrogateescape")
    return data.decode("cp1252", errors="replace")


def _lone(text: str) -> bool:
    """Whether there are surrogates other than those that stand for a byte."""
    return any("\ud800" <= c <= "\udfff" and not "\udc80" <= c <= "\udcff" for c in text)


def _visible(character: str) -> str:
    if character < " ":
        return chr(0x2400 + ord(character))  # Unicode's control pictures keep them apart
    if character in _TURNING or unicodedata.category(character) in _UNSAFE:
        return _UNKNOWN
    return character
