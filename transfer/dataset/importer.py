"""The child process that takes an upload in: it may be killed, and it may not take much.

    python -m transfer.dataset.importer < job.json

It writes one JSON object a line to standard output: {"done", "total"} as it goes on ({} is a sign
of life), then either {"digest", "notes"} or {"error", "archive"}: whether the archive is at fault.
What it has decoded stands in the work folder, so that after a crash a new process goes on. A file
that was being read at a crash is read alone then; if that crashes again, the file is known and left
out.
"""

import hashlib
import json
import resource
import sys
import time
import warnings
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from transfer import store
from transfer.dataset import archive, decode, intake, layout, names, table
from transfer.dataset.index import ImageIndex, Picture, Rejected
from transfer.dataset.intake import Unpacked, Upload
from transfer.dataset.journal import Journal, Outcome
from transfer.dataset.layout import Labelled, Layout
from transfer.errors import ArchiveError, TransferError

FORMAT = 2  # of what is stored; part of every digest
CRASHED = "reading it crashed the reader or took forever"
NO_MEMORY = "it needs more memory than there is to read a picture"
UNPACKED, ALONE = "unpacked.json", "alone"
_SIGN_OF_LIFE = 1.0  # seconds
_SMALL = 50_000  # bytes of pixels: compressing them would take longer than all else
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
        passing = [item for item in undecodable if item.reason in (CRASHED, NO_MEMORY)]
        if passing:
            digest = _digest(found.files, files, (*left_out, *passing))
        index = ImageIndex(
            root=self.made,
            digest=digest,
            pictures=tuple(sorted(pictures, key=lambda p: (p.split or "", p.label, p.name))),
            rejected=tuple(sorted((*left_out, *undecodable), key=lambda r: (r.file, r.reason))),
            warnings=_alike(pictures),
        )
        store.write_json(self.made / "index.json", index.to_json())
        return digest, upload.notes

    def _upload(self) -> Upload:
        """Unpack once; a second child finds the list."""
        kept = self.work / UNPACKED
        if not kept.is_file():
            source = Path(self.job.source)
            source = source.parent if is_table(source) else source
            upload = archive.unpack(source, self.work / "files", intake.Limits(), self._live)
            files = [[file.name, str(file.path), file.sha256] for file in upload.files]
            rejected = [asdict(item) for item in upload.rejected]
            store.write_json(kept, {"files": files, "rejected": rejected, "notes": upload.notes})
        value = store.read_json(kept)
        return Upload(
            tuple(Unpacked(name, Path(path), digest) for name, path, digest in value["files"]),
            tuple(Rejected(**item) for item in value["rejected"]),
            tuple(value["notes"]),
        )

    def _labelled(self, upload: Upload) -> Layout:
        """Labels by the folders, or by the table that names most pictures, if at least half."""
        paths = [file.name for file in upload.files]
        source = Path(self.job.source)
        if is_table(source):
            name = names.clean(source.name)
            return table.read(paths, source.read_bytes(), name)
        by_folders = layout.read(paths)
        best = Layout((), ())
        tables = [file for file in upload.files if file.name.lower().endswith(".csv")]
        for file in sorted(tables, key=lambda file: file.name.count("/"))[:_MOST_TABLES]:
            with suppress(TransferError):  # some other CSV
                found = table.read(paths, file.path.read_bytes(), file.name)
                best = max(best, found, key=lambda layout: len(layout.files))
        pictures = sum(layout.is_picture(path) for path in paths)
        return best if best.files and 2 * len(best.files) >= pictures else by_folders

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
        with ThreadPoolExecutor(self.job.threads) as pool:
            for _ in pool.map(lambda position: self._together(position, files, done), others):
                pass  # to raise what was raised there
        for position in others:
            if position not in done:  # too little memory for it beside others
                self._alone(position, files, done)
        pictures: list[Picture] = []
        rejected: list[Rejected] = []
        for item in labelled:
            outcome = done[item.position]
            if "reason" in outcome:
                rejected.append(Rejected(item.name, outcome["reason"]))
            else:
                pictures.append(Picture(item.name, item.label, item.split, **outcome))
        return pictures, rejected

    def _together(self, position: int, files: dict[int, Unpacked], done: Journal) -> None:
        """Decode one file beside others; what needs more memory is left for later."""
        done.start(position)
        with suppress(MemoryError):
            done.add(position, self._decode(position, files))

    def _alone(self, position: int, files: dict[int, Unpacked], done: Journal) -> None:
        """Decode one file with nothing beside it, and leave a trace for the case that it kills."""
        trace = self.work / ALONE
        with store.replacing(trace) as partial:
            partial.write_text(str(position))
        try:
            outcome = self._decode(position, files)
        except MemoryError:
            outcome = {"reason": NO_MEMORY}
        done.add(position, outcome)
        trace.unlink()

    def _decode(self, position: int, files: dict[int, Unpacked]) -> Outcome:
        try:
            data = files[position].path.read_bytes()
        except OSError as error:
            return {"reason": f"it cannot be read ({intake.in_words(error)})"}
        try:
            pixels = decode.read(data, files[position].name)
        except decode.UnreadableError as reason:
            return {"reason": f"it {reason}"}
        digest = hashlib.sha256(str(pixels.shape).encode())
        digest.update(pixels.tobytes())
        content = digest.hexdigest()
        path = self.made / "images" / f"{content}.png"
        if not path.exists():
            partial = self.work / f"{position}.partial"
            level = 1 if pixels.size > _SMALL else 0
            Image.fromarray(pixels).save(partial, "PNG", compress_level=level)
            partial.replace(path)
        height, width = pixels.shape[:2]
        return {"file": f"images/{path.name}", "sha256": content, "width": width, "height": height}

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
        [item.split or "", item.label, item.name, files[item.position].sha256 or ""]
        for item in labelled
    )
    text = json.dumps([FORMAT, rows, sorted([item.file, item.reason] for item in left_out)])
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _alike(pictures: list[Picture]) -> tuple[str, ...]:
    """Return a warning for class names that differ only in case."""
    seen: dict[str, str] = {}
    found = []
    for label in sorted({picture.label for picture in pictures}):
        other = seen.setdefault(label.casefold(), label)
        if other != label:
            found.append(
                f"The classes '{other}' and '{label}' differ only in upper and lower case. If they"
                " are one class, name their folders alike."
            )
    return tuple(found)


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
