"""What a finished run says of itself: the result as it stands in the run folder."""

import platform
import resource
from importlib import metadata
from typing import Any

from transfer import __version__
from transfer.dataset.index import ImageIndex
from transfer.dataset.split import Split
from transfer.judging import Candidate
from transfer.runs import Run

Advice = dict[str, Any]


def result(
    run: Run,
    index: ImageIndex,
    parts: Split,
    candidates: list[Candidate],
    chosen: Candidate,
    advice: Advice | None,
    seconds: float,
) -> dict[str, Any]:
    """Return the result: `chosen` ships, and has its test where there are test pictures."""
    config = run.config()
    everyone = [chosen if one.name == chosen.name else one for one in candidates]
    test = chosen.test.report if chosen.test else None
    return {
        "run": str(run.folder),
        "requested": config.strategy,
        "advised": advised(advice),
        "shipped": chosen.name,
        "backbone": config.backbone,
        "validation": chosen.validation.report.overall.to_json(),
        "test": test.overall.to_json() if test else None,
        "seconds": round(seconds, 2),
        "classes": list(index.classes),
        "splits": parts.counts(),
        "image_size": config.image_size,
        "ended": chosen.trained.ended,
        "candidates": {one.name: one.validation.report.to_json() for one in candidates},
        "comparison": [one.to_json() for one in everyone] if len(candidates) > 1 else [],
        "test_report": test.to_json() if test else None,
        "honesty": run.read("honesty"),
        "warnings": [*index.warnings, *parts.warnings],
        "peak_memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }


def advised(advice: Advice | None) -> str | None:
    """Return the strategy of an advice, if there is one."""
    return advice["strategy"] if advice else None


def versions() -> dict[str, str]:
    """Return the versions of all that decides about a result."""
    packages = ("keras", "tensorflow", "numpy", "scipy", "pillow")
    found = {name: metadata.version(name) for name in packages}
    return {"transfer": __version__, "python": platform.python_version(), **found}
