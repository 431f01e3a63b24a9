"""Heat maps as pictures: maps of several stages joined, coloured, and laid over a picture (NumPy).

A map holds for each part of a picture how much it speaks for a class, and their sum means
something: so maps of other sizes are shared out by area, and nothing is lost or made up.
"""

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image

# From weak to strong: a part of matplotlib's "magma", light to dark in grey as well.
_COLOURS = np.array(
    [[59, 15, 112], [140, 41, 129], [222, 73, 104], [254, 159, 109], [252, 253, 191]], float
)
_MOST_OPAQUE = 0.72
_VISIBLE = 0.06  # of the strongest part; below it the picture stays as it is
_FULL = 99.5  # percentile of the map that is drawn as strong as can be
_FINE = 28  # parts of the picture's side that are told apart at most: finer ones are specks


def joined(maps: Sequence[np.ndarray]) -> np.ndarray:
    """Return the sum of maps [h, w] of several sizes, at the size of the finest.

    The value of each cell is shared out by area, so the sum over the map is that over all maps.
    """
    height = max(one.shape[0] for one in maps)
    width = max(one.shape[1] for one in maps)
    return np.sum([_shared(height, m.shape[0]) @ m @ _shared(width, m.shape[1]).T for m in maps], 0)


def strength(maps: Sequence[np.ndarray], bias: float, width: int, height: int) -> np.ndarray:
    """Return in [0, 1] how much each pixel [height, width] speaks for the class, smoothly.

    What speaks against it is 0, and 1 is the strongest part. All 0: nothing speaks for it.

    Args:
        maps: their sum counts; each [h, w] of its own size.
        bias: is spread evenly.
        width: of the picture, in pixels.
        height: of the picture, in pixels.
    """
    density = np.full((height, width), bias, np.float64)
    for one in maps:  # each made smooth at its own size, for the edges of its cells mean nothing
        rows, columns = (min(side, _FINE) for side in one.shape)
        coarse = _shared(rows, one.shape[0]) @ one @ _shared(columns, one.shape[1]).T
        picture = Image.fromarray((coarse * coarse.size).astype(np.float32))
        density += np.asarray(picture.resize((width, height), Image.Resampling.BICUBIC))
    positive = np.maximum(density, 0.0)
    full = float(np.percentile(positive, _FULL))
    if full <= 0:
        return np.zeros((height, width), np.float32)
    return np.minimum(positive / full, 1.0).astype(np.float32)


def coloured(shares: np.ndarray) -> np.ndarray:
    """Return the layer uint8 [h, w, 4] of a `strength` [h, w]: the stronger, the more opaque."""
    places = np.linspace(0, 1, len(_COLOURS))
    colours = [np.interp(shares, places, _COLOURS[:, channel]) for channel in range(3)]
    opacity = np.clip((shares - _VISIBLE) / (1 - _VISIBLE), 0, 1) ** 0.7 * _MOST_OPAQUE
    return np.round(np.stack([*colours, 255 * opacity], axis=-1)).astype(np.uint8)


def layer(maps: Sequence[np.ndarray], bias: float, width: int, height: int) -> bytes:
    """Return a transparent PNG file of this size, to be laid over the picture; see `strength`."""
    return _png(Image.fromarray(coloured(strength(maps, bias, width, height))))


def over(picture: np.ndarray, maps: Sequence[np.ndarray], bias: float) -> Image.Image:
    """Return the picture uint8 [h, w, 3] with its heat map over it; see `strength`."""
    height, width = picture.shape[:2]
    top = Image.fromarray(coloured(strength(maps, bias, width, height)))
    return Image.alpha_composite(Image.fromarray(picture).convert("RGBA"), top).convert("RGB")


def _shared(fine: int, coarse: int) -> np.ndarray:
    """Return [fine, coarse]: which part of each coarse cell lies in each fine one, on a line."""
    ends = np.arange(fine + 1) / fine
    starts = np.arange(coarse + 1) / coarse
    low = np.maximum(ends[:-1, None], starts[None, :-1])
    high = np.minimum(ends[1:, None], starts[None, 1:])
    return np.maximum(high - low, 0.0) * coarse


def _png(picture: Image.Image) -> bytes:
    data = io.BytesIO()
    picture.save(data, "PNG")
    return data.getvalue()
