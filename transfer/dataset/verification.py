"""Whether two pictures are copies: both are laid over one another, then their detail is compared.

What tells copies from two photographs of the same kind of thing is the finest detail that both
hold. Where there is nearly none (open water, a wall), compression takes it; there the coarser
detail and the colours have to agree instead.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from transfer.dataset import detail, registration, threads, tints
from transfer.dataset.candidates import Candidates
from transfer.dataset.descriptions import TURNS, UPRIGHT, turned
from transfer.dataset.looks import SIDE
from transfer.dataset.registration import Fit

Read = Callable[[int], Image.Image]
OnStep = Callable[[int, int], None]

_MOST = 2  # pairs a picture that are laid over one another, on average
_HOPELESS = 0.3  # correlation of fine detail after the first steps that never becomes a copy's
_ALIKE, _ALIKE_EVEN = 0.78, 0.7  # correlations of small copies, and of even ones
_BARREN = 3  # parts in a row without a copy, the likeliest come first: there will be no more
_MOST_READ = 1  # the same of those of which the stored pictures are read
_EVEN = 10.0  # spread of a small copy (0-255) under which a picture has few shapes
_STEEPEST = 1.5  # by which factor a copy may be stretched along one side more than the other
_TURN = 0.17  # radians: the hand that shoots a burst turns no further
_OVERLAP = 0.58  # of the first picture, at least
_PAIRS = 512  # are looked at together
_READ = 128  # the same of stored pictures
_CACHED = 24  # pairs of stored pictures whose detail stays in the processor's cache
# Steps of least squares on copies of half the side, and the correlation that is needed after them:
# of planted copies all but one in a thousand have 0.85, even ones 0.65.
_HALVES = ((1, 0.7, 0.55), (3, 0.77, 0.62))
_STEPS = (2, 4)  # of least squares on the small copies: hopeless pairs are dropped between them
_NEARLY = 0.12  # by so much less may pairs agree after the first of those
_AGREE, _AGREE_COARSER = 0.83, 0.75  # correlations of fine and next coarser detail in copies
_MORE = 0.07  # is asked of the first for each time that the detail is coarser
_NEAR, _NEAR_COARSER = 0.75, 0.9  # the same where compression or noise took some of it
_QUIET = 0.9  # grey values: compression and noise make such differences in fine detail
_OVERLAP_FLAT = 0.75  # of an even picture, at least
_STEADY = 0.06  # even pictures are not turned by more: all clouds agree if one turns them enough
_COLOURS = 6.0  # of 255, mean difference of a picture's colours from those of its copy


@dataclass(frozen=True)
class Verdict:
    """Which candidates are copies, and how alike they are (0 to 1), both [n]."""

    copies: np.ndarray
    likeness: np.ndarray


def glance(thumbs: np.ndarray, found: Candidates) -> tuple[Candidates, Fit]:
    """Return the candidates that fit over one another on the small copies, and how they do."""
    grey = thumbs.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)
    spread = grey.std(axis=(1, 2))
    found = found.take(np.arange(min(len(found), max(2000, _MOST * len(thumbs)))))
    even = np.minimum(spread[found.first], spread[found.second]) < _EVEN
    start = registration.from_windows(found.windows)
    half = grey.reshape(len(grey), SIDE // 2, 2, SIDE // 2, 2).mean(axis=(2, 4))
    shapes, fit = registration.band(half, 0.5, 3.0), Fit(start, *np.zeros((2, len(found))))
    for steps, limit, limit_even in _HALVES:
        fit = _fit(shapes, found, fit.warps, steps)
        chosen = fit.likeness > np.where(even, limit_even, limit)
        (found, fit), even = _only(found, fit, chosen), even[chosen]
    alike = np.zeros(len(found), np.float32)
    # Compression takes the fine detail of even pictures: there the coarse has to do.
    for rows, bands, shapes, least in (
        (np.flatnonzero(~even), (0.0, 4.0), registration.band(grey, 0, 1.5), _ALIKE),
        (np.flatnonzero(even), (1.0, 6.0), registration.band(grey, 1.2, 4.0), _ALIKE_EVEN),
    ):
        _improve(registration.band(grey, *bands), shapes, least, found, fit, alike, rows)
    likely = alike > np.where(even, _ALIKE_EVEN, _ALIKE)
    kept = (fit.likeness > 0.6) & likely & _plausible(fit)
    order = np.flatnonzero(kept)
    order = order[np.argsort(-alike[order], kind="stable")][: max(2000, _MOST_READ * len(thumbs))]
    return _only(found, fit, order)  # the likeliest first


def _improve(
    grey: np.ndarray,
    shapes: np.ndarray,
    least: float,
    found: Candidates,
    fit: Fit,
    alike: np.ndarray,
    rows: np.ndarray,
) -> None:
    """Lay some pairs over one another more exactly, in place; how alike they are then as well."""
    for steps, wanted in zip(_STEPS, (least - _NEARLY, least), strict=True):
        own = found.take(rows)
        better = _fit(grey, own, fit.warps[rows], steps)
        for name, values in vars(better).items():
            vars(fit)[name][rows] = values
        alike[rows] = _alike(shapes, own, better.warps)
        rows = rows[alike[rows] > wanted]


def verify(
    read: Read, thumbs: np.ndarray, found: Candidates, fit: Fit, on_progress: OnStep | None = None
) -> Verdict:
    """Look at the stored pictures of the candidates.

    Args:
        read: returns the picture at a position.
        thumbs: the small copies of all pictures, uint8 [n, SIDE, SIDE, 3].
        found: the pairs, with `fit` from `glance`.
        fit: how they lie over one another so far.
        on_progress: called with (pairs done, pairs in all).
    """
    copies, likeness = np.zeros(len(found), bool), np.zeros(len(found), np.float32)
    seen = _Seen(read)
    barren = 0
    for part in _parts(len(found), _READ):
        pairs = found.take(part)
        means = _means(thumbs[pairs.first]), _means(thumbs[pairs.second])
        colours = np.abs(means[0] - means[1]).max(axis=1)
        narrow, own = seen.pairs(pairs)
        copies[part], likeness[part] = _judged(seen.grey, own, fit.warps[part], narrow, colours)
        rows = part[copies[part]]
        if len(rows):
            those = found.take(rows)
            seconds = _seconds(thumbs, those)
            copies[rows] = tints.agree(thumbs[those.first], seconds, fit.warps[rows])
        if on_progress:
            on_progress(int(part[-1]) + 1, len(found))
        barren = 0 if copies[part].any() else barren + 1
        if barren == _BARREN:
            break
    return Verdict(copies, likeness)


class _Seen:
    """The stored pictures that were read so far, reduced; each is read once."""

    def __init__(self, read: Read) -> None:
        self._read = read
        self._places: dict[int, int] = {}
        self.grey = np.zeros((0, detail.SIDE, detail.SIDE), np.uint8)
        self._sides = np.zeros(0, int)

    def pairs(self, found: Candidates) -> tuple[np.ndarray, Candidates]:
        """Return the short side of the smaller picture of each pair, and them by places."""
        wanted = np.unique(np.concatenate([found.first, found.second])).tolist()
        new = [position for position in wanted if position not in self._places]
        rows = list(threads.several(lambda position: detail.reduced(self._read(position)), new))
        self._places.update(zip(new, range(len(self.grey), len(self.grey) + len(new)), strict=True))
        if rows:
            self.grey = np.concatenate([self.grey, np.array([row[0] for row in rows], np.uint8)])
            self._sides = np.concatenate([self._sides, [row[1] for row in rows]])
        first, second = (
            np.array([self._places[i] for i in ends.tolist()], int)
            for ends in (found.first, found.second)
        )
        narrow = np.minimum(self._sides[first], self._sides[second])
        return narrow, replace(found, first=first, second=second)


def _judged(
    grey: np.ndarray, pairs: Candidates, warps: np.ndarray, narrow: np.ndarray, colours: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return which pairs are copies, and how alike they are."""

    def some(part: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return _judge_few(grey, pairs.take(part), warps[part], narrow[part], colours[part])

    parts = threads.several(some, _parts(len(pairs), _CACHED))
    copies, likeness = zip(*parts, strict=True)
    return np.concatenate(copies), np.concatenate(likeness)


def _judge_few(
    grey: np.ndarray, pairs: Candidates, warps: np.ndarray, narrow: np.ndarray, colours: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    first = grey[pairs.first].astype(np.float32)
    second = _seconds(grey, pairs).astype(np.float32)
    copies, likeness = np.zeros(len(pairs), bool), np.zeros(len(pairs), np.float32)
    left = np.arange(len(pairs))
    upright = pairs.turn == UPRIGHT
    for steps, coarse in ((2, 8.0), (6, 14.0)):  # most need but a little
        one, two = (registration.band(values[left], 1.0, coarse) for values in (first, second))
        fit = registration.register(one, two, warps[left], steps)
        warps[left] = fit.warps
        found, alike, hopeless = _compared(
            first[left], second[left], fit, narrow[left], np.where(upright, colours, np.inf)[left]
        )
        copies[left], likeness[left] = found, alike
        left = left[~found & ~hopeless]
        if not len(left):
            break
    return copies, likeness


def _compared(
    first: np.ndarray, second: np.ndarray, fit: Fit, narrow: np.ndarray, colours: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return which pairs are copies, how alike all are, and which will never be."""
    coarser = np.clip(detail.SIDE / narrow, 1, 3)  # a picture of fewer pixels holds no finer detail
    fine, middle, coarse, coarsest, quiet, spread = np.zeros((6, len(first)), np.float32)
    for level in np.unique(np.ceil(2 * coarser) / 2):
        rows = np.flatnonzero(np.ceil(2 * coarser) / 2 == level)
        a, b, warps = first[rows], second[rows], fit.warps[rows]
        for place, values in enumerate((fine, middle)):
            sizes = (level * 2**place, level * 2 ** (place + 1))
            values[rows], strength = detail.agreement(a, b, warps, sizes, local=place == 0)
            if place == 0:
                spread[rows] = strength
                quiet[rows] = strength * np.sqrt(np.maximum(0, 1 - np.maximum(0, fine[rows]) ** 2))
    more = coarser - 1
    sure = (fine > _AGREE + _MORE * more) & (middle > _AGREE_COARSER)
    those = np.flatnonzero(sure)
    sure[those] = detail.everywhere(
        first[those], second[those], fit.warps[those], np.ceil(2 * coarser[those]) / 2
    )
    steady = np.abs(fit.warps[:, [0, 1], [1, 0]]).max(axis=1) < _STEADY
    # Small pictures that are nearly sure: compression took detail, the coarse says the rest.
    near = (fine > _NEAR) & (middle > _NEAR_COARSER) & (narrow < detail.SIDE)
    those = np.flatnonzero(near & ~sure)
    near[those] = detail.nowhere_apart(first[those], second[those], fit.warps[those])
    maybe = (quiet < _QUIET) & (colours < _COLOURS) & (middle > 0.5)
    maybe = np.flatnonzero(~sure & steady & (maybe | near))
    if len(maybe):
        a, b, warps = first[maybe], second[maybe], fit.warps[maybe]
        coarse[maybe] = detail.agreement(a, b, warps, (4.0, 8.0))[0]
        coarsest[maybe] = detail.agreement(a, b, warps, (8.0, 16.0))[0]
    quietly = (coarse > 0.88) & (coarsest > 0.88)
    quietly |= (coarse > 0.75) & (coarsest > 0.85) & (colours < _COLOURS / 4)
    quietly &= ~near | (np.minimum(coarse, coarsest) > _NEAR_COARSER)
    those = np.flatnonzero(sure & (narrow >= detail.SIDE))  # compression leaves less of small ones
    sure[those] = detail.light_agrees(first[those], second[those], fit.warps[those])
    fits = _plausible(fit)
    # The pattern of the blocks of JPEG is the same in all flat pictures: more has to agree there.
    flat = np.flatnonzero((sure | quietly) & fits & (spread < _QUIET))
    if len(flat):
        fits[flat] = detail.nowhere_apart(first[flat], second[flat], fit.warps[flat])
        fits[flat] &= (fit.overlap[flat] > _OVERLAP_FLAT) | (fine[flat] > _NEAR_COARSER)
    alike = np.clip(np.where(quietly, coarse, (fine + middle) / 2), 0, 1)
    return (sure | quietly) & fits, alike, ((middle < 0.55) & (quiet > _QUIET)) | (fine < _HOPELESS)


def _plausible(fit: Fit) -> np.ndarray:
    """Whether the pairs lie over one another as copies do, bool [n]."""
    across = np.hypot(fit.warps[:, 0, 0], fit.warps[:, 1, 0])
    down = np.hypot(fit.warps[:, 0, 1], fit.warps[:, 1, 1])
    stretch = np.maximum(across / down, down / across)
    shear = np.abs(fit.warps[:, 0, 1] + fit.warps[:, 1, 0]) / np.maximum(across, down)
    turn = np.abs(fit.warps[:, 1, 0] - fit.warps[:, 0, 1]) / (across + down)
    area = np.abs(np.linalg.det(fit.warps[:, :, :2]))
    # What the first shows of the second is `overlap`; of the second that is so many times more.
    shared = np.minimum(fit.overlap, fit.overlap * area)
    return (shared > _OVERLAP) & (stretch < _STEEPEST) & (shear < 0.25) & (turn < _TURN)


def _alike(shapes: np.ndarray, found: Candidates, warps: np.ndarray) -> np.ndarray:
    """Return how pairs agree where both show something, float32 [n]."""
    alike = np.zeros(len(found), np.float32)
    for part in _parts(len(found)):
        shown, mask = registration.warped(_seconds(shapes, found.take(part)), warps[part])
        alike[part] = registration.agreement(shapes[found.first[part]], shown, mask)
    return alike


def _fit(grey: np.ndarray, found: Candidates, warps: np.ndarray, steps: int) -> Fit:
    parts = [
        registration.register(
            grey[found.first[part]], _seconds(grey, found.take(part)), warps[part], steps
        )
        for part in _parts(len(found), 8 * _PAIRS)
    ]
    if not parts:
        return Fit(warps, np.zeros(0, np.float32), np.zeros(0, np.float32))
    return Fit(*(np.concatenate([vars(part)[name] for part in parts]) for name in vars(parts[0])))


def _seconds(grey: np.ndarray, found: Candidates) -> np.ndarray:
    """Return the second picture of each pair, turned like the first."""
    made = grey[found.second]
    for turn in np.unique(found.turn):
        rows = found.turn == turn
        made[rows] = turned(made[rows], TURNS[turn])
    return made


def _only(found: Candidates, fit: Fit, chosen: np.ndarray) -> tuple[Candidates, Fit]:
    return found.take(chosen), Fit(*(values[chosen] for values in vars(fit).values()))


def _parts(number: int, size: int = _PAIRS) -> Iterator[np.ndarray]:
    yield from (np.arange(i, min(i + size, number)) for i in range(0, number, size))


def _means(thumbs: np.ndarray) -> np.ndarray:
    return thumbs.mean(axis=(1, 2), dtype=np.float32)
