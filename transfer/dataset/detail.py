"""Whether two pictures that lie over one another agree in their detail, and in which places."""

import numpy as np
from PIL import Image

from transfer.dataset import registration

SIDE = 96  # pixels of the copies that are compared at last
_FLOOR = 3.0  # grey values: detail of that spread counts half as much as strong edges
_CELLS = 8  # places along a side that are compared each by itself
_BUSY = 2.0  # grey values: spread of detail in a place from which on it is compared
_AGREE_PLACES = 0.5  # median correlation of those
_APART = 4.0  # grey values: even copies differ by less in every place,
_APART_SHARE = 0.15  # or by less than that and this share of the spread
_SPARSE = 0.65  # share of places with detail under which there is little beside outlines
_UNLIKE = 0.19  # spreads by which light and shade may differ then
_ASIDE, _FALLS = 0.06, 0.35  # so much aside (in sides), parts of one picture agree less by so much


def reduced(picture: Image.Image) -> tuple[np.ndarray, int]:
    """Return a picture grey and square, and the short side that it had."""
    small = min(picture.size) < SIDE
    way = Image.Resampling.BICUBIC if small else Image.Resampling.BOX
    return np.asarray(picture.convert("L").resize((SIDE, SIDE), way)), min(picture.size)


def agreement(
    first: np.ndarray,
    second: np.ndarray,
    warps: np.ndarray,
    sizes: tuple[float, float],
    local: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """Return how the detail of a size agrees, and the smaller of its two spreads, both [n].

    Where it is `local`, strong edges count little more than weak ones beside them: else the outline
    of a shirt would say more than all that is on it.
    """
    one, two = registration.band(first, *sizes), registration.band(second, *sizes)
    shown, mask = registration.warped(two, warps)
    count = np.maximum(1, mask.sum(axis=(1, 2)))
    spreads = [np.sqrt((values**2 * mask).sum(axis=(1, 2)) / count) for values in (one, shown)]
    if local:
        one, shown = (_levelled(values, 3 * sizes[1]) for values in (one, shown))
    return registration.agreement(one, shown, mask), np.minimum(*spreads)


def parts_agree(
    first: np.ndarray, second: np.ndarray, warps: np.ndarray, limits: tuple[float, float]
) -> np.ndarray:
    """Whether pairs agree in the part that both show, bool [n].

    Args:
        first: from `reduced`, float32 [n, SIDE, SIDE].
        second: the same shape.
        warps: how they lie over one another, [n, 2, 3].
        limits: correlations of fine and of coarser detail that are asked for.
    """
    one, two = (registration.band(values, 1.0, 8.0) for values in (first, second))
    fit = registration.register(one, two, warps, 4, least=0.25)
    fine = agreement(first, second, fit.warps, (1.0, 2.0), local=True)[0]
    middle = agreement(first, second, fit.warps, (2.0, 4.0))[0]
    scales = np.linalg.det(fit.warps[:, :, :2])
    agree = (fine > limits[0]) & (middle > limits[1]) & (np.abs(scales - 1) < 0.15)
    for shift in ((_ASIDE, 0.0), (0.0, _ASIDE)):  # stripes agree wherever they are along themselves
        aside = fit.warps.copy()
        aside[:, :, 2] += shift
        agree &= agreement(first, second, aside, (1.0, 2.0), local=True)[0] < fine - _FALLS
    rows = np.flatnonzero(agree)
    agree[rows] = light_agrees(first[rows], second[rows], fit.warps[rows])
    return agree


def everywhere(
    first: np.ndarray, second: np.ndarray, warps: np.ndarray, coarser: np.ndarray
) -> np.ndarray:
    """Whether pairs agree in most places in which both have detail, not in a few strong edges only.

    Two shirts on two beds agree in their outline, and in no other place.
    """
    agree = np.ones(len(first), bool)
    for level in np.unique(coarser):
        rows = np.flatnonzero(coarser == level)
        one, two = (registration.band(v[rows], level, 3 * level) for v in (first, second))
        shown, mask = registration.warped(two, warps[rows])
        a, b = _cells(one * mask), _cells(shown * mask)
        both = (a * b).sum(axis=2)
        energies = (a**2).sum(axis=2), (b**2).sum(axis=2)
        likeness = both / np.sqrt(np.maximum(energies[0] * energies[1], 1e-6))
        busy = np.minimum(*energies) > _BUSY**2 * a.shape[2]
        middle = np.nanmedian(np.where(busy, likeness, np.nan)[busy.sum(axis=1) >= 4], axis=1)
        agree[rows[busy.sum(axis=1) >= 4]] = middle > _AGREE_PLACES
    return agree


def nowhere_apart(first: np.ndarray, second: np.ndarray, warps: np.ndarray) -> np.ndarray:
    """Whether pairs of even pictures nowhere differ by more than light and compression make."""
    one, two = (registration.blurred(values, 2.0) for values in (first, second))
    shown, mask = registration.warped(two, warps)
    count = np.maximum(1, mask.sum(axis=(1, 2), keepdims=True))
    one, shown = (
        (values - (values * mask).sum(axis=(1, 2), keepdims=True) / count) * mask
        for values in (one, shown)
    )
    power = np.maximum(1e-3, (shown**2).sum(axis=(1, 2), keepdims=True))
    gain = (one * shown).sum(axis=(1, 2), keepdims=True) / power
    spread = np.sqrt((one**2).sum(axis=(1, 2), keepdims=True) / count)
    apart = np.abs(one - gain * shown) - _APART_SHARE * spread
    return apart.max(axis=(1, 2)) < _APART


def light_agrees(first: np.ndarray, second: np.ndarray, warps: np.ndarray) -> np.ndarray:
    """Whether pairs agree in light and shade too, where they have little beside outlines, bool [n].

    Two apples on two tables agree in their outline; that says little while the rest is plain.
    """
    one, two = (registration.band(values, 1.0, 3.0) for values in (first, second))
    shown, mask = registration.warped(two, warps)
    energies = [(_cells(values * mask) ** 2).mean(axis=2) for values in (one, shown)]
    covered = _cells(mask).mean(axis=2) > 0.5
    busy = (np.minimum(*energies) > _BUSY**2) & covered
    sparse = busy.sum(axis=1) < _SPARSE * np.maximum(1, covered.sum(axis=1))
    return ~sparse | (_unlike(first, second, warps) < _UNLIKE)


def _unlike(first: np.ndarray, second: np.ndarray, warps: np.ndarray) -> np.ndarray:
    """Return how far nine tenths of each pair's common part differ in light at most, in spreads."""
    one, two = (registration.blurred(values, 2.0) for values in (first, second))
    shown, mask = registration.warped(two, warps)
    found = np.ones(len(first), np.float32)
    for row in range(len(first)):
        common = mask[row] > 0.5
        wanted, given = one[row][common], shown[row][common]
        if len(wanted) < 2 or given.std() < 1.0:
            continue
        scale = (given - given.mean()) / given.std()  # light changes along a curve: gamma
        known = np.stack([np.ones_like(scale), scale, scale**2], axis=1)
        left = np.abs(wanted - known @ np.linalg.lstsq(known, wanted, rcond=None)[0])
        found[row] = np.quantile(left, 0.9) / max(float(wanted.std()), _APART)
    return found


def _cells(detail: np.ndarray) -> np.ndarray:
    """Return square places of a picture, [n, places, pixels]."""
    side = SIDE // _CELLS
    cut = detail.reshape(len(detail), _CELLS, side, _CELLS, side).swapaxes(2, 3)
    return cut.reshape(len(detail), _CELLS**2, side**2)


def _levelled(detail: np.ndarray, size: float) -> np.ndarray:
    around = np.maximum(0, registration.blurred(detail**2, size))
    return detail / (np.sqrt(around) + _FLOOR)
