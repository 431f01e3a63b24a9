"""The rules about learning, one function each: a reading, or None where it is not so.

What they share: a difference counts where it is larger than what chance makes of so few validation
pictures, and a rule that has once spoken of a past epoch goes on doing so, so that what is said
does not flicker while a training runs.
"""

import math

import numpy as np

from transfer import doubts, evaluation, remedies
from transfer.config import RunConfig
from transfer.reading import Reading, Seen
from transfer.wording import percent

_USUAL_RATE = RunConfig.learning_rate
_BAD_START = 1.5  # times ln C
_WORSE_THAN_GUESSING = 1.5  # times ln C
_NEARLY = 0.9
_GAP = 0.10  # of accuracy
_LEARNED = 0.90  # training accuracy
_DROP = 0.05  # of accuracy, and three standard errors
_SURE, _VERY_SURE = 2.0, 3.0  # standard errors
_RISE = 0.05  # relative to the lowest validation loss: less is how it trembles
_PLAIN_RISE = 0.10  # the loss without the temperature trembles more
_FALL = 0.05  # relative, in the last third of the epochs
_SHARE = 0.2  # of the whole fall: where it has levelled off, the last third has less
_STILL = 0.01  # relative: less is no movement
_SLOW = 1 / 3  # of the usual rate: above it a rate is not too low
_PLATEAU = 5  # epochs without anything better
_EARLY = 3  # epochs before which little is said


def bad_start(seen: Seen) -> Reading | None:
    """The first loss is far above that of one who knows nothing."""
    loss, guess = seen.curve.start_loss, seen.facts.guessing_loss
    if not loss > _BAD_START * guess:
        return None
    return Reading(
        "bad_start",
        "warning",
        "It began worse than guessing",
        "Before the first step it was sure of wrong answers, so the first epochs only unlearn them,"
        " and what the network knew suffers meanwhile. The classifier should begin from what was"
        " solved for, or near zero.",
        f"Loss at the start {loss:.2f}; one who guesses among {seen.facts.num_classes} classes has"
        f" ln {seen.facts.num_classes} = {guess:.2f}.",
        remedies.from_the_solved_head(),
    )


def rate_too_high(seen: Seen) -> Reading | None:
    """The steps are so large that they ruin what was there."""
    curve, facts = seen.curve, seen.facts
    limit = _WORSE_THAN_GUESSING * max(facts.guessing_loss, _or(curve.start_loss, 0.0))
    lost_too = curve.val_loss > _NEARLY * facts.guessing_loss  # else it is but too sure of itself
    wild = np.flatnonzero((curve.loss > limit) & lost_too & (np.arange(curve.epochs) > 0))
    lost = [e for e in range(curve.epochs) if _ruined(seen, e)]
    if not len(wild) and not lost:
        return None
    if lost:
        worst = min(lost, key=lambda e: curve.val_accuracy[e])
        evidence = (
            f"Right on {percent(curve.start_val_accuracy)} of the validation pictures before the"
            f" first step, on {percent(curve.val_accuracy[worst])} after epoch {worst + 1}; the"
            f" training loss was {curve.loss[worst]:.2f} then."
        )
    else:
        worst = int(wild[np.argmax(curve.loss[wild])])
        evidence = (
            f"Training loss {curve.loss[worst]:.2f} in epoch {worst + 1}; guessing has"
            f" {facts.guessing_loss:.2f}."
        )
    return Reading(
        "rate_too_high",
        "warning",
        "The learning rate is too high",
        "Its steps are so large that they jump over what is good and ruin what the network already"
        " knew. Smaller steps keep it.",
        f"{evidence} Rate {seen.rate:.2g}.",
        remedies.slower(facts.settings),
    )


def rate_too_low(seen: Seen) -> Reading | None:
    """Nothing moves, and the rate is below the usual one."""
    curve = seen.curve
    if curve.epochs < _EARLY or not seen.rate <= _SLOW * _USUAL_RATE:
        return None
    moved = np.max(np.abs(curve.val_loss / curve.start_val_loss - 1))
    if not moved < _STILL:
        return None
    return Reading(
        "rate_too_low",
        "warning",
        "The learning rate is too low",
        "Its steps are so small that nothing changes: it would need very many epochs to learn what"
        " it could learn in a few.",
        f"In {curve.epochs} epochs the validation loss has moved by {100 * moved:.1f} % of"
        f" {curve.start_val_loss:.2f}. Rate {seen.rate:.2g}; {_USUAL_RATE:g} is usual.",
        remedies.faster(seen.facts.settings),
    )


