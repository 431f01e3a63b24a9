"""What a page shows is in its address: the data set and the run, so that a link can be sent on."""

import contextlib
import re
from dataclasses import dataclass
from typing import NoReturn

import streamlit as st

from app import workshop
from transfer.errors import TransferError
from transfer.runs import Run

PAGES = {
    "data": "Data",
    "health": "Health",
    "advice": "Advice",
    "train": "Train",
    "results": "Results",
    "use": "Use",
    "runs": "Runs",
    "mend": "Mend",
    "search": "Search",
}
STEPS = ("data", "advice", "train", "results", "use")
OF_A_STEP = {"health": "data", "mend": "data", "search": "advice"}  # the bar marks that step
OF_A_RUN = ("train", "results", "use")
_PLAIN = re.compile(r"[A-Za-z0-9-]{1,64}")


@dataclass(frozen=True)
class Place:
    """Where the user is: the digest of a data set and the id of a run, where chosen."""

    data: str | None
    run: str | None

    def query(self) -> dict[str, str]:
        """Return the part of the address that says so."""
        return {key: value for key, value in vars(self).items() if value}


def here() -> Place:
    """Return the place that the address names; a run brings its data set with it."""
    data, run = _read("data"), _read("run")
    if run and not workshop.run(run).exists:
        run = None
    if run and not data:
        with contextlib.suppress(TransferError):  # of another version, or damaged: its page says so
            data = workshop.run(run).config().dataset
    return Place(data, run)


def names_missing_run() -> bool:
    """Whether the address names a run that is not here."""
    return "run" in st.query_params and here().run is None


def current_run() -> Run | None:
    """Return the run that the address names."""
    name = here().run
    return workshop.run(name) if name else None


def go(page: str, *, data: str | None = None, run: str | None = None) -> NoReturn:
    """Open another page, at this place or a new one."""
    st.switch_page(file_of(page), query_params=moved(data, run).query())


def moved(data: str | None = None, run: str | None = None) -> Place:
    """Return this place with another data set (then without a run) or another run."""
    old = here()
    if run:
        return Place(data or workshop.run(run).config().dataset, run)
    if data and data != old.data:
        return Place(data, None)
    return old


def file_of(page: str) -> str:
    """Return the file of a page, as `st.switch_page` and `st.page_link` want it."""
    return f"views/{page}.py"


def choice(name: str, subject: str) -> str | None:
    """Return what was chosen for a subject: in this session, else by the address.

    The address has it when the page was loaded anew, as the change of the theme does.
    """
    return st.session_state.get(f"{name}:{subject}", st.query_params.get(name))


def choose(name: str, subject: str, value: str | None) -> None:
    """Remember a choice for a subject, also in the address; None takes it back."""
    st.session_state[f"{name}:{subject}"] = value
    if value is None:
        st.query_params.pop(name, None)
    else:
        st.query_params[name] = value


def _read(key: str) -> str | None:
    value = st.query_params.get(key)
    return value if value and _PLAIN.fullmatch(value) else None
