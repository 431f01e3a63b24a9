"""Archives and folders from anybody: nothing is written elsewhere, nothing grows, all is told."""

import gzip
import io
import os
import random
import stat
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from transfer.dataset import zips
from transfer.dataset.archive import unpack
from transfer.dataset.intake import Limits, Upload
from transfer.errors import ArchiveError, DataError

Maker = Callable[[Path, dict[str, bytes]], Path]

LIMITS = Limits()
RUBBISH = random.Random(0).randbytes(5000)


def contents(upload: Upload) -> dict[str, bytes]:
    return {file.name: file.path.read_bytes() for file in upload.files}


def reasons(upload: Upload) -> dict[str, str]:
    return {item.file: item.reason for item in upload.rejected}


def make_zip(path: Path, entries: dict[str, bytes], kind: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", kind) as made:
        for name, data in entries.items():
            made.writestr(name, data)
    return path


def make_tar(path: Path, entries: dict[str, bytes], mode: str = "w") -> Path:
    with tarfile.open(path, mode) as made:  # pyright: ignore[reportCallIssue, reportArgumentType]
        for name, data in entries.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            made.addfile(member, io.BytesIO(data))
    return path


def only_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


ENTRIES = {"cat/a.jpg": b"one", "dog/b.jpg": RUBBISH, "dog/empty.jpg": b""}


@pytest.mark.parametrize(
    "kind", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]
)
def test_zips_are_known_by_their_content(tmp_path: Path, kind: int) -> None:
    source = make_zip(tmp_path / "upload.tar", ENTRIES, kind)
    assert contents(unpack(source, tmp_path / "out", LIMITS)) == ENTRIES
    assert only_in(tmp_path / "out") == {"000000", "000001", "000002"}


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_tars_are_known_by_their_content(
    tmp_path: Path, mode: str, form: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tarfile.TarFile, "format", form)
    source = make_tar(tmp_path / "upload.zip", ENTRIES, mode)
    assert contents(unpack(source, tmp_path / "out", LIMITS)) == ENTRIES


def test_a_zip_behind_something_else_is_read(tmp_path: Path) -> None:
    inner = make_zip(tmp_path / "inner.zip", ENTRIES)
    source = tmp_path / "upload"
    source.write_bytes(b"#!/bin/sh\nexit 1\n" * 50 + inner.read_bytes())
    assert contents(unpack(source, tmp_path / "out", LIMITS)) == ENTRIES


def test_a_tar_that_ends_with_a_zip_is_a_tar(tmp_path: Path) -> None:
    inner = make_zip(tmp_path / "inner.zip", {"evil/x.jpg": b"x"}).read_bytes()
    source = make_tar(tmp_path / "upload.tar", {"cat/a.jpg": b"one", "z/inner.zip": inner})
    upload = unpack(source, tmp_path / "out", LIMITS)
    assert contents(upload) == {"cat/a.jpg": b"one"}
    assert reasons(upload) == {"z/inner.zip": "it is an archive inside the upload; unpack it first"}


def test_a_folder_is_read_where_it_lies(tmp_path: Path) -> None:
    for name, data in ENTRIES.items():
        (tmp_path / "set" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "set" / name).write_bytes(data)
    upload = unpack(tmp_path / "set", tmp_path / "out", LIMITS)
    assert contents(upload) == ENTRIES
    assert all(file.path.is_relative_to(tmp_path / "set") for file in upload.files)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("data", [b"no archive", RUBBISH, b"\x89PNG\r\n\x1a\n" + RUBBISH])
def test_other_files_are_no_archives(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "x.zip").write_bytes(data)
    with pytest.raises(ArchiveError, match="neither a zip nor a tar"):
        unpack(tmp_path / "x.zip", tmp_path / "out", LIMITS)


def test_a_compressed_file_that_is_no_tar(tmp_path: Path) -> None:
    (tmp_path / "x.gz").write_bytes(gzip.compress(RUBBISH))
    with pytest.raises(ArchiveError, match="neither a zip nor a tar"):
        unpack(tmp_path / "x.gz", tmp_path / "out", LIMITS)


