"""Many pictures in, a table out: the pictures that somebody gave to a run, and the job on them.

<run>/scores/<key>/
    pictures/       what was given, until there is an answer
    answers.csv     the answer
    status.json     how far it is
"""

import contextlib
import csv
import secrets
import shutil
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import IO, Any

from app import jobs
from transfer import store
from transfer.errors import DataError, RunError
from transfer.runs import Run

_PICTURES, _TABLE = "pictures", "answers.csv"


@dataclass(frozen=True)
class Standing:
    """How the last table stands: "none", "waiting", "working", "ready" or "failed"."""

    word: str
    table: Path | None = None
    status: dict[str, Any] = field(default_factory=dict)
    error: str = ""

    @property
    def alive(self) -> bool:
        """Whether something will change by itself."""
        return self.word in ("waiting", "working")


@dataclass(frozen=True)
class Summary:
    """What a table says: pictures by class, the most first, and those of which it is not sure.

    `silent` are those on which the classifier would rather say nothing, `strange` those that look
    like none of its classes, `left_out` the files that could not be read. All but the last are
    among those counted in `classes`.
    """

    classes: dict[str, int]
    silent: int
    strange: int
    left_out: int


def summary(table: Path) -> Summary:
    """Count what a table of answers says."""
    classes: Counter[str] = Counter()
    silent = strange = left_out = 0
    with table.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if not row["label"]:
                left_out += 1
                continue
            classes[row["label"]] += 1
            silent += row.get("answers") == "False"
            strange += row.get("known") == "False"
    return Summary(dict(classes.most_common()), silent, strange, left_out)


def begin(run: Run, files: Iterable[tuple[str, IO[bytes]]]) -> None:
    """Keep what was given, one zip or many pictures, and put the work on it into the queue.

    The table before it goes.

    Raises:
        DataError: nothing was given.
    """
    forget(run)
    key = secrets.token_hex(4)
    place = run.scores_folder / key / _PICTURES
    place.mkdir(parents=True)
    for number, (name, data) in enumerate(files):
        target = place / (PurePath(name.replace("\\", "/")).name or str(number))
        if target.exists():
            target = place / f"{target.stem}-{number}{target.suffix}"
        with target.open("wb") as file:
            shutil.copyfileobj(data, file)
    if not any(place.iterdir()):
        shutil.rmtree(place.parent)
        raise DataError("There is no picture to look at. Choose a zip or some pictures.")
    jobs.submit("score", f"{run.folder.name}.{key}")


def standing(run: Run) -> Standing:
    """Return how the last table of a run stands."""
    for target in targets(run):
        folder = run.scores_folder / target.rpartition(".")[2]
        job = jobs.latest("score", target)
        if job is not None and job.state in ("queued", "running"):
            status: dict[str, Any] = {}
            with contextlib.suppress(RunError):  # replaced at this moment
                status = Run(folder).status_now()
            return Standing("waiting" if job.state == "queued" else "working", None, status)
        if (folder / _TABLE).is_file():
            shutil.rmtree(folder / _PICTURES, ignore_errors=True)
            return Standing("ready", folder / _TABLE)
        if job is not None and job.state == "failed":
            return Standing("failed", error=job.error or "It ended without saying why.")
    return Standing("none")


def forget(run: Run) -> None:
    """End all work on many pictures for a run, and remove the tables."""
    for target in targets(run):
        jobs.forget("score", target)
    shutil.rmtree(run.scores_folder, ignore_errors=True)


def targets(run: Run) -> list[str]:
    """Return the targets of the jobs, as they are in the queue."""
    if not run.scores_folder.is_dir():
        return []
    return [f"{run.folder.name}.{one.name}" for one in sorted(run.scores_folder.iterdir())]


def command(target: str) -> Sequence[str]:
    """Return the command of a job."""
    run_id, _, key = target.rpartition(".")
    run = Run((store.home() / "runs" / run_id).absolute())
    folder = run.scores_folder / key
    given = folder / _PICTURES
    inside = list(given.iterdir()) if given.is_dir() else []
    one_zip = len(inside) == 1 and inside[0].suffix.lower() == ".zip"
    return [
        *(sys.executable, "-m", "transfer", "score", str(run.folder)),
        *(str(inside[0] if one_zip else given), "--to", str(folder / _TABLE)),
        *("--status", str(folder), "--json"),
    ]
