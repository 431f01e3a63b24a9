"""Batches follow from the seed and the epoch alone; a view in order is one of each picture."""

from pathlib import Path

import numpy as np
import pytest

from tests.transfer import problems
from transfer import batches, imaging, presized
from transfer.augmentation import Augmentation, components
from transfer.batches import TrainingBatches
from transfer.changes import Changes

SIZE = 32
COUNT = 22  # the last batch is smaller


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> tuple[list[Path], np.ndarray]:
    index = problems.dataset(tmp_path_factory.mktemp("pictures"), per_class=11, size=40)
    labels = np.array([int(one.label[-1]) for one in index.pictures])
    return [index.path(one) for one in index.pictures], labels


def _batches(files, seed: int = 0, augmentation: Augmentation | None = None) -> TrainingBatches:
    paths, labels = files
    return TrainingBatches(paths, labels, 2, SIZE, 8, seed, augmentation)


def _listed(data) -> list[tuple[np.ndarray, np.ndarray]]:
    return list(data.as_numpy_iterator())


@pytest.mark.parametrize("augmentation", [None, Augmentation(), Augmentation("strong", turn=True)])
def test_the_same_seed_and_epoch_give_the_same_batches(files, augmentation):
    one, same, other = (_batches(files, seed, augmentation) for seed in (0, 0, 1))
    first = _listed(one.epoch(1))
    assert len(first) == one.steps == 3
    for mine, theirs in zip(first, _listed(same.epoch(1)), strict=True):
        assert np.array_equal(mine[0], theirs[0])
        assert np.array_equal(mine[1], theirs[1])
    assert not np.array_equal(first[0][0], _listed(one.epoch(2))[0][0])
    assert not np.array_equal(first[0][0], _listed(other.epoch(1))[0][0])
    for pixels, _ in first:
        assert pixels.dtype == np.float32
        assert pixels.min() >= 0
        assert pixels.max() <= 255


@pytest.mark.parametrize("start", [1, 2, 3])
def test_the_rest_of_an_epoch_is_that_of_the_whole_one(files, start):
    data = _batches(files, 0, Augmentation("strong"))
    whole, rest = _listed(data.epoch(2)), _listed(data.epoch(2, start))
    assert len(rest) == len(whole) - start
    for mine, theirs in zip(whole[start:], rest, strict=True):
        assert np.array_equal(mine[0], theirs[0])
        assert np.array_equal(mine[1], theirs[1])


def test_an_epoch_goes_once_through_all_pictures_with_their_labels(files):
    data = _batches(files)
    plain = np.concatenate(list(batches.pictures(files[0], SIZE, 8).as_numpy_iterator()))
    order = data.order(3)
    assert sorted(order) == list(range(COUNT))
    pixels, targets = (np.concatenate(part) for part in zip(*_listed(data.epoch(3)), strict=True))
    np.testing.assert_array_equal(pixels, plain[order])
    np.testing.assert_array_equal(targets, np.eye(2)[files[1][order]])
    np.testing.assert_array_equal(targets, data.targets(order))


def test_a_view_has_each_picture_in_order(files):
    data = _batches(files)
    plain = np.concatenate(list(batches.pictures(files[0], SIZE, 8).as_numpy_iterator()))
    view = np.concatenate(_listed(data.in_order(1)))
    assert view.dtype == np.uint8
    np.testing.assert_array_equal(view, plain)


