"""How many labels that were swapped at random stand at the top of the list of suspects?

    python -m benchmarks.suspects [--seeds N] [--backbone NAME] [--image-size N]

In each of the four shared data sets (train and test folder together) 5 % of the labels are swapped
for another class, both drawn at random. `found` is the share of them among the first 10 % of the
list; `flagged` says of the few that the page would show how many were swapped (`precision`) and how
many of the swapped they are (`recall`). `clean` is the share of all pictures that is flagged with
the labels as they came: mistakes of the data set itself and false alarms together. Prints one JSON
object, all in percent.
"""

import argparse
import json
from typing import Any

import numpy as np

from benchmarks import small_sets
from benchmarks.small_sets import Source
from transfer import catalog
from transfer.health import suspects
from transfer.health.suspects import Suspect

SWAPPED, LOOKED_AT = 0.05, 0.10


def swapped(labels: np.ndarray, num_classes: int, seed: int) -> np.ndarray:
    """Return the labels [n] with a share of them drawn from the other classes."""
    rng = np.random.default_rng(seed)
    chosen = rng.choice(len(labels), round(SWAPPED * len(labels)), replace=False)
    changed = labels.copy()
    changed[chosen] += rng.integers(1, num_classes, len(chosen))
    return changed % num_classes


def ranked(source: Source, labels: np.ndarray) -> tuple[Suspect, ...]:
    """Return all pictures of the data set, the most suspect first."""
    everything = np.arange(len(labels))
    blocks = [source.rows(everything, one) for one in source.stages(suspects.STAGES)]
    held_out = suspects.opinion(blocks, labels, source.num_classes, source.groups)
    return suspects.find(held_out, labels, source.index.classes, everything.tolist())


def measure(source: Source, seeds: int) -> dict[str, Any]:
    """Return the figures of one data set."""
    found, precision, recall = [], [], []
    for seed in range(seeds):
        labels = swapped(source.labels, source.num_classes, seed)
        wrong = labels != source.labels
        order = ranked(source, labels)
        top = [one.position for one in order[: round(LOOKED_AT * len(order))]]
        flagged = [one.position for one in order if one.flagged]
        found.append(wrong[top].sum() / wrong.sum())
        precision.append(wrong[flagged].mean() if flagged else np.nan)
        recall.append(wrong[flagged].sum() / wrong.sum())
    clean = [one.flagged for one in ranked(source, source.labels)]
    return {
        "pictures": len(source.labels),
        "found": _percent(found),
        "found_least": round(100 * float(min(found)), 1),
        "found_spread": round(100 * float(np.std(found)), 1),
        "precision": _percent(precision),
        "recall": _percent(recall),
        "clean": _percent(clean),
        "clean_flagged": sum(clean),
    }


def _percent(shares: list[Any]) -> float:
    return round(100 * float(np.nanmean(shares)), 1)


def main() -> None:
    """Swap, rank and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--backbone", default=catalog.DEFAULT_BACKBONE, metavar="NAME")
    parser.add_argument("--image-size", type=int, default=224, metavar="N")
    options = parser.parse_args()
    sources = small_sets.load(small_sets.ALL, options.backbone, options.image_size)
    sets = {source.name: measure(source, options.seeds) for source in sources}
    mean = round(float(np.mean([one["found"] for one in sets.values()])), 1)
    answer = {"backbone": options.backbone, "seeds": options.seeds, "sets": sets}
    print(json.dumps({**answer, "found_mean": mean}))


if __name__ == "__main__":
    main()
