"""The closed-form head: what it says of pictures that it left out is what refitting would say."""

import numpy as np
import pytest

from transfer import linear


def _blobs(num_classes: int, per_class: int, spread: float, seed: int = 0, dim: int = 20):
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(99).normal(size=(num_classes, dim)) * 2
    labels = np.repeat(np.arange(num_classes), per_class)
    features = centres[labels] + rng.normal(size=(len(labels), dim)) * spread
    return features.astype(np.float32), labels


def _noise(n: int, dim: int, num_classes: int, seed: int = 0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, dim)).astype(np.float32), rng.permutation(np.arange(n) % num_classes)


def _answers(
    features: np.ndarray, targets: np.ndarray, strength: float, learned: np.ndarray
) -> np.ndarray:
    """Ridge with an intercept that is not punished, by the normal equations: answers for all."""
    features = features.astype(np.float64)
    x = (features - features.mean(axis=0)) / (features.std(axis=0) * np.sqrt(features.shape[1]))
    x = np.column_stack([x, np.ones(len(x))])
    penalty = strength * np.eye(x.shape[1])
    penalty[-1, -1] = 0.0
    rows = x[learned]
    return x @ np.linalg.solve(rows.T @ rows + penalty, rows.T @ targets[learned])


def _left_out(features, labels, num_classes, strength, groups) -> np.ndarray:
    """Fit anew without each group, and let that head answer for it."""
    targets = 2.0 * np.eye(num_classes)[labels] - 1
    scores = np.empty_like(targets)
    for group in np.unique(groups):
        rows = groups == group
        scores[rows] = _answers(features, targets, strength, ~rows)[rows]
    return scores


class TestLeavingOut:
    @pytest.mark.parametrize("grouped", [False, True])
    @pytest.mark.parametrize("factorised", [False, True])
    @pytest.mark.parametrize("dim", [12, 70], ids=["more pictures", "more features"])
    def test_it_says_what_refitting_would_say(self, monkeypatch, dim, factorised, grouped):
        if factorised:
            monkeypatch.setattr(linear, "_LARGE", 0)
        features, labels = _blobs(3, 15, 6.0, dim=dim)
        groups = np.arange(45)
        if grouped:  # copies: a pair, and three with another label among them
            groups[[0, 1]], groups[[2, 20, 40]] = 0, 2
            features[1], features[[20, 40]] = features[0], features[2]
        found = linear.probe(features, labels, 3, groups if grouped else None)
        expected = _left_out(features, labels, 3, found.head.strength, groups)
        np.testing.assert_allclose(
            found.held_out, linear.softmax(expected * found.head.temperature), atol=1e-5
        )

    @pytest.mark.parametrize("factorised", [False, True])
    @pytest.mark.parametrize("dim", [12, 70])
    def test_the_head_is_that_of_all_pictures(self, monkeypatch, dim, factorised):
        if factorised:
            monkeypatch.setattr(linear, "_LARGE", 0)
        features, labels = _blobs(3, 15, 6.0, dim=dim)
        head = linear.probe(features, labels, 3).head
        everyone = np.ones(45, bool)
        scores = _answers(features, 2.0 * np.eye(3)[labels] - 1, head.strength, everyone)
        np.testing.assert_allclose(
            head.probabilities(features), linear.softmax(scores * head.temperature), atol=1e-5
        )

    @pytest.mark.parametrize("dim", [15, 2000])
    @pytest.mark.parametrize("num_classes", [2, 5])
    def test_noise_is_not_seemingly_right(self, dim, num_classes):
        # Without the intercept's 1/n in the hat matrix this would say 100 %.
        features, labels = _noise(60, dim, num_classes)
        found = linear.probe(features, labels, num_classes)
        assert (found.held_out.argmax(axis=1) == labels).mean() < 1 / num_classes + 0.2
        assert found.head.loss > np.log(num_classes) - 0.1

    def test_copies_in_one_group_do_not_flatter_the_loss(self):
        rng = np.random.default_rng(0)
        features = np.repeat(rng.normal(size=(20, 30)).astype(np.float32), 4, axis=0)
        labels = np.repeat(rng.permutation(np.arange(20) % 2), 4)
        honest = linear.probe(features, labels, 2, np.repeat(np.arange(20), 4)).head.loss
        flattered = linear.probe(features, labels, 2, np.arange(80)).head.loss
        assert honest > 0.6 > flattered

    def test_the_loss_is_that_of_the_answers(self):
        features, labels = _blobs(3, 15, 6.0)
        found = linear.probe(features, labels, 3)
        likelihood = found.held_out[np.arange(len(labels)), labels]
        assert found.head.loss == pytest.approx(-np.log(likelihood).mean(), abs=1e-4)


