import math

import keras
import numpy as np
import pytest

from transfer import pacing


def test_the_rate_rises_then_falls_to_nearly_nothing():
    shares = [pacing.share(step, 100) for step in range(100)]
    assert shares[:10] == pytest.approx(np.linspace(0.1, 1.0, 10))
    assert all(later < earlier for earlier, later in zip(shares[10:], shares[11:], strict=False))
    assert shares[-1] < 0.001
    assert pacing.share(55, 100) == pytest.approx(0.5)


def test_one_step_is_learned_at_the_full_rate():
    assert pacing.share(0, 1) == 1.0


@pytest.mark.parametrize(
    ("planned", "done", "seconds", "left", "expected"),
    [
        (20, 1, 10.0, math.inf, 20),
        (20, 1, 10.0, 55.0, 6),  # five more
        (20, 3, 10.0, 5.0, 3),  # no whole epoch more: this was the last
        (20, 3, 10.0, -1.0, 3),
        (4, 3, 1.0, 100.0, 4),
    ],
)
def test_epochs_that_the_time_allows(planned, done, seconds, left, expected):
    assert pacing.affordable(planned, done, seconds, left) == expected


def test_each_part_learns_at_its_share_of_its_own_rate():
    model = keras.Sequential(
        [
            keras.Input((3,)),
            keras.layers.Dense(2, name="middle"),
            keras.layers.Dense(2, name="top"),
            keras.layers.Dense(2, name="head"),
        ]
    )
    paced = pacing.adamw({"head/.*": 1e-2, "top/.*": 1e-3}, 1e-4, 0.0)
    model.compile(paced.optimizer, loss="mse", jit_compile=False)
    paced.optimizer.build(model.trainable_variables)
    paced.slow_to(0.5)
    before = {v.path: np.copy(keras.ops.convert_to_numpy(v)) for v in model.trainable_variables}
    rng = np.random.default_rng(0)
    model.train_on_batch(rng.normal(size=(8, 3)), rng.normal(size=(8, 2)) + 5)
    # The first step of Adam is the rate itself, whatever the gradient's size.
    moved = {
        v.path: np.abs(keras.ops.convert_to_numpy(v) - before[v.path]).max()
        for v in model.trainable_variables
    }
    assert moved["head/kernel"] == pytest.approx(5e-3, rel=0.02)
    assert moved["top/kernel"] == pytest.approx(5e-4, rel=0.02)
    assert moved["middle/kernel"] == pytest.approx(5e-5, rel=0.02)
    assert paced.fastest == pytest.approx(5e-3)
