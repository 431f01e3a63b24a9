"""Write a run's model in a format that keeps its word, and prove it before saying so."""

import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from transfer import prediction
from transfer.dataset import library
from transfer.dataset.index import ImageIndex
from transfer.dataset.split import Split
from transfer.errors import ExportError, RunError
from transfer.exporting import checking, formats, writing
from transfer.exporting.checking import Agreement
from transfer.prediction import Classifier
from transfer.reporting import model_card
from transfer.runs import Run

TOLERANCE = checking.TOLERANCE
SNIPPET = writing.snippet(formats.DEFAULT)

_WORK = ".export-"
_EXAMPLES = 200  # training pictures on which ranges of numbers are measured

OnProgress = Callable[[int, int], None]


@dataclass(frozen=True)
class Exported:
    """Where the model is, in which format, and what its check has found."""

    path: Path
    format: str
    agreement: Agreement

    @property
    def checked(self) -> int:
        """On how many pictures."""
        return self.agreement.checked

    @property
    def max_difference(self) -> float:
        """The largest difference of a probability."""
        return self.agreement.max_difference

    def to_json(self) -> dict[str, Any]:
        """Return what is kept of it beside the run."""
        words = checking.in_words(formats.named(self.format), self.agreement)
        return {
            "format": self.format,
            **asdict(self.agreement),
            "max_difference": self.max_difference,
            "words": words,
        }


def export(
    run: Run,
    target: Path,
    on_progress: OnProgress | None = None,
    format: str = formats.DEFAULT,  # noqa: A002 - as the option is called
) -> Exported:
    """Export the model of a finished run to `target` and check it in a fresh process.

    The check compares all outputs for every test picture (every validation picture where there is
    no test set). Nothing is left at `target` unless it holds.

    Args:
        run: a finished run.
        target: a folder that is new or empty.
        on_progress: called with (pictures done, pictures in all).
        format: one of `formats.NAMES`.

    Raises:
        RunError: the run is not finished, or its data set is no longer in the store.
        ExportError: `target` is in use, or the exported model answers differently.
        SettingsError: there is no such format.
    """
    kind = formats.named(format)
    classifier = prediction.load(run)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise ExportError(
            f"'{target}' exists already and is not empty. Name a new folder for the model."
        )
    index, parts = _parted(run)
    positions = parts.test or parts.val
    pictures = _paths(index, positions)
    numbers = {name: number for number, name in enumerate(classifier.classes)}
    labels = np.array([numbers[index.pictures[i].label] for i in positions])
    tell = _halves(on_progress)
    here = checking.expected(classifier, pictures, tell(0))
    target.parent.mkdir(parents=True, exist_ok=True)
    examples = _paths(index, _spread(parts.train, _EXAMPLES))
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=_WORK) as work:
        why = None
        for number, writer in enumerate(writing.WRITERS[kind.name]):
            made = Path(work) / f"model{number}"
            writing.write(kind, writer, classifier, made, examples)
            found = checking.compare(here, checking.elsewhere(made, pictures, tell(1)), labels)
            if (why := checking.refused(kind, found)) is None:
                (made / model_card.FILE).write_text(model_card.text(run), encoding="utf-8")
                return _placed(kind, classifier, made, target, found)
    raise ExportError(
        f"{why} Nothing was exported; the run is unharmed. "
        + ("Please report this with the versions in its folder." if kind.exact else _INSTEAD)
    )


_INSTEAD = "Take the model in full (litert) instead."


def clear(target: Path) -> None:
    """Remove what a killed export has left at `target` and beside it."""
    for rest in [target, *target.parent.glob(f"{_WORK}*")]:
        shutil.rmtree(rest, ignore_errors=True)


def _placed(
    kind: formats.Format, classifier: Classifier, made: Path, target: Path, found: Agreement
) -> Exported:
    writing.explain(kind, made, classifier, checking.in_words(kind, found))
    if target.exists():
        target.rmdir()
    made.rename(target)
    return Exported(target, kind.name, found)


def _parted(run: Run) -> tuple[ImageIndex, Split]:
    index = library.open_dataset(run.config().dataset)
    kept = run.read("split")
    if kept is None:
        raise RunError(f"The run in '{run.folder}' lost its split. Train it again.")
    return index, Split.from_json(kept)


def _paths(index: ImageIndex, positions: Sequence[int]) -> list[Path]:
    return [index.path(index.pictures[i]) for i in positions]


def _spread(positions: Sequence[int], most: int) -> list[int]:
    """Return at most so many, evenly spread, so that all classes are among them."""
    chosen = np.linspace(0, len(positions) - 1, min(most, len(positions))).round().astype(int)
    return [positions[i] for i in chosen]


def _halves(on_progress: OnProgress | None) -> Callable[[int], OnProgress | None]:
    """Return for each half of the work, 0 and 1, a function that tells of the whole of it."""

    def half(number: int) -> OnProgress | None:
        if (tell := on_progress) is None:
            return None
        return lambda done, total: tell((number * total + done) // 2, total)

    return half
