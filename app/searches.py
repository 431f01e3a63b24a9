"""Search for the settings of a fine-tuning: its folder, its job, how it stands, and how it goes on.

<store>/searches/<key>/ is the folder of one search, and <key> the target of its job. However a
search ended, what it found stays, and it can go on where it was.
"""

import contextlib
import hashlib
import json
import shutil
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from app import jobs, measurements, shapes, ways, words, workshop
from transfer import shortage, store
from transfer.config import RunConfig
from transfer.errors import RunError, TransferError
from transfer.runs import Run
from transfer.searching import plans
from transfer.searching.plans import Wish

_LANE: tuple[jobs.Kind, ...] = ("advise", "check", "rehearse", "train")  # all of them go first
_FOUND = {
    "trials": [{"number": int, "state": str, "settings": dict}],
    "best": (dict, None),
    "change": (dict, None),
    "best_value": (float, None),
    "best_trial": (int, None),
    "planned": int,
    "ended": str,
    "seconds": float,
}
_NOTHING = "The search ended without a word. Let it go on: what it has tried is kept."


@dataclass(frozen=True)
class Standing:
    """How a search stands, in one word, and what goes with it.

    `word` is "waiting", "running", "stopping", "done" (all trials are made), "budget" (its time was
    up), "stopped" or "failed" (`error` says why). Of a search that waits, `error` says what it
    lacks. `found` is its result so far, {} before the first trial; `status` the last one told.
    """

    word: str
    found: dict[str, Any]
    status: dict[str, Any]
    job: jobs.Job | None = None
    error: str | None = None

    @property
    def alive(self) -> bool:
        """Whether something will change by itself."""
        return self.word in ("waiting", "running", "stopping")

    @property
    def mark(self) -> object:
        """What is another when the page has to be drawn anew."""
        return self.word, len(self.found.get("trials", ())), self.found.get("ended")

    @property
    def trials(self) -> int:
        """How many trials have come to an end."""
        return sum(one["state"] != "unfinished" for one in self.found.get("trials", ()))


def folder() -> Path:
    """Return where the searches are."""
    return store.home() / "searches"


def key(settings: RunConfig) -> str:
    """Return the name of the folder and of the job of the search for a training's settings."""
    searched = _searched(settings)
    told = json.dumps(searched.to_json(), sort_keys=True)
    return f"{searched.dataset}-{hashlib.sha256(told.encode()).hexdigest()[:12]}"


def named(name: str) -> Run:
    """Return the folder of a search, which may not be there."""
    return Run(folder() / name)


def listed(digest: str) -> list[Run]:
    """Return the searches on a data set that can be read, the newest first."""
    found = []
    for path in folders(digest):
        with contextlib.suppress(OSError, TransferError):  # deleted at this moment, or damaged
            run = Run(path)
            run.config()
            found.append((float(run.about()["created"]), run))
    return [run for _, run in sorted(found, key=lambda pair: -pair[0])]


def begin(settings: RunConfig, minutes: float, trials: int) -> Run:
    """Put a search into the queue; one that is there already for these settings goes on.

    Args:
        settings: of the training, whose strategy trains the network.
        minutes: for which it works, at most.
        trials: how many it makes, at most.

    Raises:
        TransferError: the settings cannot be used.
    """
    run = named(key(settings))
    if not _readable(run):  # of another version
        shutil.rmtree(run.folder, ignore_errors=True)
    fresh = not run.exists
    if fresh:
        run.start(_searched(settings))
        name = f"{ways.named(settings.strategy)}, {words.network(settings.backbone)}"
        run.write("about", {"name": name, "created": time.time(), "budget": settings.budget})
    _submit(run, Wish(trials=trials, budget=_until(run, minutes)))
    return run


