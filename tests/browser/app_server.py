"""The app as a user starts it, in processes and with a store of its own."""

import os
import select
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

import pytest

from app import jobs, processes
from app.jobs import Job
from app.processes import Process
from tests.conftest import ROOT
from transfer.runs import Run

T = TypeVar("T")

_HOST = "127.0.0.1"
_PROCESSORS = 2


class AppServer:
    """`python -m app` on a free port, without any network weights and without a way out.

    Args:
        home: The store, which belongs to this server alone.
        free: The bytes that its disk seems to have left; None: what there are.
    """

    def __init__(self, home: Path, free: int | None = None) -> None:
        self.home, self._free = home, free
        with socket.create_server((_HOST, 0)) as probe:
            self._port = int(probe.getsockname()[1])
        # Whoever asks for an address elsewhere is sent here, and is seen.
        self._trap = socket.create_server((_HOST, 0))
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """Host and port, as they stand in every address of the app."""
        return f"{_HOST}:{self._port}"

    @property
    def url(self) -> str:
        """The address of the first page."""
        return f"http://{self.address}/"

    @property
    def log(self) -> Path:
        """What the web process wrote to its terminal."""
        return self.home.with_name(f"{self.home.name}.log")

    @property
    def pid(self) -> int:
        """The number of the web process."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start the web process and wait until it answers."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, *self._program(), "--no-browser", "--port", str(self._port)],
                cwd=ROOT,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        # So that a training lasts about as long on a large machine.
        os.sched_setaffinity(self.pid, sorted(os.sched_getaffinity(0))[:_PROCESSORS])
        wait_until(self._answers, 120, "the web process answers")

    def kill(self) -> None:
        """End the web process alone, as `kill -9` does."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(30)

    def end(self) -> None:
        """End the web process, the dispatcher, the jobs and the prediction process."""
        try:
            self._interrupt()
            subprocess.run(
                [sys.executable, "-m", "app", "stop"],
                cwd=ROOT, env=self._environment(), capture_output=True, timeout=120, check=True,
            )  # fmt: skip
        finally:
            for number in (signal.SIGTERM, signal.SIGKILL):
                self._signal_rest(number)
            if self._process is not None:
                self._process.wait(30)
            self._trap.close()

    def _interrupt(self) -> None:
        """End the web process as Ctrl+C does."""
        if self._process is None or self._process.poll() is not None:
            return
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.send_signal(signal.SIGABRT)  # which makes it write down what it does
            self._process.wait(30)
            raise AssertionError(self.log.read_text(encoding="utf-8")) from None

    def has_called_out(self) -> bool:
        """Whether any of its processes asked for an address that is not on this machine."""
        return bool(select.select([self._trap], [], [], 0)[0])

    def run(self, run_id: str) -> Run:
        """Return a run of its store."""
        return Run(self.home / "runs" / run_id)

    def job(self, run_id: str) -> Job:
        """Return the newest training of a run as the queue knows it."""
        with self._as_store():
            job = jobs.latest("train", run_id)
        assert job is not None
        return job

    def worker(self, run_id: str) -> Process:
        """Return the process that trains a run, once it has begun."""
        with self._as_store():
            path = jobs.file(self.job(run_id), "lock")

        def begun() -> Process | None:
            process = processes.holder(path)
            return process if process and process.alive else None

        return wait_until(begun, 120, "the training has a process")

    def _program(self) -> list[str]:
        if self._free is None:
            return ["-m", "app"]
        pretend = f"from app import uploads; uploads.free_bytes = lambda: {self._free}"
        return ["-c", f"{pretend}; from app.__main__ import main; raise SystemExit(main())"]

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.log.read_text(encoding="utf-8")
        try:
            with urllib.request.urlopen(f"{self.url}_stcore/health", timeout=5) as answer:
                return answer.status == 200
        except (urllib.error.URLError, OSError):
            return False

    def _environment(self) -> dict[str, str]:
        trap = f"http://{_HOST}:{self._trap.getsockname()[1]}"
        proxies = {
            name: trap
            for scheme in ("http", "https", "all")
            for name in (f"{scheme}_proxy", f"{scheme}_proxy".upper())
        }
        here = {"no_proxy": f"{_HOST},localhost", "NO_PROXY": f"{_HOST},localhost"}
        keras = self.home.with_name(f"{self.home.name}-keras")
        keras.mkdir(exist_ok=True)
        own = {"TRANSFER_HOME": str(self.home), "KERAS_HOME": str(keras)}
        python = {"PYTHONFAULTHANDLER": "1", "CUDA_VISIBLE_DEVICES": "-1"}
        return {**os.environ, **proxies, **here, **own, **python}

    def _signal_rest(self, number: signal.Signals) -> None:
        """Signal what still runs, and give it some seconds to end."""
        deadline = time.monotonic() + 10
        for pid in self._left():
            with suppress(ProcessLookupError):
                os.kill(pid, number)
        while any(self._left()) and time.monotonic() < deadline:
            time.sleep(0.05)

    def _left(self) -> Iterator[int]:
        """Yield the processes that bear this store in their environment."""
        mark = f"\0TRANSFER_HOME={self.home}\0".encode()
        for path in Path("/proc").glob("[0-9]*/environ"):
            with suppress(OSError):
                if mark in b"\0" + path.read_bytes() and int(path.parent.name) != os.getpid():
                    yield int(path.parent.name)

    @contextmanager
    def _as_store(self) -> Iterator[None]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("TRANSFER_HOME", str(self.home))
            yield


def wait_until(find: Callable[[], T | None], seconds: float, what: str) -> T:
    """Wait for something outside the browser, and return it once it is there or true.

    Raises:
        AssertionError: it is not so after so many seconds.
    """
    deadline = time.monotonic() + seconds
    while not (found := find()):
        assert time.monotonic() < deadline, f"not within {seconds:g} seconds: {what}"
        time.sleep(0.05)
    return found