def test_a_missing_upload(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nothing at"):
        unpack(tmp_path / "lost.zip", tmp_path / "out", LIMITS)


def test_empty_archives_hold_nothing(tmp_path: Path) -> None:
    for source in (make_zip(tmp_path / "a", {}), make_tar(tmp_path / "b", {})):
        assert unpack(source, tmp_path / f"out-{source.name}", LIMITS) == Upload((), (), ())


SLIPS = ["../x.jpg", "/etc/x.jpg", "a/../../x.jpg", "..\\x.jpg", "C:\\x.jpg", "\\\\host\\x.jpg"]


@pytest.mark.parametrize("make", [make_zip, make_tar])
def test_names_that_lead_outside_are_rejected(tmp_path: Path, make: Maker) -> None:
    entries = dict.fromkeys(SLIPS, b"evil") | {"cat/a.jpg": b"one"}
    source = make(tmp_path / "x", entries)
    upload = unpack(source, tmp_path / "out" / "files", LIMITS)
    assert contents(upload) == {"cat/a.jpg": b"one"}
    assert reasons(upload) == dict.fromkeys(SLIPS, "its name leads outside the archive")
    assert only_in(tmp_path) == {"x", "out"}
    assert only_in(tmp_path / "out") == {"files"}


def test_links_and_devices_in_a_tar_are_rejected(tmp_path: Path) -> None:
    kinds = {
        "link.jpg": tarfile.SYMTYPE, "hard.jpg": tarfile.LNKTYPE, "pipe.jpg": tarfile.FIFOTYPE,
        "disk.jpg": tarfile.BLKTYPE, "tty.jpg": tarfile.CHRTYPE,
    }  # fmt: skip
    with tarfile.open(tmp_path / "x.tar", "w") as made:
        for name, kind in kinds.items():
            member = tarfile.TarInfo(f"cat/{name}")
            member.type, member.linkname = kind, "/etc/passwd"
            made.addfile(member)
        made.addfile(tarfile.TarInfo("cat/a.jpg"))
    upload = unpack(tmp_path / "x.tar", tmp_path / "out", LIMITS)
    assert contents(upload) == {"cat/a.jpg": b""}
    assert reasons(upload) == {
        "cat/link.jpg": "it is a link, and links are not followed",
        "cat/hard.jpg": "it is a link, and links are not followed",
        "cat/pipe.jpg": "it is a device, not a file",
        "cat/disk.jpg": "it is a device, not a file",
        "cat/tty.jpg": "it is a device, not a file",
    }


def test_links_in_a_zip_are_rejected(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as made:
        for name, kind in (("link.jpg", stat.S_IFLNK), ("pipe.jpg", stat.S_IFIFO)):
            entry = zipfile.ZipInfo(f"cat/{name}")
            entry.external_attr = (kind | 0o777) << 16
            made.writestr(entry, "/etc/passwd")
    upload = unpack(tmp_path / "x.zip", tmp_path / "out", LIMITS)
    assert not upload.files
    assert reasons(upload)["cat/link.jpg"] == "it is a link, and links are not followed"
    assert reasons(upload)["cat/pipe.jpg"] == "it is a device, not a file"


def test_links_and_devices_in_a_folder_are_rejected(tmp_path: Path) -> None:
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "s.jpg").write_bytes(b"secret")
    cat = tmp_path / "set" / "cat"
    cat.mkdir(parents=True)
    (cat / "a.jpg").write_bytes(b"one")
    (cat / "link.jpg").symlink_to(tmp_path / "secret" / "s.jpg")
    (cat / "gone.jpg").symlink_to(tmp_path / "nowhere")
    (tmp_path / "set" / "dog").symlink_to(tmp_path / "secret")
    (cat / "loop").symlink_to(tmp_path / "set")
    os.mkfifo(cat / "pipe.jpg")
    upload = unpack(tmp_path / "set", tmp_path / "out", LIMITS)
    assert contents(upload) == {"cat/a.jpg": b"one"}
    assert set(reasons(upload)) == {
        "cat/link.jpg",
        "cat/gone.jpg",
        "dog",
        "cat/loop",
        "cat/pipe.jpg",
    }
    assert reasons(upload)["cat/pipe.jpg"] == "it is a device, not a file"
    assert reasons(upload)["dog"] == "it is a link, and links are not followed"


def test_encrypted_entries_are_rejected(tmp_path: Path) -> None:
    data = bytearray(
        make_zip(tmp_path / "x.zip", {"cat/a.jpg": b"one", "cat/b.jpg": b"2"}).read_bytes()
    )
    data[6] |= 1  # flags of the first entry, in its own header and in the directory
    data[data.index(b"PK\x01\x02") + 8] |= 1
    (tmp_path / "x.zip").write_bytes(data)
    upload = unpack(tmp_path / "x.zip", tmp_path / "out", LIMITS)
    assert contents(upload) == {"cat/b.jpg": b"2"}
    assert reasons(upload) == {"cat/a.jpg": "it is encrypted; pack it without a password"}


def test_system_files_are_passed_over_and_counted(tmp_path: Path) -> None:
    entries = {
        "cat/a.jpg": b"one", "__MACOSX/cat/._a.jpg": b"", "cat/.DS_Store": b"",
        "cat/Thumbs.db": b"",        "cat/desktop.ini": b"", ".git/config": b"", "cat/._b.jpg": b"",
    }  # fmt: skip
    upload = unpack(make_zip(tmp_path / "x.zip", entries), tmp_path / "out", LIMITS)
    assert contents(upload) == {"cat/a.jpg": b"one"}
    assert not upload.rejected
    assert upload.notes == ("6 hidden or system files were passed over.",)


def test_a_hidden_folder_is_not_searched(tmp_path: Path) -> None:
    (tmp_path / "set" / ".git" / "objects").mkdir(parents=True)
    (tmp_path / "set" / ".git" / "objects" / "x.jpg").write_bytes(b"")
    upload = unpack(tmp_path / "set", tmp_path / "out", LIMITS)
    assert upload == Upload((), (), ("1 hidden or system file was passed over.",))


def test_too_many_entries_are_refused_before_the_directory_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = make_zip(tmp_path / "x.zip", {f"c/{i}.jpg": b"" for i in range(1200)})
    monkeypatch.setattr(zips.zipfile, "ZipFile", None)  # reading it would fail
    with pytest.raises(ArchiveError, match="more than 1,000 files"):
        unpack(source, tmp_path / "out", Limits(entries=1000))


def test_too_many_entries_are_refused_however_the_directory_lies(tmp_path: Path) -> None:
    data = bytearray(make_zip(tmp_path / "x", {f"{i}.jpg": b"" for i in range(1200)}).read_bytes())
    struct.pack_into("<HH", data, len(data) - 14, 1, 1)  # it says: one entry
    (tmp_path / "x").write_bytes(data)
    with pytest.raises(ArchiveError, match="more than 1,000 files"):
        unpack(tmp_path / "x", tmp_path / "out", Limits(entries=1000))


def test_the_limit_is_on_entries_and_not_on_the_length_of_their_names(tmp_path: Path) -> None:
    entries = {f"{'n' * 200}/{i}.jpg": b"" for i in range(100)}
    source = make_zip(tmp_path / "x", entries)
    assert len(unpack(source, tmp_path / "out", Limits(entries=100)).files) == 100
    with pytest.raises(ArchiveError, match="more than 99 files"):
        unpack(source, tmp_path / "out", Limits(entries=99))


def test_too_many_entries_of_a_tar_and_of_a_folder(tmp_path: Path) -> None:
    entries = {f"c/{i}.jpg": b"" for i in range(30)}
    with pytest.raises(ArchiveError, match="more than 20 files"):
        unpack(make_tar(tmp_path / "x", entries), tmp_path / "out", Limits(entries=20))
    (tmp_path / "set").mkdir()
    for i in range(30):
        (tmp_path / "set" / f"{i}.jpg").write_bytes(b"")
    with pytest.raises(ArchiveError, match="more than 20 files"):
        unpack(tmp_path / "set", tmp_path / "out", Limits(entries=20))


def test_a_large_zip64_with_few_entries_is_read(tmp_path: Path) -> None:
    """What tools write that put the sizes of every zip into the 64-bit fields."""
    data = make_zip(tmp_path / "x", ENTRIES).read_bytes()
    at = data.rindex(b"PK\x05\x06")
    count, size, offset = struct.unpack_from("<HII", data, at + 10)
    record = struct.pack(
        "<4sQHHIIQQQQ", b"PK\x06\x06", 44, 45, 45, 0, 0, count, count, size, offset
    )
    locator = struct.pack("<4sIQI", b"PK\x06\x07", 0, at, 1)
    end = struct.pack("<4sHHHHIIH", b"PK\x05\x06", 0, 0, *[0xFFFF] * 2, *[0xFFFFFFFF] * 2, 0)
    (tmp_path / "x").write_bytes(data[:at] + record + locator + end)
    assert contents(unpack(tmp_path / "x", tmp_path / "out", Limits(entries=3))) == ENTRIES
    with pytest.raises(ArchiveError, match="more than 2 files"):
        unpack(tmp_path / "x", tmp_path / "out", Limits(entries=2))


@pytest.mark.parametrize("make", [make_zip, lambda p, e: make_tar(p, e, "w:gz")])
def test_a_bomb_is_rejected_while_it_streams(tmp_path: Path, make: Maker) -> None:
    entries = {"c/bomb.bmp": bytes(64 * 1024**2), "c/a.jpg": b"one"}
    source = make(tmp_path / "x", entries)
    assert source.stat().st_size < 100_000
    upload = unpack(source, tmp_path / "out", Limits(ratio_from=1024**2))
    assert contents(upload) == {"c/a.jpg": b"one"}
    assert "hundreds of times its size" in reasons(upload)["c/bomb.bmp"]
    assert sum(path.stat().st_size for path in (tmp_path / "out").iterdir()) < 10


def test_a_sparse_file_in_a_tar_is_a_bomb_too(tmp_path: Path) -> None:
    block = tarfile.TarInfo("c/sparse.bmp")
    header = bytearray(block.tobuf(tarfile.GNU_FORMAT))
    header[156:157] = tarfile.GNUTYPE_SPARSE
    header[386:410] = b"00000000000\0" * 2  # one empty piece at 0
    header[483:495] = b"77777777777\0"  # 8 GiB, all of it holes
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    (tmp_path / "x").write_bytes(bytes(header) + bytes(1024))
    upload = unpack(tmp_path / "x", tmp_path / "out", LIMITS)
    assert not upload.files
    assert len(upload.rejected) == 1


@pytest.mark.parametrize("make", [make_zip, make_tar])
def test_a_file_over_the_limit_is_rejected(tmp_path: Path, make: Maker) -> None:
    entries = {"c/big.bmp": RUBBISH * 500, "c/a.jpg": b"one"}
    source = make(tmp_path / "x", entries)
    upload = unpack(source, tmp_path / "out", Limits(file_bytes=1024**2))
    assert contents(upload) == {"c/a.jpg": b"one"}
    assert reasons(upload) == {"c/big.bmp": "it is larger than 1 MB, the most that is read"}


@pytest.mark.parametrize("make", [make_zip, make_tar])
def test_more_than_is_read_in_all(tmp_path: Path, make: Maker) -> None:
    entries = {f"c/{i}.jpg": RUBBISH for i in range(10)}
    source = make(tmp_path / "x", entries)
    with pytest.raises(ArchiveError, match="unpacks to more than"):
        unpack(source, tmp_path / "out", Limits(total_bytes=20_000))


def test_what_is_skipped_counts_in_a_compressed_tar(tmp_path: Path) -> None:
    """Skipping a bomb means to unpack it: that ends as well."""
    source = make_tar(tmp_path / "x", {"c/bomb.zip": bytes(32 * 1024**2)}, "w:gz")
    with pytest.raises(ArchiveError, match="unpacks to more than"):
        unpack(source, tmp_path / "out", Limits(total_bytes=1024**2, entries=10))


def test_a_cut_zip_is_damaged(tmp_path: Path) -> None:
    source = make_zip(tmp_path / "x.zip", ENTRIES)
    source.write_bytes(source.read_bytes()[:20])
    with pytest.raises(ArchiveError, match=r"'x\.zip' is damaged .*cut short"):
        unpack(source, tmp_path / "out", LIMITS)


class _Pipe(io.RawIOBase):
    """Goes forward only, so that a zip must put the sizes behind each file."""

    def __init__(self) -> None:
        self.data = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: bytes, /) -> int:  # pyright: ignore[reportIncompatibleMethodOverride]
        self.data += data
        return len(data)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_zip_cut_anywhere_gives_what_is_whole(tmp_path: Path, method: int) -> None:
    entries = {f"c/{i}.jpg": random.Random(i).randbytes(900) + bytes(900) for i in range(5)}
    whole = make_zip(tmp_path / "whole.zip", entries, method).read_bytes()
    for size in range(1, whole.index(b"PK\x01\x02"), 101):
        source = tmp_path / "x.zip"
        source.write_bytes(whole[:size])
        try:
            upload = unpack(source, tmp_path / f"out{size}", LIMITS)
        except ArchiveError:
            assert size < whole.index(b"PK\x03\x04", 1)
            continue
        found = contents(upload)
        assert found == {name: entries[name] for name in list(entries)[: len(found)]}
        assert len(found) >= whole[: size + 1].count(b"PK\x03\x04") - 1
        assert "cut short" in upload.notes[0]


