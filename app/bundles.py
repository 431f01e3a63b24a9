"""Take a run away as one file, and bring such a file in elsewhere.

The file of a whole run is an uncompressed zip:

    transfer-run.txt     says what this is; the first entry, so that the first bytes tell
    run/                 the files of the run folder on which its result rests (`_RUN_FILES`)
    dataset/             index.json about.json version.json images/<sha256>.png: the data set as a
                         whole, in the version that the run learned from
    bundle.json          {"format", "transfer", "run", "name", "dataset", "files"}; "files" has
                         for each name its "size" and "sha256"

A model is a program. What comes from elsewhere is looked through before anything uses it (see
`foreign`), yet no look is a proof: a file must come from somebody whom the user trusts, and the
page says so. The exported SavedModel does not travel: it may do anything, and nobody can see what.
It is made and checked anew from the model that was looked through.
"""

import filecmp
import json
import re
import shutil
import tempfile
import zipfile
from pathlib import Path
from typing import Any

from app import datasets, foreign, jobs, packing, workshop
from app.foreign import OnProgress
from app.packing import BundleError, Entries
from transfer import __version__, store
from transfer.dataset import archive, importer, names, versions
from transfer.dataset.index import ImageIndex
from transfer.dataset.intake import Limits
from transfer.errors import DataError
from transfer.exporting import formats
from transfer.runs import Run

FORMAT = 3  # 1: before there was an advice; 2: before data sets had versions
TRUST = (
    "A model is a program, not only figures. A run that comes in is looked through, but no look is"
    " a proof. Only bring in what comes from somebody you trust."
)
_MODELS = {"model": formats.DEFAULT, **{f"model-{name}": name for name in formats.NAMES}}
_MARK, _FACTS = "transfer-run.txt", "bundle.json"
_NOTE = f"""This is a run of the transfer workbench: a model, its result and its pictures.
Bring it in on the page "Runs" of the app, as it is: do not unpack it.

{TRUST}
"""
_RUN_FILES = (
    "config.json", "about.json", "split.json", "history.json", "result.json", "versions.json",
    "probe.json", "advice.json", "answers.npz", "model.keras", "events.jsonl",
    "calibration.json", "silence.json", "refusal.json", "refusal.npz",
)  # fmt: skip
_NEEDED = {f"run/{name}" for name in ("config.json", "split.json", "result.json", "model.keras")}
_IDENTITY = ("config.json", "split.json", "answers.npz", "model.keras")  # equal: the same run
_PICTURE = re.compile(r"dataset/images/[0-9a-f]{64}\.png")
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,63}")
_MODEL_BYTES = 8 * 1024**3
_ABOUT_DATA = ("index.json", "about.json", versions.FACTS)
_OTHER_ENTRIES = 2 + len(_ABOUT_DATA)  # the mark and the facts


def packed(kind: str, run_id: str) -> Path:
    """Return a file to take away, made at the first request and whenever the run has changed.

    Args:
        kind: "model" for the checked SavedModel as a zip, "model-NAME" for another format, "run"
            for the whole run.
        run_id: the run.

    Raises:
        BundleError: there is no such run, it is not finished, or it lacks what is asked for.
    """
    run = _finished(run_id)
    if kind in _MODELS:
        name = _MODELS[kind]
        return packing.up_to_date(packing.model_file(run_id, name), _model_entries(run, name))
    if kind == "run":

        def write(zipped: zipfile.ZipFile, entries: Entries) -> None:
            zipped.writestr(_MARK, _NOTE)
            files = {name: packing.copy(zipped, name, path) for name, path in entries.items()}
            facts = {
                "format": FORMAT,
                "transfer": __version__,
                "run": run_id,
                "name": run.about()["name"],
                "dataset": run.config().dataset,
                "files": files,
            }
            zipped.writestr(_FACTS, json.dumps(facts, ensure_ascii=False))

        return packing.up_to_date(packing.run_file(run_id), _whole(run), write)
    raise BundleError(f"There is nothing of the kind '{kind}' to take away. Open the page again.")


