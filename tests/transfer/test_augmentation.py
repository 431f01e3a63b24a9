from collections import Counter
from typing import Literal

import numpy as np
import pytest
import tensorflow as tf

from tests.transfer import earlier_augmentation
from tests.transfer.earlier_augmentation import Augmentation as Earlier
from transfer import augmentation
from transfer.augmentation import Augmentation, draws, erasing
from transfer.changes import Changes

SIZE = 48
STILL = Augmentation("none", mirror=False)
LEVELS = pytest.mark.parametrize("level", ["light", "strong"])
Level = Literal["light", "strong"]


def _only(**said: float) -> Augmentation:
    """Return what does these changes and nothing else."""
    return Augmentation("none", mirror=False, changes=Changes(**said))  # pyright: ignore[reportArgumentType]


def _augment(pictures: np.ndarray, settings: Augmentation, seed: int = 0) -> np.ndarray:
    key = tf.constant([seed, 0], tf.int64)
    return augmentation.augment(tf.constant(pictures, tf.float32), settings, key).numpy()


def _compass(n: int) -> np.ndarray:
    """Red grows to the right, green grows downwards."""
    ramp = np.linspace(20, 235, SIZE, dtype=np.float32)
    picture = np.full([SIZE, SIZE, 3], 128, np.float32)
    picture[..., 0], picture[..., 1] = ramp[None], ramp[:, None]
    return np.repeat(picture[None], n, axis=0)


def _noise(n: int, size: int = SIZE) -> np.ndarray:
    values = np.random.default_rng(0).uniform(0, 255, [n, size, size, 3])
    return values.astype(np.float32)


