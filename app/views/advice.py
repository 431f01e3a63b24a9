"""Page 2: what the pictures were measured to be, what that advises, and the start of a training."""

import contextlib
import html
from dataclasses import replace

import streamlit as st

from app import (
    advising,
    counsel,
    datasets,
    evidence,
    frame,
    networks,
    starting,
    state,
    ways,
    words,
    workshop,
)
from app.advising import Standing, Subject
from app.components import decision, network_cards, rehearsal, search_offer
from app.components.expert_drawer import expert_drawer, guessed
from app.components.measuring import measuring
from app.components.more_settings import TIME_LIMITS, Settings, image_size, more_settings
from app.components.questions import questions
from app.measured import Advice
from app.networks import Offer
from transfer import catalog
from transfer.config import RunConfig
from transfer.dataset.index import ImageIndex
from transfer.errors import TransferError

_CHECK_LIMIT = "15 minutes"


def page() -> None:
    """Draw the page, or say that pictures come first."""
    digest = state.here().data
    if digest is None:
        frame.title("First the pictures.", "Here you will choose the network to build on.")
        frame.empty(
            "Once there are pictures, this page measures how many there are and how much they are"
            " like what a network knows, and says how much of it should learn.",
            "Choose pictures",
            "data",
        )
        return
    try:
        index = datasets.usable(digest)
    except TransferError as problem:
        frame.title("The pictures are not here.", "Here you will choose the network to build on.")
        frame.empty(str(problem), "Choose pictures", "data")
        return
    if len(index.classes) < 2:
        frame.title("One class is not enough.", "A classifier tells at least two apart.")
        frame.empty(
            f"At least 2 classes with {datasets.FEWEST} or more pictures each are needed."
            " Add pictures and upload the set again.",
            "See the pictures",
            "data",
        )
        return
    _advise(digest, index)


def _advise(digest: str, index: ImageIndex) -> None:
    every = networks.offers()
    offer = network_cards.chosen(digest, every)
    subject = Subject(digest, offer.spec.name, image_size(offer.spec))
    standing = _measured(subject, offer)
    advice = standing.advice
    if advice:
        frame.title(counsel.title(advice), counsel.purpose(advice))
    else:
        frame.title(
            "Build on a network that can already see.",
            f"It learned from other pictures; your {len(index.pictures):,} teach it what to tell"
            f" apart: {words.and_so_on(list(index.classes))}.",
        )
    left, right = st.columns([3, 2], gap="large")
    with left:
        frame.heading("Where are they in the table?", counsel.ABOUT_THE_TABLE)
        decision.decision(subject, advice)
    with right:
        measuring(subject, offer, standing)
    overruling = decision.chosen(subject)
    with st.container(key="action", horizontal=True, vertical_alignment="center"):
        st.html(_what_happens(offer, advice, overruling))
        start = frame.primary("Start training", key="start")
    if advice:
        _why(advice)
    way = overruling or (advice.strategy if advice else None)
    tuned = way if way and ways.tunes(way) else None
    mirror, turn = _questions(subject, advice) if tuned else (None, None)
    before = st.container()  # filled when all settings are known
    limit, check = _check(advice, asked=mirror is not None or turn is not None)
    frame.heading("Which network?", network_cards.WHY)
    if note := _note(offer):
        st.html(f'<div class="card"><p class="quiet">{html.escape(note)}</p></div>')
    network_cards.network_cards(digest, every, offer.spec.name)
    settings = more_settings(digest, offer, tunes=way is None or ways.tunes(way))
    config = RunConfig(
        dataset=digest,
        backbone=offer.spec.name,
        image_size=settings.image_size,
        strategy="all" if check else overruling or "auto",
        epochs=settings.epochs if way is None or ways.tunes(way) else None,
        budget=limit if check else settings.budget,
        seed=settings.seed,
        horizontal_flip=mirror,
        quarter_turns=turn,
    )
    if tuned:
        choices, wrong = expert_drawer(index, tuned, settings.image_size, advice, (mirror, turn))
        config = replace(config, **choices.settings)
        flips = choices.flips((mirror, turn), guessed(advice))
        named = replace(config, strategy=tuned, horizontal_flip=flips[0], quarter_turns=flips[1])
        with before:
            frame.heading("Will it work?", rehearsal.WHY)
            rehearsal.rehearsal(named)
        frame.heading("Are there better settings?", search_offer.WHY)
        search_offer.search_offer(named)
        if wrong and (start or check):
            frame.error(" ".join(wrong))
            return
    if start or check:
        _start(config, settings, check)


def _start(config: RunConfig, settings: Settings, check: bool) -> None:
    name = f"{settings.name}, all four ways" if check else settings.name
    made = workshop.start(config, name)
    advising.give_way(config.dataset)  # the training measures, and begins at once
    starting.give_way(config.dataset)
    state.go("train", run=made.folder.name)


