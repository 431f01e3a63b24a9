"""Page 3: watch the learning, stop it, and know that the page can be closed."""

import time
from typing import Any

import streamlit as st

from app import curves, frame, jobs, phases, readings, state, waiting, ways, words, workshop
from app.charts import Row
from app.components import readings as cards
from app.workshop import Standing
from transfer import catalog
from transfer.runs import Run

_EVERY = 2.0  # seconds between two looks at the run
# At least so many pass between two drawings of the curves: with epochs of a second, ten watchers
# would have the server draw all the time.
_REDRAWN = 8.0
_MORE_EPOCHS = 10
_PAUSE = "The next training gets its turn; this one keeps its place, and goes on when you say so."
_ABOUT_READINGS = """
After each epoch the curves are read by the rules that people go by who train networks (Stanford
CS231n, *babysitting the learning process*): what is so is said with the numbers that show it, the
worst first. A difference counts where it is larger than what chance makes of so few validation
pictures. A button starts a **new** run with other settings; this one is not touched by it.
"""


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
        events, _ = run.events_since()
        _live(run.folder.name, _mark(run, standing), time.monotonic())
        if standing.word != "waiting":
            curves.draw(run, events)
            _read(run, events, alive=not run.finished)
            curves.figures(run, events)
    else:
        _ended(run, standing)


@st.fragment(run_every=_EVERY)
def _live(run_id: str, drawn: tuple[object, object], when: float) -> None:
    """Show where the run stands, every two seconds.

    What is below, and in the bar above, is drawn anew only where there is something new: that keeps
    the curves still, and ten watchers cheap. `drawn` is the `_mark` of what stands there, and
    `when` it was drawn.
    """
    run = workshop.run(run_id)
    standing = workshop.standing(run)
    (state_now, curves_now), (state_drawn, curves_drawn) = _mark(run, standing), drawn
    due = time.monotonic() - when >= _REDRAWN
    if state_now != state_drawn or (due and curves_now != curves_drawn):
        frame.follow("results")
        st.rerun()
    status = run.status_now()
    if standing.word == "waiting":
        _waiting(run, standing)
        return
    _headline(run, standing, status)
    if standing.error:  # it goes on by itself when that is mended
        frame.error(standing.error)
    done, total = float(status.get("done", 0)), float(status.get("total", 0))
    phase = str(status.get("phase", ""))
    text = f"{_plainly(str(status.get('words', 'Starting')), phase)}{_count(status)}"
    frame.progress(done / total if total and phase != "finished" else None, text)
    events, _ = run.events_since()
    _buttons(run, status, events)
    st.html(phases.band(run, events, phase))


def _mark(run: Run, standing: Standing) -> tuple[object, object]:
    """Return what is another when the page has to be drawn anew: at once, and when it is due."""
    curves_now = run.events_bytes(), readings.mark(run)
    return (standing.word, run.finished, run.stop_requested()), curves_now


def _read(run: Run, events: list[Row], alive: bool) -> None:
    """Show what the curves say, the worst first, and what could be done about it."""
    drawn = curves.tuned(run, events)
    if run.finished:
        said = readings.of_result(run.result(), drawn)
    else:
        strategy, found = readings.now(run)
        said = {strategy: found} if found else {}
    if not said:
        return
    strategy, found = next(iter(said.items()))
    frame.heading("What do the curves say?", _ABOUT_READINGS)
    asked = drawn or phases.way(run)
    if ways.known(strategy) and ways.known(asked) and strategy != asked and ways.tunes(asked):
        st.html(f'<p class="quiet small">Of “{ways.named(strategy)}”, which came before.</p>')
    subject = cards.Subject(run, strategy, alive, alive and _keeps(run.status_now(), events))
    cards.cards(subject, found)
    cards.others({name: some for name, some in said.items() if name != strategy})


