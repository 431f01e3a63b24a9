"""Decoding: every format and mode, EXIF, 16 bits, alpha, reduction, damage, all by pixels."""

import io
import random
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from transfer.dataset.decode import decode, reduce
from transfer.errors import DataError

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (9, 13, 3), np.uint8)


def _saved(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _png(width: int, height: int, kind: int, depth: int, rows: bytes, *extra: bytes) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + _chunk(b"IHDR", header)
        + b"".join(extra)
        + _chunk(b"IDAT", zlib.compress(rows))
        + _chunk(b"IEND", b"")
    )


def _on_white(rgb: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    wide = alpha[..., None].astype(int)
    return ((rgb.astype(int) * wide + 255 * (255 - wide) + 127) // 255).astype(np.uint8)


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF"])
def test_lossless_kinds_keep_every_pixel(kind: str):
    assert np.array_equal(decode(_saved(Image.fromarray(PIXELS), kind)), PIXELS)


def test_webp_without_loss_keeps_every_pixel():
    assert np.array_equal(decode(_saved(Image.fromarray(PIXELS), "WEBP", lossless=True)), PIXELS)


def test_jpeg_is_what_pillow_decodes():
    data = _saved(Image.fromarray(PIXELS), "JPEG", quality=90)
    assert np.array_equal(decode(data), np.asarray(Image.open(io.BytesIO(data)).convert("RGB")))


def test_a_wrong_ending_is_no_hindrance(tmp_path: Path):
    path = tmp_path / "really.jpg"
    path.write_bytes(_saved(Image.fromarray(PIXELS), "PNG"))
    assert np.array_equal(decode(path), PIXELS)


def test_grey_and_palette_become_rgb():
    grey = PIXELS[..., 0]
    expected = np.repeat(grey[..., None], 3, 2)
    assert np.array_equal(decode(_saved(Image.fromarray(grey), "PNG")), expected)
    flat = Image.fromarray(PIXELS).quantize(16)
    assert np.array_equal(decode(_saved(flat, "PNG")), np.asarray(flat.convert("RGB")))
    bits = Image.fromarray((grey > 128).astype(np.uint8) * 255).convert("1")
    assert np.array_equal(decode(_saved(bits, "PNG"))[..., 0], np.where(grey > 128, 255, 0))


def test_cmyk_becomes_rgb():
    image = Image.fromarray(PIXELS).convert("CMYK")
    data = _saved(image, "JPEG", quality=95)
    with Image.open(io.BytesIO(data)) as opened:
        assert opened.mode == "CMYK"
        expected = np.asarray(opened.convert("RGB"))
    assert np.array_equal(decode(data), expected)
    assert np.array_equal(decode(_saved(image, "TIFF")), np.asarray(image.convert("RGB")))


def test_transparent_parts_lie_on_white():
    alpha = RNG.integers(0, 256, (9, 13), np.uint8)
    alpha[0], alpha[1] = 0, 255
    rgba = np.dstack([PIXELS, alpha])
    for kind, options in (("PNG", {}), ("WEBP", {"lossless": True, "exact": True})):
        data = _saved(Image.fromarray(rgba), kind, **options)
        assert np.array_equal(decode(data), _on_white(PIXELS, alpha))
    grey = PIXELS[..., 0]
    data = _saved(Image.fromarray(np.dstack([grey, alpha])), "PNG")
    assert np.array_equal(decode(data), _on_white(np.repeat(grey[..., None], 3, 2), alpha))


def test_a_transparent_palette_entry_lies_on_white():
    image = Image.new("P", (2, 1))
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.putdata([0, 1])
    assert decode(_saved(image, "PNG", transparency=0)).tolist() == [[[255] * 3, [0, 0, 255]]]
    partly = _saved(image, "PNG", transparency=bytes([128, 255]))
    assert decode(partly).tolist() == [[[255, 127, 127], [0, 0, 255]]]


def test_sixteen_bits_keep_their_upper_eight():
    values = RNG.integers(0, 65536, (9, 13), np.uint16)
    expected = np.repeat((values >> 8).astype(np.uint8)[..., None], 3, 2)
    for kind in ("PNG", "TIFF"):
        assert np.array_equal(decode(_saved(Image.fromarray(values), kind)), expected)
    colour = RNG.integers(0, 65536, (4, 5, 3), np.uint16)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in colour)
    assert np.array_equal(decode(_png(5, 4, 2, 16, rows)), (colour >> 8).astype(np.uint8))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_exif_turns_the_picture_upright(orientation: int, kind: str):
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"quality": 95} if kind in ("JPEG", "WEBP") else {}
    plain = _saved(Image.fromarray(PIXELS), kind, **options)
    turned = _saved(Image.fromarray(PIXELS), kind, exif=exif, **options)
    as_stored = decode(plain)
    flips = {2: (0, 1), 3: (2, 0), 4: (2, 1), 5: (1, 1), 6: (3, 0), 7: (3, 1), 8: (1, 0)}
    quarters, mirrored = flips.get(orientation, (0, 0))
    expected = np.rot90(as_stored, quarters)
    expected = expected[:, ::-1] if mirrored and orientation in (2, 4) else expected
    if orientation == 4:
        expected = as_stored[::-1]
    if orientation == 5:
        expected = as_stored.swapaxes(0, 1)
    if orientation == 7:
        expected = as_stored[::-1, ::-1].swapaxes(0, 1)
    assert np.array_equal(decode(turned), expected)


