"""What a picture file says of itself: facts where there are some, and never an error."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFile

from tests.transfer import corpus_pictures, corpus_unusual
from transfer.dataset import origin
from transfer.dataset.decode import read as decode
from transfer.dataset.index import Origin
from transfer.dataset.library import import_dataset

PIXELS = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
_EXIF, _TAKEN, _FRACTION = 0x8769, 0x9003, 0x9291


def _exif(taken: str = "2024:05:17 10:31:07", **more: object) -> Image.Exif:
    exif = Image.Exif()
    exif[0x010F], exif[0x0110], exif[0x0112] = "Maker\0", " Model 7 ", 6
    inner = exif.get_ifd(_EXIF)
    inner[_TAKEN], inner[_FRACTION] = taken, more.get("fraction", "25")
    return exif


def _saved(kind: str, picture: Image.Image | None = None, **options: object) -> bytes:
    buffer = io.BytesIO()
    (picture or Image.fromarray(PIXELS)).save(buffer, kind, **options)
    return buffer.getvalue()


def test_the_size_of_a_tiff_is_the_one_before_it_is_turned() -> None:
    exif = _exif()
    exif[0x0132] = "2024:05:17 10:31:07"  # Pillow writes no inner block into a TIFF
    found = origin.read(_saved("TIFF", exif=exif))
    assert (found.width, found.height, found.orientation) == (30, 20, 6)
    assert found.taken == 1_715_941_867


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_the_camera_and_the_time_are_read(kind: str) -> None:
    data = _saved(kind, exif=_exif())
    found = origin.read(data)
    assert found == Origin(len(data), kind, "RGB", 30, 20, 6, "Maker Model 7", found.taken)
    assert found.taken == 1_715_941_867.25  # as if the camera's clock showed UTC


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF"])
def test_a_file_without_exif_says_only_what_it_is(kind: str) -> None:
    data = _saved(kind)
    found = origin.read(data)
    assert (found.format, found.width, found.height) == (kind, 30, 20)
    assert (found.bytes, found.orientation, found.camera) == (len(data), 1, "")
    assert found.taken is None


def test_the_mode_is_that_of_the_file() -> None:
    grey = Image.fromarray(PIXELS[..., 0])
    assert origin.read(_saved("PNG", grey)).mode == "L"
    assert origin.read(_saved("JPEG", Image.fromarray(PIXELS).convert("CMYK"))).mode == "CMYK"
    deep = Image.fromarray(PIXELS[..., 0].astype(np.uint16) * 256)
    assert origin.read(_saved("PNG", deep)).mode == "I;16"


def test_bursts_are_apart_by_their_fractions() -> None:
    times = [origin.read(_saved("JPEG", exif=_exif(fraction=f))).taken for f in ("0", "5", "75")]
    assert [time - times[0] for time in times if time and times[0]] == [0.0, 0.5, 0.75]


@pytest.mark.parametrize("taken", ["", "0000:00:00 00:00:00", "yesterday", "2024:13:45 99:99:99"])
def test_a_time_that_never_was_is_none(taken: str) -> None:
    assert origin.read(_saved("JPEG", exif=_exif(taken))).taken is None


@pytest.mark.parametrize("data", [b"", b"no picture", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n" * 9])
def test_what_is_no_picture_says_nothing(data: bytes) -> None:
    assert origin.read(data) == Origin(len(data), "", "", 0, 0)


@pytest.mark.parametrize(
    "make",
    [
        corpus_unusual.broken_exif,
        corpus_unusual.exif_that_points_to_itself,
        corpus_unusual.exif_of_a_time_that_never_was,
    ],
)
def test_nonsense_in_exif_leaves_the_rest(make: Callable[[], bytes]) -> None:
    found = origin.read(make())
    assert (found.format, found.width, found.height, found.orientation) == ("JPEG", 60, 40, 1)
    assert len(found.camera) <= 120
    assert not set(found.camera) & {chr(i) for i in range(32)}


def test_only_headers_are_read() -> None:
    """Also of a PNG, which Pillow would decode in search of EXIF behind its pixels."""
    data = _saved("PNG", Image.new("RGB", (300, 300)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ImageFile.ImageFile, "load", None)  # decoding would fail
        assert origin.read(data).width == 300


def test_exif_behind_the_pixels_of_a_png_is_found() -> None:
    data = _saved("PNG")
    exif = corpus_pictures.chunk(b"eXIf", _exif().tobytes().removeprefix(b"Exif\0\0"))
    found = origin.read(data[:-12] + exif + data[-12:])
    assert (found.orientation, found.camera) == (6, "Maker Model 7")
    assert decode(data[:-12] + exif + data[-12:]).shape == (30, 20, 3)


def test_too_little_memory_is_no_fact_about_a_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object) -> None:
        raise MemoryError

    monkeypatch.setattr(Image.Exif, "get_ifd", fail)
    with pytest.raises(MemoryError):
        origin.read(_saved("JPEG", exif=_exif()))


def test_it_stands_in_the_index(tmp_path: Path) -> None:
    for label in ("cat", "dog"):
        (tmp_path / label).mkdir()
        for i in range(4):
            picture = Image.fromarray(np.roll(PIXELS, i))
            picture.save(tmp_path / label / f"{i}.jpg", exif=_exif())
    for picture in import_dataset(tmp_path).pictures:
        assert picture.origin is not None
        assert (picture.origin.camera, picture.origin.orientation) == ("Maker Model 7", 6)
        assert (picture.origin.width, picture.width) == (30, 20)  # of the file; upright
        assert picture.origin.bytes == (tmp_path / picture.name).stat().st_size
