"""The camera: press and hold to shoot a burst of pictures into a class; they go in as an upload."""

from collections.abc import Sequence

import streamlit as st

from app.components import sending
from app.routes import uploads

_MOST_CARDS = 8  # for the classes of a data set; more are found by their name

# The classes are those of the HTML below; values in braces are filled in by the browser.
_TEXTS = sending.TEXTS | {
    "parts": {
        **sending.PARTS,
        "leaving": "The pictures are on their way. Leave this tab open until they have arrived.",
        "start": "Try the camera again",
        "mirror-words": "Mirror the preview (the pictures stay as they are)",
        "camera-words": "Camera",
        "advice": "Let go and press again from another side, in other light, on another background:"
        " pictures of one press stay together when the classifier is tested, so five short presses"
        " say more than one long one.",
        "add-class": "Add a class",
    },
    "starting": "Waiting for the camera. If the browser asks whether this page may use it, allow"
    " it.",
    "insecure": "A browser lends its camera only to a page that is safe: on the machine on which"
    " the app runs (http://localhost:{port}), or over https. This page is {origin}. Open it in one"
    " of these ways, or take the pictures with another program and choose them as files.",
    "refused": "The browser does not let this page use the camera. Allow it in the settings of this"
    " page (the sign beside the address), then try again.",
    "none": "No camera was found on this device. Connect one and try again, open this page on a"
    " device that has one, or choose pictures as files.",
    "taken": "The camera does not start: another program or tab may be using it. Close that, then"
    " try again.",
    "stopped": "The camera has stopped: it was unplugged, or taken by another program. The"
    " pictures are still here.",
    "class": "Class {n}",
    "name_of": "Name of class {n}",
    "hold": "Hold to take pictures",
    "holding": "Taking pictures: let go to stop",
    "hold_for": "Hold to take pictures of {name}",
    "called": "Camera {day} {time}",
    "picture": "1 picture",
    "pictures": "{n} pictures",
    "press": "1 press",
    "presses": "{n} presses",
    "empty": "No pictures yet",
    "shot": "Remove picture {n} of {name}",
    "shots": "Pictures of {name}",
    "restored": "{pictures} from before the page was loaded anew: not sent yet, and here again.",
    "removed": "1 picture of {name} removed.",
    "undo": "Put it back",
    "remove_class": "Remove {name}",
    "removed_class": "{name} removed, with {pictures}.",
    "added": "{pictures} added to {name}.",
    "use": "Use {pictures}",
    "too_few": "{classes} classes with {fewest} or more pictures each are needed to go on.",
    "same": "Two classes are called {name}: their pictures go into one class.",
}

_HTML = f"""
<section class="uploader camera">
  <div class="studio">
    <div class="view">
      <div class="screen">
        <video class="video" autoplay muted playsinline></video>
        <p class="waiting"></p>
      </div>
      <div class="controls">
        <label class="pick"><span class="camera-words"></span> <select class="cameras"></select>
        </label>
        <label class="tick">
          <input type="checkbox" class="mirror"> <span class="mirror-words"></span>
        </label>
        <button type="button" class="start"></button>
      </div>
      <p class="advice"></p>
    </div>
    <div class="classes">
      <div class="list"></div>
      <datalist class="names" id="names"></datalist>
      <div class="buttons below">
        <button type="button" class="add-class"></button>
        <button type="button" class="undo" hidden></button>
      </div>
      <div class="finish">
        <p class="too-few"></p>
        <button type="button" class="use"></button>
      </div>
    </div>
  </div>
  <div class="area sending">{sending.WORK}</div>
  {sending.PROBLEM}
</section>
"""

_mount = st.components.v2.component(
    "transfer_camera",
    html=_HTML,
    css=sending.style("uploader.css", "camera.css"),
    js=sending.script("bursts.js", "kept.js", "card.js", "camera.js"),
)


def camera(
    key: str,
    *,
    into: str | None = None,
    classes: Sequence[str] = (),
    fewest: int = 1,
    needed: int = 1,
) -> str | None:
    """Show the camera; return the id of an upload that has just arrived, in one run only.

    Args:
        key: tells this camera from others; its pictures stay while no page shows it.
        into: the digest of the data set to which the pictures are to be added; None: a new one.
        classes: of that data set; each has a card to begin with, unless there are many.
        fewest: pictures that make a class.
        needed: classes of so many pictures that it takes to go on.
    """
    data = {
        "key": key,
        "token": uploads.token(),
        "aim": {"purpose": "data", **({"into": into} if into else {})},
        "classes": list(classes),
        "cards": list(classes) if len(classes) <= _MOST_CARDS else [],
        "fewest": fewest,
        "needed": needed,
        "texts": _TEXTS,
    }
    # A renewal only reruns the page: `data` then brings a fresh token.
    result = _mount(
        key=key, data=data, on_uploaded_change=sending.nothing, on_renewal_change=sending.nothing
    )
    return sending.arrived(result)
