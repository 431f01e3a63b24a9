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
