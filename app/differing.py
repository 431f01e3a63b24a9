"""The pictures on which two runs differ, with both answers under each."""

import streamlit as st

from app import (
    comparison,
    disagreements,
    figures,
    frame,
    gallery,
    looking,
    verdicts,
    words,
    workshop,
)
from app.disagreements import Disputed, Kind
from transfer.runs import Run

_FIRST = 12  # pictures that are shown at once
_MORE = 48
_LAST = 3  # so few that are left are shown at once
WHY = (
    "The same pictures judged both runs. Here are those that they call differently, the surest"
    " answers first; under each stand both answers and the label. Pictures on which only one is"
    " right show what it sees better. Where both are wrong, and in different ways, look at the"
    " label first."
)


def of_chosen(one: str, other: str) -> None:
    """Show the pictures on which the two chosen runs differ, where they can be compared.

    Args:
        one: the key of the session under which the id of the first run is.
        other: that of the second.
    """
    chosen = [st.session_state.get(key) for key in (one, other)]
    if not all(chosen) or chosen[0] == chosen[1]:
        return
    runs = [workshop.run(str(name)) for name in chosen]
    if all(run.finished for run in runs) and not isinstance(comparison.paired(*runs), str):
        names = [str(run.about()["name"]) for run in runs]
        if names[0] == names[1]:
            names = ["the first", "the second"]
        pictures(runs[0], runs[1], (names[0], names[1]))


@st.fragment
def pictures(one: Run, other: Run, names: tuple[str, str]) -> None:
    """Show the pictures on which two runs differ that the same pictures judged.

    Args:
        one: the first run.
        other: the second run.
        names: what people call them.
    """
    found = disagreements.between(one, other)
    there: list[Kind] = [kind for kind, some in found.items() if some]
    frame.heading("The pictures on which they differ", WHY)
    if not there:
        st.html('<div class="card"><p>There are none: they gave the same answers.</p></div>')
        return
    first, second = (verdicts.quoted(name) for name in names)
    titles: dict[Kind, str] = {
        "only_one": f"Only {first} is right",
        "only_other": f"Only {second} is right",
        "both_wrong": "Both are wrong, in different ways",
    }
    pair = f"{one.folder.name}:{other.folder.name}"
    chosen = st.radio(
        "Which pictures",
        there,
        format_func=lambda kind: f"{titles[kind]} ({len(found[kind]):,})",
        key=f"differing:{pair}",
        label_visibility="collapsed",
    )
    some = found[chosen or there[0]]
    key = f"differing_shown:{pair}:{chosen}"
    shown = int(st.session_state.get(key, _FIRST))
    shown = len(some) if len(some) - shown <= _LAST else shown
    digest = figures.read(one).digest
    over = looking.choice((one, other), names, f"differing:{pair}", digest, some[0].sha256)
    entries = (
        gallery.Entry(d.sha256, d.name, _told(d, names), over(d.sha256)) for d in some[:shown]
    )
    with st.container(key="differing"):
        st.html(gallery.grid(digest, entries, kind="large"))
    if len(some) > shown:
        label = f"Show {min(_MORE, len(some) - shown)} more of {words.many(len(some), 'picture')}"
        st.button(label, key=f"more_{key}", on_click=_show, args=(key, shown + _MORE))


def _told(one: Disputed, names: tuple[str, str]) -> str:
    lines = [f"label {verdicts.quoted(one.label)}"]
    for name, said in zip(names, (one.one, one.other), strict=True):
        sign = "✓" if said.what == one.label else "✗"
        sure = verdicts.probability(said.sure).replace(" ", "\u00a0")
        lines.append(f"{sign} {name}: {verdicts.quoted(said.what)}, {sure}")
    return "\n".join(lines)


def _show(key: str, number: int) -> None:
    st.session_state[key] = number
