import numpy as np
import pytest

from benchmarks import paired


def test_the_interval_of_a_difference_is_that_of_paired_pictures():
    # 100 pictures: 90 are the same for both, 8 only one gets right, 2 only the other.
    one = np.array([1.0] * 80 + [0.0] * 10 + [1.0] * 8 + [0.0] * 2)
    other = np.array([1.0] * 80 + [0.0] * 10 + [0.0] * 8 + [1.0] * 2)
    found = paired.difference(one, other)
    assert found.points == pytest.approx(6.0)
    error = 100 * np.std(one - other) / 10
    assert found.low == pytest.approx(6 - 1.96 * error, abs=0.6)
    assert found.high == pytest.approx(6 + 1.96 * error, abs=0.6)
    unpaired = 1.96 * 100 * np.sqrt((one.var() + other.var()) / 100)
    assert found.high - found.low < 0.7 * 2 * unpaired


def test_the_interval_covers_the_truth_about_95_times_in_100():
    rng = np.random.default_rng(1)
    covered = []
    for seed in range(400):
        one, other = rng.random(200) < 0.9, rng.random(200) < 0.85
        found = paired.difference(one.astype(float), other.astype(float), seed)
        covered.append(found.low <= 5.0 <= found.high)
    assert np.mean(covered) == pytest.approx(0.95, abs=0.035)


def test_equal_ways_do_not_differ():
    right = np.array([1.0, 0.0, 2 / 3, 1 / 3])
    assert paired.difference(right, right).to_json() == {"points": 0.0, "low": 0.0, "high": 0.0}


def test_different_pictures_are_refused():
    with pytest.raises(ValueError, match="same pictures"):
        paired.difference(np.ones(3), np.ones(4))


def test_regret_is_what_the_best_has_more():
    rights = {"a": np.array([1.0, 0.0, 0.0, 1.0]), "b": np.array([1.0, 1.0, 1.0, 0.0])}
    found = paired.regret(rights, rights["a"])
    assert (found.best, found.difference.points) == ("b", 25.0)
    assert paired.regret(rights, rights["b"]).difference.points == 0.0
    better = np.ones(4)  # what is not among them may be better than all of them
    assert paired.regret(rights, better).difference.points == -25.0


def test_a_mean_over_sets_is_surer_than_each():
    rng = np.random.default_rng(2)
    each = [
        paired.difference((rng.random(300) < 0.9) * 1.0, (rng.random(300) < 0.8) * 1.0, seed)
        for seed in range(4)
    ]
    found = paired.mean(each)
    assert found.points == pytest.approx(np.mean([one.points for one in each]))
    widths = [one.high - one.low for one in each]
    assert found.high - found.low == pytest.approx(np.mean(widths) / 2, rel=0.1)
