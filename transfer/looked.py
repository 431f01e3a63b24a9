"""Where a model looked on a picture, ready for a page.

asked     {"class": name; absent: the class that the model names, "side": pixels}
answer    {"label", "layer": transparent PNG in Base64, as large as the picture with its longer
          side at most `side`, "speaks": whether anything speaks for the class, "exact",
          "classes", "probabilities", "milliseconds"}
"""

import base64
import time
from typing import Any, Protocol

from transfer import bounds, heat_maps, overlays
from transfer.dataset.decode import decode
from transfer.errors import SettingsError

MOST_SIDE = 1024


class Explained(Protocol):
    """A model in memory that can say where it looked."""

    classes: tuple[str, ...]

    @property
    def explain(self) -> heat_maps.Explainer:
        """What draws its heat maps.

        Raises:
            RunError: there are none of this model.
        """
        ...

    @property
    def image_size(self) -> int:
        """The pixels of its pictures' sides."""
        ...


def heat_map(loaded: Explained, picture: bytes, asked: dict[str, Any]) -> dict[str, Any]:
    """Return what was asked for.

    Raises:
        DataError: the bytes are not a picture.
        RunError: there are no heat maps of this model.
        SettingsError: the model has no such class, or the side is out of range.
    """
    try:
        name, side = asked.get("class"), int(asked["side"])
    except (KeyError, TypeError, ValueError, AttributeError):
        raise SettingsError(
            'A heat map needs the class and the side of the layer. Ask with {"class", "side"}.'
        ) from None
    bounds.within("side", side, 32, MOST_SIDE, "pixels")
    classes, explain = loaded.classes, loaded.explain
    began = time.perf_counter()
    pixels = heat_maps.pixels(picture, loaded.image_size)
    found = explain(pixels, heat_maps.number_of(name, classes))
    width, height = _fitting(picture, side)
    layer = overlays.layer(found.maps, found.bias, width, height)
    return {
        "label": classes[found.label],
        "layer": base64.b64encode(layer).decode("ascii"),
        "speaks": bool(found.evidence.max() > 0),
        "exact": found.exact,
        "classes": list(classes),
        "probabilities": [float(p) for p in found.probabilities],
        "milliseconds": round(1000 * (time.perf_counter() - began), 1),
    }


def _fitting(picture: bytes, side: int) -> tuple[int, int]:
    """Return (width, height) of the picture, its longer side being `side` at most."""
    height, width = decode(picture).shape[:2]
    share = min(1.0, side / max(height, width))
    return max(1, round(width * share)), max(1, round(height * share))
