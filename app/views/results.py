"""Page 4: how good the classifier is, where it fails, and what would help most."""

import html
from typing import Any

import pandas as pd
import streamlit as st
from streamlit.components.v2 import component

from app import (
    certainty,
    datasets,
    figures,
    four_ways,
    frame,
    gallery,
    honest,
    looking,
    matrix,
    several_looks,
    state,
    taking,
    verdicts,
    words,
    workshop,
)
from app.components import ensemble, honesty, readings, tables
from app.figures import Answer, Figures
from app.matrix import Cell
from transfer.runs import Run

_FIRST = 12  # pictures that are shown at once, and rows of the table of classes
_MORE = 48
_LAST = 3  # so few that are left are shown at once
_OFFERED = 100  # mistakes in the list beside the matrix, the most frequent
_LONGEST = 24  # characters of a file's name
_WARNINGS = 2  # more of them are folded away


def page() -> None:
    """Draw the page for the run that the address names."""
    run = state.current_run()
    if run is None or not run.finished:
        _nothing_yet(run)
        return
    found = figures.read(run)
    result = run.result()
    frame.title(
        verdicts.title(found),
        f"{run.about()['name']}: how far to trust it, where it fails, and what would help.",
    )
    _hero(found, result)
    honesty.bursts(result)
    ensemble.shown(result)
    _warnings(result["warnings"])
    if found.gone:
        st.info(found.gone, icon=":material/hide_image:")
    _confusion(run, found)
    _next_steps(found)
    ensemble.improve(run)
    _ways(result)
    if found.answers:
        _mistakes(run, found)
    _classes(run, found)
    certainty.cards(run)
    several_looks.card(run)
    _origin(run, result, found.digest)
    tables.offer(run, found)
    taking.offer(run)


def _nothing_yet(run: Run | None) -> None:
    if run is None:
        frame.title("There are no results here yet.", "Here you will see how good a classifier is.")
        frame.empty(
            "Once a training has finished: how often it is right on pictures it has never seen,"
            " what it mistakes for what, and what would help most.",
            "Choose a network and start" if state.here().data else "Choose pictures and start",
            "advice" if state.here().data else "data",
        )
        return
    if workshop.standing(run).alive:
        frame.title("It is still learning.", f"{run.about()['name']}: the results come at the end.")
        frame.empty(
            "The pictures that judge it are shown to it once, when it has learned. This page fills"
            " itself then.",
            "See how the training stands",
            "train",
        )
        return
    frame.title("This training did not come to its end.", f"{run.about()['name']}: no results.")
    frame.empty(
        "It was stopped or has failed before there was anything to judge. What was done is kept.",
        "See what happened, and go on",
        "train",
    )


def _hero(found: Figures, result: dict[str, Any]) -> None:
    """Show the accuracy with its whiskers, beside what guessing would reach, and the button."""
    verdict = verdicts.guessing(found)
    _, most = figures.largest_class(found)
    guess = most / found.pictures
    again = honesty.again(result)
    with st.container(key="hero"):
        st.html(
            f"{matrix.scale(found.overall, guess)}"
            f'<p class="verdict {"good" if verdict.good else "poor"}">'
            f"{'✓' if verdict.good else '✗'} {html.escape(verdict.headline)}</p>"
            f'<p class="quiet">{html.escape(verdict.reason)}</p>'
            f"{honesty.apart(found)}{_too_kind(found)}{again}"
        )
        with st.container(horizontal=True, vertical_alignment="center", key="hero_row"):
            testing = verdicts.ABOUT_TESTING if found.part == "test" else verdicts.ABOUT_VALIDATION
            more = honest.ABOUT_AGAIN if again else ""
            frame.explain(f"{verdicts.ABOUT_THE_INTERVAL}\n{testing}\n{more}")
            frame.next_step("Use it", "use")


def _too_kind(found: Figures) -> str:
    note = verdicts.too_kind(found)
    if note is None:
        return ""
    return f'<p class="verdict fair">! A little too kind</p><p class="quiet">{note}</p>'


def _warnings(warnings: list[str]) -> None:
    """Show what the training had to say about the pictures."""
    if len(warnings) <= _WARNINGS:
        for warning in warnings:
            st.warning(warning, icon=":material/warning:")
        return
    with st.expander(f"{len(warnings)} remarks on the pictures", icon=":material/warning:"):
        for warning in warnings:
            st.html(f'<p class="small">{html.escape(warning)}</p>')


