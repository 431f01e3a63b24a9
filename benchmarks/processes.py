"""Run commands of ours in fresh processes: what they answered, seconds, and peak memory."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

ROOT = Path(__file__).resolve().parent.parent
SHARED = Path(os.environ.get("TRANSFER_SHARED", ROOT.parent / "shared"))
_EVERY = 0.1  # seconds between two looks at the memory


class FailedError(Exception):
    """A command did not answer; the message is what it said instead."""


@dataclass(frozen=True)
class Finished:
    """The last line of standard output as JSON, wall seconds, and peak memory in MB.

    The memory is that of the process and of those that it started, all at the same moment. Pages
    that several of them share count several times.
    """

    answer: dict[str, Any]
    seconds: float
    peak_memory_mb: int


def run(
    module: str, arguments: Sequence[object], home: Path, timeout: float | None = None
) -> Finished:
    """Run `python -m MODULE ARGUMENTS` with a store of its own and wait for its answer.

    Raises:
        FailedError: it failed, gave no JSON, or took longer than `timeout` seconds.
    """
    command = [sys.executable, "-m", module, *map(str, arguments)]
    began = time.monotonic()
    with tempfile.TemporaryFile("w+") as errors, tempfile.TemporaryFile("w+") as answers:
        with subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment(home),
            stdout=answers,
            stderr=errors,
            start_new_session=True,  # so that its children can be ended with it
        ) as process:
            memory = _Memory(process.pid)
            try:
                process.wait(timeout)
            except subprocess.TimeoutExpired:
                raise FailedError(f"stopped after {timeout:.0f} s") from None
            finally:
                seconds, peak = time.monotonic() - began, memory.stop()
                _end(process)
        lines, words = _text(answers).splitlines(), _text(errors).strip().splitlines()
    last = (lines or words or ["no output"])[-1]
    if process.returncode:
        # 2 is a mistake that the program explains in its answer; else there is a traceback.
        why = [last] if process.returncode == 2 else words[-8:] or [last]
        raise FailedError(f"exit status {process.returncode}: " + "\n".join(why)[-2000:])
    try:
        return Finished(json.loads(last), round(seconds, 2), peak)
    except ValueError:
        raise FailedError(f"expected JSON on the last line, but got: {last[-1000:]}") from None


def environment(home: Path) -> dict[str, str]:
    """Return the environment of a command that uses the store at `home`."""
    weights = {"KERAS_HOME": str(SHARED / "keras")} if (SHARED / "keras").is_dir() else {}
    return {**weights, **os.environ, "TRANSFER_HOME": str(home)}


@contextmanager
def store_at(home: Path) -> Iterator[Path]:
    """Let this process use the store at `home`, and the shared weights where there are such."""
    home.mkdir(parents=True, exist_ok=True)
    with patch.dict(os.environ, environment(home)):
        yield home


def memory_mb(pid: int) -> tuple[float, float]:
    """Return (memory now, largest peak of one process), in MB, of a process and its descendants."""
    now, highest = 0.0, 0.0
    for one in _family(pid):
        try:
            status = Path(f"/proc/{one}/status").read_text()
        except OSError:
            continue
        fields = dict(line.split(":", 1) for line in status.splitlines() if line.startswith("Vm"))
        if "VmRSS" in fields:  # not of one that has ended
            now += int(fields["VmRSS"].split()[0]) / 1024
            highest = max(highest, int(fields["VmHWM"].split()[0]) / 1024)
    return now, highest


class _Memory:
    """Looks at the memory of a process and its descendants until it is told to stop."""

    def __init__(self, pid: int) -> None:
        self._pid, self._peak, self._ended = pid, 0.0, threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def stop(self) -> int:
        """Return the highest memory in MB."""
        self._ended.set()
        self._thread.join()
        return round(self._peak)

    def _watch(self) -> None:
        while not self._ended.wait(_EVERY):
            self._peak = max(self._peak, *memory_mb(self._pid))


def _family(pid: int) -> list[int]:
    """Return a process and all its descendants."""
    found = [pid]
    for one in found:  # grows meanwhile
        for task in Path(f"/proc/{one}/task").glob("*"):
            try:
                found += map(int, (task / "children").read_text().split())
            except OSError:
                continue
    return found


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)


def _text(file: Any) -> str:
    file.seek(0)
    return file.read()
