"""Which classifiers answer together: an average for little data, a greedy choice for more."""

import numpy as np
import pytest

from transfer import linear, selection

CLASSES = 4


def _members(per_class: int, skills: tuple[float, ...], seed: int = 0):
    """Probabilities of members that err by themselves; the higher the skill, the rarer."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(CLASSES), per_class)
    truth = np.eye(CLASSES)[labels]
    return [
        linear.softmax(skill * truth + rng.normal(size=truth.shape)) for skill in skills
    ], labels


def _loss(weights: np.ndarray, answers: list[np.ndarray], labels: np.ndarray) -> float:
    together = sum(w * linear.logit(one) for w, one in zip(weights, answers, strict=True))
    return linear.loss(np.asarray(together), labels)


def test_few_pictures_are_averaged_and_more_are_chosen_by():
    few, labels = _members(selection.GREEDY_FROM - 1, (3.0, 1.0, 0.0))
    assert selection.weights(few, labels, seed=0) == pytest.approx([1 / 3, 1 / 3, 1 / 3])
    enough, labels = _members(selection.GREEDY_FROM, (3.0, 1.0, 0.0))
    chosen = selection.weights(enough, labels, seed=0)
    assert chosen[0] > 1 / 3 > chosen[2]


@pytest.mark.parametrize("per_class", [5, 30])
@pytest.mark.parametrize("skills", [(3.0, 0.0), (0.0, 0.0, 6.0), (1.0, 1.2, 1.1, 0.9)])
@pytest.mark.parametrize("seed", range(3))
def test_it_is_never_one_alone_and_the_weights_add_up(per_class, skills, seed):
    answers, labels = _members(per_class, skills, seed)
    chosen = selection.weights(answers, labels, seed)
    assert chosen.sum() == pytest.approx(1.0)
    assert (chosen >= 0).all()
    assert (chosen > 0).sum() >= 2


def test_a_lone_member_answers_alone():
    answers, labels = _members(30, (1.0,))
    assert selection.weights(answers, labels, seed=0) == pytest.approx([1.0])


@pytest.mark.parametrize("seed", range(5))
def test_together_they_beat_the_worst_and_on_new_pictures_the_average(seed):
    skills = (2.5, 2.0, 0.3, 0.0, 0.0)
    answers, labels = _members(100, skills, seed)
    chosen = selection.weights(answers, labels, seed)
    alone = [linear.loss(linear.logit(one), labels) for one in answers]
    assert _loss(chosen, answers, labels) < max(alone)
    fresh, truth = _members(100, skills, seed + 100)
    average = np.full(len(fresh), 1 / len(fresh))
    assert _loss(chosen, fresh, truth) < _loss(average, fresh, truth)


def test_members_that_help_each_other_do_better_than_the_best():
    answers, labels = _members(100, (1.5, 1.5, 1.5))
    alone = [linear.loss(linear.logit(one), labels) for one in answers]
    assert _loss(selection.weights(answers, labels, 0), answers, labels) < min(alone)


def test_the_seed_decides():
    answers, labels = _members(50, (1.0, 1.1, 0.9, 1.05))
    one, same, other = (selection.weights(answers, labels, seed) for seed in (7, 7, 8))
    assert one.tobytes() == same.tobytes()
    assert one.tobytes() != other.tobytes()


def test_a_member_that_is_sure_and_wrong_is_bounded():
    answers, labels = _members(50, (2.0, 2.0))
    wrong = np.eye(CLASSES)[(labels + 1) % CLASSES]  # probability 0 for what is there
    chosen = selection.weights([*answers, wrong], labels, seed=0)
    assert np.isfinite(linear.logit(wrong)).all()
    assert chosen[2] < min(chosen[:2])


def test_the_loss_is_the_mean_negative_log_likelihood():
    answers, labels = _members(10, (1.0,))
    expected = -np.log(answers[0][np.arange(len(labels)), labels]).mean()
    assert linear.loss(linear.logit(answers[0]), labels) == pytest.approx(expected, abs=1e-6)
    # Rows may be shifted at will: they are logits.
    shifted = linear.logit(answers[0]) + np.arange(len(labels))[:, None]
    assert linear.loss(shifted, labels) == pytest.approx(expected, abs=1e-6)
