"""Shares and counts as people write them: with as many digits as they carry."""

MEMBER_KINDS = {  # of the members of an ensemble, by what their run says
    "linear": "classifier on features",
    "run": "finished training",
    "seed": "seed",
    "folds": "folds",
    "snapshot": "snapshot",
    "average": "average of weights",
    "soup": "soup of weights",
}
_EXACT = 1000  # pictures from which on a tenth of a percent means something
_MOST_DIGITS = 4


def points(share: float, n: int = 0) -> str:
    """Return a share in percent without the sign, as `percent` writes it."""
    digits = 1 if n >= _EXACT else 0
    text = f"{100 * share:.{digits}f}"
    while digits < _MOST_DIGITS and 0 < share < 1 and float(text) in (0, 100):
        digits += 1
        text = f"{100 * share:.{digits}f}"
    return text


def percent(share: float, n: int = 0) -> str:
    """Return a share: '94 %', of many pictures '94.4 %'.

    What is not all is never shown as 100 %, what is not nothing never as 0 %.

    >>> percent(0.944), percent(0.9444, 3600), percent(0.998), percent(1.0)
    ('94 %', '94.4 %', '99.8 %', '100 %')
    """
    return f"{points(share, n)} %"


def many(number: int, one: str, several: str | None = None) -> str:
    """Return a number of things: '1 picture', '1,234 pictures'.

    >>> many(1, "class", "classes"), many(1234, "picture")
    ('1 class', '1,234 pictures')
    """
    return f"{number:,} {one if number == 1 else several or one + 's'}"
