"""One temperature, scores of probabilities, and when a classifier is to be silent."""

import numpy as np
import pytest

from transfer import calibration, linear


def _problem(n: int, classes: int = 4, factor: float = 1.0, seed: int = 0):
    """Labels drawn from known probabilities, and those probabilities with all logits times it."""
    rng = np.random.default_rng(seed)
    true = linear.softmax(rng.normal(0, 2, (n, classes)))
    labels = np.array([rng.choice(classes, p=row) for row in true])
    return calibration.sharpened(true, factor), labels, true


@pytest.mark.parametrize("factor", [0.3, 3.0])  # not sure enough, and too sure
def test_the_temperature_undoes_what_was_done_to_the_logits(factor):
    said, labels, _ = _problem(4000, factor=factor)
    fitted = calibration.fit(said, labels, np.arange(len(labels)))
    assert fitted.helped
    assert fitted.temperature == pytest.approx(factor, rel=0.1)
    mended = calibration.sharpened(said, fitted.factor)
    before, after = calibration.scores(said, labels), calibration.scores(mended, labels)
    assert after.ece < before.ece / 2
    assert after.nll < before.nll
    assert after.brier < before.brier
    assert (mended.argmax(axis=1) == said.argmax(axis=1)).all()


def test_a_temperature_that_does_not_help_on_others_is_not_used():
    worse = 0
    for seed in range(30):  # few pictures, calibrated already: what is fitted is noise
        said, labels, _ = _problem(12, seed=seed)
        fitted = calibration.fit(said, labels, np.arange(12))
        assert fitted.temperature == 1.0 or fitted.loss_after < fitted.loss_before
        worse += fitted.temperature == 1.0
        after = calibration.scores(calibration.sharpened(said, fitted.factor), labels)
        assert after.nll <= calibration.scores(said, labels).nll + 1e-6
    assert worse > 5


def test_one_group_cannot_be_checked_and_changes_nothing():
    said, labels, _ = _problem(50, factor=3)
    assert calibration.fit(said, labels, np.zeros(50, int)).temperature == 1.0
    nothing = calibration.fit(said[:0], labels[:0], np.zeros(0, int))
    assert (nothing.temperature, nothing.n) == (1.0, 0)


def test_scores_of_known_probabilities():
    said = np.array([[0.8, 0.2], [0.8, 0.2], [0.4, 0.6]])
    labels = np.array([0, 1, 1])
    found = calibration.scores(said, labels)
    assert found.nll == pytest.approx(-np.log([0.8, 0.2, 0.6]).mean())
    assert found.brier == pytest.approx((0.08 + 1.28 + 0.32) / 3)
    # Two of 80 %, half of them right; one of 60 %, right.
    assert found.ece == pytest.approx((2 * 0.3 + 0.4) / 3)
    assert [(one.low, one.right.n) for one in calibration.bins(said, labels)] == [
        (0.6, 1),
        (0.8, 2),
    ]
    with pytest.raises(ValueError, match="at least one picture"):
        calibration.scores(said[:0], labels[:0])


def test_below_the_threshold_it_keeps_its_promise_on_others():
    said, labels, _ = _problem(4000, seed=1)
    others, truth, _ = _problem(4000, seed=2)
    shares = []
    for target in (0.8, 0.9, 0.95):
        limit = calibration.threshold(said, labels, target)
        found = calibration.answered(others, truth, limit)
        assert found.right is not None
        assert found.right.high >= target
        assert found.right.accuracy < target + 0.05  # it is not more silent than it has to be
        shares.append(found.share.accuracy)
    assert shares == sorted(shares, reverse=True)


def test_it_always_answers_where_that_is_good_enough_and_never_where_nothing_is():
    said = np.tile([0.9, 0.1], (100, 1))
    right, wrong = np.zeros(100, int), np.ones(100, int)
    assert calibration.threshold(said, right, 0.95) == 0.0
    limit = calibration.threshold(said, wrong, 0.8)
    assert limit == calibration.NEVER
    assert calibration.answered(said, wrong, limit).right is None
    # Twelve right answers promise nothing of 1 in 100.
    assert calibration.threshold(said[:12], right[:12], 0.99) == calibration.NEVER


def test_equal_probabilities_get_the_same_answer():
    said = np.array([[0.9, 0.1]] * 20 + [[0.8, 0.2]] * 10)
    labels = np.array([0] * 20 + [0] * 5 + [1] * 5)  # the first five of the less sure are right
    limit = calibration.threshold(said, labels, 0.9)
    assert 0.8 < limit <= 0.9