def test_a_cut_zip_of_unknown_sizes_gives_what_is_whole(tmp_path: Path) -> None:
    """As Macs and web servers write them; what is passed over must be read over."""
    pipe, rng = _Pipe(), random.Random(3)
    entries = {f"c/{i}.jpg": rng.randbytes(70_000) + bytes(70_000) for i in range(4)}
    extra = {
        "__MACOSX/._x": RUBBISH,
        "../slip.jpg": RUBBISH,
        "c/": b"",
        "c/more.zip": b"PK\x03\x04",
    }
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as made:  # pyright: ignore
        for name, data in {**extra, **entries, "c/last.jpg": RUBBISH}.items():
            made.writestr(name, data)
    (tmp_path / "x").write_bytes(pipe.data[: pipe.data.index(b"PK\x01\x02") - 100])
    upload = unpack(tmp_path / "x", tmp_path / "out", LIMITS)
    assert contents(upload) == entries
    assert set(reasons(upload)) == {"../slip.jpg", "c/more.zip"}


def test_a_wrong_sum_in_a_cut_zip_takes_that_file_only(tmp_path: Path) -> None:
    source = make_zip(tmp_path / "x", {"a.jpg": b"1", "b.jpg": RUBBISH, "c.jpg": b"3"}, 0)
    data = bytearray(source.read_bytes())
    data[1000] ^= 1
    source.write_bytes(data[: data.index(b"PK\x01\x02")])
    upload = unpack(source, tmp_path / "out", LIMITS)
    assert contents(upload) == {"a.jpg": b"1", "c.jpg": b"3"}
    assert reasons(upload)["b.jpg"].startswith("its part of the archive is damaged (")


