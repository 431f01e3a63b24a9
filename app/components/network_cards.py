"""The networks to build on: cards for a few, a list for all."""

import html

import streamlit as st

from app import networks, state
from app.networks import Offer

WHY = (
    "**Parameters** are the numbers that a network has learned: more of them see more, and take"
    " longer. **ImageNet accuracy** is how often it was right, in its authors' test, on 1,000"
    " kinds of things in photographs (top-1). It says how well a network sees, not how good"
    " your classifier will be."
)


def chosen(digest: str, every: list[Offer]) -> Offer:
    """Return the network that was chosen for a data set, or the recommended one."""
    best = next(offer.spec.name for offer in every if offer.recommended)
    name = state.choice("network", digest)
    known = {offer.spec.name: offer for offer in every}
    return known.get(name or best) or known[best]


def network_cards(digest: str, every: list[Offer], chosen: str) -> None:
    """Show the few first, then all; `chosen` is the name of the one in use."""
    st.html('<p class="quiet small">From small and fast to large and accurate.</p>')
    with st.container(key="networks"):
        for offer in networks.first_choice(every, chosen):
            _card(digest, offer, offer.spec.name == chosen)
    with st.expander(f"All {len(every)} networks", key="all_networks", on_change="rerun"):
        names = [offer.spec.name for offer in every]
        name = st.selectbox("Network", names, index=names.index(chosen))
        if name != chosen:
            _choose(digest, name)
            st.rerun()
        rows = [
            {
                "Network": offer.title,
                "Parameters (millions)": round(offer.spec.parameters / 1e6, 1),
                "ImageNet accuracy (%)": _top1(offer),
                "Input (pixels)": offer.spec.input_size,
                "Weights": offer.weight_words,
            }
            for offer in every
        ]
        right = st.column_config.TextColumn(alignment="right")
        st.dataframe(rows, hide_index=True, column_config={"ImageNet accuracy (%)": right})
        st.caption("Accuracies as published; the sources are in the catalog of this program.")


def _top1(offer: Offer) -> str:
    """Return the accuracy for the list, which would say "None" where there is none."""
    return "–" if offer.spec.top1 is None else f"{offer.spec.top1:.1f}"


def _card(digest: str, offer: Offer, taken: bool) -> None:
    spec = offer.spec
    top1 = "not made for ImageNet" if spec.top1 is None else f"{spec.top1:.1f} % on ImageNet"
    tag = ' <span class="tag">recommended</span>' if offer.recommended else ""
    with st.container(border=True, key=f"card_{'chosen' if taken else 'other'}_{spec.name}"):
        st.html(
            f'<p><span class="class-name">{html.escape(offer.title)}</span>{tag}</p>'
            f'<p class="small">{html.escape(spec.description)}</p>'
            f'<p class="small quiet number">{spec.parameters / 1e6:.1f} million parameters,'
            f" {top1},<br>{html.escape(offer.weight_words)}</p>"
        )
        st.button(
            "Chosen" if taken else "Choose",
            key=f"choose_{spec.name}",
            help=f"Build on {offer.title}",
            disabled=taken,
            on_click=_choose,
            args=(digest, spec.name),
        )


def _choose(digest: str, name: str) -> None:
    state.choose("network", digest, name)
    st.query_params.pop("way", None)  # what overrules an advice is chosen for one network
