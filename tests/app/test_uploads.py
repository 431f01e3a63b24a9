"""Uploads on the disk: pieces, interruptions, limits; and reading them, killed in between."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import tarfile
import time
import tracemalloc
import zipfile
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from app import arriving, datasets, importing, jobs, uploads
from app.uploads import Upload
from tests.conftest import ROOT
from transfer import sample, store
from transfer.dataset import library, versions

GB = 1024**3


async def blocks(data: bytes, size: int = 50_000) -> AsyncIterator[bytes]:
    """Bytes as they come from a network."""
    for start in range(0, len(data), size):
        yield data[start : start + size]


async def broken(data: bytes) -> AsyncIterator[bytes]:
    async for block in blocks(data):
        yield block
    raise ConnectionResetError("the cable")


def append(upload: Upload, offset: int, data: bytes, **limits: int) -> int:
    return asyncio.run(arriving.append(upload.id, offset, blocks(data), **limits))


def sent(path: Path, name: str | None = None, **aim: str) -> Upload:
    """A file that was sent as a whole and is queued."""
    data = path.read_bytes()
    upload = uploads.begin(name or path.name, len(data), uploads.Aim(**aim))  # pyright: ignore[reportArgumentType]
    most = arriving.REQUEST_BYTES
    for start in range(0, len(data), most):
        append(upload, start, data[start : start + most])
    return uploads.finish(upload.id)


class TestGoingOn:
    """What arrived is found again when the same files are chosen anew."""

    AIM = uploads.Aim(into="f" * 32, label="cat", mark="1f2e3d")

    def test_with_what_has_arrived(self):
        begun = uploads.begin("cats.zip", 1000, self.AIM)
        append(begun, 0, b"x" * 300)
        again = uploads.begin("cats.zip", 1000, self.AIM)
        assert (again.id, again.received) == (begun.id, 300)
        assert append(again, 300, b"x" * 700) == 1000

    def test_even_where_it_would_not_fit_anew(self):
        begun = uploads.begin("cats.zip", 1000, self.AIM)
        assert uploads.begin("cats.zip", 1000, self.AIM, free=0).id == begun.id

    @pytest.mark.parametrize(
        ("name", "size", "change"),
        [
            ("dogs.zip", 1000, {}),
            ("cats.zip", 1001, {}),
            ("cats.zip", 1000, {"mark": "1f2e3c"}),
            ("cats.zip", 1000, {"label": "dog"}),
            ("cats.zip", 1000, {"into": None}),
        ],
    )
    def test_not_with_anything_else(self, name, size, change):
        begun = uploads.begin("cats.zip", 1000, self.AIM)
        other = uploads.begin(name, size, replace(self.AIM, **change))
        assert other.id != begun.id

    def test_not_without_a_mark(self):
        begun = uploads.begin("cats.zip", 1000)
        assert uploads.begin("cats.zip", 1000).id != begun.id

    def test_not_once_it_is_complete(self):
        begun = uploads.begin("cats.zip", 10, self.AIM)
        append(begun, 0, b"x" * 10)
        uploads.finish(begun.id)
        assert uploads.begin("cats.zip", 10, self.AIM).id != begun.id

    def test_what_was_broken_off_is_listed_after_a_while(self):
        begun = uploads.begin("cats.zip", 1000, self.AIM)
        append(begun, 0, b"x" * 300)
        assert uploads.unfinished() == []
        aged(begun, 61)
        assert uploads.unfinished() == [begun]

    def test_what_cannot_go_on_is_not_listed(self):
        empty, unmarked = uploads.begin("a.zip", 10, self.AIM), uploads.begin("b.zip", 10)
        append(unmarked, 0, b"x")
        for upload in (empty, unmarked):
            aged(upload, 61)
        assert uploads.unfinished() == []


def aged(upload: Upload, seconds: float) -> None:
    """Make it look as if nothing had come for so long."""
    then = time.time() - seconds
    for path in (*upload.folder.iterdir(), upload.folder):
        os.utime(path, (then, then))


class TestBegin:
    def test_is_known_from_then_on(self):
        upload = uploads.begin("cats.zip", 1000)
        assert uploads.get(upload.id) == upload
        assert (upload.name, upload.size, upload.state) == ("cats.zip", 1000, "receiving")
        assert upload.received == 0
        assert abs(upload.created - time.time()) < 60

    def test_refuses_nothing(self):
        with pytest.raises(uploads.UploadError, match=r"'cats\.zip' is empty"):
            uploads.begin("cats.zip", 0)

    def test_refuses_more_than_is_read(self):
        with pytest.raises(uploads.TooLargeError, match=r"'cats\.zip' has 21 GB; at most 20 GB"):
            uploads.begin("cats.zip", 21 * GB, free=10_000 * GB)
        assert uploads.begin("cats.zip", 20 * GB, free=10_000 * GB).size == 20 * GB

    def test_refuses_what_does_not_fit_the_disk_with_all_that_comes_of_it(self):
        words = r"'cats\.zip' has 4 GB, and reading it takes 13 GB of disk; 12 GB are free"
        with pytest.raises(uploads.NoSpaceError, match=words):
            uploads.begin("cats.zip", 4 * GB, free=12 * GB)
        assert uploads.begin("cats.zip", 4 * GB, free=13 * GB)

    def test_asks_the_real_disk(self):
        free = os.statvfs(store.home()).f_bavail * os.statvfs(store.home()).f_frsize
        assert abs(uploads.free_bytes() - free) < GB

    def test_a_refused_upload_leaves_nothing(self):
        with pytest.raises(uploads.NoSpaceError):
            uploads.begin("cats.zip", 1000, free=0)
        assert not (store.home() / "uploads").exists()


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("cats.zip", "cats.zip"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\me\\cats.zip", "cats.zip"),
        ("..", "upload"),
        ("", "upload"),
        ("/", "upload"),
        (".hidden.zip", "hidden.zip"),
        ("a\0b\nc.zip", "a\u2400b\u240ac.zip"),
        ("Äpfel.zip", "Äpfel.zip"),
        ("lone \ud800.zip", "lone í\xa0€.zip"),
        ("ä" * 300 + ".tar.gz", "ä" * 98 + ".gz"),
        ("x" * 300, "x" * 200),
        ("x." + "y" * 300, "x." + "y" * 198),
    ],
)
def test_names_lead_nowhere_and_fit_the_file_system(name, safe):
    assert uploads.safe_name(name) == safe
    upload = uploads.begin(name, 4)
    append(upload, 0, b"data")
    source = uploads.get(upload.id).source
    source.parent.mkdir()
    source.write_bytes(b"it can be written")
    assert source.parent.parent == upload.folder


@pytest.mark.parametrize(
    ("size", "words"),
    [(0, "0 bytes"), (1023, "1023 bytes"), (1024, "1 KB"), (1536, "1.5 KB"), (20 * GB, "20 GB"),
     (int(1.26 * GB), "1.3 GB"), (61 * GB, "61 GB")],
)  # fmt: skip
def test_amounts_are_said_as_people_say_them(size, words):
    assert uploads.amount(size) == words


@pytest.mark.parametrize("name", ["", "..", "../..", "0" * 15, "0" * 17, "A" * 16, "0" * 16, "a/b"])
def test_an_unknown_upload_is_said_to_be_so(name):
    uploads.begin("cats.zip", 10)
    with pytest.raises(uploads.UnknownUploadError, match="no longer known"):
        uploads.get(name)


def test_a_damaged_note_is_an_unknown_upload():
    upload = uploads.begin("cats.zip", 10)
    for text in ("", "[]", "{}", '{"id": 1, "warnings": null}'):
        (upload.folder / "upload.json").write_text(text)
        with pytest.raises(uploads.UnknownUploadError):
            uploads.get(upload.id)


class TestPieces:
    DATA = os.urandom(5_300_123)

    def test_make_the_file_again(self):
        upload = uploads.begin("cats.zip", len(self.DATA))
        position = 0
        for size in (1, 999_999, 1_048_576, 0, 3_000_000, 10_000_000):
            piece = self.DATA[position : position + size]
            position = append(upload, position, piece)
            assert position == upload.received == upload.data.stat().st_size
        assert upload.data.read_bytes() == self.DATA

    @pytest.mark.parametrize("offset", [0, 99, 101, 1000, 5000])
    def test_must_continue_what_is_there(self, offset):
        upload = uploads.begin("cats.zip", 1000)
        append(upload, 0, b"x" * 100)
        with pytest.raises(uploads.OffsetError, match="goes on at byte 100") as raised:
            append(upload, offset, b"y" * 100)
        assert raised.value.received == 100
        assert upload.data.read_bytes() == b"x" * 100

    def test_are_kept_as_far_as_they_came_when_the_connection_breaks(self):
        upload = uploads.begin("cats.zip", len(self.DATA))
        with pytest.raises(ConnectionResetError):
            asyncio.run(arriving.append(upload.id, 0, broken(self.DATA[:2_345_678])))
        assert uploads.get(upload.id).received == 2_345_678
        append(upload, 2_345_678, self.DATA[2_345_678:])
        assert upload.data.read_bytes() == self.DATA

    def test_are_kept_as_far_as_they_came_when_the_server_stops(self):
        upload = uploads.begin("cats.zip", len(self.DATA))

        async def stop_while_waiting() -> None:
            arrived = asyncio.Event()

            async def stalled() -> AsyncIterator[bytes]:
                async for block in blocks(self.DATA[:1_234_567]):
                    yield block
                arrived.set()
                await asyncio.Event().wait()

            task = asyncio.create_task(arriving.append(upload.id, 0, stalled()))
            await arrived.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

        asyncio.run(stop_while_waiting())
        assert uploads.get(upload.id).data.read_bytes() == self.DATA[:1_234_567]

    def test_of_a_connection_thought_dead_do_no_harm_beside_those_of_the_next(self):
        upload = uploads.begin("cats.zip", len(self.DATA))

        async def overtaken() -> None:
            begun, overtook = asyncio.Event(), asyncio.Event()

            async def slow() -> AsyncIterator[bytes]:
                async for block in blocks(self.DATA[:3_000_000]):
                    yield block
                    if uploads.get(upload.id).received and not begun.is_set():
                        begun.set()
                        await overtook.wait()

            task = asyncio.create_task(arriving.append(upload.id, 0, slow()))
            await begun.wait()
            at = upload.received
            assert 0 < at < 3_000_000
            assert await arriving.append(upload.id, at, blocks(self.DATA[at:])) == len(self.DATA)
            overtook.set()
            assert await task == 3_000_000

        asyncio.run(overtaken())
        assert uploads.get(upload.id).received == len(self.DATA)
        assert upload.data.read_bytes() == self.DATA

    def test_may_not_be_more_than_was_announced(self):
        upload = uploads.begin("cats.zip", 1000)
        with pytest.raises(uploads.TooLargeError, match="was said to have 1,000 bytes"):
            asyncio.run(arriving.append(upload.id, 0, blocks(b"x" * 1001, 100)))
        assert upload.received == 1000

    def test_have_a_limit_each(self):
        upload = uploads.begin("cats.zip", len(self.DATA))
        with pytest.raises(uploads.TooLargeError, match="at most 1 MB"):
            append(upload, 0, self.DATA, most=1024**2)
        assert upload.received <= 1024**2
        assert upload.data.read_bytes() == self.DATA[: upload.received]

    def test_take_little_memory(self):
        size = arriving.REQUEST_BYTES
        upload = uploads.begin("cats.zip", size)

        async def fresh() -> AsyncIterator[bytes]:
            for _ in range(size // 2**16):
                yield bytes(2**16)

        tracemalloc.start()
        try:
            asyncio.run(arriving.append(upload.id, 0, fresh()))
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert upload.received == size
        assert peak < 6 * 1024**2

    def test_say_so_when_the_disk_is_full(self):
        upload = uploads.begin("cats.zip", 3 * 1024**2)
        upload.data.unlink()
        upload.data.symlink_to("/dev/full")  # the kernel's own full disk
        with pytest.raises(uploads.NoSpaceError, match=r"3 MB of 'cats\.zip' are still to come"):
            append(upload, 0, b"x" * 3 * 1024**2)

    def test_of_a_cancelled_upload_do_not_bring_it_back(self):
        upload = uploads.begin("cats.zip", 4_000_000)

        async def cancelled() -> AsyncIterator[bytes]:
            yield b"x" * 2_000_000
            uploads.cancel(upload.id)
            yield b"x" * 2_000_000

        with pytest.raises(uploads.UnknownUploadError):
            asyncio.run(arriving.append(upload.id, 0, cancelled()))
        assert not upload.folder.exists()


class TestFinish:
    def test_needs_all_bytes(self):
        upload = uploads.begin("cats.zip", 10)
        append(upload, 0, b"1234567")
        with pytest.raises(uploads.OffsetError, match="Only 7 of the 10 bytes") as raised:
            uploads.finish(upload.id)
        assert raised.value.received == 7
        assert uploads.get(upload.id).state == "receiving"
        assert jobs.latest("import", upload.id) is None

    def test_puts_one_job_into_the_queue_however_often_it_is_asked(self):
        upload = uploads.begin("cats.zip", 3)
        append(upload, 0, b"abc")
        for _ in range(3):
            assert uploads.finish(upload.id).state == "queued"
        assert uploads.get(upload.id).state == "queued"
        assert [(job.kind, job.target) for job in jobs.active()] == [("import", upload.id)]

    @pytest.mark.parametrize("state", ["reading", "done", "failed"])
    def test_does_not_undo_what_the_job_has_done(self, state):
        upload = uploads.begin("cats.zip", 3)
        append(upload, 0, b"abc")
        queued = uploads.finish(upload.id)
        uploads.save(Upload(**{**vars(queued), "state": state}))
        assert uploads.finish(upload.id).state == state
        assert uploads.get(upload.id).state == state

    def test_ends_the_receiving(self):
        upload = uploads.begin("cats.zip", 3)
        append(upload, 0, b"abc")
        uploads.finish(upload.id)
        with pytest.raises(uploads.OffsetError) as raised:
            append(upload, 3, b"")
        assert raised.value.received == 3

    def test_can_be_asked_again_when_the_queue_could_not_take_it(self):
        upload = uploads.begin("cats.zip", 3)
        append(upload, 0, b"abc")
        (store.home() / "jobs").write_text("in the way")
        with pytest.raises(OSError, match="jobs"):
            uploads.finish(upload.id)
        (store.home() / "jobs").unlink()
        uploads.finish(upload.id)
        assert jobs.active()


def test_cancelling_takes_the_job_out_of_the_queue():
    upload = uploads.begin("cats.zip", 3)
    append(upload, 0, b"abc")
    uploads.finish(upload.id)
    uploads.cancel(upload.id)
    assert jobs.active() == []
    assert not upload.folder.exists()
    with pytest.raises(uploads.UnknownUploadError):
        uploads.cancel(upload.id)


class TestSweep:
    DAY = 24 * 3600

    @pytest.mark.parametrize(
        ("state", "days", "stays"),
        [("receiving", 1.9, True), ("receiving", 2.1, False), ("queued", 2.1, False),
         ("reading", 1.9, True), ("reading", 2.1, False), ("done", 0.9, True),
         ("done", 1.1, False), ("failed", 0.9, True), ("failed", 1.1, False)],
    )  # fmt: skip
    def test_removes_what_nothing_happens_to(self, state, days, stays):
        upload = uploads.begin("cats.zip", 3)
        append(upload, 0, b"ab")
        uploads.save(Upload(**{**vars(upload), "state": state}))
        self._age(upload.folder, days)
        uploads.sweep()
        assert upload.folder.exists() == stays

    def test_keeps_what_grew_of_late(self):
        upload = uploads.begin("cats.zip", 3)
        self._age(upload.folder, 5)
        append(upload, 0, b"ab")
        uploads.sweep()
        assert upload.received == 2

    def test_keeps_what_waits_for_its_turn(self):
        upload = uploads.begin("cats.zip", 2)
        append(upload, 0, b"ab")
        uploads.finish(upload.id)
        self._age(upload.folder, 5)
        uploads.sweep()
        assert upload.data.exists()

    def test_removes_what_broke_off_at_once_and_with_it_the_history_of_its_job(self):
        upload = uploads.begin("cats.zip", 2)
        append(upload, 0, b"ab")
        uploads.finish(upload.id)
        job = jobs.latest("import", upload.id)
        assert job
        jobs.cancel(job)
        (upload.folder / "upload.json").unlink()
        self._age(upload.folder, 3)
        uploads.begin("dogs.zip", 1)  # sweeps
        assert not upload.folder.exists()
        assert jobs.latest("import", upload.id) is None

    def _age(self, folder: Path, days: float) -> None:
        then = time.time() - days * self.DAY
        for path in (*folder.glob("*"), folder):
            os.utime(path, (then, then))


Importing = Callable[[str], subprocess.Popen[str]]


@pytest.fixture
def start() -> Iterator[Importing]:
    """Start `python -m app.importing ID` in a process group of its own."""
    started: list[subprocess.Popen[str]] = []

    def run(upload_id: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "app.importing", upload_id],
            cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            start_new_session=True,
        )  # fmt: skip
        started.append(process)
        return process

    yield run
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


@pytest.fixture(scope="session")
def many_pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tar whose reading takes seconds: noise compresses badly."""
    folder = tmp_path_factory.mktemp("many") / "noise"
    for label in ("left", "right"):
        (folder / label).mkdir(parents=True)
        for number in range(75):
            noise = Image.frombytes("RGB", (400, 400), os.urandom(480_000))
            noise.save(folder / label / f"{number}.png", compress_level=0)
    path = folder.with_suffix(".tar")
    with tarfile.open(path, "w") as archive:
        archive.add(folder, "noise")
    return path


