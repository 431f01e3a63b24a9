"""How far the pictures move what the network sees: the shift of its BatchNorm statistics.

BN shift: the median over channels of |mean now - mean when it learned| / its standard deviation
then, averaged over the BatchNormalization layers. It needs neither labels nor the old pictures.
"""

from dataclasses import dataclass

import keras
import numpy as np

from transfer import backbones, runtimes
from transfer.backbones import Backbone

MOST = 256  # pictures that are looked at
_TRIVIAL = 1e-6  # statistics of mean 0 and variance 1 were folded away and say nothing
_RESAMPLED = 20
_BATCH, _SAMPLES = 32, 8


@dataclass(frozen=True)
class Shift:
    """The BN shift and its standard error by resampling the pictures."""

    shift: float
    error: float


def shift(backbone: Backbone, pictures: np.ndarray, seed: int) -> Shift | None:
    """Return the BN shift of pictures uint8 [n, s, s, 3]; None without usable BatchNorm layers."""
    layers = _layers(backbone.network)
    if not layers:
        return None
    model = backbones.reading(backbone, [_mean(layer) for layer in layers])
    batches = (pictures[i : i + _BATCH] for i in range(0, len(pictures), _BATCH))
    answers = runtimes.fastest(model, pictures[:_SAMPLES]).stream(batches)
    means = np.concatenate([np.concatenate(parts, axis=1) for parts in answers])
    rng = np.random.default_rng(seed)
    draws = [rng.integers(0, len(means), len(means)) for _ in range(_RESAMPLED)]
    again = [_shift(layers, means[draw]) for draw in draws]
    return Shift(_shift(layers, means), float(np.std(again)))


def spread(features: np.ndarray) -> float:
    """Return the effective number of directions of features [n, d] (participation ratio).

    The square of the sum of the variances along all directions over the sum of their squares,
    corrected for the number of pictures.
    """
    centred = features.astype(np.float64) - features.mean(axis=0, dtype=np.float64)
    n, d = centred.shape
    gram = centred @ centred.T if n <= d else centred.T @ centred
    ratio = float(np.trace(gram) ** 2 / max((gram * gram).sum(), 1e-12))
    return ratio * n / max(n - ratio, 1.0)


def _layers(network: keras.Model) -> list[keras.layers.BatchNormalization]:
    found = [one for one in network.layers if isinstance(one, keras.layers.BatchNormalization)]
    return [layer for layer in found if not _is_trivial(layer)]


def _is_trivial(layer: keras.layers.BatchNormalization) -> bool:
    mean, variance = _statistics(layer)
    return bool(np.abs(mean).max() < _TRIVIAL and np.abs(variance - 1).max() < _TRIVIAL)


def _statistics(layer: keras.layers.BatchNormalization) -> tuple[np.ndarray, np.ndarray]:
    values = (layer.moving_mean, layer.moving_variance)
    mean, variance = (np.asarray(keras.ops.convert_to_numpy(value)) for value in values)
    return mean, variance


def _mean(layer: keras.layers.BatchNormalization) -> object:
    given = layer.input
    return keras.layers.GlobalAveragePooling2D()(given) if len(given.shape) == 4 else given


def _shift(layers: list[keras.layers.BatchNormalization], means: np.ndarray) -> float:
    """Return the shift for means [n, channels of all layers]; chance differences are taken off."""
    shifts, start = [], 0
    now, chance = means.mean(axis=0), means.var(axis=0) / len(means)
    for layer in layers:
        mean, variance = _statistics(layer)
        columns = slice(start, start + len(mean))
        squares = np.maximum((now[columns] - mean) ** 2 - chance[columns], 0.0)
        shifts.append(float(np.median(np.sqrt(squares / (variance + layer.epsilon)))))
        start = columns.stop
    return float(np.mean(shifts))
