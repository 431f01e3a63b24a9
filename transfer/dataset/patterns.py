"""Read off the names of files which pictures belong together, by a pattern that a person gives."""

import re
from collections.abc import Iterable
from pathlib import PurePosixPath

from transfer.errors import DataError

_LETTERS = 200  # of a pattern, at most


def named(names: Iterable[str], pattern: str) -> list[str | None]:
    r"""Return the group that each name says, None where the pattern is not in it.

    Args:
        names: paths of pictures as the user knows them.
        pattern: a regular expression with one group, such as `(patient\d+)`; it is sought in the
            name of the file, without folders and ending; in the whole path where it holds a slash.
            Without a group, all that it finds counts.

    Raises:
        DataError: it is no usable pattern.
    """
    compiled = _compiled(pattern)
    read = str if "/" in pattern else _stem
    found = [compiled.search(read(name)) for name in names]
    return [(match.group(compiled.groups) or None) if match else None for match in found]


def _compiled(pattern: str) -> re.Pattern[str]:
    what = f"Expected a pattern such as '(patient\\d+)', received '{pattern[:_LETTERS]}'"
    if not pattern or len(pattern) > _LETTERS:
        raise DataError(f"{what}: it has to have 1 to {_LETTERS} letters.")
    # Such patterns can take longer than the age of the universe.
    if re.search(r"\([^()]*[+*}][^()]*\)[+*{]|[+*}][+*]|\\\d", pattern.replace("\\d", "d")):
        raise DataError(f"{what}: it repeats a repetition. Write each repetition once.")
    try:
        compiled = re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        raise DataError(f"{what}, which cannot be read: {error}. Check its brackets.") from error
    if compiled.groups > 1:
        raise DataError(
            f"{what}, with {compiled.groups} pairs of brackets. Leave one, around the"
            " part of the name that says the group."
        )
    return compiled


def _stem(name: str) -> str:
    return PurePosixPath(name).stem
