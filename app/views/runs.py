"""The page of all runs: open, rename, compare, take away, bring in, delete; and the disk."""

import contextlib
import html
import re
from datetime import datetime
from zoneinfo import ZoneInfo

import streamlit as st

from app import (
    bundles,
    differing,
    frame,
    jobs,
    overview,
    packing,
    state,
    storage,
    uploads,
    verdicts,
    words,
    workshop,
)
from app.components import disk
from app.components.side_by_side import WHY, side_by_side
from app.components.uploader import uploader
from app.overview import Line
from app.routes import downloads
from transfer.errors import TransferError
from transfer.runs import Run

_FIRST = 20  # runs that are shown at once
_EVERY = 2.0  # seconds between two looks at what goes on
# Keys of the session: sentences to say once (what was done, what is wrong), the run that is open
# for changes, the one that is perhaps to be deleted, whether all runs are shown.
_SAY, _WRONG = "runs_say", "runs_wrong"
_OPEN, _ASKED, _ALL = "runs_open", "runs_asked", "runs_all"
_SIGNS = {
    "waiting": "○", "running": "●", "exporting": "●",
    "finished": "✓", "paused": "‖", "stopped": "■", "failed": "✕",
}  # fmt: skip


def page() -> None:
    """Draw the page."""
    runs = workshop.listed()
    finished = [run for run in runs if run.finished]
    if runs:
        many = words.many(len(runs), "run")
        frame.title(
            f"{many}, {len(finished) if len(finished) < len(runs) else 'all'} finished."
            if len(runs) > 1
            else f"{many}.",
            "Each training and what came of it. Open one to see how it stands.",
        )
    else:
        frame.title("No runs yet.", "A run is one training and what came of it.")
    _told()
    if runs:
        frame.next_step("New training", "advice" if state.here().data else "data", key="new")
        _list(runs)
    else:
        frame.empty(
            "Here each training will stand with its result: to open, to compare with another, to"
            " take to another machine.",
            "Choose pictures and start",
            "data",
        )
    if len(finished) > 1:
        head = st.container()
        certainty = side_by_side(finished, _date)
        differing.of_chosen("compare One run", "compare Another run")
        with head:
            frame.heading("Compare two", f"{WHY}\n\n{certainty}")
    _bring_in()
    frame.heading("Disk")
    disk.disk(_SAY)


def _told() -> None:
    """Say what was done by the last click, wherever on the page that was."""
    if sentence := st.session_state.pop(_SAY, None):
        st.toast(words.plain(sentence), icon=":material/check:", duration="long")


def _list(runs: list[Run]) -> None:
    if len(runs) > 1:
        order = st.selectbox(
            "Order", overview.ORDERS, key="order", width=240, label_visibility="collapsed",
            bind="query-params",
        )  # fmt: skip
        runs = overview.ordered(runs, order)
    shown = runs if st.session_state.get(_ALL) else runs[:_FIRST]
    with st.container(key="runs", gap=None):
        for run in shown:
            _row(run)
    if len(shown) < len(runs):
        st.button(f"Show all {len(runs):,} runs", key="all", on_click=_show_all)


def _show_all() -> None:
    st.session_state[_ALL] = True


def _row(run: Run) -> None:
    line = overview.line(run)
    is_open = st.session_state.get(_OPEN) == line.id
    with st.container(key=f"runline_{line.id}", gap=None):
        with st.container(key=f"runhead_{line.id}", horizontal=True, vertical_alignment="center"):
            with st.container(key=f"runwhat_{line.id}", gap=None):
                _link(run, line)
                if line.standing.alive:
                    _live(line.id)
                else:
                    st.html(_facts(run, line))
            st.html(_accuracy(line))
            st.button(
                "Close" if is_open else "More",
                key=f"change_{line.id}",
                help=f"Rename {words.plain(line.name)}, take it away or delete it",
                width=96,
                on_click=_open,
                args=(None if is_open else line.id,),
            )
        if is_open:
            with st.container(border=True, key=f"runpanel_{line.id}"):
                _panel(run, line)


