"""Write a run's model as a SavedModel that keeps its word, and prove it before saying so."""

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf

from transfer import imaging, prediction, store
from transfer.dataset import library
from transfer.dataset.split import Split
from transfer.errors import ExportError, RunError
from transfer.prediction import Classifier
from transfer.runs import Run

TOLERANCE = 1e-4  # largest difference of a probability that is still "the same answer"

_WORK = ".export-"

SNIPPET = '''\
"""Classify pictures with this SavedModel: python example.py PICTURE..."""

import json, pathlib, sys
import tensorflow as tf

folder = pathlib.Path(__file__).parent
classes = json.loads((folder / "labels.json").read_text(encoding="utf-8"))
classify = tf.saved_model.load(str(folder)).signatures["serving_default"]
for name in sys.argv[1:]:
    answer = classify(image_bytes=tf.constant([pathlib.Path(name).read_bytes()]))
    for label, p in zip(classes, answer["probabilities"][0].numpy()):
        print(f"{name}  {label}: {p:.3f}")
'''

# Runs in a fresh process, isolated (-I), with our package made unimportable.
_CHECK = """\
import json, sys
sys.modules["transfer"] = None
import numpy as np, tensorflow as tf
folder, files, answers = sys.argv[1:]
classify = tf.saved_model.load(folder).signatures["serving_default"]
names = json.load(open(files))
rows = []
for i in range(0, len(names), 32):
    data = [open(name, "rb").read() for name in names[i : i + 32]]
    rows.append(classify(image_bytes=tf.constant(data))["probabilities"].numpy())
np.save(answers, np.concatenate(rows))
"""


@dataclass(frozen=True)
class Exported:
    """Where the SavedModel is, on how many pictures it was checked, and the largest difference."""

    path: Path
    checked: int
    max_difference: float


class _Servable(tf.Module):
    """The SavedModel: two signatures, and the class names as an asset."""

    def __init__(self, classifier: Classifier, labels: Path) -> None:
        super().__init__()
        self.model, self._image_size = classifier.model, classifier.image_size
        # All variables by name: TensorFlow does not find those of Dropout's random numbers, which
        # the graph of a fine-tuned model holds, through the layers of Keras.
        self.variables_of_model = [variable.value for variable in self.model.variables]
        self.labels = tf.saved_model.Asset(str(labels))

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="image_bytes")])
    def from_bytes(self, image_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
        """Bytes of JPEG, PNG, GIF, BMP or WebP (without transparency) files -> probabilities."""
        size = self._image_size
        pictures = tf.map_fn(
            lambda data: imaging.decode_and_resize(data, size),
            image_bytes,
            fn_output_signature=tf.TensorSpec([size, size, 3], tf.uint8),
        )
        values = tf.cast(pictures, tf.float32)
        return {"probabilities": self.model(values, training=False)}

    @tf.function(input_signature=[tf.TensorSpec([None, None, None, 3], tf.float32, name="images")])
    def from_pixels(self, images: tf.Tensor) -> dict[str, tf.Tensor]:
        """RGB pixels of one size in 0-255 -> probabilities."""
        values = tf.cast(imaging.resize(images, self._image_size), tf.float32)
        return {"probabilities": self.model(values, training=False)}


def export(
    run: Run, target: Path, on_progress: Callable[[int, int], None] | None = None
) -> Exported:
    """Export the model of a finished run to `target` and check it in a fresh process.

    The check compares the probabilities of every test picture (of every validation picture where
    there is no test set). Nothing is left at `target` unless it holds.

    Raises:
        RunError: the run is not finished, or its data set is no longer in the store.
        ExportError: `target` is in use, or the exported model answers differently.
    """
    classifier = prediction.load(run)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise ExportError(
            f"'{target}' exists already and is not empty. Name a new folder for the model."
        )
    pictures = _pictures_to_check(run)
    expected = prediction.probabilities(classifier, pictures, on_progress)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=_WORK) as work:
        saved = Path(work) / "model"
        _write(classifier, saved)
        difference = float(np.abs(_answers_elsewhere(saved, pictures) - expected).max())
        if not difference <= TOLERANCE:  # also when it is not a number
            raise ExportError(
                f"The exported model answers differently from the trained one: a probability is off"
                f" by {difference:.2g}, at most {TOLERANCE:g} is allowed. Nothing was exported; the"
                " run is unharmed. Please report this with the versions in its folder."
            )
        if target.exists():
            target.rmdir()
        saved.rename(target)
    return Exported(target, len(pictures), difference)


def clear(target: Path) -> None:
    """Remove what a killed export has left at `target` and beside it."""
    for rest in [target, *target.parent.glob(f"{_WORK}*")]:
        shutil.rmtree(rest, ignore_errors=True)


def _pictures_to_check(run: Run) -> list[Path]:
    index = library.open_dataset(run.config().dataset)
    kept = run.read("split")
    if kept is None:
        raise RunError(f"The run in '{run.folder}' lost its split. Train it again.")
    parts = Split.from_json(kept)
    return [index.path(index.pictures[i]) for i in parts.test or parts.val]


def _write(classifier: Classifier, folder: Path) -> None:
    with tempfile.TemporaryDirectory() as work:
        labels = Path(work) / "labels.txt"
        labels.write_text("\n".join(classifier.classes) + "\n", encoding="utf-8")
        servable = _Servable(classifier, labels)
        signatures = {
            "serving_default": servable.from_bytes,
            "serving_pixels": servable.from_pixels,
        }
        tf.saved_model.save(servable, str(folder), signatures=signatures)
    store.write_json(folder / "labels.json", list(classifier.classes))
    (folder / "example.py").write_text(SNIPPET, encoding="utf-8")


def _answers_elsewhere(saved: Path, pictures: list[Path]) -> np.ndarray:
    """Return the probabilities that a fresh process without this package gets from the model."""
    with tempfile.TemporaryDirectory() as work:
        files, answers = Path(work) / "files.json", Path(work) / "answers.npy"
        files.write_text(json.dumps([str(path.resolve()) for path in pictures]), encoding="utf-8")
        done = subprocess.run(
            [sys.executable, "-I", "-c", _CHECK, str(saved.resolve()), str(files), str(answers)],
            cwd=work,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            last = (done.stderr.strip().splitlines() or ["no message"])[-1]
            raise ExportError(
                f"The exported model could not be run in a fresh process ({last})."
                " Nothing was exported; the run is unharmed."
            )
        return np.load(answers, allow_pickle=False)
