"""The sample data set: drawn fruit, six classes, two pairs of them easily mistaken.

Drawn by this file, so that a demonstration needs no download. Lemons and limes overlap in colour
and shape, apples and oranges in colour: a good classifier is right on most pictures, not on all.
"""

import colorsys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from transfer import store

_OVERSAMPLE = 2


@dataclass(frozen=True)
class Fruit:
    """How one class looks: ranges of hue and lightness, and its outline.

    `stretch` is length over width, `point` how far the ends stick out, `neck` how much narrower the
    upper half is, `dent` how deep the hollow at the stem is; all as shares of the radius.
    """

    hue: tuple[float, float]  # degrees
    value: tuple[float, float]
    saturation: tuple[float, float]
    stretch: tuple[float, float] = (0.95, 1.05)
    point: float = 0.0
    neck: float = 0.0
    dent: float = 0.0
    pores: float = 0.0
    stem: float = 0.0  # share of pictures with a stem
    leaf: float = 0.0


FRUITS: dict[str, Fruit] = {
    "apple": Fruit((-12, 32), (0.6, 0.95), (0.7, 0.95), (0.9, 1.0), dent=0.22, stem=0.7, leaf=0.3),
    "lemon": Fruit((46, 62), (0.8, 1.0), (0.65, 0.95), (1.2, 1.5), point=0.16, pores=0.5, leaf=0.2),
    "lime": Fruit((60, 105), (0.5, 0.9), (0.6, 0.95), (1.1, 1.35), point=0.08, pores=0.4, leaf=0.1),
    "orange": Fruit((20, 40), (0.8, 1.0), (0.8, 1.0), (0.93, 1.07), pores=1.0, leaf=0.3),
    "pear": Fruit((45, 80), (0.6, 0.9), (0.5, 0.85), (1.15, 1.4), neck=0.45, stem=0.8, leaf=0.2),
    "plum": Fruit((270, 350), (0.25, 0.6), (0.4, 0.8), (1.05, 1.3), dent=0.08, stem=0.3),
}
CLASSES: tuple[str, ...] = tuple(FRUITS)


def sample_dataset() -> Path:
    """Return the folder of the sample data set in the store, drawing it if it is not there yet."""
    folder = store.home() / "sample" / "fruit"
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".drawing-") as work:
            made = write_sample(Path(work) / "fruit")
            try:
                made.rename(folder)
            except OSError:  # another process was faster
                if not folder.is_dir():
                    raise
    return folder


def write_sample(folder: Path, *, per_class: int = 40, seed: int = 0, size: int = 160) -> Path:
    """Write `per_class` JPEG pictures of each class to `folder/<class>/` and return `folder`."""
    for number, name in enumerate(CLASSES):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for i in range(per_class):
            rng = np.random.default_rng([seed, number, i])
            picture = draw(name, rng, size)
            picture.save(folder / name / f"{i:03d}.jpg", quality=90)
    return folder


