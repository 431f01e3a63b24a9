"""What keeps the label in one data set, in sentences: measured where it can be, else by names.

The names of classes are only a hint: they make a sentence careful, they forbid nothing.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Any

from transfer.changes.settings import Changes

Guess = dict[str, Any] | None  # {"safe", "accuracy", "changed", "n"} of `advisor.Change`

_SMALL_TILT = 20.0  # degrees; hands tilt cameras as far

# Words in class names that say what the classes may differ in.
_SIDES = {"left", "right", "clockwise", "counterclockwise", "anticlockwise", "west", "east"}
_HEIGHTS = {"up", "down", "top", "bottom", "upper", "lower", "above", "below", "north", "south"}
_COLOURS = {"black", "white", "grey", "gray", "red", "orange", "yellow", "green", "blue", "purple",
            "violet", "pink", "brown", "beige", "dark", "light", "bright", "pale", "ripe", "unripe",
            "faded", "rotten", "rust", "rusty"}  # fmt: skip
_SMALL = {"defect", "defects", "defective", "crack", "cracks", "cracked", "scratch", "scratches",
          "scratched", "hole", "holes", "spot", "spots", "stain", "stains", "dent", "dents", "chip",
          "chipped", "flaw", "fault", "faulty", "damage", "damaged", "broken", "missing", "lesion",
          "tumor", "tumour", "fracture", "intact"}  # fmt: skip
_SIZES = {"small", "large", "big", "tiny", "huge", "long", "short", "wide", "narrow", "tall",
          "near", "far", "round", "oval", "straight", "bent"}  # fmt: skip


def statements(
    changes: Changes, mirror_guess: Guess, turn_guess: Guess, classes: Sequence[str]
) -> tuple[str, ...]:
    """Say for each change whether it keeps the label in this data set, and how that is known.

    Args:
        changes: what the user says; what is left open is not spoken of, but for flips and turns.
        mirror_guess: what mirroring did to a classifier's answers: {"safe", "accuracy" before,
            "changed": accuracy after, "n"}; None where it was not measured.
        turn_guess: the same for a quarter turn.
        classes: their names.
    """
    found = [
        _flip("Left and right may be swapped", "Left and right stay", mirror_guess, "mirrored"),
        _named(classes, _SIDES, "Swapping left and right would change the label there."),
        _flip("Quarter turns are fine", "Pictures stay upright", turn_guess, "turned"),
        _named(classes, _HEIGHTS, "Turning or flipping pictures would change the label there."),
        _characters(classes),
        *_places(changes, turn_guess, mirror_guess, classes),
        *_tones(changes, classes),
        *_parts(changes, classes),
    ]
    return tuple(sentence for sentence in found if sentence)


def _flip(fine: str, not_fine: str, guess: Guess, changed: str) -> str:
    if guess is None:
        return f"{not_fine}, unless you say otherwise: too few pictures to measure what it does."
    before, after = 100 * guess["accuracy"], 100 * guess["changed"]
    measured = f"{before:.0f} of 100 answers are right, {after:.0f} on {changed} copies"
    if guess["safe"]:
        return f"{fine}: the network sees hardly any difference (measured: {measured})."
    return f"{not_fine}: it confuses the network (measured: {measured})."


def _places(
    changes: Changes, turn: Guess, mirror: Guess, classes: Sequence[str]
) -> Iterable[str | None]:
    """Speak of what moves pixels."""
    turns, mirrors = bool(turn and turn["safe"]), bool(mirror and mirror["safe"])
    if changes.upside_down:
        yield (
            "Upside down is fine as far as can be told: mirroring and turning both are."
            if turns and mirrors
            else "Upside down may change the label: it is a mirroring and a half turn, and not"
            " both of these were found to be harmless. Use it only where your pictures have no up."
        )
    if changes.rotation:
        if changes.rotation <= _SMALL_TILT:
            yield f"Tilts of up to {changes.rotation:g} degrees are what a hand does: fine."
        elif turns:
            yield f"Rotating by {changes.rotation:g} degrees is fine: even quarter turns are."
        else:
            yield (
                f"Rotating by {changes.rotation:g} degrees may change the label: quarter turns were"
                f" not found to be harmless. Up to {_SMALL_TILT:g} degrees are safer."
            )
    if changes.translation:
        yield "Shifts keep the label, unless the place itself is what decides."
    if changes.stretching and changes.stretching > 1:
        yield "Stretching keeps the label, unless proportions are what decides."
    if changes.shear:
        yield "Shearing keeps the label, unless angles are what decides."
    if changes.lens:
        yield "Lens distortion keeps the label, unless it is about straight or bent lines."
    if changes.stretching or changes.shear or changes.lens or changes.scale or changes.crop:
        yield _named(classes, _SIZES, "Scaling, stretching and bending may change the label there.")


def _tones(changes: Changes, classes: Sequence[str]) -> Iterable[str | None]:
    """Speak of colours, and of RandAugment, which has some of everything."""
    if changes.colour or changes.pca_colour:
        yield "Other light and tints keep the label, unless a shade of colour is what decides."
        yield _named(classes, _COLOURS, "Changing colours may change the label there.")
    if changes.randaugment:
        yield (
            "RandAugment tilts, slants, shifts and recolours a little: fine where each of these is."
        )


def _parts(changes: Changes, classes: Sequence[str]) -> Iterable[str | None]:
    """Speak of what hides a part, and of what mixes two pictures."""
    cut = changes.crop or 0.0
    kept = min(1.0, (1 - cut) ** 2) / (changes.scale or 1.0) ** 2
    if kept < 1:
        yield (
            f"Crops keep at least {100 * kept:.0f} % of each picture: fine where what decides"
            " does not lie at the edge."
        )
    if changes.erasing:
        yield "Erasing hides up to a fifth of a picture: fine where the whole object decides."
    if changes.mixup:
        yield "Mixup blends two pictures and their labels by the same share: no label is wrong."
    if changes.cutmix:
        yield (
            "Cutmix glues two pictures together: fine where one object fills the picture; off for"
            " defects at one small place."
        )
    if changes.erasing or changes.cutmix or kept < 0.5:
        yield _named(
            classes, _SMALL, "One small place may decide there, and cropping, erasing or cutmix"
            " take it away without a word: better leave them off.",
        )  # fmt: skip


def _named(classes: Sequence[str], words: set[str], then: str) -> str | None:
    """Return a sentence where class names hold such words."""
    hits = [name for name in classes if words & set(re.split(r"[^a-z]+", name.lower()))]
    if not hits:
        return None
    return f"Mind the {_listed(hits)}: {then[0].lower()}{then[1:]}"


def _characters(classes: Sequence[str]) -> str | None:
    hits = [name for name in classes if len(name) == 1 and name.isalnum()]
    if not hits:
        return None
    return (
        f"Mind the {_listed(hits)}: letters and digits become others when they are flipped or"
        " turned."
    )


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(f"‘{name}’" for name in names[:3])
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"class{'es' if len(names) > 1 else ''} {shown}{more}"
