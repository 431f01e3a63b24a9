"""Prove that an exported model gives the app's answers, in a fresh process without this package.

The process runs the snippet that goes along with the model, so that is proved too.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from transfer import batches, prediction, runtimes
from transfer.errors import ExportError
from transfer.exporting.formats import Format
from transfer.exporting.writing import EXAMPLE
from transfer.prediction import Classifier

TOLERANCE = 1e-4  # largest difference of a probability that is still "the same answer"
SAME_LABELS = 0.98  # of the pictures, where a format computes in whole numbers
SAME_KNOWN = 0.9  # the same of "none of these", beside whose limit more pictures lie
PROBABILITIES, KNOWN = "probabilities", "known"
_BATCH = 32

# Runs in a fresh process, isolated (-I), with our package made unimportable.
_CHECK = """\
import json, runpy, sys
sys.modules["transfer"] = None
import numpy as np
example, files, target = sys.argv[1:]
sys.argv = [example]
answers, names = runpy.run_path(example)["answers"], json.load(open(files))
parts = {}
for i in range(0, len(names), 32):
    data = [open(name, "rb").read() for name in names[i : i + 32]]
    for name, values in answers(data).items():
        parts.setdefault(name, []).append(np.asarray(values))
    print(i + len(data), flush=True)
np.savez(target, **{name: np.concatenate(values) for name, values in parts.items()})
"""

Answers = Mapping[str, np.ndarray]
OnProgress = Callable[[int, int], None]


@dataclass(frozen=True)
class Agreement:
    """How an exported model agrees with the app.

    Attributes:
        checked: on how many pictures.
        differences: of each output, the largest between two numbers.
        same_label: the share of pictures with the same most probable class.
        same_known: the share of which both say that they are of these classes, or that they are
            none of these; None where the model does not tell.
        accuracy: of the exported model on these pictures; `accuracy_here`: of the app's.
    """

    checked: int
    differences: dict[str, float]
    same_label: float
    accuracy: float
    accuracy_here: float
    same_known: float | None = None

    @property
    def max_difference(self) -> float:
        """The largest difference of a probability."""
        return self.differences[PROBABILITIES]


def expected(
    classifier: Classifier, pictures: Sequence[Path], on_progress: OnProgress | None = None
) -> dict[str, np.ndarray]:
    """Return the app's own answers for pictures of the store: each named output [n, ...]."""
    model = classifier.outputs
    said = {PROBABILITIES: prediction.probabilities(classifier, pictures, on_progress)}
    if others := [name for name in model.output if name != PROBABILITIES]:
        run = runtimes.named(model, _BATCH)  # one graph for any number of pictures
        data = batches.pictures(pictures, classifier.image_size, _BATCH)
        rows = [run(batch) for batch in data.as_numpy_iterator()]
        said |= {name: np.concatenate([row[name] for row in rows]) for name in others}
    return said


def elsewhere(
    folder: Path, pictures: Sequence[Path], on_progress: OnProgress | None = None
) -> dict[str, np.ndarray]:
    """Return what the exported model in `folder` says of picture files, in a fresh process.

    Raises:
        ExportError: it cannot be run.
    """
    with tempfile.TemporaryDirectory() as work:
        files, answers = Path(work) / "files.json", Path(work) / "answers.npz"
        files.write_text(json.dumps([str(path.resolve()) for path in pictures]), encoding="utf-8")
        example = folder.resolve() / EXAMPLE
        with (Path(work) / "errors").open("w+", encoding="utf-8") as errors:
            process = subprocess.Popen(
                [sys.executable, "-I", "-c", _CHECK, str(example), str(files), str(answers)],
                cwd=work,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
            with process:
                for line in process.stdout or ():
                    if on_progress and line.strip().isdecimal():
                        on_progress(int(line), len(pictures))
            errors.seek(0)
            words = errors.read()
        if process.returncode != 0:
            last = (words.strip().splitlines() or ["no message"])[-1]
            raise ExportError(
                f"The exported model could not be run in a fresh process ({last})."
                " Nothing was exported; the run is unharmed."
            )
        with np.load(answers, allow_pickle=False) as kept:
            return dict(kept)


def compare(here: Answers, there: Answers, labels: np.ndarray) -> Agreement:
    """Compare the app's answers with an exported model's; labels are positions in the classes.

    Raises:
        ExportError: it lacks an output, or an output has another shape.
    """
    for name, one in here.items():
        if name not in there or there[name].shape != one.shape:
            got = there[name].shape if name in there else "nothing"
            raise ExportError(
                f"The exported model gives {got} as '{name}' where {one.shape} was expected."
                " Nothing was exported; the run is unharmed."
            )
    chosen = there[PROBABILITIES].argmax(axis=1)
    chosen_here = here[PROBABILITIES].argmax(axis=1)
    return Agreement(
        len(labels),
        {name: _difference(one, there[name]) for name, one in here.items()},
        float((chosen == chosen_here).mean()),
        float((chosen == labels).mean()),
        float((chosen_here == labels).mean()),
        float((here[KNOWN] == there[KNOWN]).mean()) if KNOWN in here else None,
    )


def refused(kind: Format, found: Agreement) -> str | None:
    """Return why a model may not leave, as a sentence; None: it gives the same answers."""
    if not kind.exact:
        if found.same_label >= SAME_LABELS:
            return _unlike(found)
        return (
            f"In whole numbers it names the same class on {100 * found.same_label:.1f} % of"
            f" {found.checked} pictures, at least {100 * SAME_LABELS:.0f} % are needed (right on"
            f" {100 * found.accuracy:.1f} % instead of {100 * found.accuracy_here:.1f} %)."
        )
    for name, difference in found.differences.items():
        if not difference <= TOLERANCE:  # also when it is not a number
            what = "a probability" if name == PROBABILITIES else f"'{name}'"
            return (
                "The exported model answers differently from the trained one:"
                f" {what} is off by {difference:.2g}, at most {TOLERANCE:g} is allowed."
            )
    return None


def in_words(kind: Format, found: Agreement) -> str:
    """Return what the check has found of a model that may leave."""
    if kind.exact:
        return (
            f"Checked: the same answers on all {found.checked} pictures (percentages differ by"
            f" {_points(found.max_difference)})."
        )
    shares = (found.same_label, found.accuracy, found.accuracy_here, found.same_known or 0.0)
    same, right, here, known = (round(share * found.checked) for share in shares)
    told = f" It says as the model does what is none of these of {known:,}."
    return (
        f"Checked: the same class on {same:,} of {found.checked:,} pictures; right on {right:,} of"
        f" them, the model in full on {here:,}.{'' if found.same_known is None else told}"
    )


def _unlike(found: Agreement) -> str | None:
    """Return why a model that names the right classes may still not leave."""
    if found.same_known is None or found.same_known >= SAME_KNOWN:
        return None
    return (
        "In whole numbers it takes other pictures for none of these: it says the same of"
        f" {100 * found.same_known:.1f} % of {found.checked}, at least {100 * SAME_KNOWN:.0f} %"
        " are needed."
    )


def _points(difference: float) -> str:
    """Return a small difference of two probabilities in points, as people write numbers."""
    return "less than 0.001 points" if difference < 1e-5 else f"{100 * difference:.3f} points"


def _difference(here: np.ndarray, there: np.ndarray) -> float:
    """Return the largest difference; of numbers over 1, as a part of the largest of them."""
    mine, other = here.astype(np.float64), there.astype(np.float64)
    scale = max(1.0, float(np.abs(mine).max(initial=0.0)))
    return float(np.abs(mine - other).max(initial=0.0)) / scale
