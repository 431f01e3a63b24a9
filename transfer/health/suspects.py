"""Rank the pictures by how little their label is believed by classifiers that left them out.

The order is that of the label's own probability (self-confidence), and what is flagged follows
confident learning (Northcutt et al., JAIR 2021): another class is at least as likely for the
picture as it usually is for pictures that bear its name.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from transfer import linear

STAGES = 2  # so many of the last stages' means give their opinion
_DOUBT = 0.1  # own probability, of what is usual for the class, from which on none is flagged


@dataclass(frozen=True)
class Suspect:
    """A picture with its label and the likeliest other class.

    `own` and `other` are the probabilities of the two by classifiers that have not learned the
    picture; `score` in [0, 1] is the suspicion; `flagged`: worth a look.
    """

    position: int
    label: str
    suggested: str
    own: float
    other: float
    score: float
    flagged: bool

    def to_json(self) -> dict[str, Any]:
        """Return all but the flag as a JSON object."""
        return {name: value for name, value in asdict(self).items() if name != "flagged"}


def opinion(
    blocks: Sequence[np.ndarray],
    labels: np.ndarray,
    num_classes: int,
    groups: np.ndarray | None = None,
) -> np.ndarray:
    """Return what probes of some stages together say of pictures left out, [n, classes].

    On four data sets the last `STAGES` found more than the last one alone, nearest neighbours, or
    all stages; learning anew without the most suspect pictures added nothing.

    Args:
        blocks: the features of each stage, [n, d] each.
        labels: class numbers [n], each of 0 .. num_classes - 1 at least once.
        num_classes: number of classes.
        groups: [n]; pictures of one group are left out together. None: each alone.
    """
    answers = [linear.probe(block, labels, num_classes, groups).held_out for block in blocks]
    return linear.softmax(np.mean([linear.logit(one) for one in answers], axis=0))


def find(
    held_out: np.ndarray, labels: np.ndarray, classes: tuple[str, ...], positions: Sequence[int]
) -> tuple[Suspect, ...]:
    """Return all pictures, the most suspect first.

    Args:
        held_out: probabilities [n, classes] by classifiers that have not learned the picture.
        labels: class numbers [n].
        classes: their names.
        positions: where in the data set the pictures are, [n].

    Raises:
        ValueError: the shapes do not fit together.
    """
    if held_out.shape != (len(labels), len(classes)) or len(positions) != len(labels):
        raise ValueError(
            f"expected probabilities and a position for each of {len(labels)} labels, got"
            f" {held_out.shape} and {len(positions)}"
        )
    rows = np.arange(len(labels))
    own = held_out[rows, labels]
    others = held_out.copy()
    others[rows, labels] = -1.0
    suggested = others.argmax(axis=1)
    flagged = _flagged(held_out, labels, suggested)
    return tuple(
        Suspect(
            position=int(positions[i]),
            label=classes[labels[i]],
            suggested=classes[suggested[i]],
            own=float(own[i]),
            other=float(held_out[i, suggested[i]]),
            score=float(1 - own[i]),
            flagged=bool(flagged[i]),
        )
        for i in np.argsort(own, kind="stable")
    )


def _flagged(held_out: np.ndarray, labels: np.ndarray, suggested: np.ndarray) -> np.ndarray:
    """Return which pictures another class claims, bool [n]."""
    rows = np.arange(len(labels))
    usual = np.array(
        [
            held_out[labels == one, one].mean() if (labels == one).any() else 1.0
            for one in range(held_out.shape[1])
        ]
    )
    claimed = held_out[rows, suggested] >= usual[suggested]
    return claimed & (held_out[rows, labels] < _DOUBT * usual[labels])
