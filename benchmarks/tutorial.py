"""The transfer-learning recipe of the Keras tutorials, as a rival: measured on our data sets.

    python -m benchmarks.tutorial DATA [--backbone NAME] [--everything] [--budget SECONDS]

A frozen base with augmentation layers inside the model, pooling, dropout and one dense layer, Adam
at 1e-4 for ten epochs; then the base's layers from the hundredth on learn too, for ten more epochs
at a tenth of the rate. `base(x, training=False)` as in the guide. Kinder than the tutorial in two
ways: pictures are decoded once and kept in memory where they fit, and oneDNN is on. Training and
validation pictures, input size and preprocessing are those of our strategies. Prints one JSON
object.
"""

import argparse
import json
import math
import os
import resource
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import tensorflow as tf

from benchmarks.rows import Marks
from transfer import backbones, batches, catalog, devices, evaluation, weights
from transfer.backbones import Backbone
from transfer.dataset import library, relations
from transfer.dataset.index import ImageIndex

BATCH = 32
RATE = 1e-4
FROM_LAYER, OF_LAYERS = 100, 154  # MobileNetV2's; of smaller networks the same share
_MODES = {"tf", "torch", "caffe"}  # of `keras.applications.imagenet_utils.preprocess_input`


@dataclass(frozen=True)
class Recipe:
    """How long each phase learns; `from_layer` is the first that learns in the second one."""

    epochs: int = 10
    fine_tuning_epochs: int = 10
    from_layer: int = FROM_LAYER
    rate: float = RATE
    seed: int = 0
    deadline: float = math.inf  # in `time.monotonic()` seconds


def build(backbone: Backbone, num_classes: int) -> tuple[keras.Model, keras.Model]:
    """Return (the recipe's model, its frozen base): pictures in 0-255 in, probabilities out."""
    base, size = backbone.network, backbone.image_size
    base.trainable = False
    inputs = keras.Input((size, size, 3))
    values = keras.layers.RandomFlip("horizontal")(inputs)
    values = keras.layers.RandomRotation(0.2)(values)
    if backbone.spec.preprocessing in _MODES:
        mode = backbone.spec.preprocessing
        values = keras.applications.imagenet_utils.preprocess_input(values, mode=mode)
    values = base(values, training=False)
    values = keras.layers.GlobalAveragePooling2D()(values)
    values = keras.layers.Dropout(0.2)(values)
    outputs = keras.layers.Dense(num_classes, activation="softmax")(values)
    return keras.Model(inputs, outputs), base


def thaw(base: keras.Model, from_layer: int) -> int:
    """Let the base's layers learn from one on; return the number of that one."""
    count = len(base.layers)
    first = min(from_layer, round(from_layer / OF_LAYERS * count))
    base.trainable = True
    for layer in base.layers[:first]:
        layer.trainable = False
    return first


def measure(backbone: Backbone, index: ImageIndex, recipe: Recipe) -> dict[str, Any]:
    """Follow the recipe, and return what it achieved and how long it took."""
    keras.utils.set_random_seed(recipe.seed)
    parts = relations.shared_out(index, recipe.seed)
    size = backbone.image_size
    learned = _Pictures(index, parts.train, size).shuffled(recipe.seed)
    judged = _Pictures(index, parts.val, size)
    judges = {"validation": judged}
    if parts.test:
        judges["test"] = _Pictures(index, parts.test, size)
    model, base = build(backbone, len(index.classes))
    answer: dict[str, Any] = {"splits": parts.counts(), "image_size": size}
    ended, marks = "epochs", dict[str, Marks]()
    for phase, epochs, rate in (
        ("frozen", recipe.epochs, recipe.rate),
        ("fine_tuning", recipe.fine_tuning_epochs, recipe.rate / 10),
    ):
        if not epochs or ended == "budget":
            continue
        if phase == "fine_tuning":
            answer["from_layer"] = thaw(base, recipe.from_layer)
        clock = _fit(model, learned, judged.in_order(), epochs, rate, recipe.deadline)
        ended = "budget" if clock.out_of_time else ended
        answer[phase] = clock.to_json()
        for name, pictures in judges.items():
            answer[phase][name], marks[name] = pictures.judge(model)
    return {**answer, "ended": ended, "marks": {name: asdict(one) for name, one in marks.items()}}


