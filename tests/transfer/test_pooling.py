"""What is kept of a stage: means over the picture and over its four quarters, side by side."""

import itertools
from typing import Any

import keras
import numpy as np
import pytest

from tests.transfer import problems
from transfer import backbones, pooling


def _pictures(size: int, count: int = 5) -> np.ndarray:
    return np.stack([problems.stripes(i % 4, i, size) for i in range(count)]).astype(np.float32)


def _quarters(values: np.ndarray) -> np.ndarray:
    """Return the means of the four quarters [n, 4 * channels]; a middle row is in both halves."""
    height, width = values.shape[1:3]
    top, bottom = slice(0, -(-height // 2)), slice(height // 2, None)
    left, right = slice(0, -(-width // 2)), slice(width // 2, None)
    parts = [values[:, r, c].mean(axis=(1, 2)) for r in (top, bottom) for c in (left, right)]
    return np.concatenate(parts, axis=1)


@pytest.mark.parametrize("size", [64, 80, 32, 48], ids=["even", "odd", "two", "odd and even"])
def test_each_block_is_the_mean_of_its_stage(size):
    backbone, pictures = problems.builtin(size), _pictures(size)
    vectors = np.asarray(backbones.vectors(backbone, backbone.blocks)(pictures, training=False))
    tensors = [block.stage.tensor for block in backbone.blocks]
    maps = backbones.reading(backbone, tensors)(pictures, training=False)
    assert vectors.shape == (len(pictures), backbone.blocks[-1].columns.stop)
    for block, values in zip(backbone.blocks, maps, strict=True):
        values = np.asarray(values)
        expected = values.mean(axis=(1, 2)) if block.kind == "mean" else _quarters(values)
        np.testing.assert_allclose(vectors[:, block.columns], expected, rtol=1e-4, atol=1e-5)


def test_a_map_of_one_pixel_has_four_equal_quarters():
    inputs = keras.Input((32, 32, 3))
    values = keras.layers.Conv2D(4, 3, strides=4, padding="same")(inputs)
    values = keras.layers.Conv2D(6, 3, strides=8, padding="same")(values)
    blocks = pooling.blocks(keras.Model(inputs, values))
    grid = keras.Model(inputs, pooling.pooled(blocks[-1]))
    mean = keras.Model(inputs, pooling.pooled(pooling.top(blocks)))
    pictures = _pictures(32)
    np.testing.assert_allclose(
        np.asarray(grid(pictures)), np.tile(np.asarray(mean(pictures)), (1, 4)), rtol=1e-5
    )


@pytest.mark.parametrize("name", ["builtin", "MobileNetV2"])
def test_the_blocks_stand_side_by_side_without_gaps(name):
    blocks = pooling.blocks(problems.build(name, 64))
    assert blocks[0].start == 0
    for one, other in itertools.pairwise(blocks):
        assert one.columns.stop == other.columns.start
    assert len({block.name for block in blocks}) == len(blocks)
    for block in blocks:
        assert block.width == block.columns.stop - block.columns.start
        assert block.width == block.stage.channels * (4 if block.kind == "grid" else 1)


def test_there_is_one_mean_a_stage_and_the_top_is_the_last_of_them():
    network = problems.build("builtin", 64)
    blocks = pooling.blocks(network)
    means = pooling.means(blocks)
    assert [block.stage.number for block in means] == list(range(1, len(means) + 1))
    assert pooling.top(blocks) == means[-1]
    assert pooling.top(blocks).stage.tensor is network.output
    grids = [block.stage.number for block in blocks if block.kind == "grid"]
    assert grids == [block.stage.number for block in means[-pooling.GRID_STAGES :]]


def test_the_model_of_the_vectors_survives_saving(tmp_path):
    backbone, pictures = problems.builtin(48), _pictures(48)
    model = backbones.vectors(backbone, backbone.blocks)
    model.save(tmp_path / "vectors.keras")
    loaded: Any = keras.saving.load_model(tmp_path / "vectors.keras", compile=False)
    one, other = (np.asarray(each(pictures, training=False)) for each in (model, loaded))
    assert one.std() > 0
    np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)
