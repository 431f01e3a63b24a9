"""How fast each part learns: up, down by a cosine, and no longer than the time allows."""

import itertools
import math

import pytest

from transfer import pacing


@pytest.mark.parametrize("steps", [1, 2, 7, 20, 500])
def test_it_rises_to_the_full_rate_and_falls_to_nothing(steps):
    shares = [pacing.share(step, steps) for step in range(steps)]
    peak = shares.index(1.0)
    assert peak <= max(1, round(pacing.WARM_UP * steps))
    assert all(0 < one <= 1 for one in shares)
    assert all(one <= other for one, other in itertools.pairwise(shares[: peak + 1]))
    assert all(one >= other for one, other in itertools.pairwise(shares[peak:]))
    assert steps < 20 or shares[-1] < 0.05


def test_steps_beyond_the_last_learn_nothing():
    assert pacing.share(30, 20) == pytest.approx(0.0)


def test_each_part_has_its_own_full_rate():
    paced = pacing.adamw({"head/.*": 1e-3, "top/.*": 1e-4}, 1e-5, 0.0)
    for share in (1.0, 0.25):
        paced.slow_to(share)
        now = sorted(float(part.learning_rate) for part, _ in paced.full)  # pyright: ignore[reportArgumentType]
        assert now == pytest.approx([1e-5 * share, 1e-4 * share, 1e-3 * share])
        assert paced.fastest == pytest.approx(1e-3 * share)


def test_without_a_limit_the_plan_stands():
    assert pacing.affordable(20, 3, 100.0, math.inf) == 20


@pytest.mark.parametrize(
    ("done", "seconds", "left", "epochs"),
    [(1, 10.0, 1000.0, 20), (1, 10.0, 45.0, 5), (4, 10.0, 9.0, 4), (4, 10.0, -5.0, 4)],
)
def test_a_limit_shortens_it_to_what_is_affordable(done, seconds, left, epochs):
    assert pacing.affordable(20, done, seconds, left) == epochs


def test_it_is_never_longer_than_planned_nor_shorter_than_what_is_done():
    for done in range(1, 6):
        for left in (-1.0, 0.0, 3.0, 1e6):
            assert done <= pacing.affordable(5, done, 1.0, left) <= 5
    assert pacing.affordable(5, 2, 0.0, 10.0) == 5  # an epoch of no time at all
