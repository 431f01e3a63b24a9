"""The honest number in words: with what belongs together kept together, and what it cannot tell."""

from collections.abc import Sequence

from app import verdicts
from app.checked import Number
from transfer.evaluation import Accuracy


def sentence(number: Number) -> str:
    """Return the honest number as a sentence with its interval."""
    share = number.honest
    return (
        f"A quick classifier is right on {verdicts.percent(share.accuracy, share.n)} of your"
        f" pictures ({verdicts.between(share)}), measured on {verdicts.pictures(share.n)} that it"
        " had not learned from."
    )


_MATTERS = 0.03  # accuracy

ABOUT_AGAIN = """
**Why two figures?** The test pictures are few, so the range above is wide. A second look uses all
pictures that were not put aside for the test: they are shared out in five parts, each part is
judged by a quick classifier that learned from the other four, and that five times over (*repeated
grouped cross-validation*; copies and bursts stay in one part). It says how well such pictures can
be told apart at all, with a narrower range; the figure above is that of the very model that you
take away.
"""


def again(share: Accuracy) -> str:
    """Say what repeated cross-validation found on the pictures that the test left."""
    return (
        f"Asked once more of the other {verdicts.pictures(share.n)}, each judged by a quick"
        " classifier that had not learned from it: right on"
        f" {verdicts.percent(share.accuracy, share.n)} ({verdicts.between(share)})."
    )


def torn(number: Number) -> str | None:
    """Say what the number would be if groups were torn apart, where there are any."""
    other = number.ungrouped
    if other is None or other == number.grouped:
        return None
    share = f"{verdicts.percent(other.accuracy, other.n)} ({verdicts.between(other)})"
    if number.warn:
        return f"With groups torn apart it would seem to be {share}, which is too good to be true."
    if other.accuracy - number.grouped.accuracy > _MATTERS:
        return f"With groups torn apart it is {share}: too few groups to tell whether that matters."
    return f"With groups torn apart it is {share}: it makes no difference that matters."


def not_apart(pairs: Sequence[tuple[str, str]]) -> str | None:
    """Say which classes cannot be told apart yet.

    >>> not_apart([("a", "b")]).replace("\u2068", "").replace("\u2069", "")
    '‘a’ and ‘b’ cannot be told apart yet.'
    """
    if not pairs:
        return None
    named = [f"{verdicts.quoted(one)} and {verdicts.quoted(other)}" for one, other in pairs]
    if len(named) == 1:
        return f"{named[0]} cannot be told apart yet."
    more = f", and {len(named) - 3} pairs more" if len(named) > 3 else ""
    return f"These cannot be told apart yet: {'; '.join(named[:3])}{more}."


def bursts(number: Number, what: str = "bursts") -> str:
    """Say that the pictures come in bursts, and what that does to the number."""
    fair, other = number.honest, number.ungrouped or number.honest
    return (
        f"Your pictures come in {what}: counted fairly"
        f" {verdicts.percent(fair.accuracy, fair.n)}, with {what} torn apart"
        f" {verdicts.percent(other.accuracy, other.n)}"
    )
