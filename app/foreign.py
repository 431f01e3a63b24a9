"""Look through a run from elsewhere before anything uses it.

Its JSON must have the shapes that the pages rely on, its numbers must fit the data set, arrays may
not hold objects, pictures must be the PNGs that they are said to be, and the model may be built of
a fixed list of Keras classes. The list names each class: Keras's own modules hold functions and
layers that fetch, read, load or run things, and every known way around Keras's `safe_mode` went by
one of them. All the same this is no proof that a model is harmless.
"""

import hashlib
import os
import re
import struct
import time
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from app import datasets, joined, lineage, measured, shapes, silences, ways
from app.shapes import EACH, SuspiciousError, expect, fits
from transfer import store
from transfer.config import RunConfig
from transfer.dataset import decode, names
from transfer.dataset.index import ImageIndex, Picture
from transfer.dataset.split import Split
from transfer.errors import DataError, TransferError
from transfer.runs import Run

OnProgress = Callable[[int, int], None]

_SHA256, _DIGEST = re.compile(r"[0-9a-f]{64}"), re.compile(r"[0-9a-f]{32}")
_PNG_HEAD = struct.Struct(">8s4x4sIIBB")  # W3C PNG, 5.2 and 11.2.1: up to the colour type
_PNG_START, _RGB8 = b"\x89PNG\r\n\x1a\n", (8, 2)

# What the networks of the catalog and their heads are built of; the tests compare.
_LAYERS = [
    "Activation", "Add", "AveragePooling2D", "BatchNormalization", "Concatenate", "Conv2D",
    "Cropping2D", "Dense", "DepthwiseConv2D", "Dropout", "Flatten", "GlobalAveragePooling2D",
    "InputLayer", "LayerNormalization", "MaxPooling2D", "Multiply", "Normalization", "ReLU",
    "Rescaling", "Reshape", "Resizing", "SeparableConv2D", "UpSampling2D",
    "ZeroPadding2D",
]  # fmt: skip
_INITIALIZERS = ["GlorotUniform", "HeNormal", "Ones", "VarianceScaling", "Zeros"]
_TRAINING = [  # of fine-tuning; the network inside keeps how it was trained
    ("optimizers", "AdamW"), ("optimizers", "MultiOptimizer"), ("optimizers", "OptimizerMap"),
    ("optimizers.schedules", "CosineDecay"), ("losses", "CategoricalCrossentropy"),
    ("metrics", "CategoricalAccuracy"), ("metrics", "CategoricalCrossentropy"),
]  # fmt: skip
_OPERATIONS = ("Add", "Flip", "Log", "Maximum", "Mean", "Multiply", "Reshape", "Round")
_CLASSES = {
    ("keras", "DTypePolicy"),
    ("keras", "Sequential"),
    ("keras.src.models.functional", "Functional"),
    ("keras.src.applications.convnext", "LayerScale"),
    ("keras.src.applications.inception_resnet_v2", "CustomScaleLayer"),
    *(("keras.src.ops.numpy", name) for name in _OPERATIONS),
    ("keras.src.ops.nn", "Softmax"),
    *(("keras.layers", name) for name in _LAYERS),
    *(("keras.initializers", name) for name in _INITIALIZERS),
    *((f"keras.{part}", name) for part, name in _TRAINING),
}
_MODEL = ("keras.src.models.functional", "Functional")
_ROUNDING = 1e-9
_MODEL_FILES = ["config.json", "metadata.json", "model.weights.h5"]

_SCORE = {"precision": (float, None), "recall": (float, None), "n": int}
_REPORT = {
    **shapes.ACCURACY,
    "loss": float,
    "classes": [str],
    "confusion": [[int]],
    "per_class": {EACH: _SCORE},
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
    "splits": {"train": int, "val": int, "test": int},
    "validation": shapes.ACCURACY,
    "candidates": {EACH: _REPORT},
}
_COMPARED = {
    "strategy": str,
    "validation": (shapes.ACCURACY, None),
    "test": (shapes.ACCURACY, None),
    "seconds": (float, None),
    "note": (str, None),
}
_EVENTS = {"phase": {"phase": str}, "epoch": {"epoch": int}, "search": {"strength": float},
           "stages": {"weights": {EACH: float}}}  # fmt: skip
_FACTS = {
    "format": int,
    "run": str,
    "dataset": str,
    "files": {EACH: {"size": int, "sha256": str}},
}


def read_facts(path: Path, newest: int) -> dict[str, Any]:
    """Return what a file says that it holds.

    Raises:
        SuspiciousError: it was packed by a newer version, or says nothing that is understood.
    """
    facts = shapes.read(path)
    if fits(facts, {"format": int}) and facts["format"] > newest:
        raise SuspiciousError(
            f"it was packed by a newer version of the app (format {facts['format']}; this one"
            f" reads up to {newest}), so update this app first"
        )
    shapes.check(facts, _FACTS, path.name)
    return facts


