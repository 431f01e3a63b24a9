"""How fast each part of a network learns, whatever the optimizer, and for how long."""

import math

import pytest

from transfer import pacing, toolbox


@pytest.mark.parametrize("name", ["adamw", "momentum"])
def test_each_part_has_its_own_full_rate(name):
    paced = pacing.paced(name, {"head/.*": 1e-3, "top/.*": 1e-4}, 1e-5, 0.0)
    scale = toolbox.optimizer(name).rate_scale
    for share in (1.0, 0.25):
        paced.slow_to(share)
        now = sorted(float(part.learning_rate) for part, _ in paced.full)  # pyright: ignore[reportArgumentType]
        full = [1e-5 * share, 1e-4 * share, 1e-3 * share]
        assert now == pytest.approx([scale * one for one in full])
        assert paced.fastest == pytest.approx(1e-3 * share)  # as it was set, not as it is scaled


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
