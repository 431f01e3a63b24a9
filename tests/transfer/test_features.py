"""Each picture passes through a network once, whoever asks, and the numbers are those of Keras."""

import dataclasses

import keras
import numpy as np
import pytest

from tests.transfer import problems
from transfer import augmentation, backbones, batches, features, pooling, runtimes
from transfer.backbones import Backbone
from transfer.dataset.index import ImageIndex, Picture
from transfer.errors import RunError
from transfer.runtimes import Outputs, graphs
from transfer.runtimes.base import least_cosine
from transfer.runtimes.graphs import KerasExtractor


@pytest.fixture
def passed(monkeypatch) -> list[int]:
    """How many pictures each batch had that passed through a network: Keras' own, ready at once."""
    counts: list[int] = []

    def fastest(model: keras.Model, *_: object) -> KerasExtractor:
        compute = graphs.eager(model)

        def counted(batch: np.ndarray) -> Outputs:
            counts.append(len(batch))
            return compute(batch)

        return KerasExtractor(counted)

    monkeypatch.setattr(runtimes, "fastest", fastest)
    return counts


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    return problems.builtin(64)


@pytest.fixture(scope="module")
def index(tmp_path_factory) -> ImageIndex:
    return problems.dataset(tmp_path_factory.mktemp("pictures"), per_class=6, classes=3)


def _everything(index: ImageIndex) -> list[int]:
    return list(range(len(index.pictures)))


def _of_keras(backbone: Backbone, index: ImageIndex, change=lambda pictures: pictures):
    """Return what Keras' own model says, without any runtime or store."""
    paths = [index.path(picture) for picture in index.pictures]
    data = batches.pictures(paths, backbone.image_size, 64).as_numpy_iterator()
    pictures = np.concatenate([change(batch) for batch in data])
    outputs = backbones.reading(backbone, [pooling.pooled(one) for one in backbone.blocks])(
        pictures.astype(np.float32), training=False
    )
    return [np.asarray(values) for values in keras.tree.flatten(outputs)]


class TestOnce:
    def test_a_second_call_computes_nothing(self, backbone, index, passed):
        first = features.compute(backbone, index, _everything(index))
        assert sum(passed) == 18
        second = features.compute(backbone, index, _everything(index))
        assert sum(passed) == 18
        top = pooling.top(backbone.blocks)
        np.testing.assert_array_equal(
            first.of(top, _everything(index)), second.of(top, _everything(index))
        )

    def test_another_split_computes_only_what_is_new(self, backbone, index, passed):
        features.compute(backbone, index, range(10))
        assert sum(passed) == 10
        features.compute(backbone, index, range(5, 18))
        assert sum(passed) == 18

    def test_corrected_labels_and_names_compute_nothing(self, backbone, index, passed):
        features.compute(backbone, index, _everything(index))
        corrected = tuple(
            dataclasses.replace(one, label="other", name=f"new/{i}", split="train")
            for i, one in enumerate(reversed(index.pictures))
        )
        other = dataclasses.replace(index, digest="f" * 64, pictures=corrected)
        kept = features.compute(backbone, other, _everything(other))
        assert sum(passed) == 18
        top, turned = pooling.top(backbone.blocks), _everything(index)[::-1]
        before = features.compute(backbone, index, _everything(index)).of(top, turned)
        np.testing.assert_array_equal(kept.of(top, _everything(other)), before)

    def test_copies_are_computed_once(self, backbone, index, passed):
        twice = dataclasses.replace(index, pictures=index.pictures[:4] * 3)
        kept = features.compute(backbone, twice, _everything(twice))
        assert sum(passed) == 4
        rows = kept.of(backbone.blocks[0], _everything(twice))
        np.testing.assert_array_equal(rows[:4], rows[8:])

    def test_another_input_size_and_other_weights_are_another_network(
        self, backbone, index, passed, tmp_path
    ):
        features.compute(backbone, index, range(4))
        features.compute(problems.builtin(48), index, range(4))
        assert sum(passed) == 8
        copy = tmp_path / "other.npz"
        copy.write_bytes(backbone.weights_path.read_bytes() + b" ")
        features.compute(dataclasses.replace(backbone, weights_path=copy), index, range(4))
        assert sum(passed) == 12

    def test_what_a_killed_computation_had_done_is_not_done_again(
        self, backbone, tmp_path, passed, monkeypatch
    ):
        index = problems.dataset(tmp_path, per_class=14, classes=3)
        monkeypatch.setattr(features, "BATCH", 4)

        class KilledError(Exception):
            pass

        def die(done: int, total: int) -> None:
            if done >= 16:
                raise KilledError

        with pytest.raises(KilledError):
            features.compute(backbone, index, _everything(index), die)
        before = sum(passed)
        assert 16 <= before <= 42
        told: list[tuple[int, int]] = []
        features.compute(
            backbone, index, _everything(index), lambda done, total: told.append((done, total))
        )
        assert 0 < sum(passed) - before <= 42 - 16
        assert told[0][0] > 16
        assert told[-1] == (42, 42)


