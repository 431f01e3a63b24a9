"""How the rate changes: each schedule at points that its paper gives, and after a warm-up."""

import itertools
import json
import math
from typing import Any

import pytest

from transfer import schedules, toolbox
from transfer.recipe import Recipe

NAMES = [choice.name for choice in toolbox.SCHEDULES]
PLAIN: dict[str, Any] = {"warm_up": 0.0}
# (recipe, [(share of the steps passed, share of the rate)])
POINTS = [
    (Recipe(schedule="constant", **PLAIN), [(0, 1), (0.5, 1), (1, 1)]),
    # He et al. 2016: a tenth at a third and at two thirds of the training.
    (Recipe(schedule="step", **PLAIN),
     [(0, 1), (0.33, 1), (1 / 3, 0.1), (0.66, 0.1), (2 / 3, 0.01), (1, 0.01)]),
    (Recipe(schedule="step", drop=0.5, drops=3, **PLAIN),
     [(0.24, 1), (0.25, 0.5), (0.5, 0.25), (0.75, 0.125), (1, 0.125)]),
    (Recipe(schedule="exponential", **PLAIN), [(0, 1), (0.25, 10**-0.5), (0.5, 0.1), (1, 0.01)]),
    (Recipe(schedule="inverse", **PLAIN), [(0, 1), (0.5, 1 / 50.5), (1, 0.01)]),
    # SGDR, equation 5, with a lowest rate of 0.
    (Recipe(schedule="cosine", **PLAIN),
     [(0, 1), (0.25, (1 + math.sqrt(0.5)) / 2), (0.5, 0.5), (1, 0)]),
    # Smith 2017, figure 2: up for one step size, down for one, from the lowest to the highest.
    (Recipe(schedule="cyclic", cycles=1, **PLAIN), [(0, 0.25), (0.25, 0.625), (0.5, 1), (1, 0.25)]),
    (Recipe(schedule="cyclic", cycles=4, **PLAIN),
     [(0, 0.25), (1 / 8, 1), (0.25, 0.25), (0.625, 1), (0.75, 0.25), (15 / 16, 0.625), (1, 0.25)]),
    # Huang et al. 2017, equation 2, with four cycles: full at the start of each.
    (Recipe(schedule="restarts", cycles=4, **PLAIN),
     [(0, 1), (1 / 8, 0.5), (0.25, 1), (0.375, 0.5), (0.75, 1), (1, 0)]),
    # Smith 2018: two equal halves, and the last steps far below where it began.
    (Recipe(schedule="one_cycle", **PLAIN),
     [(0, 0.1), (0.225, 0.55), (0.45, 1), (0.675, 0.55), (0.9, 0.1), (1, 0.001)]),
    (Recipe(schedule="plateau", **PLAIN), [(0, 1), (0.5, 1), (1, 1)]),
]  # fmt: skip


@pytest.mark.parametrize(("recipe", "points"), POINTS, ids=lambda one: getattr(one, "schedule", ""))
def test_it_goes_through_the_points_of_its_paper(recipe, points):
    steps = 720_000  # divisible by all of the shares above
    for passed, expected in points:
        now = schedules.share(round(passed * steps), steps, recipe)
        assert now == pytest.approx(expected, rel=1e-4, abs=1e-9), passed


def test_a_cycle_ends_where_the_rate_is_lowest():
    recipe = Recipe(schedule="restarts", cycles=4, **PLAIN)
    shares = [schedules.share(step, 40, recipe) for step in range(40)]
    done = [schedules.cycles_done(step, 40, recipe) for step in range(41)]
    ends = [step for step in range(1, 41) if done[step] > done[step - 1]]
    assert ends == [10, 20, 30, 40]
    assert all(shares[end - 1] == min(shares[end - 10 : end]) for end in ends)


def test_every_schedule_of_the_menu_has_points():
    assert {recipe.schedule for recipe, _ in POINTS} == set(NAMES)


@pytest.mark.parametrize("steps", [1, 2, 7, 20, 500])
@pytest.mark.parametrize("name", NAMES)
def test_all_stay_within_the_full_rate_and_warm_up(name, steps):
    recipe = Recipe(schedule=name)
    shares = [schedules.share(step, steps, recipe) for step in range(steps)]
    assert all(0 < one <= 1 for one in shares)
    warm = schedules.warm_up_steps(steps, recipe)
    assert warm == max(1, round(0.1 * steps))
    rising = shares[:warm]
    assert all(one < other for one, other in itertools.pairwise(rising))
    start = schedules.share(0, steps, Recipe(schedule=name, warm_up=0.0))
    assert rising[-1] == pytest.approx(start)  # it rises to where the schedule starts
    assert rising[0] == pytest.approx(start / warm)
    assert schedules.share(3 * steps, steps, recipe) <= 1  # beyond the last: as the last


@pytest.mark.parametrize("steps", [1, 2, 7, 20, 500])
def test_the_usual_one_is_what_it_was(steps):
    """Warm-up for a tenth of the steps, then half a cosine, as before there was a choice."""
    for step in range(steps + 3):
        warm_up = max(1, round(0.1 * steps))
        passed = (step - warm_up) / max(1, steps - warm_up)
        cosine = 0.5 * (1 + math.cos(math.pi * min(1.0, passed)))
        expected = (step + 1) / warm_up if step < warm_up else cosine
        assert schedules.share(step, steps, Recipe()) == expected


@pytest.mark.parametrize("name", ["step", "exponential", "inverse", "cosine", "constant"])
def test_what_only_falls_never_rises_again(name):
    shares = [schedules.share(step, 100, Recipe(schedule=name)) for step in range(10, 100)]
    assert all(one >= other for one, other in itertools.pairwise(shares))


@pytest.mark.parametrize(
    ("losses", "left"),
    [
        ([], 1.0),
        ([1.0, 0.9, 0.8, 0.7], 1.0),  # it still falls
        ([1.0, 1.1], 1.0),  # patience
        ([1.0, 1.1, 1.1], 0.5),
        ([1.0, 1.1, 0.9, 1.1], 1.0),  # a gain between: counted anew
        ([1.0, 1.1, 1.1, 1.1], 0.5),
        ([1.0, 1.1, 1.1, 1.1, 1.1], 0.25),  # a plateau after the plateau
        ([1.0, 0.99995, 0.9999], 0.5),  # too little to be a gain
        ([1.0, 1.0, 1.0, 0.5, 0.5, 0.5], 0.25),
        ([1.0, math.inf, math.nan], 0.5),  # no number is no gain
    ],
)
def test_plateaus_lower_the_rate(losses, left):
    recipe = Recipe(schedule="plateau", drop=0.5, plateau_patience=2)
    assert schedules.after_plateaus(losses, recipe) == left
    assert schedules.share(50, 100, recipe, losses) == left
    assert schedules.share(50, 100, Recipe(schedule="constant"), losses) == 1.0  # none else looks


def test_a_plateau_is_read_anew_from_the_history_that_was_kept():
    recipe = Recipe(schedule="plateau", plateau_patience=2)
    losses = [1.0, 0.8, 0.81, 0.805, 0.7, 0.75, 0.72, 0.71]
    at_once = [schedules.share(90, 100, recipe, losses[:n]) for n in range(len(losses) + 1)]
    kept = json.loads(json.dumps(losses))
    assert [schedules.share(90, 100, recipe, kept[:n]) for n in range(len(kept) + 1)] == at_once
    assert at_once[-1] == pytest.approx(0.01)
