"""Look through a data set for what may ruin a result, apart from any training.

<store>/health/<key>/ is the run folder of one check, and <key> the target of its job.
"""

from dataclasses import dataclass
from pathlib import Path

from app import checked, measurements, networks
from app.checked import Report
from app.measurements import Shelf, Standing
from transfer import weights
from transfer.runs import Run

_SHELF = Shelf("check", "health", checked.NAME)
_NOTHING = (
    "The check ended without a report that this version understands. Try it again; a training works"
    " without it, too."
)


@dataclass(frozen=True)
class Subject(measurements.Subject):
    """What is looked through: a data set as a network sees it, at an input size in pixels."""

    @property
    def run(self) -> Run:
        """The folder in which it is looked through, which may not be there."""
        return _SHELF.run(self)


def folder() -> Path:
    """Return where the checks are."""
    return _SHELF.folder


def usual(digest: str) -> Subject:
    """Return what is looked through unless another network is asked for: it is on this machine."""
    spec = networks.recommended()
    return Subject(digest, spec.name, weights.default_size(spec))


def standing(subject: Subject) -> Standing[Report]:
    """Return how the check of a subject stands."""
    return _SHELF.standing(subject, checked.read(subject.run), _NOTHING)


def begin(subject: Subject) -> None:
    """Put the check of a subject into the queue, unless it is there already.

    Raises:
        BackboneError: the network does not take pictures of that size.
    """
    _SHELF.begin(subject)


def forget(digest: str) -> None:
    """End and remove all checks of a data set."""
    _SHELF.forget(digest)


def folders(digest: str | None = None) -> list[Path]:
    """Return the folders of the checks, of all data sets or of one."""
    return _SHELF.folders(digest)
