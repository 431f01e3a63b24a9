"""The gallery of the page Mend: thousands of pictures to look through, choose from and change."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import streamlit as st

from app.components import files
from app.routes import mending, pictures

_NAMES = ("draft", "grid", "parts", "keys", "gallery")
_SCRIPTS = tuple(f"mending_{name}.js" for name in _NAMES)
_SIDE = 192  # pixels of a thumbnail

# `parts` are the classes of the HTML below; values in braces are filled in by the browser.
_TEXTS: dict[str, Any] = {
    "parts": {
        "every": "Choose all in view",
        "keys": "Keys",
        "relabel": "Move to class ...",
        "split_off": "New class from these",
        "move": "Training or test ...",
        "suggested": "Use the suggested class",
        "delete": "Delete",
        "undo": "Undo",
        "redo": "Redo",
        "rename": "Rename",
        "merge": "Merge with ...",
        "delete_class": "Delete class",
        "nothing": "No picture fits. Choose another class above, or search for other letters.",
        "ask-no": "Cancel",
        "close-help": "Close",
        "close-large": "Close",
        "earlier": "Earlier",
        "later": "Later",
        "large-relabel": "Move to class ...",
        "large-delete": "Delete",
        "help-title": "Keys",
        "help-touch": "With a finger: tap chooses a picture, and holding it shows it large. With a"
        " mouse, pictures can also be dragged onto a class.",
    },
    "keys": [
        ["Arrows", "go from picture to picture; with Shift they choose a range"],
        ["Space", "chooses the picture, or lets it go"],
        ["Enter", "shows it large; Escape closes it"],
        ["1 to 9", "move what is chosen to the class with this number"],
        ["Letters", "move it to the class whose name begins so"],
        ["Delete", "deletes what is chosen"],
        ["Ctrl + A", "chooses all in view"],
        ["Ctrl + Z", "takes the last change back; with Shift it is made again"],
        ["/", "goes to the search"],
        ["Escape", "chooses nothing"],
        ["?", "shows this list"],
    ],
    "find": "Search in file names",
    "all": "All",
    "changed": "Changed",
    "none": "Choose none",
    "one": "1 picture",
    "many": "{count} pictures",
    "shown": "{pictures}",
    "chosen": ", {count} chosen",
    "loading": "Loading the pictures ...",
    "chip": "{name}: press {number} to move pictures here",
    "picture": "{name}, class {label}",
    "was": " (was {old})",
    "perhaps": ", perhaps {label}",
    "place": "{place} of {count}",
    "relabelled": "{pictures} moved to {to}.",
    "deleted": "{pictures} deleted. Undo brings them back.",
    "moved": "{pictures} moved.",
    "renamed": "{of} is now called {to}.",
    "merged": "{of} is part of {to} now.",
    "class_deleted": "The class {of} is deleted. Undo brings it back.",
    "undo": "Taken back: {what}.",
    "redo": "Made again: {what}.",
    "ask_class": "Move {pictures} to which class?",
    "ask_new": "What is the new class of {pictures} called?",
    "ask_part": "Use {pictures} for what?",
    "ask_name": "What is the class {name} to be called?",
    "ask_merge": "Merge {name} with which class?",
    "ask_delete": "Delete the class {name} with {pictures}? Undo brings it back.",
    "type_class": "Type a name",
    "type_some": "Type some letters",
    "make": "New class '{name}'",
    "use": "Call it '{name}'",
    "part_train": "Training: it learns from them",
    "part_val": "Validation: they choose between ways",
    "part_test": "Test: they judge the result",
    "lost": "The change did not reach this app, so it was taken back here. Check that the app is"
    " running, and make it again.",
}

_HTML = """
<section class="mending">
  <div class="top">
    <input type="search" class="find" autocomplete="off" spellcheck="false">
    <div class="chips" role="group" aria-label="Which pictures"></div>
  </div>
  <div class="line">
    <p class="shown" role="status"></p>
    <button type="button" class="every plain"></button>
    <span class="class-tools">
      <button type="button" class="rename plain" hidden></button>
      <button type="button" class="merge plain" hidden></button>
      <button type="button" class="delete_class plain" hidden></button>
    </span>
    <button type="button" class="keys plain"></button>
  </div>
  <div class="view" role="listbox" aria-multiselectable="true" aria-label="Pictures" tabindex="-1">
    <p class="nothing" hidden></p>
    <div class="space" role="presentation"></div>
  </div>
  <div class="tools" role="group" aria-label="What to do with the pictures that are chosen">
    <button type="button" class="relabel"></button>
    <button type="button" class="suggested" hidden></button>
    <button type="button" class="split_off"></button>
    <button type="button" class="move" hidden></button>
    <button type="button" class="delete"></button>
    <span class="steps">
      <button type="button" class="undo"></button>
      <button type="button" class="redo"></button>
    </span>
  </div>
  <p class="note" role="status"></p>
  <p class="problem" role="alert" hidden></p>
  <dialog class="ask">
    <p class="ask-title"></p>
    <input type="text" class="ask-input" autocomplete="off" spellcheck="false" maxlength="100">
    <div class="options"></div>
    <div class="buttons">
      <button type="button" class="ask-yes" hidden></button>
      <button type="button" class="ask-no"></button>
    </div>
  </dialog>
  <dialog class="large" aria-label="The picture, large">
    <img class="large-picture" alt="">
    <div class="about">
      <p class="large-label"></p>
      <p class="large-name"></p>
      <p class="large-place"></p>
    </div>
    <div class="buttons">
      <button type="button" class="earlier"></button>
      <button type="button" class="later"></button>
      <button type="button" class="large-relabel"></button>
      <button type="button" class="large-delete"></button>
      <button type="button" class="close-large"></button>
    </div>
  </dialog>
  <dialog class="help">
    <p class="help-title"></p>
    <table class="keys-table"></table>
    <p class="help-touch"></p>
    <div class="buttons"><button type="button" class="close-help"></button></div>
  </dialog>
