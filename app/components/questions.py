"""Two questions before a network is retrained: may pictures be mirrored, may they be turned."""

from collections.abc import Sequence

import streamlit as st

from app import counsel, datasets, gallery, state, words
from app.advising import Subject
from app.gallery import Entry
from app.measured import Advice, Guess

_MEASURED = "Find out"
_SHOWN = 4  # pictures of the preview


def questions(subject: Subject, advice: Advice | None) -> tuple[bool | None, bool | None]:
    """Ask both, and return the answers: None where the guess, or its measuring, stands."""
    preview = _preview(subject.digest)
    left, right = st.columns(2, gap="large")
    with left:
        mirror = _question(
            subject, "May the pictures be mirrored?", "mirrored", advice and advice.mirror, preview
        )
    with right:
        turn = _question(subject, "May they be turned?", "turned", advice and advice.turn, preview)
    return mirror, turn


def _question(
    subject: Subject, words_: str, what: str, guess: Guess | None, preview: Sequence[Entry]
) -> bool | None:
    usual = _MEASURED if guess is None else _said(guess.safe)
    options = ["Yes", "No"] if guess else [_MEASURED, "Yes", "No"]
    before = state.choice(what, subject.key)
    key = f"said_{what}:{subject.key}:{usual}"
    said = st.radio(
        words_,
        options,
        index=options.index(before if before in options else usual),
        horizontal=True,
        key=key,
        on_change=lambda: state.choose(what, subject.key, st.session_state[key]),
    )
    reason = (
        counsel.guess(guess, what)
        if guess
        else "It is measured at the beginning of the training: does a classifier still know the"
        f" pictures when they are {what}?"
    )
    st.caption(words.plain(reason))
    st.html(
        f'<div class="{what}"><p class="small quiet">As they are, and {what}</p>'
        f"{gallery.grid(subject.digest, preview, kind='plain')}"
        f"{gallery.grid(subject.digest, preview, kind='changed')}</div>"
    )
    return None if said == usual else said == "Yes"


def _said(safe: bool) -> str:
    return "Yes" if safe else "No"


def _preview(digest: str) -> list[Entry]:
    """Return a few pictures, of as many classes as that."""
    groups = [pictures for pictures in datasets.by_class(digest).values() if pictures]
    every = max(1, len(groups) // _SHOWN)
    several = [*groups[::every], *groups]
    found = [
        picture
        for number in range(_SHOWN)
        for group in several
        for picture in group[number : number + 1]
    ]
    distinct = {picture.sha256: picture for picture in found}
    return [Entry(one.sha256, alt=one.label) for one in list(distinct.values())[:_SHOWN]]