def test_the_first_frame_counts():
    frames = [Image.new("P", (6, 5), i) for i in range(3)]
    for frame in frames:
        frame.putpalette([10, 20, 30, 200, 0, 0, 0, 200, 0])
    for kind in ("GIF", "TIFF"):
        data = _saved(frames[0], kind, save_all=True, append_images=frames[1:])
        assert decode(data).tolist() == [[[10, 20, 30]] * 6] * 5


def test_large_pictures_are_reduced_by_whole_blocks():
    pixels = RNG.integers(0, 256, (1001, 1503, 3), np.uint8)
    result = decode(_saved(Image.fromarray(pixels), "PNG", compress_level=1))
    blocks = pixels[:1000, :1502].astype(int).reshape(500, 2, 751, 2, 3).sum((1, 3))
    assert np.array_equal(result, (blocks + 2) // 4)


@pytest.mark.parametrize("side", [1, 479, 480, 959, 960, 1439, 1440, 2000])
def test_the_short_side_ends_under_twice_480(side: int):
    result = reduce(np.full((side, 2001, 3), 200, np.uint8))
    assert min(side, 480) <= min(result.shape[:2]) < 960
    assert np.all(result == 200)
    assert np.array_equal(reduce(result), result)


def test_a_truncated_picture_is_refused():
    for kind in ("JPEG", "PNG", "WEBP", "BMP", "GIF"):
        data = _saved(Image.fromarray(RNG.integers(0, 256, (64, 64, 3), np.uint8)), kind)
        with pytest.raises(DataError, match=r"damaged|not a picture"):
            decode(data[: len(data) * 6 // 10])


def test_a_truncated_jpeg_is_told_as_such():
    data = _saved(Image.fromarray(RNG.integers(0, 256, (64, 64, 3), np.uint8)), "JPEG")
    with pytest.raises(DataError, match="a part of it is missing"):
        decode(data[: len(data) * 6 // 10])


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "is empty"),
        (b"this is text\n" * 20, r"is named like a picture \(\.jpg\) but holds none that can"),
        (b"\xff\xd8\xff", "not a picture|damaged"),
        (b"PK\x03\x04" + bytes(60), "is an archive"),
        (b"\0\0\0\x18ftypheic" + bytes(60), "HEIC"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "named like a picture"),
    ],
)
def test_what_is_no_picture_is_refused(tmp_path: Path, data: bytes, reason: str):
    path = tmp_path / "text.jpg"
    path.write_bytes(data)
    with pytest.raises(DataError, match=reason):
        decode(path)


def test_what_is_not_named_like_a_picture_is_refused(tmp_path: Path):
    path = tmp_path / "notes.txt"
    path.write_bytes(b"this is text\n" * 20)
    for source in (path, path.read_bytes()):
        with pytest.raises(DataError, match="is not a picture of a kind that is read"):
            decode(source)


def test_a_missing_file_is_refused(tmp_path: Path):
    with pytest.raises(DataError, match="cannot be read"):
        decode(tmp_path / "no.jpg")


@pytest.mark.parametrize("sides", [(20_000, 20_000), (100_000, 1_001), (2**31 - 1, 2**31 - 1)])
def test_too_many_pixels_are_refused_by_the_header(sides: tuple[int, int]):
    with pytest.raises(DataError, match="more than 100 million pixels"):
        decode(_png(*sides, 2, 8, b"\0" * 1000))


def test_broken_exif_and_profiles_do_not_reject():
    image = Image.fromarray(PIXELS)
    for exif in (b"Exif\0\0garbage" * 9, b"Exif\0\0II*\0\xff\xff\xff\x7f", b"Exif\0\0"):
        assert decode(_saved(image, "JPEG", exif=exif)).shape == PIXELS.shape
        assert np.array_equal(decode(_saved(image, "PNG", exif=exif)), PIXELS)
    for kind in ("JPEG", "PNG", "TIFF"):
        assert decode(_saved(image, kind, icc_profile=b"no profile")).shape == PIXELS.shape


def test_broken_comments_of_a_png_do_not_reject():
    rows = b"".join(b"\0" + row.tobytes() for row in PIXELS)
    bomb = _chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(80_000_000)))
    broken = _chunk(b"iCCP", b"name\0\0not compressed")
    assert np.array_equal(decode(_png(13, 9, 2, 8, rows, bomb)), PIXELS)
    assert np.array_equal(decode(_png(13, 9, 2, 8, rows, broken)), PIXELS)


