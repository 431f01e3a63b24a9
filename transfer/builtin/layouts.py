"""Spatial layouts, as if seen from above: bands, patchworks, rows, clusters and shores."""

from collections.abc import Callable
from functools import partial

import numpy as np

from transfer.builtin import fields

Layout = tuple[np.ndarray, int]
"""Region numbers [size, size] and how many regions there may be."""


def _bands(rng: np.random.Generator, size: int, count: int, width: float, curve: float) -> Layout:
    regions = np.zeros((size, size), dtype=np.int64)
    for _ in range(count):
        u, v = fields.grid(rng, size, warp=0.0)
        bend = curve * np.sin(v * rng.uniform(1, 3) + rng.uniform(0, 6)) * rng.uniform(0.5, 1)
        regions[np.abs(u * 0.7 + bend) < width * rng.uniform(0.6, 1.4)] = 1
    return regions, 2


def _strips(rng: np.random.Generator, size: int) -> Layout:
    u, v = fields.grid(rng, size, warp=0.1)
    rate = rng.uniform(3, 9)
    row = np.floor(u * rate)
    field = np.floor(v * rng.uniform(0.6, 1.5) + 0.5 * (row % 2))
    return ((row * 7 + field * 13) % 9).astype(np.int64), 9


def _patchwork(rng: np.random.Generator, size: int) -> Layout:
    count = int(rng.integers(5, 16))
    nearest, _, _ = fields.cells(rng, size, count)
    return nearest, count


def _plots(rng: np.random.Generator, size: int) -> Layout:
    regions = np.zeros((size, size), dtype=np.int64)
    u, v = fields.grid(rng, size, warp=0.1)
    boxes = [(-1.6, 1.6, -1.6, 1.6)]
    while len(boxes) < 14:
        x0, x1, y0, y1 = boxes.pop(int(rng.integers(max(1, len(boxes) // 2))))
        cut = rng.uniform(0.3, 0.7)
        if x1 - x0 > y1 - y0:
            boxes += [(x0, x0 + cut * (x1 - x0), y0, y1), (x0 + cut * (x1 - x0), x1, y0, y1)]
        else:
            boxes += [(x0, x1, y0, y0 + cut * (y1 - y0)), (x0, x1, y0 + cut * (y1 - y0), y1)]
    for number, (x0, x1, y0, y1) in enumerate(boxes):
        regions[(u >= x0) & (u < x1) & (v >= y0) & (v < y1)] = number
    return regions, 14


def _rows(rng: np.random.Generator, size: int) -> Layout:
    u, v = fields.grid(rng, size, warp=0.1)
    rate = rng.uniform(5, 12)
    dots = np.hypot((u * rate) % 1 - 0.5, (v * rate * rng.uniform(0.4, 1)) % 1 - 0.5) < 0.33
    return np.where(np.abs(u) < rng.uniform(0.02, 0.1), 2, dots.astype(np.int64)), 3


def _houses(rng: np.random.Generator, size: int, low: int, high: int, reach: float) -> Layout:
    u, v = fields.grid(rng, size, warp=0.1)
    regions = np.zeros((size, size), dtype=np.int64)
    streets = rng.uniform(2, 4)
    regions[((u * streets) % 1 < 0.12) | ((v * streets) % 1 < 0.12)] = 1
    for _ in range(int(rng.integers(low, high))):
        x, y = rng.uniform(-1.2, 1.2, 2)
        w, h = reach * rng.uniform(0.5, 1.3, 2)
        regions[(np.abs(u - x) < w) & (np.abs(v - y) < h)] = int(rng.integers(2, 5))
    return regions, 5


def _shore(rng: np.random.Generator, size: int) -> Layout:
    u, _ = fields.grid(rng, size, warp=0.0)
    height = u + 0.25 * fields.cloud(rng, size, 1.8)
    return (height > 0).astype(np.int64) + (height > rng.uniform(0.08, 0.3)), 3


def _lakes(rng: np.random.Generator, size: int) -> Layout:
    height = fields.cloud(rng, size, rng.uniform(1.8, 2.4))
    return (height > rng.uniform(0.4, 1.3)).astype(np.int64), 2


def _canopy(rng: np.random.Generator, size: int) -> Layout:
    _, first, _ = fields.cells(rng, size, 70)
    return np.clip(first * 45, 0, 4).astype(np.int64), 5


LAYOUTS: tuple[Callable[[np.random.Generator, int], Layout], ...] = (
    partial(_bands, count=1, width=0.12, curve=0.35),
    partial(_bands, count=1, width=0.04, curve=0.05),
    partial(_bands, count=2, width=0.05, curve=0.05),
    partial(_bands, count=4, width=0.03, curve=0.3),
    _strips,
    _patchwork,
    _plots,
    _rows,
    partial(_houses, low=30, high=70, reach=0.08),
    partial(_houses, low=4, high=9, reach=0.3),
    _shore,
    _lakes,
    _canopy,
)