class TestHead:
    @pytest.mark.parametrize("num_classes", [2, 3, 7])
    def test_separable_classes_are_told_apart(self, num_classes):
        features, labels = _blobs(num_classes, 20, 0.5)
        fresh, truth = _blobs(num_classes, 50, 0.5, seed=1)
        found = linear.probe(features, labels, num_classes)
        assert found.held_out.shape == (len(labels), num_classes)
        assert found.held_out.dtype == np.float32
        for probabilities, right in (
            (found.held_out, labels),
            (found.head.probabilities(fresh), truth),
        ):
            assert probabilities.sum(axis=1) == pytest.approx(1.0, abs=1e-5)
            assert (probabilities.argmax(axis=1) == right).mean() > 0.97

    def test_noise_asks_for_more_regularisation_than_signal(self):
        # What tells the classes apart is a small difference of features that agree otherwise.
        difference, labels = _noise(200, 1, 2)
        difference += 4 * labels[:, None]
        common, _ = _noise(200, 1, 2, seed=1)
        features = np.concatenate([common, common + 0.1 * difference], axis=1)
        noise, _ = _noise(200, 150, 2, seed=2)
        clear = linear.probe(features, labels, 2).head
        vague = linear.probe(noise, labels, 2).head
        assert vague.strength > clear.strength
        assert vague.loss == pytest.approx(np.log(2), abs=0.05)  # no better than chance; it knows

    def test_half_precision_gives_the_same_head(self):
        features, labels = _blobs(3, 20, 3.0, dim=40)
        half = features.astype(np.float16)
        one, other = (linear.probe(some, labels, 3) for some in (half.astype(np.float64), half))
        np.testing.assert_allclose(one.held_out, other.held_out, atol=1e-6)
        assert one.head.strength == other.head.strength
        assert other.head.kernel.dtype == other.head.bias.dtype == np.float32
        np.testing.assert_allclose(
            one.head.probabilities(half), other.head.probabilities(half), atol=1e-5
        )

    def test_large_half_precision_numbers_do_not_overflow(self):
        features, labels = _blobs(3, 20, 3.0, dim=40)
        large = (features * 3000).astype(np.float16)  # the sum of squares is beyond float16
        assert np.isfinite(large).all()
        assert (linear.probe(large, labels, 3).held_out.argmax(axis=1) == labels).mean() > 0.8

    @pytest.mark.parametrize("factorised", [False, True])
    @pytest.mark.parametrize("dim", [5, 80])
    def test_constant_features_do_no_harm(self, monkeypatch, dim, factorised):
        if factorised:
            monkeypatch.setattr(linear, "_LARGE", 0)
        features, labels = _blobs(2, 10, 0.1, dim=dim)
        features[:, 0] = 5.0  # a channel that is always on
        features[:, 1] = 0.0  # one that never is
        found = linear.probe(features, labels, 2)
        assert np.isfinite(found.head.kernel).all()
        assert np.isfinite(found.head.bias).all()
        assert (found.held_out.argmax(axis=1) == labels).all()

    def test_features_that_say_nothing_give_the_shares_of_the_classes(self):
        labels = np.repeat([0, 1], [30, 10])
        found = linear.probe(np.ones((40, 6), np.float32), labels, 2)
        assert found.head.probabilities(np.ones((1, 6), np.float32))[0, 0] > 0.5
        assert np.isfinite(found.held_out).all()

    def test_a_class_that_is_missing_is_refused(self):
        features, labels = _blobs(2, 10, 1.0)
        with pytest.raises(ValueError, match="all 3 classes"):
            linear.probe(features, labels, 3)

    def test_each_strength_is_told_and_the_best_is_taken(self):
        features, labels = _blobs(3, 20, 4.0)
        steps: list[linear.SearchStep] = []
        head = linear.probe(features, labels, 3, on_step=steps.append).head
        assert [step.step for step in steps] == list(range(1, len(steps) + 1))
        assert steps[-1].step <= steps[-1].total
        best = min(steps, key=lambda step: step.val_loss)
        assert (best.strength, best.val_loss) == (head.strength, pytest.approx(head.loss))
        # It has learned the others: on those it cannot look worse than on what it left out.
        assert best.accuracy >= best.val_accuracy
        assert best.loss <= best.val_loss


