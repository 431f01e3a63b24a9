"""The data sets in the store: take one in, or open it again. Each lives once, by its content."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

from transfer import store
from transfer.dataset.importer import Job
from transfer.dataset.index import ImageIndex
from transfer.errors import DataError

MEMORY_BYTES = 6 * 1024**3  # address space of the importing process
CPU_SECONDS = 4 * 3600
_MOST_CRASHES = 25
_ROOT = Path(__file__).parent.parent.parent

OnProgress = Callable[[int, int], None]


def import_dataset(
    source: Path,
    *,
    minimum_per_class: int = 4,
    minimum_classes: int = 2,
    on_progress: OnProgress | None = None,
    memory_bytes: int = MEMORY_BYTES,
) -> ImageIndex:
    """Take labelled pictures into the store, or find them there.

    Args:
        source: a zip, a tar, a folder, or a CSV of `file,label` beside its pictures.
        minimum_per_class: a class with fewer pictures is set aside, with a warning.
        minimum_classes: fewer classes than that are an error.
        on_progress: called with (pictures done, pictures in all).
        memory_bytes: address space of the process that reads the files.

    Raises:
        DataError: there is nothing usable at `source`; the message says what to do.
        ArchiveError: the archive is damaged or over a limit.
    """
    if not source.exists():
        raise DataError(f"There is nothing at '{source}'. Check the name and try again.")
    datasets = store.home() / "datasets"
    datasets.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=datasets, prefix=".import-") as work:
        threads = min(8, os.cpu_count() or 1)
        job = Job(
            str(source.resolve()), work, str(datasets), memory_bytes, CPU_SECONDS, threads, {}
        )
        digest = _until_done(job, on_progress)
        _move(Path(work) / "set", datasets / digest)
    return _usable(_read(digest), minimum_per_class, minimum_classes)


def open_dataset(digest: str, *, minimum_per_class: int = 4) -> ImageIndex:
    """Return a data set of the store, small classes set aside.

    Raises:
        DataError: it is no longer there.
    """
    return _usable(_read(digest), minimum_per_class, 1)


def _until_done(job: Job, on_progress: OnProgress | None) -> str:
    """Run children until one finishes; leave out the file that a child died of."""
    for _ in range(_MOST_CRASHES):
        outcome = _child(job, on_progress)
        if "error" in outcome:
            raise DataError(outcome["error"])
        if "digest" in outcome:
            return outcome["digest"]
        fatal = dict(job.fatal)
        trace = Path(job.work) / "reading"
        if job.threads == 1 and trace.is_file():
            fatal[trace.read_text()] = "reading it broke the decoder, so it is damaged or hostile"
        # From now on one file at a time, so that the next crash names its cause.
        job = replace(job, threads=1, fatal=fatal)
    raise DataError(
        f"Reading '{Path(job.source).name}' failed {_MOST_CRASHES} times. It holds many damaged"
        " files, or the machine has too little memory. Try again with fewer pictures."
    )


def _child(job: Job, on_progress: OnProgress | None) -> dict[str, str]:
    """Run one importing process; return its last words, or {} if it died."""
    path = os.pathsep.join([str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    with subprocess.Popen(
        [sys.executable, "-m", "transfer.dataset.importer"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": path},
        text=True,
        encoding="utf-8",
    ) as process:
        try:
            if process.stdin is None or process.stdout is None:  # both are pipes, as asked for
                return {}
            process.stdin.write(json.dumps(asdict(job)))
            process.stdin.close()
            for line in process.stdout:
                words = json.loads(line)
                if "done" not in words:
                    return words
                if on_progress:
                    on_progress(words["done"], words["total"])
        except (BrokenPipeError, json.JSONDecodeError):
            return {}
        finally:
            process.kill()
    return {}


def _move(made: Path, place: Path) -> None:
    """Put a new data set in its place at once; another process may have been faster."""
    if not made.is_dir() or place.is_dir():
        return
    try:
        made.rename(place)
    except OSError:
        if not (place / "index.json").is_file():
            raise
        shutil.rmtree(made, ignore_errors=True)


def _read(digest: str) -> ImageIndex:
    root = store.home() / "datasets" / digest
    try:
        return ImageIndex.from_json(root, store.read_json(root / "index.json"))
    except FileNotFoundError:
        raise DataError(
            "The data set of this run is no longer in the store. Give the train command with the"
            " pictures again and it is taken in anew."
        ) from None


def _usable(index: ImageIndex, minimum_per_class: int, minimum_classes: int) -> ImageIndex:
    """Set small classes aside, or say why nothing can be learned."""
    counts = index.counts()
    small = {name: n for name, n in counts.items() if n < minimum_per_class}
    if len(counts) - len(small) < minimum_classes:
        raise DataError(_too_few(index, minimum_per_class, minimum_classes))
    warnings = [
        f"Class '{name}' has {n} {'picture' if n == 1 else 'pictures'}; add at least"
        f" {minimum_per_class - n} more. It is set aside for now."
        for name, n in small.items()
    ]
    return replace(
        index,
        pictures=tuple(picture for picture in index.pictures if picture.label not in small),
        warnings=(*index.warnings, *warnings),
    )


def _too_few(index: ImageIndex, minimum_per_class: int, minimum_classes: int) -> str:
    counts = index.counts()
    if not counts:
        why = f" The first of {len(index.rejected)} files left out: {index.rejected[0].file}:" \
              f" {index.rejected[0].reason}." if index.rejected else ""  # fmt: skip
        return (
            "Expected folders of pictures, one folder a class, but found no picture that can be"
            f" used.{why} Put each class's pictures (JPEG, PNG, WebP, BMP, GIF or TIFF) in a folder"
            " of its own and try again."
        )
    found = ", ".join(f"'{name}' with {n}" for name, n in list(counts.items())[:5])
    return (
        f"Expected at least {minimum_classes} classes with {minimum_per_class} or more pictures"
        f" each, but found {len(counts)}: {found}. Add pictures, put each class's pictures in a"
        " folder of its own, and try again."
    )
