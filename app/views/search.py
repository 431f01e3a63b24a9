"""The page of a search for settings: each trial as a dot, the best of them, and a run with it."""

import html
from dataclasses import replace

import streamlit as st

from app import frame, jobs, readings, searches, state, trials, words
from app.components import search_offer
from app.searches import Standing
from transfer.errors import TransferError
from transfer.runs import Run

_EVERY = 2.0  # seconds between two looks at the search
_MORE = 10
_FEW = 5  # trials: the best of fewer was hardly searched for
_ABOUT_THE_BEST = """
The **best** trial is the whole one with the lowest validation loss: of all that were tried, its
network was least surprised by pictures that it had not learned from. The trials were short, about a
quarter of a training, so the training with these settings does better still.

The loss of the best of many is a little lucky, and so is no promise. The test pictures were not
looked at: the training measures on them, once, and that number is honest.
"""
_ABOUT_THE_TRIALS = """
Each dot is a trial: the lower, the better. Rates and penalties are on a **logarithmic** axis, since
what counts is how many times larger one is than another. The **coarse** trials go all over the
ranges, the **fine** ones stay near the best of those. **Hollow** dots ended early, being worse than
most others after as many epochs, or because the training was ruined; or they are not whole yet. The
ring is round the best; the lines are the ends of what was searched, thick and dotted where the best
lies so close to one that a better one may lie beyond.
"""
_ABOUT_THE_EDGE = """
A range is a guess. Where the best trial lies in its outermost tenth, better ones may lie beyond, as
nobody has looked there. Going on with a wider range keeps all trials that were made.
"""
_NOT_YET = (
    "No trial is whole yet, so there is no best one: on these pictures one takes longer than that."
    " Give it more minutes; what was begun goes on where it was."
)


def page() -> None:
    """Draw the search that the address names, else the newest one on the data set."""
    digest = state.here().data
    every = searches.listed(digest) if digest else []
    asked = st.query_params.get("search")
    run = next((one for one in every if one.folder.name == asked), every[0] if every else None)
    if run is None:
        frame.title("No search yet.", "This page follows a search for better settings.")
        frame.empty(
            "Where the network itself learns, the page Advice offers to search for its settings.",
            "Choose how it learns" if digest else "Choose pictures",
            "advice" if digest else "data",
        )
        return
    standing = searches.standing(run)
    if standing.alive:
        _live(run.folder.name, standing.mark)
    else:
        _ended(run, standing)
    if standing.found.get("best"):
        _best(run, standing)
        _edges(run, standing)
    if standing.found.get("trials"):
        _trials(run, standing)
    _others(run, every, standing)


@st.fragment(run_every=_EVERY)
def _live(name: str, drawn: object) -> None:
    """Show where the search stands; all below is drawn anew only where there is a new trial."""
    run = searches.named(name)
    standing = searches.standing(run)
    if standing.mark != drawn:
        st.rerun()
    status = standing.status
    if standing.word == "waiting":
        _waiting(run, standing)
    else:
        left = status.get("seconds_left")
        when = f"At most {words.duration(left)} left" if left else "Working out how long it takes"
        frame.title(
            "Stopping." if standing.word == "stopping" else f"Searching. {when}.",
            f"{_named(run)}: the work goes on without the page, and its address brings you back.",
        )
        done, total = float(status.get("done", 0)), float(status.get("total", 0))
        share = done / total if total and status.get("phase") == "search" else None
        frame.progress(share, str(status.get("words", "Starting")))
    if standing.word == "stopping":
        st.html('<p class="quiet">What is being done right now is kept.</p>')
        return
    label = "Take it out of the queue" if standing.word == "waiting" else "Stop, and keep the best"
    # Called before the page is drawn: a press counts though it may be drawn anew just then.
    st.button(label, key="stop_search", on_click=searches.stop, args=(run,))


def _waiting(run: Run, standing: Standing) -> None:
    at, number = searches.place(standing.job) if standing.job else (1, 1)
    at_work = any(job.state == "running" and job.kind != "import" for job in jobs.active())
    if standing.error:
        frame.title("It waits for room on the disk.", "It goes on by itself when there is some.")
        frame.error(standing.error)
    elif not at_work and at <= 1:
        frame.title("It starts in a moment.", "You can close this page.")
    else:
        frame.title(
            f"Waiting for its turn: place {at} of {number}.",
            "The search starts by itself when what comes before has ended; trainings go first. You"
            " can close this page.",
        )
    frame.progress(None, f"Queued: {_named(run)}")


def _ended(run: Run, standing: Standing) -> None:
    made = words.many(standing.trials, "trial")
    planned = int(standing.found.get("planned", 0))
    were = "was" if standing.trials == 1 else "were"
    purpose = {
        "done": f"{_named(run)}: all {made} are made.",
        "budget": f"{_named(run)}: {made} of {planned} {were} made in its time. It can go on.",
        "stopped": f"{_named(run)}: {made} {were} made. What was done is kept; it can go on.",
        "failed": "What was tried so far is kept.",
    }[standing.word]
    titles = {
        "done": "The search is done.",
        "budget": "The time of the search is up.",
        "stopped": "The search was stopped.",
        "failed": "The search could not finish.",
    }
    frame.title(titles[standing.word], purpose)
    if standing.error:
        frame.error(standing.error)
    if standing.found.get("trials") and not standing.found.get("best"):
        told = _NOT_YET if standing.word != "done" else (
            "No trial came to a good end: look at the pictures and their labels on the page Health."
        )  # fmt: skip
        st.html(f'<p class="quiet">{told}</p>')
    _going_on(run, standing)


