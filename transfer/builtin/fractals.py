"""Iterated function systems (Barnsley) and branching figures, one formula for each class."""

from functools import lru_cache

import numpy as np

from transfer.builtin import fields

_WALKERS = 400
_STEPS = 48
_WARM_UP = 8


def fractal(code: int, rng: np.random.Generator, size: int) -> fields.Field:
    """Return the attractor of formula number `code`, slightly varied, as a density in [0, 1]."""
    maps, weights = _formula(code)
    varied = maps * rng.uniform(0.93, 1.07, maps.shape).astype(np.float32)
    points = _chaos_game(varied, weights, rng)
    points = points[np.isfinite(points).all(axis=1)]
    low, high = np.percentile(points[::7], [1, 99], axis=0)
    points = (points - (low + high) / 2) / (max(float((high - low).max()), 1e-3) / 2)
    angle = rng.uniform(-np.pi, np.pi)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    places = points @ turn.T * rng.uniform(0.6, 1.05) + rng.uniform(-0.2, 0.2, 2)
    pixels = np.round((places + 1) / 2 * size).astype(int)
    pixels = pixels[((pixels >= 0) & (pixels < size)).all(axis=1)]
    counts = np.bincount(pixels[:, 0] * size + pixels[:, 1], minlength=size * size)
    density = np.log1p(counts.reshape(size, size).astype(np.float32))
    return np.clip(density / rng.uniform(1.0, 2.5), 0, 1)


def tree(code: int, rng: np.random.Generator, size: int) -> fields.Field:
    """Draw a branching figure whose angles and ratios belong to class `code`."""
    own = np.random.default_rng(90_000 + code)
    fork = [own.uniform(-1.3, -0.2), own.uniform(0.2, 1.3)]
    if own.random() < 0.5:
        fork.append(own.uniform(-0.2, 0.2))
    ratios = own.uniform(0.55, 0.8, len(fork))
    image, pen = fields.drawing(size)
    side = 2 * size
    width = rng.uniform(3, 9)
    start = np.array([side * rng.uniform(0.35, 0.65), side * rng.uniform(0.8, 0.98)])
    stems = [(start, -np.pi / 2 + rng.uniform(-0.3, 0.3), side * rng.uniform(0.2, 0.32))]
    for _ in range(6 if len(fork) == 2 else 5):
        grown = []
        for foot, angle, length in stems:
            tip = foot + length * np.array([np.cos(angle), np.sin(angle)])
            pen.line((*foot.tolist(), *tip.tolist()), fill=255, width=max(int(width), 1))
            for turn, ratio in zip(fork, ratios, strict=True):
                grown.append((tip, angle + turn * rng.uniform(0.8, 1.2), length * ratio))
        stems, width = grown, width * 0.7
    return fields.drawn(image, size)


@lru_cache(maxsize=256)
def _formula(code: int) -> tuple[np.ndarray, np.ndarray]:
    """Return affine maps [k, 2, 3] and their weights, whose attractor fills part of the plane."""
    own = np.random.default_rng(10_000 + code)
    while True:
        maps = own.uniform(-1, 1, (int(own.integers(2, 6)), 2, 3)).astype(np.float32)
        largest = np.linalg.svd(maps[:, :, :2], compute_uv=False)[:, 0]
        maps[:, :, :2] *= np.minimum(1.0, own.uniform(0.6, 0.9) / largest)[:, None, None]
        weights = np.abs(np.linalg.det(maps[:, :, :2])) + 0.05
        weights = weights / weights.sum()
        points = _chaos_game(maps, weights, own)
        spread = points.max(axis=0) - points.min(axis=0)
        boxes = np.floor((points - points.min(axis=0)) / max(spread.max(), 1e-3) * 31.9)
        filled = len(np.unique(boxes @ np.array([32, 1]))) / 1024
        if spread.min() > 0.35 * spread.max() and 0.12 < filled < 0.6:
            return maps, weights


def _chaos_game(maps: np.ndarray, weights: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Let many points wander at once: each step applies one of the maps to each point."""
    points = np.zeros((_WALKERS, 2), dtype=np.float32)
    choices = np.searchsorted(weights.cumsum(), rng.random((_STEPS, _WALKERS)))
    choices = np.minimum(choices, len(maps) - 1)
    visited = []
    for step, choice in enumerate(choices):
        chosen = maps[choice]
        points = (chosen[:, :, :2] * points[:, None, :]).sum(axis=2) + chosen[:, :, 2]
        if step >= _WARM_UP:
            visited.append(points)
    return np.concatenate(visited)
