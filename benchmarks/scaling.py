"""Measure seconds and memory against the number of pictures, and draw both with straight lines.

    python -m benchmarks.scaling [--sizes 1000 10000 100000] [--picture FILE.svg]

For each size, small generated pictures in ten folders go through `train --strategy linear_top`
(taking in, features, classifier, evaluation) and then `advise`, each a fresh process; the built-in
backbone at a small input size, so that the pictures and not the network take the time. Memory is
the sum of the command and the child that reads the files. Prints one JSON object.
"""

import argparse
import itertools
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks import drawing, processes
from benchmarks.drawing import Curve, Line, Panel
from transfer import catalog

CLASSES, SIDE = 10, 32
MOST_MEMORY = 3000  # MB, with 100,000 pictures
_CONTRAST = 20  # values by which the classes' colours differ: neither trivial nor hopeless


def main() -> None:
    """Measure and print; draw where a file is named."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 10_000, 30_000, 100_000])
    parser.add_argument("--backbone", default=catalog.BUILTIN)
    parser.add_argument("--strategy", default="linear_top")
    parser.add_argument("--image-size", type=int, default=32, metavar="N")
    parser.add_argument("--picture", type=Path, metavar="FILE.svg")
    options = parser.parse_args()
    found = []
    # Everything stays to the end: a file system that has just lost thousands of files is slow to
    # make new ones, and the line would seem to bend.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        for size in sorted(options.sizes):
            found.append(measure(size, options, Path(folder) / str(size)))
            sys.stderr.write(f"{json.dumps(found[-1])}\n")
    answer = {"backbone": options.backbone, "image_size": options.image_size}
    answer |= {"strategy": options.strategy, "cores": os.cpu_count(), "sizes": found}
    print(json.dumps({**answer, "fits": fits(found)}))
    if options.picture:
        options.picture.parent.mkdir(parents=True, exist_ok=True)
        options.picture.write_text(drawn(found), encoding="utf-8")


def write_pictures(folder: Path, number: int, seed: int = 0) -> None:
    """Write so many different small pictures in ten folders, PNG and JPEG by turns."""
    random = np.random.default_rng([seed, number])
    for label in range(CLASSES):
        (folder / f"class-{label}").mkdir(parents=True)
    for i in range(number):
        label = i % CLASSES
        coarse = random.integers(0, 256, (8, 8, 3), np.int16)
        coarse[:, :, label % 3] += _CONTRAST * (1 + label // 3)
        values = coarse.clip(0, 255).astype(np.uint8)
        picture = Image.fromarray(values).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
        kind = ("png", "jpg")[i // CLASSES % 2]
        picture.save(folder / f"class-{label}" / f"{i:06}.{kind}", quality=90)


def measure(number: int, options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Run both commands on so many pictures, in a folder with an empty store."""
    data, home, run = (folder / name for name in ("data", "home", "run"))
    write_pictures(data, number)
    network = ["--backbone", options.backbone, "--image-size", options.image_size, "--json"]
    train = ["train", data, "--run", run, "--strategy", options.strategy, *network]
    trained = processes.run("transfer", train, home)
    phases = phase_seconds(run / "events.jsonl", trained.answer["seconds"])
    advised = processes.run("transfer", ["advise", data, *network], home)
    stored = sum(path.stat().st_size for path in home.rglob("*") if path.is_file())
    return {
        "pictures": number,
        "train": {
            "seconds": trained.seconds,
            "peak_memory_mb": trained.peak_memory_mb,
            "phases": phases,
            "before": round(trained.seconds - trained.answer["seconds"], 1),  # import, start-up
            "test": trained.answer["test"]["accuracy"],
        },
        "advise": {
            "seconds": advised.seconds,
            "peak_memory_mb": advised.peak_memory_mb,
            "measuring": advised.answer["seconds"],
        },
        "store_mb": round(stored / 1e6),
    }


def phase_seconds(events: Path, whole: float) -> dict[str, float]:
    """Return how long each phase of a run took, by its events; `whole` is what the run took."""
    lines = [json.loads(line) for line in events.read_text(encoding="utf-8").splitlines()]
    phases = [line for line in lines if line["event"] == "phase"]
    found = {"before": whole - (phases[-1]["time"] - phases[0]["time"])} if phases else {}
    for one, after in itertools.pairwise(phases):
        found[one["phase"]] = found.get(one["phase"], 0.0) + after["time"] - one["time"]
    return {name: round(seconds, 2) for name, seconds in found.items()}


def fits(found: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Return a straight line for seconds and memory of each command, a 1,000 pictures."""
    thousands = [one["pictures"] / 1000 for one in found]
    answer = {}
    for command in ("train", "advise"):
        for what in ("seconds", "peak_memory_mb"):
            line = Line.through(thousands, [one[command][what] for one in found])
            answer[f"{command}_{what}"] = {
                "intercept": round(line.intercept, 2),
                "each_thousand": round(line.slope, 4),
                "r_squared": round(line.r_squared, 5),
            }
    return answer


def drawn(found: list[dict[str, Any]]) -> str:
    """Return both diagrams as SVG."""
    pictures = [one["pictures"] for one in found]

    def curves(what: str) -> list[Curve]:
        names = {"train": "linear_top, all of it", "advise": "advise, features kept"}
        return [Curve(w, pictures, [one[name][what] for one in found]) for name, w in names.items()]

    across = "pictures"
    return drawing.svg(
        [
            Panel("Time", across, "seconds", curves("seconds")),
            Panel(
                "Memory",
                across,
                "peak, MB",
                curves("peak_memory_mb"),
                (f"{MOST_MEMORY:,} MB allowed", MOST_MEMORY),
            ),
        ]
    )


if __name__ == "__main__":
    main()
