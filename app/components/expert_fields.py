"""One field of the expert's drawer: its menu, switch or number, its line, what is wrong with it."""

from typing import Any

import streamlit as st

from app import choices, state, words
from app.choices import Choices
from transfer import changes as changing
from transfer import toolbox
from transfer.errors import SettingsError

_CHOSEN = "expert"
_LEFT_OPEN = {
    "level": "as the way of learning has it",
    "patience": "as the way of learning has it",
    "frozen_level": "as the way of learning has it",
}
_USUAL = "usual"
_LEVELS = {
    _USUAL: "As usual for this way of learning",
    "none": "None: pictures stay as they are",
    "light": "Light: crops and other light",
    "strong": "Strong: RandAugment and erasing besides",
}


def chosen(digest: str) -> Choices:
    """Return what is chosen for a data set: in this session, else by the address."""
    return choices.from_text(state.choice(_CHOSEN, digest))


def choose(digest: str, made: Choices) -> None:
    """Remember the choices for a data set, and draw all fields anew."""
    state.choose(_CHOSEN, digest, made.to_text())
    st.session_state[_turn_of(digest)] = _turn(digest) + 1
    forget_wrong(digest)


def wrong(digest: str) -> dict[str, str]:
    """Return the sentence for each field whose value cannot be used."""
    return st.session_state.setdefault(f"expert_wrong:{digest}", {})


def forget_wrong(digest: str) -> None:
    """Let go of what was typed wrongly: the fields are gone or drawn anew."""
    wrong(digest).clear()


def field(digest: str, name: str, usual: Any = None) -> None:
    """Draw one field; `usual` is what an empty one stands for, where that is not its default."""
    made = chosen(digest)
    key = f"expert_{name}:{digest}:{_turn(digest)}"
    said = {"key": key, "on_change": _say, "args": (digest, name, key)}
    kind, title, value = choices.kind(name), choices.title(name), made.get(name)
    if name == "level":
        _keep(key, value or _USUAL)
        st.selectbox(title, list(_LEVELS), format_func=_LEVELS.__getitem__, **said)
    elif kind is str:
        known = {one.name: one for one in toolbox.setting(name).choices}
        _keep(key, value)
        st.selectbox(title, list(known), format_func=lambda one: known[one].title, **said)
    elif kind is bool:
        _keep(key, bool(value))
        st.toggle(title, **said)
    else:
        _keep(key, value)
        st.number_input(
            title,
            value=None,
            step=1 if kind is int else _step(name),
            format="%d" if kind is int else "%g",
            placeholder=_placeholder(name, usual),
            **said,
        )
    if name in wrong(digest):
        st.error(words.plain(wrong(digest)[name]), icon=":material/error:")
    st.caption(words.plain(_line(name, value)))


def _say(digest: str, name: str, key: str) -> None:
    value = st.session_state[key]
    if (name == "upside_down" and not value) or (name == "level" and value == _USUAL):
        value = None
    try:
        made = chosen(digest).put(name, value)
    except SettingsError as problem:
        wrong(digest)[name] = str(problem)
        return
    wrong(digest).pop(name, None)
    state.choose(_CHOSEN, digest, made.to_text())


def _line(name: str, value: Any) -> str:
    """Say what it does and when to take it; of a menu, what its present entry does."""
    if name == "level":
        return (
            "What is done to pictures while the network learns; each change below can be set by"
            " itself, and goes before this."
        )
    for change in changing.CHOICES:
        if change.name == name:
            unit = f" The number: {change.unit}." if name != "upside_down" else ""
            return f"{change.line}{unit}"
    one = toolbox.setting(name)
    entries = [entry.summary for entry in one.choices if entry.name == value]
    return " ".join([*entries, *([] if entries else [one.summary])])


def _placeholder(name: str, usual: Any) -> str:
    if usual is not None:
        return f"as usual: {usual:g}"
    ours = choices.usual(name)
    return f"as usual: {ours:g}" if ours is not None else _LEFT_OPEN.get(name, "as usual: none")


def _step(name: str) -> float:
    """Return by how much the buttons beside a number change it."""
    for change in changing.CHOICES:
        if change.name == name:
            return 1.0 if change.high > 10 else 0.05
    one = toolbox.setting(name)
    return 0.05 if one.high <= 1 else 1e-4


def _keep(key: str, value: Any) -> None:
    """Give a field that is drawn anew what was chosen before."""
    if key not in st.session_state:
        st.session_state[key] = value


def _turn(digest: str) -> int:
    return int(st.session_state.get(_turn_of(digest), 0))


def _turn_of(digest: str) -> str:
    return f"expert_turn:{digest}"
