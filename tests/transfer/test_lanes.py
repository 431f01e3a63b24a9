"""Processes side by side for many small parts: in order, told before, and never left behind."""

import signal
import subprocess
import sys
import time
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
needs_proc = pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="needs /proc")

_USE = """
import os, sys, time
from transfer.dataset import lanes

def work(part):
    {body}
    return part * part, os.getpid()

begun = []
for square, pid in lanes.each(work, range(100), 2, begun.append):
    print(square, pid, len(begun), flush=True)
"""


def _started(body: str) -> subprocess.Popen[str]:
    script = _USE.format(body=body)
    return subprocess.Popen(
        [sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip


def test_all_parts_come_back_in_order_from_two_processes():
    out, _ = _started("time.sleep(0.002)").communicate(timeout=60)
    rows = [[int(word) for word in line.split()] for line in out.splitlines()]
    assert [square for square, _, _ in rows] == [i * i for i in range(100)]
    assert len({pid for _, pid, _ in rows}) == 2
    assert all(begun > i for i, (_, _, begun) in enumerate(rows))


def test_what_a_part_raises_is_raised():
    process = _started("assert part != 50, 'it is fifty'")
    out, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "it is fifty" in err
    assert len(out.splitlines()) < 51


def test_a_process_that_dies_is_an_error():
    process = _started("part == 50 and os._exit(7)")
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert BrokenProcessPool.__name__ in err


@needs_proc
def test_the_processes_end_with_a_parent_that_is_killed():
    with _started("time.sleep(0.05)") as process:
        assert process.stdout is not None
        pid = int(process.stdout.readline().split()[1])
        process.send_signal(signal.SIGKILL)
    until = time.monotonic() + 30
    while Path(f"/proc/{pid}").exists() and not _is_zombie(pid):
        assert time.monotonic() < until
        time.sleep(0.05)


def _is_zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return True
