"""Choose the runtime and the precision by what agrees with Keras, the quicker first.

No stop-watch decides: the same network on the same machine is always computed in the same way.
"""

from collections.abc import Callable
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

from transfer import devices
from transfer.runtimes import graphs, vino
from transfer.runtimes.base import Extractor, Outputs, least_cosine
from transfer.runtimes.graphs import KerasExtractor
from transfer.runtimes.vino import Converted

LEAST_COSINE = 0.999  # of each picture's outputs, flattened, with those of Keras


@dataclass(frozen=True)
class Prepared:
    """A model with the graphs that take seconds to build; see `fastest`."""

    model: keras.Model
    eager: Callable[[np.ndarray], Outputs]
    converted: Converted
    plain: Extractor


def prepare(model: keras.Model, shape: tuple[int, ...]) -> "Prepared | keras.Model":
    """Build what `fastest` needs for pictures of a shape, as far as that can be done without them.

    Where nothing can be built ahead the model is returned; `fastest` will say why.
    """
    if keras.backend.backend() != "tensorflow" or devices.has_accelerator():
        return model
    try:
        return _prepared(model, shape)
    except Exception:  # as in `fastest`
        return model


def fastest(
    model: "keras.Model | Prepared", samples: np.ndarray, log: Callable[[str], None] | None = None
) -> Extractor:
    """Return the fastest way to compute the model's outputs that agrees with Keras.

    Args:
        model: maps RGB pictures [n, size, size, 3] in 0-255 to one or several outputs; or what
            `prepare` made of it. Its weights are read now, or were then; whether later changes are
            seen is not defined.
        samples: 8-32 real pictures, uint8 [k, size, size, 3], on which outputs are compared.
        log: told why TensorFlow has to do what OpenVINO would do faster.
    """
    if isinstance(model, Prepared):
        prepared, model = model, model.model
    else:
        prepared = None
    if keras.backend.backend() == "tensorflow" and devices.has_accelerator():
        return _on_accelerator(model, samples)
    if keras.backend.backend() == "tensorflow":
        try:
            return _on_cpu(prepared or _prepared(model, samples.shape[1:]), samples)
        except ImportError:
            reason = "OpenVINO is not installed"
        except Exception as error:  # what a foreign compiler cannot take has no kind of its own
            first = next(iter(str(error).strip().splitlines()), type(error).__name__)
            reason = f"OpenVINO cannot be used for this network ({first})"
        if log:
            log(f"{reason}. TensorFlow computes instead: slower, with the same results.")
    return graphs.small_batches(model, samples.shape[1:])


def _prepared(model: keras.Model, shape: tuple[int, ...]) -> Prepared:
    converted = vino.convert(model, shape)
    return Prepared(model, graphs.eager(model), converted, converted.compiled("float32"))


def _on_cpu(prepared: Prepared, samples: np.ndarray) -> Extractor:
    plain, converted = prepared.plain, prepared.converted
    expected = prepared.eager(samples)
    cosine = least_cosine(expected, plain(samples))
    if not cosine > LEAST_COSINE:
        raise ValueError(f"its outputs have a cosine of {cosine:.4f} with those of Keras")
    # Only on a CPU with bfloat16: ResNet50, ConvNeXtTiny and builtin became 1.7-1.9 times as fast.
    # MobileNets do not agree (cosine 0.986-0.997).
    if (half := converted.half) is None:
        return plain
    return _agreeing_half(plain, lambda: converted.compiled(half), expected, samples)


def _on_accelerator(model: keras.Model, samples: np.ndarray) -> Extractor:
    plain = KerasExtractor(graphs.jitted(model), threads=2)  # one copies while one computes
    try:
        expected = plain(samples)
    except tf.errors.OpError:  # XLA does not have an operation of the model
        return KerasExtractor(graphs.fixed(model, samples.shape[1:]), threads=2)

    def half() -> Extractor:
        return KerasExtractor(graphs.jitted(graphs.half_precision(model)), "float16", threads=2)

    return _agreeing_half(plain, half, expected, samples)


def _agreeing_half(
    plain: Extractor, build: Callable[[], Extractor], expected: Outputs, samples: np.ndarray
) -> Extractor:
    """Return the extractor in half precision if it agrees with Keras, else `plain`.

    What all pictures have in common hides errors in what tells them apart; so the differences from
    the mean picture have to agree as well.
    """
    try:
        half = build()
        received = half(samples)
    except Exception:  # as in `fastest`; and half precision can be done without
        return plain
    means = [values.mean(axis=0) for values in expected]
    differences = (
        tuple(values - mean for values, mean in zip(outputs, means, strict=True))
        for outputs in (expected, received)
    )
    agrees = min(least_cosine(expected, received), least_cosine(*differences)) > LEAST_COSINE
    return half if agrees else plain
