"""Turn one upload that has arrived into a data set or a run: `python -m app.importing ID`.

A job of its own, so that it may be killed: started again, it begins anew with the same bytes. How
far it is stands in the upload's `upload.json`. The last line of standard output is one JSON object:
{"digest": ...}, with "run" where it is one, or {"error": "a sentence"}. `sample` in place of an id
takes in the sample pictures.
"""

import json
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

from app import bundles, datasets, jobs, uploads, workshop
from app.uploads import Upload
from transfer.dataset import layout, library, names, versions
from transfer.dataset.index import ImageIndex
from transfer.errors import DataError, TransferError, UnlabelledError

_SECONDS_BETWEEN = 0.25  # notes of progress
_PACE_SECONDS = 1.0  # before the pace of the reading is trusted
_DOUBLE_ENDINGS = (".tar.gz", ".tar.bz2", ".tar.xz")


def main(arguments: Sequence[str] | None = None) -> int:
    """Take one upload in and print the outcome; exit status 0, or 2 where the user can mend it."""
    (asked,) = sys.argv[1:] if arguments is None else arguments
    # An orderly end, so that the half-read files are cleared away.
    signal.signal(signal.SIGTERM, _leave)
    try:
        if asked == "sample":
            return _tell(digest=datasets.sample_digest())
        upload = take_in(asked)
    except TransferError as error:
        return _tell(error=str(error))
    if upload.error:
        return _tell(error=upload.error)
    return _tell(digest=upload.digest, **{"run": upload.run} if upload.run else {})


def take_in(upload_id: str) -> Upload:
    """Make of an upload what it is for, and return the upload as it stands then: done or failed.

    Or unlabelled, with its bytes kept, where nothing says the class of its pictures; `name_class`
    lets it go on.

    Raises:
        UnknownUploadError: there is no such upload, or it was cancelled meanwhile.
    """
    upload = uploads.get(upload_id)
    if upload.state not in ("done", "failed", "unlabelled"):
        upload = uploads.save(_outcome(upload))
    if upload.state != "unlabelled":
        uploads.drop_bytes(upload)
    return upload


def unlabelled(upload: Upload) -> bool:
    """Whether an upload waits for the class of its pictures, and nothing reads it any more."""
    job = jobs.latest("import", upload.id)
    return upload.state == "unlabelled" and not (job and job.state in ("queued", "running"))


def name_class(upload_id: str, label: str) -> None:
    """Say which class the pictures of an unlabelled upload are, and have it read again.

    Raises:
        UnknownUploadError: there is no such upload.
    """
    upload = uploads.get(upload_id)
    if upload.state == "unlabelled":
        label = names.clean_text(label).strip()
        uploads.save(replace(upload, state="queued", label=label or None, error=None))
        jobs.submit("import", upload_id)


def title(name: str) -> str:
    """Return what a data set is called at first: the file's name without its ending."""
    for ending in _DOUBLE_ENDINGS:
        if name.lower().endswith(ending) and len(name) > len(ending):
            return name[: -len(ending)]
    return Path(name).stem


def seconds_left(upload: Upload, now: float) -> float | None:
    """Return about how many seconds the reading still takes; None where nothing says so yet.

    Unpacking and the first picture take much longer than a picture does: the pace is measured
    from there on.
    """
    passed = now - upload.reading
    if not upload.reading or not upload.done or passed < _PACE_SECONDS:
        return None
    return passed * (upload.total - upload.done) / upload.done


class _Progress:
    """Notes now and then how many pictures are read."""

    def __init__(self, upload: Upload) -> None:
        self.upload, self.noted = upload, 0.0

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if now - self.noted < _SECONDS_BETWEEN:
            return
        self.noted = now
        uploads.get(self.upload.id)  # ends the import of an upload that is gone
        began = self.upload.reading or time.time()
        self.upload = uploads.save(replace(self.upload, done=done, total=total, reading=began))


