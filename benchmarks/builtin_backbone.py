"""Measure what the built-in backbone's pretraining is worth: linear probes against random weights.

    python -m benchmarks.builtin_backbone

For each data set, the same probe (standardised pooled features, logistic regression whose strength
is chosen by cross-validation on the training pictures) is fitted on the pretrained network and on
the same network with random weights. Random weights come from three seeds, once as initialised and
once with BatchNorm statistics estimated on the training pictures (without labels); a gain is taken
over the better of the two. Prints one JSON object.
"""

import argparse
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.preprocessing import StandardScaler

from transfer.builtin import network

DATASETS = ("ants-bees", "clothing", "eurosat", "steel-defects")
SEEDS = (0, 1, 2)
STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
_BATCH = 100
_NORM_STEPS = 15


@dataclass(frozen=True)
class Pictures:
    """Pictures in [-1, 1], scaled to the backbone's input size, and their class numbers."""

    pixels: np.ndarray
    labels: np.ndarray


def read(folder: Path) -> Pictures:
    """Read a folder of class folders."""
    classes = sorted(path for path in folder.iterdir() if path.is_dir())
    pixels, labels = [], []
    for number, path in enumerate(classes):
        for file in sorted(path.iterdir()):
            with Image.open(file) as image:
                square = (network.INPUT_SIZE, network.INPUT_SIZE)
                small = image.convert("RGB").resize(square, Image.Resampling.BILINEAR)
            pixels.append(np.asarray(small))
            labels.append(number)
    return Pictures(np.stack(pixels).astype(np.float32) / 127.5 - 1, np.array(labels))


def pooled(backbone: keras.Model, pixels: np.ndarray) -> np.ndarray:
    """Return the means of the last feature map."""
    parts = np.array_split(pixels, max(1, len(pixels) // _BATCH))
    maps = (backbone(part, training=False) for part in parts)
    return np.concatenate([np.asarray(m).mean(axis=(1, 2)) for m in maps])


def probe(train: np.ndarray, train_labels: np.ndarray, test: np.ndarray) -> np.ndarray:
    """Return the predicted class numbers of a linear probe."""
    scaler = StandardScaler().fit(train)
    train, test = np.asarray(scaler.transform(train)), np.asarray(scaler.transform(test))
    folds = list(StratifiedKFold(4, shuffle=True, random_state=0).split(train, train_labels))

    def score(strength: float) -> float:
        return float(
            np.mean(
                [
                    _fit(train[fit], train_labels[fit], strength).score(
                        train[held], train_labels[held]
                    )
                    for fit, held in folds
                ]
            )
        )

    best = max(STRENGTHS, key=score)
    return np.asarray(_fit(train, train_labels, best).predict(test))


def wilson(accuracy: float, count: int) -> tuple[float, float]:
    """Return the 95 % Wilson interval of a share among `count` pictures."""
    z = 1.96
    middle = (accuracy + z * z / (2 * count)) / (1 + z * z / count)
    spread = accuracy * (1 - accuracy) / count + z * z / (4 * count * count)
    reach = z * float(np.sqrt(spread)) / (1 + z * z / count)
    return round(middle - reach, 4), round(middle + reach, 4)


def compare(folder: Path, weights: Path) -> dict[str, object]:
    """Probe one data set with pretrained and with random weights."""
    train, test = read(folder / "train"), read(folder / "test")

    def correct(backbone: keras.Model) -> np.ndarray:
        features = pooled(backbone, train.pixels)
        predicted = probe(features, train.labels, pooled(backbone, test.pixels))
        return predicted == test.labels

    pretrained = correct(network.build_pretrained(weights_path=weights))
    initialised, estimated = [], []
    for seed in SEEDS:
        keras.utils.set_random_seed(seed)
        backbone = network.build()
        initialised.append(correct(backbone))
        _estimate_batch_norm(backbone, train.pixels)
        estimated.append(correct(backbone))
    random = max(np.mean(initialised, axis=0), np.mean(estimated, axis=0), key=np.mean)
    difference = pretrained - random
    gain, error = float(difference.mean()), float(difference.std() / np.sqrt(len(difference)))
    return {
        "train_pictures": len(train.labels),
        "test_pictures": len(test.labels),
        "pretrained": _share(pretrained),
        "random": _share(random),
        "random_as_initialised": [round(float(np.mean(c)), 4) for c in initialised],
        "random_batch_norm_estimated": [round(float(np.mean(c)), 4) for c in estimated],
        "gain_over_initialised": round(float(np.mean(pretrained) - np.mean(initialised)), 4),
        "gain": round(gain, 4),
        "gain_interval": [round(gain - 1.96 * error, 4), round(gain + 1.96 * error, 4)],
    }


def main() -> None:
    """Compare on each data set that is there, and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", type=Path, default=network.WEIGHTS_PATH)
    options = parser.parse_args()
    root = Path(__file__).resolve().parents[1]
    shared = Path(os.environ.get("TRANSFER_SHARED", root.parent / "shared")) / "datasets"
    started = time.time()
    sets = {name: compare(shared / name, options.weights) for name in DATASETS}
    gains = [float(str(result["gain"])) for result in sets.values()]
    summary = {
        "backbone": "builtin",
        "input_size": network.INPUT_SIZE,
        "weights_bytes": options.weights.stat().st_size,
        "datasets": sets,
        "mean_gain": round(float(np.mean(gains)), 4),
        "smallest_gain": min(gains),
        "seconds": round(time.time() - started),
    }
    print(json.dumps(summary, indent=1))


def _fit(features: np.ndarray, labels: np.ndarray, strength: float) -> LogisticRegression:
    return LogisticRegression(C=strength, max_iter=3000).fit(features, labels)


def _share(correct: np.ndarray) -> dict[str, object]:
    accuracy = float(np.mean(correct))
    return {"accuracy": round(accuracy, 4), "wilson_95": wilson(accuracy, len(correct))}


def _estimate_batch_norm(backbone: keras.Model, pixels: np.ndarray) -> None:
    """Set BatchNorm's statistics to their means over batches of training pictures."""
    order = np.random.default_rng(0).permutation(len(pixels))
    norms = [x for x in backbone.layers if isinstance(x, keras.layers.BatchNormalization)]
    for step in range(_NORM_STEPS):
        for norm in norms:
            norm.momentum = step / (step + 1)
        chosen = np.take(order, range(step * _BATCH, (step + 1) * _BATCH), mode="wrap")
        backbone(pixels[chosen], training=True)


if __name__ == "__main__":
    main()
