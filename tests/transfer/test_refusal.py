"""Pictures of none of the classes, by their distance from what was learned."""

import numpy as np
import pytest

from transfer import refusal
from transfer.refusal import Familiar

CLASSES = (0, 1)
STRANGER = 5


def _cloud(n: int, centre: int, seed: int, d: int = 200) -> np.ndarray:
    """Vectors as a network's last stage gives them: not negative, of several directions."""
    rng = np.random.default_rng([seed, centre])
    mean = np.random.default_rng(centre).gamma(1.0, 1.0, d)
    return np.maximum(mean + rng.normal(0, 0.5, (n, d)), 0).astype(np.float16)


def _own(n: int, seed: int) -> list[np.ndarray]:
    """Two stages of `n` pictures a class."""
    early = np.concatenate([_cloud(n, 10 + centre, seed, 40) for centre in CLASSES])
    return [early, np.concatenate([_cloud(n, centre, seed) for centre in CLASSES])]


def _fitted(n: int, judging: int, seed: int = 0, groups: np.ndarray | None = None) -> Familiar:
    groups = np.arange(2 * n) if groups is None else groups
    found = refusal.fit(_own(n, seed), _own(judging, seed + 1), groups)
    assert found is not None
    return found


@pytest.fixture(scope="module")
def known() -> Familiar:
    return _fitted(60, 40)


def test_others_are_refused_and_the_own_are_kept(known):
    own = _own(100, 2)
    found = refusal.refused(known.scores(own), known.scores([own[0][:100], _cloud(100, 5, 2)]))
    assert found.auroc > 0.99
    assert found.others.accuracy > 0.95
    assert found.own.low < 1 - refusal.KEEPS < found.own.high + 0.02


def test_what_is_strange_at_one_stage_only_is_strange(known):
    """A plain surface may end where the own pictures do, but it does not get there as they do."""
    own = _own(50, 2)
    assert (known.scores([_cloud(100, STRANGER, 2, 40), own[1]]) > 1).mean() > 0.95
    assert (known.scores([own[0], _cloud(100, STRANGER, 2)]) > 1).mean() > 0.95


def test_the_limit_keeps_the_share_of_the_validation_pictures(known):
    kept = known.scores(_own(40, 1)) <= 1 + 1e-9
    assert refusal.KEEPS <= kept.mean() < 1


def test_few_validation_pictures_do_not_set_the_limit_by_their_luck():
    """With three of them a class, the training pictures say what is usual."""
    refused = [(_fitted(20, 3, 10 * i).scores(_own(100, 10 * i + 2)) > 1).mean() for i in range(8)]
    assert np.mean(refused) < 0.1
    assert max(refused) < 0.2


def test_copies_of_a_group_do_not_make_the_set_narrow():
    twice = [np.repeat(one, 2, axis=0) for one in _own(30, 0)]
    groups = np.repeat(np.arange(60), 2)
    together = refusal.fit(twice, _own(20, 1), groups)
    assert together is not None
    own, plain = _own(100, 2), _fitted(30, 20)
    np.testing.assert_allclose(together.scores(own), plain.scores(own), rtol=0.1)


def test_the_distance_is_that_of_the_nearest_by_cosine():
    """With as many directions as pictures nothing is left out."""
    learned, own = _own(30, 0)[1], _own(5, 2)[1]
    near = refusal.fit([learned], [own], np.arange(60))
    assert near is not None
    units = [
        one / np.linalg.norm(one.astype(float), axis=1, keepdims=True) for one in (learned, own)
    ]
    cosine = (units[1] @ units[0].T).max(axis=1)
    np.testing.assert_allclose(near.stages[0].distances(own), 2 * (1 - cosine), rtol=1e-6)


def test_brightness_alone_makes_nothing_strange(known):
    own = _own(50, 3)
    brighter = [3 * one for one in own]
    np.testing.assert_allclose(known.scores(brighter), known.scores(own), rtol=1e-2)


def test_it_is_the_same_after_it_was_kept(known):
    again = Familiar.from_arrays(known.arrays())
    assert again is not None
    own = _own(50, 3)
    np.testing.assert_allclose(again.scores(own), known.scores(own), rtol=1e-5)


def test_what_an_earlier_version_kept_is_not_understood():
    kept = {"directions": np.eye(3), "neighbours": np.eye(3), "limit": np.array(1.0)}
    assert Familiar.from_arrays(kept) is None


def test_a_handful_of_pictures_says_nothing():
    few, enough = [_cloud(9, 0, 0)], [_cloud(40, 0, 1)]
    assert refusal.fit(few, enough, np.arange(9)) is None
    assert refusal.fit(enough, [_cloud(4, 0, 0)], np.arange(40)) is None
    assert refusal.fit(enough, enough, np.zeros(40, int)) is None  # all of one group


def test_the_auroc_of_known_ranks():
    assert refusal.auroc(np.array([1.0, 2.0]), np.array([3.0, 4.0])) == 1.0
    assert refusal.auroc(np.array([1.0, 3.0]), np.array([2.0, 4.0])) == 0.75
    assert refusal.auroc(np.array([1.0, 1.0]), np.array([1.0, 1.0])) == 0.5
