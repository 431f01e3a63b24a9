"""The health of the pictures: what may ruin a result, worst first, and an honest number."""

import html

import pandas as pd
import streamlit as st

from app import (
    checked,
    checking,
    datasets,
    frame,
    gallery,
    health,
    honest,
    matrix,
    outlook,
    state,
    verdicts,
    waiting,
    words,
)
from app.checked import Number
from app.checking import Standing, Subject
from app.health import Finding, Shown
from transfer.dataset import versions
from transfer.dataset.index import ImageIndex
from transfer.dataset.mending import Change
from transfer.errors import TransferError

_EVERY = 1.5  # seconds between two looks at a check that goes on
_FIRST = 12  # pictures of a finding that are shown at once
_MORE = 48
_BESIDE = 6  # pictures of one group that are shown
_COLOURS = {health.RED: "poor", health.AMBER: "fair", health.NOTE: "quiet"}

_WHY_THE_NUMBER = """
**What is this?** A small classifier on top of a network that knows photographs (*linear probe*) was
fitted again and again, each time without some of the pictures, and judged by those
(*cross-validation*). A training may do better; it will hardly do worse.

**Why together?** Copies of one picture, pictures of one burst, and what you named as a group stay
on one side: all of them teach or all of them test. Torn apart, the test would ask what was learned
by heart.

**Why does the page Mend say a little more?** There each picture is judged by a classifier that has
learned from all the others. Here a fifth of them is left out at a time, so that each classifier has
fewer to learn from. A point or two between the two figures is usual.

**Why a range?** So many pictures are a sample. In 95 of 100 such tests the range holds the true
share; the more pictures, the narrower it is.
"""


def page() -> None:
    """Draw the page for the data set that the address names."""
    digest = state.here().data
    if digest is None:
        frame.title("First the pictures.", "Here you will see what may be wrong with them.")
        frame.empty(
            "Once there are pictures, this page looks for copies, wrong labels and other things"
            " that would ruin a result.",
            "Choose pictures",
            "data",
        )
        return
    try:
        index = datasets.index(digest)
    except TransferError as problem:
        frame.title("The pictures are not here.", "Here you will see what may be wrong with them.")
        frame.empty(str(problem), "Choose pictures", "data")
        return
    subject = checking.usual(digest)
    standing = checking.standing(subject)
    if standing.word == "none":
        checking.begin(subject)
        standing = checking.standing(subject)
    if standing.found:
        _report(subject, standing.found, index)
    elif standing.alive:
        frame.title(
            f"Looking through {verdicts.pictures(len(index.pictures))}.",
            f"{datasets.name(digest)}: for copies, wrong labels and whatever else may ruin a"
            " result. You can close this page: the check goes on.",
        )
        _follow(subject)
        _onward(index, "")
    else:
        _failed(subject, standing, index)


@st.fragment(run_every=_EVERY)
def _follow(subject: Subject) -> None:
    """Show how far the check is, and go on when it has ended."""
    standing = checking.standing(subject)
    if not standing.alive:
        st.rerun()
    frame.progress(*waiting.how_far(standing.word, standing.status))


def _failed(subject: Subject, standing: Standing, index: ImageIndex) -> None:
    frame.title(
        "The pictures could not be checked.", "Nothing was lost, and a training works without it."
    )
    frame.error(standing.error or "The reason is not known.")
    st.button("Try again", key="check_again", on_click=checking.begin, args=(subject,))
    _onward(index, "")


def _onward(index: ImageIndex, remark: str) -> None:
    """Show the button to press, beside a remark."""
    counts = index.counts().values()
    usable = sum(number >= datasets.FEWEST for number in counts) >= 2
    with st.container(horizontal=True, vertical_alignment="center", key="verdict_row"):
        st.html(f'<p class="quiet">{html.escape(remark)}</p>')
        frame.next_step("Go on: choose a network", "advice", disabled=not usable)


def _report(subject: Subject, report: checked.Report, index: ImageIndex) -> None:
    found = health.findings(report, index)
    frame.title(
        health.title(found, len(index.pictures)),
        f"{datasets.name(subject.digest)}: what may ruin a result, the worst first.",
    )
    notes = sum(one.severity == health.NOTE for one in found)
    remark = f"And {words.many(notes, 'remark')} below." if notes < len(found) else ""
    _onward(index, remark if notes else "")
    if report.groups and report.groups.guess and not report.groups.named:
        _guess(subject.digest, report.groups.guess)
    for number, one in enumerate(found):
        _finding(subject.digest, one, number)
    if report.number:
        _number(report.number)
    _more_pictures(subject)
    if fine := health.in_order(report, found):
        with st.expander(f"What was looked at and found in order ({len(fine)})"):
            rows = "".join(f"<li>{html.escape(one[0].upper() + one[1:])}.</li>" for one in fine)
            st.html(f'<ul class="reasons">{rows}</ul>')
            st.caption(
                "That nothing was found does not prove that there is nothing. What a network sees"
                f" in the pictures was told by {words.plain(subject.backbone)}."
            )