@pytest.mark.parametrize("make", [make_zip, lambda p, e: make_tar(p, e, "w:gz")])
def test_many_small_bombs_are_a_bomb(tmp_path: Path, make: Maker) -> None:
    entries = {"c/a.jpg": RUBBISH, **{f"c/{i}.bmp": bytes(1024**2) for i in range(30)}}
    source = make(tmp_path / "x", entries)
    upload = unpack(source, tmp_path / "out", Limits(swollen_bytes=8 * 1024**2))
    assert contents(upload)["c/a.jpg"] == RUBBISH
    assert len(upload.files) <= 9
    told = " ".join([*reasons(upload).values(), *upload.notes])
    assert "hundreds of times its size" in told


def test_a_folder_that_may_not_be_read_is_told_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "set" / "cat").mkdir(parents=True)
    (tmp_path / "set" / "a.jpg").write_bytes(b"1")
    inside = Path.iterdir

    def refuse(path: Path) -> object:
        if path.name == "cat":
            raise PermissionError(13, "Permission denied", str(path))
        return inside(path)

    monkeypatch.setattr(Path, "iterdir", refuse)
    upload = unpack(tmp_path / "set", tmp_path / "out", LIMITS)
    assert contents(upload) == {"a.jpg": b"1"}
    assert reasons(upload) == {"cat": "it cannot be read (permission denied)"}