def guessing(seen: Seen) -> Reading | None:
    """What it says of new pictures is no better than always naming the commonest class."""
    curve, facts = seen.curve, seen.facts
    if curve.epochs < _EARLY or not facts.val_images:
        return None
    mean = float(np.mean(curve.val_accuracy[-_PLATEAU:]))
    chance, half_way = facts.guessing_accuracy, (1 + facts.guessing_accuracy) / 2
    low, high = evaluation.limits(mean, facts.val_images)
    learned = np.nanmin(curve.judged) < (1 - _RISE) * facts.guessing_loss
    if low > chance or high >= half_way or learned:
        return None
    return Reading(
        "guessing",
        "warning",
        "No better than guessing",
        "On pictures that it does not learn from it is right no more often than by chance. What it"
        " learns from the others does not hold: often the labels are mixed up, or the pictures do"
        " not show what the labels say. Look through your classes on the page Health.",
        f"Right on {percent(mean)} of {facts.val_images} validation pictures in the last epochs;"
        f" always naming one class gives {percent(chance)}. Training accuracy"
        f" {percent(curve.accuracy[-1])}.",
    )


def overfitting(seen: Seen) -> Reading | None:
    """It knows its pictures ever better and others ever worse."""
    curve, facts = seen.curve, seen.facts
    if curve.epochs < _EARLY:
        return None
    errors = _SURE if doubts.hardly_judged(seen) else 1.0
    learned, new = float(np.mean(curve.accuracy[-2:])), float(np.mean(curve.val_accuracy[-2:]))
    # Where the temperature puts right that it is too sure of itself, the plain loss tells it.
    both = ((curve.judged, _RISE), (curve.plain, _PLAIN_RISE))
    rising = [losses for losses, least in both if _rising(losses, least)]
    if not rising or learned - new <= _GAP + errors * facts.spread(new):
        return None
    loss = rising[0]
    best = int(np.nanargmin(loss))
    return Reading(
        "overfitting",
        "warning",
        "It is learning by heart",
        "It gets better on the pictures that it learns from and worse on others (overfitting). The"
        " best epoch is kept, so nothing is lost; more pictures help most, then more augmentation"
        " and regularisation.",
        f"Right on {percent(learned)} of its own pictures, on {percent(new)} of the validation"
        f" pictures; their loss has risen from {loss[best]:.2f} (epoch {best}) to"
        f" {loss[-1]:.2f}.",
        remedies.held_back(facts.settings),
    )


def underfitting(seen: Seen, made_hard: bool = False) -> Reading | None:
    """It does not even learn its own pictures, and has stopped getting better.

    Args:
        seen: the training.
        made_hard: dropout and augmentation make training much harder than judging.
    """
    curve, facts = seen.curve, seen.facts
    # On mixed pictures the training accuracy says nothing of what has been learned.
    if facts.mixes or curve.epochs < _PLATEAU or not (seen.over or _flat(seen)):
        return None
    # Dropout and augmentation lower the training accuracy: what is known without them counts too.
    known = [curve.lately(curve.accuracy), np.max(curve.val_accuracy), curve.start_accuracy]
    learned = float(np.nanmax(known))
    error = math.sqrt(learned * (1 - learned) / max(1, facts.train_images))
    if learned + error >= _LEARNED:
        return None
    return Reading(
        "underfitting",
        "warning",
        "It cannot learn even its own pictures",
        "It has stopped getting better and is still often wrong on the very pictures that it learns"
        " from (underfitting): what is being trained is too little for these classes. Let more"
        " layers learn, or take larger pictures or a larger network.",
        f"Right on {percent(learned)} of the pictures that it learns from at best; at a plateau"
        f" {percent(_LEARNED)} would be expected.",
        remedies.gentler(facts.settings)
        if made_hard
        else remedies.freer(facts.settings, facts.strategy),
    )


def falling_still(seen: Seen) -> Reading | None:
    """It ended while it was still getting better."""
    curve, facts = seen.curve, seen.facts
    if not curve.epochs or not seen.over or facts.ended in ("patience", "diverged"):
        return None
    judged = curve.judged
    # The rate ends near zero, so the last step or two always seem level.
    window = min(curve.epochs, max(_EARLY, curve.third))
    before = judged[-1 - window]
    fall, whole = 1 - judged[-1] / before, np.nanmax(judged) - judged[-1]
    lowest = judged[-1] <= (1 + _STILL) * np.nanmin(judged)
    if not (fall > _FALL and before - judged[-1] > _SHARE * whole and lowest):
        return None
    return Reading(
        "falling_still",
        "note",
        "It was still getting better",
        "It ended while the loss was still falling: train longer.",
        f"In the last {_epochs(window)} of {curve.epochs} the validation loss fell by"
        f" {percent(fall)}, from {before:.2f} to {judged[-1]:.2f}.",
        remedies.longer(facts.settings, curve.epochs, facts.ended),
    )