</section>
"""

_mount = st.components.v2.component(
    "transfer_mending_gallery",
    html=_HTML,
    css=files.joined("base.css", "mending_gallery.css"),
    js=files.joined(*_SCRIPTS),
)


@dataclass(frozen=True)
class Shown:
    """Pictures to begin with: what they are, their positions, and a likely class for each or ""."""

    label: str = ""
    positions: Sequence[int] = ()
    hints: Sequence[str] = ()


def mending_gallery(
    digest: str,
    revision: int,
    shown: Shown | None = None,
    first: str | None = None,
    view: str | None = None,
) -> str | None:
    """Show the gallery; the page runs again after each change that was made in it.

    Args:
        digest: of the data set; what is shown is its draft.
        revision: the number of changes, by which the browser sees that some were made elsewhere.
        shown: pictures to show first.
        first: the class to show first.
        view: what to show instead of both, as it was returned before.

    Returns:
        What is shown from now on, "all", "found", "changed" or "class:" and its name, where another
        choice was made there; else None.
    """
    found = shown or Shown()
    hints = list(found.hints) or [""] * len(found.positions)
    data = {
        "digest": digest,
        "token": mending.token(digest),
        "link": pictures.links(digest, _SIDE),
        "original": mending.originals(digest),
        "revision": revision,
        "found": {"label": found.label, "positions": list(found.positions), "hints": hints},
        "first": first,
        "view": view or "",
        "texts": _TEXTS,
    }
    # All rerun the page: it then shows the changes, or `data` brings a fresh token.
    result = _mount(
        key=f"mending_{digest}",
        data=data,
        on_changed_change=_nothing,
        on_renewal_change=_nothing,
        on_view_change=_nothing,
    )
    chosen = result.get("view")
    return chosen if isinstance(chosen, str) else None


def _nothing() -> None:
    """Streamlit tells only of events that have a callback."""
