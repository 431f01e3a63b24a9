"""The runs as the page of all runs shows them: one line each, in plain words."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from app import datasets, storage, verdicts, ways, words, workshop
from app.workshop import Standing
from transfer.errors import TransferError
from transfer.evaluation import Accuracy
from transfer.runs import Run

NEWEST, BEST, BY_NAME = ORDERS = ("Newest first", "Most often right first", "By name")
_LONGEST = 72  # characters, so that a number fits into the 80 that are kept of a name


@dataclass(frozen=True)
class Line:
    """One run: `created` in seconds since 1970, `bytes` on the disk.

    `accuracy` is that of the test pictures, or of the validation pictures where `tested` is false.
    `data_set`, `network` and `strategy` are None for a run of another version of the app; `kept` is
    the strategy whose model was kept, where another one than was asked for did better.
    """

    id: str
    name: str
    data_set: str | None
    network: str | None
    strategy: str | None
    kept: str | None
    standing: Standing
    accuracy: Accuracy | None
    tested: bool
    created: float
    bytes: int

    @property
    def finished(self) -> bool:
        """Whether there is a result."""
        return self.accuracy is not None

    @property
    def share(self) -> str:
        """How often it is right, with its interval: '93 %, between 82 and 98 %'."""
        if self.accuracy is None:
            return ""
        percent = verdicts.percent(self.accuracy.accuracy, self.accuracy.n)
        return f"{percent}, {verdicts.between(self.accuracy)}"


def line(run: Run) -> Line:
    """Return one run as it stands now."""
    settings = workshop.readable(run)
    result = _result(run)
    share = result.get("test") or result.get("validation")
    about = run.about()
    return Line(
        id=run.folder.name,
        name=str(about["name"]),
        data_set=datasets.name(settings["dataset"]) if settings else None,
        network=words.network(settings["backbone"]) if settings else None,
        strategy=ways.named(settings["strategy"]) if settings else None,
        kept=_kept(result),
        standing=workshop.standing(run),
        accuracy=_accuracy(share) if share else None,
        tested=bool(result.get("test")),
        created=float(about["created"]),
        bytes=storage.run_size(run.folder.name),
    )


def ordered(runs: list[Run], order: str) -> list[Run]:
    """Return runs, given the newest first, in one of the `ORDERS`."""
    keys: dict[str, Callable[[Run], Any]] = {
        NEWEST: lambda _: 0,
        BEST: lambda run: -_share(run),
        BY_NAME: lambda run: str(run.about()["name"]).casefold(),
    }
    return sorted(runs, key=keys[order])


def _share(run: Run) -> float:
    """Return how often a run is right, -1 where it has no result."""
    result = _result(run)
    share = result.get("test") or result.get("validation")
    return float(share["accuracy"]) if share else -1.0


def unused_name(name: str) -> str:
    """Return a name for a new run: this one, numbered where a run is called so already."""
    taken = {str(run.about()["name"]) for run in workshop.listed()}
    name = " ".join(name.split())[:_LONGEST]
    numbered = (f"{name} ({number})" for number in itertools.count(2))
    return next(one for one in itertools.chain([name], numbered) if one not in taken)


def _result(run: Run) -> dict[str, Any]:
    """Return the result of a run, empty where there is none that can be read."""
    try:
        return run.result() if run.finished else {}
    except TransferError:
        return {}


def _accuracy(share: dict[str, Any]) -> Accuracy:
    return Accuracy(share["accuracy"], share["low"], share["high"], share["n"])


def _kept(result: dict[str, Any]) -> str | None:
    if not result or result["shipped"] == result["requested"]:
        return None
    return ways.named(result["shipped"])
