"""The rules about validation: whether it can tell at all, and how it stands to training."""

import math

from transfer import evaluation, remedies
from transfer.reading import Reading, Seen
from transfer.wording import percent

_HALF_WIDTH = 0.05  # of the Wilson interval
_GAP = 0.10  # of accuracy
_BETTER = 0.02  # of accuracy
_LEARNED = 0.90  # training accuracy
_SURE = 2.0  # standard errors
_EARLY = 3  # epochs before which little is said


def one_sided(seen: Seen) -> Reading | None:
    """Validation has pictures of few of the classes only."""
    counts = seen.facts.val_counts
    present = sum(count > 0 for count in counts)
    if not present or 2 * present > len(counts):
        return None
    only = "one class" if present == 1 else f"{present} of {len(counts)} classes"
    return Reading(
        "validation_one_sided",
        "warning",
        f"Validation shows {only} only",
        "Whoever always names that class is always right, so the dashed curves say nothing about"
        " the other classes, nor which epoch is the best. Put pictures of every class into"
        " validation, or let the app share them out.",
        f"Validation pictures: {sum(counts)}, of {only}; the network has to tell"
        f" {len(counts)} apart.",
    )


def validation_better(seen: Seen) -> Reading | None:
    """It does better on validation pictures than on its own."""
    curve, facts = seen.curve, seen.facts
    if curve.epochs < _EARLY:
        return None
    own, new = curve.lately(curve.accuracy), curve.lately(curve.val_accuracy)
    if new - own <= _BETTER + _SURE * facts.spread(new):
        return None
    evidence = f"Right on {percent(new)} of the validation pictures and on {percent(own)} of"
    if facts.mixes:
        return Reading(
            "validation_better",
            "note",
            "Better on validation than on training pictures",
            "That is right: training pictures are mixed here, two in one (mixup, cutmix). Nobody"
            " can be wholly right about such a picture, so the training loss never comes near zero"
            " and the training accuracy reads low. Validation pictures are judged as they are.",
            f"{evidence} those that it learns from, as they are mixed.",
        )
    return Reading(
        "validation_better",
        "note",
        "Better on validation than on training pictures",
        "That is usually right: while it learns, its pictures are changed (augmentation) and parts"
        " of the network are switched off (dropout), which makes them harder; validation pictures"
        " are judged as they are. If you use neither, look for copies of the same picture on both"
        " sides.",
        f"{evidence} its own.",
        remedies.gentler(facts.settings) if own < _LEARNED else None,
    )


def too_small(seen: Seen) -> Reading | None:
    """So few validation pictures cannot tell."""
    facts, accuracy = seen.facts, seen.accuracy
    if not facts.val_images or not math.isfinite(accuracy):
        return None
    low, high = evaluation.limits(accuracy, facts.val_images)
    half = (high - low) / 2
    if half <= _HALF_WIDTH:
        return None
    more = math.ceil(facts.val_images * (half / _HALF_WIDTH) ** 2 / 10) * 10
    return Reading(
        "validation_too_small",
        "note",
        "Too few validation pictures to tell",
        "The dashed curves rest on so few pictures that they jump by chance: small differences"
        " between epochs or trainings mean nothing. More pictures make them steadier.",
        f"{facts.val_images} validation pictures: {percent(accuracy)} could as well be"
        f" {percent(low)} or {percent(high)}; for 5 points either way it takes about {more}.",
    )


def hardly_judged(seen: Seen) -> bool:
    """Whether there are so few validation pictures that all of them right would tell nothing."""
    n = seen.facts.val_images
    return n > 0 and 1 - evaluation.limits(1.0, n)[0] > 2 * _HALF_WIDTH


def gap(seen: Seen) -> Reading | None:
    """It does much better on its own pictures than on new ones, without getting worse."""
    curve, facts = seen.curve, seen.facts
    if curve.epochs:
        own, new = curve.lately(curve.accuracy), curve.lately(curve.val_accuracy)
    else:
        own, new = curve.start_accuracy, curve.start_val_accuracy
    if not own - new > _GAP + facts.spread(new):
        return None
    remedy = remedies.held_back(facts.settings) if curve.epochs else None
    return Reading(
        "gap",
        "note",
        "Better on its own pictures than on new ones",
        "What it has learned holds for new pictures only in part. That is common where pictures are"
        " few; more and more varied ones close the gap.",
        f"Right on {percent(own)} of the pictures that it learns from, on {percent(new)} of the"
        " validation pictures.",
        remedy,
    )
