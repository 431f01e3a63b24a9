"""What keeps a figure honest, beside it: classes that are not told apart, pictures in bursts."""

import html
from typing import Any

import streamlit as st

from app import checked, honest, remedies
from app.figures import Figures
from transfer import evaluation


def apart(found: Figures) -> str:
    """Return as HTML which classes are told apart no better than by tossing a coin, if any."""
    pairs = [(one.first, one.second) for one in evaluation.apart(found.confusion, found.classes)]
    told = honest.not_apart(pairs)
    if told is None:
        return ""
    return (
        f'<p class="verdict fair">! {html.escape(told)}</p><p class="quiet">Where it says one of'
        " two such classes, it is right no more often than chance may make it.</p>"
    )


def again(result: dict[str, Any]) -> str:
    """Return as HTML what repeated cross-validation said of a small set; "" of a large one."""
    number = checked.number(result.get("honesty"))
    if number is None or number.repeated is None:
        return ""
    return f'<p class="quiet">{html.escape(honest.again(number.repeated))}</p>'


def bursts(result: dict[str, Any]) -> None:
    """Warn where the pictures of a run come in bursts, which make a careless test too good."""
    number = checked.number(result.get("honesty"))
    if number is None or not number.warn:
        return
    said = remedies.kind("gap")
    with st.container(border=True, key="bursts", gap="small"):
        st.html(
            f'<p class="verdict fair"><span>!</span>{html.escape(honest.bursts(number))}.</p>'
            f"<p>{html.escape(said.meaning)} That is what a quick classifier showed on the pictures"
            " it learned from. For the figure above bursts were kept on one side, unless your own"
            " folders part them.</p>"
        )
        with st.popover("Why?", type="tertiary"):
            st.markdown(said.why)
