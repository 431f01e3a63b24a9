"""Page 3: watch the learning, stop it, and know that the page can be closed."""

import html
from typing import Any

import streamlit as st

from app import charts, frame, jobs, phases, state, ways, words, workshop
from app.charts import Row
from app.workshop import Standing
from transfer import catalog
from transfer.runs import Run

_EVERY = 2.0  # seconds between two looks at the run


def page() -> None:
    """Draw the page for the run that the address names."""
    run = state.current_run()
    if run is None:
        frame.title("Nothing is learning here yet.", "This page shows a training as it goes on.")
        frame.empty(
            "Here you will watch how the classifier gets better, and stop it when you like.",
            "Choose pictures and start",
            "advice" if state.here().data else "data",
        )
        return
    standing = workshop.standing(run)
    if standing.alive:
        _live(run.folder.name, run.finished)
    else:
        _ended(run, standing)


@st.fragment(run_every=_EVERY)
def _live(run_id: str, had_result: bool) -> None:
    """Show where the run stands, every two seconds, until something changes in the bar above."""
    run = workshop.run(run_id)
    standing = workshop.standing(run)
    if not standing.alive or run.finished != had_result:
        st.rerun()
    status = run.status_now()
    if standing.word == "waiting":
        _waiting(run, standing)
        return
    _headline(run, standing, status)
    done, total = float(status.get("done", 0)), float(status.get("total", 0))
    text = f"{_plainly(str(status.get('words', 'Starting')))}{_count(status)}"
    frame.progress(done / total if total else None, text)
    _buttons(run, status)
    events, _ = run.events_since()
    st.html(phases.band(run, events, str(status.get("phase", ""))))
    _curves(run, events)


def _waiting(run: Run, standing: Standing) -> None:
    place, number = jobs.place(standing.job) if standing.job else (1, 1)
    at_work = {job.kind for job in jobs.active() if job.state == "running"}
    again = bool(run.read("status")) and not at_work & {"train", "advise"}
    before = "the one before it has ended"
    if "advise" in at_work and "train" not in at_work:
        before = "the measuring for an advice has ended, in a minute or so"
    frame.title(
        "It goes on in a moment." if again else f"Waiting for its turn: place {place} of {number}.",
        f"The training starts by itself when {before}. You can close this page.",
    )
    frame.progress(None, f"Queued: {run.about()['name']}")
    if st.button("Take it out of the queue", key="leave"):
        workshop.stop(run)
        st.rerun()


def _headline(run: Run, standing: Standing, status: Row) -> None:
    if standing.word == "exporting" or run.finished:
        frame.title(
            "It has learned. The model for taking away is being checked.",
            "The results are there already; the check takes less than a minute more.",
        )
        return
    left = status.get("seconds_left")
    when = "Working out how long it takes"
    if left:
        about = f"{words.duration(left)} left"
        # Retraining may end early, when it gets no better; a linear classifier does not.
        tunes = ways.tunes(phases.way(run))
        when = f"At most {about}" if tunes else f"{about[0].upper()}{about[1:]}"
    frame.title(
        f"Learning. {when}; you can close this page.",
        f"{run.about()['name']}: the work goes on without the page, and its address brings you"
        " back. You need not save anything.",
    )


def _plainly(said: str) -> str:
    """Name the way of learning as the pages do, where what is being done begins with its name."""
    for spec in catalog.STRATEGIES:
        if said.startswith(f"{spec.title}: "):
            return f"“{ways.named(spec.name)}”: {said.removeprefix(f'{spec.title}: ')}"
    return said


def _count(status: Row) -> str:
    total = int(status.get("total", 0))
    if status.get("phase") in ("features", "validation", "test", "export") and total > 1:
        return f": {int(status.get('done', 0)):,} of {words.many(total, 'picture')}"
    return ""


def _buttons(run: Run, status: Row) -> None:
    if run.finished:
        frame.next_step("See the results", "results", key="early")
        return
    if run.stop_requested():
        st.html(
            '<p class="quiet">Stopping: what is being done right now is brought to its end.</p>'
        )
        return
    events, _ = run.events_since()
    keeps = any(row["event"] == "candidate" or (row.get("phase") == "fine_tuning" and
                row["event"] == "epoch") for row in events)  # fmt: skip
    if keeps and status.get("phase") == "fine_tuning":
        label, help_text = "Stop and keep the best so far", "You get the best epoch until now."
    else:
        label = "Stop"
        help_text = "There is nothing to keep yet; you can go on later where it was."
    st.button(label, key="stop", help=help_text, on_click=workshop.stop, args=(run,))


def _curves(run: Run, events: list[Row]) -> None:
    """Draw loss and accuracy: over the epochs, or over the strengths of the linear classifier."""
    number, part = charts.last_tuning(events)
    rows = charts.epochs(part)
    tuned = [row for row in rows if row["phase"] == "fine_tuning"]
    if not tuned:
        steps = charts.searched(events)
        if steps:
            _search(steps)
        elif not run.finished and phases.way(run) != "linear_stages":
            _empty_curves("They appear when all pictures have been looked at.")
        _listened(events)
        if steps and ways.tunes(phases.way(run)) and not run.finished:
            _empty_curves("The curves of the retraining appear after its first epoch.")
        return
    frame.heading(
        "Is it getting better?",
        "**Loss** is how surprised the network is by the right answer: lower is better."
        " **Accuracy** is the share of right answers. The solid line is for the pictures that it"
        " learns from, the dashed one for **validation** pictures, which it never learns from: the"
        " dashed one counts. Where it turns up while the solid one falls, the network is learning"
        " by heart (overfitting), and the best epoch before that is kept. Epoch 0 is the linear"
        " classifier (phase: head); from epoch 1 on the network learns too (phase: fine-tuning)."
        " The dotted line marks the best epoch so far.",
    )
    if run.config().strategy == "all":
        way = [cell for cell in ways.CELLS if cell.tunes][min(number, 1)]
        st.html(f'<p class="quiet small">These are the curves of “{way.title}”.</p>')
    _pair(rows, charts.EPOCHS)
    _how_fine(run)


