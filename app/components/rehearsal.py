"""Check a training before it begins: one button, how far it is, and then what was found."""

import html
import time

import streamlit as st

from app import jobs, starting, waiting, words
from app.components import rehearsal_cards
from app.components.progress_bar import progress_bar
from app.starting import Standing, Subject
from transfer.config import RunConfig

_EVERY = 1.5  # seconds between two looks
_CHECKED = "checked"
WHY = """
A training takes minutes or hours; these checks take about one minute and find what would spoil it:
pictures or labels that are read in a wrong way, a network that cannot learn even **twenty pictures
by heart**, a **learning rate** that is far too high or too low, too little memory.

Nothing of it is needed. A training works without, and the checks change nothing: they use a copy
of the network and throw it away.
"""


def rehearsal(settings: RunConfig) -> None:
    """Offer the checks of a training with these settings, whose strategy trains the network."""
    asked = starting.of(settings)
    if starting.standing(asked).word != "none":
        st.session_state[_key(settings)] = settings  # shown on when settings are changed
    kept: RunConfig = st.session_state.get(_key(settings), settings)
    subject = starting.of(kept)
    standing = starting.standing(subject)
    with st.container(key="rehearsal"):
        if standing.alive:
            _follow(subject)
            st.button("Stop the checks", key="rehearse_stop", on_click=_stop, args=(subject,))
            return
        if standing.word == "failed":
            st.error(
                f"The checks could not be done. {words.plain(standing.error or '')}",
                icon=":material/error:",
            )
        older = standing.found is not None and subject.key != asked.key
        if standing.word != "ready" or older:
            _offer(asked, subject, older)
        if standing.found:
            rehearsal_cards.rehearsal_cards(subject, standing.found)


def _offer(asked: Subject, shown: Subject, older: bool) -> None:
    """Offer to begin, and say where what is shown is of other settings."""
    if older:
        changed = shown.settings.differences(asked.settings)
        st.html(
            '<p class="quiet">Since these checks, settings have been changed: the'
            f" {html.escape(words.and_so_on(changed))}.</p>"
        )
    st.button(
        "Check again with these settings" if older else "Check before you start",
        key="rehearse", icon=":material/checklist:", on_click=_begin, args=(asked,),
    )  # fmt: skip
    if not older:
        st.caption("About a minute; nothing of it is needed to start.")


@st.fragment(run_every=_EVERY)
def _follow(subject: Subject) -> None:
    """Show how far it is, and go on when it has ended."""
    standing = starting.standing(subject)
    if not standing.alive:
        st.rerun()
    share, text = _how_far(standing)
    st.html(
        '<div class="card"><p class="class-name">Checking the training</p>'
        f"{progress_bar(share, 'Checking')}"
        f'<p class="small number" aria-live="polite">{html.escape(text)}</p></div>'
    )


def _how_far(standing: Standing) -> tuple[float | None, str]:
    status = dict(standing.status)
    left = starting.seconds_left(standing, time.time())
    if left is not None:
        status["seconds_left"] = left
    return waiting.how_far(standing.word, status)


def _begin(subject: Subject) -> None:
    starting.begin(subject)
    st.session_state[_key(subject.settings)] = subject.settings


def _stop(subject: Subject) -> None:
    job = jobs.latest("rehearse", subject.key)
    if job and job.state in ("queued", "running"):
        jobs.cancel(job)


def _key(settings: RunConfig) -> str:
    return f"{_CHECKED}:{settings.dataset}:{settings.backbone}"
