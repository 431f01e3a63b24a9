"""How much disk the store takes, by kind, and freeing what nothing refers to.

Nothing here touches what a run or a data set needs, nor what a process may still be writing: what
looks given up has to lie untouched for a day.
"""

import contextlib
import os
import re
import shutil
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from app import (
    advising,
    checking,
    datasets,
    jobs,
    packing,
    searches,
    starting,
    usage,
    words,
    workshop,
)
from app.datasets import DataSet
from app.usage import freed_by, size
from transfer import feature_segments, store
from transfer.errors import DataError, RunError
from transfer.runs import Run

KINDS = {
    "datasets": "Data sets",
    "runs": "Runs",
    "features": "Kept calculations",
    "advice": "Measurements for the advice",
    "health": "Checks of the data",
    "rehearsals": "Checks of trainings",
    "searches": "Searches for settings",
    "thumbnails": "Small pictures for the pages",
    "bundles": "Files for taking away",
    "uploads": "Uploads",
    "logs": "Logs and lists of the app",
}
_FOLDERS = {"sample": "datasets", **{kind: kind for kind in KINDS}}
_GIVEN_UP = 24 * 3600  # seconds
# What is on its way into its place, or out of it, by the names that its makers give it.
_PASSING = re.compile(r"\.(packing|incoming|import|export)-|\..*\.partial")
_DELETED = ".deleted-"
_JOB_FILE = re.compile(r"(\d+)\.(out|log|lock)")


@dataclass(frozen=True)
class Rest:
    """What can be freed of one kind: what it is, in words, where it lies, and its bytes."""

    what: str
    paths: tuple[Path, ...]
    bytes: int


@dataclass(frozen=True)
class UnusedDataSet:
    """A version of a data set of which no run learned, and the bytes that deleting it frees."""

    data_set: DataSet
    bytes: int


def used() -> dict[str, int]:
    """Return the bytes of each kind of `KINDS`, the largest first."""
    counts = Counter(dict.fromkeys(KINDS, 0))
    start = len(str(store.home())) + 1
    for path, taken in usage.files(store.home()):
        folder, *inside = path[start:].split("/")  # of many files: no Path for each
        made = folder == "runs" and inside[1:] == [packing.MODEL]
        counts["bundles" if made else _FOLDERS.get(folder, "logs")] += taken
    return dict(counts.most_common())


def unused() -> tuple[Rest, ...]:
    """Return what `free` would remove; kinds of which there is nothing are left out."""
    found = {
        "Files made for taking away; they are made anew when asked for": _bundles(),
        "Small pictures of data sets that were deleted": _thumbnails(),
        "Calculations kept for pictures that were deleted": _calculations(),
        "Measurements of data sets that were deleted": _measurements(),
        "Checks of data sets that were deleted": _checks(),
        "Checks of trainings on data sets that were deleted": _rehearsals(),
        "Searches for settings on data sets that were deleted": _searches(),
        "Uploads that were given up": _uploads(),
        "Left behind by work that was broken off": _leftovers(),
        "Logs of work whose run or upload is gone, or that was done again": _job_files(),
    }
    rests: list[Rest] = []
    taken: set[Path] = set()
    for what, paths in found.items():
        # What lies in something that goes, goes with it.
        own = [path for path in paths if taken.isdisjoint((path, *path.parents))]
        taken.update(own)
        if own:
            rests.append(Rest(what, tuple(own), freed_by(*own)))
    return tuple(rests)


def free() -> int:
    """Remove what nothing refers to, as it is now, and return the bytes that this freed."""
    made_by: dict[Path, jobs.Kind] = {
        store.home() / "uploads": "import",
        advising.folder(): "advise",
        checking.folder(): "check",
        starting.folder(): "rehearse",
        searches.folder(): "search",
    }
    freed = 0
    for path in [path for rest in unused() for path in rest.paths]:
        before = freed_by(path)
        if path.parent in made_by:
            jobs.forget(made_by[path.parent], path.name)
        _remove(path)
        freed += before - freed_by(path)
    return freed


def run_size(run_id: str) -> int:
    """Return the bytes that deleting a run frees."""
    return size(workshop.run(run_id).folder) + size(packing.run_file(run_id))


