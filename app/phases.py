"""The steps of a run as a band: done, present, still to come."""

from collections.abc import Sequence

from app import measured, ways
from app.charts import Row
from transfer.ensembling import planning
from transfer.runs import Run

_PHASES = {
    "weights": "Fetch the network",
    "loading": "Load the network",
    "features": "Look at the pictures",
    "advice": "Measure for the advice",
    "head": "Fit the classifier",
    "fine_tuning": "Retrain the network",
    "four_ways": "Learn in all four ways",
    "validation": "Check on validation pictures",
    "saving": "Save",
    "test": "Measure on unseen pictures",
    "export": "Check the exported model",
}


# Where a phase belongs that is no step of its own in this run.
_WITHIN = {"loading": "features", "advice": "head", "familiar": "test"}


def band(run: Run, events: Sequence[Row], now: str) -> str:
    """Return the band as HTML; `events` are the run's so far, `now` is the phase it is in."""
    seen = {str(row["phase"]) for row in events if row["event"] == "phase"}
    steps = _steps(run, fetched="weights" in seen)
    now = now if now in steps else _WITHIN.get(now, now)
    where = steps.index(now) if now in steps else -1
    if now == "finished":  # between the result and the check of the exported model
        where = steps.index("export")
    if "four_ways" in steps and now in ("head", "fine_tuning", "validation", "test"):
        where = steps.index("four_ways")
    elif now == "validation" and "fine_tuning" in steps and "fine_tuning" not in seen:
        where = steps.index("head")
    cells = []
    for number, step in enumerate(steps):
        kind = "now" if number == where else "done" if number < where else "later"
        sign = {"now": "●", "done": "✓", "later": "○"}[kind]
        current = ' aria-current="step"' if kind == "now" else ""
        name = _PHASES[step]
        if step == "four_ways" and kind == "now":
            tried = sum(row["event"] == "candidate" for row in events)
            name = f"{name} ({min(tried + 1, len(ways.CELLS))} of {len(ways.CELLS)})"
        cells.append(f'<li class="{kind}"{current}>{sign} {name}</li>')
    return f'<ol class="phases">{"".join(cells)}</ol>'


def way(run: Run) -> str:
    """Return the strategy that a run follows: once it is measured, the one that is advised."""
    asked = run.config().strategy
    advice = measured.read(run) if asked == "auto" else None
    return advice.strategy if advice else asked


def _steps(run: Run, fetched: bool) -> list[str]:
    """Return the phases that a run goes through, as far as its strategy is known by now."""
    config = run.config()
    trains = ways.tunes(way(run)) or bool((run.read(planning.FILE) or {}).get("kinds"))
    learning = ["head", *(["fine_tuning"] if trains else []), "validation"]
    return [
        *(["weights"] if fetched else []),
        "features",
        *(["advice"] if config.measures else []),
        # Of all four ways, each is measured as soon as it has learned.
        *(["four_ways", "saving"] if config.strategy == "all" else [*learning, "saving", "test"]),
        "export",
    ]
