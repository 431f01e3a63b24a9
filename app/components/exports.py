"""The further formats of a run's model: what each is for, made on demand, with its check."""

import html

import streamlit as st

from app import exports, waiting, words
from app.components.progress_bar import progress_bar
from app.exports import Offer
from app.routes import downloads
from transfer.exporting.formats import Format
from transfer.runs import Run

_EVERY = 2.0  # seconds between two looks


def further_formats(run: Run) -> None:
    """Offer the formats beside the SavedModel."""
    with st.expander("Other formats: for a phone, other languages, Keras"):
        st.caption(
            "Each is written when you ask for it, takes one to some minutes, and has to give the"
            " answers of this app in a separate process before it can be taken."
        )
        _offers(run)


@st.fragment
def _offers(run: Run) -> None:
    for kind in exports.further():
        one = exports.offer(run, kind)
        if one.alive:
            _watch(run, kind)
        else:
            _card(run, one)


@st.fragment(run_every=_EVERY)
def _watch(run: Run, kind: Format) -> None:
    """Show how far what is being written is, and draw the page anew when it has ended."""
    one = exports.offer(run, kind)
    if not one.alive:
        st.rerun()
    _card(run, one)


def _card(run: Run, one: Offer) -> None:
    kind = one.format
    head = (
        f'<p><span class="class-name">{html.escape(kind.title)}</span>'
        f' <span class="quiet">for {html.escape(kind.purpose)}'
        f"{f', {words.size(exports.size(run, kind))}' if one.word == 'ready' else ''}</span></p>"
    )
    st.html(f'<div class="card">{head}{_standing(run, one)}</div>')
    if one.word == "ready":
        with st.popover("How to use it"):
            st.markdown(kind.why)
            st.code(f"pip install {' '.join(kind.packages)}\npython example.py photo.jpg")
            st.code(exports.example(run, kind), language="python")
    elif not one.alive:
        st.button(
            "Write and check it" if one.word == "none" else "Try it again",
            key=f"export_{kind.name}",
            help=kind.why,
            on_click=exports.begin,
            args=(run, kind),
        )


def _standing(run: Run, one: Offer) -> str:
    if one.word in ("refused", "failed"):
        return f'<p class="verdict poor">✗ not offered</p><p class="small">{_text(one.reason)}</p>'
    if one.alive:
        share, text = waiting.how_far(one.word, one.status)
        return (
            f'{progress_bar(share, one.format.title)}<p class="quiet small number"'
            f' aria-live="polite">{_text(text)}</p>'
        )
    if one.word != "ready":
        return ""
    name = downloads.file_name(str(run.about()["name"]), f"-{one.format.name}.zip")
    link = downloads.link(f"model-{one.format.name}", run.folder.name, name)
    return (
        f'<p class="verdict good">✓ {_text(one.kept.get("words", "checked"))}</p>'
        f'<p><a class="button" href="{link}" download="{_text(name)}">Download {_text(name)}</a>'
        "</p>"
    )


def _text(value: object) -> str:
    return html.escape(str(value), quote=True)
