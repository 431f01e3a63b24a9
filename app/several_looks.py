"""Several views of each picture: what they would bring and cost, before they are switched on."""

import html

import streamlit as st

from app import frame, several_views, state, waiting, words
from app.several_views import Measured
from transfer.errors import TransferError
from transfer.runs import Run

_EVERY = 2.0  # seconds between two looks
_ABOUT = (
    "One look can be unlucky. **Test-time augmentation** shows the network several views of each"
    " picture, such as its mirror image or parts of it, and averages what it says. It is slower,"
    " as often as there are views, and may or may not help: so it is measured first, on the same"
    " pictures with and without (a *paired* comparison). What is switched on lives inside the"
    " model, the exported one too."
)


def card(run: Run) -> None:
    """Offer to measure it, show what was measured, and make a run that uses it."""
    if not several_views.possible(run):
        return
    frame.heading("Would several looks at each picture help?", _ABOUT)
    with st.container(key="test_time"):
        job = several_views.job(run)
        if job and job.state in ("queued", "running"):
            _follow(run)
            return
        if job and job.state == "failed":
            st.error(words.plain(job.error or "It could not be measured."), icon=":material/error:")
        found = several_views.read(run)
        if found is None:
            st.button(
                "Measure it", key="views", icon=":material/burst_mode:",
                on_click=several_views.begin, args=(run,),
            )  # fmt: skip
            st.caption("On at most 300 pictures: seconds to a few minutes. Nothing is changed.")
            return
        _shown(run, found)


@st.fragment(run_every=_EVERY)
def _follow(run: Run) -> None:
    job = several_views.job(run)
    if job is None or job.state not in ("queued", "running"):
        st.rerun()
    waits = job is not None and job.state == "queued"
    frame.progress(
        None,
        f"It waits for its turn{_before()}. You can leave."
        if waits
        else "Measuring: at most a few minutes. You can leave.",
    )


def _before() -> str:
    before = waiting.at_work()
    return f": it begins when {before} has ended" if before else ""


def _shown(run: Run, found: Measured) -> None:
    st.html(
        f"<p>{html.escape(several_views.sentence(found))}</p>{several_views.table(found)}"
        f'<p class="quiet small">{html.escape(several_views.caution(found))}</p>'
    )
    kinds = [one.kind for one in found.gains if one.kind != "none"]
    if not kinds:
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        kind = st.selectbox(
            "A new run that looks at",
            kinds,
            format_func=several_views.TITLES.__getitem__,
            key=f"views_of_{run.folder.name}",
        )
        pressed = st.button("Train it", key="with_views")
    st.caption("This run stays as it is.")
    if pressed:
        try:
            made = several_views.made(run, found, kind)
        except TransferError as problem:
            frame.error(problem)
            return
        state.go("train", data=run.config().dataset, run=made.folder.name)
