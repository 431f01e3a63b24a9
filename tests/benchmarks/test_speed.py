import sys

import pytest

from benchmarks import processes, speed
from benchmarks.processes import FailedError


def test_ten_epochs_are_reckoned_from_those_after_the_first():
    assert speed.ten_epochs([20.0] + [10.0] * 9) == 110.0
    assert speed.ten_epochs([20.0, 10.0, 12.0]) == pytest.approx(20 + 9 * 11)
    assert speed.ten_epochs([10.0]) == pytest.approx(100.0)


def test_a_subset_takes_from_each_class_and_keeps_the_test(tmp_path):
    for part, number in (("train", 20), ("test", 5)):
        for label in ("a", "b"):
            folder = tmp_path / "all" / part / label
            folder.mkdir(parents=True)
            for i in range(number):
                (folder / f"{i:02}.jpg").write_text("x")
    assert speed.subset(tmp_path / "all", tmp_path / "some", 8) == 8
    names = [path.name for path in (tmp_path / "some" / "train" / "a").iterdir()]
    assert sorted(names) == ["00.jpg", "05.jpg", "10.jpg", "15.jpg"]
    assert len(list((tmp_path / "some" / "test").rglob("*.jpg"))) == 10


def test_the_first_epoch_and_the_views_are_told_apart():
    kept = [{"views": 3, "epoch_seconds": [9.0, 4.0, 4.0, 1.0, 1.0]}]
    anew = [{"views": 0, "epoch_seconds": [30.0, 8.0, 8.0, 8.0, 8.0]}]
    found = speed._ratios(kept, anew)
    assert found["ratio"] == pytest.approx(8 / 2.5)
    assert found["ratio_while_views_are_made"] == 2.0
    assert found["ratio_from_kept_views"] == 8.0
    assert found["ratio_of_all_epochs"] == pytest.approx(62 / 19, abs=0.01)


@pytest.fixture
def script(tmp_path, monkeypatch):
    """Make `python -m a_script` run these lines."""

    def write(lines: str) -> str:
        (tmp_path / "a_script.py").write_text(lines)
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))
        return "a_script"

    return write


def test_memory_is_that_of_a_command_and_its_children_together(script, tmp_path):
    held = (
        "x = bytearray(80_000_000); x[::4096] = b'1' * len(x[::4096]); import time; time.sleep(1)"
    )
    lines = (
        f"import subprocess\np = subprocess.Popen([{sys.executable!r}, '-c', {held!r}])\n{held}\n"
    )
    done = processes.run(script(f"{lines}p.wait()\nprint('{{}}')"), [], tmp_path)
    assert 160 < done.peak_memory_mb < 260
    assert 1.0 < done.seconds < 10


def test_a_command_answers_with_its_last_line_and_knows_its_store(script, tmp_path):
    lines = "import json, os, sys\nprint('words')\n"
    lines += "print(json.dumps([os.environ['TRANSFER_HOME'], sys.argv[1:]]))"
    done = processes.run(script(lines), ["a", 3], tmp_path)
    assert done.answer == [str(tmp_path), ["a", "3"]]


@pytest.mark.parametrize(
    ("lines", "timeout", "words"),
    [
        ("raise SystemExit('no such thing')", 60, "no such thing"),
        ("print('not json')", 60, "not json"),
        ("import time; time.sleep(60)", 1, "stopped after 1 s"),
    ],
)
def test_what_fails_says_why(script, tmp_path, lines, timeout, words):
    with pytest.raises(FailedError, match=words):
        processes.run(script(lines), [], tmp_path, timeout)
