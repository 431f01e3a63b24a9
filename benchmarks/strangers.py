"""Pictures that no data set holds, made here.

By these, and not by other data sets, a score of strangeness is chosen. Kinds that are drawn from
nothing (noise, patterns, drawings, text), and kinds that are made of a data set's own pictures so
that nothing of its classes is left (a tiny part enlarged, parts shuffled, colours inverted, and
more). All are uint8 [n, side, side, 3] and the same for the same seed.
"""

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont
from scipy import ndimage

Draw = Callable[[np.random.Generator, int], np.ndarray]
Change = Callable[[np.random.Generator, np.ndarray], np.ndarray]


def drawn(kind: str, count: int, side: int, seed: int = 0) -> np.ndarray:
    """Return pictures of one kind of `DRAWN`."""
    rng = np.random.default_rng([seed, list(DRAWN).index(kind)])
    return np.stack([_pixels(DRAWN[kind](rng, side)) for _ in range(count)])


def changed(kind: str, pictures: np.ndarray, seed: int = 0) -> np.ndarray:
    """Return pictures [n, side, side, 3] after a change of one kind of `CHANGED`."""
    rng = np.random.default_rng([seed, 100 + list(CHANGED).index(kind)])
    return np.stack([_pixels(CHANGED[kind](rng, one)) for one in pictures])


def _flat(rng: np.random.Generator, side: int) -> np.ndarray:
    return np.broadcast_to(rng.uniform(0, 255, 3), (side, side, 3))


def _gradient(rng: np.random.Generator, side: int) -> np.ndarray:
    return _between(rng, _ramp(rng, side))


def _noise(rng: np.random.Generator, side: int) -> np.ndarray:
    return rng.uniform(0, 255, (side, side, 3))


def _clouds(rng: np.random.Generator, side: int) -> np.ndarray:
    """Noise whose spectrum falls as a power of the frequency, as that of photographs does."""
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(side), np.fft.fftfreq(side)))
    weight = np.maximum(frequency, 1 / side) ** -rng.uniform(0.8, 2.0)
    waves = rng.normal(size=(3, side, side)) + 1j * rng.normal(size=(3, side, side))
    layers = np.fft.ifft2(waves * weight).real.transpose(1, 2, 0)
    return 128 + rng.uniform(20, 60) * (layers - layers.mean()) / layers.std()


def _waves(rng: np.random.Generator, side: int) -> np.ndarray:
    ramp = _ramp(rng, side)
    return _between(rng, 0.5 + 0.5 * np.sin(2 * np.pi * rng.uniform(2, 40) * ramp))


