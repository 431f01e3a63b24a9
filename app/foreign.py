"""Look through a run from elsewhere before anything uses it.

Its JSON must have the shapes that the pages rely on, its numbers must fit the data set, arrays may
not hold objects, pictures must be PNGs of the stated size, and the model may be built of a fixed
list of Keras classes. The list names each class: Keras's own modules hold functions and layers
that fetch, read, load or run things, and every known way around Keras's `safe_mode` went by one of
them. All the same this is no proof that a model is harmless.
"""

import json
import math
import re
import struct
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from transfer import store
from transfer.config import RunConfig
from transfer.dataset import decode, names
from transfer.dataset.index import ImageIndex
from transfer.dataset.split import Split
from transfer.errors import TransferError
from transfer.runs import Run

_JSON_BYTES = 64 * 1024**2
_SHA256, _DIGEST = re.compile(r"[0-9a-f]{64}"), re.compile(r"[0-9a-f]{32}")
_PNG_HEAD = struct.Struct(">8s4x4sIIBB")  # W3C PNG, 5.2 and 11.2.1: up to the colour type
_PNG_START, _RGB8 = b"\x89PNG\r\n\x1a\n", (8, 2)

# What the networks of the catalog and their heads are built of; the tests compare.
_LAYERS = [
    "Activation", "Add", "AveragePooling2D", "BatchNormalization", "Concatenate", "Conv2D",
    "Cropping2D", "Dense", "DepthwiseConv2D", "Dropout", "GlobalAveragePooling2D",
    "InputLayer", "LayerNormalization", "MaxPooling2D", "Multiply", "Normalization", "ReLU",
    "Rescaling", "Reshape", "Resizing", "SeparableConv2D", "ZeroPadding2D",
]  # fmt: skip
_INITIALIZERS = ["GlorotUniform", "HeNormal", "Ones", "VarianceScaling", "Zeros"]
_CLASSES = {
    ("keras", "DTypePolicy"),
    ("keras", "Sequential"),
    ("keras.src.models.functional", "Functional"),
    ("keras.src.applications.convnext", "LayerScale"),
    ("keras.src.applications.inception_resnet_v2", "CustomScaleLayer"),
    *(("keras.src.ops.numpy", name) for name in ("Add", "Flip", "Multiply", "Round")),
    *(("keras.layers", name) for name in _LAYERS),
    *(("keras.initializers", name) for name in _INITIALIZERS),
}
_MODEL = ("keras.src.models.functional", "Functional")
_MODEL_FILES = ["config.json", "metadata.json", "model.weights.h5"]

# Shapes of JSON: a type, [shape of each], {key: shape}; `_EACH` as the key: any keys.
_EACH = ""
_ACCURACY = {"accuracy": float, "low": float, "high": float, "n": int}
_SCORE = {"n": int}
_REPORT = {
    **_ACCURACY,
    "loss": float,
    "classes": [str],
    "confusion": [[int]],
    "per_class": {_EACH: _SCORE},
}
_RESULT = {
    "requested": str,
    "shipped": str,
    "backbone": str,
    "ended": str,
    "seconds": float,
    "image_size": int,
    "classes": [str],
    "warnings": [str],
    "splits": {_EACH: int},
    "validation": _ACCURACY,
    "candidates": {_EACH: _REPORT},
}
_FACTS = {
    "format": int,
    "run": str,
    "dataset": str,
    "files": {_EACH: {"size": int, "sha256": str}},
}


class SuspiciousError(TransferError):
    """Something is not as this app writes it; the message is the reason alone, for a sentence."""


def read_facts(path: Path, newest: int) -> dict[str, Any]:
    """Return what a file says that it holds.

    Raises:
        SuspiciousError: it was packed by a newer version, or says nothing that is understood.
    """
    facts = _json(path)
    if (
        isinstance(facts, dict)
        and isinstance(facts.get("format"), int)
        and facts["format"] > newest
    ):
        raise SuspiciousError(
            f"it was packed by a newer version of the app (format {facts['format']}; this one"
            f" reads up to {newest}), so update this app first"
        )
    _shaped(facts, _FACTS, path.name)
    return facts