def go_on(run: Run, minutes: float, more: int = 0, widen: str | None = None) -> None:
    """Let a search go on that has ended.

    Args:
        run: which.
        minutes: for which it works on, at most.
        more: trials beyond those that were planned.
        widen: the setting beyond the edge of whose range it goes on; as many trials as in the first
            place are made there, and those that are still missing are not.

    Raises:
        TransferError: the search cannot be read.
    """
    known = plans.Plan.from_json(run.read(plans.PLAN) or {})
    planned = known.waves[-1].trials
    if widen:
        wish = Wish(trials=known.waves[0].trials, widen=(widen,), at_once=True)
    else:
        wish = Wish(trials=planned + more)
    _submit(run, replace(wish, budget=_until(run, minutes)))


def stop(run: Run) -> None:
    """End a search; what it found is kept. One that waits leaves the queue."""
    job = jobs.latest("search", run.folder.name)
    if job and job.state == "queued":
        jobs.cancel(job)
    elif job and job.state == "running":
        run.request_stop()


def standing(run: Run) -> Standing:
    """Return how a search stands."""
    found = shapes.fitting(measurements.outcome(run, plans.RESULT), _FOUND, {})
    status, job = measurements.status(run), jobs.latest("search", run.folder.name)
    if job is not None and job.state == "queued":
        full = shortage.free_bytes() < shortage.ROOM
        lacks = job.error or (shortage.in_words("disk") if full else None)
        return Standing("waiting", found, status, job, lacks)
    if job is not None and job.state == "running":
        word = "stopping" if run.stop_requested() else "running"
        return Standing(word, found, status, job)
    if job is not None and job.state == "failed":
        return Standing("failed", found, status, job, job.error or _NOTHING)
    ended = {"trials": "done", "budget": "budget"}.get(str(found.get("ended")), "stopped")
    return Standing(ended, found, status, job)


def place(job: jobs.Job) -> tuple[int, int]:
    """Return the 1-based place of a search in the queue, and how many wait in it.

    Trainings, and what takes a minute, go first.
    """
    waiting = [one for one in jobs.active() if one.state == "queued"]
    before = [one for one in waiting if one.kind in _LANE]
    own = [one.id for one in waiting if one.kind == "search"]
    at = own.index(job.id) + 1 if job.id in own else 1
    return len(before) + at, len(before) + len(own)


def train(run: Run, standing: Standing) -> Run:
    """Start a training with the best settings that a search found.

    Raises:
        TransferError: the settings cannot be read.
    """
    return workshop.start(best(run, standing), f"{run.about()['name']}, searched settings")


def best(run: Run, standing: Standing) -> RunConfig:
    """Return the settings of a training with the best that a search found.

    Raises:
        RunError: it has found none, or they cannot be read.
    """
    try:
        budget = run.about().get("budget")
        return replace(run.config().changed(standing.found["change"]), budget=budget)
    except (KeyError, TypeError) as error:
        raise RunError(
            "The best settings of this search cannot be read. Let it go on, or begin a new one."
        ) from error


def delete(run: Run) -> None:
    """End a search and remove all that there is of it."""
    jobs.forget("search", run.folder.name)
    shutil.rmtree(run.folder, ignore_errors=True)


def forget(digest: str) -> None:
    """End and remove the searches on a data set."""
    for path in folders(digest):
        delete(Run(path))


def folders(digest: str | None = None) -> list[Path]:
    """Return the folders of the searches, on all data sets or on one."""
    found = [path for path in folder().glob("[!.]*") if path.is_dir()]
    return [path for path in found if digest in (None, measurements.of_data_set(path.name))]


def _searched(settings: RunConfig) -> RunConfig:
    """Return what decides what a search finds; the time limit is that of a training."""
    return replace(settings, budget=None)


def _readable(run: Run) -> bool:
    with contextlib.suppress(TransferError):
        return run.config() is not None
    return not run.exists


def _until(run: Run, minutes: float) -> float:
    """Return the working seconds in all at which so many more minutes have passed."""
    return run.seconds_spent() + 60 * minutes


def _submit(run: Run, wish: Wish) -> None:
    job = jobs.latest("search", run.folder.name)
    if job is None or job.state not in ("queued", "running"):
        run.clear_stop()
        plans.prepare(run, run.config(), wish)
    jobs.submit("search", run.folder.name)
