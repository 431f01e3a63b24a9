"""Zips of files in the store, made when they are asked for and kept while those files stay.

STORE/bundles/<run>.transfer-run.zip    a whole run (see `bundles`)
RUN/savedmodel.zip                      its exported model
"""

import errno
import hashlib
import json
import secrets
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path

from app import uploads, words, workshop
from transfer import store
from transfer.errors import TransferError

Entries = dict[str, Path]  # name in the zip -> file
Write = Callable[[zipfile.ZipFile, Entries], None]

ENDING = ".transfer-run.zip"
INCOMING = ".incoming-"  # what is being brought in, beside the files to take away
PARTIAL = ".packing-"
MODEL = "savedmodel.zip"

_BLOCK = 1 << 20
_SPARE_BYTES = 200_000_000  # of disk, beside what is written

_packing: dict[Path, threading.Lock] = {}


class BundleError(TransferError):
    """A run cannot be taken away, or brought in, as asked."""


def folder() -> Path:
    """Return where the files of whole runs are kept, once they were asked for."""
    return store.home() / "bundles"


def run_file(run_id: str) -> Path:
    """Return where the file of a whole run is, if it was asked for."""
    return folder() / f"{run_id}{ENDING}"


def model_file(run_id: str, name: str = "savedmodel") -> Path:
    """Return where the zip of a run's exported model in a format is, if it was asked for."""
    run = workshop.run(run_id)
    return (
        run.folder / MODEL
        if name == "savedmodel"
        else run.export_place(name).parent / f"{name}.zip"
    )


def up_to_date(target: Path, entries: Entries, write: Write | None = None) -> Path:
    """Return a zip of these files; one that was made of the same ones before is kept.

    Args:
        target: where it is kept.
        entries: the files. Which they are, their sizes and times decide whether it is made anew.
        write: writes them; None writes just these.

    Raises:
        BundleError: the disk is full, or a file went away.
    """
    with _packing.setdefault(target, threading.Lock()):
        try:
            stamp = _stamp(entries)
            if not _ends_with(target, stamp):
                _make(target, entries, write or _write_all, stamp)
        except FileNotFoundError:
            raise BundleError("This run was changed or deleted meanwhile. Try again.") from None
        except OSError as error:
            raise not_stored(error) from error
    return target


def copy(zipped: zipfile.ZipFile, name: str, path: Path) -> dict[str, int | str]:
    """Stream one file into a zip as it is, and return its "size" and "sha256"."""
    digest, size = hashlib.sha256(), 0
    entry = zipfile.ZipInfo.from_file(path, name, strict_timestamps=False)
    with path.open("rb") as source, zipped.open(entry, "w") as target:
        while block := source.read(_BLOCK):
            digest.update(block)
            size += target.write(block)
    return {"size": size, "sha256": digest.hexdigest()}


def need_space(size: int) -> None:
    """Check that the disk has room.

    Raises:
        BundleError: it has not.
    """
    if (free := uploads.free_bytes()) < size + _SPARE_BYTES:
        raise BundleError(
            f"This takes {words.size(size)} of disk, and {words.size(free)} are free. Delete runs"
            " or data sets that are no longer needed, then try again."
        )


def not_stored(error: OSError) -> BundleError:
    """Return what to say of an error of the disk."""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    why = "the disk is full" if full else error.strerror or str(error)
    return BundleError(f"The file could not be written or read: {why}. Nothing was changed.")


def _make(target: Path, entries: Entries, write: Write, stamp: bytes) -> None:
    need_space(sum(path.stat().st_size for path in entries.values()))
    target.parent.mkdir(parents=True, exist_ok=True)
    # A name of its own: two servers may be at it at once.
    partial = target.with_name(f"{PARTIAL}{secrets.token_hex(4)}")
    try:
        with zipfile.ZipFile(partial, "w") as zipped:  # stored: weights and PNGs do not shrink
            zipped.comment = stamp
            write(zipped, entries)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def _stamp(entries: Entries) -> bytes:
    """Return what tells this state of the files from another; it ends the zip, as its comment."""
    states = [(name, path.stat()) for name, path in entries.items()]
    facts = [(name, state.st_size, state.st_mtime_ns) for name, state in states]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest().encode()


def _ends_with(path: Path, stamp: bytes) -> bool:
    try:
        with path.open("rb") as file:
            file.seek(-len(stamp), 2)
            return file.read() == stamp
    except OSError:  # none yet
        return False


def _write_all(zipped: zipfile.ZipFile, entries: Entries) -> None:
    for name, path in entries.items():
        copy(zipped, name, path)
