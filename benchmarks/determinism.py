"""Measure what equal numbers each time cost on a CPU, as a ratio of times taken in one run.

    python -m benchmarks.determinism [--data DIR] [--backbone NAME] [--strategy NAME] [--pairs N]

The same fine-tuning is done with determinism (the default without a GPU) and without it, in turn,
each in a process of its own on features that are there already; from each the mean seconds of its
epochs after the first are taken. `ratio` is the median over the pairs of (with / without); `spread`
are the smallest and the largest. `equal` says whether the runs with determinism ended with the very
same numbers, `equal_without` whether those without did. Prints one JSON object.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.processes import SHARED
from transfer import catalog

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=SHARED / "datasets" / "ants-bees")
    parser.add_argument("--backbone", default=catalog.BUILTIN)
    parser.add_argument("--image-size", type=int, default=96, metavar="N")
    parser.add_argument("--strategy", default="finetune_few")
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--pairs", type=int, default=5)
    options = parser.parse_args()
    if not options.data.is_dir():
        sys.exit(f"There is no folder '{options.data}'. Name one with --data.")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        home = Path(folder)
        _epochs(options, home, "warm", True)  # the data set and its features are there afterwards
        pairs = []
        for number in range(options.pairs):
            order = (True, False) if number % 2 else (False, True)  # neither is always the first
            pairs.append({on: _epochs(options, home, f"{number}-{on}", on) for on in order})
    ratios = [_mean(pair[True]) / _mean(pair[False]) for pair in pairs]
    answer = {
        "data": options.data.name,
        "backbone": options.backbone,
        "strategy": options.strategy,
        "ratio": round(statistics.median(ratios), 3),
        "spread": [round(min(ratios), 3), round(max(ratios), 3)],
        "equal": _equal([pair[True] for pair in pairs]),
        "equal_without": _equal([pair[False] for pair in pairs]),
        "pairs": options.pairs,
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],
    }
    print(json.dumps(answer))


def _epochs(
    options: argparse.Namespace, home: Path, name: str, determinism: bool
) -> list[dict[str, Any]]:
    """Train once and return the rows of the fine-tuning's epochs."""
    run = home / name
    command = [sys.executable, "-m", "transfer", "train", options.data, "--run", run, "--json"]
    command += ["--backbone", options.backbone, "--image-size", options.image_size, "--no-turn"]
    command += ["--mirror", "--strategy", options.strategy, "--epochs", options.epochs]
    environment = {"TRANSFER_HOME": str(home), "TRANSFER_DETERMINISM": "1" if determinism else "0"}
    subprocess.run(
        list(map(str, command)), cwd=ROOT, check=True, capture_output=True,
        env={**os.environ, **environment},
    )  # fmt: skip
    history = json.loads((run / "history.json").read_text(encoding="utf-8"))
    return [row for row in history if row["phase"] == "fine_tuning" and row["epoch"] > 0]


def _mean(rows: list[dict[str, Any]]) -> float:
    """Return the mean seconds of an epoch; in the first one graphs are built."""
    return statistics.mean(row["seconds"] for row in rows[1:])


def _equal(runs: list[list[dict[str, Any]]]) -> bool:
    """Whether all runs have the same numbers, to the bit."""
    plain = [[{k: v for k, v in row.items() if k != "seconds"} for row in rows] for rows in runs]
    return all(rows == plain[0] for rows in plain)


if __name__ == "__main__":
    main()
