"""Many pictures in, a table out: an upload area, how far it is, and the CSV file."""

import html
from pathlib import Path

import streamlit as st

from app import scores, verdicts, waiting, words
from app.components.progress_bar import progress_bar
from app.routes import downloads
from app.scores import Summary
from transfer.errors import TransferError
from transfer.runs import Run

_EVERY = 1.5  # seconds between two looks
_MOST_MEGABYTES = 500
WHY = """
A zip or many pictures in, a **table** out (CSV, for any spreadsheet): one row a file, with its
class, its probability, that of each class, and the reason where a file was left out. The pictures
are deleted once there is an answer. For folders of many thousands: `python -m transfer score`.
"""
_TAKEN = ["zip", "jpg", "jpeg", "png", "webp", "bmp", "gif", "tif", "tiff"]


def many_pictures(run: Run) -> None:
    """Offer to look at many pictures at once."""
    now = scores.standing(run)
    if now.alive:
        _follow(run)
        st.button("Stop", key="score_stop", on_click=scores.forget, args=(run,))
        return
    if now.word == "failed":
        st.error(f"The pictures could not be looked at. {now.error}", icon=":material/error:")
    if now.table:
        st.html(f"<p>{html.escape(_told(_counted(now.table, now.table.stat().st_mtime)))}</p>")
        st.download_button(
            "Download the table",
            data=now.table.read_bytes,
            file_name=downloads.file_name(str(run.about()["name"]), ".csv"),
            mime="text/csv",
            key="score_table",
            type="primary",
        )
    given = st.file_uploader(
        "A zip, or many pictures",
        type=_TAKEN,
        accept_multiple_files=True,
        key="score_files",
        max_upload_size=_MOST_MEGABYTES,
    )
    if given and st.button("Look at them", key="score"):
        try:
            scores.begin(run, [(one.name, one) for one in given])
        except TransferError as problem:
            st.error(str(problem), icon=":material/error:")
            return
        st.rerun()


@st.cache_data(max_entries=8, show_spinner=False)
def _counted(table: Path, written: float) -> Summary:  # noqa: ARG001
    return scores.summary(table)


def _told(found: Summary) -> str:
    """Say in a few sentences what the table holds."""
    each = [f"{n:,} {verdicts.quoted(name)}" for name, n in found.classes.items()]
    many = sum(found.classes.values())
    told = f"{words.many(many, 'picture')} answered: {words.and_so_on(each)}." if each else ""
    if found.silent:
        told += f" On {found.silent:,} of them it is not sure enough to be relied on."
    if found.strange:
        look = "looks" if found.strange == 1 else "look"
        told += f" {found.strange:,} {look} like none of its classes."
    if found.left_out:
        were = "file was" if found.left_out == 1 else "files were"
        told += f" {found.left_out:,} {were} left out: the table says why."
    return told.strip()


@st.fragment(run_every=_EVERY)
def _follow(run: Run) -> None:
    """Show how far it is, and go on when it has ended."""
    now = scores.standing(run)
    if not now.alive:
        st.rerun()
    share, text = waiting.how_far(now.word, now.status)
    st.html(
        f'<div class="card">{progress_bar(share, "Looking at the pictures")}'
        f'<p class="small number" aria-live="polite">{html.escape(text)}</p></div>'
    )