def plateau(seen: Seen) -> Reading | None:
    """Nothing has got better for some epochs."""
    curve, facts = seen.curve, seen.facts
    if not _flat(seen):
        return None
    deeper = facts.strategy == "finetune_few"
    return Reading(
        "plateau",
        "note",
        "It has levelled off",
        "Further epochs will hardly make it better; the best one is kept. To get beyond, take more"
        " pictures or train more layers.",
        f"Lowest validation loss {np.nanmin(curve.judged):.2f} after epoch {curve.best}, nothing"
        f" clearly better in the {_epochs(curve.epochs - curve.best)} since.",
        remedies.freer(facts.settings, facts.strategy) if deeper else None,
    )


def healthy(seen: Seen) -> Reading:
    """Nothing is wrong."""
    curve, facts = seen.curve, seen.facts
    accuracy = seen.accuracy
    if not curve.epochs:
        return Reading(
            "healthy",
            "good",
            "Nothing stands out",
            "The classifier is solved for in one step: nothing went on too long or too fast.",
            f"Right on {percent(accuracy)} of {facts.val_images} validation pictures."
            if math.isfinite(accuracy)
            else "",
        )
    best = float(np.nanmin(curve.judged))
    if not curve.best:  # nothing is ill, but nobody would call rising curves good
        return _not_yet_better(seen)
    going = "It ended as it should." if seen.over else "Let it go on."
    return Reading(
        "healthy",
        "good",
        "It is going well" if not seen.over else "It went well",
        f"It learns from its pictures, and what it learns holds for others. {going}",
        f"Training loss {curve.loss[0]:.2f} in the first epoch, {curve.loss[-1]:.2f} in the last;"
        f" validation loss {curve.start_val_loss:.2f} at the start, {best:.2f} at best (epoch"
        f" {curve.best}).",
    )


def _not_yet_better(seen: Seen) -> Reading:
    """Nothing is wrong, and no epoch was better than what there was before the first."""
    curve = seen.curve
    went = "It did not get better than it began" if seen.over else "Not better than it began, yet"
    means = (
        "That happens where the classifier before it was good already; that one is kept."
        if seen.over
        else "That is usual in the first epochs: the network first has to find its way again. The"
        " best is kept, so nothing is lost by letting it go on."
    )
    return Reading(
        "healthy",
        "note",
        went,
        f"No epoch has judged the validation pictures better than the start did. {means}",
        f"Validation loss {curve.start_val_loss:.2f} at the start,"
        f" {np.nanmin(curve.val_loss):.2f} at best since.",
    )


def _ruined(seen: Seen, epoch: int) -> bool:
    """Whether an epoch, from 0, is much worse than the start on validation and training pictures.

    Overfitting makes the first worse but not the second; heavy dropout the second but not the
    first.
    """
    curve, before = seen.curve, seen.curve.start_val_accuracy
    after = curve.val_accuracy[epoch]
    error = math.hypot(seen.facts.spread(before), seen.facts.spread(after))
    lost = before - after > max(_DROP, _VERY_SURE * error)
    return lost and curve.loss[epoch] > curve.start_val_loss


def _rising(losses: np.ndarray, least: float) -> bool:
    """Whether the last few of the losses from the start on are above the lowest by this share."""
    last = losses[-_EARLY:]
    if len(losses) <= _EARLY or not np.isfinite(last).all():
        return False
    return bool(np.min(last) > (1 + least) * np.nanmin(losses[:-_EARLY], initial=np.inf))


def _flat(seen: Seen) -> bool:
    """Whether the last epochs brought no validation loss that is lower by more than 1 %."""
    curve = seen.curve
    if curve.epochs <= _PLATEAU:
        return False
    judged = curve.judged
    return bool(np.min(judged[-_PLATEAU:]) > (1 - _STILL) * np.nanmin(judged[:-_PLATEAU]))


def _or(value: float, other: float) -> float:
    return value if math.isfinite(value) else other


def _epochs(count: int) -> str:
    return "epoch" if count == 1 else f"{count} epochs"
