"""What textures and backgrounds are made of: noise, coordinates, cells and drawings."""

from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw

Field = np.ndarray
"""A float32 picture [size, size] with values in [0, 1]."""


def cloud(
    rng: np.random.Generator, size: int, exponent: float = 2.0, stretch: float = 1.0
) -> np.ndarray:
    """Return Gaussian noise with an amplitude of 1/f^exponent, of mean 0 and deviation 1."""
    fy, fx = _frequencies(size)
    if stretch != 1.0:
        angle = rng.uniform(0, np.pi)
        fx, fy = np.cos(angle) * fx + np.sin(angle) * fy, np.cos(angle) * fy - np.sin(angle) * fx
        fy = fy * stretch
    amplitude = (np.hypot(fy, fx) * size + 1.0) ** -exponent
    return _from_spectrum(rng, size, amplitude)


def band(rng: np.random.Generator, size: int, low: float, high: float) -> np.ndarray:
    """Return noise of one scale: a wavelength between `low` and `high` of the picture's width."""
    fy, fx = _frequencies(size)
    cycles = 1.0 / rng.uniform(low, high)
    amplitude = np.exp(-0.5 * ((np.hypot(fy, fx) * size - cycles) / (0.25 * cycles)) ** 2)
    return _from_spectrum(rng, size, amplitude)


def grid(rng: np.random.Generator, size: int, warp: float = 0.3) -> tuple[np.ndarray, np.ndarray]:
    """Return coordinates in about [-1, 1], turned by a random angle and sometimes warped."""
    line = np.linspace(-1, 1, size, dtype=np.float32)
    x, y = line[None, :], line[:, None]
    angle = rng.uniform(0, 2 * np.pi)
    u = np.cos(angle) * x + np.sin(angle) * y + rng.uniform(-0.5, 0.5)
    v = np.cos(angle) * y - np.sin(angle) * x + rng.uniform(-0.5, 0.5)
    if rng.random() < warp:
        strength = rng.uniform(0.02, 0.1)
        u = u + strength * cloud(rng, size, 3.0)
        v = v + strength * cloud(rng, size, 3.0)
    return u, v


def cells(
    rng: np.random.Generator, size: int, count: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the nearest of `count` random points and the distances to the nearest two."""
    points = rng.uniform(-0.1, 1.1, (count, 2)).astype(np.float32)
    line = np.arange(size, dtype=np.float32) / size
    wobble = 0.02 * cloud(rng, size, 2.0) if rng.random() < 0.5 else 0.0
    stretch = rng.uniform(0.6, 1.0)
    y = line[:, None] + wobble
    x = (line[None, :] + wobble) * stretch
    distance = (y[..., None] - points[:, 0]) ** 2 + (x[..., None] - points[:, 1] * stretch) ** 2
    nearest = distance.argmin(axis=-1)
    two = np.sqrt(np.partition(distance, 1, axis=-1)[..., :2])
    return nearest, two[..., 0], two[..., 1]


def drawing(size: int, scale: int = 2) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    """Return an empty grey picture, `scale` times as large, and a pen for it."""
    image = Image.new("L", (size * scale, size * scale))
    return image, ImageDraw.Draw(image)


def drawn(image: Image.Image, size: int) -> Field:
    """Return a drawing at its final size, with smooth edges."""
    small = image.resize((size, size), Image.Resampling.BOX)
    return np.asarray(small, dtype=np.float32) / 255


def squash(values: np.ndarray) -> Field:
    """Map values of mean 0 and deviation 1 into [0, 1]."""
    return np.clip(0.5 + 0.22 * values, 0, 1)


@lru_cache(maxsize=8)
def _frequencies(size: int) -> tuple[np.ndarray, np.ndarray]:
    fy = np.fft.fftfreq(size).astype(np.float32)[:, None]
    fx = np.fft.rfftfreq(size).astype(np.float32)[None, :]
    return fy, fx


def _from_spectrum(rng: np.random.Generator, size: int, amplitude: np.ndarray) -> np.ndarray:
    shape = (size, size // 2 + 1)
    phase = np.exp(2j * np.pi * rng.random(shape, dtype=np.float32)) * amplitude
    phase[0, 0] = 0
    values = np.fft.irfft2(phase, s=(size, size)).astype(np.float32)
    return values / (values.std() + 1e-9)
