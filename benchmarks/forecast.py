"""Does the forecast from a quarter of the data hold what is measured at half?

    python -m benchmarks.forecast [--draws N] [--backbone NAME] [--image-size N]

From the train folder of each of the two larger shared data sets a quarter of each class is drawn,
its learning curve measured and drawn on to twice as many pictures. The truth is the leave-one-out
accuracy of the probe on half of the data, which contains the quarter. The rival is naive: "it stays
as it is", with the 90 % band that the new pictures' chance alone would give. `score` is the
interval score (Gneiting & Raftery 2007): the width, and 20 times what the band misses by; less is
better. `classes`: how often a class was named that gains most, and what the named ones, the best
one and all of them gain on average over all draws. All in points. Prints one JSON object.
"""

import argparse
import json
import sys
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks import small_sets
from benchmarks.small_sets import Source
from transfer import catalog, evaluation, forecast, linear

_QUANTILE = 1.6448536269514722  # of the normal distribution: a 90 % band
_MISSED = 2 / 0.1  # the price of missing by a point, of a 90 % band


@dataclass(frozen=True)
class Drawn:
    """Accuracy at a quarter and at half as measured, and the bands (low, middle, high) for half.

    `named` is the place of the class said to gain most, `recalls` what each gained as measured.
    """

    now: float
    truth: float
    forecast: tuple[float, float, float]
    naive: tuple[float, float, float]
    verdict: str
    named: int | None
    recalls: tuple[float, ...]


def draw(source: Source, seed: int) -> Drawn:
    """Draw a quarter and a half, forecast and measure."""
    rng = np.random.default_rng(seed)
    half = small_sets.drawn(source, source.train, 1 / 2, rng)
    quarter = small_sets.drawn(source, half, 1 / 2, rng)
    found = forecast.forecast(
        source.rows(quarter),
        source.labels[quarter],
        source.index.classes,
        source.groups[quarter],
        seed,
    )
    now, end = found.curve[-1].accuracy, found.forecast[-1]
    labels, groups = source.labels[half], source.groups[half]
    held = linear.probe(source.rows(half), labels, source.num_classes, groups).held_out
    chance = _QUANTILE * np.sqrt(now * (1 - now) * (1 / len(quarter) - 1 / len(half)))
    return Drawn(
        now=now,
        truth=float((held.argmax(axis=1) == labels).mean()),
        forecast=(end.low, end.accuracy, end.high),
        naive=(now - chance, now, now + chance),
        verdict=found.verdict,
        named=source.index.classes.index(found.most) if found.most else None,
        recalls=tuple(
            float((held[labels == place].argmax(axis=1) == place).mean() - one.recall)
            for place, one in enumerate(found.per_class)
        ),
    )


def summary(draws: list[Drawn]) -> dict[str, Any]:
    """Return how often each band holds the truth, its width, and how far its middle is off."""
    truth = np.array([one.truth for one in draws])
    gains = 100 * (truth - np.array([one.now for one in draws]))
    answer: dict[str, Any] = {
        "draws": len(draws),
        "at_quarter": _points(np.array([one.now for one in draws]).mean()),
        "at_half": _points(truth.mean()),
        "gain": round(float(gains.mean()), 2),
        "gain_spread": round(float(gains.std()), 2),
        "verdicts": {
            name: sum(one.verdict == name for one in draws)
            for name in ("helps", "may_help", "enough")
        },
    }
    recalls = np.mean([one.recalls for one in draws], axis=0)
    named = [recalls[one.named] for one in draws if one.named is not None]
    answer["classes"] = {
        "named": len(named),
        "named_gain": _points(np.mean(named)) if named else None,
        "best_gain": _points(recalls.max()),
        "mean_gain": _points(recalls.mean()),
    }
    for name in ("forecast", "naive"):
        low, middle, high = np.array([getattr(one, name) for one in draws]).T
        inside = int(((low <= truth) & (truth <= high)).sum())
        missed = np.maximum(low - truth, 0) + np.maximum(truth - high, 0)
        sure = evaluation.wilson(inside, len(draws))
        answer[name] = {
            "holds": [round(value, 4) for value in (sure.accuracy, sure.low, sure.high)],
            "width": _points((high - low).mean()),
            "width_spread": _points((high - low).std()),
            "off": _points(np.abs(middle - truth).mean()),
            "bias": _points((middle - truth).mean()),
            "score": _points(((high - low) + _MISSED * missed).mean()),
        }
    return answer


def _points(share: "float | np.floating") -> float:
    return round(100 * float(share), 2)


def main() -> None:
    """Draw, forecast, measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--draws", type=int, default=50, help="quarters of each data set (50)")
    parser.add_argument("--backbone", default=catalog.DEFAULT_BACKBONE, metavar="NAME")
    parser.add_argument("--image-size", type=int, default=224, metavar="N")
    options = parser.parse_args()
    answer: dict[str, Any] = {"backbone": options.backbone, "sets": {}}
    for source in small_sets.load(small_sets.LARGER, options.backbone, options.image_size):
        draws = []
        for seed in range(options.draws):
            draws.append(draw(source, seed))
            sys.stderr.write(f"{source.name}: {seed + 1} of {options.draws}\n")
        answer["sets"][source.name] = summary(draws)
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
