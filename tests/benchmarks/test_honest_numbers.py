"""What the benchmarks of intervals, forecasts and suspects count."""

import numpy as np
import pytest

from benchmarks import forecast, intervals, suspects
from transfer import evaluation


def test_a_twentieth_of_the_labels_is_swapped_for_another_class():
    labels = np.arange(200) % 4
    changed = suspects.swapped(labels, 4, seed=3)
    assert (changed != labels).sum() == 10
    assert set(np.unique(changed)) <= set(range(4))
    assert (labels == np.arange(200) % 4).all()


def test_intervals_that_hold_the_truth_are_counted():
    inside, outside = evaluation.wilson(18, 20), evaluation.wilson(2, 20)
    drawn = [
        intervals.Drawn({"test": one}, 0.85, 0.80) for one in (inside, inside, outside, inside)
    ]
    found = intervals.summary(drawn)
    assert found["test"]["contains"]["accuracy"] == 0.75
    assert found["test"]["bias"] == pytest.approx(100 * ((0.9 * 3 + 0.1) / 4 - 0.85), abs=0.01)
    assert found["draws"] == 4


def test_forecasts_that_hold_the_truth_are_counted_and_priced():
    hit = forecast.Drawn(0.80, 0.84, (0.82, 0.84, 0.86), (0.78, 0.80, 0.82), "helps", 1, (0.0, 0.1))
    miss = forecast.Drawn(
        0.80, 0.90, (0.82, 0.84, 0.86), (0.78, 0.80, 0.82), "may_help", None, (0.1, 0.1)
    )
    found = forecast.summary([hit, miss])
    assert found["forecast"]["holds"][0] == 0.5
    assert found["naive"]["holds"][0] == 0.0
    assert found["forecast"]["width"] == 4.0
    assert found["forecast"]["score"] == pytest.approx(4.0 + 20 * 4.0 / 2)
    assert found["forecast"]["off"] == pytest.approx(3.0)
    assert found["gain"] == pytest.approx(7.0)
    assert found["verdicts"] == {"helps": 1, "may_help": 1, "enough": 0}
    assert found["classes"] == {
        "named": 1,
        "named_gain": 10.0,
        "best_gain": 10.0,
        "mean_gain": 7.5,
    }