class TestNumbers:
    def test_they_are_those_of_keras(self, backbone, index):
        self._check(backbone, index)

    def test_they_are_those_of_keras_with_real_weights(self, shared, index):
        self._check(problems.pretrained(shared, "MobileNetV2", 96), index)

    def _check(self, backbone: Backbone, index: ImageIndex) -> None:
        kept = features.compute(backbone, index, _everything(index))
        expected = _of_keras(backbone, index)
        received = [
            kept.of(block, _everything(index)).astype(np.float32) for block in backbone.blocks
        ]
        assert [one.shape for one in received] == [one.shape for one in expected]
        assert least_cosine(tuple(expected), tuple(received)) > 0.999
        # The pictures are told apart as well: each is nearest to itself.
        one, other = (
            (top - top.mean(axis=0)) / np.linalg.norm(top - top.mean(axis=0), axis=1)[:, None]
            for top in (expected[0], received[0])
        )
        assert ((one @ other.T).argmax(axis=1) == np.arange(len(one))).all()

    def test_any_rows_and_any_block_are_read(self, backbone, index):
        kept = features.compute(backbone, index, _everything(index))
        for block in backbone.blocks:
            whole = kept.of(block, _everything(index))
            assert whole.dtype == np.float16
            assert whole.shape == (18, block.width)
            np.testing.assert_array_equal(kept.of(block, [7, 2, 7]), whole[[7, 2, 7]])

    def test_pictures_that_were_not_computed_are_refused(self, backbone, index):
        kept = features.compute(backbone, index, range(5))
        with pytest.raises(RunError):
            kept.of(backbone.blocks[0], [4, 5])


CHANGES = {"mirrored": augmentation.mirrored, "turned": lambda b: augmentation.turned(b, 1)}


class TestVaried:
    def test_changed_pictures_are_kept_apart_from_plain_ones(self, backbone, index, passed):
        kept = features.compute(backbone, index, _everything(index))
        top = pooling.top(backbone.blocks)
        varied = features.varied(backbone, index, _everything(index), CHANGES)
        assert sum(passed) == 3 * 18
        assert set(varied) == set(CHANGES)
        # Each is what Keras says of the changed picture, and the plain ones are still there.
        for name, change in CHANGES.items():
            expected = _of_keras(backbone, index, change)[backbone.blocks.index(top)]
            got = varied[name].astype(np.float32)
            assert least_cosine((expected,), (got,)) > 0.999
            assert not np.array_equal(got, kept.of(top, _everything(index)))
        features.varied(backbone, index, _everything(index), CHANGES)
        features.compute(backbone, index, _everything(index))
        assert sum(passed) == 3 * 18

    def test_only_what_is_new_is_computed(self, backbone, index, passed):
        features.varied(backbone, index, range(6), CHANGES)
        assert sum(passed) == 12
        rows = features.varied(backbone, index, [3, 4, 8, 9], CHANGES)
        assert sum(passed) == 16
        assert [len(one) for one in rows.values()] == [4, 4]


def test_the_speed_is_kept_once_enough_were_seen(backbone, tmp_path, monkeypatch, passed):
    index = problems.dataset(tmp_path, per_class=5, classes=2)
    features.compute(backbone, index, range(4))
    assert features.seconds_per_picture(backbone) is None
    monkeypatch.setattr(features, "_TIMED", 6)
    features.compute(backbone, index, _everything(index))
    speed = features.seconds_per_picture(backbone)
    assert speed is not None
    assert 0 < speed < 5


def test_pictures_of_any_shape_are_taken(backbone, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (20, 90, 3), np.uint8)
    wide = problems.keep(tmp_path, "a", "wide", pixels)
    high = problems.keep(tmp_path, "b", "high", pixels.transpose(1, 0, 2).copy())
    one = problems.keep(tmp_path, "b", "one", pixels[:1, :1])
    index = ImageIndex(tmp_path, "0" * 64, (wide, high, one))
    kept = features.compute(backbone, index, [0, 1, 2])
    rows = kept.of(pooling.top(backbone.blocks), [0, 1, 2])
    assert np.isfinite(rows).all()
    assert isinstance(wide, Picture)
