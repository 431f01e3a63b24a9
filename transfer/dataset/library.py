"""The data sets in the store: take one in, or open it again. Each lives once, by its content."""

import contextlib
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from transfer import store
from transfer.dataset import importer, intake, journal, layout, names, threads
from transfer.dataset.importer import Job
from transfer.dataset.index import ImageIndex
from transfer.errors import ArchiveError, DataError, UnlabelledError

_ROOT = Path(__file__).resolve().parent.parent.parent
TEMPORARY = ".import-"
_ABANDONED_SECONDS = 2 * 24 * 3600
_MOST_CRASHES = 200
_MOST_IN_VAIN = 2  # crashes in a row without any file done or blamed

OnProgress = Callable[[int, int], None]


@dataclass(frozen=True)
class Guard:
    """What the process that reads an upload may take before it is stopped."""

    memory_bytes: int = 4 * 1024**3  # of address space
    cpu_seconds: int = 4 * 3600
    silent_seconds: float = 120.0  # without a sign of life


def import_dataset(
    source: Path,
    *,
    minimum_per_class: int = 4,
    minimum_classes: int = 2,
    label: str | None = None,
    on_progress: OnProgress | None = None,
    guard: Guard = Guard(),
) -> ImageIndex:
    """Take labelled pictures into the store, or find them there.

    Args:
        source: a zip, a tar, a folder, or a CSV of `file,label` beside its pictures.
        minimum_per_class: a class with fewer pictures is set aside, with a warning.
        minimum_classes: fewer classes than that are an error.
        label: the class of pictures that lie in no folder; None: they are left out.
        on_progress: called with (pictures done, pictures in all).
        guard: limits of the process that reads the files.

    Raises:
        DataError: there is nothing usable at `source`; the message says what to do.
        UnlabelledError: there are pictures, but in no folder; with `label` they can be taken in.
        ArchiveError: the archive is damaged or over a limit.
    """
    datasets = store.home() / "datasets"
    try:
        if not source.exists():
            shown = names.shown(str(source))
            raise DataError(f"There is nothing at '{shown}'. Check the name and try again.")
        datasets.mkdir(parents=True, exist_ok=True)
        _sweep(datasets)
        with tempfile.TemporaryDirectory(
            dir=datasets, prefix=TEMPORARY, ignore_cleanup_errors=True
        ) as work:
            job = Job(
                source=str(source.resolve()),
                work=work,
                datasets=str(datasets.resolve()),
                memory_bytes=guard.memory_bytes,
                cpu_seconds=guard.cpu_seconds,
                threads=threads.most(),
                label=label,
            )
            digest, notes = _until_done(job, guard.silent_seconds, on_progress)
            put_in_place(Path(work) / "set", datasets / digest)
    except OSError as error:
        raise DataError(
            f"'{names.shown(source.name)}' could not be taken in: {intake.in_words(error)}. Check"
            " the name and the disk, and try again."
        ) from error
    index = _read(digest)
    if not index.pictures:  # nothing to keep: the error below names what was refused
        shutil.rmtree(datasets / digest, ignore_errors=True)
    index = replace(index, warnings=(*notes, *index.warnings))
    return _usable(index, minimum_per_class, minimum_classes)


def open_dataset(digest: str, *, minimum_per_class: int = 4) -> ImageIndex:
    """Return a data set of the store, small classes set aside.

    Raises:
        DataError: it is no longer there.
    """
    return _usable(_read(digest), minimum_per_class, 1)


def folder(digest: str) -> Path:
    """Return where a data set of the store is, or would be."""
    return store.home() / "datasets" / digest


def put_in_place(made: Path, place: Path) -> None:
    """Put a new data set in its place at once; another process may have been faster.

    Args:
        made: its folder, in one whose name begins with `TEMPORARY`.
        place: where it is to be.
    """
    if not (made / "index.json").is_file():
        return  # it was there already
    try:
        made.rename(place)
    except OSError:
        if importer.is_complete(place):
            return
        place.rename(made.with_name("broken"))
        made.rename(place)


