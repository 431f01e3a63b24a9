"""Memory runs out under a real training: the kernel kills its process, or gives it no more.

The queue has no memory of its own for it: each attempt is a fresh process, and each is starved.
"""

import os
import resource
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from app import jobs, processes, workshop
from app.dispatcher import Dispatcher
from tests.transfer import outcomes
from transfer.config import RunConfig
from transfer.dataset import library
from transfer.runs import Run

Starve = Callable[[int], None]  # takes from a process what it needs to go on

_PATIENCE = 900.0
_GROUPS = Path("/sys/fs/cgroup")
_SPARE = 1 << 20


class _Group:
    """A control group with little memory: whoever needs more is killed (cgroups(7))."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        first = folder.parent.name == "memory"
        self._limit = folder / ("memory.limit_in_bytes" if first else "memory.max")
        self._used = folder / ("memory.usage_in_bytes" if first else "memory.current")

    @classmethod
    def make(cls) -> "_Group":
        base = _GROUPS / "memory" if (_GROUPS / "memory").is_dir() else _GROUPS
        group = cls(base / f"starved-{os.getpid()}")
        try:
            group._folder.mkdir()
            group._limit.write_text(str(1 << 40))
        except OSError as error:
            group.remove()
            pytest.skip(f"only root may limit the memory of others: {error}")
        return group

    def starve(self, pid: int) -> None:
        """Leave a process what it has, so that it cannot go on."""
        self._limit.write_text(str(1 << 40))
        (self._folder / "cgroup.procs").write_text(str(pid))
        allowed = int(self._used.read_text()) + _SPARE
        for _ in range(64):  # the first version refuses a limit below what is used just now
            with suppress(OSError):
                self._limit.write_text(str(allowed))
                return
            allowed += _SPARE
        raise AssertionError("the limit was not taken")

    def remove(self) -> None:
        deadline = time.monotonic() + 10
        while self._folder.exists() and time.monotonic() < deadline:
            with suppress(OSError):
                self._folder.rmdir()
            time.sleep(0.1)


def _allow_no_more(pid: int) -> None:
    """Refuse a process every further page of memory (RLIMIT_AS, getrlimit(2))."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[0])
    has = pages * resource.getpagesize()
    resource.prlimit(pid, resource.RLIMIT_AS, (has, resource.RLIM_INFINITY))


@pytest.fixture(params=["killed", "refused"])
def starve(request) -> Iterator[Starve]:
    if request.param == "refused":
        yield _allow_no_more
        return
    group = _Group.make()
    yield group.starve
    group.remove()


@pytest.fixture
def dispatcher() -> Iterator[Dispatcher]:
    dispatcher = Dispatcher(gpus=())
    yield dispatcher
    for job in jobs.active():
        jobs.cancel(job, grace=0.1)
    _until(dispatcher, lambda: not jobs.unended())


def _worker(run: Run) -> int | None:
    """Return the number of the run's process, where it has one."""
    job = jobs.latest("train", run.folder.name)
    holder = processes.holder(jobs.file(job, "lock")) if job else None
    return holder.pid if holder is not None and holder.alive else None


def _until(dispatcher: Dispatcher, there: Callable[[], object]) -> None:
    deadline = time.monotonic() + _PATIENCE
    while not there():
        assert time.monotonic() < deadline, "waited in vain"
        dispatcher.step()
        time.sleep(0.02)


def _has_learned(run: Run) -> bool:
    """Whether an epoch of fine-tuning is done; the first one told of is the head's."""
    events, _ = run.events_since()
    return any(row["event"] == "epoch" and row["phase"] == "fine_tuning" for row in events)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_training_without_memory_says_so_and_loses_nothing(dispatcher, real_pictures, starve):
    config = RunConfig(
        library.import_dataset(real_pictures).digest, "builtin", 48, strategy="finetune_few",
        epochs=3, batch_size=8, horizontal_flip=True, quarter_turns=False,
    )  # fmt: skip
    whole = workshop.start(config, "undisturbed")
    _until(dispatcher, lambda: not jobs.active())
    earlier = outcomes.contents(whole.folder)
    run = workshop.start(config, "starved")

    _until(dispatcher, lambda: _has_learned(run))
    starved: set[int] = set()

    def each_is_starved() -> bool:
        pid = _worker(run)
        if pid is not None and pid not in starved and workshop.standing(run).word == "running":
            with suppress(ProcessLookupError, FileNotFoundError):
                starve(pid)
                starved.add(pid)
        return not workshop.standing(run).alive

    _until(dispatcher, each_is_starved)
    standing = workshop.standing(run)
    assert standing.word == "failed"
    assert "memory" in (standing.error or "")
    assert len(starved) >= 3

    workshop.go_on(run)
    _until(dispatcher, lambda: not jobs.active())
    assert (workshop.standing(run).word, workshop.standing(run).error) == ("finished", None)
    assert outcomes.difference(run.folder, whole.folder) <= 1e-6
    assert outcomes.contents(whole.folder) == earlier
