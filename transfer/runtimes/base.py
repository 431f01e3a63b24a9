"""What every runtime offers, and how the outputs of two are compared."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator

import numpy as np

Outputs = tuple[np.ndarray, ...]  # one float32 array [n, ...] for each output of the model


class Extractor(ABC):
    """Computes a model's outputs for uint8 pictures [n, size, size, 3].

    `name` is the runtime, "openvino" or "keras"; `precision` is what it computes in, "float32",
    "float16" or "bfloat16".
    """

    name: str
    precision: str

    @abstractmethod
    def stream(self, batches: Iterable[np.ndarray]) -> Iterator[Outputs]:
        """Yield the outputs of each batch, in order, and compute on while the caller uses them.

        The batches may differ in size. One batch is fetched ahead of what is handed out.
        """

    def __call__(self, batch: np.ndarray) -> Outputs:
        """Return the outputs of one batch."""
        return next(iter(self.stream([batch])))


def least_cosine(expected: Outputs, received: Outputs) -> float:
    """Return the least cosine between two computations, over all outputs and pictures.

    -1.0 where a shape differs or a value is not finite.
    """
    least = 1.0
    for one, other in zip(expected, received, strict=True):
        if one.shape != other.shape or not np.isfinite(one).all() or not np.isfinite(other).all():
            return -1.0
        a, b = (values.reshape(len(values), -1).astype(np.float64) for values in (one, other))
        lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
        cosines = np.einsum("nd,nd->n", a, b) / np.where(lengths > 0, lengths, 1.0)
        both_zero = ~a.any(axis=1) & ~b.any(axis=1)
        least = min([least, *np.where(both_zero, 1.0, cosines).tolist()])
    return least
