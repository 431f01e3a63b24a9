"""What an ensemble gave, as HTML and in words: its members, itself, the gain and the cost."""

import html
from dataclasses import dataclass
from typing import Any

from app import comparison, four_ways, verdicts, words
from app.comparison import Paired
from transfer import wording
from transfer.evaluation import Accuracy

ABOUT = """
**Why together?** Classifiers that see differently are wrong on different pictures. Where one errs,
the others often outvote it: the answer is the weighted mean of their probabilities.

**Who takes part?** Chosen by pictures that a member **had not learned from** when it answered
(*greedy selection with replacement*, Caruana and others, 2004): the best two begin, and whoever
improves the mean most is added, again and again. A weight says how often one was taken. The test
pictures had no say in it.

**The gain** is against the member that would have been picked alone, by the same pictures and not
by the test. Both answered for the same test pictures, so only those count on which one is right and
the other wrong (*McNemar's exact test*).

**The cost**: what one picture takes on this machine, and the room of the weights. Members that read
the same network share one pass through it, so their cost is not the sum.

**The kinds of members:**
"""
ABOUT_KINDS = """
- *classifier on features*: a linear classifier on what a network sees as it is. Seconds. It is
  solved exactly, so another seed gives the same one, and each picture is answered for by one that
  had not learned from it: that is what folds are for, at no extra cost.
- *seed*: the last part of the network trained, again and again, with the pictures in another order
  and changed otherwise. The runs end at different solutions, which err on different pictures.
- *folds*: five such trainings, each without another fifth of the pictures, which then judges it. So
  all pictures choose, and all but the test are learned from. Slow, but the most honest.
- *snapshot*: one training whose steps grow small and large again, several times; each end is a
  solution of its own (Huang and others, 2017). Several members for the time of one.
- *average*: the moving average of the weights over one training. It is steadier than its last
  step, and costs nothing more.
- *soup*: the weights of several trainings averaged into one network (*greedy soup*, Wortsman and
  others, 2022): only those that help on the validation pictures are stirred in. The quality of
  several at the cost of one.
- *finished training*: a training of yours, as it is.
"""
ASKED = {
    "seeds": "Seeds",
    "folds": "Folds",
    "snapshots": "Snapshots",
    "averages": "Averages of weights",
    "soup": "A soup of weights",
}
"""Of members that train a network, by their names in `planning.KINDS`."""
ABOUT_IMPROVING = """
**What happens?** Classifiers are made on the networks that are on this machine, mostly from what
these networks said of your pictures before, which is kept. The ones that do best *together* become
one model. It is a new training in the list; this one stays as it is.

**How long?** Within your time it takes as many networks as it can, those first that know most. The
check of the model for taking away comes after it.

**Does it always help?** No. Where one classifier makes nearly no mistakes, or the test pictures are
few, no difference shows, and then the smaller model is the better one. The page will say so.
"""


@dataclass(frozen=True)
class Row:
    """One member: weight in [0, 1], shares of right answers, milliseconds a picture, megabytes.

    `kind` is in plain words, "" where an earlier version did not say it.
    """

    name: str
    weight: float
    share: Accuracy | None
    milliseconds: float | None
    megabytes: float | None
    best: bool
    kind: str = ""


@dataclass(frozen=True)
class Together:
    """An ensemble: those members that answer, by weight, and how many others were tried.

    `alone` is the member that would have been picked, which need not answer. `points` is the gain
    against it in points of accuracy with its paired 95 % interval.
    """

    rows: tuple[Row, ...]
    others: int
    alone: Row
    share: Accuracy
    tested: bool
    networks: tuple[str, ...]
    points: float
    low: float
    high: float
    test: Paired
    milliseconds: float
    megabytes: float
    left_out: tuple[str, ...]
    chosen_by: int


def read(result: dict[str, Any]) -> Together | None:
    """Return what an ensemble gave, or None where a result is of another kind of run."""
    block = result.get("ensemble")
    if not block:
        return None
    part = block["part"]
    rows = [_row(one, part, n == block["best"]) for n, one in enumerate(block["members"])]
    used = sorted((row for row in rows if row.weight > 0), key=lambda row: -row.weight)
    share, gain = _accuracy(result[part]), block["gain"]
    return Together(
        rows=tuple(used),
        others=len(rows) - len(used),
        alone=rows[block["best"]],
        share=share,
        tested=part == "test",
        networks=tuple(block["networks"]),
        points=gain["points"],
        low=gain["low"],
        high=gain["high"],
        test=_paired(share, gain),
        milliseconds=block["milliseconds"],
        megabytes=block["megabytes"],
        left_out=tuple(block["left_out"]),
        chosen_by=block["chosen_by"],
    )


