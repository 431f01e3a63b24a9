"""What a finished ensemble says of itself: a result like any run's, and a block on its members."""

import resource
from dataclasses import dataclass
from typing import Any

import numpy as np

from transfer import catalog, evaluation
from transfer.dataset.index import ImageIndex
from transfer.dataset.split import Split
from transfer.ensembling import gains
from transfer.ensembling.gains import Gain
from transfer.ensembling.members import Member, Reading
from transfer.ensembling.pool import Problem
from transfer.evaluation import Accuracy
from transfer.runs import Run

ENDED = "chosen"


@dataclass(frozen=True)
class Outcome:
    """An ensemble and what was measured of it.

    `best` is the member that validation would have picked alone. `held_out` are the ensemble's
    probabilities for the validation pictures [n, classes]. `tested` has, by member, probabilities
    for the test pictures, and `whole` those of the model that ships; None without test pictures.
    `costs` has (milliseconds a picture, megabytes) by member.
    """

    members: list[Member]
    weights: np.ndarray
    best: int
    held_out: np.ndarray
    tested: dict[int, np.ndarray]
    whole: np.ndarray | None
    costs: dict[int, tuple[float, float]]
    milliseconds: float
    megabytes: float
    left_out: list[str]

    def answers(self, parts: Split) -> dict[str, tuple[tuple[int, ...], np.ndarray]]:
        """Return what is kept of the ensemble's answers: (positions, probabilities) by part."""
        found = {"validation": (parts.val, self.held_out)}
        if self.whole is not None:
            found["test"] = (parts.test, self.whole)
        return found


def result(
    run: Run, index: ImageIndex, parts: Split, problem: Problem, found: Outcome, seconds: float
) -> dict[str, Any]:
    """Return the result as it stands in the run folder."""
    config, labels = run.config(), index.class_numbers()
    judged = evaluation.evaluate(found.held_out, labels[list(parts.val)], index.classes)
    test = None
    if found.whole is not None:
        test = evaluation.evaluate(found.whole, labels[list(parts.test)], index.classes)
    name = catalog.ENSEMBLE.name
    return {
        "run": str(run.folder),
        "requested": name,
        "advised": None,
        "shipped": name,
        "backbone": config.backbone,
        "validation": judged.overall.to_json(),
        "test": test.overall.to_json() if test else None,
        "seconds": round(seconds, 2),
        "classes": list(index.classes),
        "splits": parts.counts(),
        "image_size": config.image_size,
        "ended": ENDED,
        "candidates": {name: judged.to_json()},
        "comparison": [],
        "test_report": test.to_json() if test else None,
        "honesty": run.read("honesty"),
        "warnings": [*index.warnings, *parts.warnings],
        "peak_memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "readings": {},
        "ensemble": _block(problem, parts, labels, found),
    }


def _block(problem: Problem, parts: Split, labels: np.ndarray, found: Outcome) -> dict[str, Any]:
    rows = []
    for number, one in enumerate(found.members):
        cost = found.costs.get(number)
        share = _test_of(one, found.tested.get(number), labels[list(parts.test)])
        rows.append(
            {
                "name": one.name,
                "run": one.run,
                "kind": one.kind,
                "weight": round(float(found.weights[number]), 4),
                "validation": one.validation.to_json(),
                "test": share.to_json() if share else None,
                "milliseconds": round(cost[0], 2) if cost else None,
                "megabytes": round(cost[1], 2) if cost else None,
            }
        )
    return {
        "members": rows,
        "best": found.best,
        "part": "validation" if found.whole is None else "test",
        "gain": _gain(problem, parts, labels, found).to_json(),
        "milliseconds": round(found.milliseconds, 2),
        "megabytes": round(found.megabytes, 2),
        "chosen_by": len(problem.positions),
        "left_out": found.left_out,
        "networks": _networks(found),
        "refitted": all(one.refitted for one in _used(found)),
    }


def _used(found: Outcome) -> list[Member]:
    return [one for one, share in zip(found.members, found.weights, strict=True) if share > 0]


def _networks(found: Outcome) -> list[str]:
    """Return the networks through which a picture passes, each once."""
    solutions = [(one.name, one.solution) for one in _used(found)]
    read = (
        solution.backbone.spec.name if isinstance(solution, Reading) else name
        for name, solution in solutions
    )
    return list(dict.fromkeys(read))


def _test_of(one: Member, answers: np.ndarray | None, labels: np.ndarray) -> Accuracy | None:
    """Return a member's accuracy on the test pictures: within the ensemble, or its own run's."""
    if answers is None:
        return one.test
    return evaluation.wilson(int((answers.argmax(axis=1) == labels).sum()), len(labels))


def _gain(problem: Problem, parts: Split, labels: np.ndarray, found: Outcome) -> Gain:
    """Compare the ensemble with the member that validation would have picked."""
    positions = list(parts.val)
    whole, alone = found.held_out, found.members[found.best].held_out[problem.judging]
    if found.whole is not None:
        positions, whole, alone = list(parts.test), found.whole, found.tested[found.best]
    right, other = (some.argmax(axis=1) == labels[positions] for some in (whole, alone))
    return gains.compare(right, other, parts.together(positions))
