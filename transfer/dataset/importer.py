"""The child process that takes an upload in: it may be killed, and it may not take much.

    python -m transfer.dataset.importer < job.json

It writes one JSON object a line to standard output: {"done", "total"} as it goes on ({} is a sign
of life), then either {"digest", "notes"} or {"error", "archive"}: whether the archive is at fault.
What it has decoded stands in the work folder, so that after a crash a new process goes on. A file
that was being read at a crash is read alone then; if that crashes again, the file is known and left
out.
"""

import functools
import hashlib
import json
import os
import resource
import sys
import threading
import time
import warnings
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from transfer import store
from transfer.dataset import archive, intake, lanes, layout, looks, names, table, taking
from transfer.dataset.index import ImageIndex, Picture, Rejected
from transfer.dataset.intake import Unpacked, Upload
from transfer.dataset.journal import Journal
from transfer.dataset.layout import Labelled, Layout
from transfer.dataset.taking import Taken
from transfer.errors import ArchiveError, TransferError

FORMAT = 3  # of what is stored; part of every digest
CRASHED = "reading it crashed the reader or took forever"
NO_MEMORY = "it needs more memory than there is to read a picture"
UNPACKED, ALONE = "unpacked.json", "alone"
_PASSING = (CRASHED, taking.CHANGED, NO_MEMORY, taking.UNREADABLE)
_SIGN_OF_LIFE = 1.0  # seconds
_MANY = 500  # files from which on more processes pay
_TINY, _LOOKED_AT = 12_000, 50  # bytes of a file, on average; files whose size is looked at
_MOST_TABLES = 10  # in one upload, the topmost


@dataclass(frozen=True)
class Job:
    """What the child is told: paths, limits, and the files that earlier children died of."""

    source: str
    work: str
    datasets: str
    memory_bytes: int
    cpu_seconds: int
    threads: int
    label: str | None = None  # of pictures of which nothing else says one
    fatal: tuple[int, ...] = ()


def main() -> int:
    """Read the job, do it, tell the outcome."""
    job = Job(**json.load(sys.stdin))
    _limit(resource.RLIMIT_AS, job.memory_bytes)
    _limit(resource.RLIMIT_CPU, job.cpu_seconds)
    _limit(resource.RLIMIT_CORE, 0)
    warnings.simplefilter("ignore")
    try:
        digest, notes = _Import(job).run()
        _tell(digest=digest, notes=notes)
    except TransferError as error:
        _tell(error=str(error), archive=isinstance(error, ArchiveError))
    except OSError as error:
        _tell(error=f"The data set could not be stored: {intake.in_words(error)}.", archive=False)
    return 0