def run_parts(run: Run) -> dict[str, int]:
    """Return in words of what a run consists, and its bytes; together they are its `run_size`."""
    run_id = run.folder.name
    whole = run_size(run_id)
    parts = {
        "its model": size(run.model_path),
        "the exported model": size(run.export_folder)
        + size(run.export_place("keras").parent.parent),
        "what it has learned so far": size(run.checkpoint_folder),
        "files made for downloading": size(packing.model_file(run_id))
        + size(packing.run_file(run_id)),
    }
    rest = {"its settings, curves and figures": whole - sum(parts.values())}
    return {what: n for what, n in {**rest, **parts}.items() if n > 0}


def delete_run(run: Run) -> int:
    """End the work on a run, remove all that there is of it, and return the bytes that this freed.

    The pictures stay.

    Raises:
        RunError: something still holds on to the run, or it is gone.
    """
    if not run.exists:
        raise RunError("This run is gone already.")
    taken = run_size(run.folder.name)
    # A deletion that was broken off would be in the way, if the run was brought in once more.
    shutil.rmtree(run.folder.with_name(f"{_DELETED}{run.folder.name}"), ignore_errors=True)
    workshop.delete(run)
    packing.run_file(run.folder.name).unlink(missing_ok=True)
    return taken


def unused_data_sets() -> list[UnusedDataSet]:
    """Return the versions of data sets of which no run learned, the largest first; not the sample.

    Each is given the bytes that go with it alone: what versions share goes with the last of them.
    """
    needed = {*_users(), _sample()}
    found = [
        UnusedDataSet(one, data_set_size(one.digest))
        for one in datasets.every()
        if one.digest not in needed
    ]
    return sorted(found, key=lambda one: -one.bytes)


def data_set_size(digest: str) -> int:
    """Return the bytes that deleting one version of a data set frees."""
    return datasets.size(digest) + freed_by(*_besides(digest))


def series_size(digest: str) -> int:
    """Return the bytes that deleting all versions of a data set frees.

    Raises:
        DataError: the data set is gone.
    """
    own = [one.digest for one in datasets.versions(digest)]
    folders = [store.home() / "datasets" / one for one in own]
    return freed_by(*folders, *(path for one in own for path in _besides(one)))


def delete_data_set(digest: str) -> int:
    """Remove one version of a data set, and return the bytes that this freed.

    Raises:
        DataError: a run needs it, or it is gone.
    """
    _refuse_used(datasets.name(digest), runs_using(digest))
    datasets.index(digest)
    taken = data_set_size(digest)
    advising.forget(digest)
    checking.forget(digest)
    starting.forget(digest)
    searches.forget(digest)
    datasets.delete(digest)
    return taken


def delete_series(digest: str) -> int:
    """Remove a data set in all its versions, and return the bytes that this freed.

    Raises:
        DataError: a run needs one of the versions, or the data set is gone.
    """
    own = [one.digest for one in datasets.versions(digest)]
    needing = {name for one in own for name in runs_using(one)}
    _refuse_used(datasets.title(digest), sorted(needing))
    taken = series_size(digest)
    for one in own:
        advising.forget(one)
        checking.forget(one)
        starting.forget(one)
        searches.forget(one)
        datasets.delete(one)
    return taken


def runs_using(digest: str) -> list[str]:
    """Return the names of the runs that learned from this version of a data set.

    Runs of other versions of the app count, too.
    """
    return sorted(_users().get(digest, []))


def _refuse_used(name: str, using: list[str]) -> None:
    if not using:
        return
    runs = words.and_so_on([f"'{one}'" for one in using])
    raise DataError(
        f"'{name}' was not deleted: {runs} learned from these pictures and"
        f" {'needs' if len(using) == 1 else 'need'} them to show its results. Delete"
        f" {'that run' if len(using) == 1 else 'those runs'} first."
    )


def _besides(digest: str) -> list[Path]:
    """Return what goes with a version beside its own folder: thumbnails, measurements, checks."""
    thumbnails = store.home() / "thumbnails" / digest
    checks = [*checking.folders(digest), *starting.folders(digest), *searches.folders(digest)]
    return [thumbnails, *advising.folders(digest), *checks]


def _users() -> dict[str, list[str]]:
    """Return the names of the runs that need each data set."""
    found: dict[str, list[str]] = {}
    for run in workshop.listed():
        with contextlib.suppress(RunError):
            config = run.read("config")
            digest = config.get("dataset") if isinstance(config, dict) else None
            found.setdefault(str(digest), []).append(str(run.about()["name"]))
    return found