def draw(name: str, rng: np.random.Generator, size: int) -> Image.Image:
    """Draw one fruit on a table, [size, size] RGB; the same generator state, the same picture."""
    fruit, side = FRUITS[name], size * _OVERSAMPLE
    canvas = _background(rng, side)
    centre = rng.uniform(0.44, 0.56, 2) * side
    radius, angle = rng.uniform(0.27, 0.37) * side, rng.uniform(-0.5, 0.5)
    light = _unit(np.array([rng.uniform(-0.8, 0.8), rng.uniform(-0.9, -0.3), 0.9]))
    along, across, depth = _body(fruit, rng, side, centre, radius, angle)
    canvas = _shadow(canvas, depth > 0, light, radius)
    colour = _colour(fruit, rng)
    surface = _surface(fruit, rng, colour, depth, along, across, light)
    soft = np.clip(depth * radius / 3, 0, 1)[..., None]  # an edge without stairs
    canvas = canvas * (1 - soft) + surface * soft
    picture = Image.fromarray(np.clip(canvas, 0, 255).astype(np.uint8))
    _greenery(picture, fruit, rng, centre, radius, angle)
    picture = picture.resize((size, size), Image.Resampling.LANCZOS)
    picture = picture.filter(ImageFilter.GaussianBlur(float(rng.uniform(0, 0.8))))
    pixels = np.asarray(picture, np.float64) * rng.uniform(0.85, 1.1)
    pixels += rng.normal(0, rng.uniform(1, 5), pixels.shape)
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def _body(
    fruit: Fruit,
    rng: np.random.Generator,
    side: int,
    centre: np.ndarray,
    radius: float,
    angle: float,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return coordinates along and across the fruit (in radii) and its depth, 0 outside."""
    y, x = np.mgrid[:side, :side].astype(np.float64)
    x, y = (x - centre[0]) / radius, (y - centre[1]) / radius
    across, along = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    long = along / rng.uniform(*fruit.stretch)
    wide = across.copy()
    if fruit.neck:  # narrower towards the stem
        wide = across / (1 - fruit.neck * rng.uniform(0.8, 1.1) / (1 + np.exp(6 * (long + 0.25))))
    theta = np.arctan2(long, wide)
    ends = np.exp(-(((np.abs(theta) - np.pi / 2) / 0.28) ** 2))
    top = np.exp(-(((theta + np.pi / 2) / 0.5) ** 2))
    outline = 1 + fruit.point * ends - fruit.dent * top
    outline += 0.015 * np.sin(3 * theta + rng.uniform(0, 6)) + 0.01 * np.sin(5 * theta)
    distance = np.hypot(wide, long) / outline
    return long, wide, np.sqrt(np.clip(1 - distance**2, 0, None))


def _surface(
    fruit: Fruit,
    rng: np.random.Generator,
    colour: np.ndarray,
    depth: np.ndarray,
    along: np.ndarray,
    across: np.ndarray,
    light: np.ndarray,
) -> np.ndarray:
    """Return the lit skin, float [side, side, 3] in 0-255."""
    normal = np.stack([across, along, depth], axis=-1)
    normal /= np.maximum(np.linalg.norm(normal, axis=-1, keepdims=True), 1e-6)
    if fruit.pores:
        bumps = _smooth(rng, depth.shape[0], 2.0)
        normal[..., 0] += 0.12 * fruit.pores * bumps
        normal[..., 1] += 0.12 * fruit.pores * np.roll(bumps, 3, axis=0)
    diffuse = np.clip(normal @ light, 0, None)
    shine = np.clip(normal @ _unit(light + np.array([0, 0, 1.0])), 0, None) ** rng.uniform(20, 60)
    blotches = _smooth(rng, depth.shape[0], 25.0) * rng.uniform(0.02, 0.12)
    tint = colour * (1 + blotches[..., None] * np.array([0.6, 1.0, 0.4]))
    lit = tint * (0.32 + 0.75 * diffuse[..., None])
    return 255 * lit + 255 * rng.uniform(0.1, 0.5) * shine[..., None]


def _background(rng: np.random.Generator, side: int) -> np.ndarray:
    """Return a table or a cloth, plain, striped or checked, float [side, side, 3]."""
    y, x = np.mgrid[:side, :side] / side
    light = rng.uniform(0.35, 0.9)
    shades = (light, light + rng.uniform(-0.18, 0.1))
    one, other = (255 * _hsv(rng.uniform(0, 360), rng.uniform(0.02, 0.3), v) for v in shades)
    kind = rng.choice(["plain", "wood", "stripes", "checks"])
    turn, count = rng.uniform(0, np.pi), rng.uniform(3, 8)
    u, v = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
    if kind == "plain":
        mix = np.clip(y + rng.uniform(-0.3, 0.3), 0, 1)
    elif kind == "wood":
        mix = 0.5 + 0.35 * np.sin(2 * np.pi * (count * u + 0.6 * _smooth(rng, side, 30.0)))
    elif kind == "stripes":
        mix = 1 / (1 + np.exp(-12 * np.sin(2 * np.pi * count * u)))
    else:
        mix = (np.sin(2 * np.pi * count * u) > 0) * 0.5 + (np.sin(2 * np.pi * count * v) > 0) * 0.5
    mix = mix + 0.04 * _smooth(rng, side, 4.0)
    canvas = one * (1 - mix[..., None]) + other * mix[..., None]
    return canvas * (1.05 - 0.35 * np.hypot(x - 0.5, y - 0.4))[..., None]


def _shadow(canvas: np.ndarray, body: np.ndarray, light: np.ndarray, radius: float) -> np.ndarray:
    """Darken the table on the side away from the light."""
    moved = np.roll(body, (int(0.3 * radius), int(-0.35 * radius * light[0])), axis=(0, 1))
    mask = Image.fromarray((moved * 255).astype(np.uint8))
    soft = np.asarray(mask.filter(ImageFilter.GaussianBlur(radius * 0.18)), np.float64) / 255
    return canvas * (1 - 0.55 * soft[..., None])


def _greenery(
    picture: Image.Image,
    fruit: Fruit,
    rng: np.random.Generator,
    centre: np.ndarray,
    radius: float,
    angle: float,
) -> None:
    """Draw a stem and a leaf where the fruit has them."""
    up = np.array([np.sin(angle), -np.cos(angle)])
    right = np.array([np.cos(angle), np.sin(angle)])
    foot = centre + up * radius * (0.82 if fruit.dent else 1.0 + fruit.neck * 0.5)
    tip = foot + up * radius * rng.uniform(0.25, 0.4) + right * radius * rng.uniform(-0.15, 0.15)
    pen = ImageDraw.Draw(picture)
    if rng.random() < fruit.stem:
        brown = tuple(int(c) for c in 255 * _hsv(rng.uniform(25, 40), 0.6, rng.uniform(0.2, 0.4)))
        pen.line([tuple(foot), tuple(tip)], fill=brown, width=max(2, int(radius * 0.08)))
    if rng.random() < fruit.leaf:
        side = right * rng.choice([-1, 1])
        end = foot + side * radius * rng.uniform(0.5, 0.8) + up * radius * rng.uniform(0.1, 0.5)
        middle, bulge = (foot + end) / 2, up * radius * rng.uniform(0.12, 0.2)
        green = tuple(int(c) for c in 255 * _hsv(rng.uniform(95, 135), 0.6, rng.uniform(0.3, 0.6)))
        outline = [foot, middle + bulge, end, middle - bulge * 0.6]
        pen.polygon([tuple(point) for point in outline], fill=green)


def _colour(fruit: Fruit, rng: np.random.Generator) -> np.ndarray:
    return _hsv(rng.uniform(*fruit.hue), rng.uniform(*fruit.saturation), rng.uniform(*fruit.value))


def _hsv(hue: float, saturation: float, value: float) -> np.ndarray:
    return np.array(colorsys.hsv_to_rgb((hue % 360) / 360, saturation, value))


def _smooth(rng: np.random.Generator, side: int, width: float) -> np.ndarray:
    """Return noise [side, side] of unit spread, smooth over `width` pixels."""
    small = max(4, int(side / width))
    noise = Image.fromarray(rng.normal(size=(small, small)).astype(np.float32))
    return np.asarray(noise.resize((side, side), Image.Resampling.BICUBIC), np.float64)


def _unit(vector: np.ndarray) -> np.ndarray:
    return vector / np.linalg.norm(vector)
