"""How many times as long as alone a process takes, by the kernel's count of its turns."""

import pytest

from transfer import turns
from transfer.turns import Turns

SECOND = 1_000_000_000  # nanoseconds


@pytest.mark.parametrize(
    ("told", "times"),
    [
        (f"{SECOND} {3 * SECOND} 7", 4.0),
        (f"{SECOND} 0 7", 1.0),
        (f"{SECOND} {99 * SECOND} 1", 30.0),
        ("1 999 1", 1.0),
        ("0 0 0", 1.0),
        ("", 1.0),
    ],
)
def test_at_first_its_whole_life_counts(tmp_path, told, times):
    (tmp_path / "schedstat").write_text(told)
    assert Turns(tmp_path / "schedstat").slowdown() == pytest.approx(times)
    assert Turns(tmp_path / "missing").slowdown() == 1.0


def test_then_only_what_was_lately(tmp_path, monkeypatch):
    now = 100.0
    monkeypatch.setattr(turns.time, "monotonic", lambda: now)
    file = tmp_path / "schedstat"
    measured, ran, waited, found = Turns(file), 0.0, 0.0, 0.0
    for share in (4.0, 4.0, 4.0, 1.0, 1.0, 1.0):  # others came to rest after half a minute
        for _ in range(10):
            now, ran, waited = now + 1, ran + 1 / share, waited + 1 - 1 / share
            file.write_text(f"{round(ran * SECOND)} {round(waited * SECOND)} 1")
            found = measured.slowdown()
        if share == 4.0:
            assert found == pytest.approx(4.0, rel=0.01)
    assert found == pytest.approx(1.0, abs=0.01)


def test_a_thread_that_only_waits_for_others_says_nothing_new(tmp_path, monkeypatch):
    now = 100.0
    monkeypatch.setattr(turns.time, "monotonic", lambda: now)
    file = tmp_path / "schedstat"
    file.write_text(f"{SECOND} {2 * SECOND} 1")
    measured = Turns(file)
    assert measured.slowdown() == pytest.approx(3.0)
    for _ in range(60):
        now += 1.0
        assert measured.slowdown() == pytest.approx(3.0)
