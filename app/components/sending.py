"""What the areas that send pictures have in common: how far it is, what stands in the way."""

import re
from collections.abc import Mapping

from app.components import files

_ID = re.compile(r"[0-9a-f]{16}")

# Values in braces are filled in by the browser.
TEXTS = {
    "sending": "Sending {name}",
    "going_on": "Sending the rest of {name}: {found} had arrived already",
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
    "changed": "'{name}' was changed, moved or deleted while it was being sent. Choose the pictures"
    " again.",
}
PARTS = {"continue": "Continue", "cancel": "Cancel"}  # by the classes of the HTML below

WORK = """
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
"""
PROBLEM = """
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
"""


def script(*names: str) -> str:
    """Return the scripts of an area as one, with what they build on before them."""
    return files.joined("tar.js", "sender.js", *names)


def style(*names: str) -> str:
    """Return the style of all components and these sheets as one."""
    return files.joined("base.css", *names)


def arrived(result: Mapping[str, object]) -> str | None:
    """Return the id of the upload of which an area tells, in one run only."""
    found = result.get("uploaded")
    return found if isinstance(found, str) and _ID.fullmatch(found) else None


def nothing() -> None:
    """Streamlit tells only of events that have a callback."""
