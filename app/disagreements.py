"""The pictures on which two runs differ: where only one is right, or both are wrong differently."""

from dataclasses import dataclass
from typing import Literal

from app import figures
from app.figures import Answer, Figures
from transfer.runs import Run

Kind = Literal["only_one", "only_other", "both_wrong"]


@dataclass(frozen=True)
class Said:
    """What a run said of a picture: the name of the class, and how sure it was in [0, 1]."""

    what: str
    sure: float


@dataclass(frozen=True)
class Disputed:
    """One picture on which two runs differ: its file, its content, its label, and both answers."""

    name: str
    sha256: str
    label: str
    one: Said
    other: Said

    @property
    def kind(self) -> Kind:
        """Who is right."""
        if self.one.what == self.label:
            return "only_one"
        return "only_other" if self.other.what == self.label else "both_wrong"

    @property
    def sure(self) -> float:
        """How sure they are together of their different answers: the surest teach most."""
        return self.one.sure + self.other.sure


def between(one: Run, other: Run) -> dict[Kind, tuple[Disputed, ...]]:
    """Return the pictures of both runs that they call differently, the surest first, by kind.

    For runs that the same pictures judged (see `comparison.paired`); others have none in common.

    Raises:
        RunError: a run is not finished, or damaged.
    """
    left, right = figures.read(one), figures.read(other)
    theirs = {_key(right, answer): answer for answer in right.answers}
    found: dict[Kind, list[Disputed]] = {"only_one": [], "only_other": [], "both_wrong": []}
    for answer in left.answers:
        match = theirs.get(_key(left, answer))
        if match is None:
            continue
        mine, its = _said(left, answer), _said(right, match)
        if mine.what != its.what:
            label = left.classes[answer.truth]
            disputed = Disputed(answer.name, answer.sha256, label, mine, its)
            found[disputed.kind].append(disputed)
    return {
        kind: tuple(sorted(some, key=lambda one: (-one.sure, one.name)))
        for kind, some in found.items()
    }


def _key(found: Figures, answer: Answer) -> tuple[str, str]:
    """Return what makes a picture the same in both: its content and its label."""
    return answer.sha256, found.classes[answer.truth]


def _said(found: Figures, answer: Answer) -> Said:
    return Said(found.classes[answer.said], answer.sure)
