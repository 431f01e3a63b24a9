"""Measure the speed that is promised, as ratios of times taken in one run.

    python -m benchmarks.speed [--data DIR] [--only NAME ...] [--tutorial-epochs N]

linear_top: `train --strategy linear_top` from a folder to an evaluated model, less 15 s to start,
over the bare forward pass of the same pictures in the fastest runtime. tutorial: the tutorial
recipe's ten frozen epochs over that whole training. advise: a second `advise` on cached features,
less the start-up. boundary: an epoch that trains the last stages on what the frozen layers said of
kept views, against one that computes them anew; with both accuracies. Each part is a process of its
own in an empty store. Prints one JSON object; all times are wall seconds.
"""

import argparse
import itertools
import json
import os
import shutil
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import paired, processes, rows
from benchmarks.processes import SHARED, Finished
from transfer import catalog

PARTS = ("linear_top", "tutorial", "advise", "boundary")
START_UP = 15.0  # seconds that are allowed for it
MOST_OVER_FORWARD, LEAST_OVER_TUTORIAL = 1.3, 10.0
MOST_ADVISE, LEAST_BOUNDARY = 3.0, 2.0
_TUTORIAL_EPOCHS = 10


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=SHARED / "datasets" / "eurosat")
    parser.add_argument("--backbone", default=catalog.DEFAULT_BACKBONE)
    parser.add_argument("--image-size", type=int, metavar="N")
    parser.add_argument("--only", action="append", choices=PARTS)
    parser.add_argument(
        "--tutorial-epochs", type=int, default=_TUTORIAL_EPOCHS, metavar="N",
        help="measure fewer of the ten; the rest is reckoned from those after the first",
    )  # fmt: skip
    parser.add_argument("--pictures", type=int, default=600, help="of the part boundary (600)")
    parser.add_argument("--epochs", type=int, default=12, help="of the part boundary (12)")
    parser.add_argument("--seeds", type=int, default=3, help="of the part boundary (3)")
    parser.add_argument("--rounds", type=int, default=3, help="of linear_top and advise (3)")
    options = parser.parse_args()
    if not options.data.is_dir():
        sys.exit(f"There is no folder '{options.data}'. Name one with --data.")
    wanted = options.only or PARTS
    answer: dict[str, Any] = {"data": options.data.name, "backbone": options.backbone}
    answer |= {"cores": os.cpu_count(), "load_before": os.getloadavg()[0]}
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        bench = _Bench(options, Path(folder))
        for part in PARTS:
            if part in wanted or (part == "linear_top" and "tutorial" in wanted):
                answer[part] = bench.measure(part, answer)
                sys.stderr.write(f"{part}: {json.dumps(answer[part])}\n")
    answer["load_after"] = os.getloadavg()[0]
    print(json.dumps(answer))


def subset(data: Path, target: Path, pictures: int) -> int:
    """Copy all test pictures, and of the others about so many, evenly by class; return how many."""
    folders = sorted(path for path in (data / "train").iterdir() if path.is_dir())
    each, copied = max(1, round(pictures / len(folders))), 0
    for folder in folders:
        files = sorted(path for path in folder.iterdir() if path.is_file())
        chosen = np.linspace(0, len(files), min(each, len(files)), endpoint=False).astype(int)
        (target / "train" / folder.name).mkdir(parents=True)
        for i in chosen:
            shutil.copy(files[i], target / "train" / folder.name)
        copied += len(chosen)
    shutil.copytree(data / "test", target / "test")
    return copied


def ten_epochs(seconds: list[float]) -> float:
    """Return the seconds of ten epochs from those of the first ones; the first takes longer."""
    if len(seconds) >= _TUTORIAL_EPOCHS:
        return sum(seconds[:_TUTORIAL_EPOCHS])
    later = seconds[1:] or seconds
    return seconds[0] + (_TUTORIAL_EPOCHS - 1) * statistics.mean(later)