def _directions(pictures: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where red and where green grow, as unit vectors (right, down), each [n, 2]."""
    place = np.arange(SIZE) - (SIZE - 1) / 2
    growth = np.stack(
        [(pictures * place[:, None]).mean((1, 2)), (pictures * place[:, None, None]).mean((1, 2))],
        axis=2,
    )[:, :2]  # [n, red or green, right or down]
    units = growth / np.linalg.norm(growth, axis=2, keepdims=True)
    return units[:, 0], units[:, 1]


@LEVELS
@pytest.mark.parametrize("mirror", [False, True])
@pytest.mark.parametrize("turn", [False, True])
def test_pictures_are_mirrored_and_turned_only_where_that_is_allowed(
    level: Level, mirror: bool, turn: bool
):
    out = _augment(_compass(400), Augmentation(level, mirror, turn))
    red, green = _directions(out)
    right, down = np.rint(red).astype(int).T
    mirrored = red[:, 0] * green[:, 1] - red[:, 1] * green[:, 0] < 0
    seen = Counter(zip(right.tolist(), down.tolist(), mirrored.tolist(), strict=True))
    ways = [(1, 0), (0, 1), (-1, 0), (0, -1)] if turn else [(1, 0)]
    if mirror and not turn:
        expected = {(1, 0, False), (-1, 0, True)}
    else:
        expected = {(*way, side) for way in ways for side in ([False, True] if mirror else [False])}
    assert set(seen) == expected
    assert min(seen.values()) > 0.6 * 400 / len(expected)


def test_the_strong_level_tilts_and_only_a_little():
    settings = _only(randaugment=2)
    red, _ = _directions(_augment(_compass(400), settings))
    tilt = np.abs(np.degrees(np.arctan2(red[:, 1], red[:, 0])))
    assert 8 < tilt.max() < 25
    light, _ = _directions(
        _augment(_compass(400), Augmentation(mirror=False, changes=Changes(colour=0)))
    )
    assert np.allclose(light[:, 1], 0, atol=1e-3)


def test_a_crop_keeps_70_percent_of_the_area_and_stays_inside():
    place = np.linspace(0, 1, SIZE, dtype=np.float32)
    picture = np.zeros([SIZE, SIZE, 3], np.float32)
    picture[..., 0], picture[..., 1] = place[None], place[:, None]
    out = _augment(
        np.repeat(picture[None], 500, 0), Augmentation(mirror=False, changes=Changes(colour=0))
    )
    left, right = out[:, 10, 0, 0], out[:, 10, -1, 0]
    top, bottom = out[:, 0, 10, 1], out[:, -1, 10, 1]
    width, height = right - left, bottom - top
    assert (width * height).min() >= 0.7
    for side in (width, height):
        assert 0.84 <= side.min() + 1e-5 < 0.85
        assert 0.99 < side.max() <= 1 + 1e-5
    assert left.max() > 0.12
    assert left.min() < 0.01
    assert abs(np.mean(left + right) - 1) < 0.02  # as often from the left as from the right
    assert np.corrcoef(width, height)[0, 1] < 0.2


def test_a_quarter_of_the_pictures_loses_a_rectangle_of_bounded_size():
    pictures = _noise(600)
    out = _augment(pictures, _only(erasing=0.25))
    changed = (out != pictures).all(axis=3)
    erased = changed.any(axis=(1, 2))
    assert erased.mean() == pytest.approx(0.25, abs=0.06)
    least, most = erasing.ERASED_AREA
    areas = []
    for before, after, mask in zip(pictures[erased], out[erased], changed[erased], strict=True):
        height, width = mask.any(axis=1).sum(), mask.any(axis=0).sum()
        assert mask.sum() == height * width
        assert least * SIZE**2 <= (height + 1) * (width + 1)
        assert (height - 1) * (width - 1) <= most * SIZE**2
        assert np.allclose(after[mask], before.mean(axis=(0, 1)), atol=0.1)
        areas.append(mask.mean())
    assert max(areas) > 0.17
    assert min(areas) < 0.05


def test_the_light_level_erases_nothing_and_none_does_nothing_at_all():
    pictures = _noise(64)
    assert np.array_equal(_augment(pictures, STILL), pictures)
    bare = Changes(crop=0, colour=0)
    assert np.array_equal(_augment(pictures, Augmentation("light", False, changes=bare)), pictures)
    strong = _augment(pictures, Augmentation("strong", False, changes=bare))
    assert not np.array_equal(strong, pictures)


@LEVELS
@pytest.mark.parametrize("mirror", [False, True])
@pytest.mark.parametrize("turn", [False, True])
def test_the_levels_do_what_they_did_to_the_bit(level: Level, mirror: bool, turn: bool):
    pictures = np.concatenate([_noise(24), _compass(24)])
    for seed in ([0, 0], [7 * 1_000_003 + 11, 1]):
        key = tf.constant(seed, tf.int64)
        before = earlier_augmentation.augment(
            tf.constant(pictures), Earlier(level, mirror, turn), key
        ).numpy()
        now = augmentation.augment(tf.constant(pictures), Augmentation(level, mirror, turn), key)
        assert now.numpy().tobytes() == before.tobytes()


@LEVELS
def test_grey_pictures_stay_grey(level: Level):
    grey = np.repeat(_noise(256)[..., :1], 3, axis=3)
    out = _augment(grey, Augmentation(level, turn=True, changes=Changes(colour=0.4)))
    assert np.ptp(out, axis=3).max() < 1e-3
    assert np.abs(out - grey).mean() > 10


@pytest.mark.parametrize("name", draws.OPERATIONS)
def test_each_operation_changes_pictures_and_leaves_them_recognisable(name, monkeypatch):
    alone = dict.fromkeys(draws.OPERATIONS, 0.0)
    alone[name] = draws.OPERATIONS[name]
    monkeypatch.setattr(draws, "OPERATIONS", alone)
    pictures = _compass(64) * 0.8 + _noise(64) * 0.1
    out = _augment(pictures, _only(randaugment=5))
    change = np.abs(out - pictures).mean(axis=(1, 2, 3))
    if name == "identity":
        assert not change.any()
    else:
        assert change.max() > 2
    assert change.max() < 40


@pytest.mark.parametrize("count", [0, 1, 2, 5])
def test_each_picture_gets_so_many_different_operations(count, monkeypatch):
    names = dict.fromkeys(draws.OPERATIONS, 1.0)
    monkeypatch.setattr(draws, "OPERATIONS", names)
    drawn = draws.operations(tf.constant(500), count, 1.0, tf.constant([1, 0], tf.int64))
    strengths = np.stack([drawn[name] for name in names])
    assert (np.count_nonzero(strengths, axis=0) == count).all()
    if count:
        shares = np.count_nonzero(strengths, axis=1) / 500
        assert np.allclose(shares, count / len(names), atol=0.08)
        assert abs(strengths.sum() / (500 * count)) < 0.1  # both ways alike


def test_saturation_has_no_effect_on_grey_pictures(monkeypatch):
    alone = dict.fromkeys(draws.OPERATIONS, 0.0) | {"saturation": 0.9}
    monkeypatch.setattr(draws, "OPERATIONS", alone)
    grey = np.repeat(_noise(16)[..., :1], 3, axis=3)
    out = _augment(grey, _only(randaugment=5))
    assert np.allclose(out, grey, atol=1e-3)


def test_colours_change_by_a_fifth_at_most():
    flat = np.full([300, SIZE, SIZE, 3], 100, np.float32)
    out = _augment(flat, Augmentation())
    assert out.min() == pytest.approx(80, abs=1)
    assert out.max() == pytest.approx(120, abs=1)
    assert np.ptp(out, axis=(1, 2, 3)).max() < 1e-3


@LEVELS
def test_a_seed_gives_the_same_to_the_bit_and_another_something_else(
    level: Level,
):
    pictures = _noise(32)
    settings = Augmentation(level, turn=True)
    first = _augment(pictures, settings, seed=3)
    assert np.array_equal(first, _augment(pictures, settings, seed=3))
    assert not np.array_equal(first, _augment(pictures, settings, seed=4))
    one = np.repeat(pictures[:1], 8, axis=0)
    drawn = _augment(one, settings)
    assert len({picture.tobytes() for picture in drawn}) == 8  # each picture has its own draw


@LEVELS
def test_it_works_in_a_pipeline_with_a_smaller_last_batch(level: Level):
    pictures = _noise(9)
    data = tf.data.Dataset.from_tensor_slices(pictures).batch(4).enumerate()
    settings = Augmentation(level)
    data = data.map(
        lambda step, batch: augmentation.augment(batch, settings, tf.stack([step, 0])),
        num_parallel_calls=2,
    )
    out = list(data.as_numpy_iterator())
    assert [len(batch) for batch in out] == [4, 4, 1]
    assert np.allclose(out[1], _augment(pictures[4:8], settings, seed=1), atol=1e-2)


def test_values_stay_between_0_and_255():
    hard = np.where(_noise(256) > 128, 255, 0).astype(np.float32)
    for level in ("light", "strong"):
        out = _augment(hard, Augmentation(level, changes=Changes(colour=0.8)))
        assert out.dtype == np.float32
        assert out.shape == hard.shape
        assert out.min() == 0
        assert out.max() == 255
        assert np.isfinite(out).all()


def test_mirrored_and_turned_move_every_pixel_to_its_place():
    pictures = np.arange(2 * 2 * 3 * 3, dtype=np.uint8).reshape(2, 2, 3, 3)
    assert np.array_equal(augmentation.mirrored(pictures)[1, 0, 0], pictures[1, 0, 2])
    assert augmentation.turned(pictures, 1).shape == (2, 3, 2, 3)
    assert np.array_equal(augmentation.turned(pictures, 1)[1, 0, 0], pictures[1, 0, 2])
    assert np.array_equal(augmentation.turned(pictures, 2), pictures[:, ::-1, ::-1])
    assert augmentation.turned(pictures, 1).dtype == np.uint8


def test_a_larger_magnitude_goes_further_and_never_folds_over():
    pictures = _compass(200) * 0.8 + _noise(200) * 0.1
    plain, far = (
        np.abs(_augment(pictures, _only(randaugment=2, magnitude=m)) - pictures).mean()
        for m in (0.5, 2)
    )
    assert 2 * plain < far < 60


EVERYTHING = Changes(
    "strong", upside_down=True, scale=1.5, crop=0.2, colour=0.3, pca_colour=0.1, translation=0.1,
    rotation=15, stretching=1.3, shear=10, lens=0.2, randaugment=3, magnitude=1.5, erasing=0.5,
)  # fmt: skip


def test_everything_at_once_is_batched_and_the_same_for_the_same_seed():
    axes = np.diag([0.2, 0.02, 0.01]).astype(np.float32)
    settings = Augmentation("strong", turn=True, changes=EVERYTHING)
    held = settings.held_size(SIZE)
    assert held == 72

    @tf.function(
        input_signature=[tf.TensorSpec([None, held, held, 3]), tf.TensorSpec([2], tf.int64)]
    )
    def changed(batch: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        return augmentation.augment(batch, settings, seed, axes, SIZE)

    graph = changed.get_concrete_function().graph  # pyright: ignore[reportFunctionMemberAccess]
    kinds = {one.type for one in graph.get_operations()}
    assert not {kind for kind in kinds if "While" in kind or "Map" in kind or "PyFunc" in kind}
    pictures, key = tf.constant(_noise(9, held)), tf.constant([5, 0], tf.int64)
    first = changed(pictures, key).numpy()
    assert first.shape == (9, SIZE, SIZE, 3)
    assert first.min() >= 0
    assert first.max() <= 255
    assert np.array_equal(first, changed(pictures, key).numpy())
    assert not np.array_equal(first, changed(pictures, key + 1).numpy())


def test_what_was_chosen_is_what_the_policy_and_the_user_say_together():
    assert augmentation.chosen("light", Changes("none"), mirror=False, turn=False) is None
    assert augmentation.chosen("light", Changes("none"), mirror=True, turn=False) is not None
    made = augmentation.chosen("light", Changes("strong", erasing=0), mirror=False, turn=True)
    assert made is not None
    assert (made.amounts.randaugment, made.amounts.erasing, made.turn) == (2, 0, True)
