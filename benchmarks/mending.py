"""Measure how soon the quick check answers after a change to a data set.

    python -m benchmarks.mending [--pictures N] [--features D] [--classes C] [--rounds N]

A data set of `N` drawn rows of features (5,000 x 1,280 float16, ten classes) is put into a store of
its own; then the command `python -m transfer probe`, as the app starts it, answers before any
change, and after each of several changes. Prints one JSON object; all times are wall seconds.
"""

import argparse
import hashlib
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.processes import ROOT
from transfer import store
from transfer.dataset import versions
from transfer.dataset.index import ImageIndex, Picture
from transfer.dataset.mending import Change
from transfer.feature_store import FeatureStore
from transfer.health import probe_files
from transfer.health.probe_files import Source

MOST = 3.0  # seconds for an answer after a change
_DIGEST = "5eed"
_STAGES = 7  # times the width: rows hold all stages of a network, of which the last is read
_SWAPPED = 0.05  # of the pictures, whose labels the changes put right


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pictures", type=int, default=5000)
    parser.add_argument("--features", type=int, default=1280)
    parser.add_argument("--classes", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        os.environ["TRANSFER_HOME"] = home
        right = prepare(options.pictures, options.features, options.classes)
        answer: dict[str, Any] = {**vars(options), "cores": os.cpu_count()}
        answer |= {"load_before": os.getloadavg()[0], "start_up": _timed("--help")[0]}
        answer["before_any_change"] = _timed(_DIGEST, "--json")[0]
        times, inside, cpu = [], [], []
        for change in changes(right, options.rounds):
            versions.change(_DIGEST, change)
            used = _cpu()
            seconds, said = _timed(_DIGEST, "--json")
            times.append(seconds)
            cpu.append(round(_cpu() - used, 2))
            inside.append(said["seconds"])
            answer["last"] = {key: said[key] for key in ("before", "after", "difference")}
    answer |= {"after_a_change": times, "without_start_up": inside, "of_processors": cpu}
    answer |= {"median": statistics.median(times), "most": max(times)}
    answer |= {"held": max(times) <= MOST, "load_after": os.getloadavg()[0]}
    print(json.dumps(answer))


def prepare(pictures: int, features: int, classes: int) -> dict[str, str]:
    """Put a data set with features into the store; return the right class of those swapped."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, classes, pictures)
    middles = rng.normal(size=(classes, features)) * 0.08
    contents = [hashlib.sha256(str(i).encode()).hexdigest() for i in range(pictures)]
    folder = Path("features") / "drawn"
    kept = FeatureStore(store.home() / folder, _STAGES * features)
    for start in range(0, pictures, 512):
        part = labels[start : start + 512]
        rows = rng.normal(size=(len(part), _STAGES * features))
        rows[:, -features:] += middles[part]
        kept.append(contents[start : start + 512], rows.astype(np.float32))
    swapped = rng.choice(pictures, int(_SWAPPED * pictures), replace=False)
    given = labels.copy()
    given[swapped] = (given[swapped] + 1) % classes
    root = store.home() / "datasets" / _DIGEST
    index = ImageIndex(root, _DIGEST, tuple(
        Picture(f"{i:05d}.jpg", f"class {given[i]}", None, f"images/{c}.png", c, 96, 96)
        for i, c in enumerate(contents)
    ))  # fmt: skip
    store.write_json(root / "index.json", index.to_json())
    columns = ((_STAGES - 1) * features, _STAGES * features)
    source = Source(str(folder), _STAGES * features, columns, "drawn")
    probe_files.write_source(store.home() / "health" / f"{_DIGEST}-drawn-96", source)
    return {f"{i:05d}.jpg": f"class {labels[i]}" for i in swapped}


def changes(right: dict[str, str], rounds: int) -> list[Change]:
    """Return changes that put a part of the labels right each, and a deletion at last."""
    names = list(right)
    found = []
    for part in range(rounds - 1):
        some = names[part::rounds]
        label = right[some[0]]
        found.append(Change("relabel", tuple(n for n in some if right[n] == label), (), label))
    return [*found, Change("delete", tuple(names[rounds - 1 :: rounds]))]


def _cpu() -> float:
    """Return the seconds that the processes started here have had of all processors."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _timed(*arguments: str) -> tuple[float, dict[str, Any]]:
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "transfer", "probe", *arguments],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    seconds = round(time.monotonic() - began, 2)
    last = done.stdout.strip().rpartition("\n")[2]
    return seconds, json.loads(last) if last.startswith("{") else {}


if __name__ == "__main__":
    main()