class TestFit:
    @pytest.mark.parametrize("dim", [12, 70])
    def test_the_same_pictures_give_the_same_head(self, dim):
        features, labels = _blobs(3, 15, 6.0, dim=dim)
        head = linear.probe(features, labels, 3).head
        again = linear.fit(features, labels, 3, head)
        assert (again.strength, again.temperature) == (head.strength, head.temperature)
        assert again.loss == head.loss
        np.testing.assert_allclose(again.kernel, head.kernel, atol=1e-6)
        np.testing.assert_allclose(again.bias, head.bias, atol=1e-6)

    @pytest.mark.parametrize("large", [20, 60], ids=["factorised then", "factorised already"])
    def test_more_pictures_may_need_another_way_of_solving(self, monkeypatch, large):
        monkeypatch.setattr(linear, "_LARGE", large)  # 60: 50 pictures are few, 70 are many
        features, labels = _blobs(2, 35, 5.0, dim=80)
        some = np.r_[0:25, 35:60]
        head = linear.probe(features[some], labels[some], 2).head
        again = linear.fit(features, labels, 2, head)
        scores = _answers(
            features, 2.0 * np.eye(2)[labels] - 1, head.strength, np.ones(len(labels), bool)
        )
        np.testing.assert_allclose(
            again.probabilities(features), linear.softmax(scores * head.temperature), atol=1e-4
        )


class TestTemperature:
    @pytest.mark.parametrize("scale", [0.3, 1.0, 5.0])
    @pytest.mark.parametrize("seed", range(3))
    def test_it_is_no_worse_than_none(self, scale, seed):
        rng = np.random.default_rng(seed)
        labels = rng.integers(0, 4, 200)
        logits = scale * (rng.normal(size=(200, 4)) + 2 * np.eye(4)[labels])
        probabilities = linear.softmax(logits)
        loss, factor = linear.calibrated(probabilities, labels)
        assert loss <= -np.log(probabilities[np.arange(200), labels]).mean() + 1e-5
        near = [linear.loss(linear.logit(probabilities), labels, factor * k) for k in (0.9, 1, 1.1)]
        assert near[1] == pytest.approx(loss)
        assert near[1] < min(near) + 0.01  # a little doubt is kept

    def test_it_is_not_sure_beyond_measure_where_none_was_wrong(self):
        labels = np.arange(40) % 2
        _, few = linear.calibrated(linear.softmax(np.eye(2)[labels[:8]]), labels[:8])
        _, many = linear.calibrated(linear.softmax(np.eye(2)[labels]), labels)
        assert few < many
        assert linear.softmax(many * np.eye(2)[:1]).max() < 0.99

    def test_who_was_never_wrong_is_the_surer_the_more_was_asked(self):
        doubts = []
        for per_class in (5, 20, 80):
            features, labels = _blobs(3, per_class, 0.3)
            held_out = linear.probe(features, labels, 3).held_out
            assert (held_out.argmax(axis=1) == labels).all()
            doubts.append(1 - held_out[np.arange(len(labels)), labels].mean())
        assert 0.3 > doubts[0] > doubts[1] > doubts[2] > 1e-3

    def test_one_answer_that_was_sure_and_wrong_is_bounded(self):
        probabilities = np.tile([1.0, 0.0], (50, 1)).astype(np.float32)
        loss, factor = linear.calibrated(probabilities, np.r_[1, np.zeros(49, int)])
        assert np.isfinite(loss)
        assert factor < 1  # it should have been less sure
