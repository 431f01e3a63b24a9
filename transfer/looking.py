"""Show the input as the network sees it: the very pixels, and the numbers made of them."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from PIL import Image

from transfer import backbones, batches
from transfer.lights import Light
from transfer.trial import Trial

PICTURES = 12
_FLAT = 1.0  # of 255: a picture whose pixels vary less is one colour


@dataclass(frozen=True)
class Looked:
    """Picture files, plain and augmented in the same order, and the tensor behind the plain ones.

    Attributes:
        plain: file names, of pictures resized as the network gets them.
        augmented: the same pictures as a training step gets them.
        labels: the class of each.
        shape: of a batch of one: (1, side, side, channels).
        low: the least number of the tensor after the network's own preprocessing; `high` the
            largest, `mean` and `deviation` over all of them.
    """

    plain: tuple[str, ...]
    augmented: tuple[str, ...]
    labels: tuple[str, ...]
    shape: tuple[int, ...]
    low: float
    high: float
    mean: float
    deviation: float
    light: Light
    words: str

    def to_json(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        return asdict(self)


def run(trial: Trial, folder: Path) -> Looked:
    """Write the pictures as PNG files into a folder, named from its parent in the answer.

    Args:
        trial: its first pictures are shown; classes take turns in it.
        folder: is made.
    """
    task = trial.task
    chosen = task.split.train[:PICTURES]
    plain = batches.loaded(task.paths(chosen), task.config.image_size)
    augmented = next(trial.source.in_order(0).as_numpy_iterator())[: len(chosen)]
    folder.mkdir(parents=True, exist_ok=True)
    files = [
        tuple(_written(folder / f"{kind}-{i:02d}.png", pixels) for i, pixels in enumerate(every))
        for kind, every in (("plain", plain), ("augmented", augmented))
    ]
    model = backbones.reading(task.backbone, [task.backbone.network.input])
    values = np.asarray(keras.ops.convert_to_numpy(model(plain.astype(np.float32))), np.float64)
    light, equal = judged(plain)
    low, high, mean, deviation = (
        round(float(value), 4)
        for value in (values.min(), values.max(), values.mean(), values.std())
    )
    return Looked(
        plain=files[0],
        augmented=files[1],
        labels=tuple(task.index.pictures[i].label for i in chosen),
        shape=(1, *values.shape[1:]),
        low=low,
        high=high,
        mean=mean,
        deviation=deviation,
        light=light,
        words=_sentence(values.shape[1:], (low, high), equal),
    )


def judged(pictures: np.ndarray) -> tuple[Light, str | None]:
    """Return the light of pictures uint8 [n, side, side, 3], and what is wrong with them."""
    flat = int((pictures.reshape(len(pictures), -1).std(axis=1) < _FLAT).sum())
    different = len({pixels.tobytes() for pixels in pictures})
    if different == 1 < len(pictures):
        return "red", "All of them are the same picture."
    if flat:
        return "red" if flat == len(pictures) else "amber", f"{flat} of them are a single colour."
    if different < len(pictures):
        return "amber", f"Only {different} of these {len(pictures)} are different."
    return "green", None


def _written(path: Path, pixels: np.ndarray) -> str:
    Image.fromarray(pixels).save(path)
    return f"{path.parent.name}/{path.name}"


def _sentence(shape: tuple[int, ...], bounds: tuple[float, float], wrong: str | None) -> str:
    height, width, channels = shape
    words = (
        f"The network sees pictures of {height} x {width} pixels in {channels} channels, as numbers"
        f" from {bounds[0]:.2f} to {bounds[1]:.2f}."
    )
    return f"{words} {wrong}" if wrong else f"{words} Look whether you would know the classes."