def test_empty_folders_are_told_once(tmp_path: Path) -> None:
    for name in ("a", "b/c/d", "e", ".git"):
        (tmp_path / "set" / name).mkdir(parents=True)
    (tmp_path / "set" / "e" / "x.jpg").write_bytes(b"1")
    upload = unpack(tmp_path / "set", tmp_path / "out", LIMITS)
    assert upload.notes[-1] == "2 folders are empty ('a', 'b'). Add pictures, or leave them out."


@pytest.mark.parametrize(
    "kind", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]
)
def test_a_damaged_entry_does_not_take_the_others_with_it(tmp_path: Path, kind: int) -> None:
    source = make_zip(tmp_path / "x", {"a.jpg": b"1", "b.jpg": RUBBISH, "c.jpg": b"3"}, kind)
    data = bytearray(source.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 400] = bytes(400)
    source.write_bytes(data)
    upload = unpack(source, tmp_path / "out", LIMITS)
    assert contents(upload) == {"a.jpg": b"1", "c.jpg": b"3"}
    assert reasons(upload)["b.jpg"].startswith("its part of the archive is damaged (")


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_what_comes_before_the_damage_in_a_tar_is_kept(tmp_path: Path, mode: str) -> None:
    rng = random.Random(1)
    entries = {f"c/{i}.jpg": rng.randbytes(50_000) for i in range(60)}
    source = make_tar(tmp_path / "x.tar", entries, mode)
    data = source.read_bytes()
    source.write_bytes(data[: int(len(data) * 0.8) + 100])
    upload = unpack(source, tmp_path / "out", LIMITS)
    kept = contents(upload)
    assert 15 < len(kept) < 60
    assert all(entries[name] == data for name, data in kept.items())
    assert "'x.tar' is damaged" in upload.notes[0]


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_a_tar_damaged_from_the_start(tmp_path: Path, mode: str) -> None:
    source = make_tar(tmp_path / "x", {"a.jpg": RUBBISH}, mode)
    source.write_bytes(source.read_bytes()[:600] if mode == "w" else source.read_bytes()[:40])
    with pytest.raises(ArchiveError, match="damaged"):
        unpack(source, tmp_path / "out", LIMITS)