def _measured(subject: Subject, offer: Offer) -> Standing:
    """Return how the measurement stands; one that nobody asked for yet is begun.

    Weights are never fetched unasked.
    """
    standing = advising.standing(subject)
    advising.give_way(subject.digest, keep=subject)
    if standing.word == "none" and offer.here:
        with contextlib.suppress(TransferError):  # said where the settings are
            advising.begin(subject)
            standing = advising.standing(subject)
    return standing


def _what_happens(offer: Offer, advice: Advice | None, overruling: str | None) -> str:
    """Say what the button does."""
    title, told = "Start, and follow the advice", ""
    if overruling and advice and overruling != advice.strategy:
        title = f"Your choice: {ways.named(overruling)}"
        cost = counsel.cost(advice, overruling)
        told = " ".join(filter(None, [cost, counsel.risk(advice, overruling), counsel.asked_for()]))
    elif overruling:
        title, told = f"Your choice: {ways.named(overruling)}", counsel.asked_for()
    elif advice:
        title, told = ways.named(advice.strategy), counsel.followed(advice)
    else:
        told = "The training measures first, then learns in the way that is advised."
    return (
        f'<p class="class-name">{html.escape(title)}, on {html.escape(offer.title)}</p>'
        f'<p class="small quiet">{html.escape(told)}</p>'
    )


def _why(advice: Advice) -> None:
    """Give the reasons, and all figures behind them."""
    frame.heading("Why this advice?", counsel.ABOUT_THE_REASONS)
    reasons = "".join(f"<li>{html.escape(reason)}</li>" for reason in advice.reasons)
    st.html(f'<ul class="reasons">{reasons}</ul>')
    with st.expander("Show the figures"):
        theme = st.context.theme.type or "light"
        rows = "".join(
            f'<tr><th scope="row">{html.escape(what)}</th><td>{html.escape(value)}</td></tr>'
            for what, value in counsel.figures(advice)
        )
        st.html(f'<table class="plain figures">{rows}</table>')
        st.markdown("**Stage profile**: cross-validated accuracy of a linear probe at each stage")
        st.dataframe(evidence.table(advice.similarity.profile), hide_index=True)
        if advice.size.curve:
            st.markdown("**Learning curve**: accuracy of the probe by the pictures it learned from")
            st.vega_lite_chart(
                evidence.curve(advice.size.curve, theme),
                alt=evidence.in_words("learning curve", advice.size.curve),
                key="chart_curve",
            )
            st.dataframe(evidence.table(advice.size.curve), hide_index=True)


def _questions(subject: Subject, advice: Advice | None) -> tuple[bool | None, bool | None]:
    frame.heading(
        "What may be done to the pictures?",
        "While a network is retrained it is shown its pictures in changed forms, too: mirrored,"
        " turned, cut, in other light (*augmentation*). So it learns what does not matter. But a"
        " change that makes another class of a picture teaches it wrong things: a mirrored **b** is"
        " a **d**, a turned **6** is a **9**. You know your pictures; the guess was measured.",
    )
    return questions(subject, advice)


def _check(advice: Advice | None, asked: bool) -> tuple[float | None, bool]:
    """Offer to try all four ways; return the limit in seconds, and whether that was asked for."""
    frame.heading(
        "Is the advice right?",
        "The advice is a rule with a measurement behind it. The proof is to train in all four ways"
        " and to compare them on pictures that none of them has seen. The time is shared out: the"
        " quick ways come first.",
    )
    with st.container(key="check", horizontal=True, vertical_alignment="bottom"):
        limits = [name for name, seconds in TIME_LIMITS.items() if seconds]
        limit = st.selectbox(
            "Time for all four", limits, index=limits.index(_CHECK_LIMIT), key="check_limit",
            width=200, bind="query-params",
        )  # fmt: skip
        check = st.button("Check the advice: try all four", key="check_advice")
    seconds = TIME_LIMITS[limit]
    st.caption(counsel.all_four(advice, seconds or 0.0) + counsel.unasked(advice, asked))
    return seconds, check


def _note(offer: Offer) -> str | None:
    """Say what there is to know of the network that is chosen, but for what its card says."""
    title, usual = offer.title, catalog.DEFAULT_BACKBONE
    if offer.spec.name == catalog.BUILTIN and offer.recommended:
        return (
            f"{title} is recommended because it is part of this program. Networks that learned from"
            f" photographs, such as {usual}, do better: choose one below if this machine can reach"
            " the internet, and it is fetched when the training starts."
        )
    if offer.spec.name == catalog.BUILTIN:
        return f"{usual}, which has seen photographs, is here too and does better."
    if not offer.here:
        return (
            f"The weights of {title} are not here yet: they are downloaded when the training"
            " starts. Only the network comes in; nothing of yours goes out."
        )
    return None


page()
