"""Train on the four shared data sets and print accuracy, time and memory as JSON.

    python -m benchmarks.accuracy [--backbone NAME] [--strategy NAME ...] [--dataset NAME ...]

Each run is a process of its own: the command line that a user types, in a store of its own, so
that nothing is cached from one strategy to the next.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
SHARED = Path(os.environ.get("TRANSFER_SHARED", ROOT.parent / "shared"))
DATASETS = ("ants-bees", "steel-defects", "clothing", "eurosat")
STRATEGIES = ("linear_top", "finetune_few")


def main() -> None:
    """Run every combination that was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backbone", default="MobileNetV2")
    parser.add_argument("--strategy", action="append", choices=STRATEGIES)
    parser.add_argument("--dataset", action="append", choices=DATASETS)
    parser.add_argument("--budget", type=float, help="seconds a run")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if not (SHARED / "datasets").is_dir():
        sys.exit(f"The shared data sets are not in {SHARED}; set TRANSFER_SHARED.")
    rows = []
    for dataset in options.dataset or DATASETS:
        for strategy in options.strategy or STRATEGIES:
            row = measure(dataset, strategy, options)
            sys.stderr.write(f"{json.dumps(row)}\n")
            rows.append(row)
    print(json.dumps({"backbone": options.backbone, "cores": os.cpu_count(), "runs": rows}))


def measure(dataset: str, strategy: str, options: argparse.Namespace) -> dict[str, Any]:
    """Train once in a fresh process and a fresh store; return what the command line answered."""
    with tempfile.TemporaryDirectory() as home:
        data = SHARED / "datasets" / dataset
        command = [sys.executable, "-m", "transfer", "train", str(data), "--json"]
        command += ["--run", f"{home}/run", "--backbone", options.backbone]
        command += ["--strategy", strategy, "--seed", str(options.seed)]
        if options.budget:
            command += ["--budget", str(options.budget)]
        weights = {"KERAS_HOME": os.environ.get("KERAS_HOME", str(SHARED / "keras"))}
        done = subprocess.run(
            command,
            cwd=ROOT,
            env={**os.environ, **weights, "TRANSFER_HOME": home},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        answer = json.loads(done.stdout.splitlines()[-1])
        result = json.loads(Path(home, "run", "result.json").read_text(encoding="utf-8"))
    keys = ("requested", "shipped", "validation", "test", "seconds", "peak_memory_mb", "ended")
    candidates = {
        name: {key: report[key] for key in ("accuracy", "loss")}
        for name, report in result["candidates"].items()
    }
    return {"dataset": dataset, **{key: answer[key] for key in keys}, "candidates": candidates}


if __name__ == "__main__":
    main()
