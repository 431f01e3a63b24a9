"""The queue by itself, and by several processes at once."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from app import jobs
from tests.conftest import ROOT
from transfer import store
from transfer.errors import RunError


def test_nothing_is_there_before_the_first_job_and_looking_creates_nothing():
    assert jobs.active() == []
    assert jobs.latest("train", "a") is None
    assert list(store.home().iterdir()) == []


def test_a_job_is_submitted_once_while_it_waits_or_runs():
    first = jobs.submit("train", "a")
    assert (first.kind, first.target, first.state, first.attempts) == ("train", "a", "queued", 0)
    assert abs(first.created - time.time()) < 60
    assert jobs.submit("train", "a") == first
    assert jobs.submit("import", "a").id != first.id
    assert jobs.claim(first, "cpu")
    running = jobs.submit("train", "a")
    assert (running.id, running.state, running.slot) == (first.id, "running", "cpu")
    jobs.settle(first, "done")
    again = jobs.submit("train", "a")
    assert again.id > first.id
    assert jobs.latest("train", "a") == again


def test_what_runs_comes_first_and_then_what_waits_by_age():
    a, b, c, d = (jobs.submit("train", name) for name in "abcd")
    upload = jobs.submit("import", "u")
    jobs.claim(c, "cpu")
    jobs.claim(a, "0")
    jobs.settle(d, "done")  # it was not running: stays
    assert [job.target for job in jobs.active()] == ["a", "c", "b", "d", "u"]
    assert jobs.place(b) == (1, 2)
    assert jobs.place(d) == (2, 2)
    assert jobs.place(a) == (0, 2)
    assert jobs.place(upload) == (1, 1)


def test_a_job_that_goes_back_is_first_in_its_lane():
    a, b = jobs.submit("train", "a"), jobs.submit("train", "b")
    jobs.claim(a, "cpu")
    jobs.settle(a, "queued", crashed=True)
    back = jobs.latest("train", "a")
    assert back is not None
    assert (back.state, back.attempts, back.started, back.ended) == ("queued", 1, None, None)
    assert jobs.place(a) == (1, 2)
    assert jobs.place(b) == (2, 2)


def test_a_waiting_job_is_cancelled_and_an_ended_one_stays():
    a, b = jobs.submit("train", "a"), jobs.submit("train", "b")
    jobs.cancel(a)
    cancelled = jobs.latest("train", "a")
    assert cancelled is not None
    assert cancelled.state == "cancelled"
    assert cancelled.ended is not None
    assert not jobs.claim(a, "cpu")
    jobs.claim(b, "cpu")
    jobs.settle(b, "failed", "Because.")
    jobs.cancel(b)
    failed = jobs.latest("train", "b")
    assert failed is not None
    assert (failed.state, failed.error) == ("failed", "Because.")
    assert jobs.active() == []


def test_forgetting_leaves_no_row_and_no_file():
    kept, gone = jobs.submit("train", "kept"), jobs.submit("train", "gone")
    for job in (kept, gone):
        for suffix in ("out", "log", "lock"):
            jobs.file(job, suffix).write_text("x")
    jobs.forget("train", "gone")
    assert jobs.latest("train", "gone") is None
    assert jobs.active() == [kept]
    left = {path.name for path in jobs.dispatcher_lock().parent.glob("[0-9]*")}
    assert left == {f"{kept.id}.{suffix}" for suffix in ("out", "log", "lock")}
    assert jobs.submit("train", "gone").id > gone.id


@pytest.mark.parametrize("target", ["", "../x", "a/b", ".hidden", "-c", "a\n", "a b"])
def test_a_target_is_a_plain_name(target):
    with pytest.raises(RunError, match="not the name"):
        jobs.submit("train", target)
    assert jobs.active() == []


def test_many_processes_share_the_queue():
    """They create it at the same moment, too, and every target gets one job."""
    code = (
        "from app import jobs\n"
        "for number in range(25):\n"
        "    jobs.submit('train', f'run{number}')\n"
        "    jobs.latest('train', 'run0'); jobs.active()\n"
    )
    writers = [subprocess.Popen([sys.executable, "-c", code], cwd=ROOT) for _ in range(4)]
    assert [writer.wait(60) for writer in writers] == [0] * 4
    assert sorted(job.target for job in jobs.active()) == sorted(f"run{n}" for n in range(25))
    assert len({job.id for job in jobs.active()}) == 25


@pytest.mark.parametrize("kept", [True, False], ids=["with a dispatcher", "alone"])
def test_looking_costs_less_than_a_millisecond(kept):
    for number in range(200):
        job = jobs.submit("train", f"old{number}")
        jobs.cancel(job)
    jobs.submit("train", "new")

    def seconds() -> float:
        begun = time.perf_counter()
        assert jobs.latest("train", "new") in jobs.active()
        return time.perf_counter() - begun

    if kept:
        with jobs.kept_open():
            assert min(seconds() for _ in range(100)) < 2 * 0.001
    else:
        assert min(seconds() for _ in range(100)) < 2 * 0.001


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [("", []), ("-1", []), ("0", ["0"]), ("2, 3", ["2", "3"]), ("GPU-8a,1", ["GPU-8a", "1"])],
)
def test_the_chosen_gpus_are_those_of_the_environment(chosen, expected, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", chosen)
    assert jobs.gpus() == expected


LISTED = """\
GPU 0: NVIDIA H100 80GB HBM3 (UUID: GPU-1ca5)
  MIG 3g.40gb     Device  0: (UUID: MIG-77)