def check_dataset(root: Path, digest: str, on_progress: OnProgress) -> ImageIndex:
    """Return the data set that lies in `root`, each picture of which was looked at.

    Raises:
        SuspiciousError: it is not what this app stores.
    """
    try:
        index = ImageIndex.from_json(root, shapes.read(root / "index.json"))
        notes = [text for item in index.rejected for text in (item.file, item.reason)]
    except (TypeError, KeyError, AttributeError):
        raise SuspiciousError("the list of its pictures is not understood") from None
    expect(bool(_DIGEST.fullmatch(digest)) and index.digest == digest, "its data set is another")
    notes += index.warnings
    expect(fits(notes, [str]), "notes on its pictures are no text")
    for picture in index.pictures:
        known = picture.split in (None, "train", "val", "test")
        known = known and _plain(picture.name) and _plain(picture.label)
        known = known and isinstance(picture.sha256, str) and _SHA256.fullmatch(picture.sha256)
        known = known and picture.file == f"images/{picture.sha256}.png"
        known = known and (picture.group is None or _plain(picture.group))
        expect(bool(known), "a picture has no name")
    held = {f"images/{path.name}" for path in root.glob("images/*")}
    expect(held == {picture.file for picture in index.pictures}, "it has pictures without a label")
    lineage.check(index)
    _check_pictures(root, {picture.file: picture for picture in index.pictures}, on_progress)
    return index


def check_run(run: Run, index: ImageIndex) -> None:
    """Check a run folder against its data set.

    Raises:
        SuspiciousError: it is not what this app writes.
    """
    config = _config(run)
    expect(config.dataset == index.digest, "its data set is another")
    result = shapes.read(run.folder / "result.json")
    pictures, classes = _learned(index)
    _check_result(result, config, pictures, classes)
    _check_split(run, pictures)
    if (path := run.folder / "advice.json").is_file():
        measured.parsed(shapes.read(path))
    for name, shape in (("history", [dict]), ("versions", dict), ("probe", dict), ("about", dict)):
        if (path := run.folder / f"{name}.json").is_file():
            shapes.check(shapes.read(path), shape, path.name)
    _check_events(run.folder / "events.jsonl")
    _check_answers(run.folder / "answers.npz", pictures, result)
    silences.check(run)
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
            expect(plain and inside == _MODEL_FILES, "its model holds other files than a model")
            small = archive.getinfo("config.json").file_size <= shapes.MOST_BYTES
            expect(small, "the graph of its model is too large")
            data = archive.read("config.json")
    except SuspiciousError:
        raise
    except Exception:
        raise SuspiciousError("its model cannot be read") from None
    config = shapes.parsed(data, "config.json")
    is_model = isinstance(config, dict) and (config.get("module"), config.get("class_name"))
    expect(is_model == _MODEL, "its model is of another kind")
    for node in _objects(config):
        kind = (str(node.get("module")), str(node.get("class_name")))
        known = kind in _CLASSES and node.get("registered_name") in (None, kind[1])
        if not known and kind[1] != "__keras_tensor__":
            raise SuspiciousError(
                f"its model uses '{names.shown('.'.join(kind))}', which none of our"
                " models does and which may run a program"
            )


def tidy_about(run: Run) -> dict[str, Any]:
    """Return the name and the age of a run, made harmless, and when it was brought in."""
    kept, now = run.about(), time.time()
    created = kept["created"] if fits(kept["created"], float) else now
    created = min(max(created, 0), now)
    return {"name": _name(kept["name"]), "created": created, "brought_in": now}


def tidy_dataset(index: ImageIndex, otherwise: str) -> None:
    """Write the name of a data set and its place among its versions anew, made harmless.

    Where other versions of it are here, it is called as they are.
    """
    path = index.root / "about.json"
    kept = shapes.read(path) if path.is_file() else {}
    name = kept.get("name") if isinstance(kept, dict) else None
    name = lineage.fit_in(index) or _name(name or otherwise)
    store.write_json(path, {"name": name, "added": time.time()})


def _config(run: Run) -> RunConfig:
    try:
        value = shapes.read(run.folder / "config.json")
        config = RunConfig.from_json(value)
    except TransferError as error:
        raise SuspiciousError(str(error)) from error
    except (TypeError, ValueError, AttributeError):
        raise SuspiciousError("its settings are not understood") from None
    shapes.check(config.to_json(), shapes.of(RunConfig), "config.json")
    return config


def _learned(index: ImageIndex) -> tuple[int, list[str]]:
    """Return how many pictures a training sees, and their classes: small ones are set aside."""
    counts = {name: n for name, n in index.counts().items() if n >= datasets.FEWEST}
    return sum(counts.values()), sorted(counts)


