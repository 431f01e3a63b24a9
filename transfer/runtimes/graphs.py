"""A Keras model run by its own backend: as a graph with constant weights, or compiled by XLA."""

import functools
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from transfer.runtimes.base import Extractor, Outputs

Compute = Callable[[np.ndarray], Outputs]


class KerasExtractor(Extractor):
    """Computes in threads, so that the caller fetches and uses batches meanwhile."""

    name = "keras"

    def __init__(self, compute: Compute, precision: str = "float32", threads: int = 1) -> None:
        self.precision = precision
        self._compute, self._threads = compute, threads

    def stream(self, batches: Iterable[np.ndarray]) -> Iterator[Outputs]:
        """Yield the outputs of each batch, in order; at most `threads` + 1 batches are here."""
        pending: deque[Future[Outputs]] = deque()
        with ThreadPoolExecutor(self._threads) as pool:
            for batch in batches:
                pending.append(pool.submit(self._compute, batch))
                if len(pending) > self._threads:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()


def frozen(model: keras.Model, batch_size: int) -> Callable[[np.ndarray], np.ndarray]:
    """Return a function from pictures [n, height, width, 3] to the model's one output.

    TensorFlow computes it with the weights that the model has at the first call, as constants, and
    folds what it can (BatchNormalization into convolutions). At most `batch_size` pictures are
    computed at a time; nothing is padded, so that few pictures take little time.
    """
    graph = functools.cache(functools.partial(constant, model))

    def run(batch: np.ndarray) -> np.ndarray:
        compute = graph(batch.shape[1:], batch.dtype)
        starts = range(0, max(len(batch), 1), batch_size)
        return np.concatenate([compute(batch[i : i + batch_size])[0] for i in starts])

    return run


def constant(model: keras.Model, shape: tuple[int, ...], dtype: Any = np.uint8) -> Compute:
    """Return the model as a TensorFlow graph with constant weights, for any number of pictures.

    Of another Keras backend, `predict_on_batch`.
    """
    if keras.backend.backend() != "tensorflow":
        return lambda batch: _arrays(keras.tree.flatten(model.predict_on_batch(batch)))
    graph = convert_variables_to_constants_v2(traced(model, (None, *shape), dtype))
    return lambda batch: _arrays(graph(tf.constant(batch)))


def eager(model: keras.Model) -> Compute:
    """Return the model as it is: slow, but at once, where a graph takes seconds to build."""
    return lambda batch: _arrays(_call(model, batch))


def jitted(model: keras.Model) -> Compute:
    """Return the model compiled by XLA, which takes long, anew for each number of pictures.

    A smaller batch is therefore padded to the largest so far.
    """
    function = tf.function(functools.partial(_call, model), jit_compile=True)
    largest = 0

    def compute(batch: np.ndarray) -> Outputs:
        nonlocal largest
        largest = max(largest, len(batch))
        padded = np.pad(batch, [(0, largest - len(batch)), (0, 0), (0, 0), (0, 0)])
        return tuple(values[: len(batch)] for values in _arrays(function(tf.constant(padded))))

    return compute


def half_precision(model: keras.Model) -> keras.Model:
    """Return a copy that computes in float16: finer than bfloat16, and as fast on a GPU."""

    def copied(layer: keras.layers.Layer) -> keras.layers.Layer:
        return type(layer).from_config({**layer.get_config(), "dtype": "mixed_float16"})

    copy = keras.models.clone_model(model, clone_function=copied, recursive=True)
    copy.set_weights(model.get_weights())
    return copy


def traced(model: keras.Model, shape: tuple[int | None, ...], dtype: Any = np.uint8) -> Any:
    """Return the model as a TensorFlow graph (`ConcreteFunction`) for pictures of this shape."""
    function = tf.function(functools.partial(_call, model))
    return function.get_concrete_function(tf.TensorSpec(shape, dtype))


def _call(model: keras.Model, pictures: Any) -> tuple[Any, ...]:
    outputs = keras.tree.flatten(model(tf.cast(pictures, tf.float32), training=False))
    return tuple(tf.cast(values, tf.float32) for values in outputs)


def _arrays(tensors: Iterable[Any]) -> Outputs:
    return tuple(np.asarray(tensor, np.float32) for tensor in tensors)