@st.fragment
def _confusion(run: Run, found: Figures) -> None:
    """Draw the matrix, and beside or below it the pictures of the cell that is open."""
    size = len(found.classes)
    frame.heading(
        "What does it take for what?",
        "This is the **confusion matrix**. Each row is a class as your labels say, each column an"
        " answer: on the diagonal the two agree. Off it, the number says how many pictures of the"
        " row's class were given the column's name; the stronger the colour, the larger their share"
        " of the row. Classes that are mistaken for each other stand together. Press a number to"
        " see its pictures; the arrow keys move between the numbers.",
    )
    every = size > matrix.ALL_UP_TO and st.toggle(
        f"Show all {size} classes",
        key=f"every_{run.folder.name}",
        help=f"Else the {matrix.FIRST} classes with the most mistakes.",
    )
    classes = matrix.shown(found, every)
    if not found.answers:
        st.html(f'<div class="confusion">{matrix.table(found, classes)}</div>{matrix.LEGEND}')
        return
    if len(classes) <= matrix.BESIDE:
        left, right = st.columns([2, 3] if len(classes) <= matrix.ROOMY else [3, 2], gap="medium")
    else:
        left, right = st.container(), st.container()
    with left:
        _matrix(run, found, classes)
        st.html(matrix.LEGEND)
    with right, st.container(key=f"opened_{run.folder.name}"):
        _opened(run, found)


def _matrix(run: Run, found: Figures, classes: list[int]) -> None:
    """Mount the matrix; a cell that is pressed becomes the one in the list."""
    listed, pressed = _open_pair(run), f"matrix_{run.folder.name}"

    def choose() -> None:
        told = st.session_state[pressed].get("cell")
        if one := matrix.cell(told, found):
            st.session_state[listed] = str(one)

    if matrix.cell(st.session_state.get(listed), found) is None:
        st.session_state[listed] = str(matrix.first(found, classes))
    data = {"html": matrix.table(found, classes), "chosen": st.session_state[listed]}
    _component()(key=pressed, data=data, on_cell_change=choose)


@st.cache_resource(show_spinner=False)
def _component() -> Any:
    """Register the matrix with Streamlit once, and not at each drawing of the page."""
    return component(
        "confusion_matrix",
        html='<div class="confusion"></div>',
        js=matrix.SCRIPT,
        isolate_styles=False,
    )


def _open_pair(run: Run) -> str:
    """Return the key under which the session has the pair whose pictures are open."""
    return f"pair_{run.folder.name}"


def _opened(run: Run, found: Figures) -> None:
    """Show the pictures of the cell that is open, and the list to open another one."""
    key = _open_pair(run)
    offered = [*found.confused[:_OFFERED], *figures.hits(found.confusion)]
    options = [str(Cell(pair.truth, pair.said)) for pair in offered]
    if st.session_state[key] not in options:  # a rare mistake, opened in the matrix
        options.insert(0, st.session_state[key])
    names = {option: _option(found, option) for option in options}
    chosen = st.selectbox("Show the pictures of", options, format_func=names.__getitem__, key=key)
    one = matrix.cell(chosen, found)
    if one is None:
        return
    answers = found.cell(one.truth, one.said)
    st.html(f'<p class="class-name">{html.escape(matrix.in_words(found, one))}</p>')
    counter = f"opened:{run.folder.name}:{one}"
    shown = answers[: _shown(counter, len(answers))]
    over = looking.switch(run, "opened", found.digest, shown)
    entries = (gallery.Entry(a.sha256, a.name, _sure(a), over(a.sha256)) for a in shown)
    st.html(gallery.grid(found.digest, entries, kind="opened"))
    _show_more(counter, len(answers))


def _option(found: Figures, option: str) -> str:
    one = matrix.cell(option, found)
    if one is None:
        return option
    truth, said = found.classes[one.truth], found.classes[one.said]
    count = int(found.confusion[one.truth, one.said])
    if one.truth == one.said:
        return f"{verdicts.quoted(truth)}, found ({count:,})"
    return f"{verdicts.quoted(truth)} called {verdicts.quoted(said)} ({count:,})"


def _next_steps(found: Figures) -> None:
    """Say what would help most."""
    steps = verdicts.next_steps(found)
    if not steps:
        return
    frame.heading(
        "What would help most?",
        "These follow from the figures of this page: the class that is found least, the two classes"
        " that are mistaken for each other most, mistakes made with great certainty, and how wide"
        " the range of the accuracy is. The most useful comes first.",
    )
    cards = "".join(
        f'<li class="card"><p class="class-name">{html.escape(step.headline)}</p>'
        f'<p class="quiet">{html.escape(step.reason)}</p></li>'
        for step in steps
    )
    st.html(f'<ol class="cards steps">{cards}</ol>')
    if found.right < found.pictures:
        query = {"data": digest} if (digest := state.here().data) else {}
        st.page_link(
            state.file_of("mend"),
            label="Put labels and classes right on the page Mend",
            icon=":material/edit:",
            query_params=query,
        )
        st.page_link(
            state.file_of("data"),
            label="Add pictures on the page Data",
            icon=":material/add_photo_alternate:",
            query_params=query,
        )


