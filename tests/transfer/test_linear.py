import numpy as np
import pytest

from transfer import linear


def _blobs(num_classes: int, per_class: int, spread: float, seed: int = 0, dim: int = 20):
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(99).normal(size=(num_classes, dim)) * 2
    labels = np.repeat(np.arange(num_classes), per_class)
    features = centres[labels] + rng.normal(size=(len(labels), dim)) * spread
    return features.astype(np.float32), labels


@pytest.mark.parametrize("num_classes", [2, 3, 7])
def test_separable_classes_are_told_apart(num_classes):
    features, labels = _blobs(num_classes, 20, 0.5)
    fresh, truth = _blobs(num_classes, 50, 0.5, seed=1)
    strength, loss = linear.choose_strength(features, labels, np.arange(len(labels)), seed=0)
    head = linear.fit(features, labels, num_classes, strength, loss)
    probabilities = head.probabilities(fresh)
    assert probabilities.shape == (len(truth), num_classes)
    assert probabilities.sum(axis=1) == pytest.approx(1.0, abs=1e-5)
    assert (probabilities.argmax(axis=1) == truth).mean() > 0.97


def test_two_classes_give_scikit_learns_probabilities():
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    features, labels = _blobs(2, 30, 4.0)
    head = linear.fit(features, labels, 2, strength=0.1, loss=0.0)
    scaled = StandardScaler().fit_transform(features)
    reference = LogisticRegression(C=0.1, max_iter=300).fit(scaled, labels).predict_proba(scaled)
    assert head.probabilities(features) == pytest.approx(reference, abs=1e-2)


def test_noise_asks_for_more_regularisation_than_signal():
    features, labels = _blobs(3, 20, 0.5)
    noise = np.random.default_rng(1).normal(size=features.shape).astype(np.float32)
    groups = np.arange(len(labels))
    clear, _ = linear.choose_strength(features, labels, groups, seed=0)
    vague, loss = linear.choose_strength(noise, labels, groups, seed=0)
    assert vague < clear
    assert loss == pytest.approx(np.log(3), abs=0.1)  # no better than chance, and it knows


def test_copies_in_one_group_do_not_flatter_the_loss():
    rng = np.random.default_rng(0)
    features = np.repeat(rng.normal(size=(20, 30)).astype(np.float32), 4, axis=0)
    labels = np.repeat(rng.permutation(np.arange(20) % 2), 4)
    _, honest = linear.choose_strength(features, labels, np.repeat(np.arange(20), 4), seed=0)
    _, flattered = linear.choose_strength(features, labels, np.arange(80), seed=0)
    assert honest > 0.6 > flattered


def test_a_constant_feature_and_a_lone_group_do_no_harm():
    features, labels = _blobs(2, 3, 0.1)
    features[:, 0] = 5.0
    strength, loss = linear.choose_strength(features, labels, labels, seed=0)
    assert strength in linear.STRENGTHS
    assert np.isnan(loss)
    head = linear.fit(features, labels, 2, strength, loss)
    assert np.isfinite(head.kernel).all()
