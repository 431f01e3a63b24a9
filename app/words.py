"""Numbers as people say them: how long, how much, how many; and names as they are."""

from transfer import catalog
from transfer.wording import many as many

_MARKDOWN = frozenset(r"\`*_{}[]()#+-.!~$:|<>@&=^")


def duration(seconds: float) -> str:
    """Return a time span: 'a few seconds', 'about 40 seconds', 'about 3 minutes', ...

    >>> duration(150)
    'about 3 minutes'
    """
    if seconds < 8:
        return "a few seconds"
    if seconds < 55:
        return f"about {5 * round(seconds / 5)} seconds"
    if seconds < 90:
        return "about a minute"
    if seconds < 59.5 * 60:
        return f"about {round(seconds / 60 + 1e-9)} minutes"
    hours = f"{seconds / 3600:.1f}".removesuffix(".0")
    return "about an hour" if seconds < 1.25 * 3600 else f"about {hours} hours"


def size(count: float) -> str:
    """Return bytes: '512 bytes', '3.4 MB', '1.2 GB' (powers of ten, as disks are sold)."""
    if count < 1000:
        return f"{count:.0f} bytes"
    for unit in ("kB", "MB", "GB"):
        count /= 1000
        if count < 999.5:
            return f"{count:.{1 if count < 10 else 0}f} {unit}"
    return f"{count / 1000:.1f} TB"


def and_so_on(names: list[str], most: int = 4) -> str:
    """Return 'a, b and c', or 'a, b, c and 5 more'."""
    if len(names) > most:
        return f"{', '.join(names[: most - 1])} and {len(names) - most + 1} more"
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def network(name: str) -> str:
    """Return how people call a network."""
    return "Built-in network" if name == catalog.BUILTIN else name


def plain(text: str) -> str:
    r"""Return text for where Markdown is read, so that it is shown as it is: a name, an error.

    >>> plain("*cats*")
    '\\*cats\\*'
    """
    return "".join(f"\\{c}" if c in _MARKDOWN else c for c in text)
