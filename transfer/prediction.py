"""Answers from a trained model: for the pictures of a data set, or for files from anywhere."""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from transfer import backbones, batches, imaging, outputs, runtimes, silence
from transfer.dataset.decode import decode
from transfer.refusal import Familiar
from transfer.runs import Run
from transfer.runtimes import Extractor

_BATCH = 32


@dataclass(frozen=True)
class Classifier:
    """A trained model with its class names: output column i is `classes[i]`.

    `limit` and `familiar` say when it is to stay silent; see `outputs`.
    """

    model: keras.Model
    classes: tuple[str, ...]
    image_size: int
    limit: float = 0.0
    familiar: Familiar | None = None

    @functools.cached_property
    def outputs(self) -> keras.Model:
        """The model as it leaves the app: pixels [n, h, w, 3] in 0-255 to named outputs.

        "probabilities" [n, classes] is always among them; `outputs` tells of the others.
        """
        return outputs.build(self.model, self.limit, self.familiar)

    @functools.cached_property
    def extractor(self) -> Extractor:
        """What answers for resized pictures: a graph, built once, which sees changes of the head.

        Pictures of the store are resized by the rule of the model's own first layer.
        """
        after, shape = backbones.after_resizing(self.model), (self.image_size, self.image_size, 3)
        return runtimes.small_batches(after, shape, backbones.head_variables(after))


def load(run: Run) -> Classifier:
    """Load the model of a finished run. Only models that this program wrote may be loaded.

    Raises:
        RunError: there is no finished run in the folder.
    """
    result = run.result()
    model: Any = keras.saving.load_model(run.model_path, compile=False)
    plain = of_model(model, tuple(result["classes"]), run.config().image_size)
    return replace(plain, limit=silence.limit(run), familiar=silence.familiar(run))


def of_model(model: keras.Model, classes: tuple[str, ...], image_size: int) -> Classifier:
    """Return a model with its class names; one of several views reads larger pictures."""
    side = backbones.side(backbones.after_resizing(model))
    return Classifier(model, classes, side or image_size)


def probabilities(
    classifier: Classifier,
    paths: Sequence[Path],
    on_progress: Callable[[int, int], None] | None = None,
) -> np.ndarray:
    """Return probabilities float32 [n, classes] for stored pictures (see `dataset.library`)."""
    parts: list[np.ndarray] = []
    data = batches.pictures(paths, classifier.image_size, _BATCH).as_numpy_iterator()
    for (answers,) in classifier.extractor.stream(data):
        parts.append(answers)
        if on_progress:
            on_progress(min(len(parts) * _BATCH, len(paths)), len(paths))
    return np.concatenate(parts)


def predict_files(classifier: Classifier, files: Sequence[Path]) -> np.ndarray:
    """Return probabilities float32 [n, classes] for picture files of any kind that is read.

    Raises:
        DataError: a file is missing or is not a picture.
    """
    return answer_files(classifier, files)["probabilities"]


def answer_files(classifier: Classifier, files: Sequence[Path]) -> dict[str, np.ndarray]:
    """Return all outputs of the model by their names (see `outputs`), [n, ...] each.

    Raises:
        DataError: a file is missing or is not a picture.
    """
    predict = runtimes.named(classifier.outputs, _BATCH)
    parts = []
    for start in range(0, len(files), _BATCH):
        batch = [_resized(file, classifier.image_size) for file in files[start : start + _BATCH]]
        parts.append(predict(np.stack(batch)))
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _resized(file: Path, image_size: int) -> np.ndarray:
    """Go the way of every picture: one decoding, one resizing."""
    return imaging.resize(tf.constant(decode(file)), image_size).numpy()
