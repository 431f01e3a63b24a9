"""The child process that takes an upload in: it may be killed, and it may not take much.

    python -m transfer.dataset.importer < job.json

It writes one JSON object a line to standard output: {"done", "total"} as it goes on, then either
{"digest"} or {"error"}. What it has decoded stands in the work folder, so that after a crash a new
process goes on behind the file that caused it.
"""

import hashlib
import json
import resource
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from transfer import store
from transfer.dataset import archive, layout
from transfer.dataset.archive import Limits, Unpacked
from transfer.dataset.decode import decode
from transfer.dataset.index import ImageIndex, Picture, Rejected
from transfer.dataset.layout import Labelled, Layout
from transfer.errors import DataError, TransferError

FORMAT = 1  # of what is stored; part of every digest


@dataclass(frozen=True)
class Job:
    """What the child is told: paths, limits, and what earlier children died of."""

    source: str
    work: str
    datasets: str
    memory_bytes: int
    cpu_seconds: int
    threads: int
    fatal: dict[str, str]  # position of a file -> why it is left out


def main() -> int:
    """Read the job, do it, tell the outcome."""
    job = Job(**json.load(sys.stdin))
    resource.setrlimit(resource.RLIMIT_AS, (job.memory_bytes, job.memory_bytes))
    resource.setrlimit(resource.RLIMIT_CPU, (job.cpu_seconds, job.cpu_seconds))
    try:
        _tell(digest=_Import(job).run())
    except TransferError as error:
        _tell(error=str(error))
    return 0


class _Import:
    def __init__(self, job: Job) -> None:
        self.job, self.work = job, Path(job.work)
        self.journal = self.work / "decoded.jsonl"

    def run(self) -> str:
        files, rejected, warnings = self._unpacked()
        found = self._layout(files)
        digest = _digest(found, files)
        if (Path(self.job.datasets) / digest / "index.json").is_file():
            return digest
        (self.work / "set" / "images").mkdir(parents=True, exist_ok=True)
        pictures, undecodable = self._decode_all(found.files, files)
        index = ImageIndex(
            root=self.work / "set",
            digest=digest,
            pictures=tuple(sorted(pictures, key=lambda p: (p.split or "", p.label, p.name))),
            rejected=(*rejected, *found.rejected, *undecodable),
            warnings=(*warnings, *_alike(pictures)),
        )
        store.write_json(self.work / "set" / "index.json", index.to_json())
        return digest

    def _unpacked(self) -> tuple[list[Unpacked], list[Rejected], list[str]]:
        """Unpack once; a second child finds the list."""
        kept = self.work / "unpacked.json"
        if not kept.is_file():
            source = Path(self.job.source)
            source = source.parent if _is_table(source) else source
            files, rejected, warnings = archive.unpack(source, self.work / "files", Limits())
            value = {
                "files": [[f.name, str(f.path), f.sha256] for f in files],
                "rejected": [asdict(item) for item in rejected],
                "warnings": warnings,
            }
            store.write_json(kept, value)
        value = store.read_json(kept)
        files = [Unpacked(name, Path(path), digest) for name, path, digest in value["files"]]
        return files, [Rejected(**item) for item in value["rejected"]], value["warnings"]

    def _layout(self, files: list[Unpacked]) -> Layout:
        """Labels by the folders, or by the one CSV that names at least half of the other files."""
        names = [file.name for file in files]
        source = Path(self.job.source)
        if _is_table(source):
            tables = [file for file in files if file.name == source.name]
        else:
            tables = [file for file in files if file.name.lower().endswith(".csv")]
        if len(tables) == 1:
            found = layout.read(names, tables[0].path.read_bytes(), tables[0].name)
            if _is_table(source) or 2 * len(found.files) >= len(files) - 1 > 0:
                return found
        return layout.read(names)

    def _decode_all(
        self, labelled: tuple[Labelled, ...], files: list[Unpacked]
    ) -> tuple[list[Picture], list[Rejected]]:
        done = self._journal()
        pictures: list[Picture] = []
        rejected: list[Rejected] = []
        with ThreadPoolExecutor(self.job.threads) as pool, self.journal.open("a") as journal:
            todo = [item for item in labelled if str(item.position) not in done]
            outcomes = pool.map(lambda item: self._decode(item, files[item.position]), todo)
            for count, (item, outcome) in enumerate(zip(todo, outcomes, strict=True), 1):
                done[str(item.position)] = outcome
                journal.write(json.dumps([str(item.position), outcome]) + "\n")
                journal.flush()
                _tell(done=len(labelled) - len(todo) + count, total=len(labelled))
        for item in labelled:
            outcome = done[str(item.position)]
            if "reason" in outcome:
                rejected.append(Rejected(archive.shown(item.name), outcome["reason"]))
            else:
                pictures.append(
                    Picture(name=item.name, label=item.label, split=item.split, **outcome)
                )
        return pictures, rejected

    def _decode(self, item: Labelled, file: Unpacked) -> dict[str, Any]:
        """Return what the journal keeps of one file: the picture's facts, or the reason."""
        if reason := self.job.fatal.get(str(item.position)):
            return {"reason": reason}
        if self.job.threads == 1:  # after a crash: leave a trace of what is being read
            (self.work / "reading").write_text(str(item.position))
        try:
            pixels = decode(file.path.read_bytes())
        except DataError as error:
            return {"reason": str(error).removeprefix("The file ").rstrip(".")}
        except OSError as error:
            return {"reason": f"it cannot be read ({error.strerror})"}
        except MemoryError:
            return {"reason": "it needs more memory than there is to read a picture"}
        digest = hashlib.sha256(str(pixels.shape).encode() + pixels.tobytes()).hexdigest()
        path = self.work / "set" / "images" / f"{digest}.png"
        if not path.exists():
            with store.replacing(path.with_suffix(f".{item.position}.png")) as partial:
                Image.fromarray(pixels).save(partial, "PNG", compress_level=1)
            path.with_suffix(f".{item.position}.png").replace(path)
        height, width = pixels.shape[:2]
        return {"file": f"images/{path.name}", "sha256": digest, "width": width, "height": height}

    def _journal(self) -> dict[str, dict[str, Any]]:
        """Return what earlier children decoded; a last line cut short does not count."""
        done: dict[str, dict[str, Any]] = {}
        if self.journal.is_file():
            for line in self.journal.read_text().splitlines():
                try:
                    position, outcome = json.loads(line)
                except ValueError:
                    continue
                done[position] = outcome
        return done


def _digest(found: Layout, files: list[Unpacked]) -> str:
    """Return the address of a data set: by labels, names and bytes, however it was packed."""
    rows = sorted(
        [item.split or "", item.label, item.name, files[item.position].sha256]
        for item in found.files
    )
    left_out = sorted([item.file, item.reason] for item in found.rejected)
    text = json.dumps([FORMAT, rows, left_out], ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _alike(pictures: list[Picture]) -> list[str]:
    """Return a warning for class names that differ only in case."""
    labels = sorted({picture.label for picture in pictures})
    seen: dict[str, str] = {}
    warnings = []
    for label in labels:
        other = seen.setdefault(label.casefold(), label)
        if other != label:
            warnings.append(f"The classes '{other}' and '{label}' differ only in upper and lower"
                            " case. If they are one class, name their folders alike.")  # fmt: skip
    return warnings


def _is_table(source: Path) -> bool:
    return source.suffix.lower() == ".csv" and source.is_file()


def _tell(**values: Any) -> None:
    sys.stdout.write(json.dumps(values) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    np.seterr(all="ignore")
    sys.exit(main())
