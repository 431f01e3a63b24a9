"""Compute the outputs of a model that no longer changes, for many pictures, as fast as may be.

On a CPU OpenVINO runs the model where it agrees with Keras on sample pictures, and TensorFlow
elsewhere; on an accelerator Keras, compiled. `benchmarks/runtimes.py` measures what is chosen.
"""

from transfer.runtimes.base import Extractor, Outputs
from transfer.runtimes.choice import fastest, prepare
from transfer.runtimes.graphs import frozen, named, of_constants, small_batches

__all__ = [
    "Extractor",
    "Outputs",
    "fastest",
    "frozen",
    "named",
    "of_constants",
    "prepare",
    "small_batches",
]
