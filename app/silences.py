"""What a run's folder says of its probabilities, looked through where it is from elsewhere."""

import re

import numpy as np

from app import shapes
from app.shapes import SuspiciousError, expect
from transfer import silence
from transfer.errors import RunError
from transfer.runs import Run

_SCORES = {"nll": float, "brier": float, "ece": float, "n": int}
_BIN = {"low": float, "high": float, "sure": float, "right": shapes.ACCURACY}
_PART = {"before": _SCORES, "after": _SCORES, "bins": [_BIN], "bins_before": [_BIN]}
_ANSWERED = {"share": shapes.ACCURACY, "right": (shapes.ACCURACY, None)}
CALIBRATION = {
    "temperature": float,
    "fitted_on": str,
    "pictures": int,
    "helped": bool,
    "indicative": bool,
    "parts": {shapes.EACH: _PART},
    "answering": [
        {
            "target": float,
            "threshold": float,
            "expected": _ANSWERED,
            "test": (_ANSWERED, None),
        }
    ],
}
_CHOICE = {"target": float, "threshold": float}
_REFUSAL = {"keeps": float, "pictures": int, "validation": {"pictures": int, "refused": int}}
_ARRAYS: dict[str, shapes.Wanted] = {
    "center": (np.float32, (None,)),
    "directions": (np.float32, (None, None)),
    "neighbours": (np.float32, (None, None)),
    "lengths": (np.float32, (None,)),
    "limit": (np.float32, ()),
}
_STAGE = re.compile(r"([a-z]+)_[0-9]")


def check(run: Run) -> None:
    """Check what is kept of when a run is silent, where there is that.

    Raises:
        SuspiciousError: it is not as this app writes it.
    """
    for name, shape in (("calibration", CALIBRATION), ("silence", _CHOICE), ("refusal", _REFUSAL)):
        if (path := run.folder / f"{name}.json").is_file():
            shapes.check(shapes.read(path), shape, path.name)
    path = run.folder / "refusal.npz"
    if not path.is_file():
        return
    try:
        shapes.check_arrays(path, _array, "the pictures that it knows")
        known = silence.familiar(run)
    except (SuspiciousError, RunError):
        raise
    except Exception:
        raise SuspiciousError("the pictures that it knows cannot be read") from None
    expect(known is not None, "the pictures that it knows are of an earlier version")
    for near in known.stages if known else ():
        expect(near.limit > 0, "the pictures that it knows have no limit")
        count, directions = near.neighbours.shape
        arrays = (near.center, near.directions, near.neighbours, near.lengths)
        fit = near.directions.shape == (len(near.center), directions)
        fit &= len(near.lengths) == count > 0
        whole = all(bool(np.isfinite(one).all()) for one in arrays)
        expect(fit and whole, "the pictures that it knows do not fit together")


def _array(name: str) -> shapes.Wanted | None:
    """Return what is expected of an array of one stage: "limit_0" is its limit."""
    found = _STAGE.fullmatch(name)
    return _ARRAYS.get(found[1]) if found else None
