"""The machine that TensorFlow finds, set up once a process, and how a network is trained on it."""

import contextlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import tensorflow as tf

DETERMINISM = "TRANSFER_DETERMINISM"  # "0" in the environment: as fast as may be, for benchmarks
_CGROUP = Path("/sys/fs/cgroup")
# Compute capabilities from which a card's matrix units take half precision (CUDA C++ Programming
# Guide, table of features): float16 from Volta on, bfloat16 from Ampere on.
_FLOAT16, _BFLOAT16 = (7, 0), (8, 0)


@dataclass(frozen=True)
class Acceleration:
    """How a network is trained here.

    Attributes:
        devices: TensorFlow's names of what computes. Several share each batch among them.
        precision: a dtype policy of Keras. The weights are float32 whatever it is.
        xla: whether XLA compiles the step. It does not where several devices share a batch.
    """

    devices: tuple[str, ...] = ("/device:CPU:0",)
    precision: str = "float32"
    xla: bool = False

    @property
    def plain(self) -> bool:
        """Whether the model can be trained as it is: one device, full precision."""
        return self.precision == "float32" and len(self.devices) == 1


def acceleration() -> Acceleration:
    """Return what suits the devices of this process; call `prepare` before."""
    if keras.backend.backend() != "tensorflow":
        return Acceleration()
    gpus = tf.config.list_logical_devices("GPU")
    physical = tf.config.list_physical_devices("GPU") if gpus else []
    details = [tf.config.experimental.get_device_details(one) for one in physical]
    found = gpus or tf.config.list_logical_devices("CPU")
    capabilities = [one.get("compute_capability", (0, 0)) for one in details]
    return suited([one.name for one in found], capabilities)


def suited(names: Sequence[str], capabilities: Sequence[tuple[int, int]]) -> Acceleration:
    """Return what suits devices with these names.

    bfloat16 goes before float16: it reaches as far as float32, so no gradient gets lost.

    Args:
        names: of the devices that compute, all of one kind.
        capabilities: the compute capability of each card; none: they are CPUs.
    """
    least = min(capabilities, default=(0, 0))
    precision = "mixed_bfloat16" if least >= _BFLOAT16 else "mixed_float16"
    if least < _FLOAT16:
        precision = "float32"
    # On a CPU XLA is about eight times slower (measured with MobileNetV2).
    return Acceleration(tuple(names), precision, bool(capabilities) and len(names) == 1)


def prepare() -> int:
    """Let TensorFlow find its devices, take GPU memory as needed only; return the GPUs found.

    Without a GPU, equal settings give equal numbers: a run that was killed and goes on ends with
    those of an undisturbed one. What that costs is in `benchmarks/determinism.py`.
    """
    gpus = tf.config.list_physical_devices("GPU")
    for gpu in gpus:
        # Otherwise the first process takes the whole card (TensorFlow GPU guide).
        tf.config.experimental.set_memory_growth(gpu, True)
    if not gpus and os.environ.get(DETERMINISM) != "0":
        deterministic()
    tf.constant(0.0)  # starts the runtime now, with its messages
    return len(gpus)


def lanes(most: int = 4) -> int:
    """Return in how many threads to compute at once, and give each its part of the cores.

    On two cores small batches, one on each, take 8 ms a picture where one batch on both takes 10.
    A card computes one at a time. Call it before `prepare`; afterwards the parts stay as they are.
    """
    if tf.config.list_physical_devices("GPU"):
        return 1
    found = min(most, cpus())
    with contextlib.suppress(RuntimeError):  # the runtime has begun
        tf.config.threading.set_intra_op_parallelism_threads(cpus() // found)
    return found


def deterministic() -> None:
    """Let each operation give the same numbers each time; what draws by chance needs seeds then."""
    keras.utils.set_random_seed(0)
    tf.config.experimental.enable_op_determinism()


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
