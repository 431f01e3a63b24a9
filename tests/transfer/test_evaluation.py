import numpy as np
import pytest

from transfer import evaluation

CLASSES = ("ant", "bee", "wasp")


# Wilson 95 % at 90 % accuracy, from published tables of the interval.
@pytest.mark.parametrize(
    ("right", "n", "low", "high"),
    [(27, 30, 0.744, 0.965), (90, 100, 0.826, 0.945), (0, 10, 0.0, 0.278), (10, 10, 0.722, 1.0)],
)
def test_wilson_agrees_with_published_values(right, n, low, high):
    interval = evaluation.wilson(right, n)
    assert interval.accuracy == right / n
    assert interval.low == pytest.approx(low, abs=1e-3)
    assert interval.high == pytest.approx(high, abs=1e-3)


@pytest.mark.parametrize(("right", "n"), [(1, 0), (-1, 5), (6, 5)])
def test_wilson_refuses_impossible_counts(right, n):
    with pytest.raises(ValueError, match="expected"):
        evaluation.wilson(right, n)


def test_wilson_covers_the_truth_about_95_times_in_100():
    rng = np.random.default_rng(0)
    truth = 0.85
    intervals = [evaluation.wilson(int(rng.binomial(60, truth)), 60) for _ in range(2000)]
    assert np.mean([i.low <= truth <= i.high for i in intervals]) == pytest.approx(0.95, abs=0.02)


def test_report_counts_rows_as_true_and_columns_as_predicted():
    probabilities = np.array([[0.8, 0.1, 0.1], [0.2, 0.7, 0.1], [0.1, 0.8, 0.1], [0.6, 0.3, 0.1]])
    labels = np.array([0, 0, 1, 1])
    report = evaluation.evaluate(probabilities, labels, CLASSES)
    assert report.confusion == ((1, 1, 0), (1, 1, 0), (0, 0, 0))
    assert report.overall.accuracy == 0.5
    assert report.per_class["ant"].precision == 0.5
    assert report.per_class["wasp"].precision is None
    assert report.per_class["wasp"].recall is None
    assert report.loss == pytest.approx(-np.log([0.8, 0.2, 0.8, 0.3]).mean())
    assert report.to_json()["per_class"]["bee"] == {"precision": 0.5, "recall": 0.5, "n": 2}


def test_report_refuses_shapes_that_do_not_fit():
    with pytest.raises(ValueError, match="probabilities"):
        evaluation.evaluate(np.ones((2, 3)), np.array([0]), CLASSES)
    with pytest.raises(ValueError, match="probabilities"):
        evaluation.evaluate(np.ones((0, 3)), np.array([], int), CLASSES)


def test_sentence_has_the_interval_in_it():
    assert evaluation.wilson(90, 100).sentence() == "90.0 % (82.6 to 94.5 %, 100 pictures)"


def test_wilson_limits_of_a_broken_number_lie_between_those_of_its_neighbours():
    low = [evaluation.limits(0.8, n)[0] for n in (20, 20.5, 21)]
    assert low == sorted(low)
    assert evaluation.limits(0.9, 100) == pytest.approx((0.826, 0.945), abs=1e-3)
    assert evaluation.limits(0.9, 100, 3.0)[0] < 0.8


class TestApart:
    def test_two_classes_by_the_toss_of_a_coin_are_named(self):
        confusion = np.array([[10, 9, 0], [11, 9, 0], [0, 1, 19]])
        (found,) = evaluation.apart(confusion, CLASSES)
        assert (found.first, found.second, found.n) == ("ant", "bee", 39)
        assert found.low <= 0.5 <= found.high
        assert found.share == pytest.approx((10 / 19 + 9 / 20) / 2)

    def test_a_class_that_swallows_the_other_is_not_told_apart(self):
        # 60 % are right, but only because all are called ant.
        (found,) = evaluation.apart(np.array([[30, 0], [19, 1]]), CLASSES[:2])
        assert found.share == pytest.approx(0.525)

    def test_classes_that_are_told_apart_are_not_named(self):
        assert evaluation.apart(np.array([[16, 4], [5, 15]]), CLASSES[:2]) == ()

    def test_a_few_pictures_prove_nothing(self):
        assert evaluation.apart(np.array([[1, 2], [2, 1]]), CLASSES[:2]) == ()
        assert evaluation.apart(np.array([[4, 0], [1, 3]]), CLASSES[:2]) == ()

    def test_the_list_is_short_and_the_worst_comes_first(self):
        names = tuple("abcdefgh")
        confusion = np.full((8, 8), 5)
        confusion[0, 0] = confusion[1, 1] = 2
        found = evaluation.apart(confusion, names)
        assert len(found) == 5
        assert (found[0].first, found[0].second) == ("a", "b")
        assert [one.share for one in found] == sorted(one.share for one in found)

    def test_by_chance_few_are_named_that_can_be_told_apart(self):
        rng = np.random.default_rng(0)
        named = 0
        for _ in range(200):
            first, second = rng.binomial(20, 0.85, 2)
            confusion = np.array([[first, 20 - first], [20 - second, second]])
            named += bool(evaluation.apart(confusion, CLASSES[:2]))
        assert named <= 6
