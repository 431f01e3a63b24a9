"""What has a good default, folded away: name, time limit, epochs, input size, seed."""

from dataclasses import dataclass

import streamlit as st

from app import datasets, overview
from app.networks import Offer
from transfer import weights
from transfer.catalog import BackboneSpec

TIME_LIMITS = {
    "no limit": None,
    "5 minutes": 300.0,
    "15 minutes": 900.0,
    "30 minutes": 1800.0,
    "1 hour": 3600.0,
    "4 hours": 14400.0,
}


@dataclass(frozen=True)
class Settings:
    """What was set: `budget` in seconds, `image_size` in pixels; None: left to the strategy."""

    name: str
    budget: float | None
    epochs: int | None
    image_size: int
    seed: int


def image_size(spec: BackboneSpec) -> int:
    """Return the input size that is set for a network, before the settings are drawn."""
    return int(st.session_state.get(_size_key(spec)) or weights.default_size(spec))


def more_settings(digest: str, offer: Offer, tunes: bool) -> Settings:
    """Offer the settings; `tunes`: whether the network itself learns, or may learn."""
    # The session keeps it open: else it closes under one's hands when the measurement comes in.
    with st.expander("More settings", key="more_settings", on_change="rerun"):
        usual_name = overview.unused_name(f"{datasets.name(digest)}, {offer.title}")
        name = st.text_input("Name of this run", usual_name)
        limit = st.selectbox(
            "Time limit",
            list(TIME_LIMITS),
            index=list(TIME_LIMITS).index("30 minutes" if tunes else "no limit"),
            help="When the time is up, the best so far is kept.",
            key=f"limit_{'tuned' if tunes else 'linear'}",
        )
        epochs = st.number_input(
            "Epochs, at most",
            1,
            1000,
            None,
            help="How often all training pictures are gone through. Empty: as many as the way of"
            " learning needs. It stops early where more does not help.",
            placeholder="as needed",
            disabled=not tunes,
        )
        size = st.number_input(
            "Input size in pixels",
            32,
            1024,
            weights.default_size(offer.spec),
            help="Pictures are brought to this size. The network was made for"
            f" {offer.spec.input_size} pixels.",
            key=_size_key(offer.spec),
        )
        seed = st.number_input(
            "Seed", 0, 2**31 - 1, 0, help="Equal seeds give equal runs; it also decides the split."
        )
    return Settings(
        name=name.strip() or offer.title,
        budget=TIME_LIMITS[limit],
        epochs=None if epochs is None else int(epochs),
        image_size=int(size),
        seed=int(seed),
    )


def _size_key(spec: BackboneSpec) -> str:
    return f"size_{spec.name}"
