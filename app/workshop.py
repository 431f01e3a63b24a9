"""The runs of the store: make, list, name and remove them. No Streamlit here."""

import contextlib
import secrets
import shutil
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from app import jobs
from transfer import extending, shortage, store
from transfer.config import RunConfig
from transfer.errors import RunError, TransferError
from transfer.runs import Run


@dataclass(frozen=True)
class Standing:
    """How a run stands, in one word, and what goes with it.

    `word` is "waiting", "running", "exporting" (the result is there), "finished", "paused" (by the
    user, to go on where it was), "stopped" (by the user, with nothing to keep) or "failed" (`error`
    says why). Of a run that waits or works, `error` says what it lacks: room on the disk.
    """

    word: str
    job: jobs.Job | None = None
    error: str | None = None

    @property
    def alive(self) -> bool:
        """Whether something will change by itself."""
        return self.word in ("waiting", "running", "exporting")


def folder() -> Path:
    """Return where the runs of the app are."""
    return store.home() / "runs"


def run(run_id: str) -> Run:
    """Return the run of this id, which may not be there."""
    return Run(folder() / run_id)


def listed() -> list[Run]:
    """Return all runs that can be read, the newest first."""
    found = []
    for path in folder().glob("[!.]*/config.json"):  # a dot: half deleted
        with contextlib.suppress(OSError, TransferError):  # deleted at this moment, or damaged
            one = Run(path.parent)
            found.append((float(one.about()["created"]), one))
    return [one for _, one in sorted(found, key=lambda pair: -pair[0])]


def start(config: RunConfig, name: str) -> Run:
    """Make a run folder for these settings and put its training into the queue."""
    run_id = new_id()
    made = run(run_id)
    made.start(config)
    made.write("about", {"name": _tidy(name) or run_id, "created": time.time()})
    jobs.submit("train", run_id)
    return made


def extend(one: Run, epochs: int) -> Run:
    """Add epochs to a finished run: a new run that begins with its model (see `extending`).

    Raises:
        TransferError: the run cannot be extended.
    """
    made = run(new_id())
    extending.prepare(one, made, epochs)
    name = _tidy(f"{one.about()['name']}, {epochs} more epochs")
    made.write("about", {"name": name, "created": time.time()})
    jobs.submit("train", made.folder.name)
    return made


def remedied(config: RunConfig, name: str) -> Run:
    """Start a run with changed settings; one that added epochs begins with the same model again.

    Where that model has gone, it begins with the network as it was before.

    Raises:
        TransferError: the run cannot be made.
    """
    earlier = run(config.extends) if config.extends else None
    if earlier is None:
        return start(config, name)
    if not earlier.finished:
        return start(replace(config, extends=None), name)
    made = run(new_id())
    extending.begin(earlier, made, config)
    made.write("about", {"name": _tidy(name), "created": time.time()})
    jobs.submit("train", made.folder.name)
    return made


def new_id() -> str:
    """Return an id for a new run: when it was made, and what tells two of one second apart."""
    return f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}"


def go_on(one: Run) -> None:
    """Let a run that was paused go on in its place; put one that was stopped or failed last."""
    one.clear_stop()
    one.clear_pause()  # before the next line: see `dispatcher._rest`
    jobs.submit("train", one.folder.name)


def pause(one: Run) -> None:
    """Let a run rest: what it needs to go on is kept, and the next one in the queue gets its turn.

    It keeps its place, so that it goes on before those that came after it.
    """
    job = jobs.latest("train", one.folder.name)
    if one.finished or job is None or job.state not in ("queued", "running"):
        return
    one.request_pause()
    jobs.pause(job)


def stop(one: Run) -> None:
    """End the training: with the best so far where there is one. A waiting run leaves the queue."""
    job = jobs.latest("train", one.folder.name)
    if job and job.state in ("queued", "paused"):
        jobs.cancel(job)
    one.request_stop()
    one.clear_pause()


def standing(one: Run) -> Standing:
    """Return how a run stands."""
    job = jobs.latest("train", one.folder.name)
    alive = job is not None and job.state in ("queued", "running")
    if one.finished:
        if alive and one.read("export") is None:
            return Standing("exporting", job)
        failed = one.read("export") is None and job is not None and job.state == "failed"
        return Standing("finished", job, job.error if job and failed else None)
    if job is not None and job.state == "paused":
        return Standing("paused", job)
    if job is None or job.state in ("cancelled", "done") or (one.stop_requested() and not alive):
        return Standing("stopped", job)
    if job.state == "failed":
        return Standing("failed", job, job.error)
    return Standing("waiting" if job.state == "queued" else "running", job, _lacks(job))


def rename(one: Run, new: str) -> None:
    """Give the run another name.

    Raises:
        RunError: the name is empty.
    """
    new = _tidy(new)
    if not new:
        raise RunError("A run needs a name. Type one and press Enter.")
    one.write("about", {**one.about(), "name": new})


def delete(one: Run) -> None:
    """End the run's work, wait for it to let go, and remove its folder and its place in the queue.

    Raises:
        RunError: something still holds on to the run.
    """
    job = jobs.latest("train", one.folder.name)
    if job and job.state in ("queued", "running", "paused"):
        jobs.cancel(job)
    try:
        with one.locked():
            gone = one.folder.with_name(f".deleted-{one.folder.name}")
            one.folder.rename(gone)
    except RunError:
        raise RunError(
            "The run is still at work. Wait a few seconds and delete it again."
        ) from None
    shutil.rmtree(gone, ignore_errors=True)
    jobs.forget("train", one.folder.name)


def readable(one: Run) -> dict[str, Any] | None:
    """Return the run's settings as JSON, or None where they cannot be read by this version."""
    try:
        return one.config().to_json()
    except TransferError:
        return None


def _lacks(job: jobs.Job) -> str | None:
    """Return what a job waits for that somebody has to do."""
    full = shortage.free_bytes() < shortage.ROOM
    return job.error or (shortage.in_words("disk") if full else None)


def _tidy(name: str) -> str:
    return " ".join(name.split())[:80]
