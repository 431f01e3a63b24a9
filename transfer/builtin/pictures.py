"""Pictures that no camera took: figures, fractals, textures, layouts and colour pairs by class.

After "Pre-training without Natural Images" (Kataoka et al., 2020): a formula stands for a class,
and what varies within the class (pose, colours, background, light, noise) is drawn at random.
Only classes of the family "colours" are told apart by colour.
"""

import io
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageFilter

from transfer.builtin import fields, figures, fractals, layouts, textures

FAMILIES: dict[str, int] = {
    "fractal": 40,
    "tree": 6,
    "figure": figures.NUM_PLAIN,
    "silhouette": 20,
    "outline": 10,
    "body": 20,
    "texture": len(textures.TEXTURES),
    "layout": len(layouts.LAYOUTS),
    "colours": 24,
}
"""How many classes each family has, in the order of the class numbers."""

NUM_CLASSES: int = sum(FAMILIES.values())

_MASKS: dict[str, Callable[[int, np.random.Generator, int], fields.Field]] = {
    "fractal": fractals.fractal,
    "tree": fractals.tree,
    "figure": figures.plain,
    "silhouette": figures.silhouette,
    "outline": figures.outline,
    "body": figures.body,
}


def render(class_id: int, rng: np.random.Generator, size: int) -> np.ndarray:
    """Return a picture of one class: uint8 [size, size, 3], a function of `rng`'s state alone."""
    family, code = family_of(class_id)
    if family in _MASKS:
        picture = _scene(_MASKS[family](code, rng, size), rng, size, _palette(rng))
    elif family == "texture":
        picture = _tinted(textures.TEXTURES[code](rng, size), _palette(rng))
    elif family == "layout":
        picture = _regions(layouts.LAYOUTS[code], rng, size, _palette(rng))
    else:
        return _photographed(_coloured(code, rng, size), rng, keep_colour=True)
    return _photographed(picture, rng, keep_colour=False)


def family_of(class_id: int) -> tuple[str, int]:
    """Return the family of a class and its number within the family."""
    first = 0
    for family, count in FAMILIES.items():
        if first <= class_id < first + count:
            return family, class_id - first
        first += count
    raise ValueError(f"A class number is from 0 to {NUM_CLASSES - 1}, not {class_id}.")


def _coloured(code: int, rng: np.random.Generator, size: int) -> np.ndarray:
    """Return any structure in the two colours that make the class."""
    own = np.random.default_rng(50_000 + code)
    pair = own.uniform(0.05, 0.95, (2, 3))
    while np.abs(pair[0] - pair[1]).max() < 0.3:
        pair = own.uniform(0.05, 0.95, (2, 3))
    pair = np.clip(pair + rng.normal(0, 0.05, (2, 3)), 0, 1).astype(np.float32)
    if rng.random() < 0.5:
        pair = pair[::-1]
    kind = rng.random()
    if kind < 0.5:
        return _tinted(_any_texture(rng, size), pair)
    if kind < 0.7:
        layout = layouts.LAYOUTS[int(rng.integers(len(layouts.LAYOUTS)))]
        return _regions(layout, rng, size, pair)
    mask = figures.outline(int(rng.integers(1000)), rng, size)[..., None]
    noise = 0.06 * fields.cloud(rng, size, 1.5)[..., None]
    return np.clip(mask * pair[1] + (1 - mask) * pair[0] + noise, 0, 1)


