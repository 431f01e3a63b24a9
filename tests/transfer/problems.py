"""What the tests of the core share: networks without a download, pictures, whole tasks."""

import hashlib
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from PIL import Image

from transfer import backbones, catalog, features, runtimes, store, weights
from transfer.backbones import Backbone
from transfer.builtin import network as builtin_network
from transfer.config import RunConfig
from transfer.dataset.index import ImageIndex, Picture
from transfer.dataset.split import Split
from transfer.runs import Run
from transfer.runtimes import graphs
from transfer.runtimes.graphs import KerasExtractor
from transfer.strategies import Task

SIZE = 64
QUICK_PARAMETERS = 6_000_000  # networks with more are for the slow tests
# One of each kind of graph: residual, plain, with two branches handed on, without BatchNorm.
QUICK = ("builtin", "MobileNetV2", "ResNet50", "VGG16", "ConvNeXtTiny", "NASNetMobile")


@contextmanager
def one_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep features between the tests of a file: for a fixture of the file."""
    home = tmp_path_factory.mktemp("features")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store, "home", lambda: home)
        yield


def build(name: str, size: int) -> keras.Model:
    """Return a network of the catalog with random weights."""
    spec = catalog.backbone(name)
    if name == catalog.BUILTIN:
        return builtin_network.build((size, size, 3))
    arguments: dict[str, Any] = {} if spec.alpha is None else {"alpha": spec.alpha}
    make = getattr(keras.applications, spec.function)
    return make(include_top=False, weights=None, input_shape=(size, size, 3), **arguments)


def builtin(size: int = SIZE) -> Backbone:
    """Return the network whose weights lie in the repository."""
    spec = catalog.backbone(catalog.BUILTIN)
    return backbones.load(spec, size, weights.obtain(spec, size))


def pretrained(shared: Path, name: str, size: int = SIZE) -> Backbone:
    """Return a network with its real weights; skips where they are not."""
    spec = catalog.backbone(name)
    path = shared / "keras" / "models" / weights.file_name(spec, spec.input_size)
    if not path.is_file():
        pytest.skip(f"no weights of {name} beside the real data sets")
    return backbones.load(spec, size, path)


def random_backbone(name: str, folder: Path, size: int = SIZE) -> Backbone:
    """Return a network with random weights, and a file that stands for them."""
    keras.utils.set_random_seed(0)
    network = build(name, size)
    path = folder / f"{name}.weights"
    path.write_bytes(name.encode())
    return Backbone(catalog.backbone(name), size, network, path)


def stripes(label: int, seed: int, size: int = 72) -> np.ndarray:
    """Return one picture uint8 [size, size, 3] with a pattern in two colours.

    Classes: 0 lies, 1 stands, 2 falls, 3 rises, 4 is chequered, 5 coarsely.
    Colours, widths and places differ from picture to picture, so that pixels alone do not tell.
    """
    rng = np.random.default_rng([seed, label])
    rows, columns = np.mgrid[0:size, 0:size]
    falling, rising = (rows + columns) / math.sqrt(2), (rows - columns) / math.sqrt(2)
    wave, phase = rng.uniform(0.5, 0.9), rng.uniform(0, 2 * np.pi)
    chequered, coarse = (rows, columns), (rows / 3, columns / 3)
    along = ((rows,), (columns,), (falling,), (rising,), chequered, coarse)[label]
    pattern = np.prod([np.sin(wave * one + phase) for one in along], axis=0)
    low, high = rng.uniform(0, 110, 3), rng.uniform(140, 255, 3)
    mixed = low + (high - low) * (0.5 + 0.5 * pattern[..., None])
    return np.clip(mixed + rng.normal(0, 18, (size, size, 3)), 0, 255).astype(np.uint8)


def folders(root: Path, per_class: int, classes: Sequence[int] = (0, 1, 2), seed: int = 0) -> Path:
    """Write striped pictures as a user has them, one folder a class, and return `root`."""
    for label in classes:
        (root / f"class-{label}").mkdir(parents=True, exist_ok=True)
        for number in range(per_class):
            pixels = stripes(label, 1000 * seed + number)
            Image.fromarray(pixels).save(root / f"class-{label}" / f"{number:03d}.png")
    return root


def dataset(
    folder: Path,
    per_class: int = 12,
    classes: int | Sequence[int] = 2,
    seed: int = 0,
    size: int = 72,
) -> ImageIndex:
    """Write striped pictures as the library keeps them, and return their index."""
    folder.mkdir(parents=True, exist_ok=True)
    pictures = []
    for label in range(classes) if isinstance(classes, int) else classes:
        for number in range(per_class):
            pixels = stripes(label, 1000 * seed + number, size)
            pictures.append(keep(folder, f"class-{label}", f"{label}-{number:03d}", pixels))
    return ImageIndex(folder, hashlib.sha256(str(folder).encode()).hexdigest(), tuple(pictures))


def confused(index: ImageIndex, share: float, seed: int = 0) -> ImageIndex:
    """Return it with this share of the labels drawn by chance, so that no classifier is sure."""
    rng = np.random.default_rng(seed)
    drawn = rng.choice(index.classes, len(index.pictures))
    chance = rng.random(len(index.pictures)) < share
    labels = [
        str(d) if c else p.label for p, d, c in zip(index.pictures, drawn, chance, strict=True)
    ]
    pictures = zip(index.pictures, labels, strict=True)
    return replace(index, pictures=tuple(replace(one, label=label) for one, label in pictures))


def keep(folder: Path, label: str, name: str, pixels: np.ndarray) -> Picture:
    """Write one picture as the library keeps it."""
    file = f"{name}.png"
    Image.fromarray(pixels).save(folder / file)
    content = hashlib.sha256(str(pixels.shape).encode() + pixels.tobytes()).hexdigest()
    height, width = pixels.shape[:2]
    return Picture(f"{label}/{file}", label, None, file, content, width, height)


def parted(index: ImageIndex, val: int = 4, test: int = 4) -> Split:
    """Return a split with the last so many pictures of each class in validation and test."""
    parts: dict[str, list[int]] = {"train": [], "val": [], "test": []}
    for name in index.classes:
        members = [i for i, one in enumerate(index.pictures) if one.label == name]
        edge = len(members) - val - test
        parts["train"] += members[:edge]
        parts["val"] += members[edge : edge + val]
        parts["test"] += members[edge + val :]
    return Split(tuple(parts["train"]), tuple(parts["val"]), tuple(parts["test"]))


def task(
    folder: Path,
    index: ImageIndex,
    backbone: Backbone,
    strategy: str = "finetune_few",
    parts: Split | None = None,
    **settings: Any,
) -> Task:
    """Return a task with its features computed and its run folder begun."""
    chosen = {name: settings.pop(name) for name in list(settings) if name in _OF_THE_CONFIG}
    config = RunConfig(
        index.digest, backbone.spec.name, backbone.image_size, strategy=strategy, **chosen
    )
    run = Run(folder)
    run.start(config)
    parts = parts or parted(index)
    numbers = {name: number for number, name in enumerate(index.classes)}
    return Task(
        config=config,
        run=run,
        index=index,
        split=parts,
        labels=np.array([numbers[picture.label] for picture in index.pictures]),
        backbone=backbone,
        features=features.compute(backbone, index, sorted([*parts.train, *parts.val])),
        deadline=settings.pop("deadline", lambda: math.inf),
        **settings,
    )


_OF_THE_CONFIG = {"epochs", "seed", "batch_size", "learning_rate", "dropout", "patience", "budget",
                  "changes", "horizontal_flip"}  # fmt: skip


def compute_with_keras(patch: pytest.MonkeyPatch) -> None:
    """Let Keras itself compute features: slow for many pictures, but ready at once."""
    patch.setattr(runtimes, "fastest", lambda model, *_: KerasExtractor(graphs.eager(model)))


def values(variables: Sequence[keras.Variable]) -> list[np.ndarray]:
    """Return copies of variables' values."""
    return [np.array(keras.ops.convert_to_numpy(variable)) for variable in variables]
