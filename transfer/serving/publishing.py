"""Publish a run as the next version of a model, where TensorFlow Serving looks for it.

    MODELS/
        models.config       which models there are, for `--model_config_file`; replaced as a whole
        NAME/1, NAME/2 ...  checked exports; a version appears whole or not at all

TensorFlow Serving looks again every few seconds; `python -m transfer serve MODELS/NAME` does, too.
"""

import fcntl
import re
from pathlib import Path
from typing import Any

from transfer import store
from transfer.errors import SettingsError
from transfer.runs import Run
from transfer.serving import sources

CONFIG = "models.config"
MOUNTED = "/models"  # where compose.yaml shows the folder to TensorFlow Serving
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_KEPT_READY = 2  # versions that TensorFlow Serving holds in memory: the last, and the one before

_ENTRY = """\
  config {{
    name: "{name}"
    base_path: "{base}/{name}"
    model_platform: "tensorflow"
    model_version_policy {{ latest {{ num_versions: {versions} }} }}
  }}
"""


def checked_name(name: str) -> str:
    """Return a name that can be part of an address and of a path.

    Raises:
        SettingsError: it cannot.
    """
    if not _NAME.fullmatch(name):
        raise SettingsError(
            f"'{name}' cannot be the name of a published model: expected at most 64 letters (a to"
            " z), digits, dots, dashes and underscores, a letter or a digit first."
        )
    return name


def publish(run: Run, name: str, models: Path) -> dict[str, Any]:
    """Export a finished run to the next version of a model, checked, and list it.

    Raises:
        TransferError: the run cannot be exported (from `export`).
    """
    from transfer import export  # loads TensorFlow

    folder = models / checked_name(name)
    folder.mkdir(parents=True, exist_ok=True)
    with (models / ".lock").open("a") as lock:  # two who publish at once take turns
        fcntl.flock(lock, fcntl.LOCK_EX)
        version = max(sources.versions(folder), default=0) + 1
        done = export.export(run, folder / str(version))
        _list(models)
    return {
        "model": name,
        "version": version,
        "path": str(done.path),
        "checked": done.checked,
        "max_difference": done.max_difference,
    }


def configuration(names: list[str]) -> str:
    """Return the configuration of TensorFlow Serving for models of these names."""
    entries = "".join(
        _ENTRY.format(name=name, base=MOUNTED, versions=_KEPT_READY) for name in names
    )
    return f"model_config_list {{\n{entries}}}\n"


def _list(models: Path) -> None:
    names = sorted(
        one.name for one in models.iterdir() if _NAME.fullmatch(one.name) and sources.versions(one)
    )
    with store.replacing(models / CONFIG) as partial:
        partial.write_text(configuration(names), encoding="utf-8")
