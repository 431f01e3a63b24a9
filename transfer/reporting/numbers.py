"""Numbers as a report writes them: with as many digits as they carry, and with their interval."""

from transfer.evaluation import Accuracy

_EXACT = 1000  # pictures from which on a tenth of a percent means something


def percent(share: float, n: int = 0) -> str:
    """Return a share: '94 %', of many pictures '94.4 %'.

    What is not all is never shown as 100 %, what is not nothing never as 0 %.

    >>> percent(0.944), percent(0.9444, 3600), percent(0.998)
    ('94 %', '94.4 %', '99.8 %')
    """
    for digits in range(1 if n >= _EXACT else 0, 5):
        text = f"{100 * share:.{digits}f}"
        if not 0 < share < 1 or 0 < float(text) < 100:
            return f"{text} %"
    return f"{100 * share:.4f} %"


def interval(found: Accuracy) -> str:
    """Return a share with its 95 % interval: '94 % (82 to 98 %)'."""
    low = percent(found.low, found.n).removesuffix(" %")
    return f"{percent(found.accuracy, found.n)} ({low} to {percent(found.high, found.n)})"


def many(n: int, noun: str, plural: str | None = None) -> str:
    """Return a number of things: '1 picture', '1,234 pictures'."""
    return f"{n:,} {noun if n == 1 else plural or noun + 's'}"


def seconds(value: float) -> str:
    """Return a time: '45 s', '12 minutes', '2.5 hours'."""
    if value < 90:
        return f"{value:.0f} s"
    return f"{value / 60:.0f} minutes" if value < 5400 else f"{value / 3600:.1f} hours"
