"""How long a network takes to answer on this machine, now: measured before it is trained."""

import itertools
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from transfer import backbones, batches, pooling, runtimes
from transfer.backbones import Backbone

_BATCH = 8
_MOST = 96  # pictures, the first batch included
_SECONDS = 1.0  # after so many of them the speed is known


@dataclass(frozen=True)
class Answering:
    """Seconds until a graph is built and has answered for the first time, and a picture then."""

    building: float
    picture: float


def measure(backbone: Backbone, paths: Sequence[Path]) -> Answering:
    """Let the network answer as a finished one does, for a second.

    A head adds next to nothing to that, and training changes no shape.

    Args:
        backbone: the network, whatever its weights.
        paths: pictures of the store, at least one.
    """
    began = time.monotonic()
    shape = (backbone.image_size, backbone.image_size, 3)
    reading = backbones.reading(backbone, [pooling.pooled(pooling.top(backbone.blocks))])
    extractor = runtimes.small_batches(reading, shape)
    some = list(itertools.islice(itertools.cycle(paths), _MOST))
    data = batches.pictures(some, backbone.image_size, _BATCH).as_numpy_iterator()
    built, answered = 0.0, 0
    for (rows,) in extractor.stream(data):
        if not built:
            built = time.monotonic()
            continue
        answered += len(rows)
        if time.monotonic() - built >= _SECONDS:
            break
    return Answering(built - began, (time.monotonic() - built) / answered)
