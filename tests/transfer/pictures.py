"""Natural-looking pictures for tests: noise with as much of every size of detail as photographs."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from transfer.dataset.index import ImageIndex, Origin, Picture


def natural(seed: object, size: tuple[int, int] = (160, 120), contrast: float = 45) -> Image.Image:
    """Return one picture; the same seed, the same picture."""
    key = int.from_bytes(hashlib.sha256(repr(seed).encode()).digest()[:8], "big")
    random = np.random.default_rng(key)
    width, height = size
    down, across = np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)[None]
    fall = 1 / np.maximum(np.hypot(down, across), 1 / max(size)) ** 1.2
    layers = []
    for _ in range(3):
        waves = np.fft.fft2(random.normal(size=(height, width))) * fall
        layer = np.fft.ifft2(waves).real
        layers.append(layer / layer.std())
    grey, *colours = layers
    channels = [grey + 0.3 * colours[0], grey, grey + 0.3 * colours[1]]
    values = 128 + contrast * np.stack(channels, axis=2)
    return Image.fromarray(np.clip(values, 0, 255).astype(np.uint8))


def index_of(
    folder: Path,
    pictures: Sequence[tuple[str, Image.Image]],
    origins: Sequence[Origin | None] | None = None,
    groups: Sequence[str | None] | None = None,
) -> ImageIndex:
    """Return a data set of pictures named `class/file` or `split/class/file`."""
    rows = []
    for number, (name, picture) in enumerate(pictures):
        file = f"{number:05d}.png"
        picture.save(folder / file, compress_level=1)
        parts = name.split("/")
        rows.append(
            Picture(
                name=name,
                label=parts[-2],
                split=parts[0] if len(parts) > 2 else None,
                file=file,
                sha256=hashlib.sha256(repr(picture.size).encode() + picture.tobytes()).hexdigest(),
                width=picture.width,
                height=picture.height,
                origin=origins[number] if origins else None,
                group=groups[number] if groups else None,
            )
        )
    return ImageIndex(folder, "0" * 64, tuple(rows))