def _link(run: Run, line: Line) -> None:
    """Link to the page that shows the run: its results, or how the training stands."""
    label = f"**{words.plain(line.name)}**"
    if line.network is None:
        st.markdown(label)  # made by another version: no page can show it
        return
    place = state.Place(run.config().dataset, line.id)
    target = state.file_of("results" if line.finished else "train")
    st.page_link(target, label=label, query_params=place.query())


@st.fragment(run_every=_EVERY)
def _live(run_id: str) -> None:
    """Show where a run stands until it has ended."""
    run = workshop.run(run_id)
    if not run.exists or not workshop.standing(run).alive:
        disk.forget()
        st.rerun()
    st.html(_facts(run, overview.line(run)))


def _accuracy(line: Line) -> str:
    if line.accuracy is None:
        return '<p class="run-share"></p>'
    percent = verdicts.percent(line.accuracy.accuracy, line.accuracy.n)
    n = words.many(line.accuracy.n, "test picture" if line.tested else "validation picture")
    return (
        f'<p class="run-share number"><span class="class-name">{percent} right</span> '
        f'<br><span class="quiet small">{verdicts.between(line.accuracy)}, {n}</span></p>'
    )


def _facts(run: Run, line: Line) -> str:
    word = line.standing.word
    kind = "verdict poor" if word == "failed" else "now" if line.standing.alive else "quiet"
    left = run.status_now().get("seconds_left") if word == "running" else None
    standing = f"{_SIGNS[word]} {frame.standing_words(line.standing)}"
    standing += f", at most {words.duration(left)} left" if left else ""
    version = None if line.network else "made by another version of this app"
    kept = f"kept: {line.kept}" if line.kept else None
    facts = [*_unsaid(line), line.strategy, kept, version]
    figures = [_date(line.created), words.size(line.bytes)]
    unbroken = [figure.replace(" ", "\u00a0") for figure in figures]
    rest = " · ".join(html.escape(fact) for fact in [*filter(None, facts), *unbroken])
    return (
        f'<p class="run-facts small number"><span class="{kind}">{html.escape(standing)}</span>'
        f'<span class="quiet"> · {rest}</span></p>'
    )


def _unsaid(line: Line) -> list[str | None]:
    """Return the data set and the network, less what the run is called by as it was suggested."""
    called = re.sub(r" \(\d+\)$", "", line.name)
    start = f"{' '.join((line.data_set or '').split())}, "
    if not called.startswith(start):
        return [line.data_set, line.network]
    network = line.network or ""
    said = called.removeprefix(start) in (network, network.removesuffix(" network"))
    return [None if said else line.network]


def _panel(run: Run, line: Line) -> None:
    """Offer what can be done to one run."""
    key = f"name_{line.id}"
    st.text_input(
        "Name", value=line.name, max_chars=80, key=key, on_change=_rename, args=(run, key)
    )
    if problem := st.session_state.pop(_WRONG, None):
        frame.error(problem)
    left, right = st.columns(2, gap="large")
    with left:
        st.html(_take_away(line))
    with right:
        _delete(run, line)


def _rename(run: Run, key: str) -> None:
    try:
        workshop.rename(run, st.session_state[key])
    except TransferError as problem:
        st.session_state[_WRONG] = str(problem)


def _take_away(line: Line) -> str:
    head = '<p class="class-name">Take it to another machine</p>'
    try:
        size = words.size(bundles.size(line.id))
    except TransferError as problem:
        return f'{head}<p class="small quiet">{html.escape(str(problem))}</p>'
    name = downloads.file_name(line.name, packing.ENDING)
    link = html.escape(downloads.link("run", line.id, name), quote=True)
    return (
        f'{head}<p class="small quiet">One file of {size}: the model, its results and all pictures'
        " of the data set. There, bring it in on this page.</p>"
        f'<p><a class="button" href="{link}" download="{html.escape(name, quote=True)}">'
        "Download this run</a></p>"
    )


def _delete(run: Run, line: Line) -> None:
    st.html('<p class="class-name">Delete it</p>')
    asked = st.session_state.get(_ASKED) == line.id
    _what_goes(run, line, asked)
    if not asked:
        st.button("Delete this run", key=f"delete_{line.id}", on_click=_ask, args=(line.id,))
        return
    with st.container(horizontal=True):
        if st.button("Delete for good", key=f"really_{line.id}"):
            with st.spinner("Deleting, a few seconds ..."):
                freed = storage.delete_run(run)
            _open(None)
            disk.forget()
            st.session_state[_SAY] = f"‘{line.name}’ is deleted. {_exactly(freed)} are free again."
            st.rerun()
        st.button("Keep it", key=f"keep_{line.id}", on_click=_ask, args=(None,))


