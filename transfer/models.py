"""Keep the models that were used last in memory, each ready to answer for one picture at once."""

import ctypes
import gc
import io
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf
from PIL import Image

from transfer import backbones, imaging, prediction
from transfer.dataset.decode import decode
from transfer.errors import RunError, TransferError
from transfer.prediction import Classifier
from transfer.runs import Run

MOST_MODELS = 3
_LONGEST_NAME = 200  # bytes

Stamp = tuple[str, int, int]  # path, time of change and size: tells one model file from another


@dataclass(frozen=True)
class Loaded:
    """A model that is ready to answer, and the file that it came from as it then was."""

    stamp: Stamp
    classifier: Classifier
    predict: Callable[[np.ndarray], np.ndarray]

    def probabilities(self, picture: bytes) -> list[float]:
        """Go the way of `prediction.predict_files`, with a graph for one picture.

        Raises:
            DataError: the bytes are not a picture.
        """
        own = io.BytesIO()
        Image.fromarray(decode(picture)).save(own, "PNG", compress_level=0)
        data = tf.constant(own.getvalue())
        pixels = imaging.decode_and_resize(data, self.classifier.image_size).numpy()
        return [float(p) for p in self.predict(pixels[None])[0]]


class Models:
    """The models of the runs in one folder that are in memory, in use order."""

    def __init__(self, runs: Path, log: Callable[[str], None]) -> None:
        self._runs, self._log = runs, log
        self._loaded: dict[str, Loaded] = {}

    def names(self) -> list[str]:
        """Return the ids of the runs whose models are here, the last used at the end."""
        return list(self._loaded)

    def get(self, run_id: object) -> Loaded:
        """Return the model of a run, loaded anew where its file has changed.

        Raises:
            RunError: there is no such run, it is not finished, or its model cannot be read.
        """
        run = self._run(run_id)
        kept = self._loaded.pop(run.folder.name, None)
        stamp = _stamp(run)
        if kept is None or kept.stamp != stamp:
            kept = None  # gives the old one free before the new one comes
            self.keep(MOST_MODELS - 1)
            kept = self._load(run, stamp)
        self._loaded[run.folder.name] = kept
        return kept

    def keep(self, most: int) -> None:
        """Drop all but so many models that were used last, and give their memory back."""
        for name in list(self._loaded)[: max(len(self._loaded) - most, 0)]:
            del self._loaded[name]
        gc.collect()
        with suppress(AttributeError):  # glibc keeps what is freed, unless it is told
            ctypes.CDLL(None).malloc_trim(0)

    def _load(self, run: Run, stamp: Stamp) -> Loaded:
        name, began = run.folder.name, time.monotonic()
        try:
            classifier = prediction.load(run)
            loaded = Loaded(stamp, classifier, backbones.compiled(classifier.model, 1))
            grey = io.BytesIO()
            Image.new("RGB", (64, 64), (128, 128, 128)).save(grey, "PNG")
            loaded.probabilities(grey.getvalue())  # builds the graph: slower than all that follow
        except TransferError:
            raise
        except Exception as error:  # Keras has no kind of its own for damaged files
            self._log(f"Cannot load '{name}': {error!r}")
            raise RunError(
                f"The model of the run '{name}' cannot be read ({type(error).__name__})."
                " Try again; if it stays so, train it again."
            ) from error
        self._log(f"Loaded '{name}' in {time.monotonic() - began:.1f} s")
        return loaded

    def _run(self, run_id: object) -> Run:
        """Return the run of this id: a plain name, so that nothing outside the folder is read."""
        if (
            not isinstance(run_id, str)
            or not run_id.isprintable()  # also: can be written in UTF-8
            or not 0 < len(run_id.encode()) <= _LONGEST_NAME
            or run_id in (".", "..")
            or "/" in run_id
            or "\\" in run_id
        ):
            raise RunError("That is not the id of a run. Choose one in the list of runs.")
        return Run(self._runs / run_id)


def _stamp(run: Run) -> Stamp:
    name = run.folder.name
    try:
        if run.finished:
            stat = run.model_path.stat()
            return str(run.model_path), stat.st_mtime_ns, stat.st_size
    except FileNotFoundError:  # deleted in between
        pass
    if run.exists:
        raise RunError(
            f"The run '{name}' is not finished, so it has no model yet."
            " Wait until its training has ended, or go on with it."
        )
    raise RunError(f"The run '{name}' is not there any more. Choose one in the list of runs.")
