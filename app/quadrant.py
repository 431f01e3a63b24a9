"""The 2x2 table as HTML: its heads, what stands in a cell, and the data set as a dot in it."""

import html

from app import counsel, ways
from app.measured import Advice, Span
from app.ways import Cell

COLUMNS = ("like what the network knows", "unlike what it knows")
ROWS = ("few pictures", "many pictures")


def column_head(number: int) -> str:
    """Return the head of a column."""
    return f'<p class="small quiet column-head">{COLUMNS[number]}</p>'


def row_head(number: int) -> str:
    """Return the head of a row."""
    return f'<p class="small quiet row-head">{ROWS[number]}</p>'


def cell(one: Cell, advice: Advice | None, chosen: str | None) -> str:
    """Return what stands in a cell; `chosen` is what overrules the advice, if anything does."""
    tags = []
    if advice and advice.strategy == one.strategy:
        tags.append("advised")
    if chosen == one.strategy:
        tags.append("your choice")
    cost = advice.costs.get(one.strategy) if advice else None
    took = (
        "" if cost is None else f'<span class="number">{counsel.lasts(one.strategy, cost)}</span>'
    )
    marks = "".join(f'<span class="tag">{tag}</span>' for tag in tags)
    return (
        f'<p class="class-name">{html.escape(one.title)}</p>'
        f'<p class="small quiet">{html.escape(one.term)}</p>'
        f'<p class="small facts">{took}{marks}</p>'
    )


def field(advice: Advice | None) -> str:
    """Return the middle of the table, with the data set as a dot and its error bars."""
    if advice is None:
        return '<div class="field" aria-hidden="true"></div>'
    across, down = _within(advice.difference), _within(advice.amount)
    label = html.escape(in_words(advice), quote=True)
    return (
        f'<div class="field" role="img" aria-label="{label}" title="{label}">'
        f'<span class="across" style="left:{100 * across.low:.1f}%;'
        f'width:{100 * (across.high - across.low):.1f}%;top:{100 * down.value:.1f}%"></span>'
        f'<span class="down" style="top:{100 * down.low:.1f}%;'
        f'height:{100 * (down.high - down.low):.1f}%;left:{100 * across.value:.1f}%"></span>'
        f'<span class="dot" style="left:{100 * across.value:.1f}%;top:{100 * down.value:.1f}%">'
        "</span></div>"
    )


def in_words(advice: Advice) -> str:
    """Return where the dot is, for those who cannot see it."""
    row, column = ROWS[not advice.size.little], COLUMNS[not advice.similarity.similar]
    return (
        f"Your pictures: {row} ({counsel.percent_sure(advice.size.confidence)} sure), {column}"
        f" ({counsel.percent_sure(advice.similarity.confidence)} sure). In the cell"
        f" “{ways.named(advice.strategy)}”."
    )


def _within(span: Span) -> Span:
    """Return a span that lies in the table, its bar around its value."""
    value = min(0.97, max(0.03, span.value))  # the dot stays whole at the edges
    low, high = max(0.0, min(span.low, value)), min(1.0, max(span.high, value))
    return Span(value, low, high)
