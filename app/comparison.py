"""Two runs side by side: what differs, and whether the difference means anything."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

from app import datasets, figures, verdicts, ways, words, workshop
from app.figures import Answer, Figures
from transfer import config, toolbox
from transfer.runs import Run

SURE = 0.05  # a difference that chance makes less often than this counts

_LABELS = {
    "dataset": "Pictures",
    "backbone": "Network",
    "image_size": "Input size",
    "strategy": "How much of it learned",
    "epochs": "Rounds, at most",
    "budget": "Time limit",
    "seed": "Seed (decides who is in the test)",
    "horizontal_flip": "Pictures mirrored",
    "quarter_turns": "Pictures turned",
    "changes": "Pictures changed",
    "learning_rate": "Learning rate",
    "batch_size": "Pictures a step",
    "patience": "Rounds without gain before it stops",
}
_LEFT_OPEN = {
    "budget": "no limit",
    "epochs": "as needed",
    "patience": "as usual for the way of learning",
    "horizontal_flip": "as measured",
    "quarter_turns": "as measured",
    "frozen_level": "as usual for the way of learning",
}


@dataclass(frozen=True)
class Difference:
    """One setting in which two runs differ, in words."""

    what: str
    one: str
    other: str


@dataclass(frozen=True)
class Paired:
    """How two runs did on the same pictures: numbers of pictures, and how much that means.

    `p` is the two-sided p-value of McNemar's exact test: how often chance alone would make so
    great a difference, or a greater one, if both were equally good.
    """

    both: int
    only_one: int
    only_other: int
    neither: int
    p: float

    @property
    def means_something(self) -> bool:
        """Whether chance makes such a difference in less than `SURE` of all tests."""
        return self.p < SURE

    @property
    def pictures(self) -> int:
        """How many pictures judged both."""
        return self.both + self.only_one + self.only_other + self.neither


def differences(one: Run, other: Run) -> list[Difference]:
    """Return the settings in which two runs differ."""
    left, right = (_settings(run) for run in (one, other))
    return [
        Difference(_label(key), _value(key, left.get(key)), _value(key, right.get(key)))
        for key in {**left, **right}
        if left.get(key) != right.get(key)
    ]


def paired(one: Run, other: Run) -> Paired | str:
    """Return how two finished runs did on the same pictures, or why that cannot be told.

    Raises:
        RunError: a run is not finished, or damaged.
    """
    left, right = figures.read(one), figures.read(other)
    if gone := left.gone or right.gone:
        return f"They cannot be compared picture by picture. {gone}"
    if left.part != right.part:
        return (
            "They cannot be compared fairly: one was judged by test pictures, the other by the"
            " pictures that chose it, which flatters."
        )
    if Counter(_pictures(left)) != Counter(_pictures(right)):
        return _other_pictures(left, right)
    ones, others = _right_by_picture(left), _right_by_picture(right)
    cases = Counter(zip(ones, others, strict=True))
    only_one, only_other = cases[True, False], cases[False, True]
    return Paired(
        both=cases[True, True],
        only_one=only_one,
        only_other=only_other,
        neither=cases[False, False],
        p=mcnemar(only_one, only_other),
    )


def mcnemar(only_one: int, only_other: int) -> float:
    """Return the two-sided p-value of McNemar's exact test (binomial, McNemar 1947).

    Args:
        only_one: pictures on which only the first is right.
        only_other: pictures on which only the second is right.

    >>> mcnemar(1, 8)
    0.0390625
    """
    n = only_one + only_other
    ways = tail = 1  # to choose none of n, then one more each time
    for k in range(min(only_one, only_other)):
        ways = ways * (n - k) // (k + 1)
        tail += ways
    return min(1.0, 2 * tail / 2**n)


def sentence(found: Paired, one: str, other: str) -> str:
    """Say which of two runs is better, if that can be said; `one` and `other` are their names."""
    one, other = verdicts.quoted(one), verdicts.quoted(other)
    if found.only_one == found.only_other == 0:
        return _alike(found)
    better, worse, more, fewer = one, other, found.only_one, found.only_other
    if found.only_other > found.only_one:
        better, worse, more, fewer = other, one, found.only_other, found.only_one
    chance = _often(found.p)
    if found.means_something:
        return (
            f"{better} is better: it was right on {verdicts.pictures(more)} where {worse} was"
            f" wrong, and wrong on {fewer:,} where {worse} was right. Were they equally good,"
            f" chance would make such a difference in {chance}."
        )
    return (
        f"No difference shown: {one} alone was right on {verdicts.pictures(found.only_one)},"
        f" {other} alone on {found.only_other:,}. Were they equally good, chance would make such a"
        f" difference in {chance}."
    )


def _alike(found: Paired) -> str:
    n = found.pictures
    few = f"{n:,} {'is' if n == 1 else 'are'} too few to tell them apart."
    if found.neither == 0:
        return f"No difference shown: both were right on all {n:,}; {few}"
    if found.both == 0:
        return f"No difference shown: both were wrong on all {n:,}; {few}"
    return (
        f"No difference shown: both were right on the same {found.both:,} of"
        f" {verdicts.pictures(n)}, and wrong on the same {found.neither:,}."
    )


def _other_pictures(left: Figures, right: Figures) -> str:
    if left.digest == right.digest:
        why = (
            "The pictures are the same, but they were shared out differently (another seed), so"
            " different ones judged them. Train one of them again with the seed of the other."
        )
    else:
        why = (
            "Different pictures judged them. To see whether new pictures help, keep a folder ‘test’"
            " beside ‘train’ that stays the same."
        )
    return f"They cannot be compared fairly. {why}"


def _pictures(found: Figures) -> list[tuple[str, str]]:
    return [_key(found, answer) for answer in found.answers]


def _right_by_picture(found: Figures) -> list[bool]:
    return [one.right for one in sorted(found.answers, key=lambda answer: _key(found, answer))]


def _key(found: Figures, answer: Answer) -> tuple[str, str]:
    """Return what makes a picture the same in both: its content and its label."""
    return answer.sha256, found.classes[answer.truth]


def _often(p: float) -> str:
    if p > 0.95:
        return "nearly all tests"
    if p >= 0.01:
        return f"{round(100 * p)} of 100 tests"
    return f"{round(1000 * p)} of 1,000 tests" if p >= 0.001 else "fewer than 1 of 1,000 tests"


def _label(key: str) -> str:
    titles = {one.name: one.title for one in toolbox.SETTINGS}
    return _LABELS.get(key) or titles.get(key) or key.replace("_", " ").capitalize()


def _settings(run: Run) -> dict[str, Any]:
    """Return the settings without nesting, but for the changes of pictures, which stay one."""
    said = dict(workshop.readable(run) or {})
    changes = said.pop("changes", None)
    return {**config.flat(said), **({"changes": changes} if changes is not None else {})}


def _changed(said: dict[str, Any]) -> str:
    values = [
        f"{key.replace('_', ' ')} {value}" for key, value in said.items() if value is not None
    ]
    return ", ".join(values) or "as usual for the way of learning"


def _value(key: str, value: Any) -> str:
    if value is None:
        return _LEFT_OPEN.get(key, "unknown")
    special = {
        "dataset": datasets.name,
        "backbone": words.network,
        "strategy": ways.named,
        "budget": lambda seconds: words.duration(seconds).removeprefix("about "),
        "image_size": lambda pixels: f"{pixels} x {pixels} pixels",
        "optimizer": lambda name: toolbox.optimizer(name).title,
        "schedule": lambda name: toolbox.schedule(name).title,
        "changes": _changed,
    }
    if key in special:
        return special[key](value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}" if isinstance(value, int) else f"{value}"
