"""Page 1: choose the pictures, see what was taken in and what was left out."""

import contextlib
import time

import pandas as pd
import streamlit as st

from app import checking, class_pictures, datasets, frame, health, jobs, state, uploads, words
from app.components import administration
from app.components.camera import camera
from app.components.uploader import uploader
from app.importing import name_class, seconds_left, unlabelled
from transfer.dataset import versions
from transfer.dataset.index import ImageIndex
from transfer.errors import TransferError

_PRIVATE = (
    "Everything stays on this machine: no picture and no result is sent anywhere, and no account is"
    " needed."
)
_FILES, _CAMERA = "Files", "The camera"


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


def _upload(key: str, into: str | None = None) -> None:
    """Take files or pictures of the camera, for a new data set or to be added to one."""
    way = st.segmented_control(
        "Where the pictures come from",
        [_FILES, _CAMERA],
        default=_FILES,
        required=True,
        label_visibility="collapsed",
        key=f"way:{key}",
        format_func={
            _FILES: ":material/folder: Files",
            _CAMERA: ":material/photo_camera: Take pictures with the camera",
        }.__getitem__,
    )
    classes = datasets.index(into).classes if into else ()
    if way == _CAMERA:
        fewest, needed = (1, 1) if into else (datasets.FEWEST, 2)
        upload_id = camera(
            f"camera:{key}", into=into, classes=classes, fewest=fewest, needed=needed
        )
    else:
        upload_id = uploader(key, into=into, classes=classes)
    if upload_id:
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
        st.session_state[_told(upload.digest)] = _outcome(upload)
        st.query_params.from_dict({"data": upload.digest})
        st.rerun()
    job = jobs.latest("import", upload_id)
    if unlabelled(upload) or _problem(upload, job):
        st.rerun()
    share = upload.done / upload.total if upload.total else None
    if job and job.state == "queued":
        place, waiting = jobs.place(job)
        text = f"Waiting for its turn: place {place} of {waiting}."
    elif share is None:
        text = "Unpacking and looking for pictures ..."
    else:
        left = seconds_left(upload, time.time())
        when = f", {words.duration(left)} left" if left is not None else ""
        text = f"{upload.done:,} of {words.many(upload.total, 'picture')}{when}."
    frame.progress(share, text)


def _problem(upload: uploads.Upload, job: jobs.Job | None) -> str | None:
    """Return why an upload was not taken in, if it has failed, or the job that reads it."""
    failed = upload.state == "failed" or (job is not None and job.state == "failed")
    if upload.state == "unlabelled" or not failed:
        return None
    return upload.error or (job and job.error) or "The reason is not known."


def _ask_class(upload: uploads.Upload) -> None:
    """Ask for the class of pictures that lie in no folder; what was sent is still there."""
    frame.title(
        "Which class are these?",
        f"{upload.name} has pictures in no folder, so nothing says what they show. Nothing was"
        " lost: they wait here for two days.",
    )
    typed = st.text_input("The class that all of these pictures show", key="label", max_chars=80)
    if frame.primary("Use this class", key="name_class"):
        if typed.strip():
            name_class(upload.id, typed)
            st.rerun()
        frame.error("The class has no name yet. Type what the pictures show, for example 'cat'.")
    st.caption(
        "Are there several classes in it? Then put the pictures of each into a folder of its own,"
        " named like the class, and send that instead."
    )


def _outcome(upload: uploads.Upload) -> str | None:
    """Return what came of adding pictures to a data set."""
    if not upload.into or not upload.digest:
        return None
    if not upload.added:
        return "Nothing was added: the same pictures were there already, in the same classes."
    number = versions.number(upload.digest)
    return f"{words.many(upload.added, 'picture')} added: this is version {number}."


def _told(digest: str) -> str:
    return f"told:{digest}"


def _reading(upload_id: str) -> None:
    try:
        upload = uploads.get(upload_id)
    except TransferError as problem:
        frame.title("This upload is gone.", "Uploads that were not finished go after two days.")
        frame.error(problem)
        _upload("again")
        return
    problem = _problem(upload, jobs.latest("import", upload_id))
    if unlabelled(upload):
        _ask_class(upload)
    elif problem:
        frame.title(
            "These pictures could not be taken in.", f"{upload.name}. Nothing else was lost."
        )
        frame.error(problem)
    else:
        frame.title(
            f"Reading {upload.name}",
            "Each file is checked and turned upright. You can close this page: it goes on.",
        )
        _follow(upload_id)
        return
    if upload.into:
        _back(upload.into)
    _upload("again", upload.into)
    if not upload.into:
        _list()


def _back(digest: str) -> None:
    """Lead back to the data set to which the pictures were to be added."""
    name = words.plain(datasets.name(digest))
    _opens(f"Back to **{name}**: it is as it was", ":material/photo_library:", data=digest)


