"""The TensorFlow graph that reads pictures gives the same pixels as `dataset.decode`."""

import io
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

tf = pytest.importorskip("tensorflow")
keras = pytest.importorskip("keras")

from tests.transfer.corpus_pictures import png  # noqa: E402
from transfer import imaging  # noqa: E402
from transfer.dataset import decode as reference  # noqa: E402

RNG = np.random.default_rng(0)
# Smooth, as photographs are: colour planes at half the size would differ by noise otherwise.
ROWS, COLUMNS = np.mgrid[0:61, 0:83]
PIXELS = np.stack([ROWS * 4, COLUMNS * 3, 128 + 60 * np.sin(ROWS / 5) * np.cos(COLUMNS / 7)], -1)
PIXELS = PIXELS.clip(0, 255).astype(np.uint8)
ALPHA = RNG.integers(0, 256, PIXELS.shape[:2], np.uint8)


def _saved(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def decode() -> Callable[[bytes], np.ndarray]:
    """The graph, as it is exported: compiled once for all pictures."""
    graph = tf.function(imaging.decode, input_signature=[tf.TensorSpec([], tf.string)])
    return lambda data: graph(tf.constant(data)).numpy()


def _grey16() -> bytes:
    return _saved(Image.fromarray(RNG.integers(0, 65536, (61, 83), np.uint16)), "PNG")


def _la() -> bytes:
    return _saved(Image.fromarray(np.dstack([PIXELS[..., 2], ALPHA])), "PNG")


def _palette(**options: object) -> bytes:
    return _saved(Image.fromarray(PIXELS).quantize(32), "PNG", **options)


def _gif(frames: int) -> bytes:
    images = [Image.fromarray(np.roll(PIXELS, 9 * i, 0)).quantize(64) for i in range(frames)]
    return _saved(images[0], "GIF", save_all=True, append_images=images[1:])


def _turned(kind: str, **options: object) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return _saved(Image.fromarray(PIXELS), kind, exif=exif, **options)


def _shallow(bits: int) -> bytes:
    """A grey PNG with so few bits a pixel, which Pillow does not write."""
    values = (PIXELS[:60, :80, 2] >> (8 - bits)).reshape(60, -1, 8 // bits)
    shifts = np.arange(8 // bits)[::-1] * bits
    rows = (values.astype(np.uint16) << shifts).sum(-1).astype(np.uint8)
    return png(80, 60, 0, bits, b"".join(b"\0" + row.tobytes() for row in rows))


def _colour16() -> bytes:
    rows = RNG.integers(0, 65536, (61, 83 * 3)).astype(">u2")
    return png(83, 61, 2, 16, b"".join(b"\0" + row.tobytes() for row in rows))


def _raw_profile() -> bytes:
    """A PNG as ImageMagick wrote them: the EXIF block as text."""
    exif = Image.Exif()
    exif[0x0112] = 6
    text = f"\nexif\n{len(exif.tobytes()):8}\n{exif.tobytes().hex()}\n"
    info = PngImagePlugin.PngInfo()
    info.add_text("Raw profile type exif", text)
    return _saved(Image.fromarray(PIXELS), "PNG", pnginfo=info)


def _small_frame() -> bytes:
    data = bytearray(_gif(1))
    data[6:8] = (200).to_bytes(2, "little")  # the screen is wider than the frame
    return bytes(data)


# What the graph could only read in another way, and the words with which it refuses.
REFUSED = {
    "gif transparent": (
        lambda: _saved(Image.fromarray(PIXELS).quantize(32), "GIF", transparency=3),
        "transparent parts",
    ),
    "gif whose frame is small": (_small_frame, "first frame"),
    "bmp palette": (lambda: _saved(Image.fromarray(PIXELS).quantize(32), "BMP"), "palette"),
    "bmp 1 bit": (
        lambda: _saved(Image.fromarray(PIXELS[..., 2]).convert("1"), "BMP"),
        "few colours",
    ),
    "png with exif as text": (_raw_profile, "EXIF in a comment"),
    "tiff": (lambda: _saved(Image.fromarray(PIXELS), "TIFF"), "no JPEG, PNG"),
    "text": (lambda: b"hello, this is no picture", "no JPEG, PNG"),
    "nothing": (lambda: b"", "no JPEG, PNG"),
}


PICTURES = {
    "jpeg rgb": lambda: _saved(Image.fromarray(PIXELS), "JPEG", quality=90),
    "jpeg without subsampling": lambda: _saved(Image.fromarray(PIXELS), "JPEG", subsampling=0),
    "jpeg progressive": lambda: _saved(Image.fromarray(PIXELS), "JPEG", progressive=True),
    "jpeg grey": lambda: _saved(Image.fromarray(PIXELS[..., 2]), "JPEG"),
    "png rgb": lambda: _saved(Image.fromarray(PIXELS), "PNG"),
    "png grey": lambda: _saved(Image.fromarray(PIXELS[..., 2]), "PNG"),
    "png 1 bit": lambda: _saved(Image.fromarray(PIXELS[..., 2]).convert("1"), "PNG"),
    "png palette": _palette,
    "png palette, transparent": lambda: _palette(transparency=3),
    "png rgba": lambda: _saved(Image.fromarray(np.dstack([PIXELS, ALPHA])), "PNG"),
    "png la": _la,
    "png 16 bit grey": _grey16,
    "gif": lambda: _gif(1),
    "gif, three frames": lambda: _gif(3),
    "bmp": lambda: _saved(Image.fromarray(PIXELS), "BMP"),
    "bmp grey": lambda: _saved(Image.fromarray(PIXELS[..., 2]), "BMP"),
    "cmyk jpeg": lambda: _saved(Image.fromarray(PIXELS).convert("CMYK"), "JPEG"),
    "webp": lambda: _saved(Image.fromarray(PIXELS), "WEBP", lossless=True),
    "webp rgba": lambda: _saved(
        Image.fromarray(np.dstack([PIXELS, ALPHA])), "WEBP", lossless=True, exact=True
    ),
    "png with exif": lambda: _turned("PNG"),
    "webp with exif": lambda: _turned("WEBP", lossless=True),
    "bmp 32 bit": lambda: _saved(Image.fromarray(np.dstack([PIXELS, ALPHA])), "BMP"),
    "png 2 bit": lambda: _shallow(2),
    "png 4 bit": lambda: _shallow(4),
    "png palette, 2 bit": lambda: _saved(Image.fromarray(PIXELS).quantize(4), "PNG", bits=2),
    "png palette, 2 bit, transparent": lambda: _saved(
        Image.fromarray(PIXELS).quantize(4), "PNG", bits=2, transparency=1
    ),
    "png 16 bit colour": _colour16,
    "gif interlaced": lambda: _saved(Image.fromarray(PIXELS).quantize(32), "GIF", interlace=1),
    "webp lossy": lambda: _saved(Image.fromarray(PIXELS), "WEBP"),
}


@pytest.mark.parametrize("name", PICTURES)
def test_the_graph_gives_the_same_pixels(decode, name: str):
    data = PICTURES[name]()
    assert np.array_equal(decode(data), reference.decode(data))


@pytest.mark.parametrize("name", REFUSED)
def test_what_would_be_read_in_another_way_is_refused(decode, name: str):
    make, words = REFUSED[name]
    with pytest.raises(tf.errors.InvalidArgumentError, match=words):
        decode(make())


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("order", ["big", "little"])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_the_graph_turns_pictures_upright(decode, orientation: int, order: str, kind: str):
    exif = Image.Exif()
    exif.endian = "<" if order == "little" else ">"
    exif[0x010F], exif[0x0112] = "A maker", orientation
    data = _saved(Image.fromarray(PIXELS), kind, exif=exif.tobytes(), lossless=True)
    assert np.array_equal(decode(data), reference.decode(data))


@pytest.mark.parametrize("shape", [(1000, 1500), (1501, 1003), (2000, 1000)])
def test_the_graph_reduces_large_pictures_alike(decode, shape: tuple[int, int]):
    pixels = RNG.integers(0, 256, (*shape, 3), np.uint8)
    data = _saved(Image.fromarray(pixels), "PNG", compress_level=1)
    assert min(reference.decode(data).shape[:2]) < 960
    assert np.array_equal(decode(data), reference.decode(data))


@pytest.mark.parametrize("size", [96, 224])
@pytest.mark.parametrize("shape", [(61, 83), (500, 700), (40, 30), (224, 96)])
def test_resizing_is_what_the_model_does(size: int, shape: tuple[int, int]):
    pixels = RNG.integers(0, 256, (*shape, 3), np.uint8)
    data = _saved(Image.fromarray(pixels), "PNG", compress_level=1)
    resized = imaging.decode_and_resize(tf.constant(data), size).numpy()
    batch = tf.cast(pixels[None], tf.float32)
    by_model = keras.ops.round(imaging.resizer(size)(batch)).numpy()[0]
    difference = np.abs(resized - by_model)  # halves may be rounded up here and down there
    assert difference.max() <= (1 if max(shape) <= size else 0)
    assert (difference > 0).mean() < 0.005
    again = imaging.resizer(size)(tf.cast(resized[None], tf.float32)).numpy()[0]
    assert np.array_equal(again, resized.astype(np.float32))