@st.fragment(run_every=_EVERY)
def _what_goes(run: Run, line: Line, asked: bool) -> None:
    """Say exactly what deleting a run removes now, and what it leaves.

    A file may be made for downloading while this is read.
    """
    sizes = storage.run_parts(run)
    frees = sum(sizes.values())
    if frees != line.bytes and not line.standing.alive:
        disk.forget()
        st.rerun()
    parts = [f"{what} ({_exactly(n)})" for what, n in sizes.items()]
    stop = " It is stopped first." if line.standing.alive else ""
    what = (
        f"This goes for good: {words.and_so_on(parts, most=5)}. It frees {_exactly(frees)}."
        f"{stop} The pictures stay."
    )
    if asked:
        st.warning(f"Really delete it? {what}", icon=":material/warning:")
    else:
        st.html(f'<p class="small quiet">{html.escape(what)}</p>')


def _exactly(n: int) -> str:
    """Return bytes with one digit more than usual, for parts that are to add up."""
    return f"{n / 1e6:,.1f} MB" if n >= 1e6 else words.size(n)


def _bring_in() -> None:
    frame.heading("Bring in a run")
    _coming_in()
    with st.expander("Choose the file of a run that was taken away elsewhere"):
        st.html(f'<p class="small">{html.escape(bundles.TRUST)}</p>')
        if upload_id := uploader("run", "run"):
            st.query_params["upload"] = upload_id
            st.rerun()


def _coming_in() -> None:
    """Show what becomes of the file of a run that was sent here."""
    upload_id = st.query_params.get("upload")
    if not upload_id:
        return
    try:
        upload = uploads.get(upload_id)
    except TransferError:  # long ago, or cancelled
        del st.query_params["upload"]
        return
    if upload.purpose != "run":
        return
    if upload.state == "failed":
        why = upload.error or "The reason is not known."
        frame.error(why)
        del st.query_params["upload"]
    elif upload.state == "done":
        disk.forget()
        _arrived(upload)
        del st.query_params["upload"]
    else:
        _follow(upload_id)


def _arrived(upload: uploads.Upload) -> None:
    run = workshop.run(upload.run or "none")
    if not run.exists:
        return
    about = run.about()
    new = float(about.get("brought_in", 0)) >= upload.created
    how = "is here now. Its model is being checked." if new else "was here already."
    st.success(f"‘{words.plain(str(about['name']))}’ {how}", icon=":material/check:")
    query = state.Place(run.config().dataset, upload.run).query()
    with st.container(key="runwhat_new"):
        st.page_link(state.file_of("results"), label="See its results", query_params=query)


@st.fragment(run_every=_EVERY)
def _follow(upload_id: str) -> None:
    """Show how far the reading is, and go on when it has ended."""
    with contextlib.suppress(TransferError):
        upload = uploads.get(upload_id)
        if upload.state in ("queued", "reading"):
            job = jobs.latest("import", upload_id)
            waits = job is not None and job.state == "queued"
            share = upload.done / upload.total if upload.total else None
            text = f"{upload.done:,} of {words.many(upload.total, 'picture')} looked through"
            if share is None:
                text = "Waiting for its turn" if waits else "Unpacking, at most some minutes"
            frame.progress(share, f"{upload.name}: {text}. You can close this page.")
            return
    st.rerun()


def _open(run_id: str | None) -> None:
    st.session_state[_OPEN] = run_id
    st.session_state[_ASKED] = None


def _ask(run_id: str | None) -> None:
    st.session_state[_ASKED] = run_id


def _date(seconds: float) -> str:
    """Return a time as the person in front of the page reads it."""
    zone = None
    with contextlib.suppress(OSError, ValueError, KeyError):
        zone = ZoneInfo(str(st.context.timezone))
    return datetime.fromtimestamp(seconds).astimezone(zone).strftime("%-d %b %Y, %H:%M")


page()
