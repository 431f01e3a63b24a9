"""Do probabilities mean what they say, and are pictures of something else refused?

    python -m benchmarks.answers [--backbone NAME ...] [--image-size N] [--seed N] [--others N]

For each of the four shared data sets and each backbone a run is split as the app splits it; the
classifiers of `linear_top` (the last stage) and of all stages' means side by side, both in closed
form, are fitted on the training pictures and judged on the test folder.

`calibration`: NLL, Brier score and ECE on validation and test, before and after the one temperature
that is fitted on leave-group-out answers to the training pictures. `refusal`: the limit keeps 95 %
of the set's own validation pictures, by the last stages whichever of them the head reads; the test
pictures of each other set are to be refused. Stated
are the shares that are refused, with 95 % intervals, and the AUROC of each pair. `answering`: the
threshold for being right 95 % of the time, chosen on the same answers out of fold and on validation
answers, and what it did to the test. Prints one JSON object.
"""

import argparse
import json
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks import small_sets
from benchmarks.small_sets import Source
from transfer import calibration, catalog, linear, refusal
from transfer.dataset import relations
from transfer.dataset.split import Split

_TARGET = 0.95


@dataclass(frozen=True)
class Problem:
    """A data set as a run has it, and the vectors that a head reads of some of its pictures."""

    source: Source
    parts: Split
    heads: tuple[str, ...] = ("linear_top", "stages")

    def vectors(self, head: str, positions: np.ndarray) -> np.ndarray:
        """Return float16 [n, d]."""
        stages = self.source.stages(1 if head == "linear_top" else 3)
        return np.concatenate([self.source.rows(positions, block) for block in stages], axis=1)

    def impressions(self, positions: np.ndarray) -> list[np.ndarray]:
        """Return what `refusal` looks at: the last stages' means, float16 [n, d] each."""
        return [self.source.rows(positions, one) for one in self.source.stages(refusal.STAGES)]

    def labels(self, positions: np.ndarray) -> np.ndarray:
        """Return class numbers [n]."""
        return self.source.labels[positions]


def calibrated(problem: Problem, head: str, seed: int) -> dict[str, Any]:
    """Fit a classifier and its temperature; return what that does to validation and test."""
    train, val, test = map(np.asarray, (problem.parts.train, problem.parts.val, problem.parts.test))
    groups, classes = problem.parts.together(train), problem.source.num_classes
    labels = problem.labels(train)
    probe = linear.probe(problem.vectors(head, train), labels, classes, groups)
    plain = calibration.sharpened(probe.held_out, 1 / probe.head.temperature)
    fitted = calibration.fit(plain, labels, groups, seed)
    told: dict[str, Any] = {"temperature": round(fitted.temperature, 4), "helped": fitted.helped}
    known = {"held_out": (calibration.sharpened(plain, fitted.factor), labels)}
    for part, positions in (("validation", val), ("test", test)):
        said = probe.head.probabilities(problem.vectors(head, positions))
        before = calibration.sharpened(said, 1 / probe.head.temperature)
        after = calibration.sharpened(before, fitted.factor)
        truth = problem.labels(positions)
        known[part] = (after, truth)
        told[part] = {
            "before": _rounded(calibration.scores(before, truth).to_json()),
            "after": _rounded(calibration.scores(after, truth).to_json()),
        }
    chosen_by = (known["held_out"], known["validation"])
    said, truth = (np.concatenate(both) for both in zip(*chosen_by, strict=True))
    limit = calibration.threshold(said, truth, _TARGET)
    told["answering"] = {
        "target": _TARGET,
        "threshold": round(limit, 4),
        "expected": calibration.answered(said, truth, limit).to_json(),
        "test": calibration.answered(*known["test"], limit).to_json(),
    }
    return told


def refusals(problems: list[Problem], seed: int, others: int) -> dict[str, Any]:
    """Return for each data set how well test pictures of the others are told from its own."""
    rng = np.random.default_rng(seed)
    some = {
        one.source.name: rng.permutation(np.asarray(one.parts.test))[:others] for one in problems
    }
    tested = {one.source.name: one.impressions(some[one.source.name]) for one in problems}
    told: dict[str, Any] = {}
    for one in problems:
        train = np.asarray(refusal.sample(one.source.labels, one.parts.train, seed))
        val, groups = np.asarray(one.parts.val), one.parts.together(train)
        known = refusal.fit(one.impressions(train), one.impressions(val), groups)
        if known is None:
            continue
        name = one.source.name
        own = known.scores(tested[name])
        told[name] = {
            other: refusal.refused(own, known.scores(tested[other])).to_json()
            for other in tested
            if other != name
        }
    pairs = [pair for rows in told.values() for pair in rows.values()]
    return {
        "pairs": told,
        "auroc_mean": round(float(np.mean([pair["auroc"] for pair in pairs])), 4),
        "auroc_least": round(min(pair["auroc"] for pair in pairs), 4),
        "refused_mean": round(float(np.mean([pair["others"]["accuracy"] for pair in pairs])), 4),
    }


def _rounded(scores: dict[str, Any]) -> dict[str, Any]:
    return {name: round(value, 5) for name, value in scores.items()}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    usual = [catalog.DEFAULT_BACKBONE]
    parser.add_argument("--backbone", nargs="+", default=usual, metavar="NAME")
    parser.add_argument("--image-size", type=int, default=224, metavar="N")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--others", type=int, default=10**6, metavar="N", help="pictures of each")
    options = parser.parse_args()
    answer: dict[str, Any] = {"seed": options.seed, "backbones": {}}
    for backbone in options.backbone:
        sources = small_sets.load(small_sets.ALL, backbone, options.image_size)
        problems = [Problem(one, relations.shared_out(one.index, options.seed)) for one in sources]
        answer["backbones"][backbone] = {
            "calibration": {
                head: {one.source.name: calibrated(one, head, options.seed) for one in problems}
                for head in Problem.heads
            },
            "refusal": refusals(problems, options.seed, options.others),
        }
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
