"""The pictures of a data set, class by class, a few of each first."""

import html

import streamlit as st

from app import datasets, frame, gallery, state, words
from transfer.dataset import versions

_FIRST = 12  # pictures of a class that are shown at once
_MORE = 96
_CLASSES = 24


def draw(digest: str) -> None:
    """Show the classes one below the other, a few pictures of each."""
    groups = datasets.by_class(digest)
    frame.heading(
        "The pictures, class by class",
        "Look for pictures in the wrong class, for empty or broken ones, and ask: could somebody"
        " tell these classes apart from these pictures alone? The classifier learns just what it is"
        " shown. The order is that of the file names.",
    )
    _mends(digest)
    names = list(groups)
    page = 1
    if len(names) > _CLASSES:
        page = st.pagination(-(-len(names) // _CLASSES), key="classes")
    for name in names[(page - 1) * _CLASSES : page * _CLASSES]:
        _class(digest, name)


def _mends(digest: str) -> None:
    """Offer the page on which pictures are moved, merged, renamed and deleted."""
    waiting = len(versions.draft(digest))
    label = "Mend them: move, rename, merge, delete"
    if waiting:
        label = f"Go on mending: {words.many(waiting, 'change')} not kept yet"
    if st.button(label, key="mend", icon=":material/edit:"):
        state.go("mend", data=digest)


@st.fragment
def _class(digest: str, name: str) -> None:
    pictures = datasets.by_class(digest)[name]
    key = f"shown:{digest}:{name}"
    shown = st.session_state.get(key, _FIRST)
    with st.container(key=f"class_{key}", gap="xsmall"):
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            number = words.many(len(pictures), "picture")
            st.html(
                f'<span class="class-name">{html.escape(name)}</span>'
                f' <span class="quiet small">{number}</span>',
                width="content",
            )
            if shown < len(pictures):
                st.button(
                    "Show more",
                    type="tertiary",
                    key=f"more:{name}",
                    help=f"More pictures of {words.plain(name)}",
                    on_click=st.session_state.__setitem__,
                    args=(key, shown + _MORE),
                )
        entries = [gallery.Entry(p.sha256, alt=f"{name}: {p.name}") for p in pictures[:shown]]
        st.html(gallery.grid(digest, entries))
