"""Does the interval given with an accuracy contain the truth? Small sets drawn from larger ones.

    python -m benchmarks.intervals [--draws N] [--backbone NAME] [--image-size N]

From the train folder of each of the two larger shared data sets, small sets are drawn: 10, 20 and
40 pictures a class. Each goes the way of `linear_top`: split 70/15/15, strength chosen on train,
refit on train and validation, tested on its own test part. The truth is that classifier's accuracy
on the data set's test folder. Counted is how often it lies in the Wilson interval of the test part
(`test`), and in the interval of repeated grouped cross-validation of all the small set's pictures
(`cross_validation`). `balanced` takes for the truth the mean of the classes' recalls, for the small
sets are balanced and the test folder may not be. Prints one JSON object.
"""

import argparse
import json
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks import small_sets
from benchmarks.small_sets import Source
from transfer import catalog, crossval, evaluation, linear
from transfer.dataset import split
from transfer.evaluation import Accuracy

PER_CLASS = (10, 20, 40)


@dataclass(frozen=True)
class Drawn:
    """One small set: both intervals, and what the classifier does on the large test part."""

    given: dict[str, Accuracy]
    truth: float
    balanced: float


def draw(source: Source, large: np.ndarray, per_class: int, seed: int) -> Drawn:
    """Draw one small set, fit and measure; `large` are the test folder's features."""
    rng = np.random.default_rng([seed, per_class])
    positions = small_sets.small(source, per_class, rng)
    rows, labels, groups = (
        source.rows(positions),
        source.labels[positions],
        source.groups[positions],
    )
    parts = split.split(small_sets.as_data_set(source, positions), seed)
    train, learned, test = map(np.array, (parts.train, parts.train + parts.val, parts.test))
    classes = source.num_classes
    like = linear.probe(rows[train], labels[train], classes, groups[train]).head
    shipped = linear.fit(rows[learned], labels[learned], classes, like)
    own = shipped.probabilities(rows[test]).argmax(axis=1) == labels[test]
    truth = source.labels[source.test]
    right = shipped.probabilities(large).argmax(axis=1) == truth
    given = {
        "test": evaluation.wilson(int(own.sum()), len(own)),
        "cross_validation": crossval.repeated(rows, labels, classes, groups, seed).overall,
    }
    recalls = [right[truth == label].mean() for label in range(classes)]
    return Drawn(given, float(right.mean()), float(np.mean(recalls)))


def summary(draws: list[Drawn]) -> dict[str, Any]:
    """Return for each interval how often it contains the truth, its width, and what it misses by.

    `bias` and `spread` are of what it says minus the truth; widths and both in points.
    """
    answer: dict[str, Any] = {
        "draws": len(draws),
        "truth": round(100 * float(np.mean([one.truth for one in draws])), 2),
    }
    for name in draws[0].given:
        given = [one.given[name] for one in draws]
        off = 100 * np.array([g.accuracy - d.truth for g, d in zip(given, draws, strict=True)])
        answer[name] = {
            "contains": _share([(g, d.truth) for g, d in zip(given, draws, strict=True)]),
            "contains_balanced": _share(
                [(g, d.balanced) for g, d in zip(given, draws, strict=True)]
            ),
            "width": round(100 * float(np.mean([g.high - g.low for g in given])), 2),
            "bias": round(float(off.mean()), 2),
            "spread": round(float(off.std()), 2),
        }
    return answer


def _share(cases: list[tuple[Accuracy, float]]) -> dict[str, float]:
    inside = sum(given.low <= truth <= given.high for given, truth in cases)
    sure = evaluation.wilson(inside, len(cases))
    return {key: round(getattr(sure, key), 4) for key in ("accuracy", "low", "high")}


def main() -> None:
    """Draw, measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--draws", type=int, default=100, help="small sets a size (100)")
    parser.add_argument("--backbone", default=catalog.DEFAULT_BACKBONE, metavar="NAME")
    parser.add_argument("--image-size", type=int, default=224, metavar="N")
    options = parser.parse_args()
    pooled: list[Drawn] = []
    answer: dict[str, Any] = {"backbone": options.backbone, "sets": {}}
    for source in small_sets.load(small_sets.LARGER, options.backbone, options.image_size):
        large, sizes = source.rows(source.test), {}
        for per_class in PER_CLASS:
            draws = [draw(source, large, per_class, seed) for seed in range(options.draws)]
            sizes[per_class] = summary(draws)
            pooled += draws
        answer["sets"][source.name] = sizes
    answer["pooled"] = summary(pooled)
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
