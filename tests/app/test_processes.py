"""Ending the right process, and nobody else."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app import processes

WAIT = "import time; time.sleep(300)"
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True);" + WAIT


@contextmanager
def born_with(lock: Path, code: str = WAIT) -> Iterator[subprocess.Popen[bytes]]:
    """Start a process that holds a lock, as the dispatcher does; it is killed in the end."""
    with lock.open("a") as handle:
        assert processes.take(handle)
        process = subprocess.Popen(
            processes.announced(lock, [sys.executable, "-S", "-c", code]),
            pass_fds=[handle.fileno()],
            start_new_session=True,
            stdout=subprocess.PIPE,
        )
    with process:
        try:
            yield process
        finally:
            process.kill()


def announced(lock: Path) -> processes.Process:
    deadline = time.monotonic() + 60
    while (process := processes.holder(lock)) is None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return process


def test_a_lock_is_held_until_its_process_has_gone(tmp_path):
    lock = tmp_path / "a.lock"
    assert not processes.held(lock)
    with born_with(lock) as process:
        assert processes.held(lock)
        assert processes.lives(lock)
        assert announced(lock).pid == process.pid
        with lock.open("a") as handle:
            assert not processes.take(handle)
        process.kill()
        process.wait()
        assert not processes.held(lock)
        assert not processes.lives(lock)
        with lock.open("a") as handle:
            assert processes.take(handle)


def test_a_process_is_asked_to_end(tmp_path):
    lock = tmp_path / "a.lock"
    with born_with(lock) as process:
        assert processes.end(lock)  # at once: it may not have announced itself yet
        assert process.wait(30) == -signal.SIGTERM
    assert processes.end(lock)


def test_one_that_does_not_listen_is_forced(tmp_path):
    lock = tmp_path / "a.lock"
    with born_with(lock, STUBBORN) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert processes.end(lock, grace=0.1)
        assert process.wait(30) == -signal.SIGKILL


def test_a_process_that_bears_the_number_by_chance_is_left_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(processes, "_FORCED", 0.2)
    lock = tmp_path / "a.lock"
    with born_with(tmp_path / "b.lock") as bystander, lock.open("a") as handle:
        assert processes.take(handle)
        stat = Path(f"/proc/{bystander.pid}/stat").read_text()
        began = announced(tmp_path / "b.lock").began
        handle.write(stat.replace(f" {began} ", f" {int(began) - 1} "))
        handle.flush()
        assert announced(lock) == processes.Process(bystander.pid, str(int(began) - 1))
        assert not processes.lives(lock)
        assert not processes.end(lock, grace=0.1)
        processes.sweep(lock)
        time.sleep(0.05)
        assert bystander.poll() is None
        # The same line with the true beginning: now it is meant.
        handle.truncate(0)
        handle.write(stat)
        handle.flush()
        processes.sweep(lock)
        assert bystander.wait(30) == -signal.SIGKILL


def test_a_name_with_anything_in_it_is_read(tmp_path):
    stat = Path("/proc/self/stat").read_text()
    head, _, tail = stat.partition(" (")
    odd = tmp_path / "stat"
    odd.write_text(f"{head} (a) R (b {tail.partition(')')[0]}){tail.partition(')')[2]}")
    (tmp_path / "true").write_text(stat)
    assert processes.holder(odd) == processes.holder(tmp_path / "true")


def test_an_unfinished_or_foreign_file_names_nobody(tmp_path):
    lock = tmp_path / "a.lock"
    assert processes.holder(lock) is None
    for text in ("", "12", "12 (sh) S 1 2", "\n\n"):
        lock.write_text(text)
        assert processes.holder(lock) is None
