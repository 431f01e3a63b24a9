"""Numbers as a report writes them: with their interval, and times."""

from transfer.evaluation import Accuracy
from transfer.wording import percent, points


def interval(found: Accuracy) -> str:
    """Return a share with its 95 % interval: '94 % (82 to 98 %)'."""
    share, high = percent(found.accuracy, found.n), percent(found.high, found.n)
    return f"{share} ({points(found.low, found.n)} to {high})"


def seconds(value: float) -> str:
    """Return a time: '45 s', '12 minutes', '2.5 hours'."""
    if value < 90:
        return f"{value:.0f} s"
    return f"{value / 60:.0f} minutes" if value < 5400 else f"{value / 3600:.1f} hours"