def _outcome(upload: Upload) -> Upload:
    """Read the upload; its errors become part of it."""
    progress = _Progress(
        uploads.save(replace(upload, state="reading", done=0, total=0, reading=0.0))
    )
    try:
        return _way(upload)(_named(upload), progress)
    except uploads.UnknownUploadError:
        raise
    except UnlabelledError as error:
        return replace(progress.upload, state="unlabelled", error=str(error))
    except TransferError as error:
        return replace(progress.upload, state="failed", error=str(error))
    except Exception:
        # The log gets the details; the page says what it means.
        traceback.print_exc()
        error = (
            f"'{upload.name}' could not be read because of a mistake in this app, not in your"
            " file. Nothing else was lost. Try again; if it stays, try with fewer pictures."
        )
        return replace(progress.upload, state="failed", error=error)


def _way(upload: Upload) -> Callable[[Path, _Progress], Upload]:
    """Return how an upload becomes what it is for."""
    if upload.purpose == "run":
        return _run
    return _added if upload.into else _data_set


def _data_set(source: Path, progress: _Progress) -> Upload:
    index, _ = _taken_in(source, progress)
    total = len(index.pictures)
    return replace(
        progress.upload,
        state="done",
        digest=index.digest,
        done=total,
        total=total,
        warnings=index.warnings,
    )


def _added(source: Path, progress: _Progress) -> Upload:
    """Take the pictures in as a set of their own, add it, and remove it once it is added."""
    into = str(progress.upload.into)
    index, is_new = _taken_in(source, progress)
    try:
        before = len(versions.drafted(into).pictures)
        digest = versions.add(into, index.digest)
    except DataError as error:
        raise DataError(
            f"{error} The pictures were taken in all the same, as a data set of their own:"
            f" '{datasets.name(index.digest)}'."
        ) from error
    if is_new and index.digest not in (into, digest):
        datasets.delete(index.digest)
    number = len(datasets.index(digest).pictures) - before
    return replace(
        progress.upload,
        state="done",
        digest=digest,
        added=number,
        done=len(index.pictures),
        total=len(index.pictures),
        warnings=index.warnings,
    )


def _taken_in(source: Path, progress: _Progress) -> tuple[ImageIndex, bool]:
    """Return the data set that the pictures make, and whether it was not here before."""
    upload = progress.upload
    _refuse_single(source)
    # A set too small to learn from is taken in as well: its page shows it and says what to add.
    index = library.import_dataset(
        source, minimum_per_class=1, minimum_classes=1, label=upload.label, on_progress=progress
    )
    return index, datasets.describe(index.digest, title(upload.name))


def _run(source: Path, progress: _Progress) -> Upload:
    run_id = bundles.bring_in(source, progress)
    digest = workshop.run(run_id).config().dataset
    return replace(progress.upload, state="done", digest=digest, run=run_id)


def _named(upload: Upload) -> Path:
    """Give the bytes the file's own name, unless an earlier process has done so."""
    source = upload.source
    if upload.data.is_file():
        source.parent.mkdir(exist_ok=True)
        upload.data.replace(source)
    if not source.is_file():
        raise DataError(f"The bytes of '{upload.name}' are gone. Choose it again.")
    return source


def _refuse_single(source: Path) -> None:
    """Say what to do where a single file was sent that holds no data set.

    Raises:
        DataError: it is a table, a picture or a run.
    """
    if bundles.is_bundle(source):
        raise DataError(
            f"'{source.name}' is a run that was taken away from this app, not a data set. Bring it"
            " in on the page 'Runs'."
        )
    if source.suffix.lower() == ".csv":
        raise DataError(
            f"'{source.name}' is a table without its pictures. Put it into the folder with the"
            " pictures that it names, and choose that folder, or a zip of it."
        )
    if layout.is_picture(source.name):
        raise DataError(
            f"'{source.name}' is a single picture. To learn to tell classes apart takes several"
            " pictures of each: choose a folder with one folder of pictures for each class, or a"
            " zip of it."
        )


def _tell(**answer: Any) -> int:
    sys.stdout.write(json.dumps(answer, ensure_ascii=False) + "\n")
    sys.stdout.flush()
    return 2 if "error" in answer else 0


def _leave(signum: int, _frame: object) -> NoReturn:
    sys.exit(128 + signum)


if __name__ == "__main__":
    sys.exit(main())
