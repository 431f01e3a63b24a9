"""Copies are found however they were changed, and what merely looks alike is left alone."""

import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks import planting
from tests.transfer.pictures import index_of, natural
from transfer.dataset import candidates, descriptions, duplicates, looks, registration
from transfer.dataset.duplicates import Duplicates
from transfer.dataset.index import ImageIndex


def search(
    folder: Path, pictures: list[tuple[str, Image.Image]]
) -> tuple[ImageIndex, Duplicates, set[tuple[int, int]]]:
    index = index_of(folder, pictures)
    found = duplicates.find(index, looks.compute(index))
    return index, found, {(pair.first, pair.second) for pair in found.pairs}


def test_every_kind_of_copy_is_found_and_nothing_else(tmp_path: Path):
    pictures, truth = [], {}
    for number, kind in enumerate(list(planting.KINDS) * 2):
        made = planting.plant(kind, natural(number), np.random.default_rng(number))
        truth[len(pictures), len(pictures) + 1] = kind
        pictures += [(f"a/{number}-one.png", made.first), (f"b/{number}-two.png", made.second)]
    pictures += [(f"a/{number}.png", natural(number)) for number in range(100, 130)]
    _, found, pairs = search(tmp_path, pictures)
    assert {kind for pair, kind in truth.items() if pair not in pairs} == set()
    assert pairs - truth.keys() == set()
    assert all(0.5 < pair.likeness <= 1 for pair in found.pairs)
    assert len(found.clusters()) == len(truth)


def test_equal_pixels_are_exact_and_need_no_look_at_the_files(tmp_path: Path):
    picture = natural(1)
    pictures = [("a/1.png", picture), ("a/2.png", picture), ("b/3.png", picture)]
    index = index_of(tmp_path, pictures)
    seen = looks.compute(index)
    for file in tmp_path.glob("*.png"):
        file.unlink()
    found = duplicates.find(index, seen)
    assert [(pair.first, pair.second, pair.kind) for pair in found.pairs] == [
        (0, 1, "exact"),
        (0, 2, "exact"),
        (1, 2, "exact"),
    ]
    assert found.clusters() == ((0, 1, 2),)


def test_very_many_equal_pictures_make_no_pairs_by_the_square(tmp_path: Path):
    blank = Image.new("RGB", (32, 32), (90, 90, 90))
    _, found, pairs = search(tmp_path, [(f"a/{i}.png", blank) for i in range(200)])
    assert len(pairs) == 199
    assert len(found.clusters()[0]) == 200


def test_a_conflict_has_two_labels_and_a_leak_two_splits(tmp_path: Path):
    one, two, three = natural(1), natural(2), natural(3)
    index, found, _ = search(
        tmp_path,
        [
            ("train/a/1.png", one),
            ("train/b/1.png", planting.jpeg(one, 60)),
            ("train/a/2.png", two),
            ("test/a/2.png", planting.jpeg(two, 60)),
            ("train/a/3.png", three),
            ("train/a/4.png", planting.jpeg(three, 60)),
            ("test/b/5.png", natural(5)),
        ],
    )
    assert duplicates.conflicts(index, found) == ((0, 1),)
    assert duplicates.leaks(index, found) == ((2, 3),)
    assert len(found.clusters()) == 3


def test_the_same_composition_is_no_copy(tmp_path: Path):
    """A shirt on a bed, in the middle: the outline is the same, the cloth is not."""
    pictures = []
    across, down = np.meshgrid(np.linspace(-1, 1, 160), np.linspace(-1, 1, 160))
    shirt = ((np.abs(across) < 0.6) & (np.abs(down) < 0.7))[..., None]
    for number in range(12):
        cloth = 80 + 0.5 * (np.asarray(natural((number, 1), (160, 160)), np.float32) - 128)
        bed = 180 + 0.4 * (np.asarray(natural((number, 2), (160, 160)), np.float32) - 128)
        values = np.where(shirt, cloth, bed)
        pictures.append((f"a/{number}.png", Image.fromarray(values.astype(np.uint8))))
    _, _, pairs = search(tmp_path, pictures)
    assert pairs == set()