class _Bench:
    """The parts, in one folder; those that need features use the store of the first."""

    def __init__(self, options: argparse.Namespace, folder: Path) -> None:
        self.options, self.folder = options, folder
        self.network = ["--backbone", options.backbone]
        self.network += ["--image-size", options.image_size] if options.image_size else []

    def measure(self, part: str, before: dict[str, Any]) -> dict[str, Any]:
        """Return one part; the tutorial is compared with the training before it."""
        if part == "tutorial":
            return self.tutorial(before["linear_top"])
        alone = {"linear_top": self.linear_top, "advise": self.advise, "boundary": self.boundary}
        return alone[part]()

    def linear_top(self) -> dict[str, Any]:
        """Return whole trainings, each against the forward passes before and after it.

        Each has a store of its own, and all of them stay to the end: a file system that has just
        lost thousands of files is slow to make new ones.
        """
        words = ["train", self.options.data, "--json", "--strategy", "linear_top", *self.network]
        forward, trained = [self._baseline("forward", "forward")], []
        for number in range(self.options.rounds):
            home = self._home(f"store-{number}")
            trained.append(processes.run("transfer", [*words, "--run", home / "top"], home))
            forward.append(self._baseline("forward", "forward"))
        bare = [one.answer["seconds"] for one in forward]
        seconds = [one.seconds for one in trained]
        ratios = [
            (took - START_UP) / statistics.mean(around)
            for took, around in zip(seconds, itertools.pairwise(bare), strict=True)
        ]
        return {
            "seconds": statistics.median(seconds),
            "seconds_by_round": seconds,
            "forward_seconds": bare,
            "forward": forward[-1].answer,
            "ratio": round(statistics.median(ratios), 3),
            "ratio_by_round": [round(ratio, 3) for ratio in ratios],
            "most_allowed": MOST_OVER_FORWARD,
            "test": trained[-1].answer["test"],
            "peak_memory_mb": max(one.peak_memory_mb for one in trained),
        }

    def tutorial(self, linear: dict[str, Any]) -> dict[str, Any]:
        """Return the recipe's frozen epochs against the training of `linear_top`."""
        epochs = self.options.tutorial_epochs
        words = [self.options.data, *self.network, "--epochs", epochs, "--fine-tuning-epochs", 0]
        frozen = processes.run("benchmarks.tutorial", words, self._home("tutorial"))
        measured = frozen.answer["frozen"]
        every = measured["seconds_by_epoch"]
        training = measured["training_seconds_by_epoch"]
        whole, learning = ten_epochs(every), ten_epochs(training)
        return {
            "seconds_of_ten_epochs": round(whole, 1),
            "seconds_without_validation": round(learning, 1),
            "epochs_measured": len(every),
            "reckoned": len(every) < _TUTORIAL_EPOCHS,
            "seconds_by_epoch": every,
            "ratio": round(whole / linear["seconds"], 2),
            "ratio_without_validation": round(learning / linear["seconds"], 2),
            "least_allowed": LEAST_OVER_TUTORIAL,
            "test": measured["test"],  # after the epochs that were measured
            "accuracy_ahead": round(
                100 * (linear["test"]["accuracy"] - measured["test"]["accuracy"]), 2
            ),
        }

    def advise(self) -> dict[str, Any]:
        """Return the time of `advise` where all features are there, less the start-up."""
        home, words = self._home("store-0"), ["advise", self.options.data, "--json", *self.network]
        first = processes.run("transfer", words, home)
        again, start = [], []
        for _ in range(self.options.rounds):
            start.append(self._baseline("startup", "store-0").seconds)
            again.append(processes.run("transfer", words, home).seconds)
        took, started = statistics.median(again), statistics.median(start)
        return {
            "pictures": first.answer["size"]["images"],
            "first_seconds": first.seconds,
            "seconds": again,
            "startup_seconds": start,
            "seconds_after_startup": round(took - started, 2),
            "most_allowed": MOST_ADVISE,
        }

    def boundary(self) -> dict[str, Any]:
        """Return epochs and accuracies with kept views and with frozen layers computed anew."""
        data, home = self.folder / "subset", self._home("boundary")
        pictures = subset(self.options.data, data, self.options.pictures)
        runs: dict[str, list[dict[str, Any]]] = {"kept": [], "recomputed": []}
        differences, one_seed = [], []
        for seed in range(self.options.seeds):
            marks = {}
            for name, many in runs.items():
                run = self.folder / f"{name}-{seed}"
                words = ["epochs", data, *self.network, "--run", run, "--seed", seed]
                words += ["--epochs", self.options.epochs]
                words += ["--recompute"] if name == "recomputed" else []
                many.append(processes.run("benchmarks.baselines", words, home).answer)
                marks[name] = rows.marks_of_run(run, home)["test"].array.astype(float)
            differences.append(marks["kept"] - marks["recomputed"])
            one_seed.append(100 * float(differences[-1].mean()))
        mean = np.mean(differences, axis=0)
        return {
            "pictures": pictures,
            "epochs": self.options.epochs,
            **_ratios(runs["kept"], runs["recomputed"]),
            "least_allowed": LEAST_BOUNDARY,
            "accuracy": {
                name: [one["test"]["accuracy"] for one in many] for name, many in runs.items()
            },
            "difference_by_seed": [round(one, 2) for one in one_seed],
            "difference": paired.difference(mean, np.zeros_like(mean)).to_json(),
            "spread_of_seeds": round(statistics.stdev(one_seed), 2) if len(one_seed) > 1 else None,
            "runs": runs,
        }

    def _baseline(self, which: str, home: str) -> Finished:
        data = [self.options.data] if which == "forward" else []
        words = [which, *data, *self.network]
        return processes.run("benchmarks.baselines", words, self._home(home))

    def _home(self, name: str) -> Path:
        return self.folder / f"home-{name}"


def _ratios(kept: list[dict[str, Any]], recomputed: list[dict[str, Any]]) -> dict[str, Any]:
    """Return medians of epochs after the first and their ratio, also by whether views are made."""
    views = kept[0]["views"]
    anew = _after_first(recomputed, 1, None)
    parts = {
        "": _after_first(kept, 1, None),
        "_while_views_are_made": _after_first(kept, 1, views),
        "_from_kept_views": _after_first(kept, views, None),
    }
    found: dict[str, Any] = {"views": views, "epoch_seconds_recomputed": statistics.median(anew)}
    for name, seconds in parts.items():
        if seconds:
            found[f"epoch_seconds{name}"] = statistics.median(seconds)
            found[f"ratio{name}"] = round(statistics.median(anew) / statistics.median(seconds), 2)
    whole = [sum(sum(one["epoch_seconds"]) for one in many) for many in (recomputed, kept)]
    return {**found, "ratio_of_all_epochs": round(whole[0] / whole[1], 2)}


def _after_first(runs: list[dict[str, Any]], start: int, stop: int | None) -> list[float]:
    return [seconds for one in runs for seconds in one["epoch_seconds"][start:stop]]


if __name__ == "__main__":
    main()