def _checks(rng: np.random.Generator, side: int) -> np.ndarray:
    size, lag = int(rng.integers(4, 40)), int(rng.integers(0, 2))
    rows, columns = np.mgrid[:side, :side]
    return _between(
        rng, ((rows // size + (columns + lag * rows // size) // size) % 2).astype(float)
    )


def _shapes(rng: np.random.Generator, side: int) -> np.ndarray:
    picture, pen = _canvas(rng, side)
    for _ in range(int(rng.integers(1, 6))):
        box = _box(rng, side)
        (pen.ellipse if rng.random() < 0.5 else pen.rectangle)(box, fill=_colour(rng))
    return np.asarray(picture)


def _leaves(rng: np.random.Generator, side: int) -> np.ndarray:
    """Dead leaves (Lee, Mumford, Huang 2001): discs of all sizes over each other, and noise."""
    picture, pen = _canvas(rng, side)
    colours = _alike(rng, 400).tolist()
    for red, green, blue in colours:
        radius = side * min(0.3, 0.015 * rng.pareto(1.5) + 0.01)
        x, y = rng.uniform(0, side, 2)
        box = (x - radius, y - radius, x + radius, y + radius)
        pen.ellipse(box, fill=(int(red), int(green), int(blue)))
    return np.asarray(picture) + rng.normal(0, 8, (side, side, 3))


def _cells(rng: np.random.Generator, side: int) -> np.ndarray:
    count = int(rng.integers(10, 120))
    points, colours = rng.uniform(0, side, (count, 2)), _alike(rng, count)
    place = np.moveaxis(np.mgrid[:side, :side], 0, -1)[:, :, None]
    return colours[((place - points) ** 2).sum(axis=-1).argmin(axis=-1)]


def _text(rng: np.random.Generator, side: int) -> np.ndarray:
    picture = Image.new("RGB", (side, side), "white")
    pen, font = ImageDraw.Draw(picture), ImageFont.load_default(size=int(rng.integers(8, 22)))
    for top in range(6, side, int(rng.integers(14, 28))):
        words = "".join(chr(c) for c in rng.integers(97, 123, 60))
        for gap in rng.integers(0, 60, 10):
            words = words[:gap] + " " + words[gap + 1 :]
        pen.text((6, top), words, fill=(20, 20, 20), font=font)
    return np.asarray(picture)


def _strokes(rng: np.random.Generator, side: int) -> np.ndarray:
    picture, pen = _canvas(rng, side)
    for _ in range(int(rng.integers(2, 8))):
        points = [tuple(point) for point in rng.uniform(0, side, (int(rng.integers(2, 9)), 2))]
        pen.line(points, fill=_colour(rng), width=int(rng.integers(1, 6)))
    return np.asarray(picture)


def _grain(rng: np.random.Generator, side: int) -> np.ndarray:
    """A rough surface under light from one side."""
    height = ndimage.gaussian_filter(rng.normal(size=(side, side)), rng.uniform(0.5, 5, 2))
    light = ndimage.sobel(height, axis=int(rng.integers(0, 2)))
    grey = 128 + rng.uniform(15, 50) * light / light.std()
    return grey[..., None] + rng.normal(0, 12, 3)


def _enlarged(rng: np.random.Generator, picture: np.ndarray) -> np.ndarray:
    side = len(picture)
    part = side // 10
    top, left = rng.integers(0, side - part, 2)
    piece = Image.fromarray(picture[top : top + part, left : left + part])
    return np.asarray(piece.resize((side, side), Image.Resampling.BICUBIC))


def _shuffled(rng: np.random.Generator, picture: np.ndarray) -> np.ndarray:
    side, parts = len(picture), 8
    size = side // parts
    tiles = picture[: size * parts, : size * parts].reshape(parts, size, parts, size, 3)
    tiles = tiles.transpose(0, 2, 1, 3, 4).reshape(-1, size, size, 3)
    tiles = tiles[rng.permutation(len(tiles))].reshape(parts, parts, size, size, 3)
    whole = tiles.transpose(0, 2, 1, 3, 4).reshape(size * parts, size * parts, 3)
    return np.asarray(Image.fromarray(whole).resize((side, side)))


def _inverted(rng: np.random.Generator, picture: np.ndarray) -> np.ndarray:
    del rng
    return 255 - picture


def _blurred(rng: np.random.Generator, picture: np.ndarray) -> np.ndarray:
    radius = rng.uniform(0.05, 0.1) * len(picture)
    return np.asarray(Image.fromarray(picture).filter(ImageFilter.GaussianBlur(radius)))


def _rough(rng: np.random.Generator, picture: np.ndarray) -> np.ndarray:
    return picture + rng.normal(0, rng.uniform(50, 90), picture.shape)


def _edges(rng: np.random.Generator, picture: np.ndarray) -> np.ndarray:
    del rng
    grey = picture.mean(axis=-1)
    steep = np.hypot(ndimage.sobel(grey, 0), ndimage.sobel(grey, 1))
    return np.repeat(255 - steep[..., None], 3, axis=-1)


def _phases(rng: np.random.Generator, picture: np.ndarray) -> np.ndarray:
    """The same spectrum with other phases: the texture of the picture without its subject."""
    side = len(picture)
    waves = np.fft.fft2(picture.astype(float), axes=(0, 1))
    turned = np.exp(1j * np.angle(np.fft.fft2(rng.normal(size=(side, side)))))
    turned[0, 0] = 1  # the mean colour stays
    return np.fft.ifft2(waves * turned[..., None], axes=(0, 1)).real


DRAWN: dict[str, Draw] = {
    "flat colour": _flat,
    "gradient": _gradient,
    "noise": _noise,
    "clouds": _clouds,
    "waves": _waves,
    "checks": _checks,
    "shapes": _shapes,
    "dead leaves": _leaves,
    "cells": _cells,
    "text": _text,
    "strokes": _strokes,
    "grain": _grain,
}
CHANGED: dict[str, Change] = {
    "enlarged": _enlarged,
    "shuffled": _shuffled,
    "inverted": _inverted,
    "blurred": _blurred,
    "rough": _rough,
    "edges": _edges,
    "phases": _phases,
}


def _ramp(rng: np.random.Generator, side: int) -> np.ndarray:
    angle = rng.uniform(0, 2 * np.pi)
    rows, columns = np.mgrid[:side, :side] / side
    ramp = rows * np.cos(angle) + columns * np.sin(angle)
    return (ramp - ramp.min()) / np.ptp(ramp)


def _between(rng: np.random.Generator, share: np.ndarray) -> np.ndarray:
    one, other = _alike(rng, 2)
    return one + share[..., None] * (other - one)


def _canvas(rng: np.random.Generator, side: int) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    picture = Image.new("RGB", (side, side), _colour(rng))
    return picture, ImageDraw.Draw(picture)


def _alike(rng: np.random.Generator, count: int) -> np.ndarray:
    """Return colours [count, 3] around one: of some pictures alike, of some not."""
    colours = rng.uniform(40, 215, 3) + rng.uniform(10, 90) * rng.normal(size=(count, 3))
    return np.clip(colours, 0, 255)


def _colour(rng: np.random.Generator) -> tuple[int, int, int]:
    red, green, blue = (int(one) for one in rng.integers(0, 256, 3))
    return red, green, blue


def _box(rng: np.random.Generator, side: int) -> tuple[float, float, float, float]:
    left, right = np.sort(rng.uniform(0, side, 2))
    top, bottom = np.sort(rng.uniform(0, side, 2))
    return float(left), float(top), float(right), float(bottom)


def _pixels(values: np.ndarray) -> np.ndarray:
    return np.clip(np.round(values), 0, 255).astype(np.uint8)
