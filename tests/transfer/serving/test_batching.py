"""Batches: full where many ask, at once where one asks alone, and one failure is one failure."""

import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import numpy as np
import pytest

from transfer.errors import SettingsError
from transfer.serving.batching import Batcher
from transfer.serving.limits import Batching


class Doubling:
    """Answers with twice the number, slowly; not for negative ones."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds = seconds
        self.batches: list[list[int]] = []

    def compute(self, pictures: Sequence[int]) -> dict[str, np.ndarray]:
        self.batches.append(list(pictures))
        time.sleep(self.seconds)
        if min(pictures) < 0:
            raise ValueError(f"negative among {pictures}")
        return {"twice": np.array(pictures) * 2}


def _asked(batcher: Batcher, model: Doubling, picture: int) -> int:
    with batcher.coming():
        answer = batcher.submit(model, picture)
    return int(answer.result(10)["twice"])


def test_each_gets_its_own_answer_and_batches_are_not_too_large():
    batcher, model = Batcher(Batching(4, 50)), Doubling(0.005)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda n: _asked(batcher, model, n), range(100)))
    batcher.close()
    assert answers == [2 * n for n in range(100)]
    assert max(map(len, model.batches)) <= 4
    assert sum(size * count for size, count in batcher.sizes.items()) == 100
    assert len(model.batches) < 60


def test_what_is_on_its_way_is_waited_for_and_no_longer_than_said():
    batcher, model = Batcher(Batching(4, 60_000 / 300)), Doubling()
    with ExitStack() as stack:
        stack.enter_context(batcher.coming())  # never comes
        first = batcher.submit(model, 1)
        second = batcher.submit(model, 2)
        began = time.monotonic()
        assert int(first.result(10)["twice"]) + int(second.result(10)["twice"]) == 6
        assert 0.1 < time.monotonic() - began < 5
    assert model.batches == [[1, 2]]
    batcher.close()


def test_who_asks_alone_does_not_wait():
    batcher, model = Batcher(Batching(32, 10_000)), Doubling()
    began = time.monotonic()
    assert _asked(batcher, model, 21) == 42
    assert time.monotonic() - began < 5
    batcher.close()


def test_a_full_batch_does_not_wait():
    batcher, model = Batcher(Batching(2, 10_000)), Doubling()
    with batcher.coming():
        both = [batcher.submit(model, n) for n in (1, 2)]
        assert [int(one.result(5)["twice"]) for one in both] == [2, 4]
    batcher.close()


def test_models_are_never_mixed_and_the_longest_waiting_comes_first():
    batcher, one, other = Batcher(Batching(8, 0)), Doubling(0.2), Doubling()
    busy = batcher.submit(one, 0)
    while not one.batches:
        time.sleep(0.001)
    answers = [batcher.submit(model, n) for n, model in enumerate([one, other, one, other])]
    for answer in (busy, *answers):
        answer.result(10)
    batcher.close()
    assert one.batches == [[0], [0, 2]]
    assert other.batches == [[1, 3]]


def test_where_a_batch_fails_only_the_picture_that_is_to_blame_does():
    batcher, model = Batcher(Batching(8, 10_000)), Doubling()
    with batcher.coming():
        answers = [batcher.submit(model, n) for n in (1, -2, *range(3, 9))]
    assert [int(one.result(10)["twice"]) for one in (answers[0], answers[2])] == [2, 6]
    with pytest.raises(ValueError, match=r"negative among \[-2\]"):
        answers[1].result(10)
    batcher.close()


def test_closing_answers_what_waits_and_takes_no_more():
    batcher, model = Batcher(Batching(1, 0)), Doubling(0.02)
    answers = [batcher.submit(model, n) for n in range(5)]
    batcher.close()
    assert [int(one.result(0)["twice"]) for one in answers] == [0, 2, 4, 6, 8]
    with pytest.raises(RuntimeError):
        batcher.submit(model, 1)
    assert not set(batcher._threads) & set(threading.enumerate())


def test_free_threads_share_what_waits():
    class Meeting(Doubling):
        both = threading.Barrier(2, timeout=10)

        def compute(self, pictures: Sequence[int]) -> dict[str, np.ndarray]:
            self.both.wait()  # breaks where the other does not compute at the same time
            return super().compute(pictures)

    batcher, model = Batcher(Batching(32, 10_000), 2), Meeting()
    with batcher.coming():
        answers = [batcher.submit(model, n) for n in range(8)]
    assert [int(one.result(10)["twice"]) for one in answers] == [2 * n for n in range(8)]
    batcher.close()
    assert [len(batch) for batch in model.batches] == [4, 4]


@pytest.mark.parametrize(("most", "wait"), [(0, 5), (2000, 5), (4, -1), (4, float("nan"))])
def test_settings_out_of_range_are_said(most, wait):
    with pytest.raises(SettingsError, match="should be between"):
        Batching(most, wait)
