"""Where the model looked: heat maps over the pictures of a run, and over one that was tried."""

from collections.abc import Callable, Sequence

import streamlit as st
from PIL import Image

from app import frame, predictor
from app.figures import Answer
from app.predictor import Looked
from app.routes import heat_maps
from transfer.errors import TransferError
from transfer.runs import Run

WHY = (
    "The model cuts a picture into parts and adds up what each part says. **The brighter a part,"
    " the more it speaks for the class**; what is left clear says nothing, or speaks against it."
    " {how}\n\n"
    "**What it tells**: what the answer for this picture rests on. Is the thing dark and its"
    " background bright, then the model may have learned the place, the lighting or the camera"
    " instead of the thing: look for pictures of other classes at the same place.\n\n"
    "**What it does not tell**: why a part speaks for the class, whether it is right to, or what"
    " the model would say without it. The parts are coarse and each was seen together with its"
    " surroundings, so the exact edge of a bright patch means nothing. And a bright patch on the"
    " thing is no proof that the answer is right."
)
EXACT = "These are the very addends of its sum (*class activation map*), nothing is estimated."
GUESSED = (
    "Here the sum is not a plain one, so each part counts by how much a small change of it would"
    " change the answer (*Grad-CAM*): a good guess, not an account."
)
_WIDTH = 400  # pixels of the picture that was tried
_LABEL = "Show where it looked"


def switch(run: Run, place: str, digest: str, pictures: tuple[Answer, ...]) -> Callable[[str], str]:
    """Offer to show where it looked; return what gives the link to the layer of a picture.

    Args:
        run: the finished run.
        place: tells several switches of one page apart.
        digest: of its data set.
        pictures: those that are shown, at least one.
    """
    name = run.folder.name
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        wanted = st.toggle(_LABEL, key=f"looked_{place}_{name}", disabled=not pictures)
        _meaning(run)
    return _layers(run, digest, pictures[0].sha256) if wanted and pictures else _none


def choice(
    runs: Sequence[Run], names: Sequence[str], place: str, digest: str, sha256: str
) -> Callable[[str], str]:
    """Offer to show where one of several runs looked; return what `switch` returns.

    Args:
        runs: finished runs, all of one data set.
        names: what people call them.
        place: tells several choices of one page apart.
        digest: of the data set.
        sha256: of the first picture that is shown.
    """
    titles = {-1: "Of neither", **dict(enumerate(names))}
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        chosen = st.selectbox(
            _LABEL,
            list(titles),
            format_func=titles.__getitem__,
            key=f"looked_{place}",
            width=320,
        )
        _meaning(runs[max(chosen, 0)])
    return _none if chosen < 0 else _layers(runs[chosen], digest, sha256)


def _none(_: str) -> str:
    return ""


def _meaning(run: Run) -> None:
    exact = st.session_state.get(f"looked_at:{run.folder.name}", True)
    frame.explain(WHY.format(how=EXACT if exact else GUESSED), "What does it mean?")


def _layers(run: Run, digest: str, sha256: str) -> Callable[[str], str]:
    """Return what gives the link to the layer of a picture, the model being loaded by a first."""
    name = run.folder.name
    kept = f"looked_at:{name}"  # what is known of the maps of this run: exact or not
    if kept not in st.session_state:
        try:  # one is asked for here: it loads the model, and says in words what is wrong
            with st.spinner("The model is being loaded, some seconds ...", show_time=True):
                data = heat_maps.file(digest, sha256).read_bytes()
                found = predictor.heat_map(name, data, None, heat_maps.SIDE)
        except (TransferError, OSError) as problem:
            frame.error(str(problem))
            return _none
        st.session_state[kept] = found.exact
    link = heat_maps.links(name, digest)
    return lambda one: link.format(sha256=one)


def tried(run: Run, data: bytes, picture: Image.Image, answer: predictor.Answer) -> None:
    """Show where it looked on a picture that was tried, for any class.

    Args:
        run: the finished run.
        data: the file.
        picture: the same, upright, as large as it is shown.
        answer: what the model said of it.
    """
    order = sorted(zip(answer.probabilities, answer.classes, strict=True), reverse=True)
    kept = f"looked_at:{run.folder.name}"
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        wanted = st.toggle("Where did it look?", key="looked_tried")
        exact = st.session_state.get(kept, True)
        frame.explain(WHY.format(how=EXACT if exact else GUESSED), "What does it mean?")
    if not wanted:
        return
    names = [name for _, name in order]
    chosen = st.selectbox("What speaks for", names, key=f"looked_class_{run.folder.name}")
    try:
        with st.spinner("Looking again ...", show_time=True):
            found = predictor.heat_map(run.folder.name, data, chosen, max(picture.size))
    except TransferError as problem:
        frame.error(problem)
        return
    st.session_state[kept] = found.exact
    st.image(_over(picture, found), width=_WIDTH)
    if not found.speaks:
        st.html('<p class="quiet small">Nothing on this picture speaks for it.</p>')


def _over(picture: Image.Image, found: Looked) -> Image.Image:
    """Return the picture with the layer over it."""
    layer = found.picture().resize(picture.size, Image.Resampling.BICUBIC)
    return Image.alpha_composite(picture.convert("RGBA"), layer).convert("RGB")
