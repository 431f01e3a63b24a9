"""The results page in words: how good it is, why this model was kept, what would help most."""

import statistics
from dataclasses import dataclass
from typing import Any

from app import figures, ways, words
from app.figures import ClassRow, Figures
from transfer import catalog, wording
from transfer.evaluation import Accuracy

_PROBE = "linear_top"  # what a retrained network has to beat
_FEW = 100  # pictures of a class to learn from; below, more of them are the first thing to try
_FEWER = 0.8  # of what the usual class has
_WIDE = 0.10  # an interval wider than this makes two trainings hard to compare
_SURE = 0.90
_STEPS = 3
_COUNTED = 20  # below so many pictures, "9 of 10" says more than a percentage

_ENDED = {
    "closed form": "The best classifier was solved for, not approached step by step.",
    "epochs": "It ended after as many rounds as were asked for.",
    "patience": "It ended when it got no better.",
    "budget": "It ended when its time was up.",
    "stopped": "It ended when you stopped it.",
    "diverged": "It was ended when its figures grew beyond all bounds.",
}

ABOUT_THE_INTERVAL = """
**Why a range?** A few dozen or hundred pictures are a sample. As many others of the same kind would
have given a little more or a little less. The range is made so that in 95 of 100 such tests it
holds the true share (*95 % Wilson interval*). The more test pictures, the narrower it is.

**Will it be as good elsewhere?** The figure holds for pictures like these. From another camera, in
another light or at another place it may be worse: test it there too.
"""
ABOUT_TESTING = """
**Why pictures it has never seen?** It may know by heart what it has learned from, so being right
there proves nothing. The *test pictures* were put aside before it learned, copies of one picture
stayed on one side, and nothing was chosen by them: it met them once, at the end.
"""
ABOUT_VALIDATION = """
**Which pictures are these?** Your folders held no *test pictures*. These are the *validation
pictures*: when they were shown to it, it had not learned from them, but what was tried was compared
on them and the best was kept, so a little luck is in the figure. Add a folder `test` beside `train`
to know for sure.
"""


@dataclass(frozen=True)
class Step:
    """One thing to do next: in three or four words, and why."""

    headline: str
    reason: str


@dataclass(frozen=True)
class Verdict:
    """A judgement: whether it is a good one, in a few words, and by what it was reached."""

    good: bool
    headline: str
    reason: str


def percent(share: float, n: int) -> str:
    """Return a share of `n` pictures with as many digits as they carry.

    What is not all is never shown as 100 %, and what is not nothing never as 0 %.

    >>> percent(0.9444, 36).split(), percent(0.9444, 3600).split(), percent(0.998, 500).split()
    (['94', '%'], ['94.4', '%'], ['99.8', '%'])
    """
    return f"{wording.points(share, n)}\u00a0%"


def probability(share: float) -> str:
    """Return the share that a class was given of one picture; none is shown as certain.

    >>> probability(0.996), probability(0.42), probability(0.0)
    ('over 99 %', '42 %', 'under 1 %')
    """
    whole = f"{100 * share:.0f}"
    return {"100": "over 99 %", "0": "under 1 %"}.get(whole, f"{whole} %")


def points(difference: float) -> str:
    """Return a small difference of two probabilities in points, as people write numbers.

    >>> points(3e-6), points(0.0004)
    ('less than 0.001 points', 'at most 0.040 points')
    """
    return (
        "less than 0.001 points" if difference < 1e-5 else f"at most {100 * difference:.3f} points"
    )


def between(share: Accuracy) -> str:
    """Return the interval: 'between 82 and 98 %'."""
    return f"between {wording.points(share.low, share.n)} and {percent(share.high, share.n)}"


def quoted(name: str) -> str:
    """Return a class name for a sentence, kept apart from it in any direction of writing."""
    return f"‘{isolated(name)}’"


def isolated(name: str) -> str:
    """Return a name that leaves the order of the words around it alone (Unicode isolates)."""
    return f"\u2068{name}\u2069"


def pictures(n: int) -> str:
    """Return a number of pictures: '1 picture', '1,234 pictures'."""
    return words.many(n, "picture")


def title(found: Figures) -> str:
    """Return the accuracy as a sentence with its interval."""
    right, n = found.right, found.pictures
    if right == n:
        share = f"all {pictures(n)}" if n > 1 else "the only picture"
    elif right == 0:
        share = f"none of {pictures(n)}"
    elif n < _COUNTED:
        share = f"{right} of {pictures(n)}"
    else:
        share = f"{percent(right / n, n)} of {pictures(n)}"
    which = "it has never seen" if found.part == "test" else "held back from its learning"
    return f"It is right on {share} {which} ({between(found.overall)})."


