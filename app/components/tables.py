"""The tables behind the pictures of the page Results, to read and to take."""

from collections.abc import Callable

import pandas as pd
import streamlit as st

from app import figures
from app.figures import Figures
from transfer.runs import Run


@st.fragment
def offer(run: Run, found: Figures) -> None:
    """Offer the tables behind the pictures; they are made when somebody looks."""
    folded = st.expander("Show the figures", on_change="rerun", key=f"figures_{run.folder.name}")
    if not folded.open:
        return
    with folded:
        st.markdown("**Class by class**, shares from 0 to 1 with their 95 % Wilson intervals")
        st.dataframe(pd.DataFrame(figures.per_class(found)), hide_index=True)
        st.markdown("**Confusion matrix**: a row for each label, a column for each answer")
        names = list(found.classes)
        st.dataframe(pd.DataFrame(found.confusion, index=names, columns=names))
        with st.container(horizontal=True):
            _download("Classes", run, "classes", lambda: figures.per_class_csv(found))
            _download("Confusion matrix", run, "confusion", lambda: figures.confusion_csv(found))
            if found.answers:
                _download("Every answer", run, "answers", lambda: figures.answers_csv(found))


def _download(label: str, run: Run, what: str, make: Callable[[], bytes]) -> None:
    st.download_button(
        f"{label} (CSV)",
        make,
        file_name=f"{run.folder.name}-{what}.csv",
        mime="text/csv",
        icon=":material/download:",
        on_click="ignore",
        key=f"csv_{what}",
    )
