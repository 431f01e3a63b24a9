"""The dispatcher: starts each job of the queue in a process of its own, and sees how it ends.

Run as `python -m app.dispatcher`; a second one for the same store leaves at once. It remembers
nothing that matters: whoever kills it loses no job. A job's process outlives it, holding the lock
that it was born with, and the next dispatcher tells by that lock whether it still works.
"""

import json
import math
import os
import signal
import sqlite3
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from app import attempts, jobs, processes, scores
from app.attempts import Before
from app.jobs import Job
from transfer import shortage, store
from transfer.runs import Run

Commands = Mapping[str, Callable[[str], Sequence[str]]]

COMMANDS: Commands = {
    "train": lambda target: [
        *(sys.executable, "-m", "transfer", "work"),
        *(str((store.home() / "runs" / target).absolute()), "--json"),
    ],
    "import": lambda target: [sys.executable, "-m", "app.importing", target],
    "advise": lambda target: [
        *(sys.executable, "-m", "transfer", "measure"),
        *(str((store.home() / "advice" / target).absolute()), "--json"),
    ],
    "check": lambda target: [
        *(sys.executable, "-m", "transfer", "check"),
        *(str((store.home() / "health" / target).absolute()), "--json"),
    ],
    "rehearse": lambda target: [
        *(sys.executable, "-m", "transfer", "rehearse"),
        *(str((store.home() / "rehearsals" / target).absolute()), "--json"),
    ],
    "search": lambda target: [
        *(sys.executable, "-m", "transfer", "seek"),
        *(str((store.home() / "searches" / target).absolute()), "--json"),
    ],
    "export": lambda target: [
        *(sys.executable, "-m", "transfer", "deliver"),
        str((store.home() / "runs" / target.rpartition(".")[0]).absolute()),
        *("--format", target.rpartition(".")[2], "--json"),
    ],
    "score": scores.command,
    "views": lambda target: [
        *(sys.executable, "-m", "transfer", "views"),
        *(str((store.home() / "runs" / target).absolute()), "--json"),
    ],
}
INTERVAL = 0.3  # seconds between two looks at the queue
IDLE = 15.0  # seconds without a web server after which an idle dispatcher leaves
KEEP_FILES = 30 * 24 * 3600.0
_CLEANING_INTERVAL = 3600.0
_TAIL = 1 << 20  # bytes; the last line of a job's output is far shorter
# After a job found the disk full it is tried again with so many more bytes, or so much later: not
# every limit is one that can be asked for.
_FREED, _AGAIN = 2**20, 600.0
# Kinds that share their slots; the first goes first. Somebody sits before the page and waits for an
# advice, a check or a file, which take a minute; whoever starts a training comes back later. A
# search is many trainings, and nobody's result waits for it.
_LANES: Sequence[Sequence[jobs.Kind]] = (
    ("advise", "check", "rehearse", "export", "score", "views", "train", "search"),
    ("import",),
)