def _exif(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


@pytest.mark.parametrize(
    "options", [{"compression": "tiff_lzw"}, {"compression": "tiff_deflate"}, {"big_tiff": True}]
)
def test_kinds_of_tiff(options: dict[str, object]):
    assert np.array_equal(decode(_saved(Image.fromarray(PIXELS), "TIFF", **options)), PIXELS)


def test_ycbcr_becomes_rgb():
    picture = Image.fromarray(PIXELS).convert("YCbCr")
    assert np.array_equal(decode(_saved(picture, "TIFF")), np.asarray(picture.convert("RGB")))


def test_several_pictures_in_one_jpeg_file_give_the_first():
    others = [Image.fromarray(255 - PIXELS)]
    data = _saved(Image.fromarray(PIXELS), "MPO", save_all=True, append_images=others)
    assert np.array_equal(decode(data), decode(_saved(Image.fromarray(PIXELS), "JPEG")))


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_animated_pictures_give_the_first_frame(kind: str):
    frames = [Image.new("RGB", (20, 10), colour) for colour in ("red", "blue", "lime")]
    options = {"lossless": True} if kind == "WEBP" else {}
    data = _saved(frames[0], kind, save_all=True, append_images=frames[1:], **options)
    assert np.array_equal(decode(data), np.full((10, 20, 3), (255, 0, 0), np.uint8))


def test_alpha_of_pictures_of_several_strips():
    rgba = RNG.integers(0, 256, (1500, 900, 4), np.uint8)
    data = _saved(Image.fromarray(rgba), "PNG", compress_level=1)
    assert np.array_equal(decode(data), reduce(_on_white(rgba[..., :3], rgba[..., 3])))


@pytest.mark.parametrize(
    ("depth", "kind", "row", "transparent", "expected"),
    [
        (8, 0, [7, 9], [7], [[255] * 3, [9] * 3]),
        (16, 0, [0x1234, 0x1235], [0x1235], [[0x12] * 3, [255] * 3]),
        (8, 2, [1, 2, 3, 4, 5, 6], [1, 2, 3], [[255] * 3, [4, 5, 6]]),
        (16, 2, [0x101, 0x202, 0x303, 0x404, 0x505, 0x606], [0x101, 0x202, 0x303],
         [[255] * 3, [4, 5, 6]]),
    ],
)  # fmt: skip
def test_a_transparent_colour_becomes_white(
    depth: int, kind: int, row: list[int], transparent: list[int], expected: list[list[int]]
):
    rows = b"\0" + struct.pack(f">{len(row)}{'B' if depth == 8 else 'H'}", *row)
    colour = _chunk(b"tRNS", struct.pack(f">{len(transparent)}H", *transparent))
    assert decode(_png(2, 1, kind, depth, rows, colour)).tolist() == [expected]


def test_sixteen_bit_colour_with_alpha():
    values = RNG.integers(0, 65536, (6, 5, 4), np.uint16)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    high = (values >> 8).astype(np.uint8)
    expected = _on_white(high[..., :3], high[..., 3])
    assert np.array_equal(decode(_png(5, 6, 6, 16, rows)), expected)


def test_dark_sixteen_bit_grey_is_not_stretched():
    data = _saved(Image.fromarray(np.full((5, 5), 200, np.uint16)), "PNG")
    assert decode(data).max() == 0


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.array([[0.0, 0.5, 1.0]], np.float32), [0, 128, 255]),
        (np.array([[0.0, 100.0, 255.0]], np.float32), [0, 100, 255]),
        (np.array([[0.0, 256.0, 65535.0]], np.float32), [0, 1, 255]),
        (np.array([[-1.0, 0.0, 1.0]], np.float32), [0, 128, 255]),
        (np.array([[np.nan, 0.5, np.inf]], np.float32), [0, 128, 0]),
        (np.array([[0, 100, 255]], np.int32), [0, 100, 255]),
        (np.array([[0, 256, 65535]], np.int32), [0, 1, 255]),
        (np.array([[0, 2**30, 2**31 - 1]], np.int32), [0, 128, 255]),
    ],
)
def test_thirty_two_bit_grey(values: np.ndarray, expected: list[int]):
    assert decode(_saved(Image.fromarray(values), "TIFF"))[0, :, 0].tolist() == expected


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_orientations_that_do_not_exist_are_ignored(orientation: int):
    data = _saved(Image.fromarray(PIXELS), "JPEG", exif=_exif(orientation))
    assert decode(data).shape == PIXELS.shape


