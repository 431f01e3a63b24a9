"""What a frozen lower part says is said once, and training does not notice."""

from pathlib import Path

import keras
import numpy as np
import pytest

from tests.transfer import problems
from transfer import backbones, batches, boundary, stages
from transfer.augmentation import Augmentation
from transfer.backbones import Backbone, Halves
from transfer.batches import TrainingBatches
from transfer.boundary import BoundaryBatches, Lower
from transfer.dataset.index import ImageIndex
from transfer.linear import LinearHead
from transfer.runtimes import graphs
from transfer.runtimes.graphs import KerasExtractor

SIZE, BATCH, COUNT = 32, 8, 22


@pytest.fixture(scope="module")
def index(tmp_path_factory) -> ImageIndex:
    return problems.dataset(tmp_path_factory.mktemp("pictures"), per_class=11, size=40)


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    return problems.builtin(SIZE)


@pytest.fixture(scope="module")
def parts(backbone) -> Halves:
    cut = next(one for one in stages.cuts(backbone.network) if one.level == 3)
    kernel = np.random.default_rng(0).normal(0, 0.1, (256, 2)).astype(np.float32)
    return backbones.halves(backbone, cut, LinearHead(kernel, np.zeros(2), 1.0, 1.0, 0.0), 0.0)


@pytest.fixture(scope="module")
def lower(parts) -> Lower:
    shape = tuple(int(side) for side in parts.lower.output.shape[1:])
    return Lower(KerasExtractor(graphs.eager(parts.lower)), shape)  # pyright: ignore[reportArgumentType]


def _source(index: ImageIndex, seed: int = 0, batch: int = BATCH) -> TrainingBatches:
    paths = [index.path(one) for one in index.pictures]
    labels = np.array([int(one.label[-1]) for one in index.pictures])
    return TrainingBatches(paths, labels, 2, SIZE, batch, seed, Augmentation())


def _listed(data) -> tuple[np.ndarray, np.ndarray]:
    tensors, targets = zip(*data.as_numpy_iterator(), strict=True)
    return np.concatenate(tensors), np.concatenate(targets)


def _answers(model: keras.Model, pictures: np.ndarray) -> np.ndarray:
    return np.asarray(model(pictures.astype(np.float32), training=False))


def _view(source: TrainingBatches, parts: Halves, number: int) -> np.ndarray:
    """Return what the lower part says of one augmented view, computed anew."""
    return _answers(parts.lower, np.concatenate(list(source.in_order(number).as_numpy_iterator())))


class TestEpochs:
    def test_the_first_ones_are_what_training_without_a_cache_would_see(
        self, index, parts, lower, tmp_path
    ):
        source = _source(index)
        cached = BoundaryBatches(source, lower, 3, tmp_path)
        assert cached.steps == source.steps == 3
        for number in (1, 2, 3):
            order = source.order(number)
            tensors, targets = _listed(cached.epoch(number))
            expected = _view(source, parts, number - 1)[order]
            np.testing.assert_allclose(tensors, expected, rtol=2e-3, atol=2e-3)  # half precision
            np.testing.assert_array_equal(targets, source.targets(order))
            # The upper part cannot tell: it answers as the whole does for the pictures.
            pixels = np.concatenate(list(source.in_order(number - 1).as_numpy_iterator()))
            whole = _answers(parts.whole, pixels[order])
            np.testing.assert_allclose(_answers(parts.upper, tensors), whole, atol=2e-3)

    def test_each_of_them_is_another_view(self, index, lower, tmp_path):
        source = _source(index)
        cached = BoundaryBatches(source, lower, 2, tmp_path)
        views = []
        for number in (1, 2):
            tensors, _ = _listed(cached.epoch(number))
            views.append(tensors[np.argsort(source.order(number))])
        assert all(not np.array_equal(a, b) for a, b in zip(*views, strict=True))

    def test_later_ones_draw_from_the_views_for_each_picture(self, index, parts, lower, tmp_path):
        source = _source(index)
        cached = BoundaryBatches(source, lower, 2, tmp_path)
        views = [_listed(cached.epoch(n))[0][np.argsort(source.order(n))] for n in (1, 2)]
        drawn = []
        for number in (3, 4, 5):
            tensors, targets = _listed(cached.epoch(number))
            order = source.order(number)
            np.testing.assert_array_equal(targets, source.targets(order))
            own = tensors[np.argsort(order)]
            same = [
                [np.array_equal(a, b) for a, b in zip(own, view, strict=True)] for view in views
            ]
            assert np.any(same, axis=0).all(), "each is one of the views of its own picture"
            drawn.append(np.argmax(same, axis=0))
        assert len({tuple(some) for some in drawn}) == 3  # each epoch draws anew
        assert {0, 1} == set(np.concatenate(drawn))

    def test_nothing_is_computed_after_the_views_are_there(self, index, lower, tmp_path):
        seen: list[int] = []
        cached = BoundaryBatches(_source(index), lower, 2, tmp_path, seen.append)
        for number in (1, 2):
            _listed(cached.epoch(number))
        assert seen[-1] == COUNT
        computed = len(seen)
        for number in (3, 4, 1):
            _listed(cached.epoch(number))
        assert len(seen) == computed

    @pytest.mark.skipif(not Path("/proc/self/maps").is_file(), reason="needs /proc")
    def test_each_file_is_mapped_into_memory_once(self, index, lower, tmp_path):
        cached = BoundaryBatches(_source(index), lower, 2, tmp_path)
        epochs = [cached.epoch(number) for number in range(1, 7)]  # TensorFlow keeps them for long
        for epoch in epochs:
            _listed(epoch)
        maps = Path("/proc/self/maps").read_text().splitlines()
        assert sum(f"{tmp_path}/view-" in line for line in maps) == 2


