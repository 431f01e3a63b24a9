"""Every fact of the catalog, compared with the network that Keras builds."""

import subprocess
import sys
import types
import warnings
from collections.abc import Iterator

import numpy as np
import pytest

from transfer import catalog, weights
from transfer.catalog import BackboneSpec
from transfer.errors import BackboneError, SettingsError

QUICK_PARAMETERS = 6_000_000
IMAGENET_UTILS = "keras.src.applications.imagenet_utils.obtain_input_shape"
KERAS_NAMES = [name for name in catalog.names() if name != catalog.BUILTIN]


@pytest.fixture(scope="module")
def keras() -> types.ModuleType:
    import keras

    return keras


@pytest.fixture
def _forget_networks(keras: types.ModuleType) -> Iterator[None]:
    """Let go of the networks that the test builds; takes half a second."""
    yield
    keras.backend.clear_session()


def _sized(name: str):
    big = catalog.backbone(name).parameters > QUICK_PARAMETERS
    return pytest.param(name, marks=[pytest.mark.slow] if big else [])


def _arguments(spec: BackboneSpec) -> dict[str, float]:
    return {} if spec.alpha is None else {"alpha": spec.alpha}


def _build_pretrained(keras, monkeypatch, spec: BackboneSpec, size: int):
    """Return the network into which Keras loads ImageNet weights, and the file it asks for.

    Only the download and the reading of the file are left out.
    """
    from keras.src.utils import file_utils

    asked: dict[str, str | None] = {}

    def get_file(fname, origin, cache_subdir, file_hash=None):
        asked.update(name=fname, url=origin, hash=file_hash, folder=cache_subdir)

    monkeypatch.setattr(file_utils, "get_file", get_file)
    monkeypatch.setattr(keras.Model, "load_weights", lambda *_: None)
    build = getattr(keras.applications, spec.function)
    with warnings.catch_warnings():  # an unusual size is announced by a UserWarning
        warnings.filterwarnings("ignore", "`input_shape` is undefined or non-square", UserWarning)
        network = build(include_top=False, input_shape=(size, size, 3), **_arguments(spec))
    return network, asked


def _normalizations(keras, network) -> set[str]:
    kinds = {
        keras.layers.BatchNormalization: "BatchNorm",
        keras.layers.LayerNormalization: "LayerNorm",
    }
    return {kinds[type(layer)] for layer in network._flatten_layers() if type(layer) in kinds}


def test_catalog_holds_every_network_of_keras(keras):
    functions = {name for name in dir(keras.applications) if name[0].isupper()}
    assert {catalog.backbone(name).function for name in KERAS_NAMES} == functions


@pytest.mark.usefixtures("_forget_networks")
@pytest.mark.parametrize("name", [_sized(name) for name in KERAS_NAMES])
def test_network_has_the_stated_facts(keras, monkeypatch, name):
    spec = catalog.backbone(name)
    network, asked = _build_pretrained(keras, monkeypatch, spec, spec.min_size)
    assert network.count_params() == spec.parameters
    assert (_normalizations(keras, network) or {"none"}) == {spec.normalization}
    inside = {"Rescaling", "Normalization", "PreStem"}
    scales = inside & {type(layer).__name__ for layer in network.layers}
    assert bool(scales) == (spec.preprocessing == "none")
    assert asked == {
        "name": weights.file_name(spec, spec.min_size),
        "url": str(spec.weights_url).replace("{size}", "224"),
        "hash": spec.weights_hash,
        "folder": "models",
    }


@pytest.mark.parametrize("name", KERAS_NAMES)
def test_input_sizes_are_those_of_the_function(keras, monkeypatch, name):
    spec = catalog.backbone(name)
    build = getattr(keras.applications, spec.function)
    with pytest.raises(ValueError, match=f"at least {spec.min_size}"):
        too_small = (spec.min_size - 1, spec.min_size - 1, 3)
        build(include_top=False, weights=None, input_shape=too_small, **_arguments(spec))
    if spec.family == "MobileNetV3":  # takes any size; its only file is for this one
        assert f"_{spec.input_size}_" in spec.weights_file
        return

    class EnoughError(Exception):
        pass

    def obtain_input_shape(input_shape, default_size, **others):
        raise EnoughError(default_size)

    monkeypatch.setattr(IMAGENET_UTILS, obtain_input_shape)
    with pytest.raises(EnoughError, match=rf"^{spec.input_size}$"):
        build(weights=None, **_arguments(spec))