def test_broken_segments_of_a_jpeg_do_not_reject():
    starts = [
        (0xE0, b"JFIF\0"), (0xE1, b"Exif\0\0"), (0xE1, b"Exif\0\0II*\0\x08\0\0\0"),
        (0xE2, b"ICC_PROFILE\0"), (0xE2, b"MPF\0II*\0\x08\0\0\0"), (0xEE, b"Adobe"),
        (0xED, b"Photoshop 3.0\0008BIM"), (0xFE, b""), (0xE1, b"http://ns.adobe.com/xap/1.0/\0"),
    ]  # fmt: skip
    data, rng = _saved(Image.fromarray(PIXELS), "JPEG"), random.Random(0)
    for marker, start in starts:
        for length in (0, 1, 2, 5, 14, 40):
            segment = start + rng.randbytes(length)
            head = bytes((0xFF, marker)) + struct.pack(">H", len(segment) + 2)
            assert decode(data[:2] + head + segment + data[2:]).shape == PIXELS.shape


def test_a_huge_profile_or_a_false_sum_in_a_png_do_not_reject():
    rows = b"\0" + bytes(range(6))
    profile = _chunk(b"iCCP", b"icc\0\0" + zlib.compress(bytes(5_000_000)))
    false_sum = _chunk(b"tEXt", b"a\0b")[:-1] + b"\0"
    for extra in (profile, false_sum, _chunk(b"eXIf", b"MM\0")):
        assert decode(_png(2, 1, 2, 8, rows, extra)).tolist() == [[[0, 1, 2], [3, 4, 5]]]


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_cut_files_are_damaged(kind: str, share: float):
    data = _saved(Image.fromarray(PIXELS), kind)
    with pytest.raises(DataError, match="The file is damaged") as caught:
        decode(data[: int(len(data) * share)])
    assert "0x" not in str(caught.value)


def test_a_false_size_within_the_limit_is_damage():
    with pytest.raises(DataError, match="damaged"):
        decode(_png(3000, 3000, 2, 8, b"\0abc"))


def test_a_picture_just_over_the_limit_is_refused():
    """Between Pillow's limit and twice that it only warns."""
    with pytest.raises(DataError, match="more than 100 million pixels"):
        decode(_png(10_001, 10_000, 0, 1, b""))


def test_only_the_promised_formats_are_tried():
    with pytest.raises(DataError, match="not a picture"):
        decode(_saved(Image.fromarray(PIXELS), "ICO"))
