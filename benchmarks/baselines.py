"""What the figures of `benchmarks/speed.py` are compared with, each in a process of its own.

    python -m benchmarks.baselines forward DATA    the bare forward pass of all pictures
    python -m benchmarks.baselines startup         importing everything and loading the network
    python -m benchmarks.baselines epochs DATA     so many epochs of `finetune_few`

Each prints one JSON object.
"""

import argparse
import dataclasses
import json
import math
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

from transfer import catalog, console, weights
from transfer.backbones import Backbone
from transfer.dataset import library

_BATCH = 32
_HELD = 1024  # decoded pictures in memory at a time
_WARM = 64  # pictures before the time is taken


def main() -> None:
    """Run one of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("which", choices=("forward", "startup", "epochs"))
    parser.add_argument("data", type=Path, nargs="?", metavar="DATA")
    parser.add_argument("--backbone", default=catalog.DEFAULT_BACKBONE)
    parser.add_argument("--image-size", type=int)
    parser.add_argument("--run", type=Path, metavar="DIR")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--recompute", action="store_true", help="keep nothing at the boundary")
    options = parser.parse_args()
    work = {"forward": forward, "startup": startup, "epochs": epochs}[options.which]
    print(json.dumps(work(options)))


def startup(options: argparse.Namespace) -> dict[str, Any]:
    """Import what `advise` imports, and load the network as it does."""
    return {"backbone": _backbone(options).spec.name}


def forward(options: argparse.Namespace) -> dict[str, Any]:
    """Take the time of the finished network's impression of each picture, and of nothing else.

    The pictures are decoded before; the runtime is the fastest one that agrees with Keras.
    """
    backbone = _backbone(options)
    from transfer import backbones, batches, runtimes

    index = library.import_dataset(options.data)
    paths = [index.path(picture) for picture in index.pictures]
    size, seconds = backbone.image_size, 0.0
    extractor = None
    for start in range(0, len(paths), _HELD):
        some = paths[start : start + _HELD]
        decoded = np.concatenate(list(batches.pictures(some, size, 64).as_numpy_iterator()))
        if extractor is None:
            extractor = runtimes.fastest(backbones.vectors(backbone), decoded[:16])
            _exhaust(extractor.stream(_parts(decoded[:_WARM])))
        began = time.perf_counter()
        _exhaust(extractor.stream(_parts(decoded)))
        seconds += time.perf_counter() - began
    return {
        "pictures": len(paths),
        "seconds": round(seconds, 3),
        "per_second": round(len(paths) / seconds, 1),
        "runtime": extractor.name if extractor else None,
        "precision": extractor.precision if extractor else None,
    }


def epochs(options: argparse.Namespace) -> dict[str, Any]:
    """Train the last stages for so many epochs, neither more nor less; the CLI does the work."""
    from transfer import boundary, cli
    from transfer.strategies import finetune_few

    if options.recompute:
        boundary.MOST_BYTES = 0  # so that no view has room
    finetune_few.POLICY = dataclasses.replace(finetune_few.POLICY, patience=options.epochs)
    command = ["train", options.data, "--run", options.run, "--strategy", "finetune_few"]
    command += ["--backbone", options.backbone, "--seed", options.seed]
    command += ["--epochs", options.epochs]
    command += ["--image-size", options.image_size] if options.image_size else []
    if status := cli.main([*map(str, command)]):
        raise SystemExit(status)
    history = json.loads((options.run / "history.json").read_text(encoding="utf-8"))
    result = json.loads((options.run / "result.json").read_text(encoding="utf-8"))
    return {
        "recomputed": options.recompute,
        "views": 0 if options.recompute else boundary.MOST_VIEWS,
        "epoch_seconds": [row["seconds"] for row in history if "seconds" in row],
        "best_epoch": _best_epoch(history),
        "test": result["test"],
        "seconds": result["seconds"],
    }


def _backbone(options: argparse.Namespace) -> Backbone:
    with console.quiet():
        # Like `transfer.commands.advise`: all that it uses comes with the pipeline.
        from transfer import backbones, cli, devices, pipeline  # noqa: F401

        devices.prepare()
    spec = catalog.backbone(options.backbone)
    size = options.image_size or weights.default_size(spec)
    return backbones.load(spec, size, weights.obtain(spec, size))


def _best_epoch(history: list[dict[str, Any]]) -> int:
    losses = {row["epoch"]: row["val_loss"] for row in history if row["phase"] == "fine_tuning"}
    return min(losses, key=lambda epoch: losses[epoch], default=0)


def _parts(pictures: np.ndarray) -> Iterator[np.ndarray]:
    return (
        pictures[i * _BATCH : (i + 1) * _BATCH] for i in range(math.ceil(len(pictures) / _BATCH))
    )


def _exhaust(outputs: Iterator[Any]) -> None:
    for _ in outputs:
        pass


if __name__ == "__main__":
    main()