def test_views_differ_and_are_the_same_for_the_same_number(files):
    data, again = _batches(files, 0, Augmentation()), _batches(files, 0, Augmentation())
    one, same, other = (np.concatenate(_listed(some)) for some in (
        data.in_order(1), again.in_order(1), data.in_order(2)
    ))  # fmt: skip
    np.testing.assert_array_equal(one, same)
    assert all(not np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_a_view_is_not_the_epoch_of_the_same_number(files):
    # The streams differ, else a picture would be changed alike in both.
    data = _batches(files, 0, Augmentation())
    view = np.concatenate(_listed(data.in_order(1)))[data.order(1)]
    pixels = np.concatenate([batch for batch, _ in _listed(data.epoch(1))])
    assert not np.array_equal(view, pixels.round().astype(np.uint8))


def test_pictures_that_do_not_fit_in_memory_are_read_each_time(files, monkeypatch):
    kept = _listed(_batches(files, 0, Augmentation()).epoch(1))
    monkeypatch.setattr(batches, "CACHE_BYTES", 0)
    read = _listed(_batches(files, 0, Augmentation()).epoch(1))
    for mine, theirs in zip(kept, read, strict=True):
        assert np.array_equal(mine[0], theirs[0])


class TestManyPictures:
    """More than fit in memory."""

    @pytest.fixture(autouse=True)
    def _little_memory(self, monkeypatch) -> None:
        monkeypatch.setattr(batches, "CACHE_BYTES", 0)

    def _made(self, files, folder: Path) -> TrainingBatches:
        paths, labels = files
        return TrainingBatches(paths, labels, 2, SIZE, 8, 0, Augmentation(), folder)

    def test_they_are_decoded_once_and_then_come_from_one_file(self, files, tmp_path, monkeypatch):
        read = _listed(_batches(files, 0, Augmentation()).epoch(1))
        one = self._made(files, tmp_path)
        (file,) = tmp_path.iterdir()
        assert file.stat().st_size == pytest.approx(COUNT * SIZE * SIZE * 3, abs=200)
        monkeypatch.setattr(batches, "pictures", None)  # nothing is decoded any more
        monkeypatch.setattr(TrainingBatches, "_read", None)
        for data in (one, self._made(files, tmp_path)):
            for mine, theirs in zip(_listed(data.epoch(1)), read, strict=True):
                np.testing.assert_array_equal(mine[0], theirs[0])
                np.testing.assert_array_equal(mine[1], theirs[1])

    def test_what_a_killed_process_has_left_is_not_believed(self, files, tmp_path):
        whole = np.concatenate(_listed(self._made(files, tmp_path / "a").in_order(1)))
        (tmp_path / "b").mkdir()
        (tmp_path / "b" / f".pictures-{SIZE}.npy.partial").write_bytes(b"broken off")
        again = np.concatenate(_listed(self._made(files, tmp_path / "b").in_order(1)))
        np.testing.assert_array_equal(whole, again)
        assert len(list((tmp_path / "b").iterdir())) == 1

    @pytest.mark.parametrize("fault", ["little room", "none at all"])
    def test_without_room_on_the_disk_they_are_decoded_each_time(
        self, files, tmp_path, monkeypatch, fault
    ):
        def full(*_: object) -> None:
            raise OSError(28, "No space left on device")

        if fault == "little room":
            free = type("Usage", (), {"free": 1000})
            monkeypatch.setattr(presized.shutil, "disk_usage", lambda _: free)
        else:
            monkeypatch.setattr(presized.os, "posix_fallocate", full)
        read = _listed(_batches(files, 0, Augmentation()).epoch(1))
        for mine, theirs in zip(_listed(self._made(files, tmp_path).epoch(1)), read, strict=True):
            np.testing.assert_array_equal(mine[0], theirs[0])
        assert list(tmp_path.iterdir()) == []


def test_pictures_come_in_order_resized_as_everywhere(files):
    import tensorflow as tf

    found = np.concatenate(list(batches.pictures(files[0], SIZE, 5).as_numpy_iterator()))
    assert found.shape == (COUNT, SIZE, SIZE, 3)
    assert found.dtype == np.uint8
    for path, pixels in zip(files[0][:3], found, strict=False):
        alone = imaging.decode_and_resize(tf.constant(path.read_bytes()), SIZE).numpy()
        np.testing.assert_array_equal(pixels, alone)


def test_no_thread_tunes_a_pipeline(files):
    # Its end would have to wait for that thread, which sleeps for seconds.
    made = _batches(files, 0, Augmentation())
    for data in (batches.pictures(files[0], SIZE, 8), made.epoch(1), made.in_order(1)):
        assert data.options().autotune.enabled is False


MIXED = [Changes(mixup=0.4), Changes(cutmix=1), Changes(mixup=0.4, cutmix=1)]


@pytest.mark.parametrize("said", MIXED)
def test_mixed_batches_have_labels_mixed_alike(files, said):
    made = _batches(files, 0, Augmentation("none", False, changes=said))
    plain = _listed(_batches(files).epoch(2))
    for (pixels, targets), (before, labels) in zip(_listed(made.epoch(2)), plain, strict=True):
        np.testing.assert_allclose(targets.sum(axis=1), 1, atol=1e-6)
        other, others = np.roll(before, 1, axis=0), np.roll(labels, 1, axis=0)
        # How much of it is the picture itself, found out from its pixels.
        apart = (before != other).any(axis=3)
        for i in range(len(pixels)):
            there = before[i] != other[i]
            share = ((pixels[i] - other[i])[there] / (before[i] - other[i])[there]).mean()
            assert apart[i].mean() > 0.98
            expected = share * labels[i] + (1 - share) * others[i]
            np.testing.assert_allclose(targets[i], expected, atol=0.03)
    assert any(((targets > 0.02) & (targets < 0.98)).any() for _, targets in _listed(made.epoch(2)))


@pytest.mark.parametrize("said", MIXED)
def test_a_mixed_view_says_what_it_shows(files, said):
    made = _batches(files, 0, Augmentation("none", False, changes=said))
    plain = np.concatenate(_listed(_batches(files).in_order(0))).astype(float)
    order = made.view_order(1)
    assert sorted(order) == list(range(COUNT))
    assert not np.array_equal(order, np.arange(COUNT))
    view = np.concatenate(_listed(made.in_order(1)))[np.argsort(order)].astype(float)
    partners, shares = made.view_labels(1)
    assert set(partners) == set(range(COUNT))
    assert (partners != np.arange(COUNT)).all()
    same, other = files[1][partners] == files[1], files[1][partners] != files[1]
    assert same.any(), "pictures mix with their own class"
    assert other.any(), "and with the other"
    if not said.cutmix:
        blend = shares[:, None, None, None] * plain
        blend += (1 - shares)[:, None, None, None] * plain[partners]
        np.testing.assert_allclose(view, blend, atol=0.51)
    if not said.mixup:
        pasted = (view == plain[partners]).all(axis=3) & (view != plain).any(axis=3)
        np.testing.assert_allclose(pasted.mean((1, 2)), 1 - shares, atol=0.02)


def test_a_view_that_is_not_mixed_shows_each_picture_alone(files):
    made = _batches(files, 0, Augmentation())
    partners, shares = made.view_labels(3)
    np.testing.assert_array_equal(partners, np.arange(COUNT))
    assert (shares == 1).all()
    np.testing.assert_array_equal(made.view_order(3), np.arange(COUNT))


def test_pictures_are_held_larger_where_parts_are_enlarged(files, monkeypatch):
    settings = Augmentation("none", False, changes=Changes(scale=1.25, pca_colour=0.1))
    made = _batches(files, 0, settings)
    assert made._kept is not None
    assert made._kept.shape == (COUNT, 40, 40, 3)
    for pixels, _ in _listed(made.epoch(1)):
        assert pixels.shape[1:] == (SIZE, SIZE, 3)
    expected = components(batches.loaded(files[0], 40))
    np.testing.assert_array_equal(made._components, expected)
    monkeypatch.setattr(batches, "CACHE_BYTES", 0)
    read = _batches(files, 0, settings)  # decoded anew each time, and the colours from a sample
    assert read._components is not None
    np.testing.assert_allclose(read._components, expected, rtol=1e-5)
    for mine, theirs in zip(_listed(made.epoch(1)), _listed(read.epoch(1)), strict=True):
        np.testing.assert_allclose(mine[0], theirs[0], atol=1e-2)