def _scene(
    mask: fields.Field, rng: np.random.Generator, size: int, palette: np.ndarray
) -> np.ndarray:
    """Put a filled figure before a background that says nothing about the class."""
    figure = _filling(rng, size, palette[1], plain=0.4)
    ground = _filling(rng, size, palette[0], plain=0.3)
    if rng.random() < 0.3:
        shadow = np.roll(mask, rng.integers(-size // 16, size // 16 + 1, 2), axis=(0, 1))
        ground = ground * (1 - rng.uniform(0.2, 0.6) * shadow[..., None])
    return mask[..., None] * figure + (1 - mask[..., None]) * ground


def _filling(rng: np.random.Generator, size: int, colour: np.ndarray, plain: float) -> np.ndarray:
    """Return a surface around one colour: plain, cloudy or textured."""
    choice = rng.random()
    if choice < plain:
        return np.broadcast_to(colour, (size, size, 3))
    if choice < plain + 0.3:
        pattern = fields.cloud(rng, size, rng.uniform(0.5, 2.5)) * 0.25
    else:
        pattern = _any_texture(rng, size) - 0.5
    other = rng.normal(0, 0.3, 3) if rng.random() < 0.5 else rng.normal(0, 0.35)
    return np.clip(colour + pattern[..., None] * other, 0, 1).astype(np.float32)


def _regions(
    layout: Callable[[np.random.Generator, int], layouts.Layout],
    rng: np.random.Generator,
    size: int,
    palette: np.ndarray,
) -> np.ndarray:
    """Colour the regions of a layout between the palette's two colours, each with its grain."""
    numbers, count = layout(rng, size)
    mix = rng.random(count).astype(np.float32)
    mix[:2] = (0.0, 1.0)
    colours = palette[0] + mix[:, None] * (palette[1] - palette[0])
    colours = np.clip(colours + rng.normal(0, 0.04, (count, 3)), 0, 1).astype(np.float32)
    grain = fields.cloud(rng, size, rng.uniform(0.2, 1.5)) * rng.uniform(0, 0.12)
    strength = rng.uniform(0.2, 1.5, count).astype(np.float32)[numbers]
    return np.clip(colours[numbers] + (grain * strength)[..., None], 0, 1)


def _tinted(field: fields.Field, palette: np.ndarray) -> np.ndarray:
    return palette[0] + field[..., None] * (palette[1] - palette[0])


def _any_texture(rng: np.random.Generator, size: int) -> fields.Field:
    return textures.TEXTURES[int(rng.integers(len(textures.TEXTURES)))](rng, size)


def _palette(rng: np.random.Generator) -> np.ndarray:
    """Return two colours [2, 3] that differ in brightness; every sixth pair is grey."""
    while True:
        pair = rng.random((2, 3), dtype=np.float32)
        if rng.random() < 1 / 6:
            pair[:] = pair[:, :1]
        light = pair @ np.array([0.3, 0.59, 0.11], dtype=np.float32)
        if abs(light[0] - light[1]) > 0.18:
            return pair


def _photographed(picture: np.ndarray, rng: np.random.Generator, keep_colour: bool) -> np.ndarray:
    """Add what a camera adds: uneven light, low contrast, blur, noise and compression."""
    size = picture.shape[0]
    chance = rng.random(6)
    if chance[0] < 0.4:
        line = np.linspace(-1, 1, size, dtype=np.float32)
        slope = rng.normal(0, 0.2, 2)
        picture = picture * (1 + slope[0] * line[:, None] + slope[1] * line[None, :])[..., None]
    if chance[1] < 0.3:
        contrast = rng.uniform(0.35, 1.0)
        picture = 0.5 + contrast * (picture - 0.5) + rng.uniform(-0.3, 0.3) * (1 - contrast)
    if chance[2] < 0.15 and not keep_colour:
        picture = np.broadcast_to(picture.mean(axis=2, keepdims=True), picture.shape)
    if chance[3] < 0.6:
        noise = rng.standard_normal(picture.shape, dtype=np.float32)
        picture = picture + rng.uniform(0, 0.07) * noise
    pixels = (np.clip(picture, 0, 1) * 255 + 0.5).astype(np.uint8)
    if chance[4] < 0.35:
        image = Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(rng.uniform(0.4, 1.4)))
        pixels = np.asarray(image)
    if chance[5] < 0.2:
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "JPEG", quality=int(rng.integers(25, 90)))
        pixels = np.asarray(Image.open(buffer).convert("RGB"))
    return pixels
