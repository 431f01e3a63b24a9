"""The small classifiers of the shortcut alarm: what they say, and that it is what they claim."""

import numpy as np
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from transfer.health import learners


def _clouds(classes: int, apart: float) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(2)
    labels = np.repeat(np.arange(classes) * 3, 20)  # the numbers of the classes need not follow
    values = rng.normal(size=(len(labels), 50))
    values[:, 7] += apart * labels
    return values.astype(np.float32), labels


def test_the_discriminant_is_that_of_the_book():
    values, labels = _clouds(3, 0.5)
    theirs = LinearDiscriminantAnalysis(
        solver="lsqr", shrinkage=learners._SHRINKAGE, priors=[1 / 3] * 3
    ).fit(values, labels)
    mine = learners.discriminant(values[::2], labels[::2], values[1::2])
    theirs = theirs.fit(values[::2], labels[::2]).predict_proba(values[1::2])
    np.testing.assert_allclose(mine, theirs, atol=1e-5)


def test_numbers_that_never_differ_say_nothing():
    found = learners.discriminant(np.zeros((8, 5)), np.arange(8) % 2, np.zeros((3, 5)))
    np.testing.assert_allclose(found, 0.5)


def test_the_forest_knows_what_one_number_tells_and_no_more():
    values, labels = _clouds(2, 2.0)
    told = learners.forest(values[::2], labels[::2], values[1::2], seed=0)
    assert np.allclose(told.sum(axis=1), 1)
    assert np.mean(told.argmax(axis=1) * 3 == labels[1::2]) > 0.8
    none = learners.forest(values[::2, 8:], labels[::2], values[1::2, 8:], seed=0)
    assert np.mean(none.argmax(axis=1) * 3 == labels[1::2]) < 0.8


def test_a_rare_class_counts_as_much_as_a_common_one():
    values = np.repeat([[0.0], [0.0], [0.0], [1.0]], 10, axis=0).astype(np.float32)
    labels = np.repeat([0, 0, 1, 0], 10)
    told = learners.forest(values, labels, np.zeros((1, 1), np.float32), seed=0)
    assert told[0, 1] > 0.5


def test_large_sets_are_told_the_same_on_two_threads(monkeypatch):
    values, labels = _clouds(2, 0.5)
    one = learners.forest(values, labels, values, seed=3)
    monkeypatch.setattr(learners, "_MANY", 1)
    assert np.array_equal(learners.forest(values, labels, values, seed=3), one)
