"""What the checks before a training found: five cards, each with a light, a sentence, a reason."""

import html
import math
from collections.abc import Callable
from typing import Any

import streamlit as st

from app import starting, trial_curves, words
from app.components import expert_fields
from app.rehearsed import Cost, Overfit, Pictures, RateRange, Rehearsal, StartLoss, Told
from app.routes import rehearsals
from app.starting import Subject
from transfer.errors import SettingsError

_LIGHTS = {
    "green": ("good", "✓", "All right"),
    "amber": ("fair", "!", "Look at this"),
    "red": ("poor", "✕", "Mend this first"),
}
_OVERALL = {
    "green": "The checks found nothing that would spoil the training.",
    "amber": "It can start; something is worth a look.",
    "red": "Something would spoil the training. Mend it first.",
}
_WHY_PICTURES = """
These are the very pixels that go into the network: the whole picture, brought to its input size,
and below the same pictures as it learns from them (*augmentation*). If **you** cannot tell the
classes apart here, the network will not either: then take a larger input size, or milder changes.
"""
_WHY_START = """
Who guesses among *C* classes is surprised by *ln C* on average (the *loss*, in nats). A network
whose classifier is still random can only guess, so its loss should be about that. Far from it,
pictures or labels are read in a wrong way. The training itself begins better, with a classifier
that is solved for at once.
"""
_WHY_OVERFIT = """
Learning by heart is bad in the end, but a fine test: with everything off that hinders it
(*regularisation*), a network that is in order learns twenty pictures by heart within seconds, and
its loss falls to about zero. What cannot do that will learn nothing from more pictures.
"""
_WHY_RATE = """
The *learning rate* says how large the steps are. Here it rises from far too low to far too high
(Smith 2017): at first nothing happens, then the loss falls, then it grows beyond all bounds. A good
rate lies a factor of ten before the lowest point: as fast as it can safely be.
"""
_WHY_COST = """
Two steps were timed and their memory was measured; the rest is multiplication. It is *at most*
that: it may stop early where more does not help. What comes before it in the queue is added.
Where a batch of pictures does not fit into memory, half as many are taken for each step.
"""


def rehearsal_cards(subject: Subject, found: Rehearsal) -> None:
    """Show what was found; what could not be read is left out."""
    st.html(f'<p role="status">{_light(found.light, _OVERALL[found.light])}</p>')
    if found.pictures:
        _card("pictures", "What the network sees", found.pictures, _WHY_PICTURES)(
            lambda one: _pictures(subject, one)
        )
    left, right = st.columns(2)
    with left:
        if found.start_loss:
            _card("start", "The loss at the start", found.start_loss, _WHY_START)(_start)
    with right:
        if found.overfit:
            title = f"{found.overfit.images} pictures by heart"
            _card("heart", title, found.overfit, _WHY_OVERFIT)(_overfit)
    left, right = st.columns(2)  # in rows, so that they are read in their order on a phone, too
    with left:
        if found.rate_range:
            _card("rate", "The learning rate", found.rate_range, _WHY_RATE)(
                lambda one: _rate(subject, one)
            )
    with right:
        if found.cost:
            _card("cost", "What it will take", found.cost, _WHY_COST)(_cost)
    with st.expander("Show the figures of the checks"):
        _figures(found)


def _card(name: str, title: str, told: Any, why: str) -> Callable[[Callable[[Any], None]], None]:
    """Draw the head of a card; what is returned draws its inside."""

    def drawn(inside: Callable[[Any], None]) -> None:
        with st.container(border=True, key=f"rehearsed_{name}"):
            with st.container(horizontal=True, vertical_alignment="center", gap="small"):
                st.html(f'<p class="class-name">{html.escape(title)}</p>', width="content")
                with st.popover("Why?", type="tertiary"):
                    st.markdown(why)
            st.html(_sentence(told))
            inside(told)

    return drawn


def _sentence(told: Told) -> str:
    return f"<p>{_light(told.light)}</p><p>{html.escape(told.words)}</p>"


def _light(light: str, said: str | None = None) -> str:
    """Return a traffic light as a sign and words, with a colour besides."""
    kind, sign, word = _LIGHTS[light]
    return (
        f'<span class="verdict {kind}"><span aria-hidden="true" class="sign">{sign}</span>'
        f" {html.escape(said or word)}</span>"
    )


