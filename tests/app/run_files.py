"""Files of runs for tests: made, looked into, tampered with, refused."""

import hashlib
import json
import shutil
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from app import bundles, jobs, packing
from app.packing import BundleError
from tests.app.conftest import Store
from transfer import store


def packed(learned: Store, folder: Path) -> Path:
    """The file of a finished run, made in a copy of its store."""
    shutil.copytree(learned.home, folder / "home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRANSFER_HOME", str(folder / "home"))
        return bundles.packed("run", learned.run_id)


def contents(bundle: Path) -> dict[str, bytes]:
    """What is in a bundle, by name and in its order, without the list of what is in it."""
    with zipfile.ZipFile(bundle) as archive:
        return {name: archive.read(name) for name in archive.namelist() if name != "bundle.json"}


def facts(bundle: Path) -> dict[str, Any]:
    with zipfile.ZipFile(bundle) as archive:
        return json.loads(archive.read("bundle.json"))


def rewritten(bundle: Path, target: Path, change: Mapping[str, bytes | None], **more: Any) -> Path:
    """A bundle with other contents (None: without them), which its list does not know."""
    with zipfile.ZipFile(target, "w") as archive:
        for name, data in {**contents(bundle), **change}.items():
            if data is not None:
                archive.writestr(name, data)
        archive.writestr("bundle.json", json.dumps({**facts(bundle), **more}))
    return target


def resealed(bundle: Path, target: Path, change: Mapping[str, bytes | None], **more: Any) -> Path:
    """A bundle with other contents (None: without them), whose list was made to fit them."""
    held = {name: data for name, data in {**contents(bundle), **change}.items() if data is not None}
    files = {
        name: {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        for name, data in held.items()
        if name != "transfer-run.txt"
    }
    return rewritten(bundle, target, change, files=files, **more)


def kept(home: Path) -> list[str]:
    """All files of the store, but for the queue's own."""
    files = (path.relative_to(home) for path in home.rglob("*") if path.is_file())
    return sorted(str(path) for path in files if path.parts[0] != "jobs")


def refused(path: Path) -> str:
    """Bring in what must be refused, see that nothing of it stays, and return the sentence."""
    before = kept(store.home())
    with pytest.raises(BundleError) as error:
        bundles.bring_in(path)
    assert kept(store.home()) == before
    assert jobs.active() == []
    assert not [path for path in packing.folder().glob("*") if path.name.startswith(".")]
    return str(error.value)
