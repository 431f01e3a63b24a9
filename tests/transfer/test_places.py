"""Where pixels come from, each change by itself."""

import math

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from scipy import ndimage

from transfer import augmentation
from transfer.augmentation import Augmentation, draws, places
from transfer.changes import Amounts, Changes

SIZE = 49  # its middle is a pixel
LAST = SIZE - 1
SEED = tf.constant([3, 0], tf.int64)


def _place(n: int, size: int = SIZE) -> np.ndarray:
    """Pictures that say where each pixel is: columns in red, rows in green, both 0 to 250."""
    ramp = np.linspace(0, 250, size, dtype=np.float32)
    picture = np.zeros([size, size, 3], np.float32)
    picture[..., 0], picture[..., 1] = ramp[None], ramp[:, None]
    return np.repeat(picture[None], n, axis=0)


def _noise(n: int, size: int = SIZE) -> np.ndarray:
    return np.random.default_rng(0).uniform(0, 255, [n, size, size, 3]).astype(np.float32)


def _augment(pictures: np.ndarray, size: int | None = None, **said: float) -> np.ndarray:
    settings = Augmentation("none", mirror=False, changes=Changes(**said))  # pyright: ignore[reportArgumentType]
    return augmentation.augment(tf.constant(pictures), settings, SEED, None, size).numpy()


def _jacobians(out: np.ndarray) -> np.ndarray:
    """How far in the original a step goes, in pixels, at the middle [n, (column, row), (x, y)]."""
    middle = LAST // 2
    right = out[:, middle, middle + 2, :2] - out[:, middle, middle - 2, :2]
    down = out[:, middle + 2, middle, :2] - out[:, middle - 2, middle, :2]
    return np.stack([right, down], axis=2) / 4 * LAST / 250


def test_upside_down_turns_half_of_them_over_and_nothing_else():
    pictures = _noise(200)
    out = _augment(pictures, upside_down=True)
    over = np.array(
        [np.allclose(a, b[::-1], atol=1e-2) for a, b in zip(out, pictures, strict=True)]
    )
    same = np.array([np.allclose(a, b, atol=1e-2) for a, b in zip(out, pictures, strict=True)])
    assert (over ^ same).all()
    assert 70 < over.sum() < 130


