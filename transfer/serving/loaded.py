"""One model in memory, ready to answer: that of a run, or an exported SavedModel.

Both take a picture in two steps. `prepare` decodes it, alone; `compute` answers for several that
were prepared. The pixels on the way are those of `prediction.predict_files`.
"""

import functools
import io
import json
import threading
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from PIL import Image

from transfer import heat_maps, imaging, prediction, runtimes, store
from transfer.dataset.decode import decode
from transfer.errors import RunError
from transfer.runs import Run
from transfer.serving import limits
from transfer.serving.sources import Source

Outputs = dict[str, np.ndarray]  # one array [n, ...] for each output, "probabilities" among them

_one_large = threading.Lock()  # a picture of 100 million pixels takes 1600 MB for a moment


class Loaded(ABC):
    """A model that is ready to answer, and the file that it came from as it then was."""

    classes: tuple[str, ...]

    def __init__(self, source: Source) -> None:
        self.source = source

    @abstractmethod
    def prepare(self, picture: bytes) -> Any:
        """Return what `compute` takes of a picture file.

        Raises:
            DataError: the bytes are not a picture.
        """

    @abstractmethod
    def compute(self, pictures: Sequence[Any]) -> Outputs:
        """Return all outputs for prepared pictures."""

    @property
    @abstractmethod
    def outputs(self) -> tuple[str, ...]:
        """The names of the outputs."""

    @property
    @abstractmethod
    def image_size(self) -> int:
        """The pixels of its pictures' sides."""

    @property
    @abstractmethod
    def explain(self) -> heat_maps.Explainer:
        """What draws its heat maps; the first time that takes a while.

        Raises:
            RunError: there are none of this model.
        """

    def warm(self) -> None:
        """Answer for a grey picture: the first answer takes longer than all that follow."""
        grey = io.BytesIO()
        Image.new("RGB", (64, 64), (128, 128, 128)).save(grey, "PNG")
        self.compute([self.prepare(grey.getvalue())])


class LoadedRun(Loaded):
    """The model of a finished run. Only models that this program wrote may be loaded."""

    def __init__(self, source: Source) -> None:
        super().__init__(source)
        self._classifier = classifier = prediction.load(Run(source.folder))
        self.classes = classifier.classes
        size = classifier.image_size
        self._compute = runtimes.small_batches(classifier.outputs, (size, size, 3))
        named: Any = classifier.outputs.output  # Keras allows for other outputs than a dict
        self._names = tuple(keras.tree.flatten({name: name for name in named}))
        self._said = {name for name, one in named.items() if one.dtype == "bool"}
        self._resize = tf.function(
            lambda pixels: imaging.resize(pixels, size),
            input_signature=[tf.TensorSpec([None, None, 3], tf.uint8)],
        )

    @property
    def outputs(self) -> tuple[str, ...]:
        """The names of the outputs."""
        return self._names

    @property
    def image_size(self) -> int:
        """The pixels of its pictures' sides."""
        return self._classifier.image_size

    @property
    def explain(self) -> heat_maps.Explainer:
        """What draws its heat maps; the first time that takes a while."""
        return self._explainer

    @functools.cached_property
    def _explainer(self) -> heat_maps.Explainer:
        return heat_maps.explainer(self._classifier)

    def prepare(self, picture: bytes) -> np.ndarray:
        """Return uint8 [image_size, image_size, 3]."""
        return self._resize(tf.constant(decoded(picture))).numpy()

    def compute(self, pictures: Sequence[np.ndarray]) -> Outputs:
        """Return all outputs; a few pictures at a time on each core."""
        answers = dict(zip(self._names, self._compute(np.stack(pictures)), strict=True))
        return answers | {name: answers[name] > 0.5 for name in self._said}


class LoadedExport(Loaded):
    """A SavedModel that `python -m transfer export` wrote: it holds code, which runs here."""

    def __init__(self, source: Source) -> None:
        super().__init__(source)
        self._kept = tf.saved_model.load(str(source.folder))  # its variables live as long as it
        signatures: Any = self._kept.signatures  # pyright: ignore[reportAttributeAccessIssue]
        try:
            self.classes = tuple(store.read_json(source.folder / "labels.json"))
            self._signature = signatures["serving_default"]
            self._names = tuple(sorted(self._signature.structured_outputs))
            arguments = self._signature.structured_input_signature[1]
        except (OSError, KeyError, json.JSONDecodeError):
            raise _foreign(source) from None
        if set(arguments) != {"image_bytes"} or "probabilities" not in self._names:
            raise _foreign(source)

    @property
    def outputs(self) -> tuple[str, ...]:
        """The names of the outputs."""
        return self._names

    @property
    def image_size(self) -> int:
        """Not known of an exported model."""
        return 0

    @property
    def explain(self) -> heat_maps.Explainer:
        """There are none."""
        raise RunError("There are no heat maps of an exported model. Ask the run that it is of.")

    def prepare(self, picture: bytes) -> bytes:
        """Return a lossless file of our own: the model reads fewer kinds than we do."""
        own = io.BytesIO()
        Image.fromarray(decoded(picture)).save(own, "PNG", compress_level=0)
        return own.getvalue()

    def compute(self, pictures: Sequence[bytes]) -> Outputs:
        """Return all outputs of the signature."""
        answers = self._signature(image_bytes=tf.constant(list(pictures)))
        return {name: answers[name].numpy() for name in self._names}


def load(source: Source) -> Loaded:
    """Load a model and answer once with it.

    Raises:
        RunError: there is none that can be asked.
    """
    loaded = LoadedRun(source) if source.kind == "run" else LoadedExport(source)
    loaded.warm()
    return loaded


def decoded(picture: bytes) -> np.ndarray:
    """Return uint8 [height, width, 3]; of large pictures, one at a time.

    Raises:
        DataError: the bytes are not a picture.
    """
    if _pixels(picture) < limits.LARGE_PIXELS:
        return decode(picture)
    with _one_large:
        return decode(picture)


def _pixels(picture: bytes) -> int:
    """Return how many pixels a file says that it has; 0 where it does not say."""
    try:
        with Image.open(io.BytesIO(picture)) as header:
            return header.width * header.height
    except Exception:  # `decode` finds words for it
        return 0


def _foreign(source: Source) -> RunError:
    return RunError(
        f"The model '{source.name}' was not exported by this program: expected a signature"
        " 'serving_default' from 'image_bytes' to 'probabilities', and the classes in labels.json."
        " Export the run again."
    )
