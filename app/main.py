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
    page.run()
except TransferError as problem:
    frame.error(problem)
