"""Bring an upload onto the disk without trusting it: a zip, a tar or a folder.

Every file gets a name of our own; nothing is ever written where the archive says. Links, encrypted
entries, nested archives and names that lead elsewhere are listed as rejected; limits on count,
bytes and ratio hold while the data streams (see `intake`).
"""

import zipfile
from collections.abc import Callable
from pathlib import Path

from transfer.dataset import intake, layout, names, tars, zips
from transfer.dataset.intake import Intake, Limits, Upload
from transfer.errors import ArchiveError, DataError


def unpack(
    source: Path, target: Path, limits: Limits, on_step: Callable[[], None] = lambda: None
) -> Upload:
    """Read a zip, a tar or a folder.

    Archives are unpacked into `target`; the files of a folder stay where they are.

    Args:
        source: the upload; its kind is seen from its content, not from its name.
        target: an empty or missing folder.
        limits: what the upload may hold at most.
        on_step: called now and then, as a sign of life.

    Raises:
        ArchiveError: it is no archive that is read, it is damaged from the start, or over a limit.
        DataError: there is nothing at `source`, or it cannot be read.
    """
    taken = Intake(source, target, limits, on_step)
    try:
        if source.is_dir():
            _read_folder(source, taken)
        elif source.is_file():
            target.mkdir(parents=True, exist_ok=True)
            _read_archive(source, taken)
        else:
            raise DataError(
                f"'{names.shown(source.name)}' is neither a file nor a folder. Choose a zip, a tar"
                " or a folder of pictures, and try again."
                if source.exists()
                else f"There is nothing at '{names.shown(str(source))}'. Check the name and try"
                " again."
            )
    except OSError as error:
        raise DataError(
            f"'{names.shown(source.name)}' cannot be read: {intake.in_words(error)}. Check it and"
            " try again."
        ) from error
    return taken.result()


def _read_archive(source: Path, taken: Intake) -> None:
    with source.open("rb") as file:
        start = file.read(4)
    if not start:
        raise ArchiveError(f"'{names.shown(source.name)}': it is empty (0 bytes). Send it again.")
    # By the first bytes: a tar that ends with a zip would pass for a zip by its last ones.
    if start.startswith(zips.STARTS):
        zips.read(source, taken)
    elif tars.is_tar(source):
        tars.read(source, taken)
    elif zipfile.is_zipfile(source):  # behind something else, as in a self-extracting archive
        zips.read(source, taken)
    elif layout.is_picture(source.name):
        raise ArchiveError(
            f"'{names.shown(source.name)}' is one picture by its name. Put the pictures of each"
            " class in a folder of its own, pack the folders into a zip file and try again."
        )
    else:
        raise ArchiveError(
            f"'{names.shown(source.name)}' is neither a zip nor a tar archive that can be read, nor"
            " a folder. Pack the class folders into a zip file and try again."
        )


def _read_folder(source: Path, taken: Intake) -> None:
    folders = [source]
    while folders:
        folder = folders.pop()
        try:
            inside = sorted(folder.iterdir())
        except OSError as error:
            if folder == source:
                raise
            taken.reject(folder.relative_to(source).as_posix(), intake.unreadable(error))
            continue
        for path in inside:
            taken.count()
            name = path.relative_to(source).as_posix()
            try:
                if _take_path(name, path, taken):
                    folders.append(path)
            except OSError as error:
                taken.reject(name, intake.unreadable(error))


def _take_path(name: str, path: Path, taken: Intake) -> bool:
    """Take a file in; return whether it is a folder, to be searched as well."""
    if path.is_symlink():
        if not taken.passes(name):
            taken.reject(name, intake.LINK)
    elif path.is_dir():
        taken.folder(name)
        return not names.is_hidden(name)
    elif taken.wanted(name):
        if path.is_file():
            taken.refer(name, path)
        else:
            taken.reject(name, intake.DEVICE)
    return False