def _chosen(digest: str) -> None:
    try:
        index = datasets.index(digest)
    except TransferError as problem:
        frame.title("These pictures are not here.", "The address may be old, or mistyped.")
        frame.error(problem)
        _upload("again")
        _list()
        return
    left_out = len(index.rejected)
    missing = _missing(index)
    then = "more are needed before it can learn." if missing else "look them over, then go on."
    frame.title(
        f"{words.many(len(index.pictures), 'picture')}"
        f" in {words.many(len(index.classes), 'class', 'classes')}.",
        f"{datasets.name(digest)}: {then}",
    )
    _health_line(digest)
    if told := st.session_state.pop(_told(digest), None):
        st.success(told, icon=":material/check:")
    for warning in index.warnings if missing else datasets.warnings(digest):
        st.warning(words.plain(warning), icon=":material/warning:")
    if missing:
        st.error(words.plain(missing), icon=":material/error:")
    with st.container(horizontal=True, vertical_alignment="center", key="verdict_row"):
        st.html(_verdict(left_out))
        kind = "primary" if missing else "secondary"
        asked = st.button("Add pictures", key="add", type=kind, icon=":material/add:")
        if not missing:
            frame.next_step("Go on: choose a network", "advice")
    _adding(digest, asked)
    if left_out:
        _rejected(index)
    class_pictures.draw(digest)
    with st.expander("Use other pictures"):
        _upload("other")
        _list()
    administration.administration(digest)


def _missing(index: ImageIndex) -> str | None:
    """Return what has to be added before anything can be learned; None where it is enough."""
    counts = index.counts()
    fewest = datasets.FEWEST
    large = [name for name, number in counts.items() if number >= fewest]
    if len(large) >= 2:
        return None
    small = [
        f"'{name}' has {number}, add {fewest - number} more"
        for name, number in counts.items()
        if number < fewest
    ]
    remedy = f"{words.and_so_on(small)}." if small else "Add pictures of another class."
    return (
        f"Expected at least 2 classes with {fewest} or more pictures each; found {len(large)}."
        f" {remedy}"
    )


def _adding(digest: str, asked: bool) -> None:
    """Offer to add pictures to the data set, once that was asked for."""
    key = f"adding:{digest}"
    st.session_state[key] = asked or st.session_state.get(key, False)
    if not st.session_state[key]:
        return
    with st.container(border=True, key="add_area"):
        with st.container(horizontal=True, vertical_alignment="center"):
            frame.heading(
                "Add pictures",
                "They go into a new version of this data set; the version that you see stays as it"
                " is, and runs that learned from it keep it. Pictures that are here already, pixel"
                " for pixel and in the same class, are not added again.",
            )
            if st.button("Close", key="add_close", type="tertiary"):
                st.session_state[key] = False
                st.rerun()
        _upload(f"add:{digest}", digest)


def _health_line(digest: str) -> None:
    """Say in a link whether the pictures were checked for what may ruin a result."""
    standing = checking.standing(checking.usual(digest))
    label = "Check these pictures for mistakes"
    if standing.found:
        label = health.line(health.findings(standing.found, datasets.index(digest)))
    elif standing.alive:
        label = "These pictures are being checked for mistakes"
    query = state.here().query()
    with st.container(key="health_line"):
        st.page_link(
            state.file_of("health"), label=label, icon=":material/fact_check:", query_params=query
        )


def _verdict(left_out: int) -> str:
    if not left_out:
        return '<p class="quiet">All files could be read; none was left out.</p>'
    return f'<p class="quiet">{words.many(left_out, "file")} left out: the reasons are below.</p>'


def _rejected(index: ImageIndex) -> None:
    with st.expander(f"{words.many(len(index.rejected), 'file')} left out: why?"):
        rows = [{"File": item.file, "Why it was left out": item.reason} for item in index.rejected]
        st.dataframe(pd.DataFrame(rows), hide_index=True)


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
    for upload in uploads.unfinished():
        _broken_off(upload)
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


def _broken_off(upload: uploads.Upload) -> None:
    """Say how an upload that was broken off goes on, and offer to delete what arrived."""
    with st.container(horizontal=True, vertical_alignment="center", key=f"broken_{upload.id}"):
        st.markdown(
            f":material/pause_circle: **{words.plain(upload.name)}** was broken off:"
            f" {uploads.amount(upload.received)} of {uploads.amount(upload.size)} have arrived."
            " Choose the same pictures again to go on from there.",
            width="stretch",
        )
        if st.button("Delete what arrived", key=f"drop:{upload.id}", type="tertiary"):
            with contextlib.suppress(TransferError):  # gone meanwhile
                uploads.cancel(upload.id)
            st.rerun()


def _opens(label: str, icon: str, **query: str) -> None:
    """Show a button that opens this page at another address.

    A link would not do: to the page that is open already, it leaves the old address standing.
    """
    if st.button(label, key=f"open:{'/'.join(query.values())}", icon=icon, type="tertiary"):
        st.switch_page(state.file_of("data"), query_params=query)


page()
