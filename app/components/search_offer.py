"""Offer to search for better settings of a training, or lead to the search that is there."""

import streamlit as st

from app import searches, state, words
from app.searches import Standing
from transfer.config import RunConfig
from transfer.searching import plans

MINUTES = 30
MOST_MINUTES = 7 * 24 * 60
WHY = """
No rule knows the best learning rate for your pictures; trying does. The search trains many times
for a **short while**, each time with other settings drawn at random: learning rate, weight decay,
L2, dropout, how many layers learn, and how far pictures are changed (*random search*, Bergstra and
Bengio 2012). Six trials of ten go all over the ranges, the others round the best few; what is
clearly worse than the others ends early.

It takes as long as many trainings, and gains a few points at most. The usual settings do well
without it.
"""


def search_offer(settings: RunConfig) -> None:
    """Offer the search for a training with these settings, whose strategy trains the network."""
    run = searches.named(searches.key(settings))
    with st.container(key="search_offer"):
        if run.exists:
            standing = searches.standing(run)
            st.page_link(
                state.file_of("search"), label=_told(standing), icon=":material/query_stats:",
                query_params={**state.here().query(), "search": run.folder.name},
            )  # fmt: skip
            return
        with st.container(key="search_budget", horizontal=True, vertical_alignment="bottom"):
            minutes = st.number_input(
                "Minutes for the search", 1, MOST_MINUTES, MINUTES, key="search_minutes", width=200
            )
            trials = st.number_input(
                "Trials, at most", 1, plans.MOST_TRIALS, plans.USUAL_TRIALS, key="search_trials",
                width=200,
            )  # fmt: skip
            wanted = st.button("Search for better settings", key="search")
        st.caption(
            "It waits behind the trainings in the queue, goes on when this page is closed, and can"
            " be stopped at any time: the best so far is kept."
        )
    if wanted:
        made = searches.begin(settings, float(minutes), int(trials))
        open_search(made.folder.name)


def open_search(name: str) -> None:
    """Open the page of a search."""
    query = {**state.here().query(), "search": name}
    st.switch_page(state.file_of("search"), query_params=query)


def _told(standing: Standing) -> str:
    if standing.alive:
        return "A search for these settings is under way: see how far it is"
    number = words.many(standing.trials, "trial")
    return f"See the search for these settings: {number} made"
