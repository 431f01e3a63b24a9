"""The honest number: intervals that hold on problems whose truth is known, and bursts found out."""

import numpy as np
import pytest

from transfer import crossval, evaluation, linear


def _problem(rng: np.random.Generator, n: int, classes: int = 3, spread: float = 1.5, dim: int = 8):
    """Normal clouds whose centres are the same in each draw: (features, labels)."""
    centres = np.random.default_rng(7).normal(size=(classes, dim))
    labels = np.arange(n) % classes
    return (centres[labels] + rng.normal(size=(n, dim)) * spread).astype(np.float32), labels


def _in_bursts(rng: np.random.Generator, bursts: int, each: int, closeness: float = 0.1):
    """Like `_problem`, but each picture comes with others that look nearly the same."""
    features, labels = _problem(rng, bursts, spread=4.0, dim=40)
    features, labels = np.repeat(features, each, axis=0), np.repeat(labels, each)
    features += rng.normal(size=features.shape) * closeness
    return features.astype(np.float32), labels, np.repeat(np.arange(bursts), each)


class TestRepeated:
    def test_the_interval_holds_the_truth_of_what_ships(self):
        inside, widths = [], []
        for seed in range(120):
            rng = np.random.default_rng(seed)
            features, labels = _problem(rng, 48)
            found = crossval.repeated(features, labels, 3, np.arange(48), seed, repeats=2).overall
            many, truth = _problem(rng, 3000)
            # What ships has learned from 85 % of the pictures, as a split leaves them.
            head = linear.probe(features[:41], labels[:41], 3).head
            accuracy = (head.probabilities(many).argmax(axis=1) == truth).mean()
            inside.append(found.low <= accuracy <= found.high)
            widths.append(found.high - found.low)
        assert np.mean(inside) >= 0.91  # 95 % less two standard errors of 120 draws
        assert np.mean(widths) < 0.35

    def test_the_confusion_counts_every_picture_once_a_repeat(self):
        features, labels = _problem(np.random.default_rng(0), 30)
        found = crossval.repeated(features, labels, 3, np.arange(30), 0)
        assert found.confusion.sum(axis=1) == pytest.approx([10, 10, 10])
        assert found.confusion.trace() / 30 == pytest.approx(found.overall.accuracy)
        for label, recall in enumerate(found.recalls):
            assert recall is not None
            assert recall.accuracy == pytest.approx(found.confusion[label, label] / 10)
        assert found.answers.sum(axis=1) == pytest.approx(np.ones(30), abs=1e-5)

    def test_labels_by_chance_look_like_chance(self):
        rng = np.random.default_rng(0)
        features = rng.normal(size=(80, 200)).astype(np.float32)
        found = crossval.repeated(features, np.arange(80) % 2, 2, np.arange(80), 0).overall
        assert found.low < 0.5 < found.high

    def test_bursts_do_not_flatter_it_and_widen_it(self):
        features, labels, groups = _in_bursts(np.random.default_rng(1), 24, 5)
        honest = crossval.repeated(features, labels, 3, groups, 0).overall
        fooled = crossval.repeated(features, labels, 3, np.arange(120), 0).overall
        assert fooled.accuracy > honest.accuracy + 0.1
        assert honest.high - honest.low > fooled.high - fooled.low
        assert honest.n == 120

    def test_a_class_that_is_one_group_is_never_right(self):
        features, labels = _problem(np.random.default_rng(2), 30, spread=0.1)
        groups = np.where(labels == 2, 100, np.arange(30))
        found = crossval.repeated(features, labels, 3, groups, 0)
        assert found.recalls[2] is not None
        assert found.recalls[2].accuracy == 0.0
        assert found.recalls[0] is not None
        assert found.recalls[0].accuracy == 1.0

    def test_it_says_what_it_needs(self):
        features, labels = _problem(np.random.default_rng(0), 30)
        with pytest.raises(ValueError, match="at least 5 groups"):
            crossval.repeated(features, labels, 3, np.arange(30) % 4, 0)


class TestFolds:
    def test_groups_stay_whole_and_classes_are_spread(self):
        rng = np.random.default_rng(0)
        labels = np.repeat(np.arange(4), 25)
        groups = labels * 100 + rng.integers(0, 12, 100)
        folds = crossval.assigned(labels, groups, 5, rng)
        for group in np.unique(groups):
            assert len(np.unique(folds[groups == group])) == 1
        for label in range(4):
            counts = np.bincount(folds[labels == label], minlength=5)
            assert counts.min() >= 2
            assert counts.max() <= 8

    def test_single_pictures_are_spread_evenly(self):
        labels = np.repeat(np.arange(3), [25, 10, 5])
        folds = crossval.assigned(labels, np.arange(40), 5, np.random.default_rng(0))
        for label, each in enumerate((5, 2, 1)):
            assert np.bincount(folds[labels == label], minlength=5).tolist() == [each] * 5


class TestGap:
    def test_bursts_are_found_out(self):
        features, labels, groups = _in_bursts(np.random.default_rng(3), 30, 5)
        found = crossval.gap(features, labels, 3, groups)
        assert found.warn
        assert found.gap == pytest.approx(found.ungrouped.accuracy - found.grouped.accuracy)
        assert 0.05 < found.low < found.gap < found.high
        assert found.to_json()["warn"] is True

    def test_groups_that_mean_nothing_are_no_alarm(self):
        alarms = 0
        for seed in range(20):
            rng = np.random.default_rng(seed)
            features, labels = _problem(rng, 60)
            alarms += crossval.gap(features, labels, 3, labels * 100 + rng.integers(0, 7, 60)).warn
        assert alarms <= 1

    def test_without_groups_both_numbers_are_one(self):
        features, labels = _problem(np.random.default_rng(0), 30)
        found = crossval.gap(features, labels, 3, np.arange(30))
        assert (found.gap, found.low, found.high, found.warn) == (0.0, 0.0, 0.0, False)
        assert found.grouped.accuracy == found.ungrouped.accuracy


class TestClustered:
    def test_single_pictures_give_wilsons_interval(self):
        right = np.arange(400) % 5 > 0
        found = crossval.clustered(right.astype(float), np.arange(400))
        wilson = evaluation.wilson(320, 400)
        assert found.low == pytest.approx(wilson.low, abs=2e-3)
        assert found.high == pytest.approx(wilson.high, abs=2e-3)

    def test_groups_that_agree_count_as_one_answer_each(self):
        right = np.repeat(np.arange(40) % 5 > 0, 10).astype(float)
        found = crossval.clustered(right, np.repeat(np.arange(40), 10))
        wilson = evaluation.wilson(32, 40)
        assert found.low == pytest.approx(wilson.low, abs=0.02)
        assert found.n == 400

    def test_all_right_is_no_certainty(self):
        found = crossval.clustered(np.ones(50), np.repeat(np.arange(5), 10))
        assert found.high == 1.0
        assert found.low < 0.6

    def test_one_group_tells_nothing(self):
        found = crossval.clustered(np.ones(5), np.zeros(5, int))
        assert (found.low, found.high) == (0.0, 1.0)

    def test_it_refuses_what_does_not_fit(self):
        with pytest.raises(ValueError, match="a group for each"):
            crossval.clustered(np.ones(5), np.zeros(4, int))