def too_kind(found: Figures) -> str | None:
    """Say so where the figure flatters: there were no test pictures."""
    if found.part == "test":
        return None
    return (
        "The figure may be a little too kind: there were no test pictures, and these ones chose the"
        " model. Add a folder ‘test’ beside ‘train’ and train again for a figure to rely on."
    )


def guessing(found: Figures) -> Verdict:
    """Compare it with answering the largest class each time: is it clearly better?"""
    _, n = figures.largest_class(found)
    share = percent(n / found.pictures, found.pictures)
    better = found.overall.low > n / found.pictures
    return Verdict(
        better,
        "Clearly better than guessing" if better else "Not clearly better than guessing",
        f"{_one_answer(found)} would be right on {n:,} of {found.pictures:,} ({share}).",
    )


def choice(result: dict[str, Any]) -> str | None:
    """Say what was tried and which was kept, where there was a choice."""
    asked, kept = result["requested"], result["shipped"]
    tried, advised = result["candidates"], result.get("advised")
    if ways.known(advised) and asked in ("auto", "all"):
        return _after_advice(result, str(advised))
    if asked not in tried or len(tried) < 2:
        return None
    other = next(name for name in tried if name != asked)
    n = tried[asked]["n"]
    both = (
        f"Two ways were tried on the same {n:,} validation pictures. “{ways.named(asked)}”, which"
        f" you asked for, was right on {_right(tried[asked])}; the simpler “{ways.named(other)}” on"
        f" {_right(tried[other])}."
    )
    one = "what you asked for" if kept == asked else "the simpler one"
    if tried[asked]["accuracy"] != tried[other]["accuracy"]:
        return f"{both} So {one} was kept."
    return (
        f"{both} Neither was right more often, so {one} was kept, which gave the right answers more"
        " weight (lower *loss*)."
    )


def origin(result: dict[str, Any]) -> str:
    """Say how many pictures it learned from, on which network, and how the learning ended."""
    splits, network = result["splits"], result["backbone"]
    on = "the built-in network" if network == catalog.BUILTIN else f"the network {network}"
    together = result.get("ensemble") or {}
    if len(together.get("networks", ())) > 1:
        on = f"several networks ({', '.join(map(words.plain, together['networks']))})"
    held_back = pictures(splits["val"])
    chosen = (
        f"{held_back} helped to choose, and were learned from in the end"
        if result["shipped"] in figures.REFITTED or together.get("refitted")
        else f"{held_back} only helped to choose"
    )
    tried = len(result.get("comparison") or ())
    what = f"Trying {tried} ways" if tried else "The learning"
    tested = f"{splits['test']:,} tested it" if splits["test"] else "none were left to test it"
    return (
        f"It learned from {pictures(splits['train'])}; {chosen}; {tested}. It builds on {on}."
        f" {what} took {words.duration(result['seconds'])}."
        f" {_ENDED.get(result['ended'], '')}".rstrip()
    )


def next_steps(found: Figures) -> list[Step]:
    """Return what would help most, by the figures: three at most, the most useful first."""
    rows = figures.class_rows(found)
    steps = [_like_guessing(found), _more_pictures(found, rows), _confused(found),
             _labels(found), _more_tests(found)]  # fmt: skip
    there = [step for step in steps if step][:_STEPS]
    if found.right == found.pictures:
        there.insert(0, _try_elsewhere(found))
    return there[:_STEPS]


def no_mistakes(found: Figures) -> str:
    """Say what it means, and what not, that there are no mistakes."""
    low = percent(found.overall.low, found.pictures)
    return (
        f"There are none: it was right on all {pictures(found.pictures)}. That does not mean that"
        " it is never wrong: with so many pictures it may still be wrong on up to"
        f" {percent(1 - found.overall.low, found.pictures)} of new ones (right on {low} or more,"
        " with 95 % certainty), and on more of them where they are of another kind than these."
    )


def _one_answer(found: Figures) -> str:
    """Say what somebody does who guesses: of several largest classes, none is 'the largest'."""
    name, most = figures.largest_class(found)
    there = found.confusion.sum(axis=1)
    if (there == most).all():
        return "To answer always the same class"
    which = "the largest class" if (there == most).sum() == 1 else "one of the largest classes"
    return f"To answer {quoted(name)} each time, {which},"


