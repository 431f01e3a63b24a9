"""What a check of a data set found, as the core writes it into `health.json`.

A part that is missing, or has another form than expected, was not looked at as far as this version
can tell: the rest is read without it.
"""

from dataclasses import dataclass, fields
from typing import Any

from app import finds, measurements, shapes
from transfer.evaluation import Accuracy
from transfer.runs import Run

NAME = "health"
_TEXT = (str, None)
_SHARE = {"accuracy": float, "low": float, "high": float, "n": int}
_CLUSTER = {"files": [str], "labels": [str]}  # "kind" and "splits" may be there
_SHORTCUT = {"cue": str, "accuracy": float, "low": float, "high": float, "chance": float}
_SUSPECT = {"file": str, "label": str, "suggested": str, "own": float, "other": float}
_FLAW = {"kind": str, "files": [str]}
_GUESS = {"pattern": str, "example": str, "groups": int}


@dataclass(frozen=True)
class Cluster:
    """Files that show the same: "exact" (the same pixels) or "near"; one label and part each."""

    kind: str
    files: tuple[str, ...]
    labels: tuple[str, ...]
    splits: tuple[str | None, ...]


@dataclass(frozen=True)
class Shortcut:
    """Something beside the subject from which the class can be told.

    `accuracy`, with its 95 % interval, of telling the class by the cue alone; `chance` that of
    naming the largest class; `compared` that of looking at the whole picture, where known. `note`:
    the cue may as well belong to the subject.
    """

    cue: str
    accuracy: float
    low: float
    high: float
    chance: float
    compared: float | None
    labels: tuple[str, ...]
    note: bool = False


@dataclass(frozen=True)
class Suspect:
    """A file that looks more like another class: what each was given, in [0, 1].

    `flagged`: it surely looks so; the others may be worth a look.
    """

    file: str
    label: str
    suggested: str
    own: float
    other: float
    flagged: bool = True


@dataclass(frozen=True)
class Flaw:
    """Files, or whole classes (`labels`), that are not as they should be, the worst first."""

    kind: str
    files: tuple[str, ...]
    values: tuple[float, ...]
    labels: tuple[str, ...]


@dataclass(frozen=True)
class Guess:
    """A pattern of file names that seems to name groups, and one name with what it gives."""

    pattern: str
    example: str
    groups: int
    words: str


@dataclass(frozen=True)
class Groups:
    """What stays together when pictures are shared out; `named`: the user said so."""

    count: int
    bursts: tuple[tuple[str, ...], ...]
    named: bool
    guess: Guess | None


@dataclass(frozen=True)
class Number:
    """How often a quick classifier is right, with groups kept together and torn apart.

    `repeated` is the first again, of small sets, as the mean of several ways to share them out.
    `warn`: the `gap` between the two is large, and more than chance makes. `apart` are pairs of
    classes that cannot be told apart yet.
    """

    grouped: Accuracy
    ungrouped: Accuracy | None
    repeated: Accuracy | None
    gap: float
    warn: bool
    apart: tuple[tuple[str, str], ...]

    @property
    def honest(self) -> Accuracy:
        """The number to believe, with groups kept together."""
        return self.repeated or self.grouped


@dataclass(frozen=True)
class Report:
    """What was found; `parts` names what was looked at, by the keys of the file."""

    parts: frozenset[str]
    duplicates: tuple[Cluster, ...] = ()
    conflicts: tuple[Cluster, ...] = ()
    leaks: tuple[Cluster, ...] = ()
    shortcuts: tuple[Shortcut, ...] = ()
    suspects: tuple[Suspect, ...] = ()
    flaws: tuple[Flaw, ...] = ()
    groups: Groups | None = None
    number: Number | None = None


def read(run: Run) -> Report | None:
    """Return what a check left in its folder; None where there is nothing that can be read."""
    if (value := measurements.outcome(run, NAME)) is None:
        return None
    return Report(
        parts=frozenset(key for key, part in value.items() if part is not None),
        duplicates=shapes.each(value.get("duplicates"), _CLUSTER, _cluster),
        conflicts=shapes.each(value.get("conflicts"), _CLUSTER, _cluster),
        leaks=shapes.each(value.get("leaks"), _CLUSTER, _cluster),
        shortcuts=shapes.each(value.get("shortcuts"), _SHORTCUT, _shortcut),
        suspects=shapes.each(
            finds.worth_a_look(value.get("suspect_labels")), _SUSPECT, lambda one: _suspect(one)
        ),
        flaws=shapes.each(value.get("flaws"), _FLAW, _flaw),
        groups=_groups(value.get("groups")),
        number=number(value.get("number")),
    )


def number(value: Any) -> Number | None:
    """Return the honest number of a check, or of a run's result."""
    if not isinstance(value, dict):
        return None
    grouped, ungrouped, repeated = (
        _share(value.get(key)) for key in ("grouped", "ungrouped", "repeated")
    )
    if grouped is None:
        return None
    gap = ungrouped.accuracy - grouped.accuracy if ungrouped else 0.0
    gap = shapes.fitting(value.get("gap"), float, gap)
    apart = pairs(value.get("apart"))
    return Number(grouped, ungrouped, repeated, gap, value.get("warn") is True, apart)


def pairs(value: Any) -> tuple[tuple[str, str], ...]:
    """Return the pairs of class names of a list."""
    found = value if isinstance(value, list) else []
    return tuple(
        (one[0], one[1]) for one in found if shapes.fits(one, [str]) and len(one) == len("ab")
    )


def _cluster(one: dict[str, Any]) -> Cluster:
    files, labels = tuple(one["files"]), tuple(one["labels"])
    splits = tuple(shapes.fitting(one.get("splits"), [_TEXT], []))
    return Cluster(
        kind="exact" if one.get("kind") == "exact" else "near",
        files=files,
        labels=labels if len(labels) == len(files) else ("",) * len(files),
        splits=splits if len(splits) == len(files) else (None,) * len(files),
    )


def _shortcut(one: dict[str, Any]) -> Shortcut:
    return Shortcut(
        **{key: one[key] for key in _SHORTCUT},
        compared=shapes.fitting(one.get("compared"), float, None),
        labels=tuple(shapes.fitting(one.get("labels"), [str], [])),
        note=one.get("level") == "note",
    )


def _flaw(one: dict[str, Any]) -> Flaw:
    return Flaw(
        kind=one["kind"],
        files=tuple(one["files"]),
        values=tuple(shapes.fitting(one.get("values"), [float], [])),
        labels=tuple(shapes.fitting(one.get("labels"), [str], [])),
    )


def _groups(value: Any) -> Groups | None:
    if not isinstance(value, dict):
        return None
    return Groups(
        count=shapes.fitting(value.get("count"), int, 0),
        bursts=shapes.each(value.get("bursts"), {"files": [str]}, lambda one: tuple(one["files"])),
        named=value.get("named") is True,
        guess=_guess(shapes.fitting(value.get("guess"), _GUESS, None)),
    )


def _guess(value: dict[str, Any] | None) -> Guess | None:
    if value is None:
        return None
    return Guess(**{key: value[key] for key in _GUESS}, words=str(value.get("words") or ""))


def _share(value: Any) -> Accuracy | None:
    if not shapes.fits(value, _SHARE):
        return None
    return Accuracy(**{key: value[key] for key in _SHARE})


def _suspect(value: dict[str, Any]) -> Suspect:
    known = {field.name: value[field.name] for field in fields(Suspect) if field.name in value}
    return Suspect(**known)
