"""The forecast against learning curves that are known, and against pictures drawn afterwards."""

import numpy as np
import pytest

from transfer import forecast, linear
from transfer.errors import DataError
from transfer.forecast import Trials

CLASSES = ("ant", "bee", "wasp")


def _by_law(rng: np.random.Generator, n: int, top: float, slope: float, power: float) -> Trials:
    """Answers whose chance of being right is top - slope * images^-power."""
    sizes = np.repeat(np.geomspace(n / 10, n, forecast.SIZES).round(), forecast.REPEATS)
    sizes = sizes[: (forecast.SIZES - 1) * forecast.REPEATS + 1].astype(int)
    ease = rng.random(n)  # the same pictures are hard at all sizes
    drawn = np.stack([rng.permutation(n) < size for size in sizes])
    right = drawn & (ease < (top - slope * sizes[:, None] ** -power))
    return Trials(right, drawn, np.minimum(np.arange(len(sizes)) // forecast.REPEATS, 5))


def _clouds(rng: np.random.Generator, n: int, dim: int = 60, spread: float = 5.0):
    centres = np.random.default_rng(5).normal(size=(3, dim))
    labels = np.arange(n) % 3
    return (centres[labels] + rng.normal(size=(n, dim)) * spread).astype(np.float32), labels


@pytest.mark.parametrize(("top", "slope", "power"), [(0.95, 2.0, 0.5), (0.9, 0.9, 0.25)])
def test_a_power_law_is_drawn_on(top, slope, power):
    """The band holds the accuracy that new pictures show, and its middle is not off on average."""
    n, inside, off = 400, [], []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        trials = _by_law(rng, n, top, slope, power)
        found = forecast.summed_up(trials, np.arange(n) % 2, CLASSES[:2], np.arange(n), rng)
        end = found.forecast[-1]
        new = (rng.random(n) < top - slope * (2 * n) ** -power).mean()
        old = found.curve[-1].accuracy + slope * (n**-power - (2 * n) ** -power)
        then = (old + new) / 2  # half of the pictures are judged again
        inside.append(end.low <= then <= end.high)
        off.append(end.accuracy - then)
        assert end.images == 2 * n
    assert np.mean(inside) >= 0.8
    assert abs(np.mean(off)) < 0.01


def test_what_is_forecast_is_what_more_pictures_give():
    inside, off, naive = [], [], []
    for seed in range(8):
        rng = np.random.default_rng(seed)
        features, labels = _clouds(rng, 240)
        found = forecast.forecast(features[:120], labels[:120], CLASSES, np.arange(120), seed)
        held_out = linear.probe(features, labels, 3).held_out
        truth = (held_out.argmax(axis=1) == labels).mean()
        end = found.forecast[-1]
        inside.append(end.low <= truth <= end.high)
        off.append(abs(end.accuracy - truth))
        naive.append(abs(found.curve[-1].accuracy - truth))
    assert np.mean(inside) >= 0.75
    assert np.mean(off) < np.mean(naive)


def test_labels_by_chance_gain_nothing_for_sure():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(120, 40)).astype(np.float32)
    found = forecast.forecast(features, np.arange(120) % 3, CLASSES, np.arange(120), 0)
    assert found.verdict != "helps"
    assert sum(one.gain is not None for one in found.per_class) <= 1


def test_where_nothing_is_wrong_there_are_pictures_enough():
    features, labels = _clouds(np.random.default_rng(0), 120, spread=0.2)
    found = forecast.forecast(features, labels, CLASSES, np.arange(120), 0)
    assert found.verdict == "enough"
    assert found.gain.high < 0.01
    assert (found.curve[-1].accuracy, found.curve[-1].high) == (1.0, 1.0)
    assert 0.95 < found.curve[-1].low < 0.99  # none of 120 wrong is no proof
    assert "hardly" in found.sentence()
    assert all(one.gain is None for one in found.per_class)


def test_the_class_that_is_hard_to_learn_gains_most():
    """Ant and bee need many pictures; the wasp is known after a few."""
    rng = np.random.default_rng(1)
    features, labels = _clouds(rng, 360, dim=150, spread=9.0)
    features[labels == 2, :40] += 30.0
    found = forecast.forecast(features, labels, CLASSES, np.arange(360), 0)
    gains = {one.name: one.gain for one in found.per_class}
    assert gains["wasp"] is None
    assert gains["ant"] and gains["bee"]
    assert found.verdict == "helps"
    assert "'wasp'" not in found.sentence()


def test_the_class_that_gains_most_is_named():
    rng, labels = np.random.default_rng(3), np.arange(400) % 2
    trials = _by_law(rng, 400, 0.95, 2.0, 0.5)
    right = trials.right | (trials.drawn & (labels == 1))  # of the bee nothing is wrong
    trials = Trials(right, trials.drawn, trials.size)
    found = forecast.summed_up(trials, labels, CLASSES[:2], np.arange(400), rng)
    assert found.most == "ant"
    assert "'ant' gains most." in found.sentence()


def test_the_curve_ends_with_all_pictures_and_the_forecast_with_twice_as_many():
    features, labels = _clouds(np.random.default_rng(0), 90)
    steps = []
    found = forecast.forecast(
        features, labels, CLASSES, np.arange(90), 0, lambda *step: steps.append(step)
    )
    answer = found.to_json()
    images = [point["images"] for point in answer["curve"]]
    assert images == sorted(images)
    assert len(images) == 6
    assert images[-1] == answer["forecast"][0]["images"] == 90
    assert answer["forecast"][-1]["images"] == 180
    held_out = linear.probe(features, labels, 3).held_out
    assert answer["curve"][-1]["accuracy"] == pytest.approx(
        (held_out.argmax(axis=1) == labels).mean()
    )
    for point in (*answer["curve"], *answer["forecast"]):
        assert 0 <= point["low"] <= point["accuracy"] <= point["high"] <= 1
    widths = [point["high"] - point["low"] for point in answer["forecast"]]
    assert widths == sorted(widths)
    assert steps[-1][0] == steps[-1][1] == 26
    assert len(found.words()) == 8
    same = forecast.forecast(features, labels, CLASSES, np.arange(90), 0)
    assert same == found


def test_groups_are_drawn_whole_and_are_not_pictures():
    rng = np.random.default_rng(0)
    features, labels = _clouds(rng, 30)
    groups = np.repeat(np.arange(30) * 7, 4)
    features, labels = np.repeat(features, 4, axis=0), np.repeat(labels, 4)
    trials = forecast.measured(features, labels, 3, groups, 0)
    for drawn in trials.drawn:
        for group in np.unique(groups):
            assert len(set(drawn[groups == group])) == 1
    narrow = forecast.forecast(features, labels, CLASSES, np.arange(120), 0).curve[-1]
    honest = forecast.forecast(features, labels, CLASSES, groups, 0).curve[-1]
    assert narrow.accuracy > honest.accuracy
    assert honest.high - honest.low > narrow.high - narrow.low


def test_a_class_of_too_few_pictures_is_named():
    features, labels = _clouds(np.random.default_rng(0), 30)
    labels[labels == 1] = 0
    labels[:3] = 1
    with pytest.raises(DataError, match="'bee' has 3 pictures"):
        forecast.forecast(features, labels, CLASSES, np.arange(30), 0)


def test_four_pictures_of_each_are_enough_to_say_that_nothing_is_known():
    features, labels = _clouds(np.random.default_rng(0), 12)
    found = forecast.forecast(features, labels, CLASSES, np.arange(12), 0)
    end = found.forecast[-1]
    assert end.high - end.low > 0.1


def test_of_classes_that_are_alike_none_is_named():
    named = []
    for seed in range(5):
        features, labels = _clouds(np.random.default_rng(seed), 150, dim=100, spread=8.0)
        found = forecast.forecast(features, labels, CLASSES, np.arange(150), seed)
        named.append(found.most)
    assert sum(name is not None for name in named) <= 2


def test_of_two_classes_that_are_alike_none_is_named_only_because_one_has_to_be_first():
    named = 0
    for seed in range(12):
        rng = np.random.default_rng(seed)
        trials = _by_law(rng, 400, 0.95, 2.0, 0.5)
        found = forecast.summed_up(trials, np.arange(400) % 2, CLASSES[:2], np.arange(400), rng)
        named += found.most is not None
    assert named <= 4


def test_a_few_bursts_are_too_few_for_a_forecast():
    rng = np.random.default_rng(0)
    labels = np.arange(120) % 3
    groups = labels + 3 * (np.arange(120) // 3 % 6)  # six bursts of each class
    with pytest.raises(DataError, match="only 6 different occasions"):
        forecast.forecast(rng.normal(size=(120, 8)), labels, CLASSES, groups, 0)