def size(run_id: str) -> int:
    """Return the bytes of the file of a whole run, without making it.

    Raises:
        BundleError: the run cannot be taken away, and why.
    """
    return sum(path.stat().st_size for path in _whole(_finished(run_id)).values())


def is_bundle(path: Path) -> bool:
    """Whether a file says that it is a run: the first entry of the zip is ours."""
    with path.open("rb") as file:
        start = file.read(30 + len(_MARK))
    return start[:4] == b"PK\x03\x04" and start[30:] == _MARK.encode()


def bring_in(path: Path, on_progress: OnProgress = lambda _done, _total: None) -> str:
    """Take the file of a run in, with its data set, and return the id of the run here.

    A run that is here already is found. The caller has told the user what `TRUST` says.

    Args:
        path: the file.
        on_progress: called with (pictures looked at, pictures in all).

    Raises:
        BundleError: the file is no run, is damaged or holds what does not belong there, or the
            disk is full. Nothing of it stays.
    """
    try:
        if not is_bundle(path):
            raise BundleError(
                "This file is not a run that was taken away from this app: expected was a file with"
                f" a name like 'my-run{packing.ENDING}', as it was downloaded. Pictures belong on"
                " the page 'Data'."
            )
        packing.folder().mkdir(parents=True, exist_ok=True)
        packing.need_space(path.stat().st_size)
        with tempfile.TemporaryDirectory(
            dir=packing.folder(), prefix=packing.INCOMING, ignore_cleanup_errors=True
        ) as work:
            facts = _unpack(path, Path(work))
            try:
                root = Path(work) / "dataset"
                index = foreign.check_dataset(root, facts["dataset"], on_progress)
                foreign.check_run(Run(Path(work) / "run"), index)
            except foreign.SuspiciousError as error:
                raise _refused(str(error)) from error
            return _place(Run(Path(work) / "run"), index, facts["run"])
    except OSError as error:
        raise packing.not_stored(error) from error


def _finished(run_id: str) -> Run:
    if not _ID.fullmatch(run_id) or not workshop.run(run_id).exists:
        raise BundleError("There is no such run; it may have been deleted. Look under 'Runs'.")
    if not workshop.run(run_id).finished:
        raise BundleError(
            "This run is not finished, so there is nothing to take away yet. Wait for its end, or"
            " let it go on."
        )
    return workshop.run(run_id)


def _model_entries(run: Run, name: str) -> Entries:
    place = run.export_place(name)
    inside = sorted(path for path in place.rglob("*") if path.is_file())
    if not inside or "checked" not in (run.read(formats.outcome(name)) or {}):
        raise BundleError(
            "The model of this run is not ready to be taken away: it is written and checked after"
            " the training. Open the run to see how far it is."
        )
    return {f"{name}/{path.relative_to(place)}": path for path in inside}


def _whole(run: Run) -> Entries:
    return {**_run_entries(run), **_dataset_entries(run.config().dataset)}


def _run_entries(run: Run) -> Entries:
    inside = {f"run/{name}": run.folder / name for name in _RUN_FILES}
    return {name: path for name, path in inside.items() if path.is_file()}


def _dataset_entries(digest: str) -> Entries:
    root = store.home() / "datasets" / digest
    if not importer.is_complete(root):
        raise BundleError(
            "The pictures of this run are no longer in the store, so it cannot be taken away as a"
            " whole. Its model can: open the run and go to 'Use'."
        )
    pictures = sorted({picture.file for picture in datasets.index(digest).pictures})
    inside = {f"dataset/{name}": root / name for name in (*_ABOUT_DATA, *pictures)}
    return {name: path for name, path in inside.items() if path.is_file()}


