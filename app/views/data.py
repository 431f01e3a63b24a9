"""Page 1: choose the pictures, see what was taken in and what was left out."""

import contextlib
import html
import time

import pandas as pd
import streamlit as st

from app import datasets, frame, gallery, jobs, state, storage, uploads, words
from app.components.uploader import uploader
from transfer.dataset.index import ImageIndex
from transfer.errors import TransferError

_PRIVATE = (
    "Everything stays on this machine: no picture and no result is sent anywhere, and no account is"
    " needed."
)
_FIRST = 12  # pictures of a class that are shown at once
_MORE = 96
_CLASSES = 24


def page() -> None:
    """Draw the page for what the address names: an upload, a data set, or nothing yet."""
    digest = state.here().data
    if upload_id := st.query_params.get("upload"):
        _reading(upload_id)
    elif digest:
        _chosen(digest)
    else:
        _first()


def _first() -> None:
    frame.title(
        "Show me what to tell apart.",
        "Give a few pictures of each kind of thing: 20 of each make a start, 100 are better.",
    )
    _upload("first")
    with st.container(horizontal=True, vertical_alignment="center", key="sample_row"):
        st.html(f'<p class="quiet small">{_PRIVATE}</p>')
        if frame.primary("Try it with sample pictures", key="sample"):
            with st.spinner("Drawing the sample pictures, a few seconds ...", show_time=True):
                digest = datasets.sample_digest()
            state.go("data", data=digest)
    _list()


def _upload(key: str) -> None:
    if upload_id := uploader(key):
        st.query_params["upload"] = upload_id
        st.rerun()


@st.fragment(run_every=1.0)
def _follow(upload_id: str) -> None:
    """Show how far the reading is, and go on when it has ended."""
    try:
        upload = uploads.get(upload_id)
    except TransferError:  # cancelled meanwhile
        st.rerun()
    if upload.state == "done" and upload.digest:
        st.query_params.clear()
        st.query_params["data"] = upload.digest
        st.rerun()
    job = jobs.latest("import", upload_id)
    if _problem(upload, job):
        st.rerun()
    share = upload.done / upload.total if upload.total else None
    if job and job.state == "queued":
        place, waiting = jobs.place(job)
        text = f"Waiting for its turn: place {place} of {waiting}."
    elif share is None:
        text = "Unpacking and looking for pictures ..."
    else:
        began = job.started if job and job.started else upload.created
        left = (time.time() - began) * (1 - share) / max(share, 0.01)
        text = (
            f"{upload.done:,} of {words.many(upload.total, 'picture')},"
            f" {words.duration(left)} left."
        )
    frame.progress(share, text)


def _problem(upload: uploads.Upload, job: jobs.Job | None) -> str | None:
    """Return why an upload was not taken in, if it has failed, or the job that reads it."""
    if upload.state != "failed" and not (job and job.state == "failed"):
        return None
    return upload.error or (job and job.error) or "The reason is not known."


def _reading(upload_id: str) -> None:
    try:
        upload = uploads.get(upload_id)
    except TransferError as problem:
        frame.title("This upload is gone.", "Uploads that were not finished go after two days.")
        frame.error(problem)
        _upload("again")
        return
    if problem := _problem(upload, jobs.latest("import", upload_id)):
        frame.title(
            "These pictures could not be taken in.", f"{upload.name}. Nothing else was lost."
        )
        frame.error(problem)
        _upload("again")
        _list()
        return
    frame.title(
        f"Reading {upload.name}",
        "Each file is checked and turned upright. You can close this page: the reading goes on.",
    )
    _follow(upload_id)


def _chosen(digest: str) -> None:
    try:
        index = datasets.index(digest)
    except TransferError as problem:
        frame.title("These pictures are not here.", "The address may be old, or mistyped.")
        frame.error(problem)
        _upload("again")
        _list()
        return
    counts = index.counts()
    left_out = len(index.rejected)
    frame.title(
        f"{words.many(len(index.pictures), 'picture')}"
        f" in {words.many(len(counts), 'class', 'classes')}.",
        f"{datasets.name(digest)}: look them over, then go on.",
    )
    for warning in datasets.warnings(digest):
        st.warning(words.plain(warning), icon=":material/warning:")
    usable = sum(number >= datasets.FEWEST for number in counts.values()) >= 2
    with st.container(horizontal=True, vertical_alignment="center", key="verdict_row"):
        st.html(_verdict(left_out))
        frame.next_step("Go on: choose a network", "advice", disabled=not usable)
    if not usable:
        st.error(
            f"Expected at least 2 classes with {datasets.FEWEST} or more pictures each."
            " Add pictures and upload the set again.",
            icon=":material/error:",
        )
    if left_out:
        _rejected(index)
    _gallery(digest)
    with st.expander("Use other pictures"):
        _upload("other")
        _list()
    _administration(digest)


