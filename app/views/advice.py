"""Page 2: choose the network to build on and how much of it learns; start the training."""

import html

import streamlit as st

from app import datasets, frame, networks, overview, state, words, workshop
from app.networks import Offer
from transfer import catalog, weights
from transfer.config import RunConfig
from transfer.errors import TransferError

_STRATEGIES = {
    "linear_top": (
        "linear classifier on the top layer",
        "The network stays as it is; only a small classifier on top of it learns. Right for few"
        " pictures (up to some hundred a class) of things like those in everyday photographs."
        " Seconds to minutes. Start with this one.",
    ),
    "finetune_few": (
        "fine-tuning the last stage",
        "The classifier learns first, then the last part of the network too, slowly. Right for some"
        " hundred pictures a class or more. Takes several times as long. The simpler way is tried"
        " as well, and the one that does better on validation pictures is kept.",
    ),
}
_TIME_LIMITS = {
    "no limit": None,
    "5 minutes": 300.0,
    "15 minutes": 900.0,
    "30 minutes": 1800.0,
    "1 hour": 3600.0,
    "4 hours": 14400.0,
}


def page() -> None:
    """Draw the page, or say that pictures come first."""
    digest = state.here().data
    if digest is None:
        frame.title("First the pictures.", "Here you will choose the network to build on.")
        frame.empty(
            "Once there are pictures, this page offers networks from small and fast to large and"
            " accurate, and recommends one.",
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
    every = networks.offers()
    best = next(offer.spec.name for offer in every if offer.recommended)
    chosen = st.session_state.get(f"network:{digest}") or best
    offer = next(offer for offer in every if offer.spec.name == chosen)
    frame.title(
        "Build on a network that can already see.",
        f"It learned from other pictures; your {len(index.pictures):,} teach it what to tell apart:"
        f" {words.and_so_on(list(index.classes))}.",
    )
    st.html(_summary(offer))
    start = frame.primary("Start training", key="start")
    strategy = _strategy()
    _networks(digest, every, chosen)
    name, config = _options(digest, offer, strategy)
    if start:
        made = workshop.start(config, name)
        state.go("train", run=made.folder.name)


def _summary(offer: Offer) -> str:
    note = ""
    if offer.spec.name == catalog.BUILTIN:
        usual = catalog.DEFAULT_BACKBONE
        note = (
            " It is recommended because it is part of this program. Networks that learned from"
            f" photographs, such as {usual}, do better: choose one below if this machine can reach"
            " the internet, and it is fetched when the training starts."
        )
        if not offer.recommended:
            note = f" {usual}, which has seen photographs, is here too and does better."
    elif not offer.here:
        note = (
            " Its weights are not here yet: they are downloaded when the training starts. Only the"
            " network comes in; nothing of yours goes out."
        )
    tag = ' <span class="tag">recommended</span>' if offer.recommended else ""
    return (
        f'<div class="card"><p><span class="class-name">{html.escape(offer.title)}</span>{tag}</p>'
        f'<p class="quiet">{html.escape(offer.spec.description)}{html.escape(note)}</p></div>'
    )


def _strategy() -> str:
    frame.heading(
        "How much of it should learn?",
        "The more pictures you have, and the less they look like everyday photographs, the more of"
        " the network may learn. With few pictures, training much of it makes it learn them by"
        " heart. Both ways are judged by pictures that were held back.",
    )
    names = list(_STRATEGIES)
    return st.radio(
        "How much of the network learns",
        names,
        format_func=lambda name: f"**{overview.strategy(name)}** ({_STRATEGIES[name][0]})",
        captions=[_STRATEGIES[name][1] for name in names],
        label_visibility="collapsed",
        key="strategy",
    )


def _networks(digest: str, every: list[Offer], chosen: str) -> None:
    frame.heading(
        "Which network?",
        "**Parameters** are the numbers that a network has learned: more of them see more, and take"
        " longer. **ImageNet accuracy** is how often it was right, in its authors' test, on 1,000"
        " kinds of things in photographs (top-1). It says how well a network sees, not how good"
        " your classifier will be.",
    )
    st.html('<p class="quiet small">From small and fast to large and accurate.</p>')
    with st.container(key="networks"):
        for offer in networks.first_choice(every, chosen):
            _card(digest, offer, offer.spec.name == chosen)
    with st.expander(f"All {len(every)} networks"):
        names = [offer.spec.name for offer in every]
        name = st.selectbox("Network", names, index=names.index(chosen))
        if name != chosen:
            _choose(digest, name)
            st.rerun()
        rows = [
            {
                "Network": offer.title,
                "Parameters (millions)": round(offer.spec.parameters / 1e6, 1),
                "ImageNet accuracy (%)": offer.spec.top1,
                "Input (pixels)": offer.spec.input_size,
                "Weights": offer.weight_words,
            }
            for offer in every
        ]
        st.dataframe(rows, hide_index=True)
        st.caption("Accuracies as published; the sources are in the catalog of this program.")


def _card(digest: str, offer: Offer, chosen: bool) -> None:
    spec = offer.spec
    top1 = "not made for ImageNet" if spec.top1 is None else f"{spec.top1:.1f} % on ImageNet"
    tag = ' <span class="tag">recommended</span>' if offer.recommended else ""
    with st.container(border=True, key=f"card_{'chosen' if chosen else 'other'}_{spec.name}"):
        st.html(
            f'<p><span class="class-name">{html.escape(offer.title)}</span>{tag}</p>'
            f'<p class="small">{html.escape(spec.description)}</p>'
            f'<p class="small quiet number">{spec.parameters / 1e6:.1f} million parameters,'
            f" {top1},<br>{html.escape(offer.weight_words)}</p>"
        )
        st.button(
            "Chosen" if chosen else "Choose",
            key=f"choose_{spec.name}",
            help=f"Build on {offer.title}",
            disabled=chosen,
            on_click=_choose,
            args=(digest, spec.name),
        )


def _choose(digest: str, name: str) -> None:
    st.session_state[f"network:{digest}"] = name


def _options(digest: str, offer: Offer, strategy: str) -> tuple[str, RunConfig]:
    """Ask for what has a good default, folded away; return the run's name and its settings."""
    with st.expander("More settings"):
        usual_name = overview.unused_name(f"{datasets.name(digest)}, {offer.title}")
        name = st.text_input("Name of this run", usual_name)
        flip = st.checkbox(
            "Pictures may be mirrored",
            value=True,
            help="Mirrored copies help to learn. Not for letters, or left and right hands.",
            disabled=strategy == "linear_top",
        )
        usual = "no limit" if strategy == "linear_top" else "30 minutes"
        limit = st.selectbox(
            "Time limit",
            list(_TIME_LIMITS),
            index=list(_TIME_LIMITS).index(usual),
            help="When the time is up, the best so far is kept.",
            key=f"limit_{strategy}",
        )
        epochs = st.number_input(
            "Epochs, at most",
            1,
            1000,
            20,
            help="How often all training pictures are gone through. It stops early where more does"
            " not help.",
            disabled=strategy == "linear_top",
        )
        size = st.number_input(
            "Input size in pixels",
            32,
            1024,
            weights.default_size(offer.spec),
            help="Pictures are brought to this size. The network was made for"
            f" {offer.spec.input_size} pixels.",
            key=f"size_{offer.spec.name}",
        )
        seed = st.number_input(
            "Seed", 0, 2**31 - 1, 0, help="Equal seeds give equal runs; it also decides the split."
        )
    config = RunConfig(
        dataset=digest,
        backbone=offer.spec.name,
        image_size=int(size),
        strategy=strategy,
        epochs=int(epochs),
        budget=_TIME_LIMITS[limit],
        seed=int(seed),
        horizontal_flip=flip,
    )
    return name.strip() or offer.title, config


page()
