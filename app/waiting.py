"""How far a job is that looks at a data set, in words, while it waits and while it works."""

from typing import Any

from app import jobs, words


def how_far(word: str, status: dict[str, Any]) -> tuple[float | None, str]:
    """Return how far it is (None: not known), and that in words.

    Args:
        word: how it stands; "waiting" is in the queue.
        status: the last one that was reported, {} where there is none.
    """
    if word == "waiting":
        at_work = any(job.kind != "import" and job.state == "running" for job in jobs.active())
        return None, (
            "Waiting for its turn: it begins when what is at work now has ended."
            if at_work
            else "It begins in a moment."
        )
    done, total = float(status.get("done", 0)), float(status.get("total", 0))
    text = str(status.get("words", "Starting"))
    if status.get("phase") == "features" and total > 1:
        text += f": {done:,.0f} of {words.many(int(total), 'picture')}"
    if left := status.get("seconds_left"):
        text += f", {words.duration(float(left))} left"
    return (done / total if total else None), f"{text}."
