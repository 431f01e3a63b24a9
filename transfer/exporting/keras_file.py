"""A `.keras` file of layers that are all Keras' own, so that Keras alone can read it."""

from collections.abc import Sequence
from pathlib import Path

from transfer.exporting import formats
from transfer.prediction import Classifier


def write(classifier: Classifier, folder: Path, examples: Sequence[Path]) -> None:
    """Write the model into `folder`; `examples` are not needed here."""
    del examples
    classifier.outputs.save(folder / formats.named("keras").file)
