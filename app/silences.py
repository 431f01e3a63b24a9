"""What a run's folder says of its probabilities, looked through where it is from elsewhere."""

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
    "directions": (np.float32, (None, None)),
    "neighbours": (np.float32, (None, None)),
    "limit": (np.float32, ()),
}


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
        shapes.check_arrays(path, _ARRAYS.get, "the pictures that it knows")
        known = silence.familiar(run)
    except (SuspiciousError, RunError):
        raise
    except Exception:
        raise SuspiciousError("the pictures that it knows cannot be read") from None
    expect(known is not None and known.limit > 0, "the pictures that it knows have no limit")
    if known is not None:
        fit = known.directions.shape[1] == known.neighbours.shape[1] and len(known.neighbours) > 0
        whole = bool(np.isfinite(known.directions).all() and np.isfinite(known.neighbours).all())
        expect(fit and whole, "the pictures that it knows do not fit together")