def _listened(events: list[Row]) -> None:
    """Show how much each stage has to say, where several answer together."""
    told = [row for row in events if row["event"] == "stages"]
    if not told:
        return
    frame.heading(
        "To which stages does it listen?",
        "At each stage of the network a linear classifier was fitted. Those that do well together,"
        " on pictures that they had left out, answer together (*ensemble selection*): the bar is"
        " the weight of a stage's answer. Stages with next to no weight are left out.",
    )
    bars = "".join(
        f'<div class="bar-row"><span class="name">{html.escape(str(name))}</span>'
        f'<span class="track"><span class="fill" style="display:block;width:{100 * weight:.1f}%">'
        f'</span></span><span class="share">{100 * weight:.0f} %</span></div>'
        for name, weight in told[-1]["weights"].items()
    )
    st.html(bars)


def _search(steps: list[Row]) -> None:
    frame.heading(
        "How freely may the classifier learn?",
        "The network stays as it is; the classifier on top is solved for, not trained in epochs."
        " What has to be found is how freely it may follow the training pictures: too little, and"
        " it learns nothing; too much, and it learns them by heart. A *penalty* on large weights"
        " holds it back (ridge regression); several are tried, and each is judged by what the"
        " classifier says of a picture that it was not shown (leave-one-out, here called"
        " validation). The dotted line marks the best.",
    )
    _pair(steps, charts.STRENGTHS)


def _pair(rows: list[Row], axis: charts.Axis) -> None:
    theme = st.context.theme.type or "light"
    for column, quantity in zip(st.columns(2), ("loss", "accuracy"), strict=True):
        with column:
            spec = charts.curves(rows, quantity, axis, theme)
            if not spec["data"]["values"]:  # a training that diverged at once
                continue
            st.vega_lite_chart(spec, alt=charts.in_words(rows, quantity), key=f"chart_{quantity}")


def _how_fine(run: Run) -> None:
    """Say how many pictures the validation curve rests on: few make it jump."""
    number = len((run.read("split") or {}).get("val", ()))
    if number:
        one = 100 / number
        st.html(
            f'<p class="quiet small">The validation curve rests on {words.many(number, "picture")}:'
            f" one more or less right is {one:.{0 if one >= 1 else 1}f} % of it.</p>"
        )


def _empty_curves(words_: str) -> None:
    st.html(f'<div class="card empty"><p>Curves of loss and accuracy. {words_}</p></div>')


def _ended(run: Run, standing: Standing) -> None:
    name = str(run.about()["name"])
    events, _ = run.events_since()
    if standing.word == "finished":
        result = run.result()
        frame.title(
            "It has learned." if result["ended"] != "stopped" else "Stopped, and the best kept.",
            f"{name}: {_how(result)}",
        )
        if standing.error:  # of the export: the results stand
            st.warning(words.plain(standing.error), icon=":material/warning:")
        frame.next_step("See the results", "results")
    elif standing.word == "failed":
        frame.title(
            "The training could not finish.", "Your pictures and earlier runs are unharmed."
        )
        why = standing.error or "The reason is not known."
        frame.error(why)
        _again(run, "Try again")
    else:
        frame.title("Stopped.", f"{name}: what was done so far is kept, so that it can go on.")
        _again(run, "Go on")
    _curves(run, events)
    _, part = charts.last_tuning(events)
    _figures(charts.epochs(part) if standing.word == "finished" else [], events)


def _how(result: dict[str, Any]) -> str:
    return (
        f"{words.many(result['splits']['train'], 'picture')} to learn from,"
        f" {result['splits']['val']:,} to choose by, {result['splits']['test']:,} to measure with,"
        f" in {words.duration(result['seconds']).removeprefix('about ')}."
    )


def _again(run: Run, label: str) -> None:
    with st.container(horizontal=True, horizontal_alignment="right"):
        if st.button("Change the settings", key="change"):
            state.go("advice", data=run.config().dataset)
        if st.button(label, type="primary", key="again"):
            workshop.go_on(run)
            st.rerun()


def _figures(rows: list[Row], events: list[Row]) -> None:
    """Offer the numbers behind the curves; the table has a download of its own."""
    table = [row for row in rows if row.get("phase") == "fine_tuning"] or charts.searched(events)
    table = table or rows
    if not table:
        return
    hidden = {"time", "event"}
    with st.expander("Show the figures"):
        st.dataframe(
            [{k: v for k, v in row.items() if k not in hidden} for row in table], hide_index=True
        )
        used = catalog.backbone(state.current_run().config().backbone).name  # pyright: ignore[reportOptionalMemberAccess]
        st.caption(f"Losses in nats (natural logarithm). Network: {used}.")


page()
