"""The machine that TensorFlow finds, set up once a process."""

import os
from pathlib import Path

import keras
import tensorflow as tf

_CGROUP = Path("/sys/fs/cgroup")


def prepare() -> int:
    """Let TensorFlow find its devices, take GPU memory as needed only; return the GPUs found."""
    gpus = tf.config.list_physical_devices("GPU")
    for gpu in gpus:
        # Otherwise the first process takes the whole card (TensorFlow GPU guide).
        tf.config.experimental.set_memory_growth(gpu, True)
    tf.constant(0.0)  # starts the runtime now, with its messages
    return len(gpus)


def has_accelerator() -> bool:
    """Whether the Keras backend in use computes on something else than the CPU."""
    if keras.backend.backend() == "tensorflow":
        return bool(tf.config.list_logical_devices("GPU"))
    return any("cpu" not in device for device in keras.distribution.list_devices())


def cpus() -> int:
    """Return how many CPUs this process may use: its affinity, cut to its container's share."""
    own = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        if (_CGROUP / "cpu.max").exists():
            quota, period = (_CGROUP / "cpu.max").read_text().split()
        else:  # version 1
            quota, period = (
                (_CGROUP / "cpu" / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period")
            )
        share = int(quota) / int(period)
    except (OSError, ValueError):  # no group, or "max": no limit
        return own
    return own if share <= 0 else max(1, min(own, round(share)))
