"""The curves of a run as the Train page draws them, with their explanations and their numbers."""

import html
from typing import Any

import pyarrow as pa
import streamlit as st

from app import charts, frame, phases, ways, words
from app.charts import Row
from transfer import catalog
from transfer.runs import Run

_HIDDEN = ("time", "event")
_WIDTHS = (3, 3, 2)  # of the loss, the accuracy and the learning rate


def draw(run: Run, events: list[Row]) -> None:
    """Draw loss and accuracy: over the epochs, or over the strengths of the linear classifier."""
    number, part = charts.last_tuning(events)
    rows = charts.epochs(part)
    if not any(row["phase"] == "fine_tuning" for row in rows):
        steps = charts.searched(events)
        # The linear classifier may be known from before: then nothing was searched.
        tunes = any(row["event"] == "phase" and row["phase"] == "fine_tuning" for row in events)
        if steps:
            _search(steps)
        elif not run.finished and not tunes and phases.way(run) != "linear_stages":
            _empty("They appear when all pictures have been looked at.")
        _listened(events)
        if (steps or tunes) and ways.tunes(phases.way(run)) and not run.finished:
            _empty("The curves of the retraining appear after its first epoch.")
        return
    frame.heading(
        "Is it getting better?",
        "**Loss** is how surprised the network is by the right answer: lower is better."
        " **Accuracy** is the share of right answers. The solid line is for the pictures that it"
        " learns from, the dashed one for **validation** pictures, which it never learns from: the"
        " dashed one counts. Where it turns up while the solid one falls, the network is learning"
        " by heart (overfitting), and the best epoch before that is kept. Epoch 0 is the linear"
        " classifier (phase: head); from epoch 1 on the network learns too (phase: fine-tuning):"
        " the band below the curves says so. The dotted line marks the best epoch so far. The"
        " **learning rate** is how large the steps are: it rises at first and then falls, so that"
        " learning ends gently.",
    )
    if run.config().strategy == "all":
        way = [cell for cell in ways.CELLS if cell.tunes][min(number, 1)]
        st.html(f'<p class="quiet small">These are the curves of “{way.title}”.</p>')
    _charts(rows, charts.EPOCHS)
    _how_fine(run)


def tuned(run: Run, events: list[Row]) -> str:
    """Return the way of learning whose curves over the epochs are drawn; "" where none are."""
    number, part = charts.last_tuning(events)
    if not any(row["phase"] == "fine_tuning" for row in charts.epochs(part)):
        return ""
    if run.config().strategy == "all":
        return [cell for cell in ways.CELLS if cell.tunes][min(number, 1)].strategy
    return phases.way(run)


def figures(run: Run, events: list[Row]) -> None:
    """Offer the numbers behind the curves, made when somebody looks; they can be downloaded."""
    rows = charts.epochs(charts.last_tuning(events)[1])
    table = rows if any(row["phase"] == "fine_tuning" for row in rows) else []
    table = table or charts.searched(events) or rows
    if not table:
        return
    folded = st.expander("Show the figures", on_change="rerun", key=f"curves_{run.folder.name}")
    if not folded.open:
        return
    with folded:
        st.dataframe(
            [{k: v for k, v in row.items() if k not in _HIDDEN} for row in table], hide_index=True
        )
        used = catalog.backbone(run.config().backbone).name
        st.caption(f"Losses in nats (natural logarithm). Network: {used}.")


def _charts(rows: list[Row], axis: charts.Axis) -> None:
    theme = st.context.theme.type or "light"
    rated = axis == charts.EPOCHS and charts.rates(rows, theme)
    columns = st.columns(_WIDTHS if rated else 2)
    drawn: dict[str, Any] = {
        name: charts.curves(rows, name, axis, theme) for name in ("loss", "accuracy")
    }
    if rated:
        drawn["learning_rate"] = rated
    for column, (quantity, spec) in zip(columns, drawn.items(), strict=True):
        with column:
            if not spec["data"]["values"]:  # a training that diverged at once
                continue
            told = charts.in_words(rows, quantity)
            # As a table: of a list Streamlit would make a data frame first, for each watcher.
            values = pa.Table.from_pylist(spec["data"]["values"])
            own = {name: part for name, part in spec.items() if name != "data"}
            st.vega_lite_chart(values, own, alt=told, key=f"chart_{quantity}")


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
    _charts(steps, charts.STRENGTHS)


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


def _how_fine(run: Run) -> None:
    """Say how many pictures the validation curve rests on: few make it jump."""
    number = len((run.read("split") or {}).get("val", ()))
    if number:
        one = 100 / number
        st.html(
            f'<p class="quiet small">The validation curve rests on {words.many(number, "picture")}:'
            f" one more or less right is {one:.{0 if one >= 1 else 1}f} % of it.</p>"
        )


def _empty(words_: str) -> None:
    st.html(f'<div class="card empty"><p>Curves of loss and accuracy. {words_}</p></div>')
