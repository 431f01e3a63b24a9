"""How each picture looks: a small copy and a few measures of its light and sharpness, kept on disk.

All that is said about a data set without a network rests on these: copies, bursts, dark and blurred
pictures, and what the classes have in common beside their subject. They are kept by content, so
another version of a data set, or another one with the same pictures, need not be read again.
"""

import math
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from transfer import store
from transfer.dataset import threads
from transfer.dataset.index import ImageIndex
from transfer.feature_store import FeatureStore

SIDE = 32  # pixels of the small copy; the aspect ratio is not kept
MEASURES = ("brightness", "contrast", "saturation", "sharpness", "fine_sharpness", "noise")
WIDTH = SIDE * SIDE * 3 + len(MEASURES)
_FOLDER = "looks-1"
_COARSE = 128  # pixels of the short side at which `sharpness` is measured
_GREY = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601
_LEVELS = np.arange(256.0)
_MOST = 2_000_000  # pixels that are measured of one picture; larger ones are reduced before
_APPEND = 256  # pictures that are written at once

OnStep = Callable[[int, int], None]


@dataclass(frozen=True)
class Looks:
    """Of each picture a small copy and its measures.

    `thumbs` are uint8 [n, SIDE, SIDE, 3]; `measures` float32 [n, len(MEASURES)], in the order of
    `MEASURES`: mean and spread of the grey values (0-255), mean saturation of the small copy
    (0-255), the spread of the Laplacian of the grey values at a short side of 128 pixels and at
    full size, and the noise (Immerkaer 1996), all in grey values.
    """

    thumbs: np.ndarray
    measures: np.ndarray

    def measure(self, name: str) -> np.ndarray:
        """Return one of `MEASURES`, float32 [n]."""
        return self.measures[:, MEASURES.index(name)]

    def grey(self) -> np.ndarray:
        """Return the small copies without colour, float32 [n, SIDE, SIDE], 0-255."""
        return self.thumbs.astype(np.float32) @ _GREY


def compute(
    index: ImageIndex, positions: Sequence[int] | None = None, on_progress: OnStep | None = None
) -> Looks:
    """Return how pictures look; what is not known yet is measured from the stored copies.

    Args:
        index: the data set.
        positions: which of its pictures; all by default.
        on_progress: called with (pictures done, pictures in all).
    """
    chosen = range(len(index.pictures)) if positions is None else positions
    contents = [index.pictures[i].sha256 for i in chosen]
    kept = kept_looks()
    missing = [chosen[i] for i in kept.missing(contents)]
    done = len(chosen) - len(missing)
    for start in range(0, len(missing), _APPEND):
        part = missing[start : start + _APPEND]
        rows = list(threads.several(lambda i: row(_read(index, i)), part))
        kept.append([index.pictures[i].sha256 for i in part], np.stack(rows))
        done += len(part)
        if on_progress:
            on_progress(done, len(chosen))
    rows = kept.read(contents)
    pixels = SIDE * SIDE * 3
    thumbs = rows[:, :pixels].astype(np.uint8).reshape(-1, SIDE, SIDE, 3)
    return Looks(thumbs, rows[:, pixels:].astype(np.float32))


def row(pixels: np.ndarray) -> np.ndarray:
    """Return what is kept of one picture, float32 [WIDTH], from uint8 [height, width, 3]."""
    picture = Image.fromarray(pixels)
    if pixels.shape[0] * pixels.shape[1] > _MOST:
        picture = picture.reduce(math.ceil(math.sqrt(pixels.shape[0] * pixels.shape[1] / _MOST)))
    thumb = np.asarray(picture.resize((SIDE, SIDE), Image.Resampling.BOX), np.float32)
    spread = thumb.max(axis=2) - thumb.min(axis=2)
    fine = picture.convert("L")
    factor = min(picture.size) / _COARSE
    coarse = fine
    if factor > 1:
        size = (round(picture.width / factor), round(picture.height / factor))
        coarse = fine.resize(size, Image.Resampling.BOX)
    grey = np.asarray(fine, np.int16)
    sharp = _laplacian(grey)
    coarsely = sharp if coarse is fine else _laplacian(np.asarray(coarse, np.int16))
    measures = [*_light(fine), spread.mean(), coarsely, sharp, _noise(grey)]
    return np.concatenate([thumb.reshape(-1), measures]).astype(np.float32)


class Recorder:
    """Keeps the looks of pictures that somebody had in memory anyway; for several threads."""

    def __init__(self) -> None:
        self._kept, self._lock = kept_looks(), threading.Lock()
        self._rows: dict[str, np.ndarray] = {}

    def add(self, content: str, found: np.ndarray) -> None:
        """Note the `row` of a picture."""
        with self._lock:
            self._rows[content] = found
            if len(self._rows) >= _APPEND:
                self._write()

    def close(self) -> None:
        """Write the rest."""
        with self._lock:
            self._write()

    def _write(self) -> None:
        rows, self._rows = self._rows, {}
        contents = list(rows)
        new = [contents[i] for i in self._kept.missing(contents)]
        if new:
            self._kept.append(new, np.stack([rows[content] for content in new]))


def kept_looks() -> FeatureStore:
    """Return where looks are kept; rows are float16 [WIDTH], by content."""
    return FeatureStore(store.home() / "features" / _FOLDER, WIDTH)


def _read(index: ImageIndex, position: int) -> np.ndarray:
    with Image.open(index.path(index.pictures[position])) as picture:
        return np.asarray(picture.convert("RGB"))


def _light(picture: Image.Image) -> tuple[float, float]:
    """Return the mean and the spread of grey values."""
    counts = np.array(picture.histogram())
    shares = counts / counts.sum()
    mean = float(shares @ _LEVELS)
    return mean, float(np.sqrt(shares @ (_LEVELS - mean) ** 2))


def _laplacian(grey: np.ndarray) -> float:
    """Return the spread of the Laplacian: small where nothing is sharp (Pech-Pacheco 2000)."""
    if min(grey.shape) < 3:
        return 0.0
    sides = grey[1:-1, :-2] + grey[1:-1, 2:] + grey[:-2, 1:-1] + grey[2:, 1:-1]
    return _spread(sides - 4 * grey[1:-1, 1:-1])


def _noise(grey: np.ndarray) -> float:
    """Return the spread of the noise, by a mask that edges hardly touch (Immerkaer 1996)."""
    if min(grey.shape) < 3:
        return 0.0
    lines = grey[:-2] - 2 * grey[1:-1] + grey[2:]
    mask = lines[:, :-2] - 2 * lines[:, 1:-1] + lines[:, 2:]
    return float(np.sqrt(np.pi / 2) / 6 * np.abs(mask).mean())


def _spread(values: np.ndarray) -> float:
    flat = values.astype(np.float32).ravel()
    return float(np.sqrt(max(0.0, np.dot(flat, flat) / len(flat) - float(flat.mean()) ** 2)))