def _going_on(run: Run, standing: Standing) -> None:
    """Offer to go on: with what is missing, or with more trials where none is."""
    done = standing.word == "done"
    with st.container(key="search_budget", horizontal=True, vertical_alignment="bottom"):
        st.number_input(
            "Minutes to go on for", 1, search_offer.MOST_MINUTES, search_offer.MINUTES,
            key="more_minutes", width=200,
        )  # fmt: skip
        if done:
            st.number_input("More trials", 1, 1000, _MORE, key="more_trials", width=200)
        if st.button("Make more trials" if done else "Go on", key="search_on"):
            _go_on(run, more=int(st.session_state["more_trials"]) if done else 0)


def _go_on(run: Run, more: int = 0, widen: str | None = None) -> None:
    try:
        searches.go_on(run, float(st.session_state["more_minutes"]), more, widen)
    except TransferError as problem:
        frame.error(problem)
        return
    st.rerun()


def _best(run: Run, standing: Standing) -> None:
    """Show the best settings, beside the usual ones, with the button that trains with them."""
    found, usual = standing.found, run.config()
    number, value = found.get("best_trial"), found.get("best_value")
    frame.heading("The best so far" if standing.alive else "The best", _ABOUT_THE_BEST)
    try:
        better = searches.best(run, standing)
    except TransferError as problem:
        frame.error(problem)
        return
    rows = "".join(
        f'<tr><th scope="row">{html.escape(one.what)}</th><td>{html.escape(one.becomes)}</td>'
        f'<td class="quiet">instead of {html.escape(one.was.replace("as usual", "the usual"))}</td>'
        "</tr>"
        for one in readings.changes(replace(usual, budget=better.budget), better)
    )
    told = f"Trial {(number or 0) + 1} has the lowest validation loss: {value:.3g}."
    if standing.trials < _FEW:
        made = words.many(standing.trials, "trial")
        told += f" Of only {made}, that is little more than chance: make some more."
    st.html(
        f'<div class="card"><p class="class-name">{html.escape(told)}</p><div class="scroll"><table'
        f' class="plain remedy searched">{rows}</table></div><p class="quiet small">All other'
        " settings are as they were chosen on the page Advice.</p></div>"
    )
    if meant := readings.meanings(usual, better):
        with st.expander("What do these settings do?"):
            rows = (f"<dt>{html.escape(what)}</dt><dd>{html.escape(does)}</dd>"
                    for what, does in meant.items())  # fmt: skip
            st.html(f'<dl class="small">{"".join(rows)}</dl>')
    if frame.primary("Train with these settings", key="train_best"):
        made = searches.train(run, standing)
        state.go("train", data=usual.dataset, run=made.folder.name)


def _edges(run: Run, standing: Standing) -> None:
    """Warn where the best lies at the edge of a range, and offer to go on beyond it."""
    warned = trials.warnings(standing.found)
    if not warned:
        return
    frame.heading("It lies at an edge", _ABOUT_THE_EDGE)
    for one in warned:
        with st.container(border=True, key=f"edge_{one['setting']}", gap="small"):
            st.html(
                '<div class="reading"><p class="verdict fair"><span>!</span>Worth changing</p>'
                f"<p>{html.escape(one['words'])}</p></div>"
            )
            if standing.alive:
                st.caption("The range can be widened when the search has ended, or was stopped.")
            elif st.button(one["button"], key=f"widen_{one['setting']}"):
                _go_on(run, widen=one["setting"])


def _trials(run: Run, standing: Standing) -> None:
    frame.heading("What was tried", _ABOUT_THE_TRIALS)
    axis = st.selectbox(
        "Drawn over",
        list(trials.AXES),
        format_func=trials.AXES.__getitem__,
        key="search_axis",
        width=240,
    )
    st.vega_lite_chart(
        trials.spec(standing.found, st.context.theme.type or "light", axis),
        alt=trials.in_words(standing.found),
        key="chart_trials",
    )
    folded = st.expander("Show the figures", on_change="rerun", key=f"trials_{run.folder.name}")
    if folded.open:
        with folded:
            st.dataframe(trials.table(standing.found), hide_index=True)
            st.caption("Losses in nats (natural logarithm), each the lowest of its epochs.")


def _others(run: Run, every: list[Run], standing: Standing) -> None:
    """Lead to the other searches on the data set; offer to delete this one."""
    others = [one for one in every if one.folder != run.folder]
    if others:
        frame.heading("Other searches on these pictures")
    for one in others:
        st.page_link(
            state.file_of("search"),
            label=f"{words.plain(_named(one))}, {_when(one)}",
            query_params={**state.here().query(), "search": one.folder.name},
        )
    if standing.alive:
        return
    with st.container(horizontal=True, key="search_delete"):
        if not st.session_state.get(asked := f"delete:{run.folder.name}"):
            if st.button("Delete this search", key="delete_search", type="tertiary"):
                st.session_state[asked] = True
                st.rerun()
        elif st.button("Delete it with all its trials", key="delete_search_now"):
            searches.delete(run)
            state.go("search")


def _named(run: Run) -> str:
    return f"{run.about()['name']}, {run.config().image_size} pixels"


def _when(run: Run) -> str:
    number = searches.standing(run).trials
    return words.many(number, "trial")


page()
