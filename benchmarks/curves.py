"""Trainings of known cause on real pictures, and how many of their curves are read rightly.

    python -m benchmarks.curves --record          make them all and keep their numbers
    python -m benchmarks.curves --record NAME...  only these
    python -m benchmarks.curves                   read those that are kept
    python -m benchmarks.curves --record --seed 7 --file FILE    other draws, into another file

Each takes seconds: small draws, small pictures, small networks. What is done to each stands in
`benchmarks/causes.py`. The curves are kept in `tests/transfer/curves/recorded.json`.
"""

import argparse
import json
import os
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

from benchmarks import processes
from benchmarks.causes import CAUSES, Cause
from transfer import diagnosis, store
from transfer.diagnosis import Facts

KEPT = processes.ROOT / "tests" / "transfer" / "curves" / "recorded.json"
_DIGITS = 5  # of the kept numbers


def main() -> None:
    """Record what is asked for, then read all that is kept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--record", action="store_true", help="train anew")
    parser.add_argument("--seed", type=int, default=0, help="added to each training's own")
    parser.add_argument("--file", type=Path, default=KEPT, help="where the curves are kept")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    file = options.file
    kept = {row["name"]: row for row in store.read_json(file)} if file.is_file() else {}
    if options.record:
        chosen = [one for one in CAUSES if not options.names or one.name in options.names]
        for one in chosen:
            kept[one.name] = record(replace(one, seed=one.seed + options.seed))
            order = [kept[cause.name] for cause in CAUSES if cause.name in kept]
            store.write_json(file, order, indent=None)
            print(f"recorded {one.name}: {kept[one.name]['facts']['ended']}", file=sys.stderr)
    figures = _read(list(kept.values()))
    if options.json:
        print(json.dumps(figures))


def _read(kept: list[dict[str, Any]]) -> dict[str, Any]:
    """Read the kept curves, tell of each that was read wrongly, and return how many were not."""
    figures: dict[str, Any] = {}
    for half in ("design", "held_out"):
        rows = [row for row in kept if row["held_out"] == (half == "held_out")]
        read = [(row, diagnosis.read(row["history"], facts_of(row))) for row in rows]
        wrong = [(row, found) for row, found in read if found[0].kind not in row["expected"]]
        for row, found in wrong:
            kinds = ", ".join(one.kind for one in found)
            print(f"{row['name']}: expected {' or '.join(row['expected'])}, read {kinds}")
        figures[half] = {"curves": len(rows), "right": len(rows) - len(wrong)}
        print(f"{half}: {len(rows) - len(wrong)} of {len(rows)} read rightly")
    return figures


def facts_of(row: dict[str, Any]) -> Facts:
    """Return what the reader may know of a kept curve."""
    return Facts(**{**row["facts"], "val_counts": tuple(row["facts"]["val_counts"])})


def record(cause: Cause) -> dict[str, Any]:
    """Train as the cause says; return its rows, what else the reader may know, and the answer."""
    drawn = _draw(cause)
    with tempfile.TemporaryDirectory() as folder:
        history, ended = _train(cause, drawn, Path(folder))
    facts = {
        "num_classes": drawn.num_classes,
        "train_images": len(drawn.train),
        "val_counts": np.bincount(drawn.labels[drawn.val], minlength=drawn.num_classes).tolist(),
        "strategy": f"finetune_{'few' if cause.trained == 'head' else cause.trained}",
        "settings": {
            "learning_rate": cause.rate,
            "epochs": cause.epochs,
            "weight_decay": cause.weight_decay,
            "dropout": cause.dropout,
        },
        "epochs": cause.epochs,
        "ended": ended,
    }
    return {
        "name": cause.name,
        "expected": list(cause.expected),
        "held_out": cause.held_out,
        "facts": facts,
        "history": [_rounded(row) for row in history],
    }


@dataclass(frozen=True)
class _Drawn:
    """Pictures of one data set: files, class numbers, positions of those to learn and judge by."""

    paths: list[Path]
    contents: list[str]
    labels: np.ndarray
    train: np.ndarray
    val: np.ndarray
    num_classes: int


def _draw(cause: Cause) -> _Drawn:
    from transfer.dataset import library

    index = library.import_dataset(processes.SHARED / "datasets" / cause.dataset)
    rng, num_classes = np.random.default_rng(cause.seed), cause.classes or len(index.classes)
    numbers = index.class_numbers()
    train, val = [], []
    for label in range(num_classes):
        members = rng.permutation(np.flatnonzero(numbers == label))
        train.append(members[: cause.train])
        if label == 0 or not cause.one_class:
            val.append(members[cause.train : cause.train + cause.val])
    learned, judged = np.concatenate(train), np.concatenate(val)
    labels = numbers.copy()
    wrong = learned[rng.random(len(learned)) < cause.shuffled]
    labels[wrong] = rng.permutation(labels[wrong])
    paths = [index.path(picture) for picture in index.pictures]
    contents = [picture.sha256 for picture in index.pictures]
    return _Drawn(paths, contents, labels, learned, judged, num_classes)


def _train(cause: Cause, drawn: _Drawn, folder: Path) -> tuple[list[dict[str, Any]], str]:
    """Train as `transfer.strategies.fine_tuning` does, with what the cause changes."""
    import keras

    from transfer import backbones, batches, catalog, training, weights
    from transfer.augmentation import Augmentation
    from transfer.batches import TrainingBatches
    from transfer.recipe import Recipe
    from transfer.strategies import finetune_few, finetune_many
    from transfer.strategies import plan as planning
    from transfer.training import FitSettings, Validation

    keras.utils.set_random_seed(cause.seed)
    spec = catalog.backbone(cause.backbone)
    backbone = backbones.load(spec, cause.size, weights.obtain(spec, cause.size))
    learned, judged = ([drawn.paths[i] for i in part] for part in (drawn.train, drawn.val))
    pictures = {"train": batches.loaded(learned, cause.size)}
    pictures["val"] = batches.loaded(judged, cause.size)
    head, first = _head(cause, drawn, backbone, pictures)
    policy = (finetune_many if cause.trained == "many" else finetune_few).POLICY
    plan = planning.plan(backbone.network, policy.frozen_level)
    parts = backbones.halves(backbone, plan.cut, head, cause.dropout)
    planning.freeze(backbone, plan)
    rates, default_rate = planning.rates(backbone, plan, cause.rate)
    if cause.trained == "head":
        backbone.network.trainable = False
    augmentation = Augmentation(level=cause.augmentation) if cause.augmentation else None
    source = TrainingBatches(
        learned, drawn.labels[drawn.train], drawn.num_classes, cause.size, cause.batch_size,
        cause.seed, augmentation,
    )  # fmt: skip
    settings = FitSettings(
        epochs=cause.epochs,
        patience=cause.patience,
        rates={
            path: rate for path, rate in rates.items() if cause.trained != "head" or "head" in path
        },
        default_rate=default_rate,
        weight_decay=cause.weight_decay,
        recipe=Recipe(label_smoothing=cause.label_smoothing),
    )
    validation = Validation(pictures["val"], drawn.labels[drawn.val])
    history, ended = training.fit(parts.whole, source, validation, settings, folder)
    return [first, *history], ended


def _head(
    cause: Cause, drawn: _Drawn, backbone: Any, pictures: dict[str, np.ndarray]
) -> tuple[Any, dict[str, Any]]:
    """Return (the head that training starts with, the row of its phase)."""
    from transfer import backbones, evaluation, linear
    from transfer.linear import LinearHead

    predict = backbones.compiled(backbones.vectors(backbone), 32)
    vectors = {part: backbones.answers(predict, some, 32) for part, some in pictures.items()}
    own = {"train": drawn.labels[drawn.train], "val": drawn.labels[drawn.val]}
    if cause.head is None:
        head = linear.probe(vectors["train"], own["train"], drawn.num_classes).head
    else:
        rng, features = np.random.default_rng(cause.seed), vectors["train"]
        # So that a class's logits differ from picture to picture by about so much.
        kernel = rng.normal(size=(features.shape[1], drawn.num_classes))
        kernel *= cause.head / np.std((features - features.mean(axis=0)) @ kernel)
        bias = -features.mean(axis=0) @ kernel
        head = LinearHead(kernel.astype(np.float32), bias.astype(np.float32), 1.0, 1.0, 0.0)
    row: dict[str, Any] = {"phase": "head", "epoch": 0}
    names = tuple(map(str, range(drawn.num_classes)))
    for prefix, part in (("", "train"), ("val_", "val")):
        report = evaluation.evaluate(head.probabilities(vectors[part]), own[part], names)
        row[f"{prefix}loss"], row[f"{prefix}accuracy"] = report.loss, report.overall.accuracy
    return head, row


def _rounded(row: dict[str, Any]) -> dict[str, Any]:
    def short(value: Any) -> Any:
        if not isinstance(value, float):
            return value
        return float(f"{value:.{_DIGITS}g}") if np.isfinite(value) else None

    return {key: short(value) for key, value in row.items() if key != "seconds"}


if __name__ == "__main__":
    main()
