"""How far the measuring for the advice is, what went wrong, or what it found at each stage."""

import html

import streamlit as st

from app import advising, counsel, evidence, waiting, words
from app.advising import Standing, Subject
from app.components.progress_bar import progress_bar
from app.measured import Advice
from app.networks import Offer

_EVERY = 1.5  # seconds between two looks
_NO_WAIT = "You need not wait for it: a training measures by itself and follows the advice."


def measuring(subject: Subject, offer: Offer, standing: Standing) -> None:
    """Show what stands beside the table."""
    if standing.advice:
        _profile(standing.advice)
    elif standing.alive:
        _follow(subject)
    elif standing.word == "failed":
        _failed(subject, standing)
    elif not offer.here:
        _absent(subject, offer)


@st.fragment(run_every=_EVERY)
def _follow(subject: Subject) -> None:
    """Show how far it is, and go on when it has ended."""
    standing = advising.standing(subject)
    if not standing.alive:
        st.rerun()
    share, text = _how_far(standing)
    st.html(
        '<div class="card measuring"><p class="class-name">Measuring your pictures</p>'
        f"{progress_bar(share, 'Measuring')}"
        f'<p class="small number" aria-live="polite">{html.escape(text)}</p>'
        f'<p class="small quiet">{_NO_WAIT}</p></div>'
    )


def _how_far(standing: Standing) -> tuple[float | None, str]:
    """Return how far a measurement is (None: not known), and that in words."""
    if standing.word == "training":
        return None, "A training of these pictures that is under way measures them."
    return waiting.how_far(standing.word, standing.status)


def _failed(subject: Subject, standing: Standing) -> None:
    st.error(
        f"The pictures could not be measured. {words.plain(standing.error or '')}",
        icon=":material/error:",
    )
    st.html(
        '<p class="small quiet">Nothing was lost. You can try again, or choose a way yourself.</p>'
    )
    st.button("Try again", key="measure", on_click=advising.begin, args=(subject,))


def _absent(subject: Subject, offer: Offer) -> None:
    size = words.size(offer.spec.weight_megabytes * 1e6)
    st.html(
        '<div class="card"><p class="class-name">Not measured yet</p><p class="small">What a'
        f" network knows can only be asked of the network itself. {html.escape(offer.title)} is not"
        f" here yet: it is a download of {size}. Only the network comes in; nothing of yours goes"
        f' out.</p><p class="small quiet">{_NO_WAIT}</p></div>'
    )
    st.button("Fetch it and measure", key="measure", on_click=advising.begin, args=(subject,))


def _profile(advice: Advice) -> None:
    """Draw what each stage of the network knows of the pictures."""
    theme = st.context.theme.type or "light"
    stages = advice.similarity.profile
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.html("<h2>Which stage knows them?</h2>", width="content")
        with st.popover("Why?", type="tertiary"):
            st.markdown(counsel.ABOUT_THE_STAGES)
    if not stages:
        st.html('<div class="card empty"><p>The stages were not measured.</p></div>')
        return
    st.vega_lite_chart(
        evidence.profile(stages, theme),
        alt=evidence.in_words("stage profile", stages),
        key="chart_profile",
    )
    st.html(f'<p class="quiet small">{html.escape(counsel.stages(advice))}</p>')
