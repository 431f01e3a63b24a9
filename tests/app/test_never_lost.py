"""The whole app with real processes: worker, dispatcher, web server are killed, and no run is lost.

The runs are on real pictures where there are some (`TRANSFER_SHARED`), else on the drawn ones.
"""

import functools
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from app import jobs, processes, workshop
from tests.conftest import ROOT
from tests.transfer import outcomes
from transfer.config import RunConfig
from transfer.dataset import library
from transfer.runs import Run

_CLOSE = {"linear_stages": 0.0, "finetune_few": 1e-6}
_PATIENCE = 1800.0  # seconds that a run may take on a busy machine, kills and all
_VICTIMS = ("worker", "dispatcher", "web", "all")
_KILLS = int(os.environ.get("TRANSFER_KILLS", "20"))  # fewer for a trial


class _App:
    """The app on the store of the test, as somebody starts it: the web server, and what it starts.

    A web server that was killed is started again, as somebody would; nothing else is.
    """

    def __init__(self) -> None:
        self._web: subprocess.Popen[bytes] | None = None
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]

    def up(self) -> None:
        if self._web is None or self._web.poll() is not None:
            self._web = subprocess.Popen(
                [sys.executable, "-m", "app", "--no-browser", "--port", str(self._port)],
                cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )  # fmt: skip

    def kill(self, victim: str, run: Run) -> bool:
        """Kill one or all of them with -9; nobody, and False, where not all of those are there."""
        wanted = _VICTIMS[:-1] if victim == "all" else (victim,)
        found = [pid for one in wanted if (pid := self._pid(one, run)) is not None]
        if len(found) < len(wanted):
            return False
        for pid in found:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if "web" in wanted and self._web is not None:
            self._web.wait()
        return True

    def _pid(self, victim: str, run: Run) -> int | None:
        if victim == "web":
            alive = self._web is not None and self._web.poll() is None
            return self._web.pid if alive and self._web is not None else None
        job = jobs.latest("train", run.folder.name)
        assert job is not None
        lock = jobs.dispatcher_lock() if victim == "dispatcher" else jobs.file(job, "lock")
        holder = processes.holder(lock)
        there = holder is not None and holder.alive and processes.held(lock)
        return holder.pid if there and holder is not None else None

    def down(self) -> None:
        if self._web is not None:
            self._web.kill()
            self._web.wait()
        jobs.stop_all(grace=1.0)


@pytest.fixture
def app() -> Iterator[_App]:
    started = _App()
    yield started
    started.down()


@pytest.fixture(scope="module")
def undisturbed(real_pictures, tmp_path_factory) -> Callable[[str], Path]:
    """Return what gives the folder of an undisturbed run, by its strategy."""

    @functools.cache
    def of(strategy: str) -> Path:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("TRANSFER_HOME", str(tmp_path_factory.mktemp("undisturbed")))
            app, digest = _App(), library.import_dataset(real_pictures).digest
            run = workshop.start(_config(digest, strategy), strategy)
            try:
                _wait(app, run)
            finally:
                app.down()
        return run.folder

    return of


def _config(digest: str, strategy: str) -> RunConfig:
    return RunConfig(
        digest, "builtin", 64, strategy=strategy, horizontal_flip=True, quarter_turns=False,
        epochs=8 if strategy == "finetune_few" else None, patience=8,
    )  # fmt: skip


def _wait(app: _App, run: Run) -> None:
    deadline = time.monotonic() + _PATIENCE
    while (standing := workshop.standing(run)).alive:
        app.up()
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert (standing.word, standing.error) == ("finished", None)


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("strategy", list(_CLOSE))
@pytest.mark.parametrize("victim", _VICTIMS)
def test_twenty_kills_at_random_moments_change_nothing(
    app, real_pictures, undisturbed, victim, strategy
):
    """A run that has ended before the twentieth kill is followed by another one."""
    whole = undisturbed(strategy)
    shutil.copytree(whole, workshop.folder() / "earlier")
    earlier = outcomes.contents(workshop.folder())
    digest = library.import_dataset(real_pictures).digest
    rng, kills, runs = random.Random(f"{victim} {strategy}"), 0, list[Run]()
    while kills < _KILLS:
        runs.append(workshop.start(_config(digest, strategy), "disturbed"))
        app.up()
        while kills < _KILLS and workshop.standing(runs[-1]).alive:
            time.sleep(rng.uniform(0.0, 8.0))
            kills += app.kill(victim, runs[-1])
            app.up()
        _wait(app, runs[-1])
    for run in runs:
        assert outcomes.difference(run.folder, whole) <= _CLOSE[strategy]
    after = outcomes.contents(workshop.folder())
    assert {name: after[name] for name in earlier} == earlier


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_run_is_paused_survives_a_restart_and_ends_as_if_undisturbed(
    app, real_pictures, undisturbed
):
    digest = library.import_dataset(real_pictures).digest
    run = workshop.start(_config(digest, "finetune_few"), "paused")
    other = workshop.start(_config(digest, "linear_stages"), "other")
    app.up()
    while '"event": "epoch"' not in _events(run):
        time.sleep(0.05)
    workshop.pause(run)
    while workshop.standing(run).word != "paused":
        time.sleep(0.05)
    _wait(app, other)  # the worker is free
    app.kill("all", run)
    app.up()
    time.sleep(3)
    assert workshop.standing(run).word == "paused"
    workshop.go_on(run)
    _wait(app, run)
    assert outcomes.difference(run.folder, undisturbed("finetune_few")) <= 1e-6
    more = workshop.extend(run, 2)
    _wait(app, more)
    assert more.result()["shipped"] == "finetune_few"


def _events(run: Run) -> str:
    path = run.folder / "events.jsonl"
    return path.read_text(encoding="utf-8") if path.exists() else ""
