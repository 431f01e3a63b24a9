"""Weight files: where they are looked for, how they are fetched, and that they fit."""

import dataclasses
import functools
import hashlib
import http.server
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from transfer import catalog, weights
from transfer.errors import BackboneError

V2 = catalog.backbone("MobileNetV2")
NARROW = catalog.backbone("MobileNet:0.75")
V2_FILE = "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_{}_no_top.h5"


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder for weights, where Keras and we look for them."""
    folder = tmp_path / "keras" / "models"
    folder.mkdir(parents=True)
    monkeypatch.setenv("KERAS_HOME", str(folder.parent))
    return folder


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder, and the address under which a web server offers its files."""
    folder = tmp_path / "served"
    folder.mkdir()
    handler = functools.partial(_Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield folder, f"http://127.0.0.1:{running.server_address[1]}"
        running.shutdown()
        thread.join()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


def _served(address: str, content: bytes | None = None) -> catalog.BackboneSpec:
    digest = None if content is None else hashlib.md5(content).hexdigest()
    return dataclasses.replace(V2, weights_url=address + "/" + V2.weights_file, weights_hash=digest)


@pytest.mark.parametrize(
    ("name", "size", "file"),
    [
        ("MobileNetV2", 224, V2_FILE.format(224)),
        ("MobileNetV2", 160, V2_FILE.format(160)),
        ("MobileNetV2", 200, V2_FILE.format(224)),
        ("MobileNet:0.75", 192, "mobilenet_7_5_192_tf_no_top.h5"),
        ("MobileNet:0.75", 96, "mobilenet_7_5_224_tf_no_top.h5"),
        ("ResNet50", 160, "resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5"),
        ("EfficientNetB0", 300, "efficientnetb0_notop.h5"),
    ],
)
def test_file_name(name, size, file):
    assert weights.file_name(catalog.backbone(name), size) == file


def test_folder_is_that_of_keras(monkeypatch, tmp_path):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "elsewhere"))
    assert weights.folder() == tmp_path / "elsewhere" / "models"
    monkeypatch.delenv("KERAS_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert weights.folder() == tmp_path / ".keras" / "models"


def test_file_of_the_size_comes_before_that_for_224(models):
    common, own = models / V2_FILE.format(224), models / V2_FILE.format(160)
    assert weights.locate(V2, 160) is None
    common.touch()
    assert weights.locate(V2, 160) == common
    own.touch()
    assert weights.locate(V2, 160) == own
    assert weights.locate(V2, 224) == common


def test_default_size_is_one_whose_file_is_here(models):
    assert weights.status(NARROW) == "absent"
    assert weights.default_size(NARROW) == 224
    (models / "mobilenet_7_5_128_tf_no_top.h5").touch()
    (models / "mobilenet_7_5_192_tf_no_top.h5").touch()
    assert weights.status(NARROW) == "present"
    assert weights.default_size(NARROW) == 192
    (models / "mobilenet_7_5_224_tf_no_top.h5").touch()
    assert weights.default_size(NARROW) == 224


def test_builtin_needs_no_file_of_keras(models):
    spec = catalog.backbone(catalog.BUILTIN)
    assert weights.status(spec) == "present"
    assert weights.obtain(spec, 128).parent.name == "builtin"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_files_are_found_in_a_folder_that_cannot_be_written_to(models):
    (models / V2_FILE.format(224)).touch()
    models.parent.chmod(0o555)
    try:
        assert weights.obtain(V2, 224) == models / V2_FILE.format(224)
    finally:
        models.parent.chmod(0o755)


def test_download_puts_the_whole_file_in_place_and_keeps_standard_output_clean(
    models, server, capfd
):
    folder, address = server
    content = np.random.default_rng(0).bytes(3_000_000)
    (folder / V2_FILE.format(160)).write_bytes(content)
    seen: list[tuple[int, int]] = []
    path = weights.obtain(
        _served(address, content), 160, lambda done, total: seen.append((done, total))
    )
    assert path == models / V2_FILE.format(160)
    assert path.read_bytes() == content
    assert list(models.iterdir()) == [path]
    assert capfd.readouterr().out == ""
    assert seen
    assert seen == sorted(seen)
    assert {total for _, total in seen} == {len(content)}


def test_damaged_download_is_refused_and_leaves_nothing(models, server):
    folder, address = server
    (folder / V2_FILE.format(224)).write_bytes(b"not what was promised")
    with pytest.raises(BackboneError, match="corrupted"):
        weights.obtain(_served(address, b"promised"), 224)
    assert list(models.iterdir()) == []


def test_failed_download_names_the_file_and_the_folder(models, server):
    with pytest.raises(BackboneError) as caught:
        weights.obtain(_served(server[1]), 160)
    message = str(caught.value)
    assert "404" in message
    assert f"Put the file '{V2_FILE.format(160)}' into the folder '{models}'" in message
    assert "'builtin', which needs no download" in message


def test_failed_download_offers_a_size_whose_file_is_here(models, server):
    (models / V2_FILE.format(128)).touch()
    with pytest.raises(
        BackboneError, match=r"an input size of 128 pixels \(--image-size 128\), whose file is here"
    ):
        weights.obtain(_served(server[1]), 160)


def test_host_that_does_not_answer_is_given_up_soon(models, monkeypatch):
    import socket

    monkeypatch.setattr(weights, "PROBE_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(BackboneError, match=r"timed out|no answer"):
            weights.obtain(_served(address), 224)


def test_too_small_a_size_is_refused_before_any_download(models):
    with pytest.raises(BackboneError, match="at least 32 pixels"):
        weights.obtain(V2, 16)


def test_default_is_mobilenet_v2_where_its_file_is_here(models):
    (models / V2_FILE.format(224)).touch()
    assert weights.choose_default() == (V2, None)


def test_default_is_builtin_where_nothing_can_be_had(models, monkeypatch):
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")  # nothing listens there
    for name in ("no_proxy", "NO_PROXY", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
    spec, why = weights.choose_default()
    assert spec.name == "builtin"
    assert why is not None
    assert why.startswith("The built-in backbone is used. MobileNetV2 does better")
    assert f"put the file '{V2_FILE.format(224)}' into the folder '{models}'" in why


@pytest.mark.parametrize(
    ("name", "file_size", "size"),
    [
        ("MobileNetV2", 224, 224),
        ("MobileNetV2", 224, 160),
        ("MobileNetV2:0.35", 224, 224),
        ("MobileNet", 224, 224),
        ("MobileNet:0.75", 192, 192),
        ("MobileNet:0.5", 160, 160),
        ("MobileNet:0.25", 128, 128),
    ],
)
def test_network_computes_what_keras_computes(shared, models, monkeypatch, name, file_size, size):
    import keras
    from keras.src.backend import config

    spec = catalog.backbone(name)
    original = shared / "keras" / "models" / weights.file_name(spec, file_size)
    # Keras asks for the file of the size; ours must get by with the one that is there.
    shutil.copyfile(original, models / weights.file_name(spec, size))
    monkeypatch.setattr(config, "_KERAS_DIR", str(models.parent))  # read once, at import
    build = getattr(keras.applications, spec.function)
    arguments = {"include_top": False, "input_shape": (size, size, 3), "alpha": spec.alpha}
    expected = build(weights="imagenet", **arguments)

    monkeypatch.setenv("KERAS_HOME", str(shared / "keras"))
    assert weights.locate(spec, size) == original
    network = build(weights=None, **arguments)
    weights.load_into(network, weights.obtain(spec, size))
    assert network.name.rsplit("_", 1)[0] == expected.name.rsplit("_", 1)[0]
    for ours, theirs in zip(network.get_weights(), expected.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    if name == "MobileNet:0.25":  # the fastest, for all of them
        pictures = np.random.default_rng(0).uniform(-1, 1, (2, size, size, 3)).astype("float32")
        np.testing.assert_array_equal(network(pictures), expected(pictures))


def test_efficientnet_scales_its_input_as_in_keras(tmp_path, models, monkeypatch):
    import h5py
    import keras
    from keras.src.applications import efficientnet
    from keras.src.backend import config
    from keras.src.legacy.saving import legacy_h5_format

    shape = (64, 64, 3)
    build: Callable[..., Any] = keras.applications.EfficientNetB0
    network = build(include_top=False, weights=None, input_shape=shape)
    normalization = network.get_layer("normalization")
    normalization.adapt_mean.assign([0.485, 0.456, 0.406])
    normalization.adapt_variance.assign([0.229, 0.224, 0.225])
    normalization.finalize_state()
    path = models / "efficientnetb0_notop.h5"
    with h5py.File(path, "w") as file:
        legacy_h5_format.save_weights_to_hdf5_group(file, network)
    monkeypatch.setattr(config, "_KERAS_DIR", str(models.parent))
    monkeypatch.setitem(efficientnet.WEIGHTS_HASHES, "b0", (None, None))
    expected = build(include_top=False, weights="imagenet", input_shape=shape)

    pictures = np.random.default_rng(0).uniform(0, 255, (2, *shape)).astype("float32")
    answer = np.asarray(_stem(keras, expected)(pictures))
    stem = _stem(keras, network)
    assert not np.allclose(np.asarray(stem(pictures)), answer, rtol=0.1)
    weights.load_into(network, path)
    np.testing.assert_allclose(stem(pictures), answer, rtol=1e-4, atol=1e-5)
    stem.save(tmp_path / "stem.keras")
    saved = keras.saving.load_model(tmp_path / "stem.keras")
    assert isinstance(saved, keras.Model)
    np.testing.assert_allclose(saved(pictures), answer, rtol=1e-4, atol=1e-5)


def _stem(keras, network):
    return keras.Model(network.input, network.get_layer("stem_conv").output)


@pytest.mark.parametrize("content", [b"", b"<html>login</html>"])
def test_damaged_file_is_named(models, content):
    import keras

    path = models / V2_FILE.format(224)
    path.write_bytes(content)
    network = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    with pytest.raises(BackboneError, match="is damaged or belongs to another network"):
        weights.load_into(network, path)


def test_file_of_another_network_is_refused(shared):
    import keras

    path = shared / "keras" / "models" / "mobilenet_2_5_128_tf_no_top.h5"
    network = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    with pytest.raises(BackboneError, match="belongs to another network"):
        weights.load_into(network, path)