def _sample() -> str:
    """Return the digest of the sample pictures: they come back at the next start anyway."""
    try:
        return (store.home() / "sample" / "digest").read_text().strip()
    except OSError:
        return ""


def _bundles() -> list[Path]:
    found = list(packing.folder().glob(f"[!.]*{packing.ENDING}"))
    models = (packing.model_file(run.folder.name) for run in workshop.listed())
    return [*found, *(path for path in models if path.is_file())]


def _thumbnails() -> list[Path]:
    there = store.home() / "datasets"
    return [path for path in _inside("thumbnails") if not (there / path.name).exists()]


def _calculations() -> list[Path]:
    """Return the files of features, of which no picture is here and to which nobody adds more.

    Features of pictures that are here may be in use by a training at this moment.
    """
    features = store.home() / "features"
    here = {
        bytes.fromhex(picture.sha256)
        for one in datasets.every()
        for picture in datasets.index(one.digest).pictures
    }
    found = list(features.rglob("[!.]*.npy"))  # of earlier versions: nothing reads them any more
    for segment in feature_segments.below(features):
        contents = segment.contents()
        # Looked at after the contents: what came in between has touched them.
        files = [path for path in (segment.rows, segment.ids) if path.exists()]
        if here.isdisjoint(contents) and all(map(_untouched, files)):
            found += files
    return found


def _measurements() -> list[Path]:
    return [path for path in advising.folders() if _orphaned(path)]


def _checks() -> list[Path]:
    return [path for path in checking.folders() if _orphaned(path)]


def _rehearsals() -> list[Path]:
    return [path for path in starting.folders() if _orphaned(path)]


def _searches() -> list[Path]:
    return [path for path in searches.folders() if _orphaned(path)]


def _orphaned(path: Path) -> bool:
    """Whether the data set that was measured or checked here is gone."""
    return not (store.home() / "datasets" / advising.of_data_set(path.name)).exists()


def _uploads() -> list[Path]:
    return [
        path
        for path in _inside("uploads")
        if _untouched(path)
        and not ((job := jobs.latest("import", path.name)) and job.state in ("queued", "running"))
    ]


def _leftovers() -> list[Path]:
    home = store.home()
    found = [*home.glob(f"runs/{_DELETED}*"), *home.glob(f"datasets/{_DELETED}*")]
    passing = (
        Path(folder) / name
        for folder, folders, files in os.walk(home)
        for name in (*folders, *files)
        if _PASSING.match(name)
    )
    headless = (path for path in _inside("datasets") if not (path / "index.json").exists())
    found += [path for path in (*passing, *headless) if _untouched(path)]
    return [path for path in dict.fromkeys(found) if set(found).isdisjoint(path.parents)]


def _job_files() -> list[Path]:
    # First the files, then who needs them: a job that comes in between is in none of both.
    files = list((store.home() / "jobs").glob("*"))
    needed = {job.id for job in jobs.unended()}
    latest = [jobs.latest("train", run.folder.name) for run in workshop.listed()]
    latest += [jobs.latest("import", path.name) for path in _inside("uploads")]
    latest += [jobs.latest("advise", path.name) for path in advising.folders()]
    latest += [jobs.latest("check", path.name) for path in checking.folders()]
    latest += [jobs.latest("rehearse", path.name) for path in starting.folders()]
    latest += [jobs.latest("search", path.name) for path in searches.folders()]
    needed |= {job.id for job in latest if job}
    return [
        path
        for path in files
        if (found := _JOB_FILE.fullmatch(path.name)) and int(found[1]) not in needed
    ]


def _inside(kind: str) -> list[Path]:
    """Return the folders of one kind, but for hidden ones."""
    return [path for path in (store.home() / kind).glob("[!.]*") if path.is_dir()]


def _untouched(path: Path) -> bool:
    """Whether nothing in it has changed for a day."""
    entries = (path, *(path.rglob("*") if path.is_dir() else ()))
    return time.time() - max(map(_changed, entries)) > _GIVEN_UP


def _changed(path: Path) -> float:
    try:
        return path.lstat().st_mtime
    except OSError:
        return 0.0


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink()