class Dispatcher:
    """Takes care of the queue, one `step` at a time.

    Args:
        commands: For each kind of job, from its target to the command that does it.
        gpus: One training, measurement or check at a time runs on each. Default: those of the
            machine. Without any, one at a time runs.
    """

    def __init__(self, commands: Commands = COMMANDS, gpus: Sequence[str] | None = None) -> None:
        self._commands = commands
        self._gpus = jobs.gpus() if gpus is None else list(gpus)
        self._slots = (self._gpus or ["cpu"], ["import 1", "import 2"])
        self._children: dict[int, tuple[Job, subprocess.Popen[bytes]]] = {}
        self._adopted: set[int] = set()
        self._before: dict[int, Before] = {}  # each process that was started or adopted
        self._full: dict[int, tuple[int, float]] = {}  # job -> what it waits for: bytes, or when
        self._cancelled: dict[int, float] = {}  # when it was first seen

    def step(self) -> bool:
        """Do what is to be done now; return whether anything waits or runs."""
        self._reap()
        for job in jobs.unended():
            if job.state != "queued" and job.id not in self._children:
                self._watch(job)
            if job.state == "cancelled":
                self._insist(job)
        unended = jobs.unended()
        for kinds, slots in zip(_LANES, self._slots, strict=True):
            lane = [job for kind in kinds for job in unended if job.kind == kind]
            self._fill(lane, slots)
        return bool(unended)

    def _reap(self) -> None:
        """See which of the own processes have ended."""
        for job, process in list(self._children.values()):
            left = os.WEXITED | os.WNOHANG | os.WNOWAIT
            if os.waitid(os.P_PID, process.pid, left) is None:
                continue
            # Not reaped yet, so its number is still its own, and so is its group.
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            del self._children[job.id]
            self._settle(job, process.returncode)

    def _watch(self, job: Job) -> None:
        """See whether a process that an earlier dispatcher started has ended."""
        if processes.lives(jobs.file(job, "lock")):
            if job.id not in self._adopted:
                _log(f"adopted job {job.id}")
                self._before[job.id] = attempts.before(job)
            self._adopted.add(job.id)
        elif job.id in self._adopted:
            self._adopted.remove(job.id)
            processes.sweep(jobs.file(job, "lock"))
            self._settle(job)
        else:
            # Nobody saw it end: the machine went down, most likely. That is not the job's fault.
            self._settle(job, blamed=False)

    def _insist(self, job: Job) -> None:
        """End a cancelled job if whoever cancelled it has not managed to, or has gone itself."""
        since = self._cancelled.setdefault(job.id, time.monotonic())
        if time.monotonic() - since > 2 * processes.GRACE:
            processes.end(jobs.file(job, "lock"), grace=0.1)

    def _fill(self, lane: list[Job], slots: Sequence[str]) -> None:
        """Start what waits in a lane, in its order, as long as a slot is free."""
        busy = [job for job in lane if job.state != "queued"]
        taken = {job.slot for job in busy}
        # A target whose cancelled process has not gone yet waits: two must not write one folder.
        targets = {job.target for job in busy}
        free = [slot for slot in slots if slot not in taken][: max(0, len(slots) - len(busy))]
        for job in lane:
            if (
                free
                and job.state == "queued"
                and job.target not in targets
                and self._has_room(job)
                and self._start(job, free[0])
            ):
                free.pop(0)

    def _has_room(self, job: Job) -> bool:
        """Whether a job may begin: not on a full disk, and after that with more room, or later."""
        needed, later = self._full.get(job.id, (0, 0.0))
        free = shortage.free_bytes()
        return free >= shortage.ROOM and (free >= needed or time.monotonic() >= later)

    def _start(self, job: Job, slot: str) -> bool:
        """Start a job's process, which inherits its lock; False if it cannot be had just now."""
        path = jobs.file(job, "lock")
        with path.open("a") as lock:
            # Held: a child of the last attempt lives on, or somebody looks at this very moment.
            if not processes.take(lock):
                return False
            lock.truncate(0)
            # Emptied first: whoever finds the job running takes the last line for its answer.
            with (
                jobs.file(job, "out").open("wb") as output,
                jobs.file(job, "log").open("ab") as errors,
            ):
                if not jobs.claim(job, slot):
                    return False
                self._before[job.id] = attempts.before(job)
                gpu = {"CUDA_VISIBLE_DEVICES": slot} if slot in self._gpus else {}
                process = subprocess.Popen(
                    processes.announced(path, self._commands[job.kind](job.target)),
                    cwd=jobs.ROOT,
                    env=jobs.environment(**gpu),
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=errors,
                    pass_fds=[lock.fileno()],
                    start_new_session=True,
                )
        self._children[job.id] = (job, process)
        _log(f"started job {job.id}, {job.kind} {job.target}, as process {process.pid} on {slot}")
        return True

    def _settle(self, job: Job, status: int | None = None, blamed: bool = True) -> None:
        """Record how a job has ended, by the last line of its output.

        Args:
            job: As it stood when it was started, or read.
            status: Of its process, where that is known.
            blamed: Whether an end without an answer counts as a failed attempt.
        """
        answer = _answer(jobs.file(job, "out"))
        how = "an" if answer is not None else "no"
        _log(f"job {job.id} has ended with {how} answer, {status=}")
        lacking = (answer or {}).get("lacking")
        free = shortage.free_bytes()
        unsaid = answer is None and status == attempts.UNSAID and free < 4 * shortage.ROOM
        if lacking == "disk" or unsaid:
            self._full[job.id] = (free + _FREED, time.monotonic() + _AGAIN)
            jobs.settle(job, "queued", shortage.in_words("disk"))
        elif answer is None or lacking:
            self._tried(job, status, lacking, blamed)
        elif answer.get("paused"):
            _rest(job)
        elif answer.get("error"):
            jobs.settle(job, "failed", str(answer["error"]))
        else:
            jobs.settle(job, "done")
        self._before.pop(job.id, None)

    def _tried(self, job: Job, status: int | None, lacking: str | None, blamed: bool) -> None:
        """Let a job that crashed, or was killed, begin again, unless that would have no end."""
        before = self._before.get(job.id)
        how = attempts.Ending(job, status, lacking, before)
        if blamed and how.last:
            jobs.settle(job, "failed", how.in_words(), crashed=True, got_on=how.got_on)
        else:
            jobs.settle(job, "queued", crashed=blamed, got_on=how.got_on)


