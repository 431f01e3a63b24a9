"""The built-in backbone: its weights, its shapes, and the pictures that it was trained on."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from transfer.builtin import pictures
from transfer.errors import BackboneError

FIRST_OF_FAMILY = np.cumsum([0, *pictures.FAMILIES.values()])[:-1].tolist()


def test_there_are_at_least_fifty_classes():
    assert pictures.NUM_CLASSES >= 50
    families = [pictures.family_of(number)[0] for number in range(pictures.NUM_CLASSES)]
    assert list(dict.fromkeys(families)) == list(pictures.FAMILIES)


@pytest.mark.parametrize("class_id", range(0, pictures.NUM_CLASSES, 3))
def test_every_kind_of_class_renders(class_id):
    picture = pictures.render(class_id, np.random.default_rng(class_id), 64)
    assert picture.shape == (64, 64, 3)
    assert picture.dtype == np.uint8
    assert picture.std() > 0


@pytest.mark.parametrize("class_id", FIRST_OF_FAMILY)
@pytest.mark.parametrize("size", [32, 96])
def test_a_seed_gives_the_same_picture_each_time(class_id, size):
    first, again, other = (
        pictures.render(class_id, np.random.default_rng(seed), size) for seed in (5, 5, 6)
    )
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_colour_tells_apart_only_the_classes_of_the_family_colours():
    def mean_colours(class_id):
        drawn = [pictures.render(class_id, np.random.default_rng(k), 32) for k in range(40)]
        return np.stack([picture.mean(axis=(0, 1)) for picture in drawn])

    colours = pictures.NUM_CLASSES - 1
    texture = FIRST_OF_FAMILY[list(pictures.FAMILIES).index("texture")]
    assert mean_colours(colours).std(axis=0).mean() < mean_colours(texture).std(axis=0).mean()


@pytest.mark.parametrize("class_id", [-1, pictures.NUM_CLASSES])
def test_an_unknown_class_is_refused(class_id):
    with pytest.raises(ValueError, match="from 0 to"):
        pictures.render(class_id, np.random.default_rng(0), 32)


def test_pictures_need_no_tensorflow():
    code = (
        "import sys; from transfer.builtin import pictures; "
        "sys.exit(int('tensorflow' in sys.modules or 'keras' in sys.modules))"
    )
    root = Path(__file__).resolve().parents[2]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0


def test_the_weights_are_at_most_four_megabytes(network):
    assert network.WEIGHTS_PATH.stat().st_size <= 4_000_000


@pytest.mark.parametrize("size", [64, 96, 128])
def test_a_picture_becomes_a_feature_map(network, size):
    model = network.build_pretrained((size, size, 3))
    picture = pictures.render(0, np.random.default_rng(0), size).astype(np.float32) / 127.5 - 1
    features = np.asarray(model(picture[None], training=False))
    assert features.shape == (1, size // 16, size // 16, network.FEATURE_DIM)
    assert np.isfinite(features).all()
    assert features.std() > 0


def test_pictures_of_any_size_are_taken(network):
    model = network.build_pretrained((None, None, 3))
    for height, width in ((48, 80), (100, 100)):
        features = model(np.zeros((1, height, width, 3), np.float32), training=False)
        assert features.shape[-1] == network.FEATURE_DIM


def test_stages_are_named_and_halve_the_resolution(network):
    model = network.build((128, 128, 3))
    sides = [model.get_layer(name).output.shape[1] for name in network.STAGES]
    assert sides == [64, 64, 32, 16, 8]
    assert network.STAGES[-1] == model.layers[-1].name


def test_the_weights_that_come_with_it_are_trained(network):
    trained, fresh = network.build_pretrained(), network.build()
    for name in ("stem_bn", "stage2_block1_bn1", "stage4_block1_bn2"):
        layer = trained.get_layer(name)
        assert np.abs(np.asarray(layer.moving_mean)).max() > 0.001
        assert np.abs(np.asarray(layer.moving_variance) - 1).max() > 0.05
    kernel = np.asarray(trained.get_layer("stem_conv").kernel)
    assert not np.allclose(kernel, np.asarray(fresh.get_layer("stem_conv").kernel))


def test_weights_survive_saving_and_loading(network, tmp_path):
    saved, loaded = network.build(), network.build()
    network.save(saved, tmp_path / "weights.npz")
    network.load(loaded, tmp_path / "weights.npz")
    for one, other in zip(saved.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-6)


def test_missing_or_foreign_weights_are_refused_with_a_remedy(network, tmp_path):
    with pytest.raises(BackboneError, match="pretrain_builtin"):
        network.build_pretrained(weights_path=tmp_path / "none.npz")
    np.savez(tmp_path / "other.npz", kernel=np.zeros(3))
    with pytest.raises(BackboneError, match="another network"):
        network.build_pretrained(weights_path=tmp_path / "other.npz")


def test_the_second_head_learns_shares_of_colours():
    import tensorflow as tf

    from scripts import pretrain_builtin

    white_and_black = np.ones((1, 8, 8, 3), np.float32)
    white_and_black[:, :, 4:] = -1
    shares = np.asarray(pretrain_builtin.colours(tf.constant(white_and_black)))
    assert shares.shape == (1, 64)
    np.testing.assert_allclose(shares[0, [0, 63]], 0.5)


@pytest.fixture(scope="module")
def network():
    from transfer.builtin import network

    return network