def answer(process: subprocess.Popen[str]) -> tuple[int, dict[str, str]]:
    output, errors = process.communicate(timeout=300)
    assert "Traceback" not in errors
    return process.returncode, json.loads(output.splitlines()[-1])


def until_pictures_are_read(upload: Upload) -> None:
    end = time.monotonic() + 120
    while not 0 < uploads.get(upload.id).done < uploads.get(upload.id).total:
        assert time.monotonic() < end
        time.sleep(0.005)


class TestImporting:
    def test_a_zip_becomes_a_data_set(self, start, sample_zip):
        upload = sent(sample_zip)
        status, words = answer(start(upload.id))
        digest = words["digest"]
        assert (status, list(words)) == (0, ["digest"])
        done = uploads.get(upload.id)
        assert (done.state, done.digest, done.error) == ("done", digest, None)
        assert (done.done, done.total, done.received) == (72, 72, done.size)
        assert len(library.open_dataset(digest).pictures) == 72
        about = store.read_json(store.home() / "datasets" / digest / "about.json")
        assert about["name"] == "fruit"
        assert abs(about["added"] - time.time()) < 300
        assert [path.name for path in done.folder.iterdir()] == ["upload.json"]
        assert answer(start(upload.id)) == (0, words)  # once more does no harm

    def test_a_packed_tar_is_the_same_data_set_and_its_name_stays(
        self, start, sample_folder, sample_zip, tmp_path
    ):
        _, first = answer(start(sent(sample_zip).id))
        path = tmp_path / "my fruit.TAR.GZ"
        with tarfile.open(path, "w:gz") as archive:
            archive.add(sample_folder, "whatever")
        assert importing.title(path.name) == "my fruit"
        assert answer(start(sent(path).id)) == (0, first)
        about = store.read_json(store.home() / "datasets" / first["digest"] / "about.json")
        assert about["name"] == "fruit"

    def test_classes_that_are_too_small_are_told(self, start, sample_folder, tmp_path):
        path = tmp_path / "fruit.tar"
        labels = sorted(folder.name for folder in sample_folder.iterdir())
        with tarfile.open(path, "w") as archive:
            for label in labels:
                for picture in sorted((sample_folder / label).glob("*.jpg"))[:5]:
                    archive.add(picture, f"{label}/{picture.name}")
            archive.add(sorted((sample_folder / labels[0]).glob("*.jpg"))[5], "few/1.jpg")
        status, told = answer(start(sent(path).id))
        assert status == 0
        assert [line[:30] for line in datasets.warnings(told["digest"])] == [
            "Class 'few' has 1 picture; add"
        ]

    @pytest.mark.parametrize(
        ("name", "data", "words"),
        [
            ("labels.csv", b"file,label\na.jpg,cat\n", "'labels.csv' is a table without its"),
            ("Labels.CSV", b"file,label\na.jpg,cat\n", "'Labels.CSV' is a table without its"),
            ("cat.JPG", b"\xff\xd8\xff", "'cat.JPG' is a single picture."),
            ("notes.pdf", b"%PDF-1.7" * 200, "'notes.pdf' is neither a zip nor a tar"),
            ("cats.zip", b"PK\x03\x04 and no more", "'cats.zip' is damaged"),
            ("../../evil.zip", b"PK\x03\x04 and no more", "'evil.zip' is damaged"),
        ],
    )
    def test_what_cannot_be_read_leaves_a_sentence_and_no_bytes(
        self, start, tmp_path, name, data, words
    ):
        path = tmp_path / "file"
        path.write_bytes(data)
        upload = sent(path, name)
        status, told = answer(start(upload.id))
        failed = uploads.get(upload.id)
        assert (status, list(told), failed.state) == (2, ["error"], "failed")
        assert told["error"] == failed.error
        assert told["error"].startswith(words)
        assert [path.name for path in failed.folder.iterdir()] == ["upload.json"]
        assert answer(start(upload.id)) == (2, told)

    def test_a_single_class_is_taken_in_under_its_name(self, start, sample_folder, tmp_path):
        path = tmp_path / "one.zip"
        with zipfile.ZipFile(path, "w") as archive:
            for picture in sorted(sample_folder.rglob("*.jpg"))[:5]:
                archive.write(picture, f"pips/{picture.name}")
        status, told = answer(start(sent(path).id))
        assert status == 0
        assert datasets.name(told["digest"]) == "one"
        assert datasets.index(told["digest"]).counts() == {"pips": 5}

    def test_an_unknown_upload_is_a_sentence(self, start):
        status, told = answer(start("0" * 16))
        assert (status, "no longer known" in told["error"]) == (2, True)

    def test_goes_on_after_being_killed(self, start, many_pictures):
        upload = sent(many_pictures)
        killed = start(upload.id)
        until_pictures_are_read(upload)
        os.killpg(killed.pid, signal.SIGKILL)
        assert killed.wait() == -signal.SIGKILL
        between = uploads.get(upload.id)
        assert (between.state, between.total, between.digest) == ("reading", 150, None)
        status, told = answer(start(upload.id))
        assert (status, uploads.get(upload.id).state) == (0, "done")
        assert told["digest"] == library.import_dataset(many_pictures).digest

    def test_leaves_nothing_half_read_when_it_is_asked_to_end(self, start, many_pictures):
        upload = sent(many_pictures)
        process = start(upload.id)
        until_pictures_are_read(upload)
        os.killpg(process.pid, signal.SIGTERM)
        assert process.wait(timeout=60) == 128 + signal.SIGTERM
        assert list((store.home() / "datasets").iterdir()) == []
        assert uploads.get(upload.id).source.stat().st_size == upload.size

    def test_ends_when_the_upload_is_cancelled(self, start, many_pictures):
        upload = sent(many_pictures)
        process = start(upload.id)
        until_pictures_are_read(upload)
        uploads.cancel(upload.id)  # the queue knows of no process here: only the folder goes
        status, told = answer(process)
        assert (status, "no longer known" in told["error"]) == (2, True)
        assert not upload.folder.exists()

    def test_takes_in_the_sample(self, start):
        status, told = answer(start("sample"))
        assert status == 0
        assert len(library.open_dataset(told["digest"]).counts()) == len(sample.CLASSES)


