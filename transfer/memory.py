"""How much memory work takes, and what to do where it does not suffice."""

import ctypes
import gc
import math
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import keras
import tensorflow as tf

from transfer import devices

_MEGABYTE = 1024**2
_FLOAT = 4  # bytes
_EVERY = 0.002  # seconds between two looks at a process's memory
_STATM = Path("/proc/self/statm")
_CGROUP = Path("/sys/fs/cgroup")
_UNLIMITED = 1 << 60  # bytes; version 1 says so much where there is no limit
# What libraries below TensorFlow say in errors of other kinds: CUDA and cuDNN, then oneDNN.
_SIGNS = ("out of memory", "out_of_memory", "failed to allocate", "could not create a memory")


class Peak:
    """Megabytes of the device that were in use: `before`, and at most `megabytes` beyond that."""

    def __init__(self) -> None:
        self.before = self.megabytes = 0.0


def exhausted(error: BaseException) -> bool:
    """Return whether an error says that memory did not suffice, on a GPU or on a CPU."""
    if isinstance(error, MemoryError | tf.errors.ResourceExhaustedError):
        return True
    words = str(error).casefold()
    return isinstance(error, tf.errors.OpError) and any(sign in words for sign in _SIGNS)


def halved(batch_size: int) -> int:
    """Return half of a batch, at least one picture."""
    return max(1, batch_size // 2)


def rate_share(batch_size: int, planned: int) -> float:
    """Return by what the rates of a planned batch are multiplied for a smaller one.

    By the square root of the batch's share: the rule for Adam and its kin, whose steps do not grow
    with the gradient (Malladi and others 2022, arXiv 2205.10287). The linear rule (Goyal and
    others 2017, arXiv 1706.02677) is that of plain SGD.

    >>> rate_share(8, 32)
    0.5
    """
    return math.sqrt(batch_size / planned)


def require(model: keras.Model, batch_size: int) -> None:
    """See that a training step can fit at all: a process that takes too much is killed unasked.

    Args:
        model: what is trained. What its layers hand on is kept until the way back.
        batch_size: pictures a step.

    Raises:
        MemoryError: what is kept alone is more than is free.
    """
    if devices.has_accelerator() or (known := free()) is None:
        return
    kept = sum(
        math.prod(int(side) for side in tensor.shape[1:])
        for layer in model.layers
        for tensor in keras.tree.flatten(layer.output)
    )
    needed = batch_size * kept * _FLOAT / _MEGABYTE
    if needed > known:
        raise MemoryError(f"A step needs at least {needed:.0f} MB, but {known:.0f} MB are free.")


@contextmanager
def peak() -> Iterator[Peak]:
    """Measure the most memory that is in use meanwhile, in the process or on the first GPU."""
    found = Peak()
    if devices.has_accelerator():
        with _peak_on_device(found):
            yield found
        return
    _give_back()
    before = most = _resident()
    found.before = before / _MEGABYTE
    over = threading.Event()

    def watch() -> None:
        nonlocal most
        while not over.wait(_EVERY):
            most = max(most, _resident())

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield found
    finally:
        over.set()
        watcher.join()
        found.megabytes = max(0, max(most, _resident()) - before) / _MEGABYTE


def free() -> float | None:
    """Return the megabytes that this process may still take on the CPU, None where not known."""
    found = [_free_here(), _free_of_container()]
    known = [value for value in found if value is not None]
    return min(known) / _MEGABYTE if known else None


@contextmanager
def _peak_on_device(found: Peak) -> Iterator[None]:
    device = tf.config.list_logical_devices("GPU")[0].name
    tf.config.experimental.reset_memory_stats(device)
    before = tf.config.experimental.get_memory_info(device)["current"]
    found.before = before / _MEGABYTE
    try:
        yield
    finally:
        most = tf.config.experimental.get_memory_info(device)["peak"]
        found.megabytes = max(0, most - before) / _MEGABYTE


def _give_back() -> None:
    """Let the C library return what is free: else what is measured would hide in it."""
    gc.collect()
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)


def _resident() -> int:
    """Return the bytes of this process that are in memory, 0 where the system does not tell."""
    with suppress(OSError):
        return int(_STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return 0


def _free_here() -> int | None:
    with suppress(OSError, StopIteration):
        lines = Path("/proc/meminfo").read_text().splitlines()
        line = next(line for line in lines if line.startswith("MemAvailable"))
        return int(line.split()[1]) * 1024
    return None


def _free_of_container() -> int | None:
    """Return what a limit of the container leaves, None without one; its file cache counts."""
    both = (("memory.max", "memory.current"), ("memory/memory.limit_in_bytes", None))
    for limit, used in both:
        with suppress(OSError, ValueError):
            allowed = int((_CGROUP / limit).read_text())
            if allowed < _UNLIMITED:
                return allowed - (_own_use(used) if used else _resident())
    return None


def _own_use(name: str) -> int:
    """Return the bytes in use of the container, without files that can be dropped."""
    used = int((_CGROUP / name).read_text())
    with suppress(OSError, ValueError):
        for line in (_CGROUP / "memory.stat").read_text().splitlines():
            if line.startswith("inactive_file "):
                return used - int(line.split()[1])
    return used
