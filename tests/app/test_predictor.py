"""The web side of predictions, with the real process: started once, killed, asked by many."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from app import predictor, processes
from tests.conftest import ROOT
from transfer.errors import DataError, RunError, ServiceError


def _pid(home: Path) -> int:
    return json.loads((home / "predictor.json").read_text(encoding="utf-8"))["pid"]


def _wait_until(true: Callable[[], bool], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture(scope="module")
def store_home(trained, tmp_path_factory) -> Iterator[Path]:
    """A store with one finished run, 'fruit'; its process is ended with the last test."""
    home = tmp_path_factory.mktemp("web")
    shutil.copytree(trained[0], home / "runs" / "fruit")
    yield home
    if (home / "predictor.json").exists():
        os.kill(_pid(home), signal.SIGTERM)
    _wait_until(lambda: not processes.held(home / "predictor.lock"))


@pytest.fixture
def home(store_home, monkeypatch) -> Path:
    monkeypatch.setenv("TRANSFER_HOME", str(store_home))
    return store_home


@pytest.fixture(scope="module")
def pictures(sample_folder) -> list[Path]:
    return sorted(sample_folder.rglob("*.jpg"))[::10]


def test_many_who_ask_at_once_start_one_process(home, pictures, record_property):
    code = (
        "import pathlib, sys; from app import predictor;"
        "print(predictor.classify('fruit', pathlib.Path(sys.argv[1]).read_bytes()).probabilities);"
        "print(sorted({'tensorflow', 'keras', 'streamlit'} & set(sys.modules)))"
    )
    assert predictor.state() == "absent"
    began = time.monotonic()
    with subprocess.Popen(
        [sys.executable, "-c", code, str(pictures[0])], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as other:
        predictor.warm("fruit")
        with ThreadPoolExecutor(4) as pool:
            answers = list(
                pool.map(lambda _: predictor.classify("fruit", _bytes(pictures)), "abcd")
            )
        record_property("cold_seconds", round(time.monotonic() - began, 1))
        output, _ = other.communicate(timeout=60)
    probabilities, modules = output.splitlines()
    assert {str(answer.probabilities) for answer in answers} == {probabilities}
    assert modules == "[]"
    log = (home / "logs" / "predictor.log").read_text(encoding="utf-8")
    assert log.count("Ready: process") == 1
    assert "running already" not in log
    assert predictor.state() == "ready"


def _bytes(pictures: list[Path]) -> bytes:
    return pictures[0].read_bytes()


def test_the_answers_are_those_of_predict_and_come_fast(home, pictures, command, record_property):
    _, predicted, _ = command("predict", home / "runs" / "fruit", *pictures)
    predictor.classify("fruit", pictures[0].read_bytes())
    seconds = []
    for path, expected in zip(pictures, predicted["predictions"], strict=True):
        began = time.monotonic()
        answer = predictor.classify("fruit", path.read_bytes())
        seconds.append(time.monotonic() - began)
        named = dict(zip(answer.classes, answer.probabilities, strict=True))
        assert named == pytest.approx(expected["probabilities"], abs=1e-5)
        assert 0 < answer.milliseconds < 5000
    record_property("warm_seconds", sorted(seconds)[len(seconds) // 2])
    print(
        f"warm: {1000 * sorted(seconds)[len(seconds) // 2]:.0f} ms, {1000 * max(seconds):.0f} most"
    )
    assert max(seconds) < 5


def test_two_who_ask_at_once_get_each_their_own_answer(home, pictures):
    alone = [predictor.classify("fruit", path.read_bytes()).probabilities for path in pictures]
    with ThreadPoolExecutor(2) as pool:
        again = pool.map(lambda path: predictor.classify("fruit", path.read_bytes()), pictures * 3)
        assert [answer.probabilities for answer in again] == alone * 3


@pytest.mark.parametrize(
    ("run", "picture", "kind", "words"),
    [
        ("fruit", b"rubbish", DataError, "not a picture"),
        ("fruit", b"", DataError, "empty"),
        ("fruit", bytes(65 * 2**20), DataError, "at most 64 MB"),
        ("../runs/fruit", b"x", RunError, "not the id"),
        ("nobody", b"x", RunError, "not there any more"),
    ],
    ids=["rubbish", "nothing", "large", "traversal", "unknown"],
)
def test_what_can_be_mended_is_said_and_the_process_lives(home, run, picture, kind, words):
    predictor.warm("fruit")
    _wait_until(lambda: predictor.state() == "ready")
    pid = _pid(home)
    with pytest.raises(kind, match=words):
        predictor.classify(run, picture)
    assert _pid(home) == pid
    assert predictor.state() == "ready"


@pytest.mark.slow
def test_killed_over_a_question_it_is_started_again_and_asked_again(home, pictures):
    before = predictor.classify("fruit", pictures[0].read_bytes())
    pid = _pid(home)
    os.kill(pid, signal.SIGSTOP)
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(predictor.classify, "fruit", pictures[0].read_bytes())
        time.sleep(0.5)
        assert not asked.done()
        os.kill(pid, signal.SIGKILL)
        assert asked.result(60).probabilities == pytest.approx(before.probabilities, abs=1e-5)
    assert _pid(home) != pid


@pytest.mark.slow
def test_killed_while_nobody_asks_warm_starts_it_in_the_background(home, pictures):
    predictor.classify("fruit", pictures[0].read_bytes())
    pid = _pid(home)
    os.kill(pid, signal.SIGKILL)
    _wait_until(lambda: predictor.state() == "absent")
    assert (home / "predictor.json").exists()  # which nobody is misled by
    began = time.monotonic()
    for _ in range(20):  # a page that is drawn again and again
        predictor.warm("fruit")
    assert time.monotonic() - began < 2  # far less than its start takes
    assert sum(thread.name == "warm" for thread in threading.enumerate()) == 1
    _wait_until(lambda: predictor.state() == "starting")
    _wait_until(lambda: predictor.state() == "ready")
    assert predictor.classify("fruit", pictures[0].read_bytes()).probabilities
    assert _pid(home) != pid
    with suppress(FileNotFoundError):  # no zombie: only where another process started it
        assert f"PPid:\t{os.getpid()}" not in Path(f"/proc/{pid}/status").read_text()


def test_a_process_that_does_not_answer_is_not_waited_for_in_vain(home, pictures):
    predictor.classify("fruit", pictures[0].read_bytes())
    pid = _pid(home)
    os.kill(pid, signal.SIGSTOP)
    try:
        with pytest.raises(ServiceError, match="did not answer within 1 seconds"):
            predictor.classify("fruit", pictures[0].read_bytes(), timeout=1)
    finally:
        os.kill(pid, signal.SIGCONT)
    assert predictor.classify("fruit", pictures[0].read_bytes()).probabilities


def test_a_process_that_cannot_start_says_why(tmp_path, monkeypatch):
    (tmp_path / "tensorflow.py").write_text("raise SystemExit('no TensorFlow here')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("TRANSFER_HOME", str(tmp_path / "home"))
    with pytest.raises(ServiceError, match="ends as soon as it is started") as told:
        predictor.classify("fruit", b"x", timeout=60)
    assert "no TensorFlow here" in str(told.value)
    assert predictor.state() == "absent"


def test_a_store_that_cannot_be_written_is_named(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("TRANSFER_HOME", str(tmp_path / "file"))
    assert predictor.state() == "absent"
    with pytest.raises(ServiceError, match="cannot be started in"):
        predictor.classify("fruit", b"x", timeout=5)
