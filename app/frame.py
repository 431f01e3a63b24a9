"""The frame of every page: the bar with the path, headings, the "why?" beside a number, errors."""

import html
from pathlib import Path

import streamlit as st

from app import state, words, workshop
from app.components import theme_switch
from app.components.progress_bar import progress_bar
from transfer.errors import TransferError

_STYLE = Path(__file__).with_name("style.css")
PRODUCT = "Transfer workbench"


def show(page: str) -> None:
    """Draw the style and the bar; `page` is the one that is open."""
    st.html(_STYLE)
    place = state.here()
    run = state.current_run()
    finished = bool(run and run.finished)
    reasons = {
        "data": None,
        "advice": None if place.data else "Choose pictures first.",
        "train": None if place.run else "Start a training first.",
        "results": None if finished else "There are results once a training has finished.",
        "use": None if finished else "There is a model to use once a training has finished.",
    }
    done = {"data": bool(place.data), "advice": bool(run), "train": finished, "results": finished}
    here = state.OF_A_STEP.get(page, page)
    with st.container(horizontal=True, key="bar", vertical_alignment="center", gap="small"):
        st.html(f'<span class="product">{PRODUCT}</span>', width="content")
        with st.container(horizontal=True, key="path", gap=None, width="content"):
            for number, step in enumerate(state.STEPS, start=1):
                tick = "✓" if done.get(step) and step != here else str(number)
                name = f"{tick} {state.PAGES[step]}"
                with st.container(key=f"step_{step}_{'now' if step == here else 'other'}"):
                    _link(step, f"**{name}**" if step == here else name, place, reasons[step])
        with st.container(horizontal=True, key="aside", gap="small", width="content"):
            _link("runs", "**Runs**" if page == "runs" else "Runs", place, None)
            theme_switch.theme_switch()


def title(sentence: str, purpose: str) -> None:
    """Head the page with a sentence, and one line on what the page is for."""
    st.html(f'<h1>{html.escape(sentence)}</h1><p class="purpose">{html.escape(purpose)}</p>')


def heading(words: str, why: str | None = None) -> None:
    """Head a part of a page, with a "Why?" that explains it where `why` is given."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.html(f"<h2>{html.escape(words)}</h2>", width="content")
        if why:
            explain(why)


def explain(why: str, label: str = "Why?") -> None:
    """Offer an explanation on a small button."""
    with st.popover(label, type="tertiary"):
        st.markdown(why)


def next_step(label: str, page: str, *, key: str = "next", disabled: bool = False) -> None:
    """Show the one button to press, at the right, which opens the next page."""
    if primary(label, key=key, disabled=disabled):
        state.go(page)


def follow(page: str, *, key: str = "next") -> None:
    """Open the next page if its button was pressed just before what it stands on is drawn anew.

    A press lasts for one run of the script: where that run ends in `st.rerun`, it would be lost.
    """
    if st.session_state.get(key):
        state.go(page)


def primary(label: str, *, key: str, disabled: bool = False, help: str | None = None) -> bool:  # noqa: A002
    """Show the one button to press, at the right; whether it was pressed."""
    with st.container(horizontal=True, horizontal_alignment="right", key=f"primary_{key}"):
        return st.button(label, type="primary", key=key, disabled=disabled, help=help)


def empty(words: str, label: str, page: str) -> None:
    """Say what would be here, with the button that fills it."""
    st.html(f'<div class="card empty"><p>{html.escape(words)}</p></div>')
    next_step(label, page, key="fill")


def progress(share: float | None, text: str) -> None:
    """Show how far something is (`share` in [0, 1], None: not known) and what that means."""
    st.html(
        f'{progress_bar(share)}<p class="quiet small number" aria-live="polite">'
        f"{html.escape(text)}</p>"
    )


def error(problem: TransferError | str) -> None:
    """Show what a person can mend, as a sentence."""
    st.error(words.plain(str(problem)), icon=":material/error:")


def run_name() -> str:
    """Return the name of the run of this page, for its heading."""
    run = state.current_run()
    return str(run.about()["name"]) if run else ""


def standing_words(standing: workshop.Standing) -> str:
    """Return a run's standing as people say it."""
    return {
        "waiting": "Waiting for its turn",
        "running": "Learning",
        "exporting": "Finished, the model is being checked",
        "finished": "Finished",
        "paused": "Paused",
        "stopped": "Stopped",
        "failed": "Failed",
    }[standing.word]


def _link(page: str, label: str, place: state.Place, reason: str | None) -> None:
    query = place.query()
    st.page_link(
        state.file_of(page), label=label, disabled=bool(reason), help=reason, query_params=query
    )
