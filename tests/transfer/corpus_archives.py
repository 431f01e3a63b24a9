"""Bad archives: bombs, slips, links, locks, damage, and what is none."""

import gzip
import random
import stat
import struct
import tarfile
import warnings
import zipfile
from pathlib import Path

from tests.transfer.corpus import (
    Made,
    add_to,
    good,
    kind,
    noise,
    planted,
    tarred,
    zipped,
)

OUTSIDE, LINK, DEVICE = "leads outside", "it is a link", "it is a device"
BOMB = "hundreds of times its size"
NEITHER = "neither a zip nor a tar"
RUBBISH = random.Random(5).randbytes(6_000)


# Where names lead


@kind
def path_slips_in_a_zip(folder: Path) -> Made:
    names = ["../x.png", "cat/../../x.png", "/etc/x.png", "..\\x.png", "C:\\x.png", "\\\\pc\\x.png"]
    source = zipped(folder / "pets.zip", dict.fromkeys(names, noise(50)))
    return Made(source, rejected=dict.fromkeys(names, OUTSIDE))


@kind
def path_slips_in_a_tar(folder: Path) -> Made:
    names = ["../x.png", "cat/../../x.png", "/etc/x.png", "..\\x.png", "C:/x.png"]
    source = tarred(folder / "pets.tar", dict.fromkeys(names, noise(50)))
    return Made(source, rejected=dict.fromkeys(names, OUTSIDE))


@kind
def links_in_a_zip(folder: Path) -> Made:
    source = zipped(folder / "pets.zip")
    with zipfile.ZipFile(source, "a") as made:
        for name, mode in (("cat/link.png", stat.S_IFLNK), ("cat/pipe.png", stat.S_IFIFO)):
            entry = zipfile.ZipInfo(name)
            entry.external_attr = (mode | 0o777) << 16
            made.writestr(entry, "/etc/passwd")
    return Made(source, rejected={"cat/link.png": LINK, "cat/pipe.png": DEVICE})


@kind
def links_and_devices_in_a_tar(folder: Path) -> Made:
    kinds = {"soft": tarfile.SYMTYPE, "hard": tarfile.LNKTYPE, "pipe": tarfile.FIFOTYPE}
    kinds |= {"disk": tarfile.BLKTYPE, "tty": tarfile.CHRTYPE}
    source = tarred(folder / "pets.tar")
    with tarfile.open(source, "a") as made:
        for name, mode in kinds.items():
            add_to(made, f"cat/{name}.png", b"", type=mode, linkname="../../secret.png")
    reasons = {name: LINK if name in ("soft", "hard") else DEVICE for name in kinds}
    return Made(source, rejected={f"cat/{name}.png": reason for name, reason in reasons.items()})


@kind
def folder_without_a_slash_in_a_zip(folder: Path) -> Made:
    source = zipped(folder / "pets.zip")
    with zipfile.ZipFile(source, "a") as made:
        entry = zipfile.ZipInfo("cat")
        entry.external_attr = (stat.S_IFDIR | 0o755) << 16
        made.writestr(entry, b"")
    return Made(source)


# Locks


def _patched(source: Path, name: str, *, flags: int = 0, method: int | None = None) -> Path:
    """Set flags or the method of packing of one entry, in its header and in the directory."""
    data = bytearray(source.read_bytes())
    for start, at_flags, length in ((b"PK\x03\x04", 6, 30), (b"PK\x01\x02", 8, 46)):
        at = data.index(name.encode(), data.index(start) + length) - length
        while data[at : at + 4] != start:
            at = data.index(name.encode(), at + length + 1) - length
        data[at + at_flags] |= flags
        if method is not None:
            struct.pack_into("<H", data, at + at_flags + 2, method)
    source.write_bytes(data)
    return source


@kind
def encrypted_file_in_a_zip(folder: Path) -> Made:
    source = zipped(folder / "pets.zip", {"cat/secret.png": noise(50)})
    _patched(source, "cat/secret.png", flags=1)
    return Made(source, rejected={"cat/secret.png": "it is encrypted; pack it without a password"})


