"""Give the classifier that ships its one temperature, and keep what that did, in the run folder.

Calibrated probabilities begin in the head's own weights: whatever answers for the run (results,
`predict`, the page Use, the exported model) says the same, and nothing has to be told of it.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from transfer import backbones, calibration, evaluation
from transfer.calibration import Fitted
from transfer.dataset.index import ImageIndex
from transfer.dataset.split import Split
from transfer.judging import Candidate, Judged
from transfer.runs import Run

_SAME = 2e-3  # relative change of a factor that is none: both were found by one search
NAME = "calibration"  # of the file in the run folder


@dataclass(frozen=True)
class Settled:
    """A candidate with calibrated answers, and what its temperature was fitted on.

    `fitted_on` is "held_out" (training pictures, by solutions that had not learned their group) or
    "validation", where the strategy gives nothing else. `held_out` are calibrated too.
    """

    candidate: Candidate
    fitted: Fitted
    fitted_on: str
    held_out: np.ndarray | None


def settle(chosen: Candidate, index: ImageIndex, parts: Split, seed: int) -> Settled:
    """Fit the temperature on answers out of fold, and put it into the model that ships."""
    trained, labels = chosen.trained, index.class_numbers()
    held_out = trained.held_out
    fitted_on = "validation" if held_out is None else "held_out"
    positions = np.asarray(parts.val if held_out is None else parts.train)
    said = chosen.validation.answers if held_out is None else held_out
    plain = calibration.sharpened(said, 1 / trained.factor)
    fitted = calibration.fit(plain, labels[positions], parts.together(positions), seed)
    ratio = fitted.factor / trained.factor
    if abs(ratio - 1) < _SAME or not backbones.head_variables(chosen.shipped):
        kept = replace(fitted, temperature=1 / trained.factor)
        return Settled(chosen, kept, fitted_on, held_out)
    backbones.scale_head(chosen.shipped, ratio)

    def again(judged: Judged | None, where: tuple[int, ...]) -> Judged | None:
        return judged and _sharpened(judged, ratio, labels[np.asarray(where)], index.classes)

    calibrated = replace(
        chosen,
        validation=again(chosen.validation, parts.val) or chosen.validation,
        test=again(chosen.test, parts.test),
    )
    held_out = None if held_out is None else calibration.sharpened(held_out, ratio)
    return Settled(calibrated, fitted, fitted_on, held_out)


def keep(run: Run, settled: Settled, index: ImageIndex, parts: Split) -> dict[str, Any]:
    """Write into the run folder how far its probabilities can be believed; see `write`."""
    labels, one = index.class_numbers(), settled.candidate
    answers = {"validation": (parts.val, one.validation.answers)}
    if settled.held_out is not None:
        answers["held_out"] = (parts.train, settled.held_out)
    if one.test:
        answers["test"] = (parts.test, one.test.answers)
    known = {name: (said, labels[np.asarray(where)]) for name, (where, said) in answers.items()}
    return write(run, settled.fitted, settled.fitted_on, known)


def write(
    run: Run, fitted: Fitted, fitted_on: str, known: dict[str, tuple[np.ndarray, np.ndarray]]
) -> dict[str, Any]:
    """Keep in the run folder, and return, what one temperature did.

    Args:
        run: the run.
        fitted: the temperature.
        fitted_on: see `Settled`.
        known: as for `answering`.

    {"temperature", "fitted_on", "pictures", "helped", "indicative", "parts": {name: {"before",
    "after": scores, "bins": [...]}}, "chosen_on": pictures, "answering": [{"target", "threshold",
    "expected": how often it answers and is right on the pictures that chose, "test": the same}]}.
    """
    told = {
        "temperature": fitted.temperature,
        "fitted_on": fitted_on,
        "pictures": fitted.n,
        "helped": fitted.helped,
        "indicative": len(known["validation"][0]) < calibration.INDICATIVE,
        "parts": {name: _part(*pair, fitted.temperature) for name, pair in known.items()},
        **answering(known),
    }
    run.write(NAME, told)
    return told


def answering(known: dict[str, tuple[np.ndarray, np.ndarray]]) -> dict[str, Any]:
    """Return for each target the threshold, and what it does to the pictures of the test.

    Args:
        known: (calibrated probabilities [n, classes], labels [n]) of "validation", and of
            "held_out" and "test" where there are such. The test chooses nothing.
    """
    chosen_by = [known[name] for name in ("held_out", "validation") if name in known]
    said, labels = (np.concatenate(parts) for parts in zip(*chosen_by, strict=True))
    rows = []
    for target in calibration.TARGETS:
        limit = calibration.threshold(said, labels, target)
        test = calibration.answered(*known["test"], limit) if "test" in known else None
        rows.append(
            {
                "target": target,
                "threshold": limit,
                "expected": calibration.answered(said, labels, limit).to_json(),
                "test": test.to_json() if test else None,
            }
        )
    return {"chosen_on": len(labels), "answering": rows}


def _part(said: np.ndarray, labels: np.ndarray, temperature: float) -> dict[str, Any]:
    plain = calibration.sharpened(said, temperature)
    return {
        "before": calibration.scores(plain, labels).to_json(),
        "after": calibration.scores(said, labels).to_json(),
        "bins": [one.to_json() for one in calibration.bins(said, labels)],
        "bins_before": [one.to_json() for one in calibration.bins(plain, labels)],
    }


def _sharpened(
    judged: Judged, factor: float, labels: np.ndarray, classes: tuple[str, ...]
) -> Judged:
    answers = calibration.sharpened(judged.answers, factor)
    return replace(judged, answers=answers, report=evaluation.evaluate(answers, labels, classes))
