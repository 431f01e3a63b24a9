"""Pictures of none of the classes, by their distance from what was learned."""

import numpy as np
import pytest

from transfer import refusal
from transfer.refusal import Familiar


def _cloud(n: int, centre: int, seed: int, d: int = 200) -> np.ndarray:
    """Vectors as a network's last stage gives them: not negative, of several directions."""
    rng = np.random.default_rng([seed, centre])
    mean = np.random.default_rng(centre).gamma(1.0, 1.0, d)
    return np.maximum(mean + rng.normal(0, 0.5, (n, d)), 0).astype(np.float16)


@pytest.fixture(scope="module")
def known() -> Familiar:
    learned = np.concatenate([_cloud(60, centre, 0) for centre in (0, 1)])
    found = refusal.fit(learned, np.concatenate([_cloud(40, centre, 1) for centre in (0, 1)]))
    assert found is not None
    return found


def test_others_are_refused_and_the_own_are_kept(known):
    own = np.concatenate([_cloud(100, centre, 2) for centre in (0, 1)])
    found = refusal.refused(known.scores(own), known.scores(_cloud(100, 5, 2)))
    assert found.auroc > 0.99
    assert found.others.accuracy > 0.95
    assert found.own.low < 1 - refusal.KEEPS < found.own.high + 0.02


def test_the_limit_keeps_the_share_of_the_validation_pictures(known):
    judging = np.concatenate([_cloud(40, centre, 1) for centre in (0, 1)])
    kept = known.scores(judging) <= 1 + 1e-9
    assert refusal.KEEPS <= kept.mean() < 1


def test_brightness_alone_makes_nothing_strange(known):
    own = _cloud(50, 0, 3)
    np.testing.assert_allclose(known.scores(3 * own), known.scores(own), rtol=1e-2)


def test_it_is_the_same_after_it_was_kept(known):
    again = Familiar.from_arrays(known.arrays())
    own = _cloud(50, 0, 3)
    np.testing.assert_allclose(again.scores(own), known.scores(own), rtol=1e-5)


def test_a_handful_of_pictures_says_nothing():
    assert refusal.fit(_cloud(9, 0, 0), _cloud(40, 0, 1)) is None
    assert refusal.fit(_cloud(40, 0, 0), _cloud(4, 0, 1)) is None


def test_the_auroc_of_known_ranks():
    assert refusal.auroc(np.array([1.0, 2.0]), np.array([3.0, 4.0])) == 1.0
    assert refusal.auroc(np.array([1.0, 3.0]), np.array([2.0, 4.0])) == 0.75
    assert refusal.auroc(np.array([1.0, 1.0]), np.array([1.0, 1.0])) == 0.5
