"""The queue of jobs: what is to be done, what is being done, and what became of it.

<store>/jobs/
    queue.sqlite        the queue; ended jobs stay as history until `forget`
    <id>.lock           held by the job's process as long as it lives (see `processes`)
    <id>.out  <id>.log  what it wrote to standard output and to standard error
    dispatcher.lock     the same for the dispatcher
    web.alive           touched by the web server; an idle dispatcher leaves without it
"""

import fcntl
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from app import processes
from transfer import store
from transfer.errors import RunError

Kind = Literal[
    "train", "import", "advise", "check", "rehearse", "export", "score", "views", "search"
]
State = Literal["queued", "running", "paused", "done", "failed", "cancelled"]

ROOT = Path(__file__).resolve().parent.parent
_BUSY_TIMEOUT = 20.0  # seconds

_COLUMNS = "id, kind, target, state, created, started, ended, attempts, error, slot"
# AUTOINCREMENT: a number is never given twice, so the files of two jobs never mix.
_SCHEMA = """
PRAGMA journal_mode = WAL;
CREATE TABLE jobs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    target TEXT NOT NULL,
    state TEXT NOT NULL DEFAULT 'queued',
    created REAL NOT NULL,
    started REAL,
    ended REAL,
    attempts INTEGER NOT NULL DEFAULT 0,
    error TEXT,
    slot TEXT
);
CREATE INDEX by_target ON jobs (kind, target);
CREATE INDEX unended ON jobs (id) WHERE ended IS NULL;
"""

_dispatchers: list[subprocess.Popen[bytes]] = []  # started by this process, to be reaped by it


@dataclass(frozen=True)
class Job:
    """One job as it stood when it was read.

    Attributes:
        target: The id of the run ("train"), of the upload ("import") or of what is measured
            ("advise", see `advising`), looked through ("check", see `checking`), checked before a
            training ("rehearse", see `starting`) or searched ("search", see `searches`); the id of
            a run and a format ("export", see `exports`) or a name ("score", see `scores`), or of
            the run whose gain by several views is measured ("views").
        ended: None also while a cancelled job's process has not gone yet.
        attempts: How often in a row its process crashed or was killed without getting on.
        error: Why it failed, or what it waits for.
        slot: The GPU, or the place in its lane, on which it runs.
    """

    id: int
    kind: Kind
    target: str
    state: State
    created: float
    started: float | None
    ended: float | None
    attempts: int
    error: str | None
    slot: str | None


def submit(kind: Kind, target: str) -> Job:
    """Put a job into the queue; one that waits or runs already is returned instead.

    One that is paused takes up its place again: being the older one, ahead of those after it.

    Raises:
        RunError: the target is not a plain name.
    """
    if kind not in get_args(Kind) or not re.fullmatch(r"\w[\w.-]*", target):
        raise RunError(
            f"'{target}' is not the name of a run, an upload or a measurement: letters, digits,"
            " '-' and '_' were expected. Go back to the list and choose it there."
        )
    with _writing() as database:
        database.execute(
            "UPDATE jobs SET state = 'queued' WHERE kind = ? AND target = ? AND state = 'paused'",
            (kind, target),
        )
        found = database.execute(
            f"SELECT {_COLUMNS} FROM jobs WHERE kind = ? AND target = ?"
            " AND state IN ('queued', 'running')",
            (kind, target),
        ).fetchone()
        return Job(
            *found
            or database.execute(
                f"INSERT INTO jobs (kind, target, created) VALUES (?, ?, ?) RETURNING {_COLUMNS}",
                (kind, target, time.time()),
            ).fetchone()
        )


def latest(kind: Kind, target: str) -> Job | None:
    """Return the newest job for a run or an upload, in whatever state it is."""
    found = _read("kind = ? AND target = ? ORDER BY id DESC LIMIT 1", kind, target)
    return found[0] if found else None


def place(job: Job) -> tuple[int, int]:
    """Return the 1-based place in the lane's queue (0: waits no longer), and how many wait."""
    waiting = [other.id for other in active() if (other.kind, other.state) == (job.kind, "queued")]
    return (waiting.index(job.id) + 1 if job.id in waiting else 0), len(waiting)