def _verdict(left_out: int) -> str:
    if not left_out:
        return '<p class="quiet">All files could be read; none was left out.</p>'
    return f'<p class="quiet">{words.many(left_out, "file")} left out: the reasons are below.</p>'


def _rejected(index: ImageIndex) -> None:
    with st.expander(f"{words.many(len(index.rejected), 'file')} left out: why?"):
        rows = [{"File": item.file, "Why it was left out": item.reason} for item in index.rejected]
        st.dataframe(pd.DataFrame(rows), hide_index=True)


def _gallery(digest: str) -> None:
    """Show the classes one below the other, a few pictures of each."""
    groups = datasets.by_class(digest)
    frame.heading(
        "The pictures, class by class",
        "Look for pictures in the wrong class, for empty or broken ones, and ask: could somebody"
        " tell these classes apart from these pictures alone? The classifier learns just what it is"
        " shown. The order is that of the file names.",
    )
    names = list(groups)
    page = 1
    if len(names) > _CLASSES:
        page = st.pagination(-(-len(names) // _CLASSES), key="classes")
    for name in names[(page - 1) * _CLASSES : page * _CLASSES]:
        _class(digest, name)


@st.fragment
def _class(digest: str, name: str) -> None:
    pictures = datasets.by_class(digest)[name]
    key = f"shown:{digest}:{name}"
    shown = st.session_state.get(key, _FIRST)
    with st.container(key=f"class_{key}", gap="xsmall"):
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            number = words.many(len(pictures), "picture")
            st.html(
                f'<span class="class-name">{html.escape(name)}</span>'
                f' <span class="quiet small">{number}</span>',
                width="content",
            )
            if shown < len(pictures):
                st.button(
                    "Show more",
                    type="tertiary",
                    key=f"more:{name}",
                    help=f"More pictures of {words.plain(name)}",
                    on_click=st.session_state.__setitem__,
                    args=(key, shown + _MORE),
                )
        entries = [gallery.Entry(p.sha256, alt=f"{name}: {p.name}") for p in pictures[:shown]]
        st.html(gallery.grid(digest, entries))


def _list() -> None:
    """List the data sets that are here already."""
    for job in jobs.active():
        if job.kind != "import":
            continue
        with contextlib.suppress(TransferError):  # cancelled at this moment
            upload = uploads.get(job.target)
            if upload.purpose != "run":
                label = f"Being read now: {words.plain(upload.name)}"
                _opens(label, ":material/hourglass_top:", upload=upload.id)
    known = datasets.listed()
    if not known:
        return
    frame.heading("Pictures that are here already")
    for entry in known[:50]:
        what = (
            f"{words.many(entry.pictures, 'picture')},"
            f" {words.many(entry.classes, 'class', 'classes')}"
        )
        label = f"**{words.plain(entry.name)}** · {what}"
        _opens(label, ":material/photo_library:", data=entry.digest)


def _opens(label: str, icon: str, **query: str) -> None:
    """Show a button that opens this page at another address.

    A link would not do: to the page that is open already, it leaves the old address standing.
    """
    if st.button(label, key=f"open:{'/'.join(query.values())}", icon=icon, type="tertiary"):
        st.switch_page(state.file_of("data"), query_params=query)


def _administration(digest: str) -> None:
    with st.expander("Rename or delete this data set"):
        typed = st.text_input("Name", value=datasets.name(digest), max_chars=80)
        new = " ".join(typed.split())
        if new != datasets.name(digest):
            datasets.rename(digest, new)
            st.rerun()
        using = storage.runs_using(digest)
        if using:
            names = words.plain(words.and_so_on([f"'{name}'" for name in using]))
            need = "needs" if len(using) == 1 else "need"
            st.caption(
                f"{names} learned from these pictures and {need} them to show what was right and"
                " wrong. Delete the runs first, on the page Runs, then the pictures."
            )
        size = words.size(datasets.size(digest))
        label = f"Delete these pictures from this machine ({size})"
        if st.button(label, key="delete", disabled=bool(using)):
            _confirm(digest, size)


@st.dialog("Delete these pictures?")
def _confirm(digest: str, size: str) -> None:
    st.write(
        f"'{words.plain(datasets.name(digest))}' goes from this machine for good and frees {size}."
        " The files that you uploaded it from are not touched."
    )
    if st.button("Delete", type="primary", key="really"):
        storage.delete_data_set(digest)
        st.switch_page(state.file_of("data"), query_params={})


page()
