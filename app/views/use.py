"""Page 5: try the classifier on a picture, and take it away."""

import html

import streamlit as st
from PIL import Image

from app import frame, looking, predictor, state, storage, verdicts, words, workshop
from app.components import asking, exports, many_pictures, unsure
from app.predictor import Answer
from app.routes import downloads
from transfer.dataset.decode import UnreadableError, decode, read
from transfer.errors import DataError, TransferError
from transfer.runs import Run

_SHOWN = 8  # classes with a bar
_COLUMNS = "minmax(80px,24%) 1fr 80px"  # room for "under 1 %"
_WIDTH = 240  # pixels of the picture that was tried
_PICTURES = ["jpg", "jpeg", "png", "webp", "bmp", "gif", "tif", "tiff"]


def page() -> None:
    """Draw the page for the run that the address names."""
    run = state.current_run()
    if run is None or not run.finished:
        frame.title("No model to use yet.", "Here you will try it, and take it with you.")
        frame.empty(
            "Once a training has finished, you can show its classifier a picture here, and download"
            " the model for your own programs.",
            "See how the training stands" if run else "Choose pictures and start",
            "train" if run else "data",
        )
        return
    predictor.warm(run.folder.name)
    frame.title("Take it with you.", f"{run.about()['name']}: try a picture, then take the model.")
    left, right = st.columns(2, gap="large")
    with left:
        _try(run)
    with right:
        _take(run)
    frame.heading("Look at many pictures", many_pictures.WHY)
    many_pictures.many_pictures(run)


def _try(run: Run) -> None:
    frame.heading(
        "Try a picture",
        f"The classifier gives each class a share; together they are 100 %. {unsure.ABOUT} The"
        " picture is not kept.",
    )
    way = st.segmented_control(
        "Where the picture comes from",
        ["A file", "The camera"],
        default="A file",
        label_visibility="collapsed",
        key="way",
    )
    if way == "The camera":
        given = st.camera_input("Take a picture", label_visibility="collapsed", key="camera")
    else:
        given = st.file_uploader(
            "Drop a picture here", type=_PICTURES, key="picture", max_upload_size=64
        )
    if given is None:
        if predictor.state() != "ready":
            st.html(
                '<p class="quiet small">The first answer takes some seconds, the next do not.</p>'
            )
        return
    data = given.getvalue()
    try:
        with st.spinner("Looking at the picture ...", show_time=True):
            answer = predictor.classify(run.folder.name, data)
    except TransferError as problem:
        # The model beside it can be taken away all the same.
        frame.error(_by_name(problem, given.name, data))
        return
    if way != "The camera":
        st.image(_upright(data), width=_WIDTH)
    unsure.told(answer)
    _bars(answer)
    looking.tried(run, data, _upright(data), answer)


def _by_name(problem: TransferError, name: str, data: bytes) -> TransferError:
    """Return what is wrong with a file by its name, where the file is what is wrong."""
    if isinstance(problem, DataError):
        try:
            read(data, name)
        except UnreadableError as reason:
            return DataError(f"'{name}' {reason}.")
        except MemoryError:
            return problem
    return problem


def _upright(data: bytes) -> Image.Image:
    """Return the picture as the network saw it: turned as the camera said, in 8 bits a colour."""
    picture = Image.fromarray(decode(data))
    picture.thumbnail((2 * _WIDTH, 4 * _WIDTH))
    return picture


def _bars(answer: Answer) -> None:
    order = sorted(zip(answer.probabilities, answer.classes, strict=True), reverse=True)
    share, label = verdicts.probability(order[0][0]), html.escape(order[0][1], quote=True)
    rows = "".join(_bar(name, p) for p, name in order[:_SHOWN])
    st.html(
        f'<p class="figure" data-answer="{label}">{label}</p>'
        f'<p class="quiet small">{unsure.limits(answer)}</p>'
        f'<div role="img" aria-label="{label}: {share}">{rows}</div>'
    )
    with st.expander("Show the figures"):
        st.dataframe(
            [{"Class": name, "Probability": round(p, 4)} for p, name in order], hide_index=True
        )
        st.caption(f"Answered in {answer.milliseconds:.0f} ms.")


def _bar(name: str, share: float) -> str:
    return (
        f'<div class="bar-row" style="grid-template-columns:{_COLUMNS}">'
        f'<span class="name">{html.escape(name)}</span>'
        f'<span class="track"><span class="fill" style="display:block;width:{100 * share:.1f}%">'
        f'</span></span><span class="share">{verdicts.probability(share)}</span></div>'
    )


def _take(run: Run) -> None:
    frame.heading(
        "Take the model",
        "A **SavedModel** is TensorFlow's format for models that run elsewhere: in your own Python"
        " program, on a server (TensorFlow Serving), or converted for a phone. It takes the bytes"
        " of picture files and does everything else itself. It was loaded in a separate process"
        " without this program, and had to give the same answers before it is offered here.",
    )
    checked = run.read("export")
    if checked is None:
        _export_pending(run)
        return
    name = downloads.file_name(str(run.about()["name"]), ".zip")
    link = downloads.link("model", run.folder.name, name)
    size = words.size(storage.size(run.export_folder))
    on = words.many(checked["checked"], "picture")
    st.html(
        f'<div class="card"><p><span class="class-name">SavedModel</span>'
        f' <span class="quiet">for a server or your own program, {size}</span></p>'
        f'<p class="verdict good">✓ checked: the same answers on all {on}</p>'
        f'<p class="quiet small">Its percentages differ by'
        f" {verdicts.points(checked['max_difference'])}.</p>"
        f'<p><a class="button" href="{link}" download="{html.escape(name, quote=True)}">'
        f"Download {html.escape(name)}</a></p></div>"
    )
    with st.expander("How to use it"):
        st.markdown("Unpack the zip. With TensorFlow installed (`pip install tensorflow`):")
        st.code("python example.py photo.jpg", language="sh")
        st.markdown("This is `example.py`, which lies in the zip:")
        st.code((run.export_folder / "example.py").read_text(encoding="utf-8"), language="python")
    exports.further_formats(run)
    with st.expander("Ask it over HTTP"):
        asking.over_http(str(run.about()["name"]))


@st.fragment(run_every=2.0)
def _export_pending(run: Run) -> None:
    """Show how far the check is, or why it failed."""
    if run.read("export") is not None:
        st.rerun()
    standing = workshop.standing(run)
    if standing.word == "exporting":
        status = run.status_now()
        left = status.get("seconds_left")
        when = f", at most {words.duration(left)}" if left else ""
        frame.progress(None, f"The model is written and checked in a process of its own{when}.")
        return
    if standing.error:
        frame.error(standing.error)
    st.html('<p class="quiet">The model has not been written for taking away yet.</p>')
    if st.button("Write and check it now", type="primary", key="export"):
        workshop.go_on(run)
        st.rerun()


page()