def _unpack(path: Path, work: Path) -> dict[str, Any]:
    """Unpack into `work`/run and `work`/dataset exactly what the file says that it holds."""
    # Nothing is compressed in a file of ours: there is no more in it than its own size.
    entries = Limits.entries + len(_RUN_FILES) + _OTHER_ENTRIES
    limits = Limits(entries, total_bytes=path.stat().st_size, file_bytes=_MODEL_BYTES)
    try:
        upload = archive.unpack(path, work / "files", limits)
        reasons = [f"'{item.file}': {item.reason}" for item in upload.rejected] + [*upload.notes]
        found = {file.name: file for file in upload.files}
        if reasons or _FACTS not in found:
            raise _refused(reasons[0] if reasons else f"'{_FACTS}' is missing")
        facts = foreign.read_facts(found.pop(_FACTS).path.rename(work / _FACTS), FORMAT)
    except foreign.SuspiciousError as error:
        raise _refused(str(error)) from error
    except DataError as error:
        raise _refused(f"reading it says: {error}") from error
    listed = facts["files"]
    found.pop(_MARK, None)
    if wrong := [name for name in {*found, *listed} if not _belongs(name)]:
        raise _refused(f"'{names.shown(min(wrong))}' does not belong in a run")
    if missing := (_NEEDED | set(listed)) - set(found):
        raise _refused(f"'{min(missing)}' is missing")
    for name, file in found.items():
        if name not in listed or file.sha256 != listed[name]["sha256"]:
            raise _refused(f"'{name}' is not what was packed")
        place = work / name
        place.parent.mkdir(parents=True, exist_ok=True)
        file.path.rename(place)
    return facts


def _belongs(name: str) -> bool:
    if name.startswith("run/"):
        return name.removeprefix("run/") in _RUN_FILES
    return name in {f"dataset/{one}" for one in _ABOUT_DATA} or bool(_PICTURE.fullmatch(name))


def _place(made: Run, index: ImageIndex, run_id: str) -> str:
    """Move what was looked through to its places, or find it there."""
    about = foreign.tidy_about(made)
    brought_data = _place_dataset(index, about["name"])
    moved: Path | None = None
    try:
        if twin := _twin(made):
            return twin
        if not _ID.fullmatch(run_id) or workshop.run(run_id).folder.exists():
            run_id = workshop.new_id()
        place = workshop.run(run_id).folder
        made.write("result", {**made.result(), "run": str(place)})
        made.write("about", about)
        place.parent.mkdir(parents=True, exist_ok=True)
        made.folder.rename(place)
        moved = place
        jobs.submit("train", run_id)  # nothing is left to train: it makes and checks the export
    except BaseException:
        if moved:
            shutil.rmtree(moved, ignore_errors=True)
        if brought_data:
            datasets.delete(index.digest)
        raise
    return run_id


def _place_dataset(index: ImageIndex, name: str) -> bool:
    """Put the data set in its place unless it is there; return whether it was put there."""
    place = store.home() / "datasets" / index.digest
    if importer.is_complete(place):
        if datasets.index(index.digest).pictures != index.pictures:
            raise _refused("its pictures are not those that are here under the same address")
        return False
    foreign.tidy_dataset(index, name)
    place.parent.mkdir(parents=True, exist_ok=True)
    if place.exists():  # some of its pictures were lost
        place.rename(index.root.with_name("broken"))
    index.root.rename(place)
    return True


def _twin(made: Run) -> str | None:
    """Return the id of the run here that is the same, if there is one."""
    for one in workshop.listed():
        if one.finished and all(
            _equal(one.folder / name, made.folder / name) for name in _IDENTITY
        ):
            return one.folder.name
    return None


def _equal(one: Path, other: Path) -> bool:
    if not one.is_file() or not other.is_file():
        return one.is_file() == other.is_file()
    return filecmp.cmp(one, other, shallow=False)


def _refused(why: str) -> BundleError:
    return BundleError(
        f"This file is not as this app packed it: {why.rstrip('.')}. Nothing of it was taken in."
        " Take the run away anew where it comes from, and send that file as it is."
    )
