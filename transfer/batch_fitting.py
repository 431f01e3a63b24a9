"""Halve a batch that does not fit into memory until it does, and say so."""

import gc
from collections.abc import Callable
from typing import TypeVar

import tensorflow as tf

from transfer import console, memory
from transfer.errors import SettingsError
from transfer.runs import Run

_KEPT = "batch"  # what of a run's own choice is kept in its folder
T = TypeVar("T")


def largest(run: Run, planned: int, attempt: Callable[[int], T]) -> T:
    """Return what `attempt` returns for the planned batch, or for the largest half that fits.

    The size is kept in the run folder, so that a run which goes on begins with what did fit.

    Args:
        run: is told, as an event, of each halving.
        planned: pictures in a batch.
        attempt: does the work with batches of a size; called again with half of it where memory
            does not suffice, it goes on where its own checkpoint is.

    Raises:
        SettingsError: not even one picture at a time fits.
    """
    size = kept(run, planned)
    while True:
        try:
            return attempt(size)
        except (MemoryError, tf.errors.OpError) as error:
            if not memory.exhausted(error):
                raise
            if size == 1:
                raise SettingsError(NOTHING_FITS) from error
        # Only now, without the error and the frames that it holds, is their memory free.
        size = memory.halved(size)
        gc.collect()
        run.write(_KEPT, {"batch_size": size, "planned": planned})
        words = sentence(size, planned)
        run.event("note", words=words)
        console.say(words)


def kept(run: Run, planned: int) -> int:
    """Return the size that an earlier process of this run found to fit, else the planned one."""
    known = run.read(_KEPT)
    return known["batch_size"] if known and known["planned"] == planned else planned


def sentence(size: int, planned: int) -> str:
    """Return in words that a batch was made smaller."""
    share = memory.rate_share(size, planned)
    return (
        f"A batch of {planned} pictures does not fit into memory: it goes on with {size} at a time,"
        f" and {share:.2f} times the learning rate, as fits the smaller batch."
    )


NOTHING_FITS = (
    "Training needs more memory than is free, even with one picture at a time. Choose a smaller"
    " network or a smaller input size, or close other programs."
)
