"""Read JSON from elsewhere: it must have the shape that is expected, or it is not read at all.

A shape is a type, None, (one, or the other), [shape of each] or {key: shape}, where other keys may
be there too; with `EACH` as its key, any keys. A float is finite, an int may stand for it.
"""

import dataclasses
import json
import math
import typing
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from transfer.errors import TransferError

EACH = ""
Wanted = tuple[Any, tuple[int | None, ...]]  # the kind of an array, and its sides
T = TypeVar("T")
ACCURACY = {"accuracy": float, "low": float, "high": float, "n": int}  # `evaluation.Accuracy`
MOST_BYTES = 64 * 1024**2  # of one file


class SuspiciousError(TransferError):
    """Something is not as this app writes it; the message is the reason alone, for a sentence."""


def expect(right: bool, reason: str) -> None:
    """Check something.

    Raises:
        SuspiciousError: it is not right.
    """
    if not right:
        raise SuspiciousError(reason)


def read(path: Path) -> Any:
    """Return the JSON of a file.

    Raises:
        SuspiciousError: it is missing, too large or no JSON.
    """
    if not path.is_file() or path.stat().st_size > MOST_BYTES:
        raise SuspiciousError(f"'{path.name}' is missing or too large")
    return parsed(path.read_bytes(), path.name)


def parsed(data: bytes, name: str) -> Any:
    """Return the value that JSON stands for; `name` is for the message.

    Raises:
        SuspiciousError: it is no JSON, or cannot be written again.
    """
    try:
        value = json.loads(data)
        json.dumps(value, ensure_ascii=False).encode()  # halves of characters cannot be written
    except (ValueError, RecursionError):
        raise SuspiciousError(f"'{name}' is not JSON") from None
    return value


def check(value: Any, shape: Any, name: str) -> None:
    """Check the shape of a value; `name` is for the message.

    Raises:
        SuspiciousError: it has another one.
    """
    expect(fits(value, shape), f"'{name}' has another form than expected")


def of(settings: type[Any]) -> dict[str, Any]:
    """Return the shape of the JSON of a dataclass, and of those within it."""
    kinds = typing.get_type_hints(settings)
    return {name: _of_field(kind) for name, kind in kinds.items()}


def fits(value: Any, shape: Any) -> bool:
    """Return whether a value has this shape."""
    if shape is None or shape is type(None):
        return value is None
    if isinstance(shape, tuple):
        return any(fits(value, one) for one in shape)
    if isinstance(shape, list):
        return isinstance(value, list) and all(fits(item, shape[0]) for item in value)
    if isinstance(shape, dict):
        return isinstance(value, dict) and _fits_keys(value, shape)
    if shape is bool or isinstance(value, bool):
        return isinstance(value, bool) and shape is bool
    if shape is float:
        return isinstance(value, int | float) and abs(value) < 1e300  # finite
    return isinstance(value, shape)


def fitting(value: Any, shape: Any, otherwise: Any) -> Any:
    """Return a value if it has this shape, else another one."""
    return value if fits(value, shape) else otherwise


def each(value: Any, shape: Any, make: Callable[[dict[str, Any]], T]) -> tuple[T, ...]:
    """Return what `make` makes of the items of a list that have this shape; the rest is passed by.

    What is no list has no items.
    """
    found = value if isinstance(value, list) else []
    return tuple(make(one) for one in found if fits(one, shape))


def check_arrays(path: Path, wanted: Callable[[str], Wanted | None], what: str) -> None:
    """Check kind and size of the arrays of a file by their heads, before NumPy takes memory.

    Args:
        path: an .npz file, not compressed.
        wanted: returns for the name of an array its kind, and its sides; None: of any length.
        what: the arrays, for the message.

    Raises:
        SuspiciousError: there are others, or of another kind.
        Exception: zipfile and NumPy raise many kinds on damaged files.
    """
    with zipfile.ZipFile(path) as archive:
        for entry in archive.infolist():
            known = wanted(entry.filename.removesuffix(".npy"))
            if known is None:
                raise SuspiciousError(f"{what} are to something else")
            with archive.open(entry) as file:
                expect(np.lib.format.read_magic(file) == (1, 0), f"{what} are of a new kind")
                shape, _, kind = np.lib.format.read_array_header_1_0(file)
                start = file.tell()
            whole = kind.itemsize * math.prod(shape) == entry.file_size - start
            plain = entry.compress_type == zipfile.ZIP_STORED and not kind.hasobject
            sides = len(shape) == len(known[1]) and all(
                side in (None, there) for side, there in zip(known[1], shape, strict=True)
            )
            expect(whole and plain and kind == known[0] and sides, f"{what} do not fit")


def _fits_keys(value: dict[str, Any], shape: dict[str, Any]) -> bool:
    if EACH in shape:
        return all(fits(item, shape[EACH]) for item in value.values())
    return all(key in value and fits(value[key], inner) for key, inner in shape.items())


def _of_field(kind: Any) -> Any:
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        return of(kind)
    return typing.get_args(kind) or kind
