"""Textures: grey fields of noise, waves, cells, lattices and marks, one maker for each class."""

from collections.abc import Callable
from functools import partial

import numpy as np

from transfer.builtin import fields

TextureMaker = Callable[[np.random.Generator, int], fields.Field]


# --- noise ------------------------------------------------------------------------------------


def _spectrum(
    rng: np.random.Generator, size: int, exponent: float, stretch: float = 1.0
) -> fields.Field:
    return fields.squash(fields.cloud(rng, size, exponent + rng.uniform(-0.15, 0.15), stretch))


def _band(rng: np.random.Generator, size: int, low: float, high: float) -> fields.Field:
    return fields.squash(fields.band(rng, size, low, high))


def _ridges(rng: np.random.Generator, size: int) -> fields.Field:
    return 1 - np.clip(np.abs(fields.cloud(rng, size, rng.uniform(1.5, 2.0))), 0, 1)


def _blobs(rng: np.random.Generator, size: int, low: float, high: float) -> fields.Field:
    values = fields.band(rng, size, low, high) - rng.uniform(-0.2, 1.0)
    return np.clip(values * rng.uniform(2, 8) + 0.5, 0, 1)


def _patches(rng: np.random.Generator, size: int) -> fields.Field:
    mask = np.clip(4 * (fields.cloud(rng, size, 2.2) - rng.uniform(0, 1)) + 0.5, 0, 1)
    fine = fields.squash(fields.cloud(rng, size, rng.uniform(0.3, 1.0)))
    return np.clip(mask * fine + (1 - mask) * rng.uniform(0, 0.5), 0, 1)


# --- waves ------------------------------------------------------------------------------------


def _grating(rng: np.random.Generator, size: int, sharp: float) -> fields.Field:
    u, _ = fields.grid(rng, size)
    wave = np.sin(u * np.pi * rng.uniform(4, 24)) + rng.uniform(-0.4, 0.4)
    return np.clip(0.5 + sharp * wave, 0, 1)


def _plaid(rng: np.random.Generator, size: int) -> fields.Field:
    u, v = fields.grid(rng, size)
    a, b = rng.uniform(4, 16, 2) * np.pi
    return np.clip(0.5 + 0.25 * (np.sign(np.sin(u * a)) + np.sin(v * b)), 0, 1)


def _checkers(rng: np.random.Generator, size: int) -> fields.Field:
    u, v = fields.grid(rng, size)
    rate = rng.uniform(3, 12) * np.pi
    return np.clip(0.5 + 4 * np.sin(u * rate) * np.sin(v * rate), 0, 1)


def _triangles(rng: np.random.Generator, size: int) -> fields.Field:
    u, v = fields.grid(rng, size)
    rate = rng.uniform(4, 14)
    parity = np.zeros((size, size), dtype=np.int32)
    for turn in (0, np.pi / 3, 2 * np.pi / 3):
        parity = parity + np.floor(rate * (np.cos(turn) * u + np.sin(turn) * v)).astype(np.int32)
    return (parity % 2).astype(np.float32)


def _honeycomb(rng: np.random.Generator, size: int) -> fields.Field:
    u, v = fields.grid(rng, size)
    rate = rng.uniform(5, 18) * np.pi
    turns = (0, np.pi / 3, 2 * np.pi / 3)
    waves = sum(np.cos(rate * (np.cos(t) * u + np.sin(t) * v)) for t in turns)
    return np.clip(0.33 + 0.22 * np.asarray(waves), 0, 1)


def _rings(rng: np.random.Generator, size: int, arms: int) -> fields.Field:
    u, v = fields.grid(rng, size)
    radius, angle = np.hypot(u, v), np.arctan2(v, u)
    wave = np.sin(radius * np.pi * rng.uniform(5, 18) + arms * angle)
    return np.clip(0.5 + rng.uniform(0.5, 2) * wave, 0, 1)


