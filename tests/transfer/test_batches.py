"""Batches follow from the seed and the epoch alone; a view in order is one of each picture."""

from pathlib import Path

import numpy as np
import pytest

from tests.transfer import problems
from transfer import batches, imaging
from transfer.augmentation import Augmentation
from transfer.batches import TrainingBatches

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
