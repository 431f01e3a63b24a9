"""How far its percentages can be believed, and the slider of when it is to stay silent."""

import html

import pandas as pd
import streamlit as st

from app import frame, reliability
from app.reliability import Promise
from transfer import calibration, silence
from transfer.runs import Run

_ABOUT = (
    "A classifier gives each answer a share: how sure it is. **Calibrated** means that of all"
    " answers given with 80 %, eight in ten are right. One number, the *temperature*, makes a"
    " classifier more or less sure of everything without changing any answer; it is fitted on"
    " pictures that were not learned. In the picture each dot is a group of answers that were about"
    " equally sure; on the dashed line they are exactly as often right as they say. The bars are"
    " 95 % intervals, diamonds show it before the temperature. *NLL* and *Brier score* punish"
    " being sure and wrong; *ECE* is the average distance from the line."
)
_LEGEND = (
    "Dots: now, the larger the more pictures, with 95 % intervals. Diamonds: before its percentages"
    " were put right."
)
_ABOUT_SILENCE = (
    "Below some certainty it can say “not sure enough” instead of guessing. The threshold is chosen"
    " on pictures that it had not learned, with one mistake more than was seen there, and then only"
    " measured on the pictures that it has never seen. It is kept with the run and lives in the"
    " exported model: the output *answers* is false where it would rather be silent."
)


@st.fragment
def cards(run: Run) -> None:
    """Draw both, where the run has measured them."""
    told = reliability.read(run)
    if told is None:
        return
    left, right = st.columns(2, gap="large")
    with left:
        frame.heading("Can its percentages be believed?", _ABOUT)
        st.html(f"<p>{html.escape(reliability.sentence(told))}</p>")
        st.vega_lite_chart(
            reliability.diagram(told, st.context.theme.type or "light"),
            alt=reliability.in_words(told),
            key="chart_reliability",
        )
        st.html(f'<p class="quiet small">{_LEGEND}</p>')
    with right, st.container(key="silence"):
        _slider(run, reliability.promises(told))
    with st.expander("Show the figures of its certainty"):
        st.markdown(reliability.origin(told))
        st.dataframe(pd.DataFrame(reliability.rows(told)), hide_index=True)
        if told["indicative"]:
            st.caption("Fewer than 200 validation pictures: the ECE is only indicative.")


def _slider(run: Run, promises: list[Promise]) -> None:
    chosen = silence.chosen(run) or {}
    now = float(chosen.get("target", calibration.USUAL_TARGET))
    targets = [one.target for one in promises]
    frame.heading("When it is to stay silent", _ABOUT_SILENCE)
    wanted = st.select_slider(
        "When it answers, it is to be right",
        targets,
        value=now if now in targets else targets[0],
        format_func=lambda target: f"{100 * target:g} %",
        key=f"target_{run.folder.name}",
    )
    one = next(promise for promise in promises if promise.target == wanted)
    st.html(f"<p>{html.escape(reliability.kept(one))}</p>{_bar(one)}")
    if wanted == now:
        st.html('<p class="quiet small">This is what the model does now.</p>')
    elif one.threshold <= 1:  # else it would never answer, of which nobody has any use
        st.button(
            f"Keep {100 * wanted:g} %",
            key="keep_target",
            type="primary",
            on_click=_keep,
            args=(run, wanted),
            help="The exported model is written anew with it; you find it on the page Use.",
        )


def _keep(run: Run, target: float) -> None:
    silence.choose(run, target)


def _bar(one: Promise) -> str:
    share = 0.0 if one.threshold > 1 else (one.test or one.expected)[0].accuracy
    return (
        '<div class="bar-row" style="grid-template-columns:auto 1fr 56px"><span>answers</span>'
        f'<span class="track"><span class="fill" style="display:block;width:{100 * share:.1f}%">'
        f'</span></span><span class="share">{100 * share:.0f} %</span></div>'
    )
