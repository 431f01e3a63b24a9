"""The script of every page: find out which one is open, draw the frame, run it."""

from pathlib import Path

import streamlit as st

from app import frame, state
from transfer.errors import TransferError

_ICON = Path(__file__).with_name("icon.png")

pages = [
    st.Page(state.file_of(name), title=title, url_path="" if name == "data" else name,
            default=name == "data")
    for name, title in state.PAGES.items()
]  # fmt: skip
page = st.navigation(pages, position="hidden")
st.set_page_config(page_title=f"{page.title} - {frame.PRODUCT}", page_icon=_ICON, layout="centered")
frame.show(page.url_path or "data")
try:
    if page.url_path in state.OF_A_RUN and state.names_missing_run():
        frame.title("This run is not here.", "It was deleted, or the address is mistyped.")
        frame.empty("All runs of this machine stand in the list.", "See all runs", "runs")
    else:
        page.run()
except TransferError as problem:
    frame.error(problem)
