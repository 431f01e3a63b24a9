"""Take the report of a run: one HTML or PDF file, with heat maps where they are wanted."""

import hashlib

import streamlit as st

from app import frame, predictor
from app.routes import downloads
from transfer.errors import TransferError
from transfer.reporting import examples, material, report
from transfer.runs import Run

_ABOUT = (
    "All that this page says, and more, in **one file** that needs nothing else: the figures with"
    " their ranges, the confusion matrix, how sure it is and whether rightly, its surest mistakes,"
    " the pictures and how they were parted, what the check of them found, the advice with its"
    " evidence, the curves and what they say, versions and seeds. The HTML file opens in any"
    " browser and holds no programs; the PDF is for paper and for sending on."
)
_FORMATS = (("HTML", ".html", "text/html"), ("PDF", ".pdf", "application/pdf"))

Layers = dict[str, bytes]  # of the pictures, by the SHA-256 of their files


@st.fragment
def offer(run: Run) -> None:
    """Offer the report as HTML and as PDF; they are made when somebody takes them."""
    frame.heading("Take the report", _ABOUT)
    name = run.folder.name
    layers: Layers = {}
    if st.toggle("With heat maps: where it looked on the examples", key=f"report_maps_{name}"):
        layers = _layers(run)
    with st.container(horizontal=True):
        for label, ending, kind in _FORMATS:
            st.download_button(
                f"Report ({label})",
                lambda ending=ending: _made(run, ending, layers),
                file_name=downloads.file_name(f"{run.about()['name']}-report", ending),
                mime=kind,
                icon=":material/description:",
                on_click="ignore",
                key=f"report_{label}",
            )


def _made(run: Run, ending: str, layers: Layers) -> bytes:
    made = report.document(run, (lambda data: layers.get(_key(data))) if layers else None)
    return report.as_pdf(made) if ending == ".pdf" else report.as_html(made)


def _layers(run: Run) -> Layers:
    """Return the layers of the report's pictures, made once in a session."""
    kept = f"report_layers_{run.folder.name}"
    if kept in st.session_state:
        return st.session_state[kept]
    found = material.read(run)
    some = [one for part in examples.chosen(found) for one in part]
    place, layers = st.empty(), dict[str, bytes]()
    try:
        for number, one in enumerate(some):
            with place.container():
                waits = "the model is being loaded, some seconds" if not number else "a moment"
                frame.progress(number / len(some), f"Picture {number + 1} of {len(some)}: {waits}.")
            data = one.path.read_bytes()
            answer = predictor.heat_map(run.folder.name, data, None, examples.SIDE)
            layers[_key(data)] = answer.layer
    except (TransferError, OSError) as problem:
        frame.error(str(problem))
        return {}
    finally:
        place.empty()
    st.session_state[kept] = layers
    return layers


def _key(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