def _rays(rng: np.random.Generator, size: int) -> fields.Field:
    u, v = fields.grid(rng, size, warp=0.1)
    return np.clip(0.5 + rng.uniform(0.5, 3) * np.sin(np.arctan2(v, u) * rng.integers(5, 20)), 0, 1)


def _wood(rng: np.random.Generator, size: int) -> fields.Field:
    u, v = fields.grid(rng, size)
    knots = 0.15 * fields.cloud(rng, size, 2.5)
    radius = np.hypot(u, rng.uniform(0.05, 0.3) * v) + knots
    return np.clip((radius * rng.uniform(4, 12)) % 1.0 + 0.1 * fields.cloud(rng, size, 0.5), 0, 1)


def _marble(rng: np.random.Generator, size: int) -> fields.Field:
    u, _ = fields.grid(rng, size)
    turbulence = rng.uniform(0.8, 2.0) * fields.cloud(rng, size, 1.6)
    return np.abs(np.sin(u * rng.uniform(3, 9) + turbulence)) ** rng.uniform(0.5, 1.5)


def _zigzag(rng: np.random.Generator, size: int) -> fields.Field:
    u, v = fields.grid(rng, size)
    bend = np.abs((v * rng.uniform(2, 6)) % 1.0 - 0.5) * rng.uniform(0.2, 0.5)
    return np.clip(0.5 + 2 * np.sin((u + bend) * np.pi * rng.uniform(6, 18)), 0, 1)


# --- cells, lattices and marks ----------------------------------------------------------------


def _mosaic(rng: np.random.Generator, size: int) -> fields.Field:
    count = int(rng.integers(10, 60))
    nearest, _, _ = fields.cells(rng, size, count)
    return rng.random(count, dtype=np.float32)[nearest]


def _cracks(rng: np.random.Generator, size: int, low: int, high: int) -> fields.Field:
    _, first, second = fields.cells(rng, size, int(rng.integers(low, high)))
    return np.clip((second - first) / rng.uniform(0.02, 0.06), 0, 1)


def _pebbles(rng: np.random.Generator, size: int) -> fields.Field:
    count = int(rng.integers(15, 70))
    _, first, _ = fields.cells(rng, size, count)
    return np.clip(1 - first * np.sqrt(count) * rng.uniform(0.8, 1.4), 0, 1)


def _lattice(rng: np.random.Generator, size: int, offset: float) -> fields.Field:
    u, v = fields.grid(rng, size)
    rate, radius = rng.uniform(2, 9), rng.uniform(0.2, 0.42)
    row = np.floor(v * rate)
    distance = np.hypot((u * rate + offset * row) % 1.0 - 0.5, (v * rate) % 1.0 - 0.5)
    return np.clip((radius - distance) * rng.uniform(5, 15) + 0.5, 0, 1)


def _bricks(rng: np.random.Generator, size: int) -> fields.Field:
    u, v = fields.grid(rng, size, warp=0.15)
    rate, joint = rng.uniform(3, 10), rng.uniform(0.05, 0.18)
    row = np.floor(v * rate)
    across, along = (v * rate) % 1.0, (u * rate * 0.45 + 0.5 * row) % 1.0
    return ((across > joint) & (along > joint * 0.5)).astype(np.float32)


def _scales(rng: np.random.Generator, size: int) -> fields.Field:
    u, v = fields.grid(rng, size)
    rate = rng.uniform(3, 9)
    row = np.floor(v * rate)
    along, across = (u * rate + 0.5 * row) % 1.0 - 0.5, (v * rate) % 1.0
    return np.clip(np.hypot(along, across) * rng.uniform(0.8, 1.2), 0, 1)


def _weave(rng: np.random.Generator, size: int) -> fields.Field:
    u, v = fields.grid(rng, size)
    rate = rng.uniform(3, 9)
    over = (np.floor(u * rate) + np.floor(v * rate)) % 2
    threads = np.where(over, np.sin(u * rate * 6 * np.pi), np.sin(v * rate * 6 * np.pi))
    return np.clip(0.5 + 0.4 * threads, 0, 1)


