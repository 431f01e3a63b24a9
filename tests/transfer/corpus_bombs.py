"""Bombs: archives that grow beyond all measure by size, by count, by nesting and by memory."""

import gzip
import io
import lzma
import random
import struct
import tarfile
import zipfile
import zlib
from pathlib import Path

from tests.transfer.corpus import Made, add_to, good, kind, slow_kind, tarred, zipped

BOMB = "hundreds of times its size"
RUBBISH = random.Random(5).randbytes(6_000)


@kind
def bomb_of_one_large_file(folder: Path) -> Made:
    source = zipped(folder / "pets.zip", {"cat/bomb.bmp": bytes(60_000_000)})
    return Made(source, rejected={"cat/bomb.bmp": BOMB})


@kind
def bomb_of_many_files_that_overlap(folder: Path) -> Made:
    """400 files of 15 MB each, all of them the same few packed bytes: 6 GB from 60 KB."""
    packer, plain, name = zlib.compressobj(9, zlib.DEFLATED, -15), bytes(15_000_000), b"cat/0.bmp"
    packed = packer.compress(plain) + packer.flush()
    sizes = (zlib.crc32(plain), len(packed), len(plain), len(name), 0)
    source = zipped(folder / "pets.zip")
    data = source.read_bytes()
    at, end = data.index(b"PK\x01\x02"), data.rindex(b"PK\x05\x06")
    count = struct.unpack_from("<H", data, end + 10)[0] + 400
    local = struct.pack("<4sHHHHHIIIHH", b"PK\x03\x04", 20, 0, 8, 0, 33, *sizes) + name + packed
    entry = struct.pack(
        "<4sHHHHHHIIIHHHHHII", b"PK\x01\x02", 20, 20, 0, 8, 0, 33, *sizes, 0, 0, 0, 0, at
    )
    entries = data[at:end] + (entry + name) * 400
    last = struct.pack(
        "<4sHHHHIIH", b"PK\x05\x06", 0, 0, count, count, len(entries), at + len(local), 0
    )
    source.write_bytes(data[:at] + local + entries + last)
    unpacked = tuple(f"cat/0 ({i}).bmp" for i in range(2, 60))
    return Made(source, rejected={"cat/0.bmp": BOMB}, either=unpacked)


@slow_kind
def bomb_of_many_small_files(folder: Path) -> Made:
    """60 files of 15 MB each, none of which is much by itself."""
    names = [f"cat/bomb-{i:02d}.bmp" for i in range(60)]
    source = zipped(folder / "pets.zip", dict.fromkeys(names, bytes(15_000_000)))
    return Made(source, rejected=dict.fromkeys(names, ""))


@kind
def bomb_in_a_compressed_tar(folder: Path) -> Made:
    names = tuple(f"cat/bomb-{i:02d}.bmp" for i in range(36))
    source = folder / "pets.tgz"
    with gzip.open(source, "wb", 1) as packed, tarfile.open(fileobj=packed, mode="w|") as made:
        for name, data in {**good(), **dict.fromkeys(names, bytes(15_000_000))}.items():
            add_to(made, name, data)
    return Made(folder / "pets.tgz", told=(BOMB,), rejected={names[0]: ""}, either=names[1:])


@kind
def bomb_of_holes_in_a_tar(folder: Path) -> Made:
    """A sparse file: 8 GB, all of it holes."""
    block = bytearray(tarfile.TarInfo("cat/sparse.bmp").tobuf(tarfile.GNU_FORMAT))
    block[156:157] = tarfile.GNUTYPE_SPARSE
    block[386:410] = b"00000000000\0" * 2
    block[483:495] = b"77777777777\0"
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    source = tarred(folder / "pets.tar")
    whole = source.read_bytes()
    end = len(whole.rstrip(b"\0")) // 512 * 512 + 512
    source.write_bytes(whole[:end] + bytes(block) + bytes(10_240))
    return Made(source, rejected={"cat/sparse.bmp": ""})


@kind
def bomb_of_names(folder: Path) -> Made:
    """More files than are read, all of them the same empty one."""
    source = zipped(folder / "pets.zip")
    data = source.read_bytes()
    at = data.index(b"PK\x01\x02")
    entry = struct.pack(
        "<4sHHHHHHIIIHHHHHII", b"PK\x01\x02", 20, 20, 0, 0, 0, 33, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0
    )  # fmt: skip
    many = b"".join(entry + b"%09d" % i for i in range(200_001))
    end = struct.pack("<4sHHHHIIH", b"PK\x05\x06", 0, 0, 9, 9, len(many), at, 0)
    source.write_bytes(data[:at] + many + end)
    return Made(source, error="holds more than 200,000 files")


@slow_kind
def bomb_of_names_in_a_tar(folder: Path) -> Made:
    block = tarfile.TarInfo("cat/nothing.bmp").tobuf()
    with gzip.open(folder / "pets.tgz", "wb", 1) as made:
        for _ in range(201):
            made.write(block * 1_000)
    return Made(folder / "pets.tgz", error="holds more than 200,000 files")


@kind
def bomb_by_nesting(folder: Path) -> Made:
    inner = b""
    for depth in range(6):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as made:
            for copy in range(10):
                made.writestr(f"{copy}.zip" if depth else f"{copy}.bmp", inner or bytes(1_000_000))
        inner = buffer.getvalue()
    source = zipped(folder / "pets.zip", {"cat/more.zip": inner, "cat/hidden.jpg": inner})
    return Made(
        source,
        rejected={
            "cat/more.zip": "an archive inside the upload; unpack it first",
            "cat/hidden.jpg": "it is an archive, not a picture",
        },
    )


@kind
def bomb_of_a_giant_dictionary(folder: Path) -> Made:
    """A header that asks for 4 GB to unpack what comes."""
    filters = [{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 20}]
    data = bytearray(lzma.compress(RUBBISH, lzma.FORMAT_XZ, filters=filters))
    size = (data[12] + 1) * 4
    data[16] = 40  # of the dictionary: 4 GiB - 1
    data[12 + size - 4 : 12 + size] = struct.pack("<I", zlib.crc32(data[12 : 12 + size - 4]))
    (folder / "pets.tar.xz").write_bytes(data)
    return Made(folder / "pets.tar.xz", error="")