@st.fragment
def _finding(digest: str, one: Finding, number: int) -> None:
    """Show one finding with its pictures, what to do, and how it was found."""
    sign, word = health.SIGNS[one.severity]
    with st.container(border=True, key=f"finding_{number}", gap="small"):
        st.html(
            f'<p class="verdict {_COLOURS[one.severity]}"><span>{sign}</span>{word}</p>'
            f"<h2>{html.escape(one.headline)}</h2><p>{html.escape(one.meaning)}</p>"
        )
        if one.groups:
            key = f"shown:{digest}:{number}:{one.kind}"
            shown, rest = _first(one.groups, int(st.session_state.get(key, _FIRST)))
            st.html(_pictures(digest, shown, one.paired))
            if rest:
                st.button(
                    f"Show more ({rest:,} left)",
                    key=f"more_{number}",
                    type="tertiary",
                    on_click=_show_more,
                    args=(key,),
                )
        with st.container(horizontal=True, vertical_alignment="center", key=f"what_{number}"):
            st.html(f"<p><b>What to do.</b> {html.escape(one.remedy)}</p>")
            acts = st.container(
                horizontal=True, vertical_alignment="center", width="content", gap="small"
            )
            with acts:
                if one.find and "mend" in state.PAGES:
                    st.page_link(
                        state.file_of("mend"),
                        label="Mend these" if len(one.pictures) != 1 else "Mend it",
                        icon=":material/build:",
                        query_params={"data": digest, "find": one.find},
                    )
                if one.kind == "duplicates":
                    _keep_one(digest)
                frame.explain(one.why)


def _keep_one(digest: str) -> None:
    """Offer to delete all but one of each set of copies; it can be looked at and undone on Mend."""
    report = checking.standing(checking.usual(digest)).found
    files = health.spare(report, datasets.index(digest)) if report else ()
    if files and st.button(f"Keep one of each (delete {len(files):,})", key="keep_one"):
        versions.change(digest, Change("delete", files))
        st.switch_page(state.file_of("mend"), query_params={"data": digest})


def _show_more(key: str) -> None:
    st.session_state[key] = int(st.session_state.get(key, _FIRST)) + _MORE


def _first(
    groups: tuple[tuple[Shown, ...], ...], most: int
) -> tuple[tuple[tuple[Shown, ...], ...], int]:
    """Return the first whole groups with so many pictures, and how many pictures are left."""
    there, shown = 0, 0
    for group in groups:
        if there >= most:
            break
        there += min(len(group), _BESIDE)
        shown += 1
    return groups[:shown], sum(map(len, groups[shown:]))


def _pictures(digest: str, groups: tuple[tuple[Shown, ...], ...], paired: bool) -> str:
    """Return the pictures: those of one group beside each other in a frame of their own."""
    if not paired:
        return gallery.grid(
            digest, (_entry(one) for group in groups for one in group), kind="opened"
        )
    return f'<div class="groups">{"".join(_group(digest, group) for group in groups)}</div>'


def _group(digest: str, group: tuple[Shown, ...]) -> str:
    entries = [_entry(one) for one in group[:_BESIDE]]
    rest = len(group) - len(entries)
    more = f'<p class="small quiet">and {rest:,} more like these</p>' if rest else ""
    style = f"--across:{len(entries)}"
    return f'<div class="group" style="{style}">{gallery.grid(digest, entries)}{more}</div>'


def _entry(one: Shown) -> gallery.Entry:
    return gallery.Entry(one.sha256, alt=one.name, caption=one.caption)


def _number(number: Number) -> None:
    """Show how good a quick classifier is, with what belongs together kept together."""
    frame.heading("How good would it be, asked honestly?", _WHY_THE_NUMBER)
    rows = [("Kept together", "the honest number", number.honest)]
    if number.ungrouped and honest.torn(number):
        rows.append(("Torn apart", "for comparison only", number.ungrouped))
    body = "".join(
        f'<tr><th scope="row"><span class="class-name">{title}</span>'
        f'<small class="quiet">{what}</small></th><td data-of="Right">'
        f"{matrix.whiskered(share, verdicts.pictures(share.n))}</td></tr>"
        for title, what, share in rows
    )
    said = [honest.sentence(number), honest.torn(number), honest.not_apart(number.apart)]
    text = "".join(f"<p>{html.escape(one)}</p>" for one in said if one)
    st.html(f'<div class="card honest">{text}<table class="plain classes">{body}</table></div>')


def _more_pictures(subject: Subject) -> None:
    """Show what more pictures would give, where that was measured."""
    found = outlook.read(subject.run)
    if found is None:
        return
    frame.heading("Would more pictures help?", outlook.ABOUT)
    st.html(f"<p>{html.escape(outlook.sentence(found))}</p>")
    st.vega_lite_chart(
        outlook.chart(found, st.context.theme.type or "light"),
        alt=outlook.in_words(found),
        key="chart_outlook",
    )
    with st.expander("Show the figures"):
        st.dataframe(pd.DataFrame(outlook.table(found)), hide_index=True)
        if rows := outlook.classes(found):
            st.markdown("**Class by class**: where it cannot be told from chance, nothing stands")
            st.dataframe(pd.DataFrame(rows), hide_index=True)


def _guess(digest: str, guess: checked.Guess) -> None:
    """Offer to keep together what the file names seem to name."""
    told = guess.words or (
        f"They seem to name {words.many(guess.groups, 'group')}, for example {guess.example}."
        " Pictures of one group, say of one patient or one day, should be kept together."
    )
    with st.container(border=True, key="guess", gap="small"):
        st.html(f"<h2>Do your file names name groups?</h2><p>{html.escape(told)}</p>")
        if pending := len(versions.draft(digest)):
            st.caption(f"Your {words.many(pending, 'change')} of these pictures will be kept, too.")
        if st.button("Keep them together", key="keep_together"):
            versions.change(digest, Change("group", pattern=guess.pattern))
            state.go("health", data=versions.keep(digest))


page()