def _like_guessing(found: Figures) -> Step | None:
    if guessing(found).good:
        return None
    return Step(
        "First, more pictures",
        "Its answers are not clearly better than guessing. Add pictures of every class, and look at"
        " whether a person could tell the classes apart by them.",
    )


def _more_pictures(found: Figures, rows: list[ClassRow]) -> Step | None:
    worst = rows[0]
    missed = worst.pictures - worst.right
    if worst.found is None or missed < 2 or worst.found.accuracy >= found.overall.accuracy:
        return None
    facts = f"Only {worst.right:,} of {worst.pictures:,} were found"
    if worst.taught is None:
        return Step(f"More pictures of {quoted(worst.name)}", f"{facts}, the fewest of all.")
    usual = statistics.median(found.taught or [0])
    if worst.taught < _FEW or worst.taught < _FEWER * usual:
        reason = f"{facts}, and there were just {pictures(worst.taught)} to learn from."
        return Step(f"More pictures of {quoted(worst.name)}", reason)
    return Step(
        f"Look through {quoted(worst.name)}",
        f"{facts}, though there were {pictures(worst.taught)} to learn from. Perhaps some labels"
        " are wrong, or the class holds several kinds of things, which are better told apart.",
    )


def _confused(found: Figures) -> Step | None:
    """Only with three classes or more: with two, every mistake is of the same pair."""
    both = found.confusion + found.confusion.T
    size = len(found.classes)
    wrong = found.pictures - found.right
    pairs = [(int(both[i, j]), -i, -j) for i in range(size) for j in range(i + 1, size)]
    count, i, j = max(pairs, default=(0, 0, 0))
    if size < 3 or count < 2:
        return None
    one, other = quoted(found.classes[-i]), quoted(found.classes[-j])
    return Step(
        f"Tell {one} from {other}",
        f"{count:,} of the {wrong:,} mistakes take one for the other. Add pictures that show the"
        " difference; if you cannot see it either, make them one class (Merge, on the page Mend).",
    )


def _labels(found: Figures) -> Step | None:
    sure = sum(answer.sure >= _SURE for answer in found.mistakes)
    if not sure:
        return None
    mistakes, them = f"{words.many(sure, 'mistake was', 'mistakes were')} made", "them"
    if sure == 1:
        them = "it"
    return Step(
        "Check the labels",
        f"{mistakes} with {_SURE:.0%} certainty or more".replace("%", "\u00a0%")
        + f". Where it is so sure, sometimes the label is wrong: look at {them} below, and put"
        f" {them} right on the page Mend (reached from Data).",
    )


def _more_tests(found: Figures) -> Step | None:
    whole = found.overall
    if whole.high - whole.low <= _WIDE:
        return None
    one, more = ("test picture", "test pictures")
    if found.part != "test":
        one, more = ("picture to judge it by", "pictures to judge it by")
    return Step(
        f"More {more}",
        f"With {words.many(found.pictures, one, more)} the true share may be anywhere from"
        f" {wording.points(whole.low, whole.n)} to {percent(whole.high, whole.n)}. Four times as"
        " many would about halve that range.",
    )


def _try_elsewhere(found: Figures) -> Step:
    return Step(
        "Try it on other pictures",
        f"It made no mistake on these {found.pictures:,}. Take new ones, at another place or on"
        " another day, and try it on them.",
    )


def _right(report: dict[str, Any]) -> str:
    share, n = report["accuracy"], report["n"]
    return f"{round(share * n):,} ({percent(share, n)})"


def _after_advice(result: dict[str, Any], advised: str) -> str:
    """Say what was made of the advice; `advised` is the strategy."""
    kept, tried = result["shipped"], result["candidates"]
    advice = f"The advice was “{ways.named(advised)}”"
    if advised not in tried:
        return f"{advice}, which was not finished; “{ways.named(kept)}” was kept."
    if not ways.cell(advised).tunes or _PROBE not in tried:
        return f"{advice}, and it was followed."
    both = (
        f"{advice}. It and the simpler “{ways.named(_PROBE)}” were tried on the same"
        f" {tried[advised]['n']:,} validation pictures: the first was right on"
        f" {_right(tried[advised])}, the simpler one on {_right(tried[_PROBE])}."
    )
    if kept == advised:
        return f"{both} It did better by more than chance easily makes, so it was kept."
    return (
        f"{both} It did not do better by more than chance easily makes (one standard error of the"
        " difference), so the simpler one was kept."
    )
