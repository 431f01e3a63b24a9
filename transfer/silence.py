"""When the model of a run is to say nothing: what its folder holds of that, without TensorFlow."""

import contextlib
from typing import Any

from transfer import calibration
from transfer.errors import SettingsError
from transfer.refusal import Familiar
from transfer.runs import Run

_CHOICE, _CALIBRATION, _REFUSAL = "silence", "calibration", "refusal"


def limit(run: Run) -> float:
    """Return the confidence from which on it answers; 0 where that was never measured."""
    return float((chosen(run) or {}).get("threshold", 0.0))


def chosen(run: Run) -> dict[str, Any] | None:
    """Return {"target", "threshold"} as the user chose, else for the usual target, if measured."""
    return run.read(_CHOICE) or row(run, calibration.USUAL_TARGET)


def row(run: Run, target: float) -> dict[str, Any] | None:
    """Return what was measured for one target share of right answers, or None."""
    rows = (run.read(_CALIBRATION) or {}).get("answering") or []
    return next((one for one in rows if abs(one["target"] - target) < 1e-9), None)


def stamp(run: Run) -> tuple[int, ...]:
    """Return what is another one where `limit` may be: times and sizes of files, read in no time.

    A choice that is there hides what was measured, as in `chosen`.
    """
    for name in (_CHOICE, _CALIBRATION):
        with contextlib.suppress(FileNotFoundError):
            stat = (run.folder / f"{name}.json").stat()
            return stat.st_mtime_ns, stat.st_size
    return ()


def choose(run: Run, target: float) -> float:
    """Keep the target share of right answers, one of `calibration.TARGETS`; return the limit.

    The exported model carries the limit, so that one of another limit has to be written anew: the
    note that there is one is taken away.

    Raises:
        SettingsError: nothing was measured for this target.
    """
    found = row(run, target)
    if found is None:
        known = ", ".join(f"{100 * one:g}" for one in calibration.TARGETS)
        raise SettingsError(
            f"The share of right answers should be one of {known} %, and the run has to know its"
            " calibration: train it again if it is of an earlier version."
        )
    before = limit(run)
    run.write(_CHOICE, {"target": target, "threshold": found["threshold"]})
    if found["threshold"] != before:
        run.forget("export")
    return float(found["threshold"])


def familiar(run: Run) -> Familiar | None:
    """Return what is familiar to it, where the run has learned that."""
    kept = run.arrays(_REFUSAL)
    return Familiar.from_arrays(kept) if kept else None


def told(outputs: dict[str, Any], classes: list[str]) -> dict[str, Any]:
    """Return what a model said of one picture, for programs.

    Args:
        outputs: by their names, of one picture; see `transfer.outputs`.
        classes: the names of its classes.

    Returns:
        {"label", "probabilities": {class: share}, "confidence", "answers"}, and where it knows what
        is familiar "strangeness" and "known".
    """
    named = {name: float(p) for name, p in zip(classes, outputs["probabilities"], strict=True)}
    found = {
        "label": max(named, key=lambda name: named[name]),
        "probabilities": named,
        "confidence": float(outputs["confidence"]),
        "answers": bool(outputs["answers"]),
    }
    if "known" in outputs:
        found["strangeness"] = float(outputs["strangeness"])
        found["known"] = bool(outputs["known"])
    return found


def in_words(row: dict[str, Any]) -> str:
    """Return a line on what `told` gave of one picture."""
    best = f"{row['label']} ({100 * row['confidence']:.0f} %)"
    if not row.get("known", True):
        return f"none of these; of its classes the nearest is {best}"
    return best if row["answers"] else f"not sure enough; the best guess is {best}"
