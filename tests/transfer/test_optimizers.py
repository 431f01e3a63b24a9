"""Each optimizer does what its paper says, step by step, and all of them learn."""

import itertools
import math
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import pytest

from transfer import optimizers, toolbox
from transfer.errors import SettingsError

RATE, DECAY, STEPS = 0.02, 0.1, 24
TOLERANCE: dict[str, Any] = {"rtol": 2e-5, "atol": 2e-6}
START = np.array([1.5, -0.7, 0.3, -2.0])
NAMES = [spec.name for spec in toolbox.OPTIMIZERS]

Paper = Callable[[float], Iterator[np.ndarray]]


def _gradient(step: int, weights: np.ndarray) -> np.ndarray:
    """Return the gradient at a step, from 1: it depends on the weights, on chance, and jumps."""
    noise = np.random.default_rng([7, step]).normal(0.0, 30.0 if step == 3 else 0.5, weights.shape)
    return np.array([1.0, 3.0, 0.2, 10.0]) * weights + noise


def _radam(decay: float) -> Iterator[np.ndarray]:
    """Algorithm 2 of arXiv 1908.03265; decoupled weight decay as in arXiv 1711.05101."""
    b1, b2 = 0.9, 0.999
    x, m, v = START.copy(), np.zeros(4), np.zeros(4)
    longest = 2 / (1 - b2) - 1
    for t in range(1, STEPS + 1):
        g = _gradient(t, x)
        x = x - RATE * decay * x
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g * g
        mean, length = m / (1 - b1**t), longest - 2 * t * b2**t / (1 - b2**t)
        if length > 4:
            adapted = np.sqrt((1 - b2**t) / v)
            a, b = (length - 4) * (length - 2) * longest, (longest - 4) * (longest - 2) * length
            x = x - RATE * math.sqrt(a / b) * mean * adapted
        else:
            x = x - RATE * mean
        yield x


def _adabelief(decay: float) -> Iterator[np.ndarray]:
    """Algorithm 2 of arXiv 2010.07468."""
    b1, b2, e = 0.9, 0.999, 1e-14
    x, m, s = START.copy(), np.zeros(4), np.zeros(4)
    for t in range(1, STEPS + 1):
        g = _gradient(t, x)
        x = x - RATE * decay * x
        m = b1 * m + (1 - b1) * g
        s = b2 * s + (1 - b2) * (g - m) ** 2 + e
        x = x - RATE * (m / (1 - b1**t)) / (np.sqrt(s / (1 - b2**t)) + e)
        yield x


def _diffgrad(decay: float) -> Iterator[np.ndarray]:
    """Section III of arXiv 1909.11015; the gradient before the first is zero."""
    b1, b2, e = 0.9, 0.999, 1e-8
    x, m, v, last = START.copy(), np.zeros(4), np.zeros(4), np.zeros(4)
    for t in range(1, STEPS + 1):
        g = _gradient(t, x)
        x = x - RATE * decay * x
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g * g
        friction = 1 / (1 + np.exp(-np.abs(last - g)))
        x = x - RATE * friction * (m / (1 - b1**t)) / (np.sqrt(v / (1 - b2**t)) + e)
        last = g
        yield x


def _adam(decay: float, amsgrad: bool = False) -> Iterator[np.ndarray]:
    """Algorithm 2 of arXiv 1711.05101 without its decoupling; AMSGrad: Reddi et al. 2018."""
    b1, b2, e = 0.9, 0.999, 1e-7
    x, m, v, highest = START.copy(), np.zeros(4), np.zeros(4), np.zeros(4)
    for t in range(1, STEPS + 1):
        g = _gradient(t, x) + decay * x
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g * g
        highest = np.maximum(highest, v) if amsgrad else v
        rate = RATE * math.sqrt(1 - b2**t) / (1 - b1**t)
        x = x - rate * m / (np.sqrt(highest) + e)
        yield x


PAPERS: dict[str, Paper] = {
    "radam": _radam,
    "adabelief": _adabelief,
    "diffgrad": _diffgrad,
    "adam": _adam,
    "amsgrad": lambda decay: _adam(decay, amsgrad=True),
}


