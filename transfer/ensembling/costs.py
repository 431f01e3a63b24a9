"""What an ensemble costs: milliseconds a picture and megabytes, of each member and of the whole."""

import statistics
import time
from collections.abc import Sequence

import keras
import numpy as np

from transfer import backbones
from transfer.ensembling import assembling
from transfer.ensembling.members import Member, Reading

_REPEATS = 7


def milliseconds(model: keras.Model, size: int) -> float:
    """Return what one picture takes, alone as on the page Use: the median of several times."""
    predict = backbones.compiled(model, 1)
    picture = np.full((1, size, size, 3), 128, np.uint8)
    predict(picture)  # builds the graph
    times = []
    for _ in range(_REPEATS):
        began = time.perf_counter()
        predict(picture)
        times.append(time.perf_counter() - began)
    return 1000 * statistics.median(times)


def megabytes(model: keras.Model) -> float:
    """Return the size of a model's weights."""
    return sum(4 * int(np.prod(one.shape)) for one in model.variables) / 1e6


def of_members(members: Sequence[Member]) -> list[tuple[float, float]]:
    """Return (milliseconds, megabytes) of each member as if it stood alone.

    Heads on one network that stays as it is take what the network takes: it is measured once.
    """
    timed: dict[int, float] = {}
    found = []
    for one in members:
        alone = assembling.separate([one], one.size)
        key = id(one.solution.backbone) if isinstance(one.solution, Reading) else id(one)
        if key not in timed:
            timed[key] = milliseconds(alone, one.size)
        found.append((timed[key], megabytes(alone)))
    return found
