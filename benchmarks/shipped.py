"""Finished runs on the shared data sets, trained where they are missing."""

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks import processes
from benchmarks.small_sets import ALL, DATASETS
from transfer import catalog
from transfer.runs import Run


@dataclass(frozen=True)
class Made:
    """How a run is made."""

    dataset: str
    backbone: str
    strategy: str

    @property
    def name(self) -> str:
        """Of its folder."""
        return f"{self.dataset}-{self.backbone.replace(':', '-')}-{self.strategy}"


def trained(made: Made, work: Path) -> Run:
    """Return the run, trained now if it is not finished yet; its store is `work`.

    Raises:
        processes.FailedError: the training failed.
    """
    run = Run(work / "runs" / made.name)
    if run.read("result") is None:
        how = ["--backbone", made.backbone, "--strategy", made.strategy, "--run", run.folder]
        processes.run("transfer", ["train", DATASETS / made.dataset, *how, "--json"], work)
    return run


def measured(
    made: Made, parts: list[str], work: Path, measure: Callable[[Run, str], dict[str, Any]]
) -> list[dict[str, Any]]:
    """Return a row for each part of what is measured on one run; those on disk are not made anew.

    Rows are kept in a file of `work`, one a line, as soon as they are known.
    """
    file = work / f"{Path(sys.argv[0]).stem}.jsonl"
    lines = file.read_text("utf-8").splitlines() if file.is_file() else []
    kept = {json.dumps(key): row for key, row in map(json.loads, lines)}
    rows = []
    for part in parts:
        key = [asdict(made), part]
        if (row := kept.get(json.dumps(key))) is None:
            row = measure(trained(made, work), part)
            with file.open("a", encoding="utf-8") as out:
                out.write(json.dumps([key, row]) + "\n")
        rows.append(row)
    return rows


def options(description: str | None) -> argparse.ArgumentParser:
    """Return a parser for which runs are wanted, and where they and the rows are kept."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sets", nargs="+", choices=ALL, default=list(ALL), metavar="NAME")
    parser.add_argument("--backbone", default=catalog.DEFAULT_BACKBONE, metavar="NAME")
    parser.add_argument("--strategy", default="linear_top", metavar="NAME")
    parser.add_argument("--work", type=Path, metavar="DIR", help="kept, to go on from there")
    return parser


@contextmanager
def working(folder: Path | None) -> Iterator[Path]:
    """Yield the folder, or one that is removed afterwards; it is this process's store, too."""
    with tempfile.TemporaryDirectory() as own, processes.store_at(folder or Path(own)) as work:
        yield work