def _ways(result: dict[str, Any]) -> None:
    """Show what each way of learning gave, where the run tried several."""
    rows = four_ways.rows(result)
    if not rows:
        return
    frame.heading("What each way would have given", four_ways.ABOUT)
    with st.container(key="ways"):
        st.html(
            f"<p>{html.escape(four_ways.sentence(rows))}</p>"
            f'<div class="card">{four_ways.chart(rows, four_ways.judged_by(result))}</div>'
        )
    with st.expander("Show the figures of the ways"):
        st.dataframe(pd.DataFrame(four_ways.table(rows)), hide_index=True)


@st.fragment
def _mistakes(run: Run, found: Figures) -> None:
    """Show the wrong answers, the surest first."""
    wrong = found.mistakes
    frame.heading(
        "Its surest mistakes",
        "Here it was wrong and most certain of it (the *probability* that it gave its answer)."
        " These pictures teach most: some have a wrong label, some show two things or hardly"
        " anything, and some show what the training pictures lacked. Under each stands the name of"
        " its file.",
    )
    if not wrong:
        st.html(f'<div class="card"><p>{html.escape(verdicts.no_mistakes(found))}</p></div>')
        return
    key = f"mistakes:{run.folder.name}"
    there = wrong[: _shown(key, len(wrong))]
    over = looking.switch(run, "mistakes", found.digest, there)
    entries = (gallery.Entry(a.sha256, a.name, _mistake(found, a), over(a.sha256)) for a in there)
    with st.container(key="mistakes"):
        st.html(gallery.grid(found.digest, entries, kind="large"))
    _show_more(key, len(wrong))


def _mistake(found: Figures, one: Answer) -> str:
    said, label = found.classes[one.said], found.classes[one.truth]
    return (
        f"said {verdicts.quoted(said)}\nlabel {verdicts.quoted(label)}\n{_sure(one)}\n{_file(one)}"
    )


def _file(one: Answer) -> str:
    """Return the name of the file, its middle left out where it is long."""
    name = one.name.rpartition("/")[2]
    return name if len(name) <= _LONGEST else f"{name[:12]}…{name[-10:]}"


def _sure(one: Answer) -> str:
    return "over 99\u00a0% sure" if one.sure >= 0.995 else f"{verdicts.percent(one.sure, 1)} sure"


def _shown(key: str, there: int) -> int:
    """Return how many of these are shown; a last few are not worth a button."""
    shown = int(st.session_state.get(key, _FIRST))
    return there if there - shown <= _LAST else shown


def _show_more(key: str, there: int) -> None:
    """Offer more where not all are shown."""
    shown = _shown(key, there)
    if shown >= there:
        return
    label = f"Show {min(_MORE, there - shown)} more of {there:,}"
    st.button(label, key=f"more_{key}", on_click=_show, args=(key, shown + _MORE))


def _show(key: str, number: int) -> None:
    st.session_state[key] = number


@st.fragment
def _classes(run: Run, found: Figures) -> None:
    """Show how each class fares, the one that is found least first."""
    frame.heading(
        "Class by class",
        "**Found** is the share of a class's pictures that got its name (*recall*). **Trusted** is"
        " the share of pictures given this name that really are of the class (*precision*). The"
        " bar is the range in which the true share lies with 95 % certainty: the fewer pictures,"
        " the wider it is.",
    )
    rows = figures.class_rows(found)
    key = f"classes:{run.folder.name}"
    st.html(matrix.class_table(rows[: _shown(key, len(rows))]))
    _show_more(key, len(rows))


def _origin(run: Run, result: dict[str, Any], digest: str) -> None:
    """Say why this model was kept, and what it learned from."""
    frame.heading(
        "How was it made?",
        "What is tried is compared on the *validation pictures*, which it does not learn from until"
        " the choice is made. The test pictures take no part in it, so that their figure stays"
        " honest.",
    )
    pictures = f"Its pictures are those of ‘{words.plain(datasets.name(digest))}’."
    said = [verdicts.choice(result), verdicts.origin(result), pictures]
    st.markdown("\n\n".join(filter(None, said)))
    readings.shortly(run, result)


page()
