"""Shared fixtures: a store of its own for each test, real pictures, one trained run."""

import json
import os
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

ROOT = Path(__file__).parent.parent
SHARED = Path(os.environ.get("TRANSFER_SHARED", ROOT.parent / "shared"))

Command = Callable[..., tuple[int, dict[str, Any], str]]


@pytest.fixture(autouse=True)
def _store(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep every test out of the user's store and out of the user's weights."""
    monkeypatch.setenv("TRANSFER_HOME", str(tmp_path_factory.mktemp("home")))


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

    folder = sample.write_sample(tmp_path_factory.mktemp("sample") / "fruit", per_class=24, seed=3)
    for extra in sorted(path for path in folder.iterdir() if path.is_dir())[3:]:
        for picture in extra.iterdir():
            picture.unlink()
        extra.rmdir()
    return folder


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
