"""Work on a data set as a network sees it, apart from any training: its folder and its job.

<store>/<name>/<key>/ is the run folder of one piece of work, and <key> the target of its job.
"""

import contextlib
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

from app import jobs
from transfer import store
from transfer.config import RunConfig
from transfer.errors import RunError, TransferError
from transfer.runs import Run

T = TypeVar("T")


@dataclass(frozen=True)
class Subject:
    """What is looked at: a data set as a network sees it, at an input size in pixels."""

    digest: str
    backbone: str
    image_size: int

    @property
    def key(self) -> str:
        """The name of its folder and of its job."""
        return f"{self.digest}-{self.backbone.replace(':', '-')}-{self.image_size}"

    @property
    def config(self) -> RunConfig:
        """The settings of its run folder."""
        return RunConfig(self.digest, self.backbone, self.image_size, strategy="auto")


@dataclass(frozen=True)
class Standing(Generic[T]):
    """How a piece of work stands, in one word, and what goes with it.

    `word` is "none", "waiting", "checking", "failed" (`error` says why) or "ready" (`found`).
    `status` is the last one that was reported.
    """

    word: str
    found: T | None = None
    job: jobs.Job | None = None
    error: str | None = None
    status: dict[str, Any] = field(default_factory=dict)

    @property
    def alive(self) -> bool:
        """Whether something will change by itself."""
        return self.word in ("waiting", "checking")


@dataclass(frozen=True)
class Shelf:
    """One kind of work: the kind of its jobs, its folder in the store, and what it leaves there."""

    kind: jobs.Kind
    name: str
    outcome: str

    @property
    def folder(self) -> Path:
        """Where all of it is."""
        return store.home() / self.name

    def run(self, subject: Subject) -> Run:
        """Return the folder of one subject, which may not be there."""
        return Run(self.folder / subject.key)

    def begin(self, subject: Subject) -> None:
        """Put the work on a subject into the queue, unless it is there already.

        Raises:
            BackboneError: the network does not take pictures of that size.
        """
        config, run = subject.config, self.run(subject)
        job = jobs.latest(self.kind, subject.key)
        if job is None or job.state not in ("queued", "running"):
            if not self._prepared(run, config):
                shutil.rmtree(run.folder, ignore_errors=True)
            run.start(config)
        jobs.submit(self.kind, subject.key)

    def standing(self, subject: Subject, found: T | None, nothing: str) -> Standing[T]:
        """Return how the work on a subject stands.

        Args:
            subject: what is looked at.
            found: what the work left, as far as that can be understood.
            nothing: why there is nothing, where the job does not say.
        """
        if found:
            return Standing("ready", found)
        job = jobs.latest(self.kind, subject.key)
        if job is None or job.state == "cancelled":
            return Standing("none")
        if job.state in ("queued", "running"):
            word = "waiting" if job.state == "queued" else "checking"
            return Standing(word, job=job, status=status(self.run(subject)))
        return Standing("failed", job=job, error=job.error or nothing)

    def forget(self, digest: str) -> None:
        """End and remove all work on a data set."""
        for path in self.folders(digest):
            jobs.forget(self.kind, path.name)
            shutil.rmtree(path, ignore_errors=True)

    def folders(self, digest: str | None = None) -> list[Path]:
        """Return the folders of the work on all data sets or on one."""
        found = [path for path in self.folder.glob("[!.]*") if path.is_dir()]
        return [path for path in found if digest in (None, of_data_set(path.name))]

    def _prepared(self, run: Run, config: RunConfig) -> bool:
        """Whether the folder can be used as it is: not one of another version, without outcome."""
        with contextlib.suppress(TransferError):
            return run.exists and run.config() == config and run.read(self.outcome) is None
        return False


def of_data_set(key: str) -> str:
    """Return the digest of the data set that a piece of work is on."""
    return key.partition("-")[0]


def outcome(run: Run, name: str) -> dict[str, Any] | None:
    """Return what a piece of work left under this name; None where there is nothing to be read."""
    try:
        value = run.read(name)
    except RunError:
        return None
    return value if isinstance(value, dict) else None


def status(run: Run) -> dict[str, Any]:
    """Return the last status that was reported, {} where none can be read."""
    try:
        return run.status_now()
    except RunError:
        return {}
