"""The upload area of a page: a zip, pictures or whole folders go to the disk, not into memory."""

from collections.abc import Sequence
from typing import Any

import streamlit as st

from app.components import sending
from app.routes import uploads
from app.uploads import Purpose

_MOST_CLASSES = 1000  # to choose from

# The classes are those of the HTML below; values in braces are filled in by the browser.
_TEXTS: dict[str, Any] = sending.TEXTS | {
    "parts": {
        **sending.PARTS,
        "title": "Drop a zip or a folder of pictures here",
        "hint": "One folder for each class, for example cats/ and dogs/. JPEG, PNG, WebP, BMP, GIF,"
        " TIFF. Everything stays on this machine.",
        "choose-files": "Choose a zip or pictures",
        "choose-folder": "Choose a folder",
        "leaving": "You can look at other pages meanwhile. If this tab is closed or loaded anew,"
        " choose the same pictures again within two days: what has arrived need not be sent twice.",
        "use-name": "Use this class",
        "stop-naming": "Cancel",
    },
    "looking": "Looking through the folder",
    "looked": "{count} files so far",
    "nothing": "There is no file in it, or only hidden ones. Choose a folder with one folder of"
    " pictures for each class.",
    "no_files": "That was no file or folder. Drop a zip or a folder of pictures here.",
    "no_pictures": "None of the {count} files is a picture. Choose a folder with JPEG, PNG, WebP,"
    " BMP, GIF or TIFF pictures, one folder for each class.",
    "which": "Nothing says yet which class these are ({count} files). Which one?",
    "new_class": "The name of the class",
    "or_new": "Or a new class",
    "one_picture": "'{name}' is a single picture. To learn to tell classes apart takes several"
    " pictures of each: choose a folder with one folder of pictures for each class.",
    "lone_table": "'{name}' is a table without its pictures. Put it into the folder with the"
    " pictures that it names, and choose that folder.",
    "several_archives": "An archive is sent alone. Choose one zip, or unpack them into one folder"
    " and choose that.",
    "unreadable": "'{name}' could not be read. Check that it is still there and that you may open"
    " it, then choose it again.",
    "no_run": "That is not the file of a run. Choose one file with a name like"
    " 'my-run.transfer-run.zip', as it was downloaded: do not unpack it.",
}
_RUN_TEXTS = {
    "parts": {
        **_TEXTS["parts"],
        "title": "Drop the file of a run here",
        "hint": "One file with a name like 'my-run.transfer-run.zip', as it was downloaded where"
        " the run was made. It stays on this machine.",
        "choose-files": "Choose the file of a run",
    },
    "nothing": "There is no file in it. Choose the file of a run, not a folder.",
    "no_files": "That was no file. Drop the file of a run here.",
    "changed": "'{name}' was changed, moved or deleted while it was being sent. Choose it again.",
}
_ADDING_TEXTS = {
    "parts": {
        **_TEXTS["parts"],
        "title": "Drop more pictures here",
        "hint": "Single pictures, then say which class they are; or a zip or a folder with one"
        " folder for each class. What is here already stays as it is.",
        "choose-files": "Choose pictures or a zip",
    },
}
_PURPOSES: dict[Purpose, dict[str, Any]] = {
    "data": {
        "texts": _TEXTS,
        "accept": ".zip,.tar,.gz,.tgz,.bz2,.tbz2,.xz,.txz,.csv,image/*",
    },
    "run": {"texts": _TEXTS | _RUN_TEXTS, "accept": ".zip"},
}
_ADDING = {**_PURPOSES["data"], "texts": _TEXTS | _ADDING_TEXTS}

_HTML = f"""
<section class="uploader">
  <div class="area">
    <div class="choices">
      <svg class="sign" viewBox="0 0 64 48" fill="none" stroke="currentColor" stroke-width="1.5"
           stroke-linecap="round" stroke-linejoin="round" aria-hidden="true">
        <path d="M14 9V4.5A3.5 3.5 0 0 1 17.5 1h41A3.5 3.5 0 0 1 62 4.5v25
                 a3.5 3.5 0 0 1-3.5 3.5H54"/>
        <rect x="2" y="13" width="48" height="34" rx="3.5"/>
        <circle cx="15" cy="24" r="3.5"/>
        <path d="m3 42 13-9 8 5 12-13 13 13"/>
      </svg>
      <p class="title"></p>
      <p class="hint"></p>
      <div class="buttons">
        <button type="button" class="choose-files"></button>
        <button type="button" class="choose-folder"></button>
      </div>
      <input type="file" class="input-files" multiple hidden>
      <input type="file" class="input-folder" webkitdirectory multiple hidden>
    </div>
    <form class="naming" hidden>
      <p class="question"></p>
      <div class="known buttons"></div>
      <label class="field">
        <span class="new-class"></span>
        <input class="typed-class" list="names" maxlength="80" autocomplete="off">
      </label>
      <datalist class="names" id="names"></datalist>
      <div class="buttons">
        <button type="submit" class="use-name"></button>
        <button type="button" class="stop-naming"></button>
      </div>
    </form>
    {sending.WORK}
  </div>
  {sending.PROBLEM}
</section>
"""

_mount = st.components.v2.component(
    "transfer_uploader",
    html=_HTML,
    css=sending.style("uploader.css"),
    js=sending.script("uploader.js"),
)


def uploader(
    key: str, purpose: Purpose = "data", *, into: str | None = None, classes: Sequence[str] = ()
) -> str | None:
    """Show the upload area; return the id of an upload that has just arrived, in one run only.

    Args:
        key: tells this area from others; an upload goes on while no page shows it.
        purpose: "data" takes pictures, "run" the file of a run.
        into: the digest of the data set to which the pictures are to be added; None: a new one.
        classes: of that data set, to choose from for pictures of which nothing says the class.
    """
    data = {
        "key": key,
        "token": uploads.token(),
        "aim": {"purpose": purpose, **({"into": into} if into else {})},
        "classes": list(classes[:_MOST_CLASSES]),
        **(_ADDING if into else _PURPOSES[purpose]),
    }
    # A renewal only reruns the page: `data` then brings a fresh token.
    result = _mount(
        key=key, data=data, on_uploaded_change=sending.nothing, on_renewal_change=sending.nothing
    )
    return sending.arrived(result)