@pytest.mark.parametrize(
    ("name", "size"),
    [
        *(("MobileNet:0.25", size) for size in (96, 128, 160, 192, 200)),
        *(("MobileNetV2:0.35", size) for size in (96, 128, 160, 192, 200)),
    ],
)
def test_weights_file_follows_the_input_size_as_in_keras(keras, monkeypatch, name, size):
    spec = catalog.backbone(name)
    _, asked = _build_pretrained(keras, monkeypatch, spec, size)
    assert asked["name"] == weights.file_name(spec, size)


@pytest.mark.parametrize("name", [n for n in KERAS_NAMES if ":" not in n])
def test_preprocessing_is_that_of_the_function(keras, name):
    spec = catalog.backbone(name)
    module = sys.modules[getattr(keras.applications, spec.function).__module__]
    pictures = np.random.default_rng(0).uniform(0, 255, (1, 4, 4, 3)).astype("float32")
    expected = pictures
    if spec.preprocessing != "none":
        expected = keras.applications.imagenet_utils.preprocess_input(
            pictures.copy(), mode=spec.preprocessing
        )
    np.testing.assert_array_equal(module.preprocess_input(pictures.copy()), expected)


def test_builtin_has_the_stated_facts(keras):
    from transfer.builtin import network

    spec = catalog.backbone(catalog.BUILTIN)
    built = network.build()
    assert built.count_params() == spec.parameters
    assert _normalizations(keras, built) == {spec.normalization}
    assert built.input_shape == (None, spec.input_size, spec.input_size, 3)
    assert network.build((spec.min_size, spec.min_size, 3)).count_params() == spec.parameters
    assert weights.locate(spec, spec.input_size) == network.WEIGHTS_PATH


def test_every_accuracy_has_a_source():
    for spec in map(catalog.backbone, catalog.names()):
        assert (spec.top1 is None) == (spec.top1_source is None), spec.name
        assert spec.description.endswith("."), spec.name


def test_default_comes_first_and_exists():
    assert catalog.names()[0] == catalog.DEFAULT_BACKBONE
    assert catalog.strategy(catalog.DEFAULT_STRATEGY) in catalog.REQUESTS
    assert set(catalog.STRATEGIES) < set(catalog.REQUESTS)


@pytest.mark.parametrize(
    ("wrong", "hint"),
    [
        ("MobilNetV2", "There is no backbone 'MobilNetV2'. Did you mean 'MobileNetV2'?"),
        ("resnet50", "There is no backbone 'resnet50'. Did you mean 'ResNet50'?"),
        ("MobileNetV2:1.0", "There is no backbone 'MobileNetV2:1.0'. Did you mean 'MobileNetV2'?"),
        ("zzz", "There is no backbone 'zzz'. `python -m transfer backbones` lists"),
    ],
)
def test_unknown_backbone_is_told_the_nearest(wrong, hint):
    with pytest.raises(BackboneError) as caught:
        catalog.backbone(wrong)
    assert str(caught.value).startswith(hint)


def test_unknown_strategy_is_told_what_there_is():
    with pytest.raises(SettingsError, match="Did you mean 'finetune_few'"):
        catalog.strategy("fine_tune_few")
    everything = "auto, all, linear_top, linear_stages, finetune_few, finetune_many"
    with pytest.raises(SettingsError, match=f"Choose one of: {everything}"):
        catalog.strategy("xyz")


def test_what_can_be_asked_for_is_the_table_and_the_two_choices_among_it():
    names = [spec.name for spec in catalog.REQUESTS]
    assert names == ["auto", "all", *(spec.name for spec in catalog.STRATEGIES)]
    assert len(catalog.STRATEGIES) == 4
    for spec in catalog.REQUESTS:
        assert catalog.strategy(spec.name) is spec
        assert spec.summary.endswith("."), spec.name
        assert not spec.title.endswith("."), spec.name


def test_too_small_an_image_size_is_refused():
    with pytest.raises(BackboneError, match="at least 71 pixels a side, but the input size is 64"):
        catalog.check_image_size(catalog.backbone("Xception"), 64)


def test_catalog_and_weights_import_no_keras():
    code = (
        "import sys, transfer.catalog, transfer.weights; transfer.catalog.names();"
        "print([m for m in ('keras', 'tensorflow', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
