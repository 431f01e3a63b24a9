"""Groups hold what belongs together, and never a whole class because of its numbers."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks import planting
from tests.transfer.pictures import index_of, natural
from transfer.dataset import duplicates, groups, looks
from transfer.dataset.groups import Groups
from transfer.dataset.index import ImageIndex, Origin
from transfer.errors import DataError


def grouped(index: ImageIndex) -> Groups:
    seen = looks.compute(index)
    return groups.find(index, seen, duplicates.find(index, seen))


def scene(seed: int, frame: int) -> Image.Image:
    """Return one of several pictures of one scene: a third of it differs, so it is no copy."""
    place = np.asarray(natural(("scene", seed)), np.float32)
    subject = np.asarray(natural(("subject", seed, frame)), np.float32)
    mixed = 0.87 * (place - 128) + 0.49 * (subject - 128) + 128
    return Image.fromarray(np.clip(mixed, 0, 255).astype(np.uint8))


def test_numbers_that_follow_one_another_and_looks_make_a_burst(tmp_path: Path):
    pictures = [(f"a/img_{8 * s + f:04d}.png", scene(s, f)) for s in range(8) for f in range(4)]
    index = index_of(tmp_path, pictures)
    found = grouped(index)
    expected = {tuple(range(4 * s, 4 * s + 4)) for s in range(8)}
    assert set(found.bursts) == expected
    assert set(found.clusters()) == expected
    assert not found.named


def test_numbers_alone_say_nothing(tmp_path: Path):
    index = index_of(tmp_path, [(f"a/Forest_{i}.png", natural(i)) for i in range(60)])
    assert grouped(index).bursts == ()


def test_numbers_far_apart_are_no_burst(tmp_path: Path):
    pictures = [(f"a/img_{50 * (4 * s + f)}.png", scene(s, f)) for s in range(8) for f in range(3)]
    index = index_of(tmp_path, pictures)
    assert grouped(index).bursts == ()


def test_times_of_one_camera_make_a_burst_and_of_two_none(tmp_path: Path):
    pictures, origins = [], []
    for s in range(12):
        for f in range(3):
            picture = scene(s, f).resize((160 + 4 * f, 120))  # of one size they might be patches
            pictures.append((f"a/{chr(97 + f)}{chr(97 + s)}x.png", picture))
            camera = "one" if s < 6 else f"camera {f}"
            origins.append(Origin(1, "JPEG", "RGB", 160, 120, 1, camera, 1000.0 * s + f))
    found = grouped(index_of(tmp_path, pictures, origins))
    assert set(found.bursts) == {tuple(range(3 * s, 3 * s + 3)) for s in range(6)}


def test_a_film_that_never_ends_does_not_swallow_its_class(tmp_path: Path):
    drift = np.asarray(natural(1, (400, 120)))
    frames = [Image.fromarray(drift[:, 4 * i : 4 * i + 160]) for i in range(48)]
    noise = np.random.default_rng(0)
    pictures = []
    for i, frame in enumerate(frames):
        mixed = np.asarray(frame, np.float32) + 0.6 * (
            np.asarray(natural(("noise", i)), np.float32) - 128
        )
        values = np.clip(mixed + noise.normal(0, 2, mixed.shape), 0, 255)
        pictures.append((f"a/f{i:03d}.png", Image.fromarray(values.astype(np.uint8))))
    found = grouped(index_of(tmp_path, pictures))
    assert found.bursts
    assert max(map(len, found.bursts)) <= 12


def test_patches_of_one_larger_picture_are_a_group(tmp_path: Path):
    pictures = []
    for s in range(4):
        large = natural(("sheet", s), (320, 320))
        for x, y in ((0, 0), (70, 40)):
            patch = large.crop((x, y, x + 160, y + 160))
            pictures.append((f"a/{'pqrs'[s]}{x}of.png", patch))
    pictures += [(f"a/{number}x.png", natural(number, (160, 160))) for number in range(20)]
    found = grouped(index_of(tmp_path, pictures))
    assert set(found.bursts) == {(0, 1), (2, 3), (4, 5), (6, 7)}


def test_what_the_user_names_and_copies_join(tmp_path: Path):
    pictures = [(f"a/{chr(97 + i)}.png", natural(i)) for i in range(5)]
    pictures.append(("b/z.png", planting.jpeg(natural(0), 60)))
    index = index_of(tmp_path, pictures, groups=["p1", "p1", "p2", None, None, "p2"])
    found = grouped(index)
    assert found.clusters() == ((0, 1, 2, 5),)
    assert found.named
    assert found.bursts == ()
    assert len(np.unique(found.ids)) == 3


def test_a_pattern_is_guessed_where_names_and_looks_agree(tmp_path: Path):
    pictures = [
        (f"{'ab'[p % 2]}/patient{p}_{'xyz'[f]}{f}.png", scene(p, f))
        for p in range(20)
        for f in range(3)
    ]
    index = index_of(tmp_path, pictures)
    found = groups.guess(index, looks.compute(index))
    assert found is not None
    assert found.groups == 20
    names = groups.by_pattern(index, found.pattern)
    assert len(set(names)) == 20
    assert found.example in names
    assert found.example in found.words
    assert "split" in found.words


def test_no_pattern_is_guessed_where_looks_say_nothing(tmp_path: Path):
    pictures = [(f"a/patient{p}_{f}.png", natural((p, f))) for p in range(20) for f in range(3)]
    index = index_of(tmp_path, pictures)
    assert groups.guess(index, looks.compute(index)) is None


def test_the_name_of_the_class_is_no_group(tmp_path: Path):
    pictures = [(f"{k}/{k}_{i}.png", scene(ord(k), i)) for k in "ab" for i in range(20)]
    index = index_of(tmp_path, pictures)
    assert groups.guess(index, looks.compute(index)) is None


def test_by_pattern_reads_the_name_of_the_file(tmp_path: Path):
    pictures = [(name, natural(1)) for name in ("p9/a/p1_3.png", "p9/a/p2_3.png", "p9/b/none.png")]
    index = index_of(tmp_path, pictures)
    assert groups.by_pattern(index, r"^(.*)_\d+$") == ["p1", "p2", None]
    assert groups.by_pattern(index, r"p\d") == ["p1", "p2", None]


@pytest.mark.parametrize("pattern", ["(", "", "(a)(b)", "(a+)+$", "a**", "[z-a]", "x" * 500])
def test_a_pattern_that_cannot_be_used_is_refused_in_words(tmp_path: Path, pattern: str):
    index = index_of(tmp_path, [("a/1.png", natural(1))])
    with pytest.raises(DataError, match="Expected a pattern"):
        groups.by_pattern(index, pattern)