@pytest.fixture
def loose_zip(sample_folder: Path, tmp_path: Path) -> Path:
    """Five limes in no folder."""
    path = tmp_path / "phone.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for picture in sorted((sample_folder / "lime").glob("*.jpg"))[:5]:
            archive.write(picture, picture.name)
    return path


@pytest.fixture
def apples(sample_folder: Path, tmp_path: Path) -> str:
    """A data set of four apples."""
    path = tmp_path / "apples.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for picture in sorted((sample_folder / "apple").glob("*.jpg"))[:4]:
            archive.write(picture, f"apple/{picture.name}")
    return importing.take_in(sent(path).id).digest or ""


class TestAdding:
    def test_loose_pictures_get_the_class_that_was_said(self, loose_zip):
        upload = importing.take_in(sent(loose_zip, label="small / green").id)
        assert datasets.index(upload.digest or "").counts() == {"small / green": 5}
        names = [picture.name for picture in datasets.index(upload.digest or "").pictures]
        assert all(name.startswith("small - green/") for name in names)

    def test_they_become_a_new_version_and_the_old_one_stays(self, apples, loose_zip):
        upload = importing.take_in(sent(loose_zip, into=apples, label="lime").id)
        assert (upload.state, upload.added) == ("done", 5)
        assert datasets.index(upload.digest or "").counts() == {"apple": 4, "lime": 5}
        assert datasets.index(apples).counts() == {"apple": 4}
        assert versions.number(upload.digest or "") == 2
        assert datasets.title(upload.digest or "") == "apples"

    def test_nothing_else_is_left_in_the_store(self, apples, loose_zip):
        upload = importing.take_in(sent(loose_zip, into=apples, label="lime").id)
        assert {entry.digest for entry in datasets.every()} == {apples, upload.digest}

    def test_what_was_a_data_set_before_stays_one(self, apples, loose_zip):
        own = importing.take_in(sent(loose_zip, label="lime").id).digest
        upload = importing.take_in(sent(loose_zip, into=apples, label="lime").id)
        assert {entry.digest for entry in datasets.every()} == {apples, own, upload.digest}

    def test_the_same_pictures_again_change_nothing(self, apples, loose_zip):
        once = importing.take_in(sent(loose_zip, into=apples, label="lime").id)
        twice = importing.take_in(sent(loose_zip, into=once.digest or "", label="lime").id)
        assert (twice.state, twice.digest, twice.added) == ("done", once.digest, 0)

    def test_a_single_picture_can_be_added(self, apples, sample_folder, tmp_path):
        path = tmp_path / "lime.tar"
        with tarfile.open(path, "w") as archive:
            archive.add(next((sample_folder / "lime").glob("*.jpg")), "one.jpg")
        upload = importing.take_in(sent(path, into=apples, label="lime").id)
        assert datasets.index(upload.digest or "").counts() == {"apple": 4, "lime": 1}

    def test_nothing_is_lost_where_it_cannot_be_added(self, apples, loose_zip):
        upload = sent(loose_zip, into=apples, label="lime")
        datasets.delete(apples)
        failed = importing.take_in(upload.id)
        assert failed.state == "failed"
        assert "no longer in the store" in str(failed.error)
        assert "taken in all the same, as a data set of their own: 'phone'" in str(failed.error)
        (kept,) = datasets.listed()
        assert (kept.name, kept.pictures) == ("phone", 5)


def test_progress_is_noted_now_and_then():
    upload = uploads.begin("cats.zip", 10)
    progress = importing._Progress(upload)
    seen = set()
    end = time.monotonic() + 1.1
    count = 0
    while time.monotonic() < end:
        count += 1
        progress(count, 1_000_000)
        seen.add(uploads.get(upload.id).done)
    assert count > 100
    assert 2 <= len(seen) <= 5  # of a busy machine fewer
