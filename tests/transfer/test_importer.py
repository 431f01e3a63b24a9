"""The importing process: killed, hung, short of memory, in odd places; nothing good is lost."""

import io
import json
import os
import signal
import subprocess
import sys
import tarfile
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from transfer import store
from transfer.dataset import importer, journal, taking
from transfer.dataset.index import ImageIndex
from transfer.dataset.library import Guard, import_dataset
from transfer.errors import ArchiveError, DataError

needs_proc = pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="needs /proc")


def write(path: Path, seed: int, size: tuple[int, int] = (12, 10)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    for number in range(10):
        write(tmp_path / "pets" / ("cat", "dog")[number % 2] / f"{number}.png", number)
    return tmp_path / "pets"


def plain(side: int) -> bytes:
    """A picture of one colour: large, slow to decode, small as a file."""
    buffer = io.BytesIO()
    Image.new("RGB", (side, side), (200, 10, side % 256)).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def children(of: int | str = "self") -> list[int]:
    found = []
    for task in Path(f"/proc/{of}/task").iterdir():
        try:
            pids = (task / "children").read_text().split()
        except OSError:
            continue
        for pid in pids:
            try:
                command = (Path("/proc") / pid / "cmdline").read_bytes()
            except OSError:
                continue
            if importer.__name__.encode() in command:
                found.append(int(pid))
    return found


@contextmanager
def watching(act: Callable[[Path], None]) -> Iterator[None]:
    """Call `act` with the work folder again and again while the block runs."""
    over = threading.Event()

    def watch() -> None:
        while not over.is_set():
            for work in (store.home() / "datasets").glob(".import-*"):
                act(work)
            time.sleep(0.005)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()


def position_of(work: Path, name: str) -> int | None:
    unpacked = work / importer.UNPACKED
    if not unpacked.is_file():
        return None
    files = json.loads(unpacked.read_text())["files"]
    return next((i for i, file in enumerate(files) if file[0] == name), None)


def alone(work: Path) -> int | None:
    """The file that is being read with nothing beside it."""
    try:
        return int((work / importer.ALONE).read_text())
    except OSError:
        return None


@needs_proc
def test_a_file_that_kills_its_reader_is_left_out_and_the_rest_kept(pets: Path) -> None:
    (pets / "cat" / "fatal.png").write_bytes(plain(7000))
    killed: list[int] = []

    def kill(work: Path) -> None:
        position = position_of(work, "cat/fatal.png")
        try:
            started = (work / journal.STARTED).read_text().split()
            done = (work / journal.DECODED).read_text()
        except OSError:
            return
        if str(position) in started and f"[{position}," not in done:
            # Beside others at first, then alone. A killed reader's traces are there until the next
            # one has begun, and that one may have another file to read alone before this one.
            for child in set(children()) - set(killed):
                if not killed or alone(work) == position:
                    killed.append(child)
                    os.kill(child, signal.SIGKILL)

    with watching(kill):
        index = import_dataset(pets)
    assert len(killed) == 2
    assert index.counts() == {"cat": 5, "dog": 5}
    assert [item.file for item in index.rejected] == ["cat/fatal.png"]
    assert index.rejected[0].reason == importer.CRASHED
    assert import_dataset(pets).counts() == {"cat": 6, "dog": 5}  # it was not the file's fault


@needs_proc
def test_of_many_tiny_pictures_none_is_lost_when_one_of_the_readers_dies(tmp_path: Path) -> None:
    for number in range(importer._MANY):
        write(tmp_path / "pets" / ("cat", "dog")[number % 2] / f"{number:03}.png", number)
    killed: list[int] = []

    def kill(work: Path) -> None:
        decoded = work / journal.DECODED
        if not killed and decoded.is_file() and decoded.read_text().count("\n") > 100:
            for pid in [pid for child in children() for pid in children(child)][:1]:
                killed.append(pid)
                os.kill(pid, signal.SIGKILL)

    with watching(kill):
        index = import_dataset(tmp_path / "pets")
    assert killed
    assert index.counts() == {"cat": importer._MANY // 2, "dog": importer._MANY // 2}
    assert index.rejected == ()


@needs_proc
def test_a_hung_reader_is_stopped(pets: Path) -> None:
    stopped: list[int] = []

    def stop(done: int, total: int) -> None:
        if not stopped:
            stopped.extend(children())
            os.kill(stopped[0], signal.SIGSTOP)

    started = time.monotonic()
    for number in range(200):  # more than one pipe-full before the stop is felt
        write(pets / "cat" / f"more-{number}.png", 100 + number)
    index = import_dataset(pets, on_progress=stop, guard=Guard(silent_seconds=1.5))
    assert len(stopped) == 1
    assert time.monotonic() - started < 30
    assert index.counts() == {"cat": 205, "dog": 5}
    assert not index.rejected


def test_large_pictures_that_do_not_fit_side_by_side_are_read_one_by_one(pets: Path) -> None:
    for number in range(4):
        (pets / "cat" / f"large-{number}.png").write_bytes(plain(5000 + number))
    # One takes 25 million pixels * (4 + 3) bytes and some more; two at once do not fit.
    index = import_dataset(pets, guard=Guard(memory_bytes=640 * 1024**2))
    assert index.counts() == {"cat": 9, "dog": 5}
    assert not index.rejected


def test_a_reader_that_cannot_even_start_ends_in_an_error(pets: Path) -> None:
    with pytest.raises(DataError, match="broken off again and again"):
        import_dataset(pets, guard=Guard(memory_bytes=1024**2))
    assert list((store.home() / "datasets").iterdir()) == []


def test_nothing_is_imported_from_the_current_folder(
    pets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("json", "numpy", "PIL", "transfer"):
        (tmp_path / f"{module}.py").write_text("raise SystemExit('taken from the current folder')")
    monkeypatch.chdir(tmp_path)
    assert import_dataset(Path("pets")).counts() == {"cat": 5, "dog": 5}


def test_an_upload_with_everything_wrong_in_it(pets: Path, tmp_path: Path) -> None:
    source = tmp_path / "upload.zip"
    with zipfile.ZipFile(source, "w", zipfile.ZIP_DEFLATED) as made:
        for path in sorted(pets.rglob("*.png")):
            made.write(path, f"My Pets/Train/{path.parent.name}/{path.name}")
        picture = (pets / "cat" / "0.png").read_bytes()
        made.writestr("My Pets/Train/Cat/1.png", picture)
        made.writestr("My Pets/Test/cat/new.png", picture)
        made.writestr("My Pets/other/x.png", picture)
        made.writestr("My Pets/Train/cat/notes.txt", "notes")
        made.writestr("My Pets/Train/cat/empty.jpg", b"")
        made.writestr("My Pets/Train/cat/more.zip", b"PK")
        made.writestr("My Pets/Train/cat/bomb.bmp", bytes(40 * 1024**2))
        made.writestr("../../slip.png", picture)
        made.writestr("__MACOSX/._a.png", b"")
    index = import_dataset(source)
    assert index.counts() == {"cat": 6, "dog": 5}
    assert [p.name for p in index.by_split("test")] == ["Test/cat/new.png"]
    assert len(index.by_split("train")) == 10
    assert {item.file: item.reason.split()[0:3] for item in index.rejected} == {
        "../../slip.png": ["its", "name", "leads"],
        "My Pets/Train/cat/bomb.bmp": ["it", "unpacks", "to"],
        "My Pets/Train/cat/more.zip": ["it", "is", "an"],
        "Train/cat/empty.jpg": ["it", "is", "empty"],
        "Train/cat/notes.txt": ["it", "is", "not"],
        "other/x.png": ["it", "lies", "outside"],
    }
    assert [warning.split()[0] for warning in index.warnings] == ["1", "The", "Class"]
    assert "differ only in upper and lower case" in index.warnings[1]


def test_a_table_in_a_zip_and_beside_the_pictures_is_one_data_set(
    pets: Path, tmp_path: Path
) -> None:
    flat = tmp_path / "flat"
    flat.mkdir()
    rows = ["image,class,split"]
    for path in sorted(pets.rglob("*.png")):
        path.rename(flat / path.name)
        rows.append(f"{path.name},{path.parent.name},{'test' if path.stem > '7' else 'train'}")
    (flat / "labels.csv").write_text("\n".join([*rows, "lost.png,cat,train"]), "utf-8-sig")
    with zipfile.ZipFile(tmp_path / "flat.zip", "w") as made:
        for path in flat.iterdir():
            made.write(path, f"flat/{path.name}")
    sources = (flat, flat / "labels.csv", tmp_path / "flat.zip")
    first, *others = [import_dataset(source) for source in sources]
    assert first.counts() == {"cat": 5, "dog": 5}
    assert [picture.name for picture in first.by_split("test")] == ["8.png", "9.png"]
    assert [(item.file, item.reason) for item in first.rejected] == [
        ("lost.png", "'labels.csv' names it, but it is missing")
    ]
    assert others == [first, first]


def test_what_was_left_out_belongs_to_the_data_set(pets: Path) -> None:
    (pets / "cat" / "link.png").symlink_to(pets / "cat" / "0.png")
    with_link = import_dataset(pets)
    (pets / "cat" / "link.png").unlink()
    without = import_dataset(pets)
    assert len(with_link.rejected) == 1
    assert not without.rejected
    assert with_link.pictures == without.pictures


def test_a_folder_of_ten_thousand_rows_is_labelled_in_time(tmp_path: Path) -> None:
    source = tmp_path / "many"
    write(source / "0.png", 0)
    data = (source / "0.png").read_bytes()
    for number in range(1, 40):
        (source / f"{number}.png").write_bytes(data)
    rows = [f"{number}.png,{number % 2}" for number in range(10_000)]
    (source / "labels.csv").write_text("\n".join(rows))
    index = import_dataset(source / "labels.csv")
    assert index.counts() == {"0": 20, "1": 20}
    assert len(index.rejected) == 9_960
    assert len({picture.file for picture in index.pictures}) == 1  # one stored file for all


def test_damage_is_told_with_the_data_set(pets: Path, tmp_path: Path) -> None:
    source = tmp_path / "pets.tar"
    with tarfile.open(source, "w") as made:
        for path in sorted(pets.rglob("*.png")):
            made.add(path, path.relative_to(pets))
    source.write_bytes(source.read_bytes()[:-10_240])
    index = import_dataset(source, minimum_per_class=1)
    assert index.counts()["cat"] == 5
    assert "'pets.tar' is damaged" in index.warnings[0]


def test_an_incomplete_data_set_is_not_taken_for_a_whole_one(pets: Path) -> None:
    index = import_dataset(pets)
    for content in ("{", "[]", '{"digest": "x"}'):
        (index.root / "index.json").write_text(content)
        assert not importer.is_complete(index.root)
        assert import_dataset(pets) == index
    assert [path.name for path in (store.home() / "datasets").iterdir()] == [index.digest]


def test_the_child_says_what_went_wrong_in_one_line(tmp_path: Path) -> None:
    job = importer.Job(str(tmp_path / "lost"), str(tmp_path), str(tmp_path), 2**32, 60, 1)
    done = subprocess.run(
        [sys.executable, "-m", importer.__name__],
        input=json.dumps(job.__dict__),
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    assert json.loads(done.stdout)["archive"] is False
    assert "There is nothing at" in json.loads(done.stdout)["error"]


def test_a_damaged_archive_is_an_archive_error(tmp_path: Path) -> None:
    (tmp_path / "x.zip").write_bytes(b"PK\x03\x04 and no more")
    with pytest.raises(ArchiveError, match=r"'x\.zip' is damaged"):
        import_dataset(tmp_path / "x.zip")


def test_by_split() -> None:
    assert ImageIndex(Path(), "0", ()).by_split(None) == ()


def _imported_in_this_process(
    source: Path, monkeypatch: pytest.MonkeyPatch, between: Callable[[], None]
) -> ImageIndex:
    """Take a folder in, and do something to it after its files were listed and summed."""
    summed = importer._Import._hashed

    def hashed(self: importer._Import, *arguments: object) -> object:
        found = summed(self, *arguments)  # pyright: ignore[reportArgumentType]
        between()
        return found

    monkeypatch.setattr(importer._Import, "_hashed", hashed)
    work = source.parent / "work"
    job = importer.Job(str(source), str(work), str(source.parent / "sets"), 2**32, 60, 2)
    digest, _ = importer._Import(job).run()
    monkeypatch.setattr(importer._Import, "_hashed", summed)
    value = store.read_json(work / "set" / "index.json")
    assert value["digest"] == digest
    return ImageIndex.from_json(work / "set", value)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda path: path.unlink(), "it cannot be read (no such file or directory)"),
        (lambda path: path.write_bytes(path.read_bytes() + b"more"), taking.CHANGED),
        (lambda path: path.write_bytes(path.read_bytes()[:50]), taking.CHANGED),
        (lambda path: write(path, 99), taking.CHANGED),
    ],
)
def test_a_file_that_changes_while_it_is_read_is_left_out_for_this_time(
    pets: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[Path], None], reason: str
) -> None:
    kept = (pets / "cat" / "0.png").read_bytes()
    index = _imported_in_this_process(pets, monkeypatch, lambda: change(pets / "cat" / "0.png"))
    assert index.counts() == {"cat": 4, "dog": 5}
    assert [(item.file, item.reason) for item in index.rejected] == [("cat/0.png", reason)]
    (pets / "cat" / "0.png").write_bytes(kept)
    assert import_dataset(pets).digest != index.digest  # it is tried again, and is whole


def test_a_name_that_is_no_unicode_on_the_disk_is_read(pets: Path) -> None:
    (pets / "cat" / "0.png").rename(
        pets / "cat" / b"caf\xe9.png".decode("utf-8", "surrogateescape")
    )
    assert "cat/caf\u00e9.png" in {picture.name for picture in import_dataset(pets).pictures}
