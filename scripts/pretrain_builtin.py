"""Train the built-in backbone on generated pictures and write its weights.

    python -m scripts.pretrain_builtin

The network learns 196 classes of `transfer.builtin.pictures` and, beside them, each picture's
colour histogram: without that second task its features forgot colour, which photographs need.

The file in the repository was made on 2026-11-21 in two steps, on two shared CPU cores. The first
rendered 64,000 pictures in 3 minutes; of its training, the weights after the ten passes at 48 px
were kept (20 minutes; 75.5 % of 4,000 held-out pictures right). The second went on from them at
64 px (11 minutes; 76.9 %). Threads make each training differ a little.

    python -m scripts.pretrain_builtin --bfloat16 --colour-weight 0 --out first.npz
    python -m scripts.pretrain_builtin --bfloat16 --start first.npz --rate 1e-3 --size 64
        --epochs 3 --final-epochs 0
"""

import argparse
import json
import multiprocessing
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from transfer.builtin import network, pictures

STORED_SIZE = 96
BATCH = 64
HELD_OUT = 4000
_CHUNK = 500
_BINS = 4
_LINES: Any = 2  # Keras takes 2 for a line an epoch; its annotation knows strings only


def generate(path: Path, count: int, seed: int, workers: int) -> np.ndarray:
    """Render `count` pictures, class after class in turn, into a .npy file; return it mapped."""
    shape = (count, STORED_SIZE, STORED_SIZE, 3)
    stored = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=shape)
    jobs = [(start, min(start + _CHUNK, count), seed) for start in range(0, count, _CHUNK)]
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        for start, chunk in pool.imap_unordered(_render_chunk, jobs):
            stored[start : start + len(chunk)] = chunk
    return stored


def batches(stored: np.ndarray, first: int, last: int, size: int, augment: bool) -> tf.data.Dataset:
    """Return pictures number `first` up to `last` in [-1, 1], with their class numbers."""
    numbers = tf.data.Dataset.range(first, last)
    if augment:
        numbers = numbers.shuffle(last - first, reshuffle_each_iteration=True)

    def read(chosen: np.ndarray) -> np.ndarray:
        return stored[np.sort(chosen)]

    def prepare(chosen: tf.Tensor) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        chosen = tf.sort(chosen)
        pixels = tf.numpy_function(read, [chosen], tf.uint8)
        pixels.set_shape((None, STORED_SIZE, STORED_SIZE, 3))
        values = tf.cast(pixels, tf.float32) / 127.5 - 1.0
        classes = tf.math.floormod(chosen, pictures.NUM_CLASSES)
        labels = tf.one_hot(classes, pictures.NUM_CLASSES)
        if augment:
            values = _augment(values, size)
        else:
            values = tf.image.resize(values, (size, size), antialias=True)
        return values, {"class": labels, "colours": colours(values)}

    grouped = numbers.batch(BATCH, drop_remainder=augment)
    return grouped.map(prepare, num_parallel_calls=2).prefetch(4)


def colours(values: tf.Tensor) -> tf.Tensor:
    """Return each picture's colour histogram [n, 64]: four overlapping bins a channel."""
    pixels = tf.reshape(values[:, ::2, ::2], (tf.shape(values)[0], -1, 3, 1))
    centres = tf.linspace(-1.0, 1.0, _BINS)
    shares = tf.nn.relu(1.0 - tf.abs(pixels - centres) * (_BINS - 1) / 2)
    red, green, blue = tf.unstack(shares, axis=2)
    pairs = red[..., :, None] * green[..., None, :]
    pairs = tf.reshape(pairs, (tf.shape(pairs)[0], -1, _BINS**2))
    joint = tf.matmul(pairs, blue, transpose_a=True) / tf.cast(tf.shape(blue)[1], tf.float32)
    return tf.reshape(joint, (-1, _BINS**3))


def with_heads(backbone: keras.Model) -> keras.Model:
    """Put two heads on the backbone: the class, and the colours of the picture.

    What suits these classes alone stays in the hidden layer of the first. The second keeps colour
    readable in the features, to which most classes are indifferent.
    """
    features = keras.layers.GlobalAveragePooling2D()(backbone.output)
    x = keras.layers.Dense(512, use_bias=False)(features)
    x = keras.layers.BatchNormalization(momentum=0.95)(x)
    x = keras.layers.ReLU()(x)
    x = keras.layers.Dropout(0.1)(x)
    outputs = {
        "class": keras.layers.Dense(pictures.NUM_CLASSES, dtype="float32", name="class")(x),
        "colours": keras.layers.Dense(_BINS**3, dtype="float32", name="colours")(features),
    }
    return keras.Model(backbone.input, outputs)


