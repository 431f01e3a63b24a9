"""The pictures of one finding of a check, as the page Mend shows them first."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transfer import store
from transfer.dataset.index import ImageIndex

_REPORT = "health.json"
_LABELS = {
    "suspect_labels": "Perhaps in the wrong class",
    "conflicts": "Same picture, several classes",
    "leaks": "In several parts",
    "duplicates": "Copies",
    "bursts": "Bursts",
}
_CLUSTERS = ("conflicts", "leaks", "duplicates")
SUSPECTS = "suspect_labels"
_ROW = 12  # suspects, at least, that are shown where there are any


@dataclass(frozen=True)
class Find:
    """Pictures by their positions, the worst first; `hints` are likely classes, "" for none."""

    label: str
    positions: tuple[int, ...] = ()
    hints: tuple[str, ...] = ()


def find(index: ImageIndex, kind: str) -> Find:
    """Return the pictures of a kind of finding of the newest check; none where there is no check.

    Args:
        index: the version that was checked.
        kind: "suspect_labels", "conflicts", "leaks", "duplicates", "bursts" or a kind of flaw.
    """
    report = _report(index.digest)
    places = {picture.name: place for place, picture in enumerate(index.pictures)}
    found: dict[int, str] = {}
    for name, hint in _named(report, kind):
        if name in places:
            found.setdefault(places[name], hint)
    label = _LABELS.get(kind, kind.replace("_", " ").capitalize())
    return Find(label, tuple(found), tuple(found.values()))


def worth_a_look(found: Any) -> list[Any]:
    """Return the suspects of a report that a person should see: those flagged, then less sure ones.

    Not every wrong label is flagged. As many again follow, or so many that a row of pictures is
    full; where none is flagged, none are.
    """
    listed = found if isinstance(found, list) else []
    sure = [one for one in listed if not isinstance(one, dict) or one.get("flagged", True)]
    others = [one for one in listed if isinstance(one, dict) and not one.get("flagged", True)]
    return [*sure, *others[: max(_ROW - len(sure), len(sure))]] if sure else []


def _named(report: dict[str, Any], kind: str) -> Iterator[tuple[str, str]]:
    """Yield the files of a finding with a likely class each; what is not understood is skipped."""
    if kind == SUSPECTS:
        for row in _rows(worth_a_look(report.get(kind))):
            yield str(row.get("file")), str(row.get("suggested") or "")
        return
    if kind in _CLUSTERS:
        rows = _rows(report.get(kind))
    elif kind == "bursts":
        groups = report.get("groups")
        rows = _rows(groups.get(kind) if isinstance(groups, dict) else None)
    else:
        rows = [row for row in _rows(report.get("flaws")) if row.get("kind") == kind]
    for row in rows:
        files = row.get("files")
        for name in files if isinstance(files, list) else []:
            yield str(name), ""


def _rows(value: Any) -> list[dict[str, Any]]:
    return [row for row in value if isinstance(row, dict)] if isinstance(value, list) else []


def _report(digest: str) -> dict[str, Any]:
    """Return the report of the newest check of a data set, {} where there is none."""
    found: list[tuple[float, Path]] = []
    for path in (store.home() / "health").glob(f"{digest}-*/{_REPORT}"):
        with contextlib.suppress(OSError):  # deleted at this moment
            found.append((path.stat().st_mtime, path))
    for _, path in sorted(found, reverse=True):
        with contextlib.suppress(OSError, ValueError):
            value = store.read_json(path)
            if isinstance(value, dict):
                return value
    return {}