def main(
    arguments: Sequence[str] = (),
    commands: Commands = COMMANDS,
    interval: float = INTERVAL,
    idle: float = IDLE,
) -> int:
    """Take care of the queue until nobody needs it, and return the exit status.

    Args:
        arguments: The number of a descriptor on which the lock is held already, or nothing.
        commands: As for `Dispatcher`.
        interval: Seconds between two looks at the queue.
        idle: Seconds without a web server after which it leaves, if nothing is to be done.
    """
    path = jobs.dispatcher_lock()
    path.parent.mkdir(parents=True, exist_ok=True)
    with os.fdopen(int(arguments[0]), "a") if arguments else path.open("a") as lock:
        if not processes.take(lock):
            return 0
        os.set_inheritable(lock.fileno(), False)
        processes.announce(lock)
        _log(f"dispatcher {os.getpid()} begins")
        with suppress(KeyboardInterrupt), jobs.kept_open():
            _work(Dispatcher(commands), lock, interval, idle)
        _log(f"dispatcher {os.getpid()} leaves")
    return 0


def clean(older_than: float = KEEP_FILES) -> None:
    """Delete the files of jobs that ended so many seconds ago; the queue keeps their history."""
    unended = {str(job.id) for job in jobs.unended()}
    oldest = time.time() - older_than
    for path in jobs.dispatcher_lock().parent.iterdir():
        ours = path.stem.isdecimal() and path.suffix in (".out", ".log", ".lock")
        if ours and path.stem not in unended and path.stat().st_mtime < oldest:
            path.unlink(missing_ok=True)


def _work(dispatcher: Dispatcher, lock: IO[str], interval: float, idle: float) -> None:
    cleaning = 0.0
    web = _Web()
    while _is_at(lock, jobs.dispatcher_lock()):  # else the store was deleted, and is not ours now
        try:
            if not dispatcher.step() and web.silent() > idle:
                return
            if time.monotonic() >= cleaning:
                clean()
                cleaning = time.monotonic() + _CLEANING_INTERVAL
        except (OSError, sqlite3.Error):
            # A full disk, no memory for a process: that passes, and all that counts is on disk.
            _log(traceback.format_exc())
            time.sleep(2 * interval)
        time.sleep(interval)


def _is_at(handle: IO[str], path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle.fileno()), path.stat())
    except FileNotFoundError:
        return False


class _Web:
    """For how long no web server has shown itself, whatever the clock on the wall does."""

    def __init__(self) -> None:
        self._touched, self._seen = 0, -math.inf

    def silent(self) -> float:
        """Return the seconds since a touch of its file was first seen."""
        try:
            touched = jobs.web_alive().stat().st_mtime_ns
        except FileNotFoundError:
            return math.inf
        if touched != self._touched:
            self._touched, self._seen = touched, time.monotonic()
        return time.monotonic() - self._seen


def _rest(job: Job) -> None:
    """Let a job rest; somebody may have let it go on while its process ended."""
    jobs.settle(job, "paused")
    if not Run(store.home() / "runs" / job.target).pause_requested():
        jobs.submit(job.kind, job.target)


def _answer(output: Path) -> dict[str, Any] | None:
    """Return the JSON object on the last line, or None."""
    try:
        with output.open("rb") as lines:
            lines.seek(max(0, output.stat().st_size - _TAIL))
            last = lines.read().rstrip().rpartition(b"\n")[2]
        answer = json.loads(last)
    except (FileNotFoundError, ValueError):
        return None
    return answer if isinstance(answer, dict) else None


def _log(words: str) -> None:
    with suppress(OSError):  # a full disk is no reason to leave
        sys.stderr.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {words}\n")


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