def test_shifts_go_as_far_as_is_said_in_both_directions_and_reflect_at_the_edge():
    pictures = _place(400)
    out = _augment(pictures, translation=0.25)
    moved = np.asarray(out[:, LAST // 2, LAST // 2, :2] / 250 - 0.5)
    assert 0.23 < np.abs(moved).max(axis=0).min() <= np.abs(moved).max() < 0.251
    assert np.abs(moved.mean(axis=0)).max() < 0.03
    assert abs(np.corrcoef(moved[:, 0], moved[:, 1]).min()) < 0.15
    np.testing.assert_allclose(_jacobians(out), np.broadcast_to(np.eye(2), (400, 2, 2)), atol=1e-3)
    # Against SciPy, which reflects alike.
    noise = _noise(6)
    dx, dy = (moved[:6] * LAST).T
    for before, after, x, y in zip(noise, _augment(noise, translation=0.25), dx, dy, strict=True):
        # The same seed and another number of pictures: the same first draws.
        exact = np.stack(
            [ndimage.shift(before[..., c], (-y, -x), order=1, mode="reflect") for c in range(3)], 2
        )
        np.testing.assert_allclose(after, exact, atol=0.2)


@pytest.mark.parametrize("most", [15, 180])
def test_rotations_are_rotations_by_degrees_about_the_middle(most: int):
    out = _augment(_place(300), rotation=most)
    np.testing.assert_allclose(out[:, LAST // 2, LAST // 2, :2], 125, atol=0.01)
    steps = _jacobians(out)
    np.testing.assert_allclose(
        steps @ steps.transpose(0, 2, 1), np.eye(2)[None] + 0 * steps, atol=2e-3
    )
    assert np.allclose(np.linalg.det(steps), 1, atol=2e-3)
    degrees = np.degrees(np.arctan2(steps[:, 1, 0], steps[:, 0, 0]))
    assert 0.95 * most < degrees.max() <= most + 0.1
    assert -most - 0.1 <= degrees.min() < -0.95 * most


def test_a_rotation_gives_what_pillow_gives():
    smooth = ndimage.gaussian_filter(_noise(1)[0], (2, 2, 0))
    angle = float(np.degrees(_angle(rotation=30)))
    mine = _augment(smooth[None], rotation=30)[0]
    theirs = np.stack(
        [
            np.asarray(Image.fromarray(smooth[..., c]).rotate(angle, Image.Resampling.BILINEAR))
            for c in range(3)
        ],
        axis=2,
    )
    inside = np.hypot(*np.mgrid[-24:25, -24:25]) < 22
    np.testing.assert_allclose(mine[inside], theirs[inside], atol=0.5)


def _angle(rotation: float) -> float:
    steps = _jacobians(_augment(_place(1), rotation=rotation))[0]
    return math.atan2(steps[1, 0], steps[0, 0])


def test_stretching_changes_proportions_and_shows_nothing_from_beyond_the_edge():
    out = _augment(_place(400), stretching=1.5)
    steps = _jacobians(out)
    np.testing.assert_allclose(steps[:, 0, 1], 0, atol=1e-3)
    np.testing.assert_allclose(steps[:, 1, 0], 0, atol=1e-3)
    sides = np.stack([steps[:, 0, 0], steps[:, 1, 1]], 1)
    np.testing.assert_allclose(sides.max(axis=1), 1, atol=1e-3)  # one side stays whole
    ratios = sides[:, 0] / sides[:, 1]
    assert 1.45 < ratios.max() < 1.501
    assert 1.45 < 1 / ratios.min() < 1.501
    assert abs(np.log(ratios).mean()) < 0.04


def test_shearing_slants_one_side_by_an_angle():
    steps = _jacobians(_augment(_place(400), shear=20))
    np.testing.assert_allclose(steps[:, [0, 1], [0, 1]], 1, atol=2e-3)
    slants = np.degrees(np.arctan(np.stack([steps[:, 0, 1], steps[:, 1, 0]], 1)))
    np.testing.assert_allclose(np.abs(slants).min(axis=1), 0, atol=0.1)
    assert (np.abs(slants).max(axis=0) > 18.5).all()  # both of them, now and then
    assert np.abs(slants).max() < 20.1


class TestLens:
    def test_the_middle_of_the_picture_and_of_its_sides_stay(self):
        out = _augment(_place(64), lens=0.3)
        half = LAST // 2
        np.testing.assert_allclose(out[:, half, half, :2], 125, atol=0.01)
        for row, column in ((half, 0), (half, LAST), (0, half), (LAST, half)):
            np.testing.assert_allclose(
                out[:, row, column, :2], [[250 * column / LAST, 250 * row / LAST]] * 64, atol=0.01
            )

    def test_lines_bend_outwards_and_inwards(self):
        # A quarter of the way in, at mid height against near the top.
        out = _augment(_place(200), lens=0.3)
        bent = out[:, LAST // 2, 12, 0] - out[:, 4, 12, 0]
        assert bent.max() > 8
        assert bent.min() < -8
        assert abs(bent.mean()) < 3

    @pytest.mark.parametrize("k", [-0.3, -0.05, 0.0, 0.1, 0.3])
    def test_it_is_the_radial_formula_exactly(self, k: float):
        picture = _noise(1)
        identity = tf.constant([[1.0, 0, 0, 0, 1, 0]])
        mine = places.project(tf.constant(picture), identity, tf.constant([k]), SIZE).numpy()[0]
        y, x = np.mgrid[-1 : 1 : SIZE * 1j, -1 : 1 : SIZE * 1j]
        r = np.hypot(x, y)
        source = r * (1 + k * r**2) / (1 + k) if k >= 0 else r * (1 - k) / (1 - k * r**2)
        factor = np.divide(source, r, out=np.ones_like(r), where=r > 0)
        where = [24 + 24 * factor * y, 24 + 24 * factor * x]
        for channel in range(3):
            exact = ndimage.map_coordinates(
                picture[0, ..., channel], where, order=1, mode="reflect"
            )
            np.testing.assert_allclose(mine[..., channel], exact, atol=0.05)

    def test_neither_way_folds(self):
        for k in (-0.3, 0.3):
            rows, columns = places._bent(SIZE, tf.constant([k]))
            assert (np.diff(rows.numpy(), axis=1) > 0).all()
            assert (np.diff(columns.numpy(), axis=2) > 0).all()

    def test_it_goes_together_with_the_affine_map_in_one_resampling(self):
        noise = tf.constant(_noise(12))
        drawn = draws.operations(tf.constant(12), 0, 1.0, SEED)
        far = Amounts(rotation=20, translation=0.1)
        transforms, _ = places.maps(SIZE, drawn, far, (False, False), SEED)
        plain = places.project(noise, transforms, None, SIZE).numpy()
        straight = places.project(noise, transforms, tf.zeros([12]), SIZE).numpy()
        np.testing.assert_allclose(straight, plain, atol=0.3)


class TestScale:
    """ResNet's crop: a side between the network's and so many times it, then a patch of it."""

    def test_the_side_is_drawn_evenly_and_the_patch_keeps_proportions_and_stays_inside(self):
        out = _augment(_place(600), scale=2.0)
        left, right = out[:, 10, 0, 0] / 250, out[:, 10, -1, 0] / 250
        top, bottom = out[:, 0, 10, 1] / 250, out[:, -1, 10, 1] / 250
        np.testing.assert_allclose(right - left, bottom - top, atol=2e-3)
        assert min(left.min(), top.min()) > -1e-4
        assert max(right.max(), bottom.max()) < 1 + 1e-4
        scales = 1 / (right - left)
        assert 1 <= scales.min() + 1e-4 < 1.02
        assert 1.98 < scales.max() < 2.001
        assert np.allclose(np.quantile(scales, [0.25, 0.5, 0.75]), [1.25, 1.5, 1.75], atol=0.06)
        assert np.corrcoef(left, scales)[0, 1] > 0.3  # there is room only where it is enlarged
        free = (scales > 1.5) & (left > 0)
        assert abs((left / (1 - 1 / scales))[free].mean() - 0.5) < 0.06

    def test_it_takes_the_place_of_the_usual_crop(self):
        made = Augmentation("light", changes=Changes(scale=2.0)).amounts
        assert (made.crop, made.scale, made.colour) == (0, 2, 0.2)
        assert Augmentation("light", changes=Changes(scale=2.0, crop=0.1)).amounts.crop == 0.1

    def test_patches_of_a_larger_picture_are_as_sharp_as_it_is(self):
        held = _noise(300, 2 * SIZE)
        sharp = _augment(held, SIZE, scale=2.0)
        # The same numbers from pictures held at the network's side.
        small = tf.image.resize(held, [SIZE, SIZE], antialias=True).numpy()
        blurred = _augment(small, None, scale=2.0)
        assert sharp.shape == blurred.shape
        where = _augment(_place(300), scale=2.0)
        scales = 250 / (where[:, 10, -1, 0] - where[:, 10, 0, 0])
        large, plain = scales > 1.9, scales < 1.05
        assert large.sum() > 5
        assert plain.sum() > 5
        detail = [np.abs(np.diff(one, axis=2)).mean(axis=(1, 2, 3)) for one in (sharp, blurred)]
        assert (detail[0][large] > 1.5 * detail[1][large]).all()
        np.testing.assert_allclose(detail[0][plain], detail[1][plain], rtol=0.2)

    def test_both_levels_show_the_same_place(self):
        """A smooth picture comes out alike, held large or small."""
        held, small = _place(100, 2 * SIZE), None
        small = tf.image.resize(held, [SIZE, SIZE], antialias=True).numpy()
        sharp, blurred = _augment(held, SIZE, scale=2.0), _augment(small, None, scale=2.0)
        np.testing.assert_allclose(sharp[:, 4:-4, 4:-4], blurred[:, 4:-4, 4:-4], atol=1.5)

    def test_the_largest_scale_cuts_pixels_out_as_they_are(self):
        """At exactly the larger size a patch is a piece of the picture, pixel by pixel."""
        held = _noise(1, 2 * SIZE)
        # Every second pixel step of the small one is one of the large one: columns 20 to 68.
        half = (20 + 0.5) / 2 - 0.5
        transforms = tf.constant([[0.5, 0, half, 0, 0.5, half]])
        ways = (
            lambda some, affine: places.crop(some, affine, SIZE),
            lambda some, affine: places.project(some, affine, None, SIZE),
        )
        for moved in ways:
            out = places.sharply(
                tf.constant(held), transforms, tf.constant([2.0]), SIZE, moved
            ).numpy()
            np.testing.assert_allclose(out[0], held[0, 20 : 20 + SIZE, 20 : 20 + SIZE], atol=0.05)
