"""Whether the colours of two pictures agree, place by place, as those of copies do.

The light may differ: each colour of the one may be any mixture of the colours of the other, the
same mixture everywhere. Two red apples agree in their outlines; on two tables, their colours do
not.
"""

import numpy as np

from transfer.dataset import registration

_GREY = 8.0  # of 255: spread of the differences of colours under which a picture has hardly any
_COMPRESSED = 5.5  # of 255: compression changes colours by so much
_EXPLAINED = 0.9  # share of the differences of colours of one that the other explains


def agree(first: np.ndarray, second: np.ndarray, warps: np.ndarray) -> np.ndarray:
    """Return which pairs may be copies by their colours, bool [n].

    Args:
        first: uint8 [n, side, side, 3].
        second: the same shape, turned like the first.
        warps: how they lie over one another, [n, 2, 3] (see `registration.Fit`).
    """
    ones = [registration.blurred(first[..., c].astype(np.float32), 1.0) for c in range(3)]
    others = [
        registration.warped(registration.blurred(second[..., c].astype(np.float32), 1.0), warps)
        for c in range(3)
    ]
    found = np.ones(len(first), bool)
    for row in range(len(first)):
        shown = others[0][1][row] > 0.5
        one = np.stack([values[row][shown] for values in ones], axis=1)
        other = np.stack([values[row][shown] for values, _ in others], axis=1)
        found[row] = _agree(one, other)
    return found


def _agree(one: np.ndarray, other: np.ndarray) -> bool:
    """Compare the colours [places, 3] of two pictures; True where one of them is nearly grey."""
    wanted, given = (np.stack([v[:, 0] - v[:, 1], v[:, 2] - v[:, 1]], axis=1) for v in (one, other))
    if min(_power(wanted), _power(given)) < _GREY**2:
        return True
    known = np.column_stack([other, np.ones(len(other), np.float32)])
    mixture = np.linalg.lstsq(known, wanted, rcond=None)[0]
    left = float(((wanted - known @ mixture) ** 2).sum(axis=1).mean())
    return left <= max(_COMPRESSED**2, (1 - _EXPLAINED) * _power(wanted))


def _power(colours: np.ndarray) -> float:
    return float(((colours - colours.mean(axis=0)) ** 2).sum(axis=1).mean())
