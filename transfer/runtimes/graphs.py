"""A Keras model run by its own backend: as a graph with fixed weights, or compiled by XLA."""

import functools
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from transfer import backbones, devices
from transfer.runtimes import folding
from transfer.runtimes.base import Extractor, Outputs

# Weights up to this size become constants of a graph. It then starts faster and TensorFlow folds
# BatchNormalization (1.3 times as fast), but it takes 15 times the memory of the weights.
_MOST_CONSTANT = 32 * 1024**2
# So many pictures stay in a core's own cache: 165 a second where 32 at a time gave 126.
_PIECE = 4

Compute = Callable[[np.ndarray], Outputs]


class KerasExtractor(Extractor):
    """Computes in threads, so that the caller fetches and uses batches meanwhile.

    Each thread takes whole batches, or `piece` pictures at a time.
    """

    name = "keras"

    def __init__(
        self,
        compute: Compute,
        precision: str = "float32",
        threads: int = 1,
        piece: int | None = None,
    ) -> None:
        self.precision = precision
        self._compute, self._threads, self._piece = compute, threads, piece

    def stream(self, batches: Iterable[np.ndarray]) -> Iterator[Outputs]:
        """Yield the outputs of each batch, in order; at most `threads` + 1 batches are here."""
        pending: deque[list[Future[Outputs]]] = deque()
        with ThreadPoolExecutor(self._threads) as pool:
            for batch in batches:
                size = self._piece or max(1, len(batch))
                pieces = [batch[i : i + size] for i in range(0, max(1, len(batch)), size)]
                pending.append([pool.submit(self._compute, piece) for piece in pieces])
                if len(pending) > self._threads:
                    yield _joined(pending.popleft())
            while pending:
                yield _joined(pending.popleft())


def small_batches(
    model: keras.Model, shape: tuple[int, ...], live: Collection[keras.Variable] = ()
) -> KerasExtractor:
    """Return the model as a graph with fixed weights, for pictures [n, *shape] of type uint8.

    On a CPU, each core computes a few pictures at a time. Changes of `live` variables are seen.
    """
    compute = fixed(model, shape, live=live)
    if keras.backend.backend() != "tensorflow" or devices.has_accelerator():
        return KerasExtractor(compute)
    return KerasExtractor(compute, threads=devices.cpus(), piece=_at_once(model, _PIECE))


def _at_once(model: keras.Model, pictures: int) -> int:
    """Return how many pictures take the memory of so many where one view of each is looked at."""
    return max(1, pictures // backbones.looks(model))


def frozen(model: keras.Model, batch_size: int) -> Callable[[np.ndarray], np.ndarray]:
    """Return a function from pictures [n, height, width, 3] to the model's one output.

    It uses the weights that the model has at the first call. At most `batch_size` pictures, or
    views of them, are computed at a time; nothing is padded, so that few pictures take little time.
    """
    graph = functools.cache(functools.partial(fixed, model))
    batch_size = _at_once(model, batch_size)

    def run(batch: np.ndarray) -> np.ndarray:
        compute = graph(batch.shape[1:], batch.dtype)
        starts = range(0, max(len(batch), 1), batch_size)
        return np.concatenate([compute(batch[i : i + batch_size])[0] for i in starts])

    return run


def named(model: keras.Model, batch_size: int) -> Callable[[np.ndarray], dict[str, np.ndarray]]:
    """Return the same for a model whose outputs have names: float32 [n, ...] for each of them."""
    graph = functools.cache(functools.partial(fixed, model))
    batch_size = _at_once(model, batch_size)
    names = _names(model)

    def run(batch: np.ndarray) -> dict[str, np.ndarray]:
        compute = graph(batch.shape[1:], batch.dtype)
        starts = range(0, max(len(batch), 1), batch_size)
        parts = [compute(batch[i : i + batch_size]) for i in starts]
        return dict(zip(names, map(np.concatenate, zip(*parts, strict=True)), strict=True))

    return run


def fixed(
    model: keras.Model,
    shape: tuple[int, ...],
    dtype: Any = np.uint8,
    live: Collection[keras.Variable] = (),
) -> Compute:
    """Return the model as a TensorFlow graph with fixed weights, for any number of pictures.

    Of another Keras backend, `predict_on_batch`. Changes of `live` variables are seen.
    """
    if keras.backend.backend() != "tensorflow":
        return lambda batch: _arrays(keras.tree.flatten(model.predict_on_batch(batch)))
    graph = traced(model, (None, *shape), dtype, live)
    return lambda batch: _arrays(graph(tf.constant(batch)))


def of_constants(
    model: keras.Model, shape: tuple[int | None, ...]
) -> Callable[[tf.Tensor], dict[str, tf.Tensor]] | None:
    """Return a graph from float32 pictures to named outputs that holds its weights as constants.

    None where they are too large for it. It may be called in another graph, and saved.
    """
    if not _small(model):
        return None
    graph, names = traced(model, shape, np.float32), _names(model)
    return lambda pictures: dict(zip(names, graph(pictures), strict=True))


def eager(model: keras.Model) -> Compute:
    """Return the model as it is: slow, but at once, where a graph takes seconds to build."""
    return lambda batch: _arrays(_call(model, batch))


def jitted(model: keras.Model) -> Compute:
    """Return the model compiled by XLA, which takes long, anew for each number of pictures.

    A smaller batch is therefore padded to the largest so far.
    """
    function = tf.function(functools.partial(_call, model), jit_compile=True, autograph=False)
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


def traced(
    model: keras.Model,
    shape: tuple[int | None, ...],
    dtype: Any = np.uint8,
    live: Collection[keras.Variable] = (),
) -> Any:
    """Return the model, with its weights as they are, as a TensorFlow `ConcreteFunction`.

    Args:
        model: the model.
        shape: of the pictures, with their number or None in front.
        dtype: of the pictures.
        live: variables that are read anew at each call.
    """
    read_anew = {id(one) for one in live}
    variables = [one for one in model.variables if id(one) not in read_anew]
    # Arrays become constants of the graph; tensors stay outside and share the model's memory.
    if _small(model):
        changed = folding.folded(model)
        values = [(one, changed.get(id(one), np.asarray(one))) for one in variables]
    else:
        values = [(one, tf.convert_to_tensor(one.value)) for one in variables]

    def call(pictures: tf.Tensor) -> tuple[Any, ...]:
        mapping = [(variable, tf.convert_to_tensor(value)) for variable, value in values]
        with keras.StatelessScope(state_mapping=mapping):
            return _call(model, pictures)

    return tf.function(call, autograph=False).get_concrete_function(tf.TensorSpec(shape, dtype))


def _small(model: keras.Model) -> bool:
    return 4 * model.count_params() <= _MOST_CONSTANT


def _names(model: keras.Model) -> list[str]:
    """Return the names of the outputs in the order of `keras.tree.flatten`."""
    return sorted(model.output)


def _call(model: keras.Model, pictures: Any) -> tuple[Any, ...]:
    outputs = keras.tree.flatten(model(tf.cast(pictures, tf.float32), training=False))
    return tuple(tf.cast(values, tf.float32) for values in outputs)


def _joined(pieces: list[Future[Outputs]]) -> Outputs:
    outputs = [piece.result() for piece in pieces]
    if len(outputs) == 1:
        return outputs[0]
    return tuple(map(np.concatenate, zip(*outputs, strict=True)))


def _arrays(tensors: Iterable[Any]) -> Outputs:
    return tuple(np.asarray(tensor, np.float32) for tensor in tensors)
