"""The upload area of a page: a zip, pictures or whole folders go to the disk, not into memory."""

import re
from pathlib import Path
from typing import Any

import streamlit as st

from app.routes import uploads
from app.uploads import Purpose

_FOLDER = Path(__file__).parent
_ID = re.compile(r"[0-9a-f]{16}")

# The classes are those of the HTML below; values in braces are filled in by the browser.
_TEXTS = {
    "parts": {
        "title": "Drop a zip or a folder of pictures here",
        "hint": "One folder for each class, for example cats/ and dogs/. JPEG, PNG, WebP, BMP, GIF,"
        " TIFF. Everything stays on this machine.",
        "choose-files": "Choose a zip or pictures",
        "choose-folder": "Choose a folder",
        "continue": "Continue",
        "cancel": "Cancel",
        "leaving": "You can look at other pages meanwhile. Closing or reloading this tab stops the"
        " upload.",
    },
    "looking": "Looking through the folder",
    "looked": "{count} files so far",
    "sending": "Sending {name}",
    "figures": "{sent} of {size} ({share} %)",
    "under_a_minute": "less than a minute left",
    "a_minute": "about a minute left",
    "minutes": "about {n} minutes left",
    "hours": "about {n} hours left",
    "retrying": "The connection is interrupted; trying again. Nothing is lost.",
    "offline": "There is no network. It goes on by itself as soon as there is one.",
    "arrived": "{name} has arrived ({size}).",
    "cancelled": "Cancelled; what was sent is deleted.",
    "lost": "The connection to this app is lost, and it did not come back for a minute and a half."
    " The {sent} that arrived are kept. Check that the app is running, then press Continue.",
    "nothing": "There is no file in it, or only hidden ones. Choose a folder with one folder of"
    " pictures for each class.",
    "no_files": "That was no file or folder. Drop a zip or a folder of pictures here.",
    "no_pictures": "None of the {count} files is a picture. Choose a folder with JPEG, PNG, WebP,"
    " BMP, GIF or TIFF pictures, one folder for each class.",
    "no_classes": "Nothing says which class each of these pictures belongs to. Put each class's"
    " pictures in a folder of its own, and choose the folder around them. A CSV file of file,label"
    " among the pictures would do as well.",
    "one_picture": "'{name}' is a single picture. To learn to tell classes apart takes several"
    " pictures of each: choose a folder with one folder of pictures for each class.",
    "lone_table": "'{name}' is a table without its pictures. Put it into the folder with the"
    " pictures that it names, and choose that folder.",
    "several_archives": "An archive is sent alone. Choose one zip, or unpack them into one folder"
    " and choose that.",
    "unreadable": "'{name}' could not be read. Check that it is still there and that you may open"
    " it, then choose it again.",
    "changed": "'{name}' was changed, moved or deleted while it was being sent. Choose the pictures"
    " again.",
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
_PURPOSES: dict[Purpose, dict[str, Any]] = {
    "data": {
        "texts": _TEXTS,
        "accept": ".zip,.tar,.gz,.tgz,.bz2,.tbz2,.xz,.txz,.csv,image/*",
    },
    "run": {"texts": _TEXTS | _RUN_TEXTS, "accept": ".zip"},
}

_HTML = """
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
    <div class="work" hidden>
      <p class="doing"></p>
      <div class="bar" role="progressbar" aria-label="Upload" aria-valuemin="0" aria-valuemax="100">
        <div class="filled"></div>
      </div>
      <div class="numbers"><span class="figures"></span><span class="left"></span></div>
      <p class="leaving"></p>
      <div class="buttons">
        <button type="button" class="continue"></button>
        <button type="button" class="cancel"></button>
      </div>
    </div>
  </div>
  <div role="alert">
    <div class="problem-box" hidden>
      <svg viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="1.5"
           stroke-linecap="round" role="img" aria-label="Problem">
        <circle cx="12" cy="12" r="9"/><path d="M12 7.5v5.5M12 16.5v.01"/>
      </svg>
      <p class="problem"></p>
    </div>
  </div>
  <p class="note" role="status"></p>
  <div class="spoken" aria-live="polite"></div>
</section>
"""

_mount = st.components.v2.component(
    "transfer_uploader",
    html=_HTML,
    css=(_FOLDER / "uploader.css").read_text(encoding="utf-8"),
    js="\n".join(
        (_FOLDER / name).read_text(encoding="utf-8") for name in ("tar.js", "uploader.js")
    ),
)


def uploader(key: str, purpose: Purpose = "data") -> str | None:
    """Show the upload area; return the id of an upload that has just arrived, in one run only.

    Args:
        key: tells this area from others; an upload goes on while no page shows it.
        purpose: "data" takes pictures, "run" the file of a run.
    """
    data = {"key": key, "token": uploads.token(), "purpose": purpose, **_PURPOSES[purpose]}
    # A renewal only reruns the page: `data` then brings a fresh token.
    result = _mount(key=key, data=data, on_uploaded_change=_nothing, on_renewal_change=_nothing)
    found = result.get("uploaded")
    return found if isinstance(found, str) and _ID.fullmatch(found) else None


def _nothing() -> None:
    """Streamlit tells only of events that have a callback."""