def _pictures(subject: Subject, found: Pictures) -> None:
    link = rehearsals.links(subject)
    parts = []
    for how, files in (("unchanged", found.plain), ("as it learns from them", found.augmented)):
        figures = "".join(
            f'<figure><img src="{link.format(name=html.escape(path.name, quote=True))}"'
            f' alt="{_quoted(label)}, {how}" title="{_quoted(label)}" loading="lazy"></figure>'
            for path, label in zip(files, found.labels, strict=False)
        )
        heading = f'<p class="small quiet">{how.capitalize()}</p>'
        parts.append(f'{heading}<div class="gallery seen twelve">{figures}</div>')
    st.html(f'<div class="seen">{"".join(parts)}</div>')


def _start(found: StartLoss) -> None:
    rows = [("Guessing (ln C)", found.expected), ("A random classifier", found.loss),
            ("Where the training begins", found.closed_form)]  # fmt: skip
    most = max([value for _, value in rows if value is not None] or [1.0]) or 1.0
    st.html(
        "".join(
            f'<div class="bar-row"><span class="name small">{html.escape(name)}</span>'
            f'<span class="track"><span class="fill" style="display: block; width:'
            f' {100 * value / most:.0f}%"></span></span>'
            f'<span class="share small">{value:.2f}</span></div>'
            for name, value in rows
            if value is not None
        )
    )


def _overfit(found: Overfit) -> None:
    st.vega_lite_chart(
        trial_curves.by_heart(found, _theme()),
        alt=trial_curves.by_heart_in_words(found),
        key="chart_heart",
    )


def _rate(subject: Subject, found: RateRange) -> None:
    st.vega_lite_chart(
        trial_curves.rates(found, _theme()),
        alt=trial_curves.rates_in_words(found),
        key="chart_rates",
    )
    if found.chosen is None:
        return
    digest = subject.digest
    used = expert_fields.chosen(digest).learning_rate == found.chosen
    st.button(
        f"The rate is {found.chosen:g}" if used else f"Use this rate: {found.chosen:g}",
        key="use_rate", disabled=used, on_click=_use, args=(digest, found.chosen),
    )  # fmt: skip


def _use(digest: str, rate: float) -> None:
    made = expert_fields.chosen(digest)
    try:
        expert_fields.choose(digest, made.put("learning_rate", rate))
    except SettingsError as problem:  # a rate beyond all bounds, of a damaged file
        st.toast(words.plain(str(problem)))


def _cost(found: Cost) -> None:
    ahead = starting.ahead()
    queue = "begins at once" if not ahead else f"after {words.many(ahead, 'job')} in the queue"
    rows = [
        ("Time, at most", words.duration(60 * _whole(found.minutes))),
        ("Memory", f"{found.memory_mb:,.0f} MB, beside the network"),
        ("Place in the queue", queue),
        ("Pictures a step", f"{found.batch_size}{_halved(found)}"),
        ("Computed on", found.device),
    ]
    cells = "".join(
        f'<tr><th scope="row">{html.escape(what)}</th><td>{html.escape(value)}</td></tr>'
        for what, value in rows
    )
    st.html(f'<table class="plain figures">{cells}</table>')


def _whole(minutes: float) -> float:
    """Return minutes as the sentence of the check has them: at most so many."""
    return math.ceil(minutes) if minutes > 1 else minutes


def _halved(found: Cost) -> str:
    return f" ({found.halved_from} did not fit into memory)" if found.halved_from else ""


def _figures(found: Rehearsal) -> None:
    """Show the numbers behind the curves."""
    if found.overfit:
        st.markdown("**By heart**: the loss before each step and after the last")
        st.dataframe(
            [{"step": i, "loss": loss} for i, loss in enumerate(found.overfit.losses)],
            hide_index=True,
        )
    if found.rate_range:
        st.markdown("**Learning rates**: the smoothed loss at each")
        pairs = zip(found.rate_range.rates, found.rate_range.losses, strict=False)
        st.dataframe([{"rate": rate, "loss": loss} for rate, loss in pairs], hide_index=True)


def _quoted(text: str) -> str:
    return html.escape(text, quote=True)


def _theme() -> str:
    return st.context.theme.type or "light"
