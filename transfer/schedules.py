"""How fast a network learns at each step: pure functions of the step, and of the losses so far.

All begin with a warm-up: the rate rises from zero to where the schedule starts. Then, with p the
share of the remaining steps that has passed, from 0 to 1:

    constant     1
    step         drop ** k after k of the drops, at equal distances (He et al., arXiv 1512.03385)
    exponential  floor ** p
    inverse      1 / (1 + k p), so that floor is left at the end
    cosine       (1 + cos(pi p)) / 2 (SGDR, arXiv 1608.03983)
    cyclic       triangles between 1/4 and 1 (Smith 2017, arXiv 1506.01186, section 3)
    restarts     that cosine anew in each cycle (Huang et al. 2017, arXiv 1704.00109, equation 2;
                 the weights at the end of each are a snapshot)
    one_cycle    1/10 up to 1 and down again in equal parts, then to 1/1000 (Smith 2018, arXiv
                 1803.09820, section 4.1)
    plateau      drop ** k after k plateaus of the validation loss
"""

import math
from collections.abc import Callable, Sequence

from transfer.recipe import Recipe

_FLOOR = 0.01  # share of the rate that is left at the end
_LOWEST = 0.25  # of a cycle: "1/3 or 1/4 of the maximum" (Smith 2017, section 3.3)
_START = 0.1  # of the one cycle
_REST = 0.1  # share of the steps after the one cycle
_END = 1e-3  # at the end of that rest: "several orders of magnitude" below
_LEAST_GAIN = 1e-4  # in nats: a loss that is less lower is not lower


def share(step: int, steps: int, recipe: Recipe, losses: Sequence[float] = ()) -> float:
    """Return the share of the full rate at a step, counted from 0, of so many.

    Args:
        step: steps beyond the last are as the last.
        steps: of the whole training.
        recipe: names the schedule and its settings.
        losses: the validation losses of the epochs after the warm-up, so far. Only the schedule on
            plateau looks at them; that it looks at nothing else lets a killed training go on as if
            it had not been.

    >>> [round(share(step, 20, Recipe()), 2) for step in (0, 1, 2, 11, 19)]
    [0.5, 1.0, 1.0, 0.5, 0.01]
    """
    warm_up = warm_up_steps(steps, recipe)
    curve = _CURVES[recipe.schedule]
    if step < warm_up:
        return curve(0.0, recipe) * (step + 1) / warm_up
    passed = (step - warm_up) / max(1, steps - warm_up)
    now = curve(min(1.0, passed), recipe)
    return now * after_plateaus(losses, recipe) if recipe.schedule == "plateau" else now


def warm_up_steps(steps: int, recipe: Recipe) -> int:
    """Return how many of the steps (or of the epochs) are the warm-up."""
    return max(1, round(recipe.warm_up * steps)) if recipe.warm_up else 0


def cycles_done(step: int, steps: int, recipe: Recipe) -> int:
    """Return how many whole cycles so many steps are; the rate is lowest at the end of each.

    >>> [cycles_done(step, 20, Recipe(warm_up=0.0, cycles=4)) for step in (0, 4, 5, 19, 20)]
    [0, 0, 1, 3, 4]
    """
    warm_up = warm_up_steps(steps, recipe)
    return _whole_cycles(max(0, step - warm_up) / max(1, steps - warm_up), recipe)


def after_plateaus(losses: Sequence[float], recipe: Recipe) -> float:
    """Return the share of the rate that is left after the plateaus in these validation losses.

    A plateau is `plateau_patience` losses in a row of which none is lower than the lowest before;
    after each, counting begins anew.

    >>> after_plateaus([1.0, 0.8, 0.8, 0.9, 0.7, 0.7, 0.7], Recipe(plateau_patience=2, drop=0.5))
    0.25
    """
    lowest, waited, left = math.inf, 0, 1.0
    for loss in losses:
        if loss < lowest - _LEAST_GAIN:
            lowest, waited = loss, 0
            continue
        waited += 1
        if waited == recipe.plateau_patience:
            left, waited = left * recipe.drop, 0
    return left


def _constant(_: float, __: Recipe) -> float:
    return 1.0


def _step(passed: float, recipe: Recipe) -> float:
    # A step at the very edge counts as after the drop, whatever the rounding.
    return recipe.drop ** min(recipe.drops, int(passed * (recipe.drops + 1) + 1e-9))


def _exponential(passed: float, _: Recipe) -> float:
    return _FLOOR**passed


def _inverse(passed: float, _: Recipe) -> float:
    return 1 / (1 + (1 / _FLOOR - 1) * passed)


def _cosine(passed: float, _: Recipe) -> float:
    return 0.5 * (1 + math.cos(math.pi * passed))


def _cyclic(passed: float, recipe: Recipe) -> float:
    # Smith 2017, section 3.1: a cycle is two step sizes long.
    iteration, step_size = passed * 2 * recipe.cycles, 1
    cycle = math.floor(1 + iteration / (2 * step_size))
    x = abs(iteration / step_size - 2 * cycle + 1)
    return _LOWEST + (1 - _LOWEST) * max(0.0, 1 - x)


def _restarts(passed: float, recipe: Recipe) -> float:
    done = _whole_cycles(passed, recipe)
    return _cosine(1.0 if done == recipe.cycles else passed * recipe.cycles - done, recipe)


def _whole_cycles(passed: float, recipe: Recipe) -> int:
    # A step at the very edge counts as after it, whatever the rounding.
    return min(recipe.cycles, int(passed * recipe.cycles + 1e-9))


def _one_cycle(passed: float, _: Recipe) -> float:
    half = (1 - _REST) / 2
    if passed < 2 * half:
        return _START + (1 - _START) * (1 - abs(passed - half) / half)
    return _START + (_END - _START) * (passed - 2 * half) / _REST


_CURVES: dict[str, Callable[[float, Recipe], float]] = {
    "constant": _constant,
    "step": _step,
    "exponential": _exponential,
    "inverse": _inverse,
    "cosine": _cosine,
    "cyclic": _cyclic,
    "restarts": _restarts,
    "one_cycle": _one_cycle,
    "plateau": _constant,
}
