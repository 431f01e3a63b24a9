"""No kill and no lack costs a run more than the last few seconds: real processes, really killed.

One kill is in `tests/test_end_to_end.py`; what the app's queue does is in
`tests/app/test_never_lost.py`.
"""

import json
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.transfer import outcomes, problems
from transfer import cli, commands, devices, pipeline, shortage
from transfer.config import RunConfig
from transfer.dataset import library
from transfer.errors import DataError
from transfer.reporter import OnStep
from transfer.runs import Run

CLOSE = {"linear_stages": 0.0, "finetune_few": 1e-6}
_TRAIN = ("--backbone", "builtin", "--image-size", "64", "--no-turn", "--mirror")


def _arguments(data: Path, strategy: str, run: Path) -> list[object]:
    more = ["--epochs", 6] if strategy == "finetune_few" else []
    return ["train", data, "--run", run, "--strategy", strategy, *_TRAIN, *more]


def _undisturbed(data: Path, strategy: str, home: Path) -> Path:
    run = home / "undisturbed"
    process = outcomes.start(home, *_arguments(data, strategy, run))
    assert outcomes.answer(process)["shipped"] == strategy
    return run


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("strategy", list(CLOSE))
def test_twenty_kills_at_random_moments_change_nothing(sample_zip, tmp_path, strategy):
    """Of one run, begun anew where it has ended before the twentieth."""
    whole = _undisturbed(sample_zip, strategy, tmp_path)
    run, rng, kills = tmp_path / "run", random.Random(strategy), 0
    arguments = _arguments(sample_zip, strategy, run)
    while kills < 20:
        process = outcomes.start(tmp_path, *arguments)
        deadline = time.monotonic() + rng.uniform(1.0, 20.0)
        while process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            process.communicate()
            kills += 1
            continue
        outcomes.answer(process)
        assert outcomes.difference(run, whole) <= CLOSE[strategy]
        shutil.rmtree(run)
    outcomes.answer(outcomes.start(tmp_path, *arguments))
    assert outcomes.difference(run, whole) <= CLOSE[strategy]


@contextmanager
def _small_disk(folder: Path, megabytes: int) -> Iterator[Path]:
    """Mount a disk of so many megabytes; skips where that is not allowed."""
    folder.mkdir()
    options = f"size={megabytes}m"
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], capture_output=True
    )
    if mounted.returncode:
        pytest.skip("only root may mount a small disk")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def _fill(folder: Path) -> Path:
    """Leave not a byte free."""
    path = folder / "filler"
    with path.open("wb", buffering=0) as filler:
        size = 1 << 20
        while size:
            try:
                filler.write(b"\0" * size)
            except OSError:
                size //= 2
    return path


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return problems.folders(tmp_path_factory.mktemp("data") / "stripes", 16)


def _begin(data: Path, folder: Path, patch: pytest.MonkeyPatch) -> Run:
    """Prepare a short fine-tuning in a store of its own."""
    problems.compute_with_keras(patch)
    devices.deterministic()
    patch.setenv("TRANSFER_HOME", str(folder))
    run = Run(folder / "runs" / "one")
    run.start(
        RunConfig(
            library.import_dataset(data).digest, "builtin", 48, strategy="finetune_few",
            epochs=2, batch_size=8, horizontal_flip=True, quarter_turns=False,
        )
    )  # fmt: skip
    return run


@pytest.fixture
def start(data, monkeypatch) -> Callable[[Path], Run]:
    return lambda folder: _begin(data, folder, monkeypatch)


def _once_in_training(act: Callable[[], object]) -> OnStep:
    """Return what does `act` when the second epoch begins."""
    done: list[bool] = []

    def step(phase: str, now: float, total: float, words: str) -> None:
        if phase == "fine_tuning" and "epoch 2 of" in words and not done:
            done.append(True)
            act()

    return step


@pytest.fixture(scope="module")
def whole(data, tmp_path_factory) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        run = _begin(data, tmp_path_factory.mktemp("whole"), patch)
        pipeline.run(run)
    return run.folder


def test_on_a_full_disk_a_run_ends_with_a_sentence_and_goes_on_with_room(start, whole, tmp_path):
    with _small_disk(tmp_path / "disk", 100) as disk:
        run = start(disk)
        with pytest.raises(Exception) as raised:
            pipeline.run(run, _once_in_training(lambda: _fill(disk)))
        assert shortage.of(raised.value) == "disk"
        assert "Make room" in shortage.in_words("disk")
        assert not run.finished
        (disk / "filler").unlink()
        assert pipeline.run(run)["shipped"] == "finetune_few"
        assert outcomes.difference(run.folder, whole) <= CLOSE["finetune_few"]


@pytest.mark.slow
def test_where_the_pictures_are_deleted_meanwhile_it_says_so_and_goes_on_with_them(
    start, whole, tmp_path
):
    run = start(tmp_path)
    pictures = library.folder(run.config().dataset)
    with pytest.raises(DataError, match="deleted while it was at work"):
        pipeline.run(run, _once_in_training(lambda: shutil.rmtree(pictures)))
    with pytest.raises(DataError, match="no longer in the store"):
        pipeline.run(run)
    start(tmp_path)  # takes them in again
    pipeline.run(run)
    assert outcomes.difference(run.folder, whole) <= CLOSE["finetune_few"]


def test_a_full_disk_is_a_sentence_of_the_command_line(monkeypatch, capsys):
    def full(_: object) -> dict[str, object]:
        with open("/dev/full", "w") as disk:  # noqa: PTH123
            disk.write("x")
        return {}

    monkeypatch.setattr(commands, "backbones", full)
    assert cli.main(["backbones", "--json"]) == 2
    captured = capsys.readouterr()
    told = json.loads(captured.out)
    assert told["lacking"] == "disk"
    assert "Make room" in told["error"]


def test_where_nothing_can_be_written_the_exit_status_still_says_it():
    code = "import os, sys; from transfer import cli; sys.exit(cli.main(['train', '--json']))"
    with open("/dev/full", "w") as disk:  # noqa: PTH123
        done = subprocess.run([sys.executable, "-c", code], stdout=disk, stderr=disk)
    assert done.returncode == 2


def test_too_little_memory_is_a_sentence():
    """In a process of its own that really may not have more."""
    code = (
        "import resource, sys\n"
        "from transfer import cli, commands\n"
        "def much(_):\n"
        "    resource.setrlimit(resource.RLIMIT_AS, (2**31, 2**31))\n"
        "    return {'n': len(bytearray(2**32))}\n"
        "commands.backbones = much\n"
        "sys.exit(cli.main(['backbones', '--json']))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 2, done.stderr
    told = json.loads(done.stdout)
    assert told["lacking"] == "memory"
    assert "too little memory" in told["error"]


@pytest.mark.parametrize(
    ("error", "lacking"),
    [
        (OSError(28, "No space left on device"), "disk"),
        (
            OSError("[Errno 28] Can't write data (error message = 'No space left on device')"),
            "disk",
        ),
        (MemoryError(), "memory"),
        (RuntimeError("OOM when allocating tensor with shape[1]"), "memory"),
        (ValueError("something else"), None),
    ],
)
def test_what_is_lacking_is_told_from_other_errors(error, lacking):
    assert shortage.of(error) == lacking
    wrapped = RuntimeError("it could not be saved")
    wrapped.__cause__ = error
    assert shortage.of(wrapped) == lacking
