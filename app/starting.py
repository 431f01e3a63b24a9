"""Check a training before it begins: does it learn, at which rate, and what will it cost.

<store>/rehearsals/<key>/ is the run folder of one such check, and <key> the target of its job.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app import jobs, measurements, rehearsed
from app.measurements import Shelf, Standing
from app.rehearsed import Rehearsal
from transfer.config import RunConfig
from transfer.runs import Run

_SHELF = Shelf("rehearse", "rehearsals", rehearsed.NAME)
_NOTHING = (
    "The checks ended without an answer that this version understands. Try them again; a training"
    " works without them, too."
)
# How much of the time has passed when so many of the checks are done: taking the sample, for which
# pictures are read and go through the network, takes about half of it.
_PASSED = (0.0, 0.5, 0.65, 0.72, 0.8, 0.9, 1.0)
_MACHINE: tuple[jobs.Kind, ...] = (
    "advise",
    "check",
    "rehearse",
    "views",
    "train",
)  # share the computer


@dataclass(frozen=True)
class Subject(measurements.Subject):
    """What is checked: a training with these settings, whose strategy trains the network."""

    settings: RunConfig

    @property
    def key(self) -> str:
        """The name of its folder and of its job: one for each choice of settings."""
        told = json.dumps(self.settings.to_json(), sort_keys=True)
        own = hashlib.sha256(told.encode()).hexdigest()[:8]
        return f"{super().key}-{self.settings.strategy}-{own}"

    @property
    def config(self) -> RunConfig:
        """The settings of its run folder."""
        return self.settings

    @property
    def run(self) -> Run:
        """The folder in which it is checked, which may not be there."""
        return _SHELF.run(self)


def of(settings: RunConfig) -> Subject:
    """Return the checks of a training with these settings."""
    return Subject(settings.dataset, settings.backbone, settings.image_size, settings)


def folder() -> Path:
    """Return where the checks are."""
    return _SHELF.folder


def standing(subject: Subject) -> Standing[Rehearsal]:
    """Return how the checks of a training stand."""
    return _SHELF.standing(subject, rehearsed.read(subject.run), _NOTHING)


def begin(subject: Subject) -> None:
    """Put the checks of a training into the queue, unless they are there already.

    Raises:
        SettingsError: the settings cannot be used.
    """
    _SHELF.begin(subject)


def ahead() -> int:
    """Return how many jobs come before a training that is put into the queue now."""
    return sum(
        job.kind in _MACHINE or (job.kind == "search" and job.state == "running")
        for job in jobs.active()
    )


def seconds_left(standing: Standing[Any], now: float) -> float | None:
    """Return how long the checks may still take, by what they took so far; None: not known yet."""
    status, job = standing.status, standing.job
    done = float(status.get("done", 0))
    if status.get("phase") != "checks" or job is None or job.started is None:
        return None
    whole = int(done)
    if not 1 <= whole < len(_PASSED) - 1:
        return None
    passed = _PASSED[whole] + (done - whole) * (_PASSED[whole + 1] - _PASSED[whole])
    return max(0.0, (now - job.started) * (1 - passed) / passed)


def give_way(digest: str) -> None:
    """End the checks before a training on a data set: it has been started."""
    for job in jobs.active():
        if job.kind == "rehearse" and measurements.of_data_set(job.target) == digest:
            jobs.cancel(job)


def forget(digest: str) -> None:
    """End and remove the checks of all trainings on a data set."""
    _SHELF.forget(digest)


def folders(digest: str | None = None) -> list[Path]:
    """Return the folders of the checks, of all data sets or of one."""
    return _SHELF.folders(digest)