def _waiting(run: Run, standing: Standing) -> None:
    place, number = jobs.place(standing.job) if standing.job else (1, 1)
    at_work = {job.kind for job in jobs.active() if job.state == "running"}
    again = bool(run.read("status")) and not at_work & {"train", "advise"}
    before = f"{waiting.at_work() or 'the one before it'} has ended"
    if "advise" in at_work and "train" not in at_work:
        before += ", in a minute or so"
    elif at_work - {"import"} == {"search"}:
        before = "the search for settings that is at work has ended, or was stopped on its page"
    if standing.error:
        title, then = "It waits for room on the disk.", "It goes on by itself when there is some."
    elif not at_work and place <= 1:
        title, then = "It starts in a moment.", "You can close this page."
    else:
        title = f"Waiting for its turn: place {place} of {number}."
        then = f"The training starts by itself when {before}. You can close this page."
    frame.title("It goes on in a moment." if again and not standing.error else title, then)
    if standing.error:
        frame.error(standing.error)
    frame.progress(None, f"Queued: {run.about()['name']}")
    with st.container(horizontal=True):
        # Called before the page is drawn: a press counts though it may be drawn anew just then.
        st.button("Pause", key="pause", help=_PAUSE, on_click=workshop.pause, args=(run,))
        st.button("Take it out of the queue", key="leave", on_click=workshop.stop, args=(run,))


def _headline(run: Run, standing: Standing, status: Row) -> None:
    if standing.word == "exporting" or run.finished:
        frame.title(
            "It has learned. The model for taking away is being checked.",
            "The results are there already; the check usually takes less than a minute.",
        )
        return
    left = status.get("seconds_left")
    when = "Working out how long it takes"
    if left:
        about = f"{words.duration(left)} left"
        # Retraining may end early, when it gets no better; a linear classifier does not.
        early = ways.tunes(phases.way(run)) and run.config().recipe.early_stopping
        when = f"At most {about}" if early else f"{about[0].upper()}{about[1:]}"
    frame.title(
        f"Learning. {when}; you can close this page.",
        f"{run.about()['name']}: the work goes on without the page, and its address brings you"
        " back. You need not save anything.",
    )


def _plainly(said: str, phase: str) -> str:
    """Name the way of learning as the pages do, where what is being done begins with its name."""
    if phase == "finished":  # the learning; what follows has not begun to tell
        return "Getting the model ready to be taken away"
    for spec in catalog.STRATEGIES:
        if said.startswith(f"{spec.title}: "):
            return f"“{ways.named(spec.name)}”: {said.removeprefix(f'{spec.title}: ')}"
    return said


def _count(status: Row) -> str:
    total = int(status.get("total", 0))
    if status.get("phase") in ("features", "validation", "test", "export") and total > 1:
        return f": {int(status.get('done', 0)):,} of {words.many(total, 'picture')}"
    return ""


def _buttons(run: Run, status: Row, events: list[Row]) -> None:
    if run.finished:
        frame.next_step("See the results", "results")
        return
    if run.stop_requested():
        st.html(
            '<p class="quiet">Stopping: what is being done right now is brought to its end.</p>'
        )
        return
    if run.pause_requested():
        st.html('<p class="quiet">Pausing: what is being done right now is being kept.</p>')
        return
    if _keeps(status, events):
        label, help_text = "Stop and keep the best so far", "You get the best epoch until now."
    else:
        label = "Stop"
        help_text = "There is nothing to keep yet; you can go on later where it was."
    with st.container(horizontal=True):
        st.button("Pause", key="pause", help=_PAUSE, on_click=workshop.pause, args=(run,))
        st.button(label, key="stop", help=help_text, on_click=workshop.stop, args=(run,))


def _keeps(status: Row, events: list[Row]) -> bool:
    """Whether a wish to stop would leave the best epoch so far."""
    tuning = status.get("phase") == "fine_tuning"
    return any(
        (tuning and row["event"] == "candidate")
        # Also of a process before: one that goes on begins with loading again.
        or (row["event"] == "epoch" and row.get("phase") == "fine_tuning")
        for row in events
    )


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
        _more(run, result)
    elif standing.word == "paused":
        frame.title("Paused.", f"{name}: it keeps its place, and goes on where it was.")
        _again(run, "Go on")
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
    curves.draw(run, events)
    _read(run, events, alive=False)
    curves.figures(run, events)


def _more(run: Run, result: dict[str, Any]) -> None:
    """Offer to let a network that learned in epochs learn for some more."""
    if not catalog.strategy(result["shipped"]).tunes:
        return
    with st.expander("Let it learn for longer"):
        st.html(
            '<p class="small">A new run begins with this model and adds epochs at a third of the'
            " rate; this one stays as it is. It never ends with a worse loss on the validation"
            " pictures than it began with.</p>"
        )
        epochs = st.number_input("More epochs, at most", 1, 1000, _MORE_EPOCHS, key="more_epochs")
        if st.button("Add epochs", key="extend"):
            made = workshop.extend(run, int(epochs))
            state.go("train", data=run.config().dataset, run=made.folder.name)


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


page()