GPU 1: NVIDIA H100 80GB HBM3 (UUID: GPU-2db6)
"""


@pytest.mark.parametrize(
    ("status", "expected"), [(0, ["0", "1"]), (9, [])], ids=["two", "no driver"]
)
def test_the_machines_gpus_are_those_that_nvidia_smi_lists(status, expected, tmp_path, monkeypatch):
    program = tmp_path / "nvidia-smi"
    program.write_text(f"#!/bin/sh\n/bin/cat <<'END'\n{LISTED}END\nexit {status}\n")
    program.chmod(0o755)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert jobs.gpus() == expected


def test_a_machine_without_nvidia_smi_has_no_gpus(tmp_path, monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert jobs.gpus() == []


def test_a_store_with_a_relative_path_is_the_same_for_a_process_elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TRANSFER_HOME", "here")
    assert jobs.environment(EXTRA="1")["TRANSFER_HOME"] == str(tmp_path / "here")
    assert jobs.environment(EXTRA="1")["EXTRA"] == "1"
    assert jobs.submit("train", "a") == jobs.latest("train", "a")
    assert Path(tmp_path / "here" / "jobs" / "queue.sqlite").is_file()
    assert os.environ["TRANSFER_HOME"] == "here"


def test_a_paused_job_leaves_the_queue_and_keeps_its_place():
    first, second, third = (jobs.submit("train", name) for name in "abc")
    assert jobs.pause(first)
    assert not jobs.pause(first)
    assert [job.target for job in jobs.active()] == ["b", "c"]
    assert jobs.place(second) == (1, 2)
    assert jobs.claim(second, "cpu")
    jobs.settle(second, "paused")
    paused = jobs.latest("train", "b")
    assert paused is not None
    assert (paused.state, paused.ended, paused.started, paused.slot) == ("paused", None, None, None)
    assert not jobs.claim(first, "cpu")
    assert jobs.submit("train", "b").id == second.id
    assert jobs.submit("train", "a").id == first.id
    assert [job.target for job in jobs.active()] == ["a", "b", "c"]
    assert third.id > second.id


def test_a_paused_job_is_cancelled_and_forgotten_like_others():
    job = jobs.submit("train", "a")
    jobs.pause(job)
    jobs.cancel(job)
    ended = jobs.latest("train", "a")
    assert ended is not None
    assert ended.state == "cancelled"
    assert ended.ended is not None
    jobs.forget("train", "a")
    assert jobs.latest("train", "a") is None


def test_attempts_count_in_a_row_without_getting_on():
    job = jobs.submit("train", "a")
    counted = []
    for got_on in (False, False, True, False):
        jobs.claim(job, "cpu")
        jobs.settle(job, "queued", crashed=True, got_on=got_on)
        found = jobs.latest("train", "a")
        assert found is not None
        counted.append(found.attempts)
    assert counted == [1, 2, 1, 2]


def test_the_order_is_that_of_asking_whatever_the_clock_says(monkeypatch):
    clock = iter([1000.0, 10.0, 1e10])
    monkeypatch.setattr(jobs.time, "time", lambda: next(clock))
    asked = [jobs.submit("train", name) for name in "abc"]
    assert [job.created for job in asked] == [1000.0, 10.0, 1e10]
    assert [job.target for job in jobs.active()] == ["a", "b", "c"]
    assert jobs.place(asked[1]) == (2, 3)