def _scattered(
    rng: np.random.Generator, size: int, shape: str, low: int, high: int, reach: float
) -> fields.Field:
    image, pen = fields.drawing(size)
    side = size * 2
    heading = rng.uniform(0, np.pi)
    spread = rng.choice([0.1, np.pi])
    for _ in range(int(rng.integers(low, high))):
        x, y = rng.uniform(0, side, 2)
        length = side * reach * rng.uniform(0.3, 1.0)
        tone = int(rng.integers(120, 256))
        if shape == "dot":
            pen.ellipse((x - length, y - length, x + length, y + length), fill=tone)
        elif shape == "square":
            ratio = rng.uniform(0.4, 1)
            pen.rectangle((x - length, y - length * ratio, x + length, y + length * ratio), tone)
        else:
            angle = heading + rng.uniform(-spread, spread)
            dx, dy = length * np.cos(angle), length * np.sin(angle)
            pen.line((x - dx, y - dy, x + dx, y + dy), fill=tone, width=int(rng.integers(1, 5)))
    return fields.drawn(image, size)


def _leaves(rng: np.random.Generator, size: int, shape: str) -> fields.Field:
    """Draw dead leaves: figures of many sizes that cover one another."""
    image, pen = fields.drawing(size)
    side = size * 2
    count = int(rng.integers(60, 160))
    radii = side * 0.5 * rng.uniform(0.04, 1.0, count) ** 2 + 2
    places = rng.uniform(0, side, (count, 2))
    tones = rng.integers(0, 256, count)
    for (x, y), r, tone in zip(places, radii, tones, strict=True):
        if shape == "disc":
            pen.ellipse((x - r, y - r, x + r, y + r), fill=int(tone))
        elif shape == "box":
            ratio = 0.4 + tone / 255
            pen.rectangle((x - r, y - r * ratio, x + r, y + r * ratio), fill=int(tone))
        else:
            angles = rng.uniform(0, 2 * np.pi) + np.array([0, 2.1, 4.2])
            corners = np.stack([x + r * np.cos(angles), y + r * np.sin(angles)], axis=1)
            pen.polygon([tuple(c) for c in corners.tolist()], fill=int(tone))
    return fields.drawn(image, size)


TEXTURES: tuple[TextureMaker, ...] = (
    *(partial(_spectrum, exponent=e) for e in (0.0, 0.7, 1.2, 1.8, 2.6)),
    partial(_spectrum, exponent=1.2, stretch=5.0),
    partial(_spectrum, exponent=0.6, stretch=12.0),
    partial(_band, low=0.04, high=0.07),
    partial(_band, low=0.1, high=0.2),
    _ridges,
    partial(_blobs, low=0.05, high=0.1),
    partial(_blobs, low=0.15, high=0.35),
    _patches,
    partial(_grating, sharp=0.5),
    partial(_grating, sharp=5.0),
    _plaid,
    _checkers,
    _triangles,
    _honeycomb,
    partial(_rings, arms=0),
    partial(_rings, arms=3),
    _rays,
    _wood,
    _marble,
    _zigzag,
    _mosaic,
    partial(_cracks, low=8, high=24),
    partial(_cracks, low=40, high=80),
    _pebbles,
    partial(_lattice, offset=0.0),
    partial(_lattice, offset=0.5),
    _bricks,
    _scales,
    _weave,
    partial(_scattered, shape="dot", low=6, high=20, reach=0.08),
    partial(_scattered, shape="dot", low=40, high=120, reach=0.025),
    partial(_scattered, shape="square", low=8, high=30, reach=0.1),
    partial(_scattered, shape="line", low=1, high=5, reach=0.6),
    partial(_scattered, shape="line", low=15, high=50, reach=0.12),
    partial(_scattered, shape="line", low=60, high=140, reach=0.04),
    partial(_leaves, shape="disc"),
    partial(_leaves, shape="box"),
    partial(_leaves, shape="triangle"),
)
