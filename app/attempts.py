"""How a job's process ended that gave no answer, whether it is tried again, and words for people.

What counts is whether it got on: a process that kept something before it ended may end as often as
it likes, for the next one has less to do. Without that, it ends after so many in a row.
"""

import contextlib
import os
import re
import signal
from dataclasses import dataclass
from pathlib import Path

from app import jobs
from app.jobs import Job
from transfer import shortage, store
from transfer.runs import Run

ATTEMPTS = 3  # in a row without getting on
KILLED = 30  # the same, where somebody killed it and it was not the kernel, for want of memory
UNSAID = 2  # the exit status with an error; where the error is not there, it could not be written
_COUNTERS = (Path("/proc/vmstat"), Path("/sys/fs/cgroup/memory.events"))
_TAIL = 1 << 14  # bytes of a log
_FOLDERS = {"train": "runs", "advise": "advice", "check": "health", "search": "searches"}
_WORK = {
    "train": "The training",
    "import": "Taking in the pictures",
    "advise": "The measuring",
    "check": "The check of the pictures",
    "rehearse": "The check of the training",
    "search": "The search for settings",
    "export": "Writing the model",
    "score": "Looking at the pictures",
    "views": "The measuring of several views",
}


@dataclass(frozen=True)
class Before:
    """What there was when a process began: what was kept, and how often memory had run out."""

    kept: object
    out_of_memory: int | None


@dataclass(frozen=True)
class Ending:
    """An end without an answer, or for want of memory (`lacking`)."""

    job: Job
    status: int | None  # of the process, where it is known
    lacking: str | None
    before: Before | None

    @property
    def got_on(self) -> bool:
        """Whether something is kept that was not there before."""
        return self.before is not None and _kept(self.job) != self.before.kept

    @property
    def memory(self) -> bool:
        """Whether memory ran out, most likely."""
        if self.lacking == "memory" or _told(self.job) == "memory":
            return True
        # The kernel kills so where memory runs out; hardly anybody else does so often.
        return self.status == -signal.SIGKILL

    @property
    def last(self) -> bool:
        """Whether this was the last attempt."""
        return not self.got_on and self.job.attempts + 1 >= self._most

    def in_words(self) -> str:
        """Return what happened and what to do."""
        memory = self.memory
        return (
            f"{_WORK[self.job.kind]} stopped unexpectedly {self.job.attempts + 1} times"
            f"{', probably because this computer ran out of memory' if memory else ''}."
            f" Nothing of the data is lost:{' close other programs and' if memory else ''} start it"
            f" again. Technical details: the file '{jobs.file(self.job, 'log')}'."
        )

    @property
    def _most(self) -> int:
        if self.status != -signal.SIGKILL or self.before is None:
            return ATTEMPTS
        counted = _out_of_memory()
        if counted is None or counted != self.before.out_of_memory:
            return ATTEMPTS
        return KILLED


def before(job: Job) -> Before:
    """Take down how things are before a job's process begins."""
    return Before(_kept(job), _out_of_memory())


def _kept(job: Job) -> object:
    """Return what stands for all that a later process of the job need not do again."""
    folder = _FOLDERS.get(job.kind)
    own = Run(store.home() / folder / job.target).kept() if folder else None
    features = 0
    for root, _, names in os.walk(store.home() / "features"):
        for name in names:
            with contextlib.suppress(OSError):
                features += (Path(root) / name).stat().st_size if name.endswith(".ids") else 0
    return own, features


def _out_of_memory() -> int | None:
    """Return how often the kernel ended a process for want of memory; None where it does not say.

    The machine as a whole counts (vmstat, proc(5)) and the group of this process (cgroup-v2).
    """
    found = []
    for path in _COUNTERS:
        with contextlib.suppress(OSError):
            found += re.findall(r"^oom_kill (\d+)$", path.read_text(), re.MULTILINE)
    return sum(map(int, found)) if found else None


def _told(job: Job) -> str | None:
    """Return what the end of the job's log says was lacking."""
    try:
        with jobs.file(job, "log").open("rb") as log:
            log.seek(max(0, jobs.file(job, "log").stat().st_size - _TAIL))
            return shortage.told(log.read().decode("utf-8", "replace"))
    except OSError:
        return None