@kind
def file_of_an_unknown_packing(folder: Path) -> Made:
    """Deflate64, which the file manager of Windows writes."""
    source = zipped(folder / "pets.zip", {"cat/new.png": noise(50)})
    _patched(source, "cat/new.png", method=9)
    return Made(source, rejected={"cat/new.png": "packed in a way that is not read"})


@kind
def nothing_but_encrypted_files(folder: Path) -> Made:
    source = zipped(folder / "pets.zip")
    for name in good():
        _patched(source, name, flags=1)
    return Made(source, error="it is encrypted; pack it without a password")


# Damage


@kind
def truncated_zip(folder: Path) -> Made:
    source = zipped(folder / "pets.zip")
    with zipfile.ZipFile(source, "a") as made:
        made.writestr("dog/last.png", noise(50, 60, 60))
    source.write_bytes(source.read_bytes()[:-4_000])
    return Made(source, told=("'pets.zip' is damaged", "cut short", "only the 8 files before"))


@kind
def truncated_tar(folder: Path) -> Made:
    source = tarred(folder / "pets.tar", {"dog/last.png": noise(50, 60, 60)})
    source.write_bytes(source.read_bytes()[: -10_240 - 2_000])
    return Made(source, told=("'pets.tar' is damaged", "only the 8 files before"))


@kind
def truncated_gzip(folder: Path) -> Made:
    source = tarred(folder / "pets.tgz", {"dog/last.png": noise(50, 90, 90)}, "w:gz")
    source.write_bytes(source.read_bytes()[:-6_000])
    return Made(source, told=("'pets.tgz' is damaged", "only the 8 files before"))


@kind
def truncated_from_the_start(folder: Path) -> Made:
    source = tarred(folder / "pets.tgz", mode="w:gz")
    source.write_bytes(source.read_bytes()[:60])
    return Made(source, error="'pets.tgz' is damaged")


@kind
def file_with_a_wrong_sum_in_a_zip(folder: Path) -> Made:
    source = zipped(folder / "pets.zip", {"cat/x.png": noise(50, 60, 60)}, zipfile.ZIP_STORED)
    data = bytearray(source.read_bytes())
    data[1_000] ^= 0xFF
    source.write_bytes(data)
    return Made(source, rejected={"cat/x.png": "its part of the archive is damaged"})


@kind
def wrong_header_in_a_tar(folder: Path) -> Made:
    source = tarred(folder / "pets.tar", {"dog/x.png": noise(50), "dog/y.png": noise(51)})
    data = bytearray(source.read_bytes())
    at = data.index(b"dog/y.png")
    data[at : at + 5] = b"#####"
    source.write_bytes(data)
    return Made(source, accepted=("dog/x.png",), told=("'pets.tar' is damaged",))


@kind
def size_that_lies_in_a_zip(folder: Path) -> Made:
    source = zipped(folder / "pets.zip", {"cat/x.png": noise(50)})
    data = bytearray(source.read_bytes())
    struct.pack_into("<I", data, data.index(b"PK\x01\x02") + 24, 7)
    source.write_bytes(data)
    return Made(source, rejected={"cat/x.png": "damaged"})


# Oddities


@kind
def two_files_of_one_name(folder: Path) -> Made:
    source = zipped(folder / "pets.zip", {"cat/x.png": noise(50)})
    with warnings.catch_warnings(), zipfile.ZipFile(source, "a") as made:
        warnings.simplefilter("ignore")
        made.writestr("cat/x.png", noise(51))
        made.writestr("cat\\x.png", noise(52))
    return Made(source, accepted=("cat/x.png", "cat/x (2).png", "cat/x (3).png"))


