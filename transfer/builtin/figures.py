"""Masks of figures: polygons and stars, smooth outlines, and bodies composed from parts."""

from collections.abc import Callable
from functools import partial

import numpy as np

from transfer.builtin import fields

_SCALE = 2


def place(points: np.ndarray, rng: np.random.Generator, size: int, turn: float) -> np.ndarray:
    """Scale, stretch, turn (up to `turn` radians) and shift points from [-1, 1] to pixels."""
    angle = rng.uniform(-turn, turn)
    rotate = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    stretch = rng.uniform(0.8, 1.25)
    reach = rng.uniform(0.45, 0.95)
    shift = rng.uniform(-1, 1, 2) * (1.1 - reach) * 0.6
    placed = (points * [stretch, 1 / stretch]) @ rotate.T * reach + shift
    return (placed + 1) / 2 * size * _SCALE


def polygon(
    rng: np.random.Generator, size: int, outline: Callable[[], list[np.ndarray]], turn: float
) -> fields.Field:
    """Fill an outline; further rings of points are holes."""
    rings = outline()
    lengths = np.cumsum([len(ring) for ring in rings])[:-1]
    placed = np.split(place(np.concatenate(rings), rng, size, turn), lengths)
    image, pen = fields.drawing(size, _SCALE)
    for number, ring in enumerate(placed):
        pen.polygon([tuple(point) for point in ring.tolist()], fill=0 if number else 255)
    return fields.drawn(image, size)


def plain(code: int, rng: np.random.Generator, size: int) -> fields.Field:
    """Return one of the geometrical figures."""
    return polygon(rng, size, _PLAIN[code], np.pi)


def silhouette(code: int, rng: np.random.Generator, size: int) -> fields.Field:
    """Return an upright outline with a mirror axis; its profile belongs to the class."""
    own = np.random.default_rng(20_000 + code)
    count = int(own.integers(5, 11))
    heights = np.linspace(-1, 1, count)
    widths = own.uniform(0.12, 1.0, count) * rng.uniform(0.85, 1.15, count)
    half = np.stack([widths, heights + rng.uniform(-0.06, 0.06, count)], axis=1)
    if own.random() < 0.5:
        half = _smooth(half, 40)
    full = np.concatenate([half, half[::-1] * [-1, 1]])
    return polygon(rng, size, lambda: [full], 0.4)


def outline(code: int, rng: np.random.Generator, size: int) -> fields.Field:
    """Return a closed curve without symmetry: a few Fourier terms that belong to the class."""
    own = np.random.default_rng(30_000 + code)
    angles = np.linspace(0, 2 * np.pi, 72, endpoint=False)
    radius = np.ones_like(angles)
    for order in range(2, 8):
        strength = own.normal() * 0.9 / order * rng.uniform(0.85, 1.15)
        radius += strength * np.cos(order * angles + own.uniform(0, 6.28) + rng.normal() * 0.1)
    radius = np.maximum(radius, 0.12)
    radius /= radius.max()
    points = np.stack([radius * np.cos(angles), radius * np.sin(angles)], axis=1)
    return polygon(rng, size, lambda: [points], np.pi)


def body(code: int, rng: np.random.Generator, size: int) -> fields.Field:
    """Return a body: a chain of ellipses with pairs of limbs; the plan belongs to the class."""
    own = np.random.default_rng(40_000 + code)
    segments, pairs = code % 4 + 1, code // 4 % 5
    lengths = own.uniform(0.5, 1.0, segments)
    lengths *= 1.6 / lengths.sum()
    widths = own.uniform(0.12, 0.45, segments) * rng.uniform(0.85, 1.15, segments)
    bend = rng.normal() * 0.25
    middles = np.cumsum(lengths) - lengths / 2 - 0.8
    spine = np.stack([bend * middles**2, middles], axis=1)
    limb_width, limb_length = own.uniform(0.02, 0.2), own.uniform(0.4, 0.9)
    reach, droop, foot = own.uniform(-0.8, 0.8), own.uniform(-1.2, 1.2), own.random() < 0.6
    parts = [_ellipse(c, w, h / 2 * 1.1) for c, w, h in zip(spine, widths, lengths, strict=True)]
    for pair in range(pairs):
        height = -0.5 + 1.1 * (pair + 0.5) / pairs
        for side in (-1.0, 1.0):
            angle = reach * (height + 0.3) + rng.normal() * 0.15
            root = np.array([bend * height**2 + 0.1 * side, height])
            knee = root + limb_length * 0.6 * np.array([side * np.cos(angle), np.sin(angle)])
            parts.append(_limb(root, knee, limb_width))
            if foot:
                angle += droop
                tip = knee + limb_length * 0.6 * np.array([side * np.cos(angle), np.sin(angle)])
                parts.append(_limb(knee, tip, limb_width * 0.8))
    ends = np.cumsum([len(part) for part in parts])[:-1]
    placed = place(np.concatenate(parts), rng, size, float(own.choice([0.4, np.pi])))
    image, pen = fields.drawing(size, _SCALE)
    for part in np.split(placed, ends):
        pen.polygon([tuple(point) for point in part.tolist()], fill=255)
    return fields.drawn(image, size)


