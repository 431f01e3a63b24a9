"""Bad pictures, and good ones of unusual kinds."""

import io
import struct
import zipfile
import zlib

import numpy as np
from PIL import Image

from tests.transfer.corpus import noise, picture, saved

RNG = np.random.default_rng(7)
PIXELS = RNG.integers(0, 256, (40, 60, 3), np.uint8)
NO_PICTURE = "is named like a picture (.jpg) but holds none"
DAMAGED = "it is damaged"
TOO_LARGE = "more than 100 million pixels"


def colour() -> Image.Image:
    return Image.fromarray(PIXELS)


def jpeg(**options: object) -> bytes:
    return saved(colour(), "JPEG", quality=90, **options)


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(width: int, height: int, mode: int, depth: int, rows: bytes, *extra: bytes) -> bytes:
    """A PNG by hand; `mode` is its colour type, `rows` its filtered lines."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, mode, 0, 0, 0))
    data = chunk(b"IDAT", zlib.compress(rows, 1))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(extra) + data + chunk(b"IEND", b"")


def small_png(*extra: bytes) -> bytes:
    rows = b"".join(b"\0" + row.tobytes() for row in PIXELS)
    return png(60, 40, 2, 8, rows, *extra)


def segment(marker: int, data: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(data) + 2) + data


def with_segments(*segments: bytes) -> bytes:
    data = jpeg()
    return data[:2] + b"".join(segments) + data[2:]


# Nothing, or only a part


@picture("cat/empty.jpg", "it is empty (0 bytes)")
def empty_file() -> bytes:
    return b""


@picture("cat/one.jpg", NO_PICTURE)
def one_byte() -> bytes:
    return b"\xff"


@picture("cat/cut.jpg", "a part of it is missing")
def truncated_jpeg() -> bytes:
    return jpeg()[:1500]


@picture("cat/cut.png", "a part of it is missing")
def truncated_png() -> bytes:
    return small_png()[:3000]


@picture("cat/cut.webp", DAMAGED)
def truncated_webp() -> bytes:
    return saved(colour(), "WEBP")[:900]


@picture("cat/cut.gif", DAMAGED)
def truncated_gif() -> bytes:
    return saved(colour(), "GIF")[:1200]


@picture("cat/cut.tif", DAMAGED)
def truncated_tiff() -> bytes:
    return saved(colour(), "TIFF")[:3000]


@picture("cat/broken.png", DAMAGED)
def png_with_a_wrong_sum() -> bytes:
    data = bytearray(small_png())
    data[-200] ^= 0xFF
    return bytes(data)


@picture("cat/short.png")
def png_with_too_few_rows() -> bytes:
    """It is whole by its sums, and black below."""
    return png(500, 500, 2, 8, b"\0" + bytes(1500))


@picture("cat/zero.png", DAMAGED)
def picture_without_width() -> bytes:
    return png(0, 10, 2, 8, b"\0" * 10)


@picture("cat/header.bmp", DAMAGED)
def bmp_with_a_bad_header() -> bytes:
    data = bytearray(saved(colour(), "BMP"))
    struct.pack_into("<I", data, 14, 9999)
    return bytes(data)


@picture("cat/bits.bmp", DAMAGED)
def bmp_of_seventeen_bits() -> bytes:
    data = bytearray(saved(colour(), "BMP"))
    struct.pack_into("<H", data, 28, 17)
    return bytes(data)


# Too much


@picture("cat/vast.png", TOO_LARGE)
def four_hundred_megapixels() -> bytes:
    return png(20_000, 20_000, 0, 1, bytes(2501) * 20_000)


@picture("cat/vast.jpg", TOO_LARGE)
def four_billion_pixels_by_the_header_of_a_jpeg() -> bytes:
    data = bytearray(jpeg())
    at = data.index(b"\xff\xc0")
    struct.pack_into(">HH", data, at + 5, 65_500, 65_500)
    return bytes(data)


@picture("cat/vast.gif", TOO_LARGE)
def gif_of_a_vast_canvas() -> bytes:
    data = bytearray(saved(colour(), "GIF"))
    struct.pack_into("<HH", data, 6, 60_000, 60_000)
    return bytes(data)


@picture("cat/large.png")
def sixteen_megapixels() -> bytes:
    return png(4000, 4000, 0, 8, bytes(4001) * 4000)


@picture("cat/large.png", slow=True)
def ninety_nine_megapixels_with_alpha() -> bytes:
    return png(9_950, 9_950, 6, 8, bytes(9_950 * 4 + 1) * 9_950)


@picture("cat/large.png", slow=True)
def ninety_nine_megapixels_of_sixteen_bits() -> bytes:
    return png(9_950, 9_950, 2, 16, bytes(9_950 * 6 + 1) * 9_950)


@picture("cat/line.png")
def line_of_twenty_thousand() -> bytes:
    return noise(1, width=1, height=20_000)


@picture("cat/line.png")
def line_of_twenty_thousand_across() -> bytes:
    return noise(1, width=20_000, height=1)


@picture("cat/line.png")
def line_of_ten_million_pixels() -> bytes:
    return png(10_000_000, 1, 0, 8, bytes(10_000_001))


@picture("cat/pixel.png")
def one_pixel() -> bytes:
    return noise(1, width=1, height=1)


@picture("cat/scans.jpg", "scans")
def jpeg_of_thousands_of_scans() -> bytes:
    """A few kilobytes that take minutes: each scan goes over all pixels again."""
    start = bytearray(saved(Image.new("L", (9_000, 9_000)), "JPEG", progressive=True))
    at = start.rindex(b"\xff\xda")
    return bytes(start[:-2]) + bytes(start[at:-2]) * 4_000 + b"\xff\xd9"


@picture("cat/comments.jpg")
def huge_metadata() -> bytes:
    return with_segments(*(segment(0xE1, bytes(65_000)) for _ in range(200)))


@picture("cat/comments.png")
def metadata_that_unpack_to_a_bomb() -> bytes:
    return small_png(chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(80_000_000), 1)))


@picture("cat/profile.png")
def colour_profile_that_unpacks_to_a_bomb() -> bytes:
    return small_png(chunk(b"iCCP", b"icc\0\0" + zlib.compress(bytes(80_000_000), 1)))


@picture("cat/film.gif")
def gif_of_two_thousand_frames() -> bytes:
    frame = saved(Image.new("P", (8, 8)), "GIF")
    at = frame.index(b"\x2c", 13 + 3 * 2 ** ((frame[10] & 7) + 1))
    return frame[:at] + frame[at:-1] * 2_000 + b";"


@picture("cat/pages.tif")
def tiff_of_many_pages() -> bytes:
    pages = [Image.new("L", (9, 9), i % 256) for i in range(300)]
    return saved(pages[0], "TIFF", save_all=True, append_images=pages[1:])


@picture("cat/loop.tif")
def tiff_whose_pages_go_in_a_circle() -> bytes:
    data = bytearray(saved(Image.new("L", (9, 9), 50), "TIFF"))
    at = struct.unpack_from("<I", data, 4)[0]
    entries = struct.unpack_from("<H", data, at)[0]
    struct.pack_into("<I", data, at + 2 + 12 * entries, at)
    return bytes(data)


@picture("cat/strips.tif", DAMAGED)
def tiff_whose_strips_lie_elsewhere() -> bytes:
    data = bytearray(saved(colour(), "TIFF"))
    at = struct.unpack_from("<I", data, 4)[0]
    for entry in range(struct.unpack_from("<H", data, at)[0]):
        if struct.unpack_from("<H", data, at + 2 + 12 * entry)[0] == 273:
            struct.pack_into("<HII", data, at + 4 + 12 * entry, 4, 1, 0x7FFFFFF0)
    return bytes(data)


# Something else


@picture("cat/clip.jpg", "it is a video")
def video() -> bytes:
    return b"\0\0\0\x20ftypisom\0\0\2\0isomiso2mp41" + RNG.bytes(9_000)


@picture("cat/clip.avi", "it is a video")
def video_of_an_old_kind() -> bytes:
    return b"RIFF\x10\x27\0\0AVI LIST" + RNG.bytes(9_000)


@picture("cat/scan.jpg", "it is a PDF")
def pdf() -> bytes:
    return b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n<< /Type /Catalog >>\nendobj\n%%EOF\n"


@picture("cat/logo.svg", "it is an SVG")
def svg() -> bytes:
    return b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"><rect/></svg>\n'


@picture("cat/phone.HEIC", "HEIC")
def heic() -> bytes:
    return b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + RNG.bytes(3_000)


@picture("cat/text.jpg", NO_PICTURE)
def text_named_jpg() -> bytes:
    return b"this is a text\n" * 50


@picture("cat/page.jpg", "it is a web page")
def error_page_named_jpg() -> bytes:
    return b"\r\n<!DOCTYPE html>\n<html><head><title>404 Not Found</title></head></html>\n"


@picture("cat/packed.jpg", "it is an archive, not a picture")
def archive_named_jpg() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as made:
        made.writestr("cat/inner.png", noise(3))
    return buffer.getvalue()


@picture("cat/new.jp2", "JPEG 2000")
def jpeg_2000() -> bytes:
    return b"\0\0\0\x0cjP  \r\n\x87\n\0\0\0\x14ftypjp2 " + RNG.bytes(500)


@picture("cat/new.jxl", "JPEG XL")
def jpeg_xl() -> bytes:
    return b"\xff\x0a" + RNG.bytes(500)


@picture("cat/layers.psd", "Photoshop")
def photoshop() -> bytes:
    return b"8BPS\0\1" + RNG.bytes(500)


@picture("cat/medical.jls", "kind of JPEG that is not read")
def jpeg_ls() -> bytes:
    frame = segment(0xF7, struct.pack(">BHHBBBB", 8, 8, 8, 1, 1, 0x11, 0))
    return b"\xff\xd8" + frame + segment(0xDA, bytes([1, 1, 0, 0, 0, 0])) + bytes(8) + b"\xff\xd9"


@picture("cat/notes.txt", "it is not a picture of a kind that is read")
def text_among_the_pictures() -> bytes:
    return b"remember the milk\n"
