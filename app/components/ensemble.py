"""On the page of results: what an ensemble gave, and the button that makes one."""

import html
from typing import Any

import pandas as pd
import streamlit as st

from app import ensembles, overview, state, words, workshop
from transfer.errors import TransferError
from transfer.runs import Run

_TIMES = {60: "1 minute", 300: "5 minutes", 900: "15 minutes", 3600: "1 hour"}
_USUAL = 300


def shown(result: dict[str, Any]) -> None:
    """Show the members, the ensemble, its gain and its cost, where the run is one."""
    found = ensembles.read(result)
    if found is None:
        return
    _heading("What answering together gave", f"{ensembles.ABOUT}{ensembles.ABOUT_KINDS}")
    real = found.test.means_something
    kind = "fair" if not real else "good" if found.points > 0 else "poor"
    sign = "≈" if not real else "✓" if found.points > 0 else "✗"
    with st.container(key="ensemble"):
        st.html(
            f'<div class="card"><p class="figure">{html.escape(ensembles.headline(found))}</p>'
            f'<p class="verdict {kind}">{sign} {found.points:+.1f} points (95 % interval'
            f" {found.low:+.1f} to {found.high:+.1f})</p>"
            f"<p>{html.escape(ensembles.sentence(found))}</p>{ensembles.chart(found)}"
            f'<p class="small quiet">{html.escape(ensembles.notes(found))}</p></div>'
        )
    with st.expander("Show the figures of the members"):
        st.dataframe(pd.DataFrame(ensembles.table(found)), hide_index=True)


def improve(run: Run) -> None:
    """Let the user have an ensemble made within a time that they give."""
    _heading("Improve it", ensembles.ABOUT_IMPROVING)
    with st.container(border=True, key="improve", gap="small"):
        st.html(
            "<p>Let several classifiers answer together. They are made from what networks on this"
            " machine see in your pictures; those that do best together become one model.</p>"
        )
        with st.container(horizontal=True, vertical_alignment="bottom"):
            seconds = st.segmented_control(
                "Time for it, at most",
                list(_TIMES),
                default=_USUAL,
                format_func=lambda value: _TIMES[value],
                key="improve_time",
            )
            pressed = st.button("Improve it", key="improve_it", disabled=seconds is None)
        kinds = _kinds()
        _join(run)
    if pressed and seconds:
        name = overview.unused_name(f"{run.about()['name']}, together")
        _open(run, lambda: workshop.improve(run, float(seconds), name, kinds))


def _kinds() -> list[str]:
    """Let the user have networks trained for it, which takes most of the time."""
    with st.expander("Also train a network for it: slower, and often better"):
        st.html(
            "<p>The last part of the network that does best is trained on your pictures, in what"
            " time is left after the classifiers. Each training takes minutes; what there was no"
            " time for is named in the end.</p>"
        )
        chosen = st.pills(
            "What to train",
            list(ensembles.ASKED),
            selection_mode="multi",
            format_func=ensembles.ASKED.__getitem__,
            key="improve_kinds",
        )
        st.markdown(ensembles.ABOUT_KINDS)
    return list(chosen or ())


def _join(run: Run) -> None:
    """Offer finished runs on the same pictures, shared out alike, as members."""
    others = workshop.joinable(run)
    if not others:
        return
    with st.expander("Or join finished trainings of these pictures"):
        names = {one.folder.name: str(one.about()["name"]) for one in others}
        chosen = st.multiselect(
            "Together with this one", list(names), format_func=names.__getitem__, key="join_runs"
        )
        if st.button("Join them", key="join", disabled=not chosen):
            name = overview.unused_name(f"{run.about()['name']}, joined")
            members = [run, *(workshop.run(one) for one in chosen)]
            _open(run, lambda: workshop.join(members, name))


def _open(run: Run, make: Any) -> None:
    """Make the new run and open the page that shows it."""
    try:
        made = make()
    except TransferError as error:
        st.error(words.plain(str(error)), icon=":material/error:")
        return
    state.go("train", data=run.config().dataset, run=made.folder.name)


def _heading(title: str, why: str) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.html(f"<h2>{html.escape(title)}</h2>", width="content")
        with st.popover("Why?", type="tertiary"):
            st.markdown(why)