def _check_result(result: Any, config: RunConfig, pictures: int, classes: list[str]) -> None:
    shapes.check(result, _RESULT, "result.json")
    reports = [*result["candidates"].values()]
    shares = [result["validation"], *reports]
    if result.get("test") is not None or result.get("test_report") is not None:
        shapes.check(result, {"test": shapes.ACCURACY, "test_report": _REPORT}, "result.json")
        reports.append(result["test_report"])
        shares += [result["test"], result["test_report"]]
    shares += _check_comparison(result) + joined.check(result)
    expect(bool(classes) and result["classes"] == classes, "its classes are others")
    known = result["shipped"] in result["candidates"] and result["image_size"] == config.image_size
    known = known and result["backbone"] == config.backbone
    expect(known and result["requested"] == config.strategy, "its result is of another run")
    for report in reports:
        table, n, size = report["confusion"], report["n"], len(classes)
        square = report["classes"] == classes and [len(row) for row in table] == [size] * size
        counts = [count for row in table for count in row]
        right = square and min(counts) >= 0 and 0 < sum(counts) == n <= pictures
        expect(right and set(report["per_class"]) == set(classes), "its figures do not add up")
    for share in shares:
        low, middle, high = share["low"], share["accuracy"], share["high"]
        within = 0 <= low <= middle + _ROUNDING and middle <= high + _ROUNDING and high <= 1
        expect(within and share["n"] > 0, "a share is none")


def _check_comparison(result: dict[str, Any]) -> list[Any]:
    """Check what several ways of learning gave, where there is that, and return the shares."""
    compared = result.get("comparison")
    if compared is None:
        return []
    shapes.check(compared, [_COMPARED], "result.json")
    advised = result.get("advised")
    known = [ways.known(one["strategy"]) for one in compared]
    expect(all(known) and (advised is None or ways.known(advised)), "its ways are others")
    shares = [one[part] for one in compared for part in ("validation", "test")]
    return [share for share in shares if share is not None]


def _check_split(run: Run, pictures: int) -> None:
    value = shapes.read(run.folder / "split.json")
    parts = ("train", "val", "test", "left_out")
    shapes.check(value, {**{part: [int] for part in parts}, "warnings": [str]}, "split.json")
    split = Split.from_json(value)
    positions = [*split.train, *split.val, *split.test, *split.left_out]
    fit = all(0 <= position < pictures for position in positions)
    expect(fit and bool(split.train and split.val), "its pictures are others")


def _check_events(path: Path) -> None:
    if not path.is_file():
        return
    expect(path.stat().st_size <= shapes.MOST_BYTES, "its diary is too large")
    with path.open("rb") as lines:
        for line in lines:
            event = shapes.parsed(line, path.name)
            shapes.check(event, {"time": float, "event": str}, path.name)
            shapes.check(event, _EVENTS.get(event["event"], dict), path.name)


def _check_answers(path: Path, pictures: int, result: dict[str, Any]) -> None:
    if not path.is_file():
        return
    test = result.get("test") or {"n": 0}
    judged = {"validation": result["validation"]["n"], "test": test["n"]}
    sides: dict[str, shapes.Wanted] = {
        "positions": (np.int64, (None,)),
        "probabilities": (np.float32, (None, len(result["classes"]))),
    }
    known = {f"{part}_{what}": one for part in judged for what, one in sides.items()}
    try:
        shapes.check_arrays(path, known.get, "its answers")
        for part, number in judged.items():
            if found := Run(path.parent).answers(part):
                positions, probabilities = found
                inside = len(positions) == len(probabilities) == number
                inside = inside and bool(np.all((positions >= 0) & (positions < pictures)))
                expect(inside, "its answers are to other pictures")
    except SuspiciousError:
        raise
    except Exception:  # zipfile and NumPy raise many kinds on damaged files
        raise SuspiciousError("its answers cannot be read") from None


def _check_pictures(root: Path, pictures: dict[str, Picture], on_progress: OnProgress) -> None:
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        try:
            looks = pool.map(lambda picture: _check_picture(root, picture), pictures.values())
            for done, _ in enumerate(looks, start=1):
                on_progress(done, len(pictures))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _check_picture(root: Path, picture: Picture) -> None:
    """Check that a file is an RGB PNG with the very pixels of which it bears the sum."""
    data = (root / picture.file).read_bytes()
    try:
        start, kind, *size, depth, colours = _PNG_HEAD.unpack(data[: _PNG_HEAD.size])
        right = start == _PNG_START and kind == b"IHDR" and (depth, colours) == _RGB8
        right = right and size == [picture.width, picture.height]
        expect(right, "a picture is not of the kind that is stored")
        pixels = decode.read(data)
    except (struct.error, DataError):
        raise SuspiciousError("a picture is damaged") from None
    content = hashlib.sha256(str(pixels.shape).encode())
    content.update(pixels.tobytes())
    expect(content.hexdigest() == picture.sha256, "a picture is another than its name says")


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


def _plain(text: object) -> bool:
    """Whether it is a name as this app writes it."""
    return isinstance(text, str) and bool(text) and names.clean_text(text) == text


def _name(text: object) -> str:
    return names.clean_text(" ".join(str(text).split())[:80]) or "A run from elsewhere"
