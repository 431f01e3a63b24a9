"""The decision table: where the pictures were measured to be, and a button in each cell."""

import streamlit as st

from app import quadrant, state, ways
from app.advising import Subject
from app.measured import Advice
from app.ways import Cell

_WAY = "way"


def chosen(subject: Subject) -> str | None:
    """Return the strategy that overrules the advice; None where nothing does."""
    kept = state.choice(_WAY, _of(subject))
    return kept if ways.known(kept) else None


def decision(subject: Subject, advice: Advice | None) -> None:
    """Draw the table; without an advice yet it can be chosen from all the same."""
    above, below = ways.CELLS[:2], ways.CELLS[2:]
    with st.container(key="decision"):  # placed by their order: see the style
        st.html(quadrant.column_head(0))
        st.html(quadrant.column_head(1))
        st.html(quadrant.row_head(0))
        for cell in above:
            _cell(subject, advice, cell)
        st.html(quadrant.field(advice))
        st.html(quadrant.row_head(1))
        for cell in below:
            _cell(subject, advice, cell)


def _cell(subject: Subject, advice: Advice | None, cell: Cell) -> None:
    overruling, advised = chosen(subject), advice.strategy if advice else None
    strategy = cell.strategy
    taken = strategy == (overruling or advised)
    row, kind = "above" if cell.little else "below", "taken" if taken else "other"
    with st.container(key=f"cell_{row}_{kind}_{strategy}"):
        st.html(quadrant.cell(cell, advice, overruling))
        if strategy == overruling:
            label, then = "Take it back", None
        elif strategy == advised:
            label, then = ("Follow the advice" if overruling else "Chosen"), None
        else:
            label, then = "Choose this instead" if advised else "Choose this", strategy
        st.button(
            label,
            key=f"way_{strategy}",
            type="tertiary",
            disabled=taken and not overruling,
            on_click=state.choose,
            args=(_WAY, _of(subject), then),
        )


def _of(subject: Subject) -> str:
    return f"{subject.digest}:{subject.backbone}"
