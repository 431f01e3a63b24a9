"""The runs of the store: make, list, name and remove them. No Streamlit here."""

import contextlib
import secrets
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from app import jobs, scores, words
from transfer import extending, shortage, store
from transfer.config import RunConfig
from transfer.ensembling import planning
from transfer.errors import RunError, TransferError
from transfer.exporting import formats
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
    name = _tidy(f"{one.about()['name']}, {words.many(epochs, 'more epoch')}")
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


def improve(one: Run, budget: float, name: str, kinds: Sequence[str] = ()) -> Run:
    """Start an ensemble that is to do better than a finished run, within so many seconds.

    `kinds` are those of members that train a network; see `planning.KINDS`.

    Raises:
        TransferError: the run cannot be made.
    """
    made = run(new_id())
    planning.improving(made, one, budget, kinds)
    return _queued(made, name)


def join(members: list[Run], name: str) -> Run:
    """Start an ensemble of finished runs.

    Raises:
        TransferError: they do not go together.
    """
    made = run(new_id())
    planning.of_runs(made, members)
    return _queued(made, name)


def joinable(one: Run) -> list[Run]:
    """Return the other finished runs that can answer together with this one, the newest first."""
    found = []
    for other in listed():
        if other.folder != one.folder and other.finished:
            with contextlib.suppress(OSError, TransferError):
                planning.check([one, other])
                found.append(other)
    return found


def _queued(made: Run, name: str) -> Run:
    made.write("about", {"name": _tidy(name) or made.folder.name, "created": time.time()})
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
    for kind, target in _all_targets(one):
        job = jobs.latest(kind, target)
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
    for kind, target in _all_targets(one):
        jobs.forget(kind, target)


def readable(one: Run) -> dict[str, Any] | None:
    """Return the run's settings as JSON, or None where they cannot be read by this version."""
    try:
        return one.config().to_json()
    except TransferError:
        return None


def _all_targets(one: Run) -> list[tuple[jobs.Kind, str]]:
    """Return the kinds and targets of all jobs that work in the folder of a run."""
    name = one.folder.name
    found: list[tuple[jobs.Kind, str]] = [("train", name), ("views", name)]
    found.extend(("export", f"{name}.{kind}") for kind in formats.NAMES)
    found.extend(("score", target) for target in scores.targets(one))
    return found


def _lacks(job: jobs.Job) -> str | None:
    """Return what a job waits for that somebody has to do."""
    full = shortage.free_bytes() < shortage.ROOM
    return job.error or (shortage.in_words("disk") if full else None)


def _tidy(name: str) -> str:
    return " ".join(name.split())[:80]