class _Import:
    def __init__(self, job: Job) -> None:
        self.job, self.work = job, Path(job.work)
        self.made = self.work / "set"
        self.told = 0.0
        self.looks = looks.Recorder()

    def run(self) -> tuple[str, tuple[str, ...]]:
        upload = self._upload()
        found = self._labelled(upload)
        files = self._hashed(found.files, upload)
        left_out = (*upload.rejected, *found.rejected)
        digest = _digest(found.files, files, left_out)
        if is_complete(Path(self.job.datasets) / digest):
            return digest, upload.notes
        pictures, undecodable = self._decode_all(found.files, files)
        # What may go better another time makes another data set, so that it is tried again.
        passing = [item for item in undecodable if item.reason.startswith(_PASSING)]
        if passing:
            digest = _digest(found.files, files, (*left_out, *passing))
        index = ImageIndex(
            root=self.made,
            digest=digest,
            pictures=tuple(sorted(pictures, key=lambda p: (p.split or "", p.label, p.name))),
            rejected=tuple(sorted((*left_out, *undecodable), key=lambda r: (r.file, r.reason))),
            warnings=(
                *names.alike(picture.label for picture in pictures),
                *_without_any(found.files, pictures),
            ),
        )
        store.write_json(self.made / "index.json", index.to_json(), indent=None)
        return digest, upload.notes

    def _upload(self) -> Upload:
        """Unpack once; a second child finds the list."""
        kept = self.work / UNPACKED
        if not kept.is_file():
            source = Path(self.job.source)
            source = source.parent if is_table(source) else source
            upload = archive.unpack(source, self.work / "files", intake.Limits(), self._live)
            # As bytes: a name on the disk need not be valid Unicode, as JSON is.
            files = [
                [f.name, os.fsencode(f.path).decode("latin-1"), f.sha256] for f in upload.files
            ]
            rejected = [asdict(item) for item in upload.rejected]
            store.write_json(kept, {"files": files, "rejected": rejected, "notes": upload.notes})
        value = store.read_json(kept)
        return Upload(
            tuple(
                Unpacked(name, Path(os.fsdecode(path.encode("latin-1"))), digest)
                for name, path, digest in value["files"]
            ),
            tuple(Rejected(**item) for item in value["rejected"]),
            tuple(value["notes"]),
        )

    def _labelled(self, upload: Upload) -> Layout:
        """Labels by the folders, or by the table that names most pictures, if at least half."""
        paths = [file.name for file in upload.files]
        source = Path(self.job.source)
        if is_table(source):
            name = names.clean(source.name)
            return table.read(paths, table.content(source), name, self._live)
        tables = [file for file in upload.files if file.name.lower().endswith(".csv")]
        tables = sorted(tables, key=lambda file: file.name.count("/"))[:_MOST_TABLES]
        read: dict[str, Layout] = {}
        unused: dict[str, str] = {}
        for file in tables:
            try:
                read[file.name] = table.read(paths, table.content(file.path), file.name, self._live)
            except (TransferError, OSError) as error:  # some other CSV
                unused[file.name] = str(error)
        pictures = sum(layout.is_picture(path) for path in paths)
        best = max(read, key=lambda name: len(read[name].files), default="")
        used = bool(best) and 0 < 2 * len(read[best].files) >= pictures
        for name, found in read.items():
            if name != best or not used:
                unused[name] = table.unused(found, pictures, best if used else None)
        found = read[best] if used else layout.read(paths, self.job.label)
        return table.explained(found, unused)

    def _hashed(self, labelled: Iterable[Labelled], upload: Upload) -> dict[int, Unpacked]:
        """Return the labelled files by position, with the SHA-256 of their bytes.

        A file that cannot be read has none; decoding will say why.
        """
        files: dict[int, Unpacked] = {}
        for item in labelled:
            file = upload.files[item.position]
            digest = file.sha256
            if digest is None:
                try:
                    with file.path.open("rb") as stream:
                        digest = hashlib.file_digest(stream, "sha256").hexdigest()
                except OSError:
                    digest = ""
                self._live()
            files[item.position] = Unpacked(item.name, file.path, digest)
        return files

    def _decode_all(
        self, labelled: tuple[Labelled, ...], files: dict[int, Unpacked]
    ) -> tuple[list[Picture], list[Rejected]]:
        (self.made / "images").mkdir(parents=True, exist_ok=True)
        done = Journal(self.work, len(labelled), _tell)
        for position in self.job.fatal:
            if position not in done:
                done.add(position, {"reason": CRASHED})
        todo = [item.position for item in labelled if item.position not in done]
        suspects = [position for position in todo if done.was_started(position)]
        others = [position for position in todo if not done.was_started(position)]
        for position in suspects:
            self._alone(position, files, done)
        self._side_by_side(others, files, done)
        for position in others:
            if position not in done:  # too little memory for it beside others
                self._alone(position, files, done)
        self.looks.close()
        done.close()
        pictures: list[Picture] = []
        rejected: list[Rejected] = []
        for item in labelled:
            outcome = done[item.position]
            if "reason" in outcome:
                rejected.append(Rejected(item.name, outcome["reason"]))
            else:
                said = {"name": item.name, "label": item.label, "split": item.split}
                pictures.append(Picture.from_json({**said, "group": item.group, **outcome}))
        return pictures, rejected

    def _side_by_side(
        self, positions: list[int], files: dict[int, Unpacked], done: Journal
    ) -> None:
        """Take several files at a time; those for which memory is short are left for later."""
        take = functools.partial(taking.take, made=self.made, work=self.work)
        parts = [(position, files[position]) for position in positions]

        def begun(part: tuple[int, Unpacked]) -> None:
            done.start(part[0])

        if self._are_tiny(parts):
            for taken in lanes.each(
                take, parts, self.job.threads, lambda part: done.start(part[0])
            ):
                self._note(taken, done)
            return

        def one(part: tuple[int, Unpacked]) -> None:
            begun(part)
            self._note(take(part), done)

        with ThreadPoolExecutor(self.job.threads) as pool:
            for _ in pool.map(one, parts):
                pass  # to raise what was raised there

    def _are_tiny(self, parts: list[tuple[int, Unpacked]]) -> bool:
        """Whether there are many, and Python's own work on each, one at a time, is most of it.

        With two threads, 7,000 pictures of 3 kB took a sixth longer than with one.
        """
        if len(parts) < _MANY or self.job.threads < 2 or threading.active_count() > 1:
            return False
        with suppress(OSError):
            some = parts[:: max(1, len(parts) // _LOOKED_AT)]
            sizes = [file.path.stat().st_size for _, file in some]
            return sum(sizes) < _TINY * len(sizes)
        return False

    def _alone(self, position: int, files: dict[int, Unpacked], done: Journal) -> None:
        """Take one file with nothing beside it, and leave a trace for the case that it kills."""
        trace = self.work / ALONE
        with store.replacing(trace) as partial:
            partial.write_text(str(position))
        taken = taking.take((position, files[position]), self.made, self.work)
        self._note(replace(taken, outcome=taken.outcome or {"reason": NO_MEMORY}), done)
        trace.unlink()

    def _note(self, taken: Taken, done: Journal) -> None:
        if taken.outcome is not None:
            if taken.looks is not None:
                self.looks.add(taken.outcome["sha256"], taken.looks)
            done.add(taken.position, taken.outcome)

    def _live(self) -> None:
        now = time.monotonic()
        if now - self.told > _SIGN_OF_LIFE:
            self.told = now
            _tell()


def is_table(source: Path) -> bool:
    """Whether the source is a CSV beside its pictures."""
    return source.suffix.lower() == ".csv" and source.is_file()


def is_complete(root: Path) -> bool:
    """Whether the folder holds a whole data set."""
    try:
        index = ImageIndex.from_json(root, store.read_json(root / "index.json"))
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return all(index.path(picture).is_file() for picture in index.pictures)


def _digest(
    labelled: Iterable[Labelled], files: dict[int, Unpacked], left_out: Iterable[Rejected]
) -> str:
    """Return the address of a data set: by labels, names and bytes, however it was packed.

    What was left out counts too, since the data set tells of it.
    """
    rows = sorted(
        [
            item.split or "",
            item.label,
            item.name,
            files[item.position].sha256 or "",
            item.group or "",
        ]
        for item in labelled
    )
    text = json.dumps([FORMAT, rows, sorted([item.file, item.reason] for item in left_out)])
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _without_any(labelled: Iterable[Labelled], pictures: list[Picture]) -> tuple[str, ...]:
    """Return a warning on the classes of which no picture came in."""
    named = {item.label for item in labelled if layout.is_picture(item.name)}
    bare = sorted(named - {picture.label for picture in pictures})
    if not bare:
        return ()
    if len(bare) == 1:
        return (f"Class '{bare[0]}' has no picture that can be used. Add some, or leave it out.",)
    some = ", ".join(f"'{label}'" for label in bare[:5]) + (", ..." if len(bare) > 5 else "")
    return (f"{len(bare)} classes have no picture that can be used ({some}). Add some.",)


def _limit(kind: int, value: int) -> None:
    _, hard = resource.getrlimit(kind)
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    try:
        resource.setrlimit(kind, (value, value))
    except (ValueError, OSError):
        return  # this system has no such limit; the others hold


def _tell(**values: Any) -> None:
    sys.stdout.write(json.dumps(values) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
