"""Shared fixtures: a store of its own for each test, real pictures, one trained run.

And which tests a process takes where several share the work (`make test`).
"""

import json
import os
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from transfer.dataset import relation_files, relations
from transfer.dataset.index import ImageIndex
from transfer.dataset.relations import Relations

os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

ROOT = Path(__file__).parent.parent
SHARED = Path(os.environ.get("TRANSFER_SHARED", ROOT.parent / "shared"))

Command = Callable[..., tuple[int, dict[str, Any], str]]

# The files that take longest, so that no process waits for one of them at the end. Pages come
# before what computes with TensorFlow, which makes each run of a page in this process slower.
_LONGEST = ("tests/browser/", "tests/app/", "tests/test_end_to_end.py", *(
    f"tests/transfer/test_{name}.py"
    for name in ("serving", "fine_tuning", "pipeline", "checks", "never_lost", "searching_trials",
                 "replicas", "corpus", "training", "strategies", "catalog", "stages", "builtin")
))  # fmt: skip


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest files first."""
    places = {name: place for place, name in enumerate(_LONGEST)}

    def place(item: pytest.Item) -> int:
        found = (place for name, place in places.items() if item.nodeid.startswith(name))
        return next(found, len(places))

    items.sort(key=place)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Let one process have all tests of a file, and one those that share the browser's server."""
    from xdist.scheduler import LoadScopeScheduling

    class Files(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.split("::")[0]
            return "tests/browser" if file.startswith("tests/browser/") else file

    return Files(config, log)


@pytest.fixture(autouse=True)
def _store(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep every test out of the user's store and out of the user's weights."""
    monkeypatch.setenv("TRANSFER_HOME", str(tmp_path_factory.mktemp("home")))


@pytest.fixture(autouse=True, scope="session")
def _related_once() -> Iterator[None]:
    """Find which of the same pictures belong together once, for all the stores of this process."""
    find, known = relations.find, dict[str, dict[str, Any]]()

    def found_once(index: ImageIndex, *more: Any) -> Relations:
        name = relation_files.path(index).name
        if name in known and relation_files.read(index) is None:
            relation_files.write(index, known[name])
        found = find(index, *more)
        if kept := relation_files.read(index):
            known[name] = kept
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(relations, "find", found_once)
        yield


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with the real data sets and weights, where there is one."""
    if not (SHARED / "datasets").is_dir():
        pytest.skip(f"no real data sets in {SHARED} (set TRANSFER_SHARED)")
    return SHARED


@pytest.fixture(scope="session")
def sample_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three classes of 24 generated pictures each, as a folder."""
    from transfer import sample

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sample, "CLASSES", sample.CLASSES[:3])
        return sample.write_sample(
            tmp_path_factory.mktemp("sample") / "fruit", per_class=24, seed=3
        )


@pytest.fixture(scope="session")
def real_pictures(sample_folder: Path) -> Path:
    """Ants and bees where the shared sets are there, else the drawn fruit."""
    real = SHARED / "datasets" / "ants-bees"
    return real if real.is_dir() else sample_folder


@pytest.fixture(scope="session")
def sample_zip(sample_folder: Path) -> Path:
    """The same pictures as a zip with one wrapping folder."""
    path = sample_folder.parent / "fruit.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for picture in sorted(sample_folder.rglob("*.jpg")):
            archive.write(picture, Path("fruit") / picture.relative_to(sample_folder))
    return path


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Command:
    """Run `python -m transfer ARGUMENTS --json` here: (status, the JSON object, words)."""
    from transfer import cli

    def run(*arguments: object) -> tuple[int, dict[str, Any], str]:
        status = cli.main([*map(str, arguments), "--json"])
        captured = capsys.readouterr()
        lines = captured.out.splitlines()
        assert len(lines) == 1, captured.out
        return status, json.loads(lines[0]), captured.err

    return run


@pytest.fixture(scope="session")
def trained(
    sample_zip: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Path, Path]]:
    """One finished run with the built-in backbone, as advised: (run folder, its store)."""
    from transfer import cli

    home = tmp_path_factory.mktemp("trained_home")
    run = home / "runs" / "fruit"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRANSFER_HOME", str(home))
        assert cli.main(["train", str(sample_zip), "--run", str(run), "--backbone", "builtin"]) == 0
    yield run, home