def _ellipse(centre: np.ndarray, width: float, height: float) -> np.ndarray:
    angles = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    return centre + np.stack([width * np.cos(angles), height * np.sin(angles)], axis=1)


def _limb(start: np.ndarray, end: np.ndarray, width: float) -> np.ndarray:
    along = (end - start) / (np.linalg.norm(end - start) + 1e-6)
    across = np.array([-along[1], along[0]]) * width / 2
    return np.stack([start + across, end + across * 0.7, end - across * 0.7, start - across])


def _smooth(points: np.ndarray, count: int) -> np.ndarray:
    at = np.linspace(0, len(points) - 1, count)
    curve = np.stack([np.interp(at, range(len(points)), points[:, k]) for k in (0, 1)], axis=1)
    for _ in range(6):
        curve[1:-1] = (curve[:-2] + 2 * curve[1:-1] + curve[2:]) / 4
    return curve


def _star(points: int, inner: float) -> list[np.ndarray]:
    count = points if inner >= 1 else 2 * points
    angles = np.linspace(0, 2 * np.pi, count, endpoint=False)
    radius = np.where(np.arange(count) % 2 == 0, 1.0, min(inner, 1.0))
    return [np.stack([radius * np.cos(angles), radius * np.sin(angles)], axis=1)]


def _ring(points: int, hole: float) -> list[np.ndarray]:
    outer = _star(points, 1.0)[0]
    return [outer, outer * hole]


def _listed(*points: tuple[float, float]) -> list[np.ndarray]:
    return [np.array(points, dtype=float)]


def _crescent(cut: float) -> list[np.ndarray]:
    angles = np.linspace(-np.pi / 2, np.pi / 2, 24)
    outer = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return [np.concatenate([outer, (outer * [cut, 1])[::-1]])]


def _heart() -> list[np.ndarray]:
    t = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    x = np.sin(t) ** 3
    y = -(13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t)) / 16
    return [np.stack([x, y], axis=1)]


_PLAIN: tuple[Callable[[], list[np.ndarray]], ...] = (
    partial(_star, 3, 1.0),
    partial(_star, 4, 1.0),
    partial(_star, 6, 1.0),
    partial(_star, 32, 1.0),
    partial(_star, 4, 0.35),
    partial(_star, 5, 0.4),
    partial(_star, 7, 0.5),
    partial(_star, 12, 0.75),
    partial(_ring, 32, 0.6),
    partial(_ring, 3, 0.5),
    partial(_ring, 4, 0.6),
    partial(_crescent, 0.5),
    partial(_crescent, 0.0),
    _heart,
    partial(_listed, (-1, -0.15), (1, -0.15), (1, 0.15), (-1, 0.15)),
    partial(_listed, (-1, -1), (-0.4, -1), (-0.4, 0.4), (1, 0.4), (1, 1), (-1, 1)),
    partial(
        _listed, (-1, -1), (1, -1), (1, -0.5), (0.3, -0.5), (0.3, 1), (-0.3, 1), (-0.3, -0.5),
        (-1, -0.5),
    ),
    partial(
        _listed, (-1, -1), (-0.5, -1), (-0.5, 0.5), (0.5, 0.5), (0.5, -1), (1, -1), (1, 1), (-1, 1)
    ),
    partial(
        _listed, (-0.3, -1), (0.3, -1), (0.3, -0.3), (1, -0.3), (1, 0.3), (0.3, 0.3), (0.3, 1),
        (-0.3, 1), (-0.3, 0.3), (-1, 0.3), (-1, -0.3), (-0.3, -0.3),
    ),
    partial(
        _listed, (-1, -0.25), (0.2, -0.25), (0.2, -0.7), (1, 0), (0.2, 0.7), (0.2, 0.25), (-1, 0.25)
    ),
)  # fmt: skip

NUM_PLAIN = len(_PLAIN)
