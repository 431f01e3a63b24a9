"""What each way of learning would have given, where a run tried several: rows, words, HTML."""

import html
import math
from dataclasses import dataclass
from typing import Any

from app import verdicts, ways, words
from transfer.evaluation import Accuracy

ABOUT = """
Each way learned from the same pictures, and was then asked about the same ones that it had not
seen. The dot is the share of right answers, the bar the range in which the true share lies with
95 % certainty. **Which one was kept was decided by the validation pictures**, before these were
looked at. To choose by these very figures would flatter the winner: the best of several is a little
lucky.

Where two ranges overlap, the difference may be chance. The ways were asked about the same pictures,
so a difference may count although the ranges overlap a little; what is said here is the careful
reading.
"""


@dataclass(frozen=True)
class Row:
    """One way: the share of right answers, where it was trained; `seconds` that it took.

    `note` says why it was left out or cut short.
    """

    strategy: str
    share: Accuracy | None
    seconds: float | None
    note: str | None
    advised: bool
    kept: bool


def rows(result: dict[str, Any]) -> list[Row]:
    """Return what a run tried, in the order of the table; empty where it tried one way only.

    The shares are those on test pictures, or on validation pictures where there are no others.
    """
    compared = {one["strategy"]: one for one in result.get("comparison") or ()}
    if len(compared) < 2:
        return []
    part = judged_by(result)
    return [
        Row(
            strategy=cell.strategy,
            share=_share(compared[cell.strategy].get(part)),
            seconds=compared[cell.strategy].get("seconds"),
            note=compared[cell.strategy].get("note"),
            advised=cell.strategy == result.get("advised"),
            kept=cell.strategy == result["shipped"],
        )
        for cell in ways.CELLS
        if cell.strategy in compared
    ]


def judged_by(result: dict[str, Any]) -> str:
    """Return the part of the pictures by which the ways are shown: "test" or "validation"."""
    tested = any(one.get("test") for one in result.get("comparison") or ())
    return "test" if tested else "validation"


def sentence(found: list[Row]) -> str:
    """Say whether the advised way is as good as the best, as far as the ranges tell."""
    judged = [row for row in found if row.share]
    advised = next((row for row in judged if row.advised), None)
    best = max(judged, key=_accuracy, default=None)
    if best is None or len(judged) < 2:
        return "Only one way was finished in the time, so there is nothing to compare."
    if advised is None:
        return "The advised way was not finished in the time."
    if _accuracy(advised) == _accuracy(best):
        rest = [row for row in judged if row is not advised]
        if all(_accuracy(row) == _accuracy(advised) for row in rest):
            return "All of them were right equally often: the advised way is as good as any."
        if any(_overlap(advised, row) for row in rest):
            return "No way did better than the advised one. The ranges overlap: it may be chance."
        return "The advised way did best, clearly."
    points = 100 * (_accuracy(best) - _accuracy(advised))
    lead = (
        f"“{ways.named(best.strategy)}” was right {points:.1f} points more often than the advised"
    )
    if _overlap(best, advised):
        return f"{lead} way. The ranges overlap: it may be chance."
    return f"{lead} way, and the ranges do not overlap: here the advice was not the best."


def chart(found: list[Row], part: str) -> str:
    """Return the ways as a table with dots and whiskers on one scale."""
    low, high = scale([row.share for row in found if row.share])
    ticks = "".join(f"<span>{tick:.0f} %</span>" for tick in (low, (low + high) / 2, high))
    which = "never seen before" if part == "test" else "held back (validation)"
    body = "".join(_row(row, low, high) for row in found)
    return (
        '<table class="plain ways"><thead><tr><th scope="col">Way</th>'
        f'<th scope="col">Right, on pictures {which}<div class="ticks" aria-hidden="true">'
        f'{ticks}</div></th><th scope="col">Took</th></tr></thead><tbody>{body}</tbody></table>'
    )


def table(found: list[Row]) -> list[dict[str, Any]]:
    """Return the numbers of the chart: shares in [0, 1], seconds."""
    return [
        {
            "way": ways.named(row.strategy),
            "term": ways.cell(row.strategy).term,
            "accuracy": row.share and round(row.share.accuracy, 4),
            "low": row.share and round(row.share.low, 4),
            "high": row.share and round(row.share.high, 4),
            "pictures": row.share and row.share.n,
            "seconds": row.seconds,
            "note": row.note,
        }
        for row in found
    ]


def _row(row: Row, low: float, high: float) -> str:
    marks = [mark for mark, there in (("advised", row.advised), ("kept", row.kept)) if there]
    tags = "".join(f'<span class="tag">{mark}</span>' for mark in marks)
    note = f'<p class="small quiet">{html.escape(row.note)}</p>' if row.note else ""
    took = "" if row.seconds is None else words.duration(row.seconds).removeprefix("about ")
    cell = ways.cell(row.strategy)
    return (
        f'<tr><th scope="row"><span class="class-name">{html.escape(cell.title)}</span>{tags}'
        f'<small class="quiet">{html.escape(cell.term)}</small></th>'
        f'<td>{whisker(row.share, low, high)}{note}</td><td class="number">{took}</td></tr>'
    )


def whisker(share: Accuracy | None, low: float, high: float) -> str:
    """Return a share on a scale whose ends are in percent, with its interval in words."""
    if share is None:
        return '<span class="quiet">no result </span>'
    left, right, at = (
        100 * (100 * end - low) / (high - low) for end in (share.low, share.high, share.accuracy)
    )
    return (
        '<span class="whisker" aria-hidden="true">'
        f'<span class="range" style="left:{left:.1f}%;width:{right - left:.1f}%"></span>'
        f'<span class="dot" style="left:{at:.1f}%"></span></span>'
        f'<span class="number"><b>{verdicts.percent(share.accuracy, share.n)}</b>'
        f' <span class="quiet small">{verdicts.between(share)}</span></span> '
    )


def scale(shares: list[Accuracy]) -> tuple[float, float]:
    """Return the ends of the scale in percent, in steps of ten around all ranges."""
    low = min((share.low for share in shares), default=0.0)
    high = max((share.high for share in shares), default=1.0)
    first = 10 * math.floor(10 * low)
    return float(first), float(max(first + 10, 10 * math.ceil(10 * high)))


def _share(value: dict[str, Any] | None) -> Accuracy | None:
    if not value:
        return None
    return Accuracy(value["accuracy"], value["low"], value["high"], value["n"])


def _accuracy(row: Row) -> float:
    return row.share.accuracy if row.share else 0.0


def _overlap(one: Row, other: Row) -> bool:
    if one.share is None or other.share is None:
        return True
    return one.share.low <= other.share.high and other.share.low <= one.share.high
