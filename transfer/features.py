"""The backbone's pooled outputs, computed once for each picture and kept in the store."""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from transfer import backbones, batches, store
from transfer.backbones import Backbone
from transfer.dataset.index import ImageIndex

CHUNK = 256  # pictures a file: what a killed computation loses at most
BATCH = 32


def compute(
    backbone: Backbone,
    index: ImageIndex,
    positions: Sequence[int],
    on_progress: Callable[[int, int], None] | None = None,
) -> np.ndarray:
    """Return features float32 [len(positions), feature_dim], from the store where they are there.

    Args:
        backbone: the network; its name, input size and weight file decide what is reused.
        index: the data set.
        positions: which of `index.pictures`, in the order of the result.
        on_progress: called with (pictures done, pictures in all).
    """
    folder = store.home() / "features" / _key(backbone)
    contents = [index.pictures[i].sha256 for i in positions]
    extractor: Callable[[np.ndarray], np.ndarray] | None = None
    parts: list[np.ndarray] = []

    def tell(done: int) -> None:
        if on_progress:
            on_progress(min(done, len(positions)), len(positions))

    for start in range(0, len(positions), CHUNK):
        chunk = positions[start : start + CHUNK]
        name = hashlib.sha256("".join(contents[start : start + CHUNK]).encode()).hexdigest()
        path = folder / f"{name[:32]}.npy"
        kept = _read(path, (len(chunk), backbone.feature_dim))
        if kept is None:
            extractor = extractor or backbones.compiled(backbones.pooled(backbone), BATCH)
            paths = [index.path(index.pictures[i]) for i in chunk]
            rows = []
            for batch in batches.pictures(paths, backbone.image_size, BATCH).as_numpy_iterator():
                rows.append(extractor(batch))
                tell(start + len(rows) * BATCH)
            kept = np.concatenate(rows)
            with store.replacing(path) as partial:
                np.save(partial, kept)
        parts.append(kept)
        tell(start + CHUNK)
    return np.concatenate(parts) if parts else np.zeros((0, backbone.feature_dim), np.float32)


def _key(backbone: Backbone) -> str:
    with backbone.weights_path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()[:12]
    name = backbone.spec.name.replace(":", "-")
    return f"{name}-{backbone.image_size}-{digest}-pooled-v1"


def _read(path: Path, shape: tuple[int, int]) -> np.ndarray | None:
    """Return the kept features, or None where they are missing or not whole."""
    try:
        kept = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return kept if kept.shape == shape else None
