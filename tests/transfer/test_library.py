import io
import os
import signal
import subprocess
import sys
import tarfile
import threading
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from transfer import store
from transfer.dataset import importer, library
from transfer.dataset.index import ImageIndex
from transfer.dataset.library import Guard, import_dataset, open_dataset
from transfer.errors import DataError


def _picture(path: Path, seed: int, shape: tuple[int, int] = (24, 32)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (*shape, 3), np.uint8)
    Image.fromarray(pixels).save(path, compress_level=1)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two classes of five pictures each."""
    for label, first in (("cat", 0), ("dog", 100)):
        for i in range(5):
            _picture(tmp_path / "pets" / label / f"{i}.png", first + i)
    return tmp_path / "pets"


def _packed(folder: Path) -> tuple[Path, Path]:
    zipped, tarred = folder.with_suffix(".zip"), folder.with_suffix(".tar.gz")
    with zipfile.ZipFile(zipped, "w") as archive, tarfile.open(tarred, "w:gz") as tar:
        for path in sorted(folder.rglob("*.*"), reverse=True):
            name = Path("wrapped") / path.relative_to(folder)
            archive.write(path, name)
            tar.add(path, name)
    return zipped, tarred


def _datasets() -> list[str]:
    return sorted(path.name for path in (store.home() / "datasets").iterdir())


def test_a_zip_a_tar_and_a_folder_are_one_data_set(folder: Path):
    zipped, tarred = _packed(folder)
    indexes = [import_dataset(source) for source in (folder, zipped, tarred)]
    assert len({index.digest for index in indexes}) == 1
    assert _datasets() == [indexes[0].digest]  # one copy, and no temporary folder left
    index = indexes[0]
    assert (index.classes, index.counts()) == (("cat", "dog"), {"cat": 5, "dog": 5})
    assert (index.rejected, index.warnings) == ((), ())
    assert open_dataset(index.digest) == index


def test_the_stored_pictures_have_the_pixels_of_the_originals(folder: Path):
    index = import_dataset(folder)
    for picture in index.pictures:
        with Image.open(index.path(picture)) as kept, Image.open(folder / picture.name) as original:
            assert (kept.format, kept.size) == ("PNG", (picture.width, picture.height))
            assert np.array_equal(np.asarray(kept), np.asarray(original))


def test_a_second_import_decodes_nothing(folder: Path):
    told: list[tuple[int, int]] = []
    index = import_dataset(folder, on_progress=lambda done, total: told.append((done, total)))
    assert told[-1] == (10, 10)
    kept = {path: path.stat().st_mtime_ns for path in index.root.rglob("*.png")}
    again: list[tuple[int, int]] = []
    import_dataset(folder, on_progress=lambda done, total: again.append((done, total)))
    assert again == []
    assert {path: path.stat().st_mtime_ns for path in index.root.rglob("*.png")} == kept


def test_a_damaged_copy_in_the_store_is_replaced(folder: Path):
    index = import_dataset(folder)
    index.path(index.pictures[0]).unlink()
    assert import_dataset(folder) == index
    assert index.path(index.pictures[0]).is_file()
    assert _datasets() == [index.digest]


def test_a_small_class_is_set_aside_and_can_come_back(folder: Path):
    _picture(folder / "bird" / "1.png", 7)
    index = import_dataset(folder)
    assert index.classes == ("cat", "dog")
    sentence = "add at least 3 more. It is set aside for now."
    assert index.warnings == (f"Class 'bird' has 1 picture; {sentence}",)
    everything = import_dataset(folder, minimum_per_class=1)
    assert (everything.classes, everything.digest) == (("bird", "cat", "dog"), index.digest)
    assert everything.warnings == ()


def test_the_sentence_on_a_class_of_one(folder: Path):
    for i in range(1, 5):
        (folder / "cat" / f"{i}.png").unlink()
    for i in range(4):
        _picture(folder / "fox" / f"{i}.png", 50 + i)
    assert import_dataset(folder).warnings == (
        "Class 'cat' has 1 picture; add at least 3 more. It is set aside for now.",
    )


def test_too_few_classes_say_what_to_do(folder: Path):
    for path in (folder / "dog").iterdir():
        path.unlink()
    with pytest.raises(DataError, match=r"at least 2 classes with 4 or more .*'cat', 5 pictures"):
        import_dataset(folder)
    assert import_dataset(folder, minimum_per_class=1, minimum_classes=1).classes == ("cat",)


def test_no_picture_at_all_says_what_to_do(tmp_path: Path):
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "README.md").write_text("nothing here")
    with pytest.raises(
        DataError,
        match=r"1 file was left out, for example 'README.md': it is not a picture.* try again",
    ):
        import_dataset(tmp_path / "set")
    with pytest.raises(DataError, match="There is nothing at"):
        import_dataset(tmp_path / "missing.zip")


def test_rejected_files_are_told_and_the_rest_goes_on(folder: Path):
    (folder / "cat" / "text.jpg").write_text("no picture")
    (folder / "dog" / "empty.jpg").touch()
    cut = (folder / "cat" / "0.png").read_bytes()
    (folder / "cat" / "cut.png").write_bytes(cut[: len(cut) // 2])
    index = import_dataset(folder)
    assert index.counts() == {"cat": 5, "dog": 5}
    reasons = {item.file: item.reason for item in index.rejected}
    assert sorted(reasons) == ["cat/cut.png", "cat/text.jpg", "dog/empty.jpg"]
    assert reasons["dog/empty.jpg"] == "it is empty (0 bytes)"
    assert reasons["cat/text.jpg"] == (
        "it is named like a picture (.jpg) but holds none that can be read"
    )
    assert "damaged" in reasons["cat/cut.png"]


def test_a_table_beside_the_pictures_gives_the_labels(folder: Path):
    rows = [f"{p.relative_to(folder)},{'odd' if int(p.stem) % 2 else 'even'}"
            for p in sorted(folder.rglob("*.png"))]  # fmt: skip
    (folder / "labels.csv").write_text("file,label\n" + "\n".join(rows))
    for source in (folder, folder / "labels.csv"):
        assert import_dataset(source).counts() == {"even": 6, "odd": 4}


def test_equal_pictures_share_one_file(folder: Path):
    (folder / "dog" / "again.png").write_bytes((folder / "dog" / "0.png").read_bytes())
    index = import_dataset(folder)
    assert len(index.pictures) == 11
    assert len(list((index.root / "images").iterdir())) == 10


_IMPORT = """
import sys
from pathlib import Path
from transfer.dataset.library import import_dataset
print(import_dataset(Path(sys.argv[1])).digest)
"""


def test_two_processes_at_once_both_succeed(folder: Path):
    zipped, tarred = _packed(folder)
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", _IMPORT, str(source)],
            stdout=subprocess.PIPE,
            cwd=Path(__file__).parents[2],
            text=True,
        )
        for source in (zipped, tarred)
    ]
    digests = [process.communicate(timeout=60)[0].strip() for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert digests[0] == digests[1] != ""
    assert _datasets() == [digests[0]]


def test_a_picture_that_takes_too_much_memory_leaves_the_rest(folder: Path):
    shape, row = (9_000, 9_000), bytes(1 + 9_000 * 3)
    buffer = io.BytesIO()
    Image.new("RGB", (shape[1], shape[0])).save(buffer, "PNG", compress_level=1)
    assert len(row) * shape[0] > 200_000_000
    (folder / "cat" / "huge.png").write_bytes(buffer.getvalue())
    index = import_dataset(folder, guard=Guard(memory_bytes=700 * 1024**2))
    assert index.counts() == {"cat": 5, "dog": 5}
    assert [item.file for item in index.rejected] == ["cat/huge.png"]
    assert "memory" in index.rejected[0].reason
    assert _datasets() == [index.digest]


def _children() -> list[int]:
    """Return the importing processes that this one has started."""
    found = []
    for task in Path("/proc/self/task").iterdir():
        for pid in (task / "children").read_text().split():
            if importer.__name__ in (Path("/proc") / pid / "cmdline").read_text():
                found.append(int(pid))
    return found


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="needs /proc")
def test_a_killed_child_goes_on_where_it_was(folder: Path):
    for i in range(60):
        _picture(folder / "cat" / f"more{i}.png", 1000 + i, (300, 300))
    killed = []

    def kill(done: int, total: int) -> None:
        if done > 20 and not killed:
            killed.extend(_children())
            for pid in killed:
                os.kill(pid, signal.SIGKILL)

    index = import_dataset(folder, on_progress=kill)
    assert len(killed) == 1
    assert index.counts() == {"cat": 65, "dog": 5}
    assert index.rejected == ()
    assert _datasets() == [index.digest]


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="needs /proc")
def test_an_interrupt_leaves_neither_folder_nor_child(folder: Path):
    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        import_dataset(folder, on_progress=interrupt)
    assert _datasets() == []
    assert _children() == []
    assert len(import_dataset(folder).pictures) == 10


def test_the_child_starts_with_eight_threads_under_its_memory_limit(
    folder: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    assert import_dataset(folder).counts() == {"cat": 5, "dog": 5}


def test_what_a_killed_process_left_is_swept_later(folder: Path):
    old = store.home() / "datasets" / ".import-old"
    new = store.home() / "datasets" / ".import-new"
    for path in (old, new):
        (path / "files").mkdir(parents=True)
    long_ago = time.time() - 3 * 24 * 3600
    os.utime(old, (long_ago, long_ago))
    digest = import_dataset(folder).digest
    assert _datasets() == sorted([".import-new", digest])


def test_a_data_set_that_is_gone_is_an_error_with_a_remedy():
    with pytest.raises(DataError, match="no longer in the store"):
        open_dataset("0" * 32)


def test_the_index_survives_json(folder: Path):
    index = import_dataset(folder)
    assert ImageIndex.from_json(index.root, index.to_json()) == index


def test_threads_may_import_at_once(folder: Path):
    found: list[str] = []
    threads = [
        threading.Thread(target=lambda: found.append(library.import_dataset(folder).digest))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(found) == 2 and len(set(found)) == 1