def headline(found: Together) -> str:
    """Return it at a glance: '5 networks together: +3.1 points'."""
    who = words.many(len(found.networks), "network")
    how = "together" if len(found.networks) > 1 else "read in several ways"
    gain = f"{found.points:+.1f} points".replace("-", "−")
    return f"{who} {how}: {'no difference' if round(found.points, 1) == 0 else gain}"


def sentence(found: Together) -> str:
    """Say whether the ensemble is better than the member that would have been picked alone."""
    return comparison.sentence(found.test, "All together", f"{found.alone.name}, alone")


def chart(found: Together) -> str:
    """Return the ensemble and its members as a table with dots and whiskers on one scale."""
    shares = [row.share for row in (*found.rows, found.alone) if row.share]
    low, high = four_ways.scale([found.share, *shares])
    ticks = "".join(f"<span>{tick:.0f} %</span>" for tick in (low, (low + high) / 2, high))
    which = "never seen before" if found.tested else "held back (validation)"
    whole = Row("All together", 1.0, found.share, found.milliseconds, found.megabytes, False)
    rows = [_line(whole, "", "whole", "", (low, high))]
    rows += [_member(row, (low, high)) for row in found.rows]
    if found.alone.weight == 0:
        rows.append(_member(found.alone, (low, high)))
    return (
        '<table class="plain ways ensemble"><thead><tr><th scope="col">Who answers</th>'
        f'<th scope="col">Right, on pictures {which}<div class="ticks" aria-hidden="true">'
        f'{ticks}</div></th><th scope="col">Cost</th></tr></thead><tbody>{"".join(rows)}</tbody>'
        "</table>"
    )


def notes(found: Together) -> str:
    """Say how it was chosen, and what was tried without being of use."""
    said = [
        f"Chosen by {verdicts.pictures(found.chosen_by)} that a member had not learned from when it"
        " answered."
    ]
    if found.others:
        tried = words.many(found.others, "other was", "others were")
        said.append(f"{tried} tried and did not add to it.")
    if found.left_out:
        said.append(f"There was no time for {', '.join(found.left_out)}.")
    return " ".join(said)


def table(found: Together) -> list[dict[str, Any]]:
    """Return the numbers of the chart: weights and shares in [0, 1]."""
    whole = Row("All together", 1.0, found.share, found.milliseconds, found.megabytes, False)
    return [
        {
            "who": row.name,
            "kind": row.kind,
            "weight": row.weight,
            "accuracy": row.share and round(row.share.accuracy, 4),
            "low": row.share and round(row.share.low, 4),
            "high": row.share and round(row.share.high, 4),
            "milliseconds": row.milliseconds,
            "megabytes": row.megabytes,
        }
        for row in (whole, *found.rows)
    ]


def cost(milliseconds: float | None, megabytes: float | None) -> str:
    """Return a cost: '23 ms a picture, 14 MB'."""
    if milliseconds is None or megabytes is None:
        return ""
    return f"{milliseconds:.0f} ms a picture<br>{megabytes:.1f} MB"


def _member(row: Row, scale: tuple[float, float]) -> str:
    tags = '<span class="tag">best alone</span>' if row.best else ""
    weight = f"weight {100 * row.weight:.0f} %" if row.weight else "not in it"
    says = " · ".join(filter(None, (row.kind, weight)))
    return _line(row, tags, "member" if row.weight > 0 else "alone", says, scale)


def _line(row: Row, tags: str, kind: str, says: str, scale: tuple[float, float]) -> str:
    name = html.escape(row.name)
    return (
        f'<tr class="{kind}"><th scope="row"><span class="class-name">{name}</span>'
        f'{tags}<small class="quiet">{html.escape(says)}</small></th>'
        f"<td>{four_ways.whisker(row.share, *scale)}</td>"
        f'<td class="number small">{cost(row.milliseconds, row.megabytes)}</td></tr>'
    )


def _row(one: dict[str, Any], part: str, best: bool) -> Row:
    share = one.get(part)
    return Row(
        name=str(one["name"]),
        weight=float(one["weight"]),
        share=_accuracy(share) if share else None,
        milliseconds=one["milliseconds"],
        megabytes=one["megabytes"],
        best=best,
        kind=wording.MEMBER_KINDS.get(str(one.get("kind")), ""),
    )


def _paired(share: Accuracy, gain: dict[str, Any]) -> Paired:
    right = round(share.accuracy * share.n)
    both = right - gain["only_ensemble"]
    return Paired(
        both=both,
        only_one=gain["only_ensemble"],
        only_other=gain["only_member"],
        neither=share.n - right - gain["only_member"],
        p=gain["p"],
    )


def _accuracy(value: dict[str, Any]) -> Accuracy:
    return Accuracy(value["accuracy"], value["low"], value["high"], value["n"])
