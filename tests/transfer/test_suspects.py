"""Labels that were swapped are found, and few others are flagged."""

import numpy as np
import pytest

from transfer.health import suspects

CLASSES = ("ant", "bee", "wasp")


def _problem(seed: int, spread: float, per_class: int = 40):
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(9).normal(size=(3, 30))
    labels = np.repeat(np.arange(3), per_class)
    features = centres[labels] + rng.normal(size=(len(labels), 30)) * spread
    return features.astype(np.float32), labels, rng


@pytest.mark.parametrize("spread", [0.5, 1.2])
def test_swapped_labels_stand_at_the_top(spread):
    shares = []
    for seed in range(5):
        features, labels, rng = _problem(seed, spread)
        wrong = rng.choice(120, 6, replace=False)
        labels[wrong] = (labels[wrong] + rng.integers(1, 3, 6)) % 3
        held_out = suspects.opinion([features, features[:, :20]], labels, 3)
        found = suspects.find(held_out, labels, CLASSES, range(120))
        shares.append(np.isin(wrong, [one.position for one in found[:12]]).mean())
    assert np.mean(shares) >= 0.9


def test_what_was_swapped_is_flagged_with_its_own_name():
    features, truth, rng = _problem(0, 0.5)
    wrong = rng.choice(120, 6, replace=False)
    labels = truth.copy()
    labels[wrong] = (labels[wrong] + 1) % 3
    held_out = suspects.opinion([features], labels, 3)
    flagged = [one for one in suspects.find(held_out, labels, CLASSES, range(120)) if one.flagged]
    assert len(flagged) >= 3
    for one in flagged:
        assert one.position in wrong
        assert one.suggested == CLASSES[truth[one.position]]
        assert one.label == CLASSES[labels[one.position]]
        assert one.own < one.other


def test_a_clean_set_is_hardly_flagged_even_where_classes_overlap():
    flagged = []
    for seed in range(5):
        features, labels, _ = _problem(seed, 2.0)
        held_out = suspects.opinion([features], labels, 3)
        found = suspects.find(held_out, labels, CLASSES, range(120))
        flagged += [one.flagged for one in found]
    assert np.mean(flagged) < 0.03


def test_copies_do_not_vouch_for_each_other():
    features, labels, _ = _problem(1, 0.5)
    features = np.concatenate([features, np.repeat(features[:1], 5, axis=0)])
    labels = np.concatenate([labels, np.ones(5, int)])  # copies of an ant, all called bee
    groups = np.concatenate([np.arange(120), np.zeros(5, int)])
    held_out = suspects.opinion([features], labels, 3, groups)
    found = suspects.find(held_out, labels, CLASSES, range(125))
    assert {one.position for one in found[:5]} == set(range(120, 125))


def test_all_are_ranked_and_keep_their_positions():
    held_out = np.array([[0.9, 0.05, 0.05], [0.2, 0.7, 0.1], [0.1, 0.3, 0.6]])
    found = suspects.find(held_out, np.array([0, 0, 2]), CLASSES, [10, 20, 30])
    assert [one.position for one in found] == [20, 30, 10]
    assert found[0].to_json() == {
        "position": 20,
        "label": "ant",
        "suggested": "bee",
        "own": 0.2,
        "other": 0.7,
        "score": 0.8,
    }


def test_it_refuses_what_does_not_fit():
    with pytest.raises(ValueError, match="a position for each"):
        suspects.find(np.ones((2, 3)), np.array([0, 1]), CLASSES, [1])
