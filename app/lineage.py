"""The place of a data set from elsewhere among its versions: looked through, then fitted in."""

import re

from app import datasets, shapes
from app.shapes import expect
from transfer import store
from transfer.dataset import names, versions
from transfer.dataset.index import ImageIndex

_SHAPE = {"number": int, "parent": (str, None), "made": float, "words": [str], "series": str}
_DIGEST = re.compile(r"[0-9a-f]{32}")
_MOST = 1_000_000  # versions


def check(index: ImageIndex) -> None:
    """Check what is said of the place of a data set among its versions, where anything is.

    Raises:
        SuspiciousError: it is not what this app writes, or of another data set.
    """
    path = index.root / versions.FACTS
    if not path.is_file():
        return
    facts = shapes.read(path)
    shapes.check(facts, _SHAPE, path.name)
    series, parent = facts["series"], facts["parent"]
    expect(0 < facts["number"] < _MOST, "the number of its version is none")
    known = all(_DIGEST.fullmatch(one) for one in (series, parent or series))
    right = known and versions.address(index, series) == index.digest
    expect(right, "its data set is another version")


def fit_in(index: ImageIndex) -> str | None:
    """Write the place of a data set anew, made harmless, with a number that none has here.

    Returns:
        What the other versions are called that are here; None where there are none.
    """
    path = index.root / versions.FACTS
    series = index.digest
    if path.is_file():
        value = {key: shapes.read(path)[key] for key in _SHAPE}
        series = value["series"]
        taken = [one.number for one in versions.of_series(series)]
        if value["number"] in taken:
            value["number"] = 1 + max(taken)
        value["words"] = [names.shown(text) for text in value["words"]]
        store.write_json(path, value)
    others = (one.digest for one in versions.of_series(series) if one.digest != index.digest)
    return next(map(datasets.title, others), None)