@kind
def zip_of_64_bits(folder: Path) -> Made:
    """Every size stands in the fields for more than 4 GB."""
    with zipfile.ZipFile(folder / "pets.zip", "w") as made:
        for name, data in good().items():
            with made.open(name, "w", force_zip64=True) as file:
                file.write(data)
    data = (folder / "pets.zip").read_bytes()
    at = data.rindex(b"PK\x05\x06")
    count, size, offset = struct.unpack_from("<HII", data, at + 10)
    record = struct.pack(
        "<4sQHHIIQQQQ", b"PK\x06\x06", 44, 45, 45, 0, 0, count, count, size, offset
    )
    locator = struct.pack("<4sIQI", b"PK\x06\x07", 0, at, 1)
    end = struct.pack("<4sHHHHIIH", b"PK\x05\x06", 0, 0, *[0xFFFF] * 2, *[0xFFFFFFFF] * 2, 0)
    (folder / "pets.zip").write_bytes(data[:at] + record + locator + end)
    return Made(folder / "pets.zip")


@kind
def self_extracting_zip(folder: Path) -> Made:
    inner = zipped(folder / "pets.exe").read_bytes()
    (folder / "pets.exe").write_bytes(b"MZ" + RUBBISH + inner)
    return Made(folder / "pets.exe")


@kind
def zip_with_rubbish_behind_it(folder: Path) -> Made:
    source = zipped(folder / "pets.zip")
    source.write_bytes(source.read_bytes() + RUBBISH)
    return Made(source)


@kind
def tar_with_odd_extended_headers(folder: Path) -> Made:
    with tarfile.open(folder / "pets.tar", "w", format=tarfile.PAX_FORMAT) as made:
        for name, data in good().items():
            add_to(made, name, data)
        odd = {"mtime": "nan", "uid": "-1", "comment": "\u202e" * 500, "SCHILY.xattr.x": "\0"}
        add_to(made, "cat/odd.png", noise(50), pax_headers=odd)
        add_to(made, "cat/long.png", noise(51), pax_headers={"path": f"cat/{'x' * 200}/long.png"})
    return Made(folder / "pets.tar", accepted=("cat/odd.png", f"cat/{'x' * 200}/long.png"))


@kind
def wrong_ending_of_an_archive(folder: Path) -> Made:
    return Made(tarred(folder / "pets.zip", mode="w:bz2"))


# None at all


@kind
def text_named_zip(folder: Path) -> Made:
    (folder / "pets.zip").write_text("Not found\n" * 200)
    return Made(folder / "pets.zip", error=NEITHER)


@kind
def rubbish_named_zip(folder: Path) -> Made:
    (folder / "pets.zip").write_bytes(RUBBISH)
    return Made(folder / "pets.zip", error=NEITHER)


@kind
def archive_of_nothing_bytes(folder: Path) -> Made:
    (folder / "pets.zip").write_bytes(b"")
    return Made(folder / "pets.zip", error="it is empty (0 bytes)")


@kind
def archive_of_a_kind_that_is_not_read(folder: Path) -> Made:
    (folder / "pets.rar").write_bytes(b"Rar!\x1a\x07\1\0" + RUBBISH)
    return Made(folder / "pets.rar", error="Pack the class folders into a zip file")


@kind
def compressed_text(folder: Path) -> Made:
    (folder / "pets.tgz").write_bytes(gzip.compress(RUBBISH))
    return Made(folder / "pets.tgz", error=NEITHER)


@kind
def one_picture_instead_of_an_archive(folder: Path) -> Made:
    (folder / "cat.png").write_bytes(noise(50))
    return Made(folder / "cat.png", error="is one picture")


@kind
def zip_of_nothing(folder: Path) -> Made:
    with zipfile.ZipFile(folder / "pets.zip", "w"):
        pass
    return Made(folder / "pets.zip", error="It is empty: no picture and no other file")


@kind
def zip_in_a_zip(folder: Path) -> Made:
    inner = zipped(folder / "inner.zip").read_bytes()
    with zipfile.ZipFile(folder / "pets.zip", "w") as made:
        made.writestr("pets/inner.zip", inner)
    return Made(folder / "pets.zip", error="it is an archive inside the upload; unpack it first")


@kind
def nothing_there(folder: Path) -> Made:
    return Made(folder / "lost.zip", error="There is nothing at")


@kind
def archive_among_the_pictures(folder: Path) -> Made:
    source = planted(folder / "pets", {"cat/more.tar.gz": gzip.compress(RUBBISH)})
    return Made(source, rejected={"cat/more.tar.gz": "an archive inside the upload"})