def main() -> None:
    """Follow the recipe on one data set."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, metavar="DATA")
    parser.add_argument("--backbone", default=catalog.DEFAULT_BACKBONE)
    parser.add_argument("--image-size", type=int)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=10, help="with a frozen base")
    parser.add_argument("--fine-tuning-epochs", type=int, default=10)
    parser.add_argument("--everything", action="store_true", help="fine-tune all layers")
    parser.add_argument("--budget", type=float, help="seconds, after which training ends")
    options = parser.parse_args()
    began = time.monotonic()
    index = library.import_dataset(options.data)
    spec = catalog.backbone(options.backbone)
    size = options.image_size or weights.default_size(spec)
    backbone = backbones.load(spec, size, weights.obtain(spec, size))
    recipe = Recipe(
        epochs=options.epochs,
        fine_tuning_epochs=options.fine_tuning_epochs,
        from_layer=0 if options.everything else FROM_LAYER,
        seed=options.seed,
        deadline=math.inf if options.budget is None else began + options.budget,
    )
    answer = measure(backbone, index, recipe)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(json.dumps({"backbone": spec.name, **answer, "peak_memory_mb": peak}))


class _Pictures:
    """Pictures as `image_dataset_from_directory` gives them: bilinear, without antialiasing."""

    def __init__(self, index: ImageIndex, positions: tuple[int, ...], size: int) -> None:
        self.index, self.positions = index, positions
        self.labels = index.class_numbers()[list(positions)]
        paths = [str(index.path(index.pictures[i])) for i in positions]

        def read(path: tf.Tensor, label: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            pixels = tf.io.decode_image(tf.io.read_file(path), 3, expand_animations=False)
            resized = tf.image.resize(pixels, (size, size), method="bilinear")
            return tf.saturate_cast(tf.round(resized), tf.uint8), label

        data = tf.data.Dataset.from_tensor_slices((paths, self.labels)).map(read, tf.data.AUTOTUNE)
        fits = len(paths) * size * size * 3 <= batches.CACHE_BYTES
        self._data = data.cache() if fits else data

    def in_order(self) -> tf.data.Dataset:
        return self._batched(self._data)

    def shuffled(self, seed: int) -> tf.data.Dataset:
        most = min(len(self.labels), 10_000)
        return self._batched(self._data.shuffle(most, seed, reshuffle_each_iteration=True))

    def judge(self, model: keras.Model) -> tuple[dict[str, float], Marks]:
        silent: Any = 0
        answers = model.predict(self.in_order(), verbose=silent)
        report = evaluation.evaluate(answers, self.labels, self.index.classes)
        return report.overall.to_json(), Marks.of(self.index, self.positions, answers)

    def _batched(self, data: tf.data.Dataset) -> tf.data.Dataset:
        return (
            data.batch(BATCH)
            .map(lambda pictures, labels: (tf.cast(pictures, tf.float32), labels))
            .prefetch(tf.data.AUTOTUNE)
        )


class _Clock(keras.callbacks.Callback):
    """Takes the time of each epoch, with and without its validation; ends a phase at a deadline."""

    def __init__(self, deadline: float) -> None:
        super().__init__()
        self.deadline, self.out_of_time = deadline, False
        self.epochs: list[float] = []
        self.training: list[float] = []
        self._began = 0.0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002
        self._began = time.monotonic()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:  # noqa: ARG002
        if time.monotonic() >= self.deadline:
            self.out_of_time = True
            self.model.stop_training = True  # pyright: ignore[reportOptionalMemberAccess]

    def on_test_begin(self, logs: Any = None) -> None:  # noqa: ARG002
        self.training.append(time.monotonic() - self._began)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002
        self.epochs.append(time.monotonic() - self._began)

    def to_json(self) -> dict[str, Any]:
        return {
            "epochs": len(self.epochs),
            "seconds": round(sum(self.epochs), 2),
            "seconds_without_validation": round(sum(self.training), 2),
            "seconds_by_epoch": [round(value, 2) for value in self.epochs],
            "training_seconds_by_epoch": [round(value, 2) for value in self.training],
        }


def _fit(
    model: keras.Model,
    learned: tf.data.Dataset,
    judged: tf.data.Dataset,
    epochs: int,
    rate: float,
    deadline: float,
) -> _Clock:
    # XLA is many times slower on a CPU; `fit` would not choose it for this model either.
    jit: Any = "auto" if devices.has_accelerator() else False
    model.compile(
        optimizer=keras.optimizers.Adam(rate),
        loss=keras.losses.SparseCategoricalCrossentropy(),
        metrics=["accuracy"],
        jit_compile=jit,
    )
    clock, silent = _Clock(deadline), 0
    model.fit(
        learned,
        validation_data=judged,
        epochs=epochs,
        shuffle=False,
        verbose=silent,  # pyright: ignore[reportArgumentType]
        callbacks=[clock],
    )
    return clock


if __name__ == "__main__":
    main()
