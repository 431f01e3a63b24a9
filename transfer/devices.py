"""The machine that TensorFlow finds, set up once a process."""

import keras
import tensorflow as tf


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