class TestGoingOn:
    def test_half_of_the_views_lost_changes_nothing(self, index, lower, tmp_path):
        cached = BoundaryBatches(_source(index), lower, 3, tmp_path)
        before = [_listed(cached.epoch(number)) for number in (1, 2, 3, 4)]
        files = sorted(tmp_path.glob("view-*.npy"))
        assert len(files) == 3
        for file in files[::2]:
            file.unlink()
        (tmp_path / f".{files[0].name}.partial").write_bytes(b"broken off")
        again = BoundaryBatches(_source(index), lower, 3, tmp_path)
        for number, (tensors, targets) in enumerate(before, start=1):
            mine = _listed(again.epoch(number))
            np.testing.assert_array_equal(mine[0], tensors)
            np.testing.assert_array_equal(mine[1], targets)

    def test_a_later_epoch_asked_first_is_the_same(self, index, lower, tmp_path):
        one = BoundaryBatches(_source(index), lower, 2, tmp_path / "one")
        for number in (1, 2):
            _listed(one.epoch(number))
        other = BoundaryBatches(_source(index), lower, 2, tmp_path / "other")
        np.testing.assert_array_equal(_listed(one.epoch(4))[0], _listed(other.epoch(4))[0])

    def test_another_seed_is_another_order_and_other_views(self, index, lower, tmp_path):
        one, other = (
            _listed(BoundaryBatches(_source(index, seed), lower, 1, tmp_path / str(seed)).epoch(1))
            for seed in (0, 1)
        )
        assert not np.array_equal(one[0], other[0])


class TestRoom:
    def test_the_disk_decides_how_many_views_are_kept(self, monkeypatch, tmp_path):
        one = 2 * 4 * 4 * 8 * 100  # bytes: half precision
        for limit, views in ((0, 0), (one - 1, 0), (one, 1), (3 * one, 3), (10**15, None)):
            monkeypatch.setattr(boundary, "MOST_BYTES", limit)
            found = boundary.views((4, 4, 8), 100, tmp_path)
            assert found == (boundary.MOST_VIEWS if views is None else views)

    def test_a_full_disk_keeps_none(self, monkeypatch, tmp_path):
        usage = type("Usage", (), {"free": 1000})
        monkeypatch.setattr(boundary.shutil, "disk_usage", lambda _: usage)
        assert boundary.views((4, 4, 8), 100, tmp_path) == 0

    def test_views_that_are_there_already_do_not_make_them_fewer(self, monkeypatch, tmp_path):
        one = 2 * 4 * 4 * 8 * 100
        disk = 20 * one
        taken = lambda: sum(file.stat().st_size for file in tmp_path.iterdir())  # noqa: E731
        monkeypatch.setattr(
            boundary.shutil, "disk_usage", lambda _: type("Usage", (), {"free": disk - taken()})
        )
        before = boundary.views((4, 4, 8), 100, tmp_path)
        assert 1 < before < boundary.MOST_VIEWS
        for number in range(before):
            (tmp_path / f"view-{number}.npy").write_bytes(bytes(one))
            assert boundary.views((4, 4, 8), 100, tmp_path) == before


def test_plain_answers_are_kept_and_read_again(index, parts, lower, tmp_path):
    paths: list[Path] = [index.path(one) for one in index.pictures[:10]]
    told: list[int] = []
    first = boundary.plain(lower, paths, SIZE, tmp_path / "deep" / "validation.npy", told.append)
    assert first.shape == (10, *lower.shape)
    assert first.dtype == np.float16
    pixels = np.concatenate(list(batches.pictures(paths, SIZE, 4).as_numpy_iterator()))
    np.testing.assert_allclose(first, _answers(parts.lower, pixels), rtol=2e-3, atol=2e-3)
    assert told == [10]
    again = boundary.plain(lower, paths, SIZE, tmp_path / "deep" / "validation.npy", told.append)
    np.testing.assert_array_equal(first, again)
    assert told == [10]


def test_numbers_beyond_half_precision_are_bounded(index, tmp_path):
    inputs = keras.Input((SIZE, SIZE, 3))
    model = keras.Model(inputs, keras.layers.Rescaling(1e6)(inputs))
    huge = Lower(KerasExtractor(graphs.eager(model)), (SIZE, SIZE, 3))
    paths = [index.path(one) for one in index.pictures[:3]]
    kept = boundary.plain(huge, paths, SIZE, tmp_path / "huge.npy", lambda _: None)
    assert np.isfinite(kept).all()
    assert kept.max() == np.finfo(np.float16).max
