"""The expert's drawer: how the network learns, closed for those who need not know."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import streamlit as st

from app import words
from app.choices import Choices
from app.components import expert_fields, preview
from app.measured import Advice
from transfer import changes as changing
from transfer.changes import statements
from transfer.dataset.index import ImageIndex

_STEPS = (
    "optimizer", "schedule", "learning_rate", "warm_up", "drop", "drops", "cycles",
    "plateau_patience", "batch_size", "frozen_level",
)  # fmt: skip
_HOLDS = ("weight_decay", "dropout", "drop_connect", "l1", "l2", "label_smoothing")
_ENDS = ("early_stopping", "patience")


def expert_drawer(
    index: ImageIndex, strategy: str, image_size: int, advice: Advice | None,
    said: tuple[bool | None, bool | None],
) -> tuple[Choices, list[str]]:  # fmt: skip
    """Offer the choices; return them, and a sentence for each field that cannot be used.

    Args:
        index: the data set.
        strategy: the way of learning, which trains the network.
        image_size: of the network's input, in pixels.
        advice: what was measured of mirroring and turning, where it was.
        said: whether pictures may be mirrored, and turned; None: as was measured.
    """
    digest = index.digest
    with st.container(key="expert"):
        drawer = st.expander(
            "For experts: how it learns", key=f"drawer:{digest}", on_change="rerun"
        )
        if drawer.open:
            with drawer:
                _fields(index, strategy, image_size, advice, said)
        else:
            expert_fields.forget_wrong(digest)  # its fields are gone, and what they said
        made = expert_fields.chosen(digest)
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.caption(words.plain(made.told), width="content")
            if made.different or expert_fields.wrong(digest):
                st.button(
                    "Back to the usual", key="expert_usual", type="tertiary",
                    on_click=expert_fields.choose, args=(digest, Choices()),
                )  # fmt: skip
    return made, list(expert_fields.wrong(digest).values())


def guessed(advice: Advice | None) -> tuple[bool, bool]:
    """Return whether mirroring and turning were measured to be harmless."""
    guesses = (advice.mirror, advice.turn) if advice else (None, None)
    mirror, turn = (bool(guess and guess.safe) for guess in guesses)
    return mirror, turn


def _fields(
    index: ImageIndex, strategy: str, image_size: int, advice: Advice | None,
    said: tuple[bool | None, bool | None],
) -> None:  # fmt: skip
    digest, made = index.digest, expert_fields.chosen(index.digest)
    st.caption(
        "Nothing here has to be set: the usual choices are right nearly always. An empty field is"
        " the usual one. How many epochs there are at most stands in ‘More settings’."
    )
    _part(digest, "How it steps", [name for name in _STEPS if made.matters(name)])
    _part(digest, "What keeps it from learning by heart", _HOLDS)
    _part(digest, "When it ends", [name for name in _ENDS if made.matters(name)])
    st.html("<h3>What is done to the pictures</h3>")
    expert_fields.field(digest, "level")
    flips = made.flips(said, guessed(advice))
    preview.preview(index, strategy, image_size, made, flips)
    done = made.done(strategy)
    _statements(index, done, advice)
    usual = {"magnitude": changing.Amounts.magnitude, **done.said}
    each = [one.name for one in changing.CHOICES if made.matters(one.name)]
    _columns(digest, each, usual)


def _part(digest: str, heading: str, names: Sequence[str]) -> None:
    st.html(f"<h3>{heading}</h3>")
    _columns(digest, names, {})


def _columns(digest: str, names: Sequence[str], usual: dict[str, Any]) -> None:
    """Draw fields in rows of two, so that they are read in their order on a phone, too."""
    for start in range(0, len(names), 2):
        places = st.columns(2, gap="large")
        for place, name in zip(places, names[start : start + 2], strict=False):
            with place:
                expert_fields.field(digest, name, usual.get(name))


def _statements(index: ImageIndex, done: changing.Changes, advice: Advice | None) -> None:
    """Say what of it keeps the classes of these pictures."""
    guesses = [asdict(one) if one else None for one in (
        (advice.mirror, advice.turn) if advice else (None, None)
    )]  # fmt: skip
    told = statements(done, guesses[0], guesses[1], index.classes)
    st.markdown(f"**What keeps the class of these {len(index.pictures):,} pictures**")
    st.markdown("\n".join(f"- {words.plain(sentence)}" for sentence in told))