def check_dataset(root: Path, digest: str) -> ImageIndex:
    """Return the data set that lies in `root`.

    Raises:
        SuspiciousError: it is not what this app stores.
    """
    try:
        index = ImageIndex.from_json(root, _json(root / "index.json"))
    except (TypeError, KeyError, AttributeError):
        raise SuspiciousError("the list of its pictures is not understood") from None
    _expect(bool(_DIGEST.fullmatch(digest)) and index.digest == digest, "its data set is another")
    texts = [*index.warnings, *(text for item in index.rejected for text in vars(item).values())]
    _expect(all(isinstance(text, str) for text in texts), "notes on its pictures are no text")
    for picture in index.pictures:
        known = picture.split in (None, "train", "val", "test")
        known = known and isinstance(picture.name, str) and isinstance(picture.label, str)
        known = (
            known and isinstance(picture.sha256, str) and bool(_SHA256.fullmatch(picture.sha256))
        )
        _expect(known and picture.file == f"images/{picture.sha256}.png", "a picture has no name")
        _check_png(index.path(picture), picture.width, picture.height)
    held = {f"images/{path.name}" for path in (root / "images").iterdir()}
    _expect(held == {picture.file for picture in index.pictures}, "it has pictures without a label")
    return index


def check_run(run: Run, index: ImageIndex) -> None:
    """Check a run folder against its data set.

    Raises:
        SuspiciousError: it is not what this app writes.
    """
    config = _config(run)
    _expect(config.dataset == index.digest, "its data set is another")
    result = _json(run.folder / "result.json")
    _shaped(result, _RESULT, "result.json")
    if result.get("test") is not None:
        _shaped(result, {"test": _ACCURACY, "test_report": _REPORT}, "result.json")
    classes = result["classes"]
    _expect(bool(classes) and set(classes) <= set(index.classes), "its classes are others")
    _check_split(run, len(index.pictures))
    for name, shape in (("history", [dict]), ("versions", dict), ("probe", dict), ("about", dict)):
        if (path := run.folder / f"{name}.json").is_file():
            _shaped(_json(path), shape, path.name)
    _check_events(run.folder / "events.jsonl")
    _check_answers(run.folder / "answers.npz", len(index.pictures), len(classes))
    check_model(run.model_path)