def _steps(optimizer: keras.optimizers.Optimizer, first: int = 1) -> Iterator[np.ndarray]:
    """Take the steps of `_gradient` and yield the weights after each."""
    variable = keras.Variable(START.astype(np.float32), name="kernel")
    optimizer.build([variable])
    for step in range(first, STEPS + 1):
        gradient = _gradient(step, np.asarray(variable.numpy(), np.float64))
        optimizer.apply([keras.ops.convert_to_tensor(gradient.astype(np.float32))], [variable])
        yield np.array(variable.numpy())


@pytest.mark.parametrize("decay", [0.0, DECAY], ids=["plain", "weight decay"])
@pytest.mark.parametrize("name", PAPERS)
def test_its_steps_are_those_of_the_paper(name, decay):
    mine = _steps(optimizers.make(name, RATE, decay))
    for step, (ours, paper) in enumerate(zip(mine, PAPERS[name](decay), strict=True), start=1):
        np.testing.assert_allclose(ours, paper, **TOLERANCE, err_msg=f"step {step}")


def test_the_papers_differ_so_that_the_comparison_means_something():
    ends = [[*paper(decay)][-1] for paper in PAPERS.values() for decay in (0.0, DECAY)]
    alike = [np.allclose(a, b, **TOLERANCE) for i, a in enumerate(ends) for b in ends[:i]]
    assert len(alike) == 45 and not any(alike)


def test_radam_trusts_itself_from_the_fifth_step_on():
    ours = itertools.islice(_steps(optimizers.make("radam", RATE, 0.0)), 5)
    before, momentum = START, np.zeros(4)
    for t, after in enumerate(ours, start=1):
        momentum = 0.9 * momentum + 0.1 * _gradient(t, before)
        plain = before - RATE * momentum / (1 - 0.9**t)
        assert np.allclose(after, plain, rtol=1e-4) == (t <= 4)
        before = after


@pytest.mark.parametrize("name", NAMES)
def test_every_entry_of_the_menu_learns(name):
    """Logistic regression of two clouds, at the rate and the decay of a run."""
    rng = np.random.default_rng(0)
    labels = np.repeat([0.0, 1.0], 40)
    inputs = rng.normal(0, 1, (80, 3)) + 2 * labels[:, None]
    inputs = np.concatenate([inputs, np.ones((80, 1))], axis=1)
    weights = keras.Variable(np.zeros(4, np.float32), name="kernel")
    optimizer = optimizers.make(name, 1e-2, 1e-3)
    optimizer.build([weights])

    def chance() -> np.ndarray:
        return 1 / (1 + np.exp(-inputs @ np.asarray(weights.numpy(), np.float64)))

    losses = []
    for _ in range(40):
        answers = chance()
        right = np.where(labels == 1, answers, 1 - answers)
        losses.append(-np.log(right).mean())
        gradient = (inputs * (answers - labels)[:, None]).mean(axis=0)
        optimizer.apply([keras.ops.convert_to_tensor(gradient.astype(np.float32))], [weights])
    assert losses[0] == pytest.approx(math.log(2))
    assert losses[-1] < 0.95 * losses[0]


@pytest.mark.parametrize("name", sorted(set(NAMES) - {"adam", "amsgrad"}))
def test_weight_decay_means_the_same_with_all_that_decouple_it(name):
    variable = keras.Variable(START.astype(np.float32), name="kernel")
    optimizer = optimizers.make(name, 1e-3, 0.5)
    optimizer.build([variable])
    optimizer.apply([keras.ops.zeros(4)], [variable])
    np.testing.assert_allclose(variable.numpy(), START * (1 - 1e-3 * 0.5), rtol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_it_can_be_written_down_and_made_again(name):
    made: Any = optimizers.make(name, 0.01, 0.1)
    again: Any = keras.optimizers.deserialize(keras.optimizers.serialize(made))
    assert type(again) is type(made)
    assert again.get_config() == made.get_config()
    one, other = ([*itertools.islice(_steps(some), 6)] for some in (made, again))
    assert [x.tobytes() for x in one] == [x.tobytes() for x in other]


def test_the_menu_and_the_registry_name_the_same():
    assert list(optimizers.REGISTRY) == NAMES


def test_another_name_is_refused_with_the_nearest():
    with pytest.raises(SettingsError, match="Did you mean 'radam'"):
        optimizers.make("r-adam", 1e-3, 0.0)