@pytest.mark.parametrize("contrast", [0.6, 2.0, 6.0])
def test_pictures_that_are_nearly_flat_are_no_copies_of_one_another(
    tmp_path: Path, contrast: float
):
    pictures = [
        (f"a/{number}.png", planting.jpeg(natural(number, (64, 64), contrast), 90))
        for number in range(60)
    ]
    _, found, pairs = search(tmp_path, pictures)
    assert {(p.first, p.second) for p in found.pairs if p.kind == "near"} == set(), pairs


def test_copies_of_even_pictures_are_found(tmp_path: Path):
    random = np.random.default_rng(3)
    pictures, truth = [], set()
    for number in range(20):
        picture = natural(number, (64, 64), 6)
        tint = random.integers(-40, 41, 3)
        picture = Image.fromarray(
            np.clip(np.asarray(picture, np.int16) + tint, 0, 255).astype(np.uint8)
        )
        truth.add((len(pictures), len(pictures) + 1))
        pictures += [(f"a/{number}.png", picture)]
        pictures += [(f"a/{number}b.png", planting.jpeg(picture, 60))]
    _, _, pairs = search(tmp_path, pictures)
    assert len(truth & pairs) >= 19
    assert pairs - truth == set()


def test_one_picture_and_two_pictures(tmp_path: Path):
    _, found, _ = search(tmp_path, [("a/1.png", natural(1))])
    assert found.pairs == ()
    (tmp_path / "two").mkdir()
    _, found, _ = search(tmp_path / "two", [("a/1.png", natural(1)), ("a/2.png", natural(2))])
    assert found.pairs == ()


def test_pictures_without_any_detail(tmp_path: Path):
    colours = [(10, 10, 10), (250, 250, 250), (200, 20, 20), (20, 200, 20)]
    pictures = [
        (f"a/{number}.png", Image.new("RGB", (40, 30), colour))
        for number, colour in enumerate(colours)
    ]
    _, _, pairs = search(tmp_path, pictures)
    assert pairs == set()


def test_progress_goes_forward_to_the_end(tmp_path: Path):
    pictures = [(f"a/{i}.png", planting.jpeg(natural(i // 2), 90 - i % 2 * 20)) for i in range(8)]
    index = index_of(tmp_path, pictures)
    told: list[tuple[int, int]] = []
    duplicates.find(index, looks.compute(index), lambda done, total: told.append((done, total)))
    assert told == sorted(told)
    assert told[-1] == (100, 100)


def test_thousands_of_pictures_are_looked_through_in_seconds():
    random = np.random.default_rng(0)
    thumbs = random.integers(0, 256, (2000, looks.SIDE, looks.SIDE, 3), dtype=np.uint8)
    thumbs[1500] = thumbs[7]
    start = time.process_time()
    found = candidates.search(thumbs)
    assert time.process_time() - start < 30
    assert (7, 1500) in set(zip(found.first.tolist(), found.second.tolist(), strict=True))
    assert len(found) <= 2000 * 13


@pytest.mark.parametrize("turn", range(len(descriptions.TURNS)))
def test_a_candidate_names_how_its_second_picture_is_to_be_turned(turn: int):
    picture = np.asarray(natural(4, (looks.SIDE, looks.SIDE)))
    other = descriptions.turned(picture[None], descriptions.TURNS[turn])[0]
    found = candidates.search(np.stack([picture, other]))
    assert found.likeness[0] > 0.99
    back = descriptions.turned(other[None], descriptions.TURNS[int(found.turn[0])])[0]
    np.testing.assert_array_equal(back, picture)


def test_registration_finds_a_known_warp():
    large = np.asarray(natural(9, (200, 200)).convert("L"), np.float32)
    warp = np.array([[[1.05, 0.03, 0.04], [-0.03, 0.95, -0.03]]])
    first, _ = registration.warped(large[None], warp)
    start = np.eye(2, 3)[None]
    one, two = (registration.band(values, 2.0, 20.0) for values in (first, large[None]))
    fit = registration.register(one, two, start, 25)
    np.testing.assert_allclose(fit.warps, warp, atol=0.004)
    assert fit.likeness[0] > 0.98