def active() -> list[Job]:
    """Return what runs, then what waits, each in the order in which it was asked for."""
    return sorted(
        (job for job in unended() if job.state != "cancelled"),
        key=lambda job: (job.state == "queued", job.id),
    )


def unended() -> list[Job]:
    """Return what runs, what waits, and what is cancelled but not gone yet, by age.

    What is paused is left alone by everybody, and is not among them.
    """
    return _read("ended IS NULL AND state != 'paused' ORDER BY id")


def pause(job: Job) -> bool:
    """Let a waiting job rest until it is submitted again; False if it does not wait any more."""
    with _writing() as database:
        changed = database.execute(
            "UPDATE jobs SET state = 'paused' WHERE id = ? AND state = 'queued'", (job.id,)
        )
        return changed.rowcount == 1


def cancel(job: Job, grace: float = processes.GRACE) -> None:
    """Take a job out of the queue, or end its process with all that this one started.

    When this returns the process has gone; what has ended before stays as it is.
    """
    with _writing() as database:
        database.execute(
            "UPDATE jobs SET state = 'cancelled',"
            " ended = CASE WHEN state IN ('queued', 'paused') THEN ? END"
            " WHERE id = ? AND state IN ('queued', 'running', 'paused')",
            (time.time(), job.id),
        )
        ending = database.execute(
            "SELECT 1 FROM jobs WHERE id = ? AND state = 'cancelled' AND ended IS NULL", (job.id,)
        ).fetchone()
    if ending and processes.end(file(job, "lock"), grace):
        settle(job, "cancelled")


def forget(kind: Kind, target: str) -> None:
    """Delete everything about a run's or an upload's jobs; one that is active is cancelled."""
    for job in _read("kind = ? AND target = ?", kind, target):
        cancel(job)
        for suffix in ("out", "log", "lock"):
            file(job, suffix).unlink(missing_ok=True)
    with _writing() as database:
        database.execute("DELETE FROM jobs WHERE kind = ? AND target = ?", (kind, target))


def ensure_dispatcher() -> None:
    """Say that the web server is there, and start a dispatcher unless there is one.

    The lock is taken here and handed over, so that however many call this, one is started.
    """
    _dispatchers[:] = [process for process in _dispatchers if process.poll() is None]
    web_alive().parent.mkdir(parents=True, exist_ok=True)
    web_alive().touch()
    with dispatcher_lock().open("a") as lock:
        if not processes.take(lock):
            return
        log = store.home() / "logs" / "dispatcher.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "app.dispatcher", str(lock.fileno())],
                cwd=ROOT,
                env=environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                pass_fds=[lock.fileno()],
                start_new_session=True,
            )
        _dispatchers.append(process)


def stop_all(grace: float = processes.GRACE) -> int:
    """End the dispatcher and put what runs back into the queue; return how many were stopped.

    They go on at the next start. Stop the web server first: it starts dispatchers.

    Raises:
        RunError: the dispatcher does not end.
    """
    dispatcher_lock().parent.mkdir(parents=True, exist_ok=True)
    with dispatcher_lock().open("a") as lock:
        while not processes.take(lock):  # a new one may have come in between
            if not processes.end(dispatcher_lock(), grace, os.kill):
                raise RunError(
                    f"The dispatcher of '{store.home()}' was asked to stop and has not."
                    " Perhaps it runs in another container: stop that one instead."
                )
        stopped = [job for job in unended() if job.state != "queued"]
        for job in stopped:
            if processes.end(file(job, "lock"), grace):
                settle(job, "queued")
        return sum(job.state == "running" for job in stopped)


