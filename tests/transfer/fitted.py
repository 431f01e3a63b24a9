"""Fine-tune on so many virtual CPU devices: `python -m tests.transfer.fitted DEVICES FOLDER`.

TensorFlow divides a CPU only before it is first used, so this needs a process of its own.
"""

import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

SIZE = 32
COUNT = 17  # the last batch of an epoch is one picture: there is none for the second device


class KilledError(Exception):
    """The process is gone."""


def fit(folder: Path, checkpoint: str, killed_after: int | None = None) -> dict[str, np.ndarray]:
    """Train for three epochs; return all trained values and the losses of the epochs."""
    from tests.transfer import problems
    from transfer import backbones, linear, pooling, replicas, stages, training
    from transfer.batches import TrainingBatches, loaded
    from transfer.training import FitSettings, Validation

    index = problems.dataset(folder / "pictures", per_class=12, size=40)
    order = [number + 12 * label for number in range(12) for label in (0, 1)]
    paths, labels = [index.path(index.pictures[i]) for i in order], np.tile([0, 1], 12)
    backbone = problems.builtin(SIZE)
    cuts = stages.cuts(backbone.network)
    cut = [one for one in cuts if one.level == cuts[-1].level - 1][-1]
    kernel = np.random.default_rng(1).normal(0, 0.05, (pooling.top(backbone.blocks).width, 2))
    head = linear.LinearHead(kernel.astype(np.float32), np.zeros(2, np.float32), 1.0, 1.0, 0.0)
    # Each device would drop out others than one device does.
    parts = backbones.halves(backbone, cut, head, dropout=0.0)
    backbones.freeze_batch_norm(backbone.network)
    for layer in parts.lower.layers:
        layer.trainable = False
    source = TrainingBatches(paths[:COUNT], labels[:COUNT], 2, SIZE, 8, 0, None)
    judged = Validation(loaded(paths[COUNT:], SIZE), labels[COUNT:])
    settings = FitSettings(3, 5, {"head/.*": 1e-3}, 1e-4, 1e-3, averaging=True)

    def die(row: dict[str, Any]) -> None:
        if row["epoch"] == killed_after:
            raise KilledError

    with replicas.working(parts.whole) as trained:
        rows, _ = training.fit(trained, source, judged, settings, folder / checkpoint, on_epoch=die)
    values = {one.path: np.asarray(one.numpy()) for one in parts.whole.trainable_variables}
    for key in ("loss", "accuracy", "val_loss", "mean_val_loss"):
        values[key] = np.array([row[key] for row in rows[1:]])
    return values


def main() -> None:
    """Train undisturbed, and killed after two epochs and resumed; keep what came of both."""
    count, folder = int(sys.argv[1]), Path(sys.argv[2])
    (cpu,) = tf.config.list_physical_devices("CPU")
    configuration = [tf.config.LogicalDeviceConfiguration()] * count
    tf.config.set_logical_device_configuration(cpu, configuration)
    from transfer import devices

    if len(devices.acceleration().devices) != count:
        raise SystemExit(f"expected {count} devices, found {devices.acceleration()}")
    keras.utils.set_random_seed(0)
    np.savez(folder / "undisturbed.npz", allow_pickle=False, **fit(folder, "one"))
    try:
        fit(folder, "two", killed_after=2)
    except KilledError:
        np.savez(folder / "resumed.npz", allow_pickle=False, **fit(folder, "two"))


if __name__ == "__main__":
    main()
