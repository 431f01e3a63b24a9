"""Check the advice against the truth: all four strategies on each data set, and the regret.

    python -m benchmarks.decision_table ROOT... [--backbone NAME ...] [--out FILE] [--markdown]

A ROOT is a data set (a folder with `train` and `test` in it) or a folder of such. Each training is
a process of its own, the command line that a user types; the runs of one data set share a store, so
that features are computed once. Linear strategies run with several seeds, fine-tuned ones with one
and within a budget. What has finished is in `--out`, one line a run: the same command again goes on
where it was, and answers from the file where all is there. `--budget` and `--image-size` are part
of what is looked up; delete the file to measure a changed program anew.

Prints one JSON object, or a table with `--markdown`. See `benchmarks/summary.py` for the figures.
"""

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks import markdown, processes, rows, summary
from benchmarks.processes import FailedError
from benchmarks.rows import Key, Marks, Row, Rows
from transfer import catalog

LINEAR = ("linear_top", "linear_stages")
FINE_TUNED = ("finetune_few", "finetune_many")
RIVALS = ("tutorial", "everything")
METHODS = (*LINEAR, *FINE_TUNED, *RIVALS, "auto")
_DEFAULT = (*LINEAR, *FINE_TUNED, "tutorial")
_UNBOUNDED = (*LINEAR, "tutorial", "advise")  # the budget does not count for them
_SLACK = 3600.0  # seconds beyond the budget after which a command is given up
_LONGEST = 12 * 3600.0  # the same for what has no budget


def main() -> None:
    """Run what is missing, then print the summary."""
    options = _options()
    found = data_sets(options.root)
    temporary = tempfile.TemporaryDirectory()
    kept = Rows(options.out or Path(temporary.name) / "runs.jsonl")
    for name, path in found.items():
        wanted = [key for key in _keys(name, options) if key not in kept]
        if not wanted or options.no_run:
            continue
        with _store(options.home, name) as home:
            for key in wanted:
                _tell(f"{name}, {key.backbone}: {key.method}, seed {key.seed} ...")
                try:
                    kept.add(run(key, path, home))
                except FailedError as error:  # the others go on; the next call tries it again
                    _tell(f"FAILED: {error}")
    keys = {name: _keys(name, options) for name in found}
    answer = summary.summarise({name: (found[name], keys[name]) for name in found}, kept)
    answer["code_now"] = rows.code()
    print(markdown.table(answer) if options.markdown else json.dumps(answer))


def data_sets(roots: Sequence[Path]) -> dict[str, Path]:
    """Return the data sets at or right below these folders, by name.

    Raises:
        SystemExit: there is none; says what is expected.
    """
    found: dict[str, Path] = {}
    for root in roots:
        below = sorted(path for path in root.glob("*") if _is_data_set(path))
        for path in [root] if _is_data_set(root) else below:
            path = path.resolve()
            name = path.name if path.name not in found else f"{path.parent.name}/{path.name}"
            found[name] = path
    if not found:
        sys.exit(
            "Expected folders with `train` and `test` in them, each with one folder a class, but"
            f" found none in {', '.join(map(str, roots))}."
        )
    return found


def run(key: Key, data: Path, home: Path) -> Row:
    """Do what the key says in a fresh process.

    Raises:
        FailedError: it did not finish.
    """
    network = ["--backbone", key.backbone, "--seed", key.seed]
    if key.image_size:
        network += ["--image-size", key.image_size]
    if key.budget:
        network += ["--budget", key.budget]
    timeout = key.budget + _SLACK if key.budget else _LONGEST
    if key.method == "advise":
        done = processes.run("transfer", ["advise", data, "--json", *network], home, timeout)
        return _row(key, done, {})
    if key.method in RIVALS:
        more = ["--everything"] if key.method == "everything" else []
        done = processes.run("benchmarks.tutorial", [data, *network, *more], home, timeout)
        marks = {part: Marks(**one) for part, one in done.answer.pop("marks").items()}
        return _row(key, done, marks)
    folder = (
        home / "runs" / f"{key.backbone}-{key.method}-{key.seed}-{key.budget}".replace(":", "-")
    )
    words = ["train", data, "--json", "--run", folder, "--strategy", key.method, *network]
    done = processes.run("transfer", words, home, timeout)
    row = _row(key, done, rows.marks_of_run(folder, home))
    shutil.rmtree(folder)  # the model and the answers of all runs would take much room
    return row


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("root", nargs="+", type=Path, metavar="ROOT")
    parser.add_argument("--backbone", action="append", metavar="NAME")
    parser.add_argument("--seeds", type=int, default=3, help="of linear strategies (3)")
    parser.add_argument("--budget", type=float, default=900.0, help="seconds a fine-tuning (900)")
    parser.add_argument(
        "--strategy", action="append", choices=METHODS, help=f"default: {', '.join(_DEFAULT)}"
    )
    parser.add_argument("--image-size", type=int, metavar="N")
    parser.add_argument("--out", type=Path, metavar="FILE", help="finished runs (JSON lines)")
    parser.add_argument("--home", type=Path, metavar="DIR", help="keep the stores in this folder")
    parser.add_argument("--markdown", action="store_true", help="print a table for people")
    parser.add_argument("--no-run", action="store_true", help="only sum up what has finished")
    return parser.parse_args()


def _keys(dataset: str, options: argparse.Namespace) -> list[Key]:
    """Return all that is to be run on one data set, the quickest first."""
    chosen = options.strategy or _DEFAULT
    keys = []
    for backbone in options.backbone or [catalog.DEFAULT_BACKBONE]:
        for method in ("advise", *(one for one in METHODS if one in chosen)):
            for seed in range(options.seeds if method in LINEAR else 1):
                budget = None if method in _UNBOUNDED else options.budget
                keys.append(Key(dataset, backbone, method, seed, budget, options.image_size))
    return keys


def _row(key: Key, done: processes.Finished, marks: dict[str, Marks]) -> Row:
    answer: dict[str, Any] = done.answer
    return Row(key, answer, done.seconds, done.peak_memory_mb, marks, rows.code())


@contextmanager
def _store(folder: Path | None, name: str) -> Iterator[Path]:
    """Yield a store for the runs of one data set; kept if in `folder`."""
    if folder:
        yield (folder / name).resolve()
        return
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as temporary:
        yield Path(temporary)


def _is_data_set(path: Path) -> bool:
    return (path / "train").is_dir() and (path / "test").is_dir()


def _tell(words: str) -> None:
    sys.stderr.write(f"{words}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    main()
