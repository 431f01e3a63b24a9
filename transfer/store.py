"""Where everything lives on disk: the store under `TRANSFER_HOME`, and how files get there whole.

TRANSFER_HOME/
    datasets/<digest>/   one data set, addressed by its content (see `dataset.library`)
    features/            cached backbone outputs, by backbone and content
    sample/              the generated sample data set
    runs/                runs that were not given a folder of their own

"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import platformdirs


def home() -> Path:
    """Return the store's root: `$TRANSFER_HOME`, or the user's data folder. Not created here."""
    chosen = os.environ.get("TRANSFER_HOME")
    return Path(chosen).expanduser() if chosen else Path(platformdirs.user_data_dir("transfer"))


def write_json(path: Path, value: Any, *, indent: int | None = 2) -> None:
    """Write `value` as JSON so that a reader sees the old file or the new one, never a part.

    Args:
        path: where to.
        value: what JSON can hold.
        indent: spaces; None writes one line, which is several times faster.
    """
    with replacing(path) as partial:
        text = json.dumps(value, indent=indent, ensure_ascii=False)
        partial.write_text(text + "\n", encoding="utf-8")


def read_json(path: Path) -> Any:
    """Read one JSON file written by `write_json`."""
    return json.loads(path.read_text(encoding="utf-8"))


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success it takes the place of `path` at once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial{path.suffix}")
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
