"""Measure a data set for the advice, apart from any training.

<store>/advice/<key>/ is the run folder of one measurement, and <key> the target of its job. A
training that follows the advice measures by itself; what it found is taken over.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app import jobs, measured, measurements, workshop
from app.jobs import Job
from app.measured import Advice
from app.measurements import Shelf
from transfer.errors import TransferError
from transfer.runs import Run

_GRACE = 1.0  # seconds; nothing is written that would have to be brought to its end
_SHELF = Shelf("advise", "advice", "advice")
_NOTHING = (
    "The measuring ended without an advice that this version understands. Try it again; a training"
    " works without it, too."
)


@dataclass(frozen=True)
class Subject(measurements.Subject):
    """What is measured: a data set as a network sees it, at an input size in pixels."""

    @property
    def run(self) -> Run:
        """The folder in which it is measured, which may not be there."""
        return _SHELF.run(self)


@dataclass(frozen=True)
class Standing:
    """How a measurement stands, in one word, and what goes with it.

    `word` is "none", "waiting", "measuring", "training" (a training of the same subject is to
    measure it), "failed" (`error` says why) or "ready" (`advice`). `status` is the last one that
    was reported.
    """

    word: str
    advice: Advice | None = None
    job: Job | None = None
    error: str | None = None
    status: dict[str, Any] = field(default_factory=dict)

    @property
    def alive(self) -> bool:
        """Whether something will change by itself."""
        return self.word in ("waiting", "measuring", "training")


def folder() -> Path:
    """Return where the measurements are."""
    return _SHELF.folder


def standing(subject: Subject) -> Standing:
    """Return how the measurement of a subject stands."""
    if advice := measured.read(subject.run) or _of_a_training(subject):
        return Standing("ready", advice)
    job = jobs.latest("advise", subject.key)
    if job and job.state in ("queued", "running"):
        word = "waiting" if job.state == "queued" else "measuring"
        return Standing(word, job=job, status=measurements.status(subject.run))
    if (run := _under_way(subject)) is not None:
        return Standing("training", status=measurements.status(run))
    if job is None or job.state == "cancelled":
        return Standing("none")
    return Standing("failed", job=job, error=job.error or _NOTHING)


def begin(subject: Subject) -> None:
    """Put the measurement of a subject into the queue, unless it is there already.

    Raises:
        BackboneError: the network does not take pictures of that size.
    """
    _SHELF.begin(subject)


def give_way(digest: str, keep: Subject | None = None) -> None:
    """End the measurements of a data set that nobody waits for any more: all but `keep`.

    What they have computed of the pictures is kept, so that the next one need not.
    """
    for job in jobs.active():
        needless = keep is None or job.target != keep.key
        if job.kind == "advise" and of_data_set(job.target) == digest and needless:
            jobs.cancel(job, _GRACE)


def forget(digest: str) -> None:
    """End and remove all measurements of a data set."""
    _SHELF.forget(digest)


def folders(digest: str | None = None) -> list[Path]:
    """Return the folders of the measurements, of all data sets or of one."""
    return _SHELF.folders(digest)


def of_data_set(key: str) -> str:
    """Return the digest of the data set that a measurement, or a check, is of."""
    return measurements.of_data_set(key)


def _under_way(subject: Subject) -> Run | None:
    """Return a training of the same subject that measures it first, or will."""
    at_work = {job.target for job in jobs.active() if job.kind == "train"}
    for run in _trainings(subject):
        if run.config().measures and run.folder.name in at_work and not run.finished:
            return run
    return None


def _of_a_training(subject: Subject) -> Advice | None:
    """Return what a training of the same subject has measured, and keep it in its own place."""
    for run in _trainings(subject):
        if advice := measured.read(run):
            with contextlib.suppress(OSError, TransferError):
                subject.run.start(subject.config)
                subject.run.write("advice", run.read("advice"))
            return advice
    return None


def _trainings(subject: Subject) -> Iterator[Run]:
    for run in workshop.listed():
        with contextlib.suppress(TransferError):
            config = run.config()
            if subject == Subject(config.dataset, config.backbone, config.image_size):
                yield run
