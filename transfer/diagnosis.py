"""Read a training's curves as they grow: what they say, by which numbers, and what to do about it.

The rules are those of the lectures (Stanford CS231n, "Babysitting the learning process"): a loss
that is none or three times the first ends a run, a gap over ten points with a rising validation
loss is overfitting, a training accuracy under 0.9 at the plateau is underfitting, and a Wilson
interval of more than five points either way tells nothing.
"""

import math
from collections.abc import Iterator, Sequence

from transfer import doubts, remedies, symptoms
from transfer.curve import Curve, Row, finite, number
from transfer.reading import ILL, Facts, Reading, Seen
from transfer.remedies import Remedy

__all__ = ["ILL", "Facts", "Reading", "Remedy", "read", "stop_reason"]

_MOST = 3.0  # times the first loss
_ORDER = ("stop", "warning", "note", "good")
_NOT_JUST_HEALTHY = ("falling_still", "plateau")


def read(history: Sequence[Row], facts: Facts) -> tuple[Reading, ...]:
    """Return what the curves say so far, the worst first; nothing only where there is no row.

    Args:
        history: the rows up to now, those of the head and of epoch 0 included where they are.
        facts: what else is known of the training.
    """
    if not history:
        return ()
    seen = Seen(Curve.of(history), facts)
    found = [one for one in _found(seen, stop_reason(history, facts.num_classes)) if one]
    if not any(one.ill or one.kind in _NOT_JUST_HEALTHY for one in found):
        found.append(symptoms.healthy(seen))
    return tuple(sorted(found, key=lambda one: _ORDER.index(one.level)))  # else as they were found


def stop_reason(history: Sequence[Row], num_classes: int | None = None) -> str | None:
    """Return in words why training cannot go on: a loss that is none, or three times the first.

    What is still better than guessing does not count: a loss that began near zero may well rise
    from 0.02 to 0.07 and fall again. Nor does a training loss by itself, where validation pictures
    are still judged better than by guessing: a head that is too sure of itself costs much under
    dropout, now more and now less, and is sound all the same. The first epoch counts where both
    losses are three times what guessing or the start costs.

    Args:
        history: the rows up to now.
        num_classes: None where it is not known.
    """
    tuned = [row for row in history if row.get("phase") != "head"]
    epochs = [row for row in tuned if row.get("epoch", 0) > 0]
    guess = math.log(max(2, num_classes)) if num_classes else 0.0
    start = number(tuned[0], "plain_val_loss") if tuned else math.nan
    for place, row in enumerate(epochs):
        if not finite(row):
            return f"The loss of epoch {row['epoch']} is no number any more."
        loss, judged = number(row, "loss"), number(row, "plain_val_loss")
        first = number(epochs[0], "loss") if place else math.inf
        # A NaN compares as neither: without the start this says nothing.
        if min(loss, judged) > _MOST * max(start, guess):
            first = min(first, max(start, guess))
        if loss > _MOST * first and loss > guess and not judged <= guess:
            return (
                f"The training loss of epoch {row['epoch']} is {loss:.2f}: more than three times"
                f" what it began with ({first:.2f})."
            )
    return None


def _found(seen: Seen, stopped: str | None) -> Iterator[Reading | None]:
    """Yield what is so; what follows from something worse is left out."""
    yield symptoms.bad_start(seen)
    sided = doubts.one_sided(seen)
    if stopped:
        yield _diverged(seen, stopped)
        return
    yield sided
    yield (rate := symptoms.rate_too_high(seen) or symptoms.rate_too_low(seen))
    small = None if sided else doubts.too_small(seen)
    weak = doubts.hardly_judged(seen)
    if weak:
        yield small
    if not rate and not sided:
        yield from _of_learning(seen)
    if not weak:
        yield small


def _of_learning(seen: Seen) -> Iterator[Reading | None]:
    yield (guessing := symptoms.guessing(seen))
    yield (overfitting := symptoms.overfitting(seen))
    yield (falling := symptoms.falling_still(seen))
    # The training accuracy is a mean over the epoch: where it rises fast, it lags behind.
    yield (better := None if falling else doubts.validation_better(seen))
    if guessing or overfitting:
        return
    yield (underfitting := None if falling else symptoms.underfitting(seen, bool(better)))
    if not better and not underfitting:
        yield doubts.gap(seen)
    if not falling and not underfitting:
        yield symptoms.plateau(seen)


def _diverged(seen: Seen, reason: str) -> Reading:
    return Reading(
        "diverged",
        "stop",
        "It was stopped: the loss ran away",
        "Its steps were so large that it got worse and worse instead of better (divergence). The"
        " best epoch before that is kept. Train again with smaller steps.",
        f"{reason} Rate {seen.rate:.2g}.",
        remedies.slower(seen.facts.settings),
    )
