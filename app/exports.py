"""The formats in which a run's model can be taken away: how each stands, and its job.

The SavedModel is written after each training; the others when they are asked for.
"""

import contextlib
from dataclasses import dataclass, field
from typing import Any

from app import jobs, storage
from transfer.errors import RunError
from transfer.exporting import formats
from transfer.exporting.formats import Format
from transfer.runs import Run


@dataclass(frozen=True)
class Offer:
    """One format of a run's model.

    `word` is "none", "waiting", "working", "ready" (`kept` has what the check found), "refused" or
    "failed" (`reason` says why).
    """

    format: Format
    word: str
    kept: dict[str, Any] = field(default_factory=dict)
    reason: str = ""
    status: dict[str, Any] = field(default_factory=dict)

    @property
    def alive(self) -> bool:
        """Whether something will change by itself."""
        return self.word in ("waiting", "working")


def further() -> tuple[Format, ...]:
    """Return the formats beside the one that each training writes."""
    return tuple(one for one in formats.FORMATS if one.name != formats.DEFAULT)


def offer(run: Run, kind: Format) -> Offer:
    """Return how a format of a run stands."""
    job = jobs.latest("export", _target(run, kind))
    if job is not None and job.state in ("queued", "running"):
        working = Run(run.export_place(kind.name).parent)
        status: dict[str, Any] = {}
        with contextlib.suppress(RunError):  # replaced at this moment
            status = working.status_now() if job.state == "running" else {}
        return Offer(kind, "waiting" if job.state == "queued" else "working", status=status)
    kept = run.read(formats.outcome(kind.name)) or {}
    if reason := kept.get("refused"):
        return Offer(kind, "refused", reason=str(reason))
    if "checked" in kept and run.export_place(kind.name).is_dir():
        return Offer(kind, "ready", kept)
    if job is not None and job.state == "failed":
        return Offer(kind, "failed", reason=job.error or "It ended without saying why.")
    return Offer(kind, "none")


def begin(run: Run, kind: Format) -> None:
    """Put the writing and checking of a format into the queue."""
    jobs.submit("export", _target(run, kind))


def size(run: Run, kind: Format) -> int:
    """Return the bytes of a model that is ready."""
    return storage.size(run.export_place(kind.name))


def example(run: Run, kind: Format) -> str:
    """Return the snippet that goes along."""
    return (run.export_place(kind.name) / "example.py").read_text(encoding="utf-8")


def _target(run: Run, kind: Format) -> str:
    return f"{run.folder.name}.{kind.name}"
