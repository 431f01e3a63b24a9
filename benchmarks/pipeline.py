"""Measure what a training step takes with real input over one with the same batch repeated.

    python -m benchmarks.pipeline
    python -m benchmarks.pipeline DATA --backbone MobileNetV2 --pictures 320 --rounds 5

For both strategies that fine-tune, and for both ways in which they can:

- `boundary`: behind the frozen lower part, whose answers are kept. While views are made a step has
  two halves, the lower part's forward pass and the upper part's training, and both are repeated
  with the same batch; later it is the upper part's training.
- `whole`: the whole network for each picture, where the disk has no room for views.

The pictures come from memory, from one file (more pictures than fit in memory), or are decoded in
each epoch (for comparison: no room for that file either). Rounds of real input and of the repeated
batch take turns, each beside its partner, so that what else the machine does meets both. Seconds of
the wall clock decide; those of all processors hardly depend on other work. Prints one JSON object.
"""

import argparse
import json
import math
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf

from benchmarks.processes import SHARED
from transfer import backbones, batches, boundary, catalog, devices, replicas, runtimes, training
from transfer import weights as weight_files
from transfer.augmentation import Augmentation
from transfer.backbones import Halves
from transfer.batches import TrainingBatches
from transfer.boundary import BoundaryBatches, Lower
from transfer.dataset import library
from transfer.linear import LinearHead
from transfer.strategies import finetune_few, finetune_many
from transfer.strategies import plan as planning
from transfer.strategies.fine_tuning import Policy

MOST = 1.1  # of the ratio
POLICIES = {one.strategy: one for one in (finetune_few.POLICY, finetune_many.POLICY)}
WAYS = ("boundary", "whole")
_SAMPLES = 16


@dataclass(frozen=True)
class Took:
    """Seconds of the wall clock and of all processors."""

    wall: float
    cpu: float


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("data", type=Path, nargs="?", default=SHARED / "datasets" / "clothing")
    parser.add_argument("--backbone", default="MobileNetV2")
    parser.add_argument("--image-size", type=int, default=224)
    parser.add_argument("--pictures", type=int, default=320, help="in an epoch (320)")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--turn", action="store_true", help="quarter turns keep the label")
    parser.add_argument("--only", nargs="+", choices=[*POLICIES, *WAYS], default=[])
    options = parser.parse_args()
    if not options.data.is_dir():
        parser.error(f"there is no folder '{options.data}'; name one")
    os.environ.setdefault("KERAS_HOME", str(SHARED / "keras"))
    devices.prepare()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["TRANSFER_HOME"] = folder
        print(json.dumps(measured(options, Path(folder)), indent=2))


