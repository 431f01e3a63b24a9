"""The pictures as the network will see them, plain and changed, as soon as a setting is changed."""

import html
from collections.abc import Sequence

import streamlit as st

from app import predictor, words
from app.choices import Choices
from transfer import changes as changing
from transfer.dataset.index import ImageIndex
from transfer.errors import TransferError

_NUMBER = 6
_EVERY = 1.0  # seconds between two looks for the process that draws them


def preview(
    index: ImageIndex, strategy: str, image_size: int, made: Choices, flips: tuple[bool, bool]
) -> None:
    """Show a few pictures, plain and as these choices change them.

    They come from the prediction process: it has TensorFlow, which this one never loads.
    """
    seed_key = f"preview_seed:{index.digest}"
    seed = int(st.session_state.setdefault(seed_key, 0))
    asked = {
        "dataset": index.digest, "image_size": image_size,
        "level": changing.POLICIES[strategy], "changes": made.changes.to_json(),
        "mirror": flips[0], "turn": flips[1], "seed": seed, "number": _NUMBER,
    }  # fmt: skip
    if predictor.state() != "ready":
        predictor.wake()
        _wait()
        return
    try:
        answer = predictor.preview(asked)
    except TransferError as problem:
        st.error(words.plain(str(problem)), icon=":material/error:")
        return
    with st.container(key="preview"):
        _draw(answer)
    st.button(
        "Change them in another way", key="preview_again", type="tertiary",
        icon=":material/casino:", on_click=_next, args=(seed_key,),
    )  # fmt: skip


def _draw(answer: dict[str, list[str]]) -> None:
    st.html(
        '<div class="seen"><p class="small quiet">As the network sees them, unchanged</p>'
        f"{_row(answer['plain'], answer['labels'], 'unchanged')}"
        '<p class="small quiet">The same, as they are learned from with the choices below'
        " (each time in another way)</p>"
        f"{_row(answer['augmented'], answer['labels'], 'changed')}</div>"
    )


@st.fragment(run_every=_EVERY)
def _wait() -> None:
    """Wait for the process that draws the pictures."""
    if predictor.state() == "ready":
        st.rerun()
    st.html(
        '<p class="small quiet" aria-live="polite">The pictures are drawn by a process of their'
        " own, which is starting: at most about 20 seconds, the first time.</p>"
    )


def _row(pictures: Sequence[str], labels: Sequence[str], how: str) -> str:
    figures = "".join(
        f'<figure><img src="data:image/jpeg;base64,{picture}" alt="{_told(label)}, {how}"'
        f' title="{_told(label)}"><figcaption>{_told(label) if how == "changed" else ""}'
        "</figcaption></figure>"
        for picture, label in zip(pictures, labels, strict=True)
    )
    return f'<div class="gallery seen">{figures}</div>'


def _told(label: str) -> str:
    return html.escape(label, quote=True)


def _next(key: str) -> None:
    st.session_state[key] += 1