def gpus() -> list[str]:
    """Return the GPUs that trainings may use, as CUDA names them; empty where there are none."""
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is not None:
        names = [name.strip() for name in chosen.split(",")]
        return [name for name in names if name not in ("", "-1", "NoDevFiles")]
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    try:
        listed = subprocess.run([program, "-L"], capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return []
    # The parts of a divided GPU follow it, indented: they are not counted.
    return re.findall(r"^GPU (\d+):", listed.stdout, re.MULTILINE) if not listed.returncode else []


# For the dispatcher.


def claim(job: Job, slot: str) -> bool:
    """Mark a waiting job as running; False if it was cancelled meanwhile."""
    with _writing() as database:
        changed = database.execute(
            "UPDATE jobs SET state = 'running', started = ?, slot = ?, error = NULL"
            " WHERE id = ? AND state = 'queued'",
            (time.time(), slot, job.id),
        )
        return changed.rowcount == 1


def settle(
    job: Job, state: State, error: str | None = None, crashed: bool = False, got_on: bool = False
) -> None:
    """Record what became of a job whose process has gone: ended, paused, or "queued" once more.

    Being the oldest of its lane, it is then the first to start. One that was cancelled meanwhile
    stays cancelled.

    Args:
        job: Which.
        state: What it is now.
        error: Why it failed, or what it waits for.
        crashed: Whether this was a failed attempt.
        got_on: Whether it kept something that need not be done again: earlier attempts are then
            forgotten.
    """
    now = time.time()
    ended = None if state in ("queued", "paused") else now
    with _writing() as database:
        database.execute(
            "UPDATE jobs SET ended = ? WHERE id = ? AND state = 'cancelled' AND ended IS NULL",
            (now, job.id),
        )
        database.execute(
            "UPDATE jobs SET state = ?, error = ?, ended = ?,"
            " attempts = CASE WHEN ? THEN 0 ELSE attempts END + ?,"
            " started = CASE WHEN ? THEN NULL ELSE started END, slot = NULL"
            " WHERE id = ? AND state = 'running'",
            (state, error, ended, got_on, crashed, ended is None, job.id),
        )


@contextmanager
def kept_open() -> Iterator[None]:
    """Keep SQLite's side files: making and deleting them is most of what a look at it costs."""
    _create()
    with closing(_connect(_queue())) as database:
        database.execute("SELECT 1 FROM jobs LIMIT 1").fetchall()  # opens them; holds no lock
        yield


def file(job: Job, suffix: str) -> Path:
    """Return one of the files of a job: "lock", "out" or "log"."""
    return store.home() / "jobs" / f"{job.id}.{suffix}"


def web_alive() -> Path:
    """Return the file whose age says when a web server was last there."""
    return store.home() / "jobs" / "web.alive"


def dispatcher_lock() -> Path:
    """Return the file that the dispatcher holds."""
    return store.home() / "jobs" / "dispatcher.lock"


def environment(**more: str) -> dict[str, str]:
    """Return the environment for a process that works in another folder on the same store."""
    return {**os.environ, "TRANSFER_HOME": str(store.home().absolute()), **more}


def _read(condition: str, *values: object) -> list[Job]:
    if not _queue().is_file():
        return []
    with closing(_connect(_queue())) as database:
        found = database.execute(f"SELECT {_COLUMNS} FROM jobs WHERE {condition}", values)
        return [Job(*row) for row in found]


@contextmanager
def _writing() -> Iterator[sqlite3.Connection]:
    """Yield the database within one transaction."""
    _create()
    with closing(_connect(_queue())) as database, database:
        database.execute("BEGIN IMMEDIATE")
        yield database


def _create() -> None:
    """Make an empty queue if there is none; it appears as a whole, and once only."""
    if _queue().is_file():
        return
    _queue().parent.mkdir(parents=True, exist_ok=True)
    with _queue().with_suffix(".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not _queue().is_file():
            with store.replacing(_queue()) as partial, closing(sqlite3.connect(partial)) as new:
                new.executescript(_SCHEMA)


def _connect(path: Path) -> sqlite3.Connection:
    # mode=rw: a store that is deleted at this moment is not made again, empty.
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=rw",
        uri=True,
        timeout=_BUSY_TIMEOUT,
        isolation_level=None,
    )


def _queue() -> Path:
    return store.home() / "jobs" / "queue.sqlite"