def main() -> None:
    """Generate, train, write the weights after each epoch, and print what came out as JSON."""
    options = _options()
    started = time.time()
    keras.utils.set_random_seed(options.seed)
    if options.bfloat16:
        keras.mixed_precision.set_global_policy("mixed_bfloat16")
    backbone = network.build((None, None, 3))
    if options.start is not None:
        network.load(backbone, options.start)
    model = with_heads(backbone)
    with tempfile.TemporaryDirectory() as folder:
        count = options.pictures + HELD_OUT
        path = options.rendered or Path(folder) / "pictures.npy"
        if path.exists():
            stored = np.load(path, mmap_mode="r")
        else:
            stored = generate(path, count, options.seed, options.workers)
        rendered = time.time() - started
        steps = (options.epochs + options.final_epochs) * (options.pictures // BATCH)
        _compile(model, steps, options.rate, options.colour_weight)
        phases = {options.size: options.epochs, STORED_SIZE: options.final_epochs}
        accuracy = {}
        for size, epochs in phases.items():
            training = batches(stored, HELD_OUT, count, size, augment=True)
            held_out = batches(stored, 0, HELD_OUT, size, augment=False)
            for _ in range(epochs):
                model.fit(training, validation_data=held_out, verbose=_LINES)
                network.save(backbone, options.out)
            accuracy[size] = model.evaluate(held_out, verbose=_LINES, return_dict=True)[
                "class_accuracy"
            ]
    summary = {
        "classes": pictures.NUM_CLASSES,
        "parameters": backbone.count_params(),
        "held_out_accuracy": accuracy,
        "seconds_rendering": round(rendered),
        "seconds": round(time.time() - started),
        "bytes": options.out.stat().st_size,
    }
    print(json.dumps(summary, indent=1))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=60_000, help="how many to train on")
    parser.add_argument("--epochs", type=int, default=10, help="passes at --size")
    parser.add_argument("--final-epochs", type=int, default=2, help=f"passes at {STORED_SIZE} px")
    parser.add_argument("--size", type=int, default=48, help="pixels of a training picture's side")
    parser.add_argument("--rate", type=float, default=1.5e-3, help="highest learning rate")
    parser.add_argument("--colour-weight", type=float, default=1.0, help="of the second head")
    parser.add_argument("--start", type=Path, help="weights to go on from, instead of random ones")
    parser.add_argument("--rendered", type=Path, help="file that keeps the pictures for next time")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="rendering processes")
    parser.add_argument("--bfloat16", action="store_true", help="mixed precision: faster if native")
    parser.add_argument("--out", type=Path, default=network.WEIGHTS_PATH)
    return parser.parse_args()


def _compile(model: keras.Model, steps: int, rate: float, colour_weight: float) -> None:
    warm_up = max(1, steps // 20)
    schedule: Any = keras.optimizers.schedules.CosineDecay(
        1e-4, steps - warm_up, warmup_target=rate, warmup_steps=warm_up
    )
    model.compile(
        keras.optimizers.AdamW(schedule, weight_decay=0.02, clipnorm=5.0),
        {
            "class": keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1),
            "colours": keras.losses.CategoricalCrossentropy(from_logits=True),
        },
        loss_weights={"class": 1.0, "colours": colour_weight},
        metrics={"class": ["accuracy"]},
    )


def _render_chunk(job: tuple[int, int, int]) -> tuple[int, np.ndarray]:
    start, stop, seed = job
    return start, np.stack(
        [
            pictures.render(
                number % pictures.NUM_CLASSES, np.random.default_rng([seed, number]), STORED_SIZE
            )
            for number in range(start, stop)
        ]
    )


def _augment(values: tf.Tensor, size: int) -> tf.Tensor:
    """Crop, flip, tint: each picture by its own numbers, a whole batch at once."""
    count = tf.shape(values)[0]
    one, two = tf.stack([count, 1]), tf.stack([count, 2])
    side = tf.sqrt(tf.random.uniform(one, 0.4, 1.0))
    top_left = tf.random.uniform(two) * (1 - side)
    top, left = tf.split(top_left, 2, axis=1)
    bottom, right = tf.split(top_left + side, 2, axis=1)
    # A box whose ends are swapped is read backwards, which is a flip.
    flip = tf.random.uniform(one) < 0.5
    boxes = [top, tf.where(flip, right, left), bottom, tf.where(flip, left, right)]
    values = tf.image.crop_and_resize(
        values, tf.concat(boxes, axis=1), tf.range(count), (size, size)
    )
    contrast = tf.random.uniform(one, 0.75, 1.25)
    light = tf.random.normal(one, 0.0, 0.1)
    tint = tf.random.normal(tf.stack([count, 3]), 0.0, 0.04)
    values = values * contrast[:, None, None, :] + (light + tint)[:, None, None, :]
    return tf.clip_by_value(values, -1.0, 1.0)


if __name__ == "__main__":
    main()