def measured(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Return all ratios, and the largest one of those that have a limit."""
    index = library.import_dataset(options.data)
    numbers = index.class_numbers()
    chosen = np.linspace(0, len(index.pictures), options.pictures, endpoint=False).astype(int)
    chosen = np.unique(chosen)
    paths, labels = [index.path(index.pictures[i]) for i in chosen], np.asarray(numbers)[chosen]
    found: dict[str, Any] = {}
    strategies = [name for name in POLICIES if name in options.only] or list(POLICIES)
    for name in strategies:
        bench = _Bench(options, POLICIES[name], paths, labels, len(index.classes), folder / name)
        ways = [way for way in WAYS if way in options.only] or WAYS
        found[name] = {}
        for way in ways:
            found[name][way] = getattr(bench, way)()
            sys.stderr.write(f"{name}, {way}: {json.dumps(found[name][way])}\n")
    limited = [part["whole_run"] for one in found.values() for part in one.values()]
    return {
        "data": options.data.name,
        "backbone": options.backbone,
        "image_size": options.image_size,
        "pictures": len(paths),
        "batch_size": options.batch_size,
        "machine": platform.machine(),
        "cpus": devices.cpus(),
        "acceleration": vars(devices.acceleration()),
        "load": os.getloadavg()[0],
        "most_allowed": MOST,
        "largest_ratio": {key: max(one[key] for one in limited) for key in ("wall", "cpu")},
        "strategies": found,
    }


class _Bench:
    """One strategy on one set of pictures."""

    def __init__(
        self,
        options: argparse.Namespace,
        policy: Policy,
        paths: list[Path],
        labels: np.ndarray,
        classes: int,
        folder: Path,
    ) -> None:
        self.options, self.policy, self.folder = options, policy, folder
        self.paths, self.labels, self.classes = paths, labels, classes
        self.epochs = policy.epochs_of(math.ceil(len(paths) / options.batch_size))
        self.number = 0

    def boundary(self) -> dict[str, Any]:
        """Return the ratios behind the frozen part: first epoch, views being made, views kept."""
        parts, rates = self._parts()
        first = batches.loaded(self.paths[: self.options.batch_size], self.options.image_size)
        shape: Any = tuple(int(side) for side in parts.lower.output.shape[1:])
        lower = Lower(runtimes.fastest(parts.lower, first[:_SAMPLES]), shape)
        with replicas.working(parts.upper) as model:
            step = self._trained(model, rates)
            (answers,) = lower.extractor(first)
            again = (answers, self._targets(len(first)))
            source, views = self._source(), boundary.MOST_VIEWS
            # As many views as rounds, and a view more for the epochs that only draw.
            data = BoundaryBatches(source, lower, self.options.rounds + 2, self.folder / "views")
            self._next_epoch(data, step)

            def repeated(count: int) -> None:
                _exhaust(lower.extractor.stream([first] * count))
                step(_repeated(again, count))

            repeated(source.steps)  # whatever is built at the first call has been built
            opened = self._pairs(
                lambda: self._first_epoch(lower, step), lambda: repeated(source.steps), 2
            )
            made = self._pairs(lambda: self._next_epoch(data, step), lambda: repeated(source.steps))
            kept = BoundaryBatches(source, lower, 2, self.folder / "views")
            drawn = self._pairs(
                lambda: step(kept.epoch(2 + self._counted())),
                lambda: step(_repeated(again, source.steps)),
            )
        others = max(0, self.epochs - views)
        weights = [(opened, 1), (made, min(views, self.epochs) - 1), (drawn, others)]
        return {
            "epochs_of_the_policy": self.epochs,
            "views": views,
            "runtime": f"{lower.extractor.name} {lower.extractor.precision}",
            "first_epoch": _ratios(opened),
            "while_views_are_made": _ratios(made),
            "from_kept_views": _ratios(drawn),
            "whole_run": _weighted(weights),
        }

    def whole(self) -> dict[str, Any]:
        """Return the ratios of the whole network, by where the pictures come from."""
        parts, rates = self._parts()
        with replicas.working(parts.whole) as model:
            step = self._trained(model, rates)
            size = self.options.image_size
            first = batches.loaded(self.paths[: self.options.batch_size], size)
            again = (first.astype(np.float32), self._targets(len(first)))
            memory, steps = self._source(), self._source().steps
            self.number = 0

            def repeated() -> None:
                step(_repeated(again, steps))

            def epoch(source: TrainingBatches) -> Callable[[], None]:
                return lambda: step(source.epoch(self._counted()))

            epoch(memory)()
            repeated()
            opened = self._pairs(lambda: step(self._source().epoch(1)), repeated, 2)
            later = self._pairs(epoch(memory), repeated)
            held, batches.CACHE_BYTES = batches.CACHE_BYTES, 0
            file, decoded = self._source(self.folder), self._source()
            epoch(file)()
            epoch(decoded)()
            from_file = self._pairs(epoch(file), repeated)
            anew = self._pairs(epoch(decoded), repeated, 2)
            batches.CACHE_BYTES = held
        return {
            "epochs_of_the_policy": self.epochs,
            "first_epoch": _ratios(opened),
            "from_memory": _ratios(later),
            "from_one_file": _ratios(from_file),
            "decoded_in_each_epoch": _ratios(anew),
            "whole_run": _weighted([(opened, 1), (later, self.epochs - 1)]),
        }

    def _parts(self) -> tuple[Halves, tuple[dict[str, float], float]]:
        spec, size = catalog.backbone(self.options.backbone), self.options.image_size
        own = backbones.load(spec, size, weight_files.obtain(spec, size))
        chosen = planning.plan(own.network, self.policy.frozen_level)
        width = int(own.network.output.shape[-1])
        none = np.zeros((width, self.classes), np.float32), np.zeros(self.classes, np.float32)
        parts = backbones.halves(own, chosen.cut, LinearHead(*none, 1.0, 1.0, 0.0), 0.2)
        planning.freeze(own, chosen)
        return parts, planning.rates(own, chosen, 1e-3)

    def _source(self, folder: Path | None = None) -> TrainingBatches:
        options = self.options
        return TrainingBatches(
            self.paths,
            self.labels,
            self.classes,
            options.image_size,
            options.batch_size,
            0,
            Augmentation(level=self.policy.augmentation, turn=options.turn),
            folder,
        )

    def _trained(
        self, model: keras.Model, rates: tuple[dict[str, float], float]
    ) -> Callable[[tf.data.Dataset], None]:
        """Return what trains on a data set for an epoch, as `training.fit` does."""
        training.compiled(model, training.FitSettings(1, 1, *rates, 1e-3))
        silent: Any = 0

        def step(data: tf.data.Dataset) -> None:
            model.fit(replicas.shared(data), shuffle=False, verbose=silent)

        return step

    def _first_epoch(self, lower: Lower, step: Callable[[tf.data.Dataset], None]) -> None:
        """Decode all pictures, make a view and train on it."""
        with tempfile.TemporaryDirectory(dir=self.folder) as folder:
            step(BoundaryBatches(self._source(), lower, 1, Path(folder)).epoch(1))

    def _next_epoch(self, data: BoundaryBatches, step: Callable[[tf.data.Dataset], None]) -> None:
        step(data.epoch(self._counted()))

    def _counted(self) -> int:
        self.number += 1
        return self.number

    def _targets(self, count: int) -> np.ndarray:
        return np.eye(self.classes, dtype=np.float32)[self.labels[:count]]

    def _pairs(
        self, real: Callable[[], None], repeated: Callable[[], None], rounds: int | None = None
    ) -> list[tuple[Took, Took]]:
        """Time both by turns; which goes first alternates."""
        found = []
        for number in range(rounds or self.options.rounds):
            both = (real, repeated) if number % 2 == 0 else (repeated, real)
            took = {one: _timed(one) for one in both}
            found.append((took[real], took[repeated]))
        return found


def _timed(work: Callable[[], None]) -> Took:
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return Took(time.perf_counter() - wall, time.process_time() - cpu)


def _ratios(pairs: list[tuple[Took, Took]]) -> dict[str, Any]:
    """Return the median of the pairs' ratios with the least and the largest, and the seconds."""
    found: dict[str, Any] = {}
    for clock in ("wall", "cpu"):
        all_of_them = [getattr(one, clock) / getattr(other, clock) for one, other in pairs]
        found[clock] = {
            "median": round(statistics.median(all_of_them), 3),
            "least": round(min(all_of_them), 3),
            "largest": round(max(all_of_them), 3),
            "seconds": round(statistics.median(getattr(one, clock) for one, _ in pairs), 2),
        }
    return {"pairs": len(pairs), **found}


def _weighted(parts: Iterable[tuple[list[tuple[Took, Took]], int]]) -> dict[str, float]:
    """Return the ratio of a whole training, of which each part has so many epochs."""
    parts = [(pairs, count) for pairs, count in parts if count > 0]
    found = {}
    for clock in ("wall", "cpu"):
        real, repeated = (
            sum(
                count * statistics.median(getattr(pair[side], clock) for pair in pairs)
                for pairs, count in parts
            )
            for side in (0, 1)
        )
        found[clock] = round(real / repeated, 3)
    return found


def _repeated(batch: tuple[np.ndarray, np.ndarray], count: int) -> tf.data.Dataset:
    return batches.steady(tf.data.Dataset.from_tensors(batch).repeat(count))


def _exhaust(outputs: Iterator[Any]) -> None:
    for _ in outputs:
        pass


if __name__ == "__main__":
    main()
