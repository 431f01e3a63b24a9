"""Hold the time left that a run announces against the time that it really took.

    python -m benchmarks.time_left shared/datasets/ants-bees [--strategy finetune_few]
        [--backbone MobileNetV2:0.35] [--image-size 96] [--epochs 6] [--budget SECONDS]

A run of the app, as its queue makes it, in a process and a store of its own, the export included.
What it announces is read four times a second, as a watcher does, and compared with what was left
when it had ended. Only announcements after the first fifth of the time count.

Prints one JSON object. `within` is the share of announcements that are off by 20 % at most, or by
the five seconds to which the page rounds; `median_error` the median of |announced - left| / left.
Where training may stop early the announcement is a bound: `exceeded` is the share of announcements
that were too low by more than 20 % (and five seconds), which must not be for a bound either.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transfer import catalog, weights
from transfer.config import RunConfig
from transfer.dataset import library
from transfer.runs import Run

FIRST, ALLOWED, ROUNDED = 0.2, 0.2, 5.0  # of the time; of what is left; seconds
_EVERY = 0.25  # seconds between two looks


@dataclass(frozen=True)
class Announcement:
    """What was announced at a moment: seconds since the beginning, seconds left, in which phase."""

    at: float
    left: float
    phase: str


def watch(run: Run, log: Path) -> tuple[list[Announcement], float]:
    """Do the work of a prepared run, and return what it announced and the seconds it took."""
    command = [sys.executable, "-m", "transfer", "work", str(run.folder.absolute()), "--json"]
    told: dict[float, Announcement] = {}  # by the time of the status
    began, clock = time.monotonic(), time.time()
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
        while process.poll() is None:
            status = run.status_now()
            if (left := status.get("seconds_left")) is not None and status["phase"] != "finished":
                at = float(status["time"])
                told.setdefault(at, Announcement(at - clock, float(left), str(status["phase"])))
            time.sleep(_EVERY)
    if process.returncode:
        sys.exit(f"The run failed: {log.read_text()}")
    return list(told.values()), time.monotonic() - began


def compared(told: Sequence[Announcement], took: float) -> dict[str, Any]:
    """Return how right the announcements after the first fifth were.

    >>> told = [Announcement(5, 40, "head"), Announcement(50, 55, "head"),
    ...         Announcement(80, 60, "test")]
    >>> compared(told, 100)["within"], compared(told, 100)["exceeded"]
    (0.5, 0.0)
    """
    late = [one for one in told if FIRST * took <= one.at < took]
    if not late:
        return {"announcements": 0}
    errors = {one: one.left - (took - one.at) for one in late}
    allowed = {one: max(ALLOWED * (took - one.at), ROUNDED) for one in late}
    phases = {one.phase: 0.0 for one in late}
    for phase in phases:
        own = [error for one, error in errors.items() if one.phase == phase]
        phases[phase] = round(statistics.median(own), 1)
    relative = [abs(error) / (took - one.at) for one, error in errors.items()]
    return {
        "announcements": len(late),
        "within": round(sum(abs(errors[one]) <= allowed[one] for one in late) / len(late), 3),
        "exceeded": round(sum(errors[one] < -allowed[one] for one in late) / len(late), 3),
        "median_error": round(statistics.median(relative), 3),
        "median_error_by_phase_s": phases,
    }


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Import, prepare and watch one run."""
    spec = catalog.backbone(options.backbone)
    size = options.image_size or weights.default_size(spec)
    index = library.import_dataset(options.data)
    run = Run(Path(os.environ["TRANSFER_HOME"]) / "runs" / "watched")
    config = RunConfig(
        index.digest, spec.name, size, strategy=options.strategy, epochs=options.epochs,
        budget=options.budget, horizontal_flip=True, quarter_turns=False,
    )  # fmt: skip
    run.start(config)
    told, took = watch(run, run.folder.with_name("log"))
    result = run.result()
    bound = catalog.strategy(options.strategy).tunes
    return {
        "data": options.data.name,
        "strategy": options.strategy,
        "backbone": spec.name,
        "seconds": round(took, 1),
        "ended": result["ended"],
        "bound": bound,
        **compared(told, took),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--strategy", default="finetune_few")
    parser.add_argument("--backbone", default="MobileNetV2:0.35")
    parser.add_argument("--image-size", type=int)
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--budget", type=float, help="seconds")
    options = parser.parse_args()
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        os.environ["TRANSFER_HOME"] = home
        print(json.dumps({**measure(options), "load_before": load}))


if __name__ == "__main__":
    main()
