"""Flaws of classes and pictures: planted ones are found, worst first, and few others."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter

from transfer.builtin import pictures as drawn
from transfer.dataset import looks
from transfer.dataset.index import ImageIndex, Origin, Picture
from transfer.dataset.looks import Looks
from transfer.health import quality
from transfer.health.quality import Flaw

SIDE, EACH = 128, 30
PLANTED = {
    "dark": lambda p: (p * 0.12).astype(np.uint8),
    "bright": lambda p: (228 + p * 0.105).astype(np.uint8),
    "flat": lambda p: np.full_like(p, 120),
    "blurred": lambda p: np.asarray(Image.fromarray(p).filter(ImageFilter.GaussianBlur(SIDE / 16))),
}


def _pictures(count: int, seed: int = 0) -> list[np.ndarray]:
    """Return pictures with as much contrast and detail as photographs have."""
    rng = np.random.default_rng(seed)
    found: list[np.ndarray] = []
    while len(found) < count:
        one = drawn.render(int(rng.integers(drawn.NUM_CLASSES)), rng, SIDE)
        seen = _looks([one])
        if seen.measure("contrast")[0] > 25 and seen.measure("sharpness")[0] > 15:
            found.append(one)
    return found


def _looks(pictures: list[np.ndarray]) -> Looks:
    rows = np.stack([looks.row(one) for one in pictures])
    cut = looks.SIDE * looks.SIDE * 3
    thumbs = rows[:, :cut].reshape(-1, looks.SIDE, looks.SIDE, 3)
    return Looks(thumbs.astype(np.uint8), rows[:, cut:])


def _index(labels: list[str], sizes: list[tuple[int, int]] | None = None) -> ImageIndex:
    sizes = sizes or [(640, 480)] * len(labels)
    made = tuple(
        Picture(
            f"{i}", label, None, f"{i}", f"{i}", width, height,
            Origin(10_000, "JPEG", "RGB", width, height),
        )
        for i, (label, (width, height)) in enumerate(zip(labels, sizes, strict=True))
    )  # fmt: skip
    return ImageIndex(Path(), "", made)


@pytest.fixture(scope="module")
def usual() -> list[np.ndarray]:
    return _pictures(2 * EACH)


def _labels(n: int = 2 * EACH) -> list[str]:
    return ["a" if i < n // 2 else "b" for i in range(n)]


def _by_kind(found: tuple[Flaw, ...]) -> dict[str, Flaw]:
    return {flaw.kind: flaw for flaw in found}


@pytest.mark.parametrize("kind", PLANTED)
def test_planted_pictures_are_found(usual, kind):
    places = (3, 40, 55)
    changed = [PLANTED[kind](one) if i in places else one for i, one in enumerate(usual)]
    plain = _by_kind(quality.find(_index(_labels()), _looks(usual)))
    found = _by_kind(quality.find(_index(_labels()), _looks(changed)))[kind]
    already = plain[kind].positions if kind in plain else ()
    assert set(places) <= set(found.positions) <= {*places, *already}
    assert len(already) <= 2
    assert found.labels == tuple(_labels()[i] for i in found.positions)


@pytest.mark.parametrize("kind", PLANTED)
def test_what_a_whole_set_or_class_has_is_no_flaw_of_its_pictures(usual, kind):
    whole = [PLANTED[kind](one) for one in usual]
    half = whole[:EACH] + usual[EACH:]
    for pictures in (whole, half):
        found = _by_kind(quality.find(_index(_labels()), _looks(pictures)))
        assert kind not in found or len(found[kind].positions) <= EACH // 5


def test_the_worst_comes_first(usual):
    radii = {5: 6, 20: 20, 41: 10}
    changed = [
        np.asarray(Image.fromarray(one).filter(ImageFilter.GaussianBlur(radii[i])))
        if i in radii
        else one
        for i, one in enumerate(usual)
    ]
    found = _by_kind(quality.find(_index(_labels()), _looks(changed)))["blurred"]
    assert found.values == tuple(sorted(found.values))
    assert [i for i in found.positions if i in radii] == sorted(
        radii, key=lambda i: float(_looks([changed[i]]).measure("sharpness")[0])
    )


def test_small_pictures(usual):
    sizes = [(640, 480)] * (2 * EACH)
    sizes[4], sizes[9], sizes[30] = (60, 200), (32, 32), (100, 110)
    found = _by_kind(quality.find(_index(_labels(), sizes), _looks(usual)))["small"]
    assert found.positions == (9, 4, 30)
    assert found.values == (32.0, 60.0, 100.0)


def test_odd_shapes(usual):
    sizes = [(640, 480) if i % 2 else (480, 640) for i in range(2 * EACH)]
    sizes[7], sizes[8] = (2000, 300), (300, 900)
    found = _by_kind(quality.find(_index(_labels(), sizes), _looks(usual)))["odd_shape"]
    assert found.positions == (7, 8)
    assert found.values == pytest.approx((2000 / 300, 1 / 3))


def test_panoramas_among_panoramas_are_not_odd(usual):
    index = _index(_labels(), [(2000, 500)] * (2 * EACH))
    assert "odd_shape" not in _by_kind(quality.find(index, _looks(usual)))


def test_classes_with_few_pictures_say_how_many_to_add():
    labels = ["a"] * 30 + ["b"] * 5 + ["c"] * 12
    found = _by_kind(quality.find(_index(labels), _looks(_pictures(4) * 11 + _pictures(3))))
    assert found["few"].labels == ("b", "c")
    assert found["few"].values == (15.0, 8.0)
    assert found["few"].positions == ()


@pytest.mark.parametrize(
    ("counts", "far"),
    [
        ({"a": 30, "b": 30, "c": 4}, ("c",)),
        ({"a": 90, "b": 20, "c": 20}, ("a",)),
        ({"a": 40, "b": 8}, ("b",)),
        ({"a": 20, "b": 30, "c": 40}, ()),
    ],
)
def test_imbalance(counts, far):
    labels = [name for name, n in counts.items() for _ in range(n)]
    seen = _looks(_pictures(2))
    thumbs = np.repeat(seen.thumbs[:1], len(labels), axis=0)
    same = Looks(thumbs, np.repeat(seen.measures[:1], len(labels), axis=0))
    found = _by_kind(quality.find(_index(labels), same))
    assert (found["imbalance"].labels if "imbalance" in found else ()) == far


class TestUnlike:
    @staticmethod
    def _find(top: np.ndarray) -> tuple[int, ...]:
        seen = _looks(_pictures(1))
        n = len(top)
        same = Looks(np.repeat(seen.thumbs, n, axis=0), np.repeat(seen.measures, n, axis=0))
        found = _by_kind(quality.find(_index(_labels(n)), same, top))
        return found["unlike"].positions if "unlike" in found else ()

    @pytest.mark.parametrize("d", [64, 1280])
    def test_strangers_are_found(self, d):
        rng = np.random.default_rng(0)
        centres = rng.normal(size=(2, d))
        top = np.repeat(centres, 100, axis=0) + 0.5 * rng.normal(size=(200, d))
        assert self._find(top) == ()
        top[17], top[150] = 3 * rng.normal(size=(2, d))
        assert set(self._find(top)) == {17, 150}

    def test_few_pictures_say_nothing(self):
        assert self._find(np.random.default_rng(0).normal(size=(10, 8))) == ()

    def test_equal_features_do_not_divide_by_zero(self):
        assert self._find(np.ones((40, 8))) == ()


def test_an_empty_set_has_no_flaws(usual):
    seen = _looks(usual[:1])
    assert quality.find(_index([]), Looks(seen.thumbs[:0], seen.measures[:0])) == ()
