"""Beside the path: put right what is wrong with the pictures, and see what that does."""

import html
from typing import Any

import streamlit as st

from app import datasets, finds, frame, mending, probing, state, words
from app.components.mending_gallery import Shown, mending_gallery
from transfer.dataset import mending as changing
from transfer.dataset import versions
from transfer.dataset.index import ImageIndex
from transfer.dataset.mending import Change
from transfer.errors import TransferError

_HEALTH = "health"  # the page that checks the data
_VIEW = "view"  # in the address: which pictures the gallery shows
_SHOWN = 12  # changes that are listed at once
_POLL = 0.4  # seconds
_WHY = (
    "A simple classifier looks at what a network has seen in each picture, and judges every picture"
    " as if it had **not** learned from it, nor from its copies. It is no forecast of your"
    " training, but quick enough to show within seconds what a change is good for. Before and after"
    " are compared **on the same pictures**.\n\n"
    "On the page Health a fifth of the pictures is left out at a time; here one picture with its"
    " copies, so that the classifier has more to learn from. That is why this figure is often a"
    " point or two higher. For the difference that a change makes, look here."
)
_POINTS = (
    "**What is a point?** A percentage point: 4 points better means that of 100 pictures, it is"
    " right on 4 more."
)


def page() -> None:
    """Draw the page for the data set that the address names."""
    digest = state.here().data
    if digest is None:
        frame.title("There is nothing to mend yet.", "Pictures come first.")
        frame.empty("Choose pictures, then come back.", "Choose pictures", "data")
        return
    try:
        changes, index = versions.draft(digest), mending.base(digest)
    except TransferError as problem:
        frame.title("These pictures are not here.", "The address may be old, or mistyped.")
        frame.error(problem)
        frame.next_step("Choose pictures", "data", key="fill")
        return
    _head(digest, changes)
    _gallery(digest, len(changes), index)
    _changes(digest, changes)
    with st.container(horizontal=True, key="mend_ways"):
        if st.button("Back to the data", key="to_data", type="tertiary"):
            state.go("data", data=digest)
        if _HEALTH in state.PAGES and st.button("To the check", key="to_check", type="tertiary"):
            state.go(_HEALTH, data=digest)


def _head(digest: str, changes: tuple[Change, ...]) -> None:
    count = len(changes)
    many = f"{words.many(count, 'change')}, not kept yet."
    frame.title(
        many if count else "Put right what is wrong.",
        f"{datasets.title(digest)}, version {versions.number(digest)}: choose pictures and move"
        " them to their class, or delete them. The version as it is stays untouched.",
    )
    with st.container(horizontal=True, vertical_alignment="center", key="mend_head"):
        with st.container(key="mend_probe"):
            _difference(digest, bool(changes))
        following = 1 + max(one.number for one in versions.history(digest))
        label = f"Keep these changes as version {following}" if count else "Keep the changes"
        why = None if count else "There is no change to keep yet."
        if frame.primary(label, key="keep", disabled=not count, help=why):
            with st.spinner("Keeping them ...", show_time=True):
                kept = versions.keep(digest)
            st.query_params.pop("find", None)
            state.go("data", data=kept)


def _difference(digest: str, changed: bool) -> None:
    """Say what the changes do to the quick check, as soon as that is known."""
    standing = probing.standing(digest)
    if standing.word == "working":
        st.fragment(run_every=_POLL)(_await)(digest)
    elif standing.answer:
        _answer(standing.answer, changed)
    elif standing.word == "failed":
        st.html(f'<p class="quiet">{html.escape(standing.error or "")}</p>')
    else:
        st.html(
            '<p class="quiet">Check the data first, and each change shows here within seconds what'
            " difference it makes. You can mend without it, too.</p>"
        )
        if _HEALTH in state.PAGES and st.button("Check the data", key="check"):
            state.go(_HEALTH, data=digest)


def _await(digest: str) -> None:
    """Wait for the answer of the quick check, then draw the page with it."""
    if probing.standing(digest).word != "working":
        st.rerun()
    st.html('<p class="quiet">The quick check looks at it: a few seconds ...</p>')


def _answer(answer: dict[str, Any], changed: bool) -> None:
    headline, figures = probing.headline(answer, changed), probing.figures(answer, changed)
    st.html(
        f'<div role="status"><p class="probe">{html.escape(headline)}</p>'
        f'<p class="quiet small">{html.escape(figures)}</p></div>'
    )
    caution = probing.caution(answer) if changed else None
    if caution:
        st.html(f'<p class="quiet small">{html.escape(caution)}</p>')
    with st.container(horizontal=True, gap="medium"):
        frame.explain("\n\n".join([*probing.remarks(answer), _POINTS, _WHY] if changed else [_WHY]))
        if changed and answer["classes"]:
            with st.popover("Class by class", type="tertiary"):
                st.html(_table(answer["classes"]))


def _table(rows: list[dict[str, Any]]) -> str:
    lines = "".join(
        f"<tr><td>{html.escape(row['name'])}</td>"
        f'<td class="right">{100 * row["before"]:.0f} %</td>'
        f'<td class="right">{100 * row["after"]:.0f} %</td>'
        f'<td class="right">{row["pictures"]:,}</td></tr>'
        for row in rows
    )
    return (
        '<table class="plain"><thead><tr><th>Class of which another share is right</th>'
        '<th class="right">Before</th><th class="right">Now</th>'
        f'<th class="right">Pictures</th></tr></thead><tbody>{lines}</tbody></table>'
    )


def _gallery(digest: str, revision: int, index: ImageIndex) -> None:
    shown = None
    if kind := st.query_params.get("find"):
        found = finds.find(index, kind)
        shown = Shown(found.label, found.positions, found.hints)
        if not found.positions:
            st.html(
                '<p class="quiet">The check of this version found no such picture: here are'
                " all.</p>"
            )
    first = st.query_params.get("show")
    first = first if first in index.classes else None
    view = st.query_params.get(_VIEW)
    if chosen := mending_gallery(digest, revision, shown, first, view):
        st.query_params[_VIEW] = chosen  # so that it is still shown when the page loads anew


def _changes(digest: str, changes: tuple[Change, ...]) -> None:
    """List the changes, the last one first, with the way back."""
    if not changes:
        return
    frame.heading(words.many(len(changes), "change"))
    lines = [changing.words(change) for change in reversed(changes)]
    items = "".join(f"<li>{html.escape(line)}</li>" for line in lines[:_SHOWN])
    more = len(lines) - _SHOWN
    rest = f'<p class="quiet small">and {more:,} before</p>' if more > 0 else ""
    st.html(f'<ol class="changes" reversed start="{len(lines)}">{items}</ol>{rest}')
    with st.container(horizontal=True):
        if st.button("Take the last one back", key="undo"):
            versions.undo(digest)
            st.rerun()
        if st.button("Drop all changes", key="drop", type="tertiary"):
            _confirm(digest, len(changes))


@st.dialog("Drop all changes?")
def _confirm(digest: str, count: int) -> None:
    many = words.many(count, "change")
    st.write(f"{many} that you have not kept go for good. The pictures stay as they were before.")
    # A callback: where the page is drawn anew just then, as it is after each quick check, the
    # dialog is not, and a press in it would be lost.
    pressed = st.button(
        "Drop them", type="primary", key="really", on_click=versions.discard, args=(digest,)
    )
    if pressed:
        st.rerun()


page()
