"""Pictures of unusual kinds that are read: films, prints, 16 bits, transparency, odd metadata."""

import io
import struct
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

from tests.transfer.corpus import Made, kind, noise, picture, planted, saved
from tests.transfer.corpus_pictures import (
    RNG,
    chunk,
    colour,
    jpeg,
    png,
    segment,
    small_png,
    with_segments,
)


@picture("cat/really.jpg")
def wrong_ending() -> bytes:
    return noise(1)


@picture("cat/PHOTO.JPG")
def upper_case_ending() -> bytes:
    return jpeg()


@picture("cat/photo")
def no_ending() -> bytes:
    return jpeg()


def _film(form: str, **options: object) -> bytes:
    frames = [Image.new("RGB", (30, 20), colour) for colour in ("red", "blue", "lime")]
    return saved(frames[0], form, save_all=True, append_images=frames[1:], **options)


@picture("cat/film.gif")
def animated_gif() -> bytes:
    return _film("GIF")


@picture("cat/film.webp")
def animated_webp() -> bytes:
    return _film("WEBP", lossless=True)


@picture("cat/film.png")
def animated_png() -> bytes:
    return _film("PNG")


@picture("cat/stereo.jpg")
def two_pictures_in_one_jpeg() -> bytes:
    return saved(colour(), "MPO", save_all=True, append_images=[colour()])


@picture("cat/print.jpg")
def cmyk_jpeg() -> bytes:
    return saved(colour().convert("CMYK"), "JPEG")


@picture("cat/print.jpg")
def inverted_cmyk_jpeg_of_adobe() -> bytes:
    data = saved(colour().convert("CMYK"), "JPEG")
    adobe = segment(0xEE, b"Adobe" + struct.pack(">HHHB", 100, 0, 0, 2))  # 2: YCCK
    return data[:2] + adobe + data[2:]


@picture("cat/grey.png")
def sixteen_bit_grey_png() -> bytes:
    return saved(Image.fromarray(RNG.integers(0, 65_536, (20, 30), np.uint16)), "PNG")


@picture("cat/deep.png")
def sixteen_bit_colour_png() -> bytes:
    rows = b"".join(b"\0" + RNG.bytes(30 * 6) for _ in range(20))
    return png(30, 20, 2, 16, rows)


@picture("cat/float.tif")
def tiff_of_numbers_and_not_a_number() -> bytes:
    values = RNG.normal(size=(20, 30)).astype(np.float32)
    values[3:9], values[0, 0] = np.nan, np.inf
    return saved(Image.fromarray(values), "TIFF")


@picture("cat/nothing.tif")
def tiff_of_nothing_but_not_a_number() -> bytes:
    return saved(Image.fromarray(np.full((20, 30), np.nan, np.float32)), "TIFF")


@picture("cat/glass.png")
def alpha() -> bytes:
    return saved(Image.fromarray(RNG.integers(0, 256, (20, 30, 4), np.uint8)), "PNG")


@picture("cat/air.png")
def nothing_but_transparent() -> bytes:
    return saved(Image.new("RGBA", (30, 20), (9, 9, 9, 0)), "PNG")


@picture("cat/palette.png")
def palette_with_transparency() -> bytes:
    return saved(colour().quantize(16), "PNG", transparency=bytes(range(0, 256, 16)))


@picture("cat/fax.png")
def one_bit() -> bytes:
    return saved(colour().convert("1"), "PNG")


@picture("cat/fax.tif")
def fax() -> bytes:
    return saved(colour().convert("1"), "TIFF", compression="group4")


@picture("cat/slow.jpg")
def progressive_jpeg() -> bytes:
    return jpeg(progressive=True)


@picture("cat/more.jpg")
def jpeg_with_rubbish_behind_it() -> bytes:
    return jpeg() + RNG.bytes(3_000_000)


@picture("cat/both.jpg")
def jpeg_that_is_a_zip_as_well() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as made:
        made.writestr("cat/inner.png", noise(3))
    return jpeg() + buffer.getvalue()


@picture("cat/arithmetic.jpg")
def arithmetic_coded_jpeg() -> bytes:
    """Any bytes are valid arithmetic code, so those of the usual code do."""
    return saved(Image.new("L", (32, 32), 90), "JPEG").replace(b"\xff\xc0", b"\xff\xc9", 1)


@picture("cat/lossless.jpg")
def lossless_jpeg() -> bytes:
    """8 x 8 grey pixels of 128: each differs from what is foreseen by nothing, the code 0."""
    frame = segment(0xC3, struct.pack(">BHHBBBB", 8, 8, 8, 1, 1, 0x11, 0))
    table = segment(0xC4, b"\0" + bytes([1, *[0] * 15]) + b"\0")
    scan = segment(0xDA, bytes([1, 1, 0, 1, 0, 0]))
    return b"\xff\xd8" + frame + table + scan + bytes(8) + b"\xff\xd9"


@kind
def eight_orientations(folder: Path) -> Made:
    pictures = {}
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        pictures[f"cat/turned-{orientation}.jpg"] = jpeg(exif=exif)
    return Made(planted(folder / "pets", pictures), accepted=tuple(pictures))


@picture("cat/exif.jpg")
def broken_exif() -> bytes:
    return with_segments(segment(0xE1, b"Exif\0\0II*\0\xff\xff\xff\x7f" + RNG.bytes(60)))


@picture("cat/exif.jpg")
def exif_that_points_to_itself() -> bytes:
    entry = struct.pack("<HHII", 0x8769, 4, 1, 8)
    return with_segments(
        segment(0xE1, b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", 1) + entry + b"\x08\0\0\0")
    )


@picture("cat/exif.jpg")
def exif_of_a_time_that_never_was() -> bytes:
    exif = Image.Exif()
    exif[0x0132], exif[0x010F], exif[0x0112] = "0000:99:99 77:77:77", "\0\x1b[31m" * 90, 77
    return jpeg(exif=exif)


@picture("cat/profile.jpg")
def broken_colour_profile() -> bytes:
    return jpeg(icc_profile=b"no profile" * 90)


@picture("cat/profile.png")
def broken_colour_profile_of_a_png() -> bytes:
    return small_png(chunk(b"iCCP", b"name\0\0not compressed"))
