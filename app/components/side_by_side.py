"""Two finished runs side by side: which is better, if that can be said, and what differs."""

import html
from collections.abc import Callable, Iterable

import streamlit as st

from app import comparison, overview, words, workshop
from app.comparison import Paired
from app.overview import Line
from transfer.runs import Run

WHY = (
    "Two accuracies may differ by luck alone. Where **the same pictures** judged both runs, only"
    " those count on which one is right and the other wrong. If both were equally good, these would"
    " fall to either side like the tosses of a coin. How far they are from even says how much the"
    " difference means (*McNemar's exact test*)."
)


def side_by_side(runs: Iterable[Run], date: Callable[[float], str]) -> str:
    """Let two runs be chosen, and compare them.

    Args:
        runs: the finished runs.
        date: writes a time in seconds since 1970, to tell runs of one name apart.

    Returns:
        What adds to `WHY` for these two: the figure of the test; empty where there is none.
    """
    names = _dated(runs, date)
    chosen = []
    for column, label in zip(st.columns(2), ("One run", "Another run"), strict=True):
        with column:
            chosen.append(
                st.selectbox(
                    label,
                    list(names),
                    index=None,
                    format_func=lambda name: str(names.get(name, name)),
                    placeholder="Choose a run",
                    key=f"compare {label}",
                )
            )
    one, other = chosen
    if one and one == other:
        st.html('<p class="quiet">That is the same run twice. Choose another one on one side.</p>')
    elif one and other:
        return _compare(workshop.run(one), workshop.run(other), (names[one], names[other]))
    return ""


def _dated(runs: Iterable[Run], date: Callable[[float], str]) -> dict[str, str]:
    """Return for each run its name with the time; no two alike, for a choice is made by them."""
    names: dict[str, str] = {}
    for run in runs:
        about = run.about()
        name = f"{about['name']} · {date(about['created'])}"
        alike = (name, *(f"{name} ({number})" for number in range(2, len(names) + 2)))
        names[run.folder.name] = next(one for one in alike if one not in names.values())
    return names


def _compare(one: Run, other: Run, dated: tuple[str, str]) -> str:
    left, right = overview.line(one), overview.line(other)
    found = comparison.paired(one, other)
    names = dated if left.name == right.name else (left.name, right.name)
    st.html(_card(left, names, found) + _table((one, other), (left, right), dated))
    return "" if isinstance(found, str) else f"Here, McNemar's exact test: p {_small(found.p)}."


def _card(left: Line, names: tuple[str, str], found: Paired | str) -> str:
    if isinstance(found, str):
        return f'<div class="card comparison"><p>{html.escape(found)}</p></div>'
    if found.means_something:
        kind, verdict = "good", "✓ A real difference"
    elif found.only_one == found.only_other == 0:
        kind, verdict = "fair", "= Right on the same pictures"
    else:
        kind, verdict = "fair", "≈ Too close to call"
    kind_of_test = "" if left.tested else " These pictures chose the models too, which flatters."
    return (
        f'<div class="card comparison"><p class="verdict {kind}">{verdict}</p>'
        f"<p>{html.escape(comparison.sentence(found, *names))}</p>"
        f'<p class="small quiet number">The same {words.many(found.pictures, "picture")} judged'
        f" both: both right on {found.both:,}, only the first on {found.only_one:,}, only the"
        f" second on {found.only_other:,}, neither on {found.neither:,}.{kind_of_test}</p></div>"
    )


def _table(runs: tuple[Run, Run], lines: tuple[Line, Line], names: tuple[str, str]) -> str:
    (one, other), (left, right) = runs, lines
    rows = [
        ("Right", _share(left), _share(right)),
        *((row.what, row.one, row.other) for row in comparison.differences(one, other)),
        *_kept(left, right),
        ("Time it took", _took(one), _took(other)),
        ("On the disk", words.size(left.bytes), words.size(right.bytes)),
    ]
    head = "".join(f"<th>{html.escape(name)}</th>" for name in ("", *names))
    body = "".join(
        f'<tr><th scope="row">{html.escape(what)}</th>'
        f"<td>{html.escape(a)}</td><td>{html.escape(b)}</td></tr>"
        for what, a, b in rows
    )
    return f'<div class="scroll"><table class="plain compared"><tr>{head}</tr>{body}</table></div>'


def _small(p: float) -> str:
    return f"= {p:.2g}" if p >= 0.001 else "below 0.001"


def _kept(left: Line, right: Line) -> list[tuple[str, str, str]]:
    """Return a row where another model was kept than was asked for."""
    if not left.kept and not right.kept:
        return []
    usual = "what was asked for"
    return [("What was kept", left.kept or usual, right.kept or usual)]


def _share(line: Line) -> str:
    if line.accuracy is None:
        return "unknown"
    kind = "test picture" if line.tested else "validation picture"
    return f"{line.share}, on {words.many(line.accuracy.n, kind)}"


def _took(run: Run) -> str:
    return words.duration(float(run.result()["seconds"])).removeprefix("about ")
