"""What the quick check of a changed data set reads and writes; light enough for a page to import.

<store>/health/<digest>-<backbone>-<size>/features.json   where the features of its pictures are
<store>/datasets/<digest>/probe-before.json               how right it was before any change
<store>/datasets/<digest>/probe.json                      the answer to the changes made last
"""

import contextlib
import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from transfer import store
from transfer.dataset import versions
from transfer.dataset.mending import Change
from transfer.errors import DataError, TransferError

_SOURCE = "features.json"
_ANSWER, _BEFORE = "probe.json", "probe-before.json"


@dataclass(frozen=True)
class Source:
    """Where the features of a checked data set are kept.

    `folder` is relative to the store's root, `width` the numbers a row, of which `columns` (start,
    stop) are those of the last stage.
    """

    folder: str
    width: int
    columns: tuple[int, int]
    backbone: str

    @property
    def slice(self) -> slice:
        """The columns of the last stage."""
        return slice(*self.columns)


def write_source(folder: Path, source: Source) -> None:
    """Note in the folder of a check where the features of its pictures are kept."""
    store.write_json(folder / _SOURCE, asdict(source))


def read_source(digest: str) -> Source | None:
    """Return where features of a data set are kept; None where it was not checked.

    The last check counts; for a version that was not checked itself, that of an earlier one of its
    series: features are kept by content, and a version has few pictures that those before had not.
    """
    try:
        series = [one.digest for one in versions.history(digest)]
    except TransferError:
        return None
    before = series[: series.index(digest) + 1] if digest in series else [digest]
    return next(filter(None, map(_newest, reversed(before))), None)


def fingerprint(changes: Sequence[Change]) -> str:
    """Return a text that is the same for the same changes only."""
    text = json.dumps([change.to_json() for change in changes], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def read_answer(digest: str, wanted: str) -> dict[str, Any] | None:
    """Return the answer to the changes with this fingerprint, given since the last check."""
    try:
        path = _folder(digest) / _ANSWER
        checked = max(map(_age, _files(digest)), default=0.0)
        answer = store.read_json(path) if _age(path) >= checked else None
    except (OSError, ValueError, DataError):
        return None
    known = isinstance(answer, dict) and answer.get("fingerprint") == wanted
    return answer if known else None


def write_answer(digest: str, answer: dict[str, Any]) -> None:
    """Keep an answer in the place of the last one."""
    with contextlib.suppress(OSError):  # on a full disk it is computed again
        store.write_json(_folder(digest) / _ANSWER, answer)


def before(digest: str) -> Path:
    """Return the file that keeps how right it was before any change."""
    return _folder(digest) / _BEFORE


def _folder(digest: str) -> Path:
    if not digest.isalnum():
        raise DataError("There is no such data set. Choose another, or upload it again.")
    return store.home() / "datasets" / digest


def _newest(digest: str) -> Source | None:
    """Return what the newest check of this very data set noted."""
    for path in sorted(_files(digest), key=_age, reverse=True):
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            value = store.read_json(path)
            start, stop = value["columns"]
            found = Source(
                str(value["folder"]), int(value["width"]), (int(start), int(stop)),
                str(value["backbone"]),
            )  # fmt: skip
            if 0 <= found.columns[0] < found.columns[1] <= found.width:
                return found
    return None


def _files(digest: str) -> list[Path]:
    return list((store.home() / "health").glob(f"{digest}-*/{_SOURCE}"))


def _age(path: Path) -> float:
    """Return when a file was written, in seconds since 1970; 0 where it is gone."""
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
