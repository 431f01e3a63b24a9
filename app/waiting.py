"""How far a job is that looks at a data set, in words, while it waits and while it works."""

from typing import Any

from app import jobs, words

_NAMES = {
    "train": "the training before it",
    "advise": "the measuring for an advice",
    "check": "the check of the pictures",
    "rehearse": "the check before a training",
    "export": "the writing of a model",
    "score": "the look at many pictures",
    "views": "the measuring of several views",
    "search": "the search for settings",
}


def at_work() -> str | None:
    """Return what is at work now that others wait for, in words; None: nothing is."""
    kinds = {job.kind for job in jobs.active() if job.state == "running"}
    return next((name for kind, name in _NAMES.items() if kind in kinds), None)


def how_far(word: str, status: dict[str, Any]) -> tuple[float | None, str]:
    """Return how far it is (None: not known), and that in words.

    Args:
        word: how it stands; "waiting" is in the queue.
        status: the last one that was reported, {} where there is none.
    """
    if word == "waiting":
        before = at_work()
        return None, (
            f"Waiting for its turn: it begins when {before} has ended."
            if before
            else "It begins in a moment."
        )
    done, total = float(status.get("done", 0)), float(status.get("total", 0))
    text = str(status.get("words", "Starting"))
    if status.get("phase") == "features" and total > 1:
        text += f": {done:,.0f} of {words.many(int(total), 'picture')}"
    if left := status.get("seconds_left"):
        text += f", {words.duration(float(left))} left"
    return (done / total if total else None), f"{text}."
