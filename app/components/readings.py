"""What the curves say, on cards: a sign, plain words, evidence, and the run that mends it."""

import html
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import streamlit as st

from app import readings, state, ways, workshop
from app.readings import Offer
from transfer.reading import Reading
from transfer.runs import Run


@dataclass(frozen=True)
class Subject:
    """The run whose curves were read, and the way of learning that made them.

    `alive`: it goes on; `keeps`: a wish to stop would leave the best epoch so far.
    """

    run: Run
    strategy: str
    alive: bool = False
    keeps: bool = False


def cards(subject: Subject, said: Sequence[Reading]) -> None:
    """Draw one card for each reading, with a button where something can be done."""
    for number, one in enumerate(said):
        _card(subject, one, number)


def others(said: dict[str, tuple[Reading, ...]]) -> None:
    """Fold away what the curves of other ways say, which a run tried besides."""
    if not said:
        return
    with st.expander("What was read of the other ways"):
        for strategy, some in said.items():
            told = "".join(f'<div class="reading">{_words(one)}</div>' for one in some)
            name = html.escape(ways.named(strategy))
            st.html(f'<p class="quiet small">“{name}”</p>{told}')


def shortly(run: Run, result: dict[str, Any]) -> None:
    """Say in a line how the shipped model learned, with a link to its curves."""
    found = readings.of_result(result).get(str(result.get("shipped")))
    if not found:
        return
    sign, word, colour = readings.SIGNS[found[0].level]
    st.html(
        f'<p class="verdict {colour}"><span>{sign}</span>{word}: {html.escape(found[0].title)}</p>'
        f'<p class="quiet">{html.escape(found[0].words)}</p>'
    )
    st.page_link(
        state.file_of("train"),
        label="See its curves, and what else they say",
        icon=":material/show_chart:",
        query_params=state.moved(run=run.folder.name).query(),
    )


def _card(subject: Subject, one: Reading, number: int) -> None:
    with st.container(border=True, key=f"reading_{number}", gap="small"):
        st.html(f'<div class="reading">{_words(one)}</div>')
        offer = one.remedy and readings.offer(subject.run, subject.strategy, one.remedy)
        if not one.remedy or not offer:
            return
        chosen = f"remedy:{subject.run.folder.name}:{subject.strategy}"
        if st.session_state.get(chosen) == one.kind:
            _offered(subject, offer, chosen, one.kind)
        else:
            st.button(
                one.remedy.label,
                key=f"remedy_{one.kind}",
                icon=":material/arrow_forward:",
                on_click=_choose,
                args=(chosen, one.kind),
            )


def _offered(subject: Subject, offer: Offer, chosen: str, kind: str) -> None:
    """Show what the new run changes, and start it at one click."""
    rows = "".join(
        f'<tr><th scope="row">{html.escape(one.what)}</th><td>{html.escape(one.was)}</td>'
        f"<td>→ {html.escape(one.becomes)}</td></tr>"
        for one in offer.changes
    )
    st.html(
        f'<p>A new run, ‘{html.escape(offer.name)}’:</p><div class="scroll"><table class="plain'
        f' remedy">{rows}</table></div><p class="quiet small">{_meanwhile(subject)}</p>'
    )
    with st.container(horizontal=True):
        start = st.button("Start the new run", type="primary", key=f"start_{kind}")
        instead = (
            subject.alive
            and not subject.run.stop_requested()
            and st.button(
                "Stop this one, keep the best, and start"
                if subject.keeps
                else "Stop this one and start",
                key=f"instead_{kind}",
            )
        )
        st.button("Not now", type="tertiary", key=f"not_{kind}", on_click=_choose, args=(chosen,))
    if start or instead:
        made = workshop.remedied(offer.config, offer.name)
        if instead:
            workshop.stop(subject.run)
        st.session_state.pop(chosen, None)
        state.go("train", data=offer.config.dataset, run=made.folder.name)


def _meanwhile(subject: Subject) -> str:
    if not subject.alive:
        return "Everything else is as it was; this run stays as it is."
    if subject.run.stop_requested():
        return "Everything else is as it was. This training is ending; the new one comes after it."
    return (
        "Everything else is as it was. This training goes on, and the new one waits for its turn;"
        " or stop this one, and the new one begins as soon as it has ended."
    )


def _words(one: Reading) -> str:
    sign, word, colour = readings.SIGNS[one.level]
    evidence = f'<p class="quiet small number">{html.escape(one.evidence)}</p>'
    return (
        f'<p class="verdict {colour}"><span>{sign}</span>{word}</p>'
        f"<h3>{html.escape(one.title)}</h3><p>{html.escape(one.words)}</p>"
        f"{evidence if one.evidence else ''}"
    )


def _choose(key: str, kind: str | None = None) -> None:
    st.session_state[key] = kind