def test_a_tar_cut_anywhere_says_so(tmp_path: Path) -> None:
    """Also where a block ends, as uploads in pieces do: tarfile itself would not notice."""
    entries = {f"{i}.jpg": bytes([i]) * 1400 for i in range(4)}
    whole = make_tar(tmp_path / "whole", entries).read_bytes()
    for size in range(2048, 4 * 2048 + 1, 256):
        source = tmp_path / f"x{size}"
        source.write_bytes(whole[:size])
        upload = unpack(source, tmp_path / f"out{size}", LIMITS)
        assert contents(upload) == {name: entries[name] for name in list(entries)[: size // 2048]}
        assert "damaged" in upload.notes[0]
        assert not upload.rejected


def test_a_damaged_header_in_a_tar_is_not_taken_for_its_end(tmp_path: Path) -> None:
    source = make_tar(tmp_path / "x", {"a.jpg": b"1", "b.jpg": b"2", "c.jpg": b"3"})
    data = bytearray(source.read_bytes())
    data[1024:1034] = b"##########"
    source.write_bytes(data)
    upload = unpack(source, tmp_path / "out", LIMITS)
    assert contents(upload) == {"a.jpg": b"1"}
    assert "damaged" in upload.notes[0]


@pytest.mark.filterwarnings("ignore:Duplicate name:UserWarning")
def test_equal_names_are_told_apart(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x", "w") as made:
        for data in (b"1", b"2"):
            made.writestr("cat/a.jpg", data)
        made.writestr("cat\\a.jpg", b"3")
        made.writestr("Cat/a.jpg", b"4")
    assert contents(unpack(tmp_path / "x", tmp_path / "out", LIMITS)) == {
        "cat/a.jpg": b"1", "cat/a (2).jpg": b"2", "cat/a (3).jpg": b"3", "Cat/a.jpg": b"4",
    }  # fmt: skip


def test_names_of_any_kind(tmp_path: Path) -> None:
    long = f"cat/{'x' * 300}.jpg"
    entries = {long: b"1", "k\u00e4tzchen/\U0001f408.jpg": b"2", "a\x07b/c\nd.jpg": b"3"}
    for source in (make_zip(tmp_path / "z", entries), make_tar(tmp_path / "t", entries)):
        assert contents(unpack(source, tmp_path / f"out-{source.name}", LIMITS)) == {
            long: b"1", "k\u00e4tzchen/\U0001f408.jpg": b"2", "a\u2407b/c\u240ad.jpg": b"3",
        }  # fmt: skip


def test_utf8_names_of_zips_that_do_not_say_so(tmp_path: Path) -> None:
    name = "k\u00e4tzchen/a.jpg"
    data = bytearray(make_zip(tmp_path / "x", {name: b"1"}).read_bytes())
    for at in (6, data.index(b"PK\x01\x02") + 8):
        flags = struct.unpack_from("<H", data, at)[0]
        struct.pack_into("<H", data, at, flags & ~0x800)
    (tmp_path / "x").write_bytes(data)
    assert contents(unpack(tmp_path / "x", tmp_path / "out", LIMITS)) == {name: b"1"}


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_read_is_rejected(tmp_path: Path) -> None:
    (tmp_path / "set" / "cat").mkdir(parents=True)
    (tmp_path / "set" / "cat").chmod(0)
    upload = unpack(tmp_path / "set", tmp_path / "out", LIMITS)
    (tmp_path / "set" / "cat").chmod(0o700)
    assert "cannot be read" in reasons(upload)["cat"]


def test_very_deep_folders(tmp_path: Path) -> None:
    source = make_zip(tmp_path / "x", {"d/" * 3000 + "a.jpg": b"1"})
    assert len(unpack(source, tmp_path / "out", LIMITS).files) == 1


@settings(
    deadline=None,
    derandomize=True,
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    st.lists(st.tuples(st.text(min_size=1, max_size=20), st.binary(max_size=30)), max_size=6),
    st.sampled_from(["zip", "tar"]),
    st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), max_size=4),
)
@pytest.mark.filterwarnings("ignore:Duplicate name:UserWarning")
def test_no_archive_breaks_it(
    tmp_path_factory: pytest.TempPathFactory,
    entries: list[tuple[str, bytes]],
    kind: str,
    damage: list[tuple[int, int]],
) -> None:
    folder = tmp_path_factory.mktemp("fuzz")
    by_name = {name.encode("utf-8", "replace").decode(): data for name, data in entries}
    make = make_zip if kind == "zip" else make_tar
    source = make(folder / "x", by_name)
    data = bytearray(source.read_bytes())
    for place, value in damage:
        data[place % len(data)] = value
    source.write_bytes(data)
    try:
        upload = unpack(source, folder / "out", LIMITS)
    except DataError:
        return
    assert all(file.path.parent == folder / "out" for file in upload.files)
    assert only_in(folder) == {"x", "out"}
    if not damage:
        assert len(upload.files) + len(upload.rejected) <= len(by_name)
