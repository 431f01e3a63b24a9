import numpy as np

from transfer import honesty


def _problem(n, classes, burst, seed=0, own=1.0):
    """Return (features, labels, groups): pictures of one burst share most of what is random."""
    rng = np.random.default_rng(seed)
    groups = np.arange(n) // burst
    labels = (groups % classes).astype(int)
    centres = rng.normal(size=(classes, 40)) * 0.35
    shared = rng.normal(size=(groups.max() + 1, 40)) * own
    return centres[labels] + shared[groups] + rng.normal(size=(n, 40)) * 0.2, labels, groups


def test_bursts_torn_apart_feign_accuracy_and_that_is_said():
    features, labels, groups = _problem(240, 3, 8)
    found = honesty.measure(features, labels, ("a", "b", "c"), groups, seed=0)
    assert found["warn"]
    assert found["ungrouped"]["accuracy"] - found["grouped"]["accuracy"] > 0.2
    assert abs(found["gap"] - found["ungrouped"]["accuracy"] + found["grouped"]["accuracy"]) < 1e-9
    assert found["repeated"]["n"] == 240
    assert abs(found["repeated"]["accuracy"] - found["grouped"]["accuracy"]) < 0.12
    assert found["repeated"]["high"] - found["repeated"]["low"] > 0.15  # 30 bursts say little


def test_pictures_that_stand_alone_raise_no_warning():
    features, labels, groups = _problem(240, 3, 1)
    found = honesty.measure(features, labels, ("a", "b", "c"), groups, seed=0)
    assert not found["warn"]
    assert found["gap"] == 0.0


def test_classes_that_do_not_differ_are_named():
    features, labels, groups = _problem(200, 2, 1)
    rng = np.random.default_rng(1)
    labels = np.where(labels == 0, rng.integers(0, 2, 200), 2)  # a and b at random, c apart
    features[labels == 2] += 3
    found = honesty.measure(features, labels, ("a", "b", "c"), groups, seed=0)
    assert found["apart"] == [["a", "b"]]


def test_a_large_set_is_sampled_in_whole_groups_with_every_class(monkeypatch):
    monkeypatch.setattr(honesty, "_MOST", 300)
    features, labels, groups = _problem(1000, 2, 5)
    labels[-5:] = 2  # one group is all there is of the third class
    found = honesty.measure(features, labels, ("a", "b", "c"), groups, seed=0)
    assert 300 <= found["grouped"]["n"] <= 310
    assert found["grouped"]["n"] % 5 == 0
