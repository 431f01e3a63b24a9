"""The commands with which a model, or its answers, leave: `export`, `score`, `deliver`."""

import time
import traceback
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from transfer import commanding, console, shortage
from transfer.errors import ExportError, TransferError
from transfer.exporting import formats
from transfer.runs import Run

Answer = dict[str, Any]

_STATUS_EVERY = 0.5  # seconds


def export(options: Namespace) -> Answer:
    """Write the model in a format and check it in a fresh process."""
    run = Run(options.run)
    run.result()
    commanding.load()
    from transfer import export as exporting

    kind = formats.named(options.format)
    console.say("Writing the model and checking it in a fresh process ...")
    with console.progress() as step:
        done = exporting.export(
            run,
            options.to,
            lambda now, total: step("export", now, total, "Checking the exported model"),
            kind.name,
        )
    kept = done.to_json()
    console.say(f"The {kind.title} model is in '{done.path}'. {kept['words']}")
    return {"path": str(done.path), **kept}


def deliver(options: Namespace) -> Answer:
    """Write the model in a further format into its run folder: a job of the app."""
    run, kind = Run(options.run), formats.named(options.format)
    run.result()
    target = run.export_place(kind.name)
    commanding.load()
    from transfer import export as exporting
    from transfer.reporter import Reporter

    work = Run(target.parent)  # its status, while it is made
    work.folder.mkdir(parents=True, exist_ok=True)
    with console.progress() as step, work.locked():
        exporting.clear(target)
        reporter = Reporter(work, step)
        reporter.something_to_keep = True
        with kept_refusal(run, kind.name):
            done = exporting.export(run, target, reporter.counter("export"), kind.name)
            run.write(formats.outcome(kind.name), done.to_json())
    return run.read(formats.outcome(kind.name)) or {}


def score(options: Namespace) -> Answer:
    """Say what is on each picture of a folder or a zip, in a CSV file."""
    run = Run(options.run)
    run.result()
    commanding.load()
    from transfer import scoring

    began = told = time.monotonic()
    status = Run(options.status) if options.status else None

    with console.progress() as step:

        def tell(done: int, total: int) -> None:
            nonlocal told
            now = time.monotonic()
            if status and now - told > _STATUS_EVERY:
                words = f"Looking at the pictures: {done:,} of {total:,}"
                left = round((now - began) * (total - done) / done, 1)
                status.status("score", done=done, total=total, words=words, seconds_left=left)
                told = now
            step("score", done, total, "Looking at the pictures")

        found = scoring.score(run, options.pictures, options.to, tell)
    were = "1 was left out; its reason is" if found.left_out == 1 else (
        f"{found.left_out} were left out; their reasons are"
    )  # fmt: skip
    left = f" {were} in it." if found.left_out else ""
    console.say(f"'{found.path}' has the answers for {found.answered} pictures.{left}")
    return {**found.to_json(), "seconds": round(time.monotonic() - began, 2)}


@contextmanager
def kept_refusal(run: Run, name: str) -> Iterator[None]:
    """Keep beside the run why a format is refused; what nobody expected becomes a sentence."""
    try:
        yield
    except ExportError as error:
        run.write(formats.outcome(name), {"refused": str(error)})
    except TransferError:
        raise
    except Exception as error:
        if shortage.of(error):
            raise
        traceback.print_exc()
        last = (str(error).strip().splitlines() or [""])[-1][:200]
        run.write(
            formats.outcome(name),
            {
                "refused": f"This model cannot be written in this format ({type(error).__name__}:"
                f" {last}). Take another one; the run is unharmed."
            },
        )