def _until_done(
    job: Job, silent_seconds: float, on_progress: OnProgress | None
) -> tuple[str, list[str]]:
    """Run children until one finishes; leave out each file that a child died of."""
    work, in_vain, reached = Path(job.work), 0, 0
    errors = work / "errors.txt"
    for _ in range(_MOST_CRASHES):
        outcome = _child(job, silent_seconds, on_progress, errors)
        if "error" in outcome:
            raise (ArchiveError if outcome["archive"] else DataError)(outcome["error"])
        if "digest" in outcome:
            return outcome["digest"], outcome["notes"]
        trace = work / importer.ALONE
        if trace.is_file():
            job = replace(job, fatal=(*job.fatal, int(trace.read_text())))
            trace.unlink()
            in_vain = 0
            continue
        now = sum(_size(work / name) for name in (journal.STARTED, journal.DECODED))
        in_vain = in_vain + 1 if now <= reached + 1 else 0
        reached = now
        if in_vain >= _MOST_IN_VAIN:
            break
    last = (errors.read_text(errors="replace").strip().splitlines() or ["no more is known"])[-1]
    raise DataError(
        f"Reading '{names.shown(Path(job.source).name)}' was broken off again and again ({last})."
        " It may hold damaged files, or the machine may have too little memory: try again with"
        " fewer pictures."
    )


def _child(
    job: Job, silent_seconds: float, on_progress: OnProgress | None, errors: Path
) -> dict[str, Any]:
    """Run one importing process; return its last words, or {} if it died or hung."""
    path = os.pathsep.join([str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    # One thread for linear algebra, which is not used: each would reserve address space.
    environment = {**os.environ, "PYTHONPATH": path, "OPENBLAS_NUM_THREADS": "1"}
    with errors.open("wb") as stderr, subprocess.Popen(
        # -P: nothing that lies in the current folder is imported.
        [sys.executable, "-P", "-m", importer.__name__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=stderr,
        env=environment,
        bufsize=0,
    ) as process:  # fmt: skip
        try:
            if process.stdin is None or process.stdout is None:  # both are pipes, as asked for
                return {}
            with contextlib.suppress(BrokenPipeError):
                process.stdin.write(json.dumps(asdict(job)).encode())
                process.stdin.close()
            for line in _lines(process.stdout.fileno(), silent_seconds):
                words = json.loads(line)
                if "digest" in words or "error" in words:
                    return words
                if on_progress and "done" in words:
                    on_progress(words["done"], words["total"])
        finally:
            process.kill()
    return {}


def _lines(descriptor: int, silent_seconds: float) -> Iterator[bytes]:
    """Yield whole lines until the other side ends, or is silent for too long."""
    rest = b""
    while select.select([descriptor], [], [], silent_seconds)[0]:
        if not (block := os.read(descriptor, 1 << 16)):
            return
        *lines, rest = (rest + block).split(b"\n")
        yield from lines


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _sweep(datasets: Path) -> None:
    """Remove what processes that were killed long ago have left."""
    for folder in datasets.glob(f"{TEMPORARY}*"):
        with contextlib.suppress(OSError):
            if time.time() - folder.stat().st_mtime > _ABANDONED_SECONDS:
                shutil.rmtree(folder, ignore_errors=True)


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
    if not counts and any(one.reason == layout.LOOSE for one in index.rejected):
        raise UnlabelledError(_nothing(index))
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
        return _nothing(index)
    some = list(counts.items())[:5]
    found = ", ".join(f"'{name}', {n} {'picture' if n == 1 else 'pictures'}" for name, n in some)
    more = ", ..." if len(counts) > len(some) else ""
    classes = "class" if minimum_classes == 1 else "classes"
    left_out = f" {_why_left_out(index)}" if index.rejected else ""
    return (
        f"Expected at least {minimum_classes} {classes} with {minimum_per_class} or more pictures"
        f" each; found {len(counts)} ({found}{more}).{left_out} Put each class's pictures in a"
        " folder of its own, add more where there are too few, and try again."
    )


def _nothing(index: ImageIndex) -> str:
    if not index.rejected:
        return (
            "It is empty: no picture and no other file is in it. Look whether the pictures were put"
            " in, make it once more from the folder that holds one folder of pictures for each"
            " class, and try again."
        )
    return (
        "Expected folders of pictures, one folder a class, but found no picture that can be"
        f" used. {_why_left_out(index)} Put each class's pictures (JPEG, PNG, WebP, BMP, GIF or"
        " TIFF) in a folder of its own, or list them in a CSV of file,label beside them, and try"
        " again."
    )


def _why_left_out(index: ImageIndex) -> str:
    """Return how many files were left out, with one as an example: rather no text file."""
    first = min(index.rejected, key=lambda one: one.reason == layout.NO_PICTURE)
    return f"{_left_out(len(index.rejected))}, for example '{first.file}': {first.reason}."


def _left_out(number: int) -> str:
    return "1 file was left out" if number == 1 else f"{number:,} files were left out"
