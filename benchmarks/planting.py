"""Make copies of photographs of every kind that people have in their data sets without knowing."""

import io
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageEnhance

Two = tuple[Image.Image, Image.Image]
Plant = Callable[[Image.Image, np.random.Generator], Two]

_SMALLEST = 32  # pixels of the short side: no copy is made smaller than that


@dataclass(frozen=True)
class Planted:
    """Two pictures of one photograph, and how the second was made."""

    kind: str
    first: Image.Image
    second: Image.Image


def plant(kind: str, picture: Image.Image, random: np.random.Generator) -> Planted:
    """Return a picture and its copy of one of `KINDS`; the first of a burst is changed as well."""
    return Planted(kind, *KINDS[kind](picture, random))


def jpeg(picture: Image.Image, quality: int) -> Image.Image:
    """Return a picture as it comes back from a JPEG file."""
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=quality)
    return Image.open(io.BytesIO(file.getvalue())).convert("RGB")


def _reencoded(picture: Image.Image, random: np.random.Generator) -> Two:
    return picture, jpeg(picture, int(random.integers(30, 61)))


def _smaller(picture: Image.Image, random: np.random.Generator) -> Two:
    return picture, _scaled(picture, *[random.uniform(1 / 3, 0.8)] * 2)


def _larger(picture: Image.Image, random: np.random.Generator) -> Two:
    return picture, _scaled(picture, *[random.uniform(1.2, 2)] * 2)


def _aspect(picture: Image.Image, random: np.random.Generator) -> Two:
    return picture, _scaled(picture, *np.exp(random.uniform(-0.1, 0.1, 2)))


def _cropped(picture: Image.Image, random: np.random.Generator) -> Two:
    return picture, _window(picture, *random.uniform(0, 0.1, 4))


def _brightness(picture: Image.Image, random: np.random.Generator) -> Two:
    return picture, ImageEnhance.Brightness(picture).enhance(_either(random, 0.65, 1.4))


def _contrast(picture: Image.Image, random: np.random.Generator) -> Two:
    return picture, ImageEnhance.Contrast(picture).enhance(_either(random, 0.65, 1.4))


def _gamma(picture: Image.Image, random: np.random.Generator) -> Two:
    power = _either(random, 0.65, 1.5)
    values = 255 * (np.asarray(picture, np.float32) / 255) ** power
    return picture, Image.fromarray(values.round().astype(np.uint8))


def _white_balance(picture: Image.Image, random: np.random.Generator) -> Two:
    gains = random.uniform(0.8, 1.2, 3)
    values = np.clip(np.asarray(picture, np.float32) * gains, 0, 255)
    return picture, Image.fromarray(values.round().astype(np.uint8))


def _burst(picture: Image.Image, random: np.random.Generator) -> Two:
    frames = [_frame(picture, random) for _ in range(2)]
    return frames[0], frames[1]


def _noise(picture: Image.Image, random: np.random.Generator) -> Two:
    return picture, _noisy(picture, random.uniform(3, 8), random)


def _shared(picture: Image.Image, random: np.random.Generator) -> Two:
    """Cropped, made smaller, brightened and compressed, as by a site that shares pictures."""
    copy = _window(picture, *random.uniform(0, 0.06, 4))
    copy = _scaled(copy, *[random.uniform(0.5, 0.9)] * 2)
    copy = ImageEnhance.Brightness(copy).enhance(random.uniform(0.85, 1.15))
    return picture, jpeg(copy, int(random.integers(50, 81)))


def _mirrored(picture: Image.Image, _: np.random.Generator) -> Two:
    return picture, jpeg(picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT), 80)


def _turned(picture: Image.Image, random: np.random.Generator) -> Two:
    turns = (Image.Transpose.ROTATE_90, Image.Transpose.ROTATE_180, Image.Transpose.ROTATE_270)
    return picture, jpeg(picture.transpose(turns[random.integers(3)]), 80)


def _frame(picture: Image.Image, random: np.random.Generator) -> Image.Image:
    """Return one frame of a burst: the camera in a hand, a new exposure, new noise."""
    inner = 0.9
    size = np.array(picture.size)
    zoom, angle = inner * random.uniform(0.97, 1.03), np.radians(random.uniform(-1.5, 1.5))
    shift = random.uniform(-0.025, 0.025, 2) * size
    turn = zoom * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    across = (size - 1) / 2 + shift - turn @ (inner * size - 1) / 2 / inner
    # The frame has `inner` of the pixels, so that it needs no more than there are.
    data = (*(turn[0] / inner), across[0], *(turn[1] / inner), across[1])
    made = picture.transform(
        (round(inner * picture.width), round(inner * picture.height)),
        Image.Transform.AFFINE,
        tuple(float(value) for value in data),
        Image.Resampling.BICUBIC,
    )
    made = ImageEnhance.Brightness(made).enhance(random.uniform(0.95, 1.05))
    return jpeg(_noisy(made, 2.0, random), 88)


def _noisy(picture: Image.Image, spread: float, random: np.random.Generator) -> Image.Image:
    values = np.asarray(picture, np.float32)
    return Image.fromarray(
        np.clip(values + random.normal(0, spread, values.shape), 0, 255).round().astype(np.uint8)
    )


def _scaled(picture: Image.Image, across: float, down: float) -> Image.Image:
    smallest = _SMALLEST / min(picture.size)
    size = (
        round(picture.width * max(across, smallest)),
        round(picture.height * max(down, smallest)),
    )
    return picture.resize(size, Image.Resampling.LANCZOS)


def _window(picture: Image.Image, *sides: float) -> Image.Image:
    """Cut off these shares of the left, upper, right and lower side."""
    width, height = picture.size
    left, top = round(sides[0] * width), round(sides[1] * height)
    right, bottom = round((1 - sides[2]) * width), round((1 - sides[3]) * height)
    return picture.crop((left, top, right, bottom))


def _either(random: np.random.Generator, low: float, high: float) -> float:
    """Return a factor that is clearly not 1, as often below as above."""
    return random.uniform(low, 0.85) if random.random() < 0.5 else random.uniform(1.15, high)


KINDS: dict[str, Plant] = {
    "re-encoded": _reencoded,
    "smaller": _smaller,
    "larger": _larger,
    "aspect": _aspect,
    "cropped": _cropped,
    "brightness": _brightness,
    "contrast": _contrast,
    "gamma": _gamma,
    "white balance": _white_balance,
    "burst": _burst,
    "noise": _noise,
    "shared": _shared,
    "mirrored": _mirrored,
    "turned": _turned,
}
