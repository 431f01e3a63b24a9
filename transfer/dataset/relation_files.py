"""Where is kept which pictures of a data set belong together; light enough for a quick check.

<store>/datasets/<digest>/relations-<key>.json   {"pairs", "copies", "groups", "bursts", "named"}
"""

import contextlib
import hashlib
from pathlib import Path
from typing import Any

from transfer import store
from transfer.dataset.index import ImageIndex

_VERSION = "8"  # of how they are found


def read(index: ImageIndex) -> dict[str, Any] | None:
    """Return what is kept for these pictures of a data set; None where nothing is."""
    with contextlib.suppress(OSError, ValueError):
        found = store.read_json(path(index))
        return found if isinstance(found, dict) else None
    return None


def write(index: ImageIndex, value: dict[str, Any]) -> None:
    """Keep it; a store that may only be read is left as it is."""
    with contextlib.suppress(OSError):
        store.write_json(path(index), value)


def path(index: ImageIndex) -> Path:
    """Return the file, by all that decides about its content."""
    rows = [[p.name, p.label, p.split, p.sha256, p.group] for p in index.pictures]
    key = hashlib.sha256(repr([_VERSION, rows]).encode()).hexdigest()[:16]
    return index.root / f"relations-{key}.json"
