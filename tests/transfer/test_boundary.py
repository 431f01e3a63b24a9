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
from transfer.changes import Changes
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


def _source(
    index: ImageIndex,
    seed: int = 0,
    batch: int = BATCH,
    augmentation: Augmentation = Augmentation(),  # noqa: B008
) -> TrainingBatches:
    paths = [index.path(one) for one in index.pictures]
    labels = np.array([int(one.label[-1]) for one in index.pictures])
    return TrainingBatches(paths, labels, 2, SIZE, batch, seed, augmentation)


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


class TestMixing:
    """Pictures are mixed before the lower part, and a view has labels of its own."""

    @pytest.fixture(params=[Changes(mixup=1.0), Changes(cutmix=1.0)], ids=["mixup", "cutmix"])
    def source(self, index, request) -> TrainingBatches:
        return _source(index, augmentation=Augmentation("none", changes=request.param))

    def test_an_epoch_has_the_answers_to_mixed_pictures_and_their_labels(
        self, source, parts, lower, tmp_path
    ):
        cached = BoundaryBatches(source, lower, 2, tmp_path)
        pixels, shown = {}, [source.view_labels(view) for view in (0, 1)]
        for view in (0, 1):
            made = np.concatenate(list(source.in_order(view).as_numpy_iterator()))
            pixels[view] = made[np.argsort(source.view_order(view))]
        said = [_answers(parts.lower, pixels[view]) for view in (0, 1)]
        for number in (1, 2, 4):
            order = source.order(number)
            tensors, targets = _listed(cached.epoch(number))
            near = [np.abs(tensors - one[order]).max(axis=(1, 2, 3)) < 0.02 for one in said]
            assert (near[0] ^ near[1]).all(), "each is a view of its own picture"
            if number <= 2:
                assert near[number - 1].all()
            for row, position in enumerate(order):
                partners, shares = shown[int(near[1][row])]
                own, other = source.targets(np.array([position, partners[position]]))
                share = shares[position]
                np.testing.assert_allclose(
                    targets[row], share * own + (1 - share) * other, atol=1e-6
                )

    def test_mixing_what_the_lower_part_says_would_be_something_else(
        self, source, parts, lower, tmp_path
    ):
        """So it is not done: the upper part would learn from what no picture gives."""
        plain = _answers(parts.lower, _plain(source))
        partners, shares = source.view_labels(0)
        share = shares[:, None, None, None]
        blended = share * plain + (1 - share) * plain[partners]
        tensors, _ = _listed(BoundaryBatches(source, lower, 1, tmp_path).epoch(1))
        kept = tensors[np.argsort(source.order(1))]
        assert np.abs(kept - blended).max() > 0.1

    def test_a_killed_training_goes_on_with_the_same_labels(self, source, lower, tmp_path):
        before = _listed(BoundaryBatches(source, lower, 2, tmp_path).epoch(3))
        (tmp_path / "view-1.npy").unlink()
        again = _listed(BoundaryBatches(source, lower, 2, tmp_path).epoch(3))
        for mine, theirs in zip(again, before, strict=True):
            np.testing.assert_array_equal(mine, theirs)


def _plain(source: TrainingBatches) -> np.ndarray:
    return np.asarray(source._kept)


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

    @pytest.mark.parametrize("start", [1, 2])
    def test_the_rest_of_an_epoch_is_that_of_the_whole_one(self, index, lower, tmp_path, start):
        cached = BoundaryBatches(_source(index), lower, 1, tmp_path)
        for number in (1, 2):
            whole, rest = _listed(cached.epoch(number)), _listed(cached.epoch(number, start))
            for mine, theirs in zip(whole, rest, strict=True):
                np.testing.assert_array_equal(mine[start * BATCH :], theirs)

    @pytest.mark.parametrize("damage", [False, True])
    def test_a_view_that_was_broken_off_is_made_from_there(
        self, index, lower, tmp_path, monkeypatch, damage
    ):
        monkeypatch.setattr(boundary, "_SAVE_EVERY", 0.0)
        expected = _listed(BoundaryBatches(_source(index), lower, 1, tmp_path / "one").epoch(1))

        def die(done: int) -> None:
            if done > BATCH:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            BoundaryBatches(_source(index), lower, 1, tmp_path / "two", die).epoch(1)
        (partial,) = (tmp_path / "two").glob(".*.partial")
        if damage:
            partial.write_bytes(partial.read_bytes()[:200])
        seen: list[int] = []
        again = BoundaryBatches(_source(index), lower, 1, tmp_path / "two", seen.append)
        for mine, theirs in zip(expected, _listed(again.epoch(1)), strict=True):
            np.testing.assert_array_equal(mine, theirs)
        assert seen == ([BATCH, 2 * BATCH, COUNT] if damage else [COUNT])
        assert [path.name for path in (tmp_path / "two").iterdir()] == ["view-0.npy"]

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
