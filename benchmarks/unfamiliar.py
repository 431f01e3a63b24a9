"""Which stages tell pictures of none of the classes? Chosen by strangers that no data set holds.

    python -m benchmarks.unfamiliar [--backbone NAME] [--image-size N] [--sets NAME ...] [--count N]

For each shared data set and each number of last stages, what is familiar is learned from at most
400 training pictures; strange are the pictures of `strangers`: `drawn` ones, `changed` ones of the
set's own test pictures, and those of one class that was `left_out` (every fourth class, where there
are more than two). Stated are mean and least AUROC, the mean share that is refused, and the share
of the set's own test pictures that is. Pictures of the other data sets are looked at nowhere here:
`answers` reports on these. Prints one JSON object.
"""

import argparse
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks import small_sets, strangers
from benchmarks.small_sets import Source
from transfer import backbones, batches, catalog, pooling, refusal, runtimes, weights
from transfer.dataset import relations
from transfer.dataset.split import Split
from transfer.refusal import Refused

_TRAIN, _VAL, _TEST = 400, 300, 200  # pictures at most
_EVERY = 4  # so many classes, one is left out
_BATCH = 32
_SEED = 7

Means = list[np.ndarray]  # of each stage, [n, d]
Read = Callable[[np.ndarray], Means]  # pictures uint8 [n, side, side, 3]


@dataclass(frozen=True)
class Case:
    """What is known, what is judged by, and what is strange, of one kind."""

    train: np.ndarray
    val: np.ndarray
    test: np.ndarray
    strange: Means
    kind: str


def reader(backbone: str, side: int) -> Read:
    """Return what gives the means of all stages of pictures."""
    spec = catalog.backbone(backbone)
    network = backbones.load(spec, side, weights.obtain(spec, side))
    tensors = [pooling.pooled(block) for block in pooling.means(network.blocks)]
    extractor = runtimes.small_batches(backbones.reading(network, tensors), (side, side, 3))

    def read(pictures: np.ndarray) -> Means:
        parts = (pictures[i : i + _BATCH] for i in range(0, len(pictures), _BATCH))
        return [np.concatenate(stage) for stage in zip(*extractor.stream(parts), strict=True)]

    return read


def cases(source: Source, parts: Split, drawn: Means, changed: Means) -> Iterator[Case]:
    """Yield each kind of strangers, with what is known."""
    rng = np.random.default_rng(_SEED)
    limits = ((parts.train, _TRAIN), (parts.val, _VAL), (parts.test, _TEST))
    train, val, test = (rng.permutation(np.asarray(part))[:most] for part, most in limits)
    yield Case(train, val, test, drawn, "drawn")
    yield Case(train, val, test, changed, "changed")
    for label in range(1, source.num_classes, _EVERY) if source.num_classes > 2 else ():
        one, two, three = (part[source.labels[part] != label] for part in (train, val, test))
        left_out = _means(source, test[source.labels[test] == label])
        yield Case(one, two, three, left_out, "left_out")


def told(source: Source, parts: Split, case: Case, stages: int) -> Refused | None:
    """Return how well the last `stages` stages tell the strangers; None: too few pictures."""
    known, judging, test = (
        _means(source, part)[-stages:] for part in (case.train, case.val, case.test)
    )
    found = refusal.fit(known, judging, parts.together(case.train))
    return found and refusal.refused(found.scores(test), found.scores(case.strange[-stages:]))


def measured(source: Source, read: Read, side: int, count: int) -> list[dict[str, Any]]:
    """Return a row for each number of stages and kind of strangers of one data set."""
    parts = relations.shared_out(source.index, 0)
    chosen = np.random.default_rng(1).permutation(np.asarray(parts.test))[:count]
    own = batches.loaded([source.index.path(source.index.pictures[i]) for i in chosen], side)
    drawn = [strangers.drawn(kind, count, side) for kind in strangers.DRAWN]
    changed = [strangers.changed(kind, own) for kind in strangers.CHANGED]
    kinds = [read(np.concatenate(one)) for one in (drawn, changed)]
    rows = []
    for case in cases(source, parts, *kinds):
        for stages in range(1, len(case.strange) + 1):
            if (found := told(source, parts, case, stages)) is not None:
                row = {"dataset": source.name, "kind": case.kind, "stages": stages}
                rows.append(row | found.to_json())
    return rows


def summary(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return for each kind and number of stages the means over data sets."""
    found = []
    for kind, stages in dict.fromkeys((row["kind"], row["stages"]) for row in rows):
        same = [row for row in rows if (row["kind"], row["stages"]) == (kind, stages)]
        found.append(
            {
                "kind": kind,
                "stages": stages,
                "auroc_mean": round(float(np.mean([row["auroc"] for row in same])), 4),
                "auroc_least": round(min(row["auroc"] for row in same), 4),
                "refused": round(float(np.mean([row["others"]["accuracy"] for row in same])), 4),
                "own": round(float(np.mean([row["own"]["accuracy"] for row in same])), 4),
            }
        )
    return found


def _means(source: Source, positions: np.ndarray) -> Means:
    every = [block for block in source.kept.blocks if block.kind == "mean"]
    return [source.rows(positions, block) for block in every]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--backbone", default=catalog.DEFAULT_BACKBONE, metavar="NAME")
    parser.add_argument("--image-size", type=int, default=224, metavar="N")
    parser.add_argument("--sets", nargs="+", choices=small_sets.ALL, default=small_sets.ALL)
    parser.add_argument("--count", type=int, default=64, metavar="N", help="strangers of a kind")
    options = parser.parse_args()
    side = options.image_size
    sources = small_sets.load(options.sets, options.backbone, side)
    read = reader(options.backbone, side)
    rows = [row for one in sources for row in measured(one, read, side, options.count)]
    answer = {"backbone": options.backbone, "means": summary(rows), "rows": rows}
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