def check_model(path: Path) -> None:
    """Check that a Keras file holds weights, and a graph of known classes.

    Raises:
        SuspiciousError: it holds anything else.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            plain = all(entry.compress_type == zipfile.ZIP_STORED for entry in entries)
            inside = sorted(entry.filename for entry in entries)
            _expect(plain and inside == _MODEL_FILES, "its model holds other files than a model")
            data = archive.read("config.json")
    except (zipfile.BadZipFile, ValueError, NotImplementedError, RuntimeError, EOFError):
        raise SuspiciousError("its model cannot be read") from None
    config = _parsed(data, "config.json")
    is_model = isinstance(config, dict) and (config.get("module"), config.get("class_name"))
    _expect(is_model == _MODEL, "its model is of another kind")
    for node in _objects(config):
        kind = (node.get("module"), node.get("class_name"))
        known = kind in _CLASSES and node.get("registered_name") in (None, kind[1])
        if not known and node.get("class_name") != "__keras_tensor__":
            raise SuspiciousError(
                f"its model uses '{names.shown('.'.join(map(str, kind)))}', which none of our"
                " models does and which may run a program"
            )


def tidy_about(run: Run) -> dict[str, Any]:
    """Return the name and the age of a run, made harmless, and when it was brought in."""
    kept, now = run.about(), time.time()
    created = kept["created"] if _fits(kept["created"], float) else now
    return {"name": _name(kept["name"]), "created": min(created, now), "brought_in": now}


def tidy_dataset(root: Path, otherwise: str) -> None:
    """Write the name of a data set anew, made harmless."""
    path = root / "about.json"
    kept = _json(path) if path.is_file() else {}
    name = kept.get("name") if isinstance(kept, dict) else None
    store.write_json(path, {"name": _name(name or otherwise), "added": time.time()})


def _config(run: Run) -> RunConfig:
    try:
        value = _json(run.folder / "config.json")
        config = RunConfig.from_json(value)
    except TransferError as error:
        raise SuspiciousError(str(error)) from error
    except (TypeError, ValueError):
        raise SuspiciousError("its settings are not understood") from None
    numbers = {"image_size": int, "epochs": int, "seed": int, "batch_size": int, "patience": int}
    numbers |= {"learning_rate": float, "weight_decay": float, "dropout": float}
    _shaped(config.to_json(), {**numbers, "horizontal_flip": bool}, "config.json")
    return config


def _check_split(run: Run, pictures: int) -> None:
    value = _json(run.folder / "split.json")
    parts = ("train", "val", "test", "left_out")
    _shaped(value, {**{part: [int] for part in parts}, "warnings": [str]}, "split.json")
    split = Split.from_json(value)
    positions = [*split.train, *split.val, *split.test, *split.left_out]
    fit = all(0 <= position < pictures for position in positions)
    _expect(fit and bool(split.train and split.val), "its pictures are others")


def _check_events(path: Path) -> None:
    if not path.is_file():
        return
    _expect(path.stat().st_size <= _JSON_BYTES, "its diary is too large")
    with path.open("rb") as lines:
        for line in lines:
            _shaped(_parsed(line, path.name), {"time": float, "event": str}, path.name)


def _check_answers(path: Path, pictures: int, classes: int) -> None:
    """Check kind and size of the arrays by their heads, before NumPy takes memory for them."""
    if not path.is_file():
        return
    try:
        with zipfile.ZipFile(path) as archive:
            for entry in archive.infolist():
                part, _, what = entry.filename.removesuffix(".npy").partition("_")
                _expect(part in ("validation", "test"), "its answers are to something else")
                with archive.open(entry) as file:
                    _expect(
                        np.lib.format.read_magic(file) == (1, 0), "its answers are of a new kind"
                    )
                    shape, _, kind = np.lib.format.read_array_header_1_0(file)
                    start = file.tell()
                whole = kind.itemsize * math.prod(shape) == entry.file_size - start
                plain = entry.compress_type == zipfile.ZIP_STORED and not kind.hasobject
                wanted = {"positions": (np.int64, ()), "probabilities": (np.float32, (classes,))}
                fits = what in wanted and (kind, shape[1:]) == wanted[what]
                _expect(whole and plain and fits, "its answers do not fit its classes")
        for part in ("validation", "test"):
            if found := Run(path.parent).answers(part):
                positions, probabilities = found
                inside = len(positions) == len(probabilities)
                inside = inside and bool(np.all((positions >= 0) & (positions < pictures)))
                _expect(inside, "its answers are to other pictures")
    except (zipfile.BadZipFile, ValueError, NotImplementedError, RuntimeError, EOFError):
        raise SuspiciousError("its answers cannot be read") from None


def _check_png(path: Path, width: object, height: object) -> None:
    try:
        with path.open("rb") as file:
            head = file.read(_PNG_HEAD.size)
        start, kind, *size, depth, colours = _PNG_HEAD.unpack(head)
    except (FileNotFoundError, struct.error):
        raise SuspiciousError("a picture is missing or damaged") from None
    right = start == _PNG_START and kind == b"IHDR" and (depth, colours) == _RGB8
    right = right and size == [width, height] and 0 < math.prod(size) <= decode.MOST_PIXELS
    _expect(right, "a picture is not of the kind that is stored")


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    """Yield what Keras would make an object of, however deep it lies."""
    waiting = [value]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            if not {"class_name", "module", "registered_name"}.isdisjoint(node):
                yield node
            waiting.extend(node.values())
        elif isinstance(node, list):
            waiting.extend(node)


def _json(path: Path) -> Any:
    if not path.is_file() or path.stat().st_size > _JSON_BYTES:
        raise SuspiciousError(f"'{path.name}' is missing or too large")
    return _parsed(path.read_bytes(), path.name)


def _parsed(data: bytes, name: str) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        raise SuspiciousError(f"'{name}' is not JSON") from None


def _shaped(value: Any, shape: Any, name: str) -> None:
    _expect(_fits(value, shape), f"'{name}' has another form than expected")


def _fits(value: Any, shape: Any) -> bool:
    if isinstance(shape, list):
        return isinstance(value, list) and all(_fits(item, shape[0]) for item in value)
    if isinstance(shape, dict):
        if not isinstance(value, dict):
            return False
        if _EACH in shape:
            return all(_fits(item, shape[_EACH]) for item in value.values())
        return all(key in value and _fits(value[key], inner) for key, inner in shape.items())
    if shape is bool or isinstance(value, bool):
        return isinstance(value, bool) and shape is bool
    if shape is float:
        return isinstance(value, int | float) and abs(value) < 1e300  # finite
    return isinstance(value, shape)


def _name(text: object) -> str:
    return names.clean_text(" ".join(str(text).split())[:80]) or "A run from elsewhere"


def _expect(right: bool, reason: str) -> None:
    if not right:
        raise SuspiciousError(reason)
