"""What could tell the classes apart without showing the subject, as numbers for each picture."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median_low

import numpy as np

from transfer.dataset.index import ImageIndex, Origin, Picture
from transfer.dataset.looks import SIDE, Looks

NAMES = ("size", "file_size", "format", "camera", "time", "colour", "sharpness", "border")
_CELL = 4  # pixels of the small copy that are looked at together; also the width of the border
_CELLS = SIDE // _CELL
_CORNER = 6  # pixels of the small copy: where the subject is least
# Bytes of a JPEG of quality 90 without its header of 700 bytes, fitted to photographs, satellite
# tiles and scans together: for each pixel they grow with the root of `fine_sharpness`.
_HEADER, _PER_DETAIL, _PER_AREA, _AT_ONE = 700, 0.549, -0.06, -2.421
_INEXACT = 0.2  # standard deviation of what the law leaves, over all of them
_GREY = 1.5  # mean saturation (0-255) under which a picture shows no colour
_DAY = 24 * 3600.0
_NO_COLOUR = 1e-4  # mean square, as logarithms, of what is no difference in colour
_COMMON = 30  # cameras, formats and modes that are told apart; rarer ones count as one


@dataclass(frozen=True)
class Cue:
    """Numbers [n, d] of one cue, and [n, e] of its control where it has one.

    The control is as much of the picture, or what is left of it, without the cue: where it tells
    the classes apart as well as the cue does, the cue is more of the same subject.

    `around` [n, f] is the same as the cue, seen where the subject is least or in another way, where
    what belongs to the subject does not show. `template`: the cue is a drawing, which is
    the same in one place, and is asked for as a whole and not number by number.
    """

    name: str
    values: np.ndarray
    control: np.ndarray | None = None
    around: np.ndarray | None = None
    template: bool = False


def read(
    index: ImageIndex, looks: Looks, positions: Sequence[int] | np.ndarray, rng: np.random.Generator
) -> tuple[Cue, ...]:
    """Return the cues that differ at all between these pictures.

    `size`: width, height and shape in pixels of the file as it came.
    `file_size`: bytes for each pixel, more or less than the detail of the picture and its format
    let expect: how strongly it was compressed.
    `format`: JPEG, PNG ..., with transparency or not, in colour or grey.
    `camera`: what EXIF says: maker, model and software, whether it says any, how it was held.
    `time`: when it was taken, by EXIF.
    `colour`: mean and spread of the red, green and blue, brightness, and how colourful it is.
    `sharpness`: how sharp and how noisy, beside how much contrast there is.
    `border`: the outermost eighth of the picture: frames, logos, the table below; `corners` looks
    there more finely, for stamps.

    Args:
        index: the data set.
        looks: of all its pictures.
        positions: which pictures; the rows of the cues have this order.
        rng: blurs what is known only roughly.
    """
    chosen = [index.pictures[i] for i in positions]
    thumbs = looks.thumbs[list(positions)].astype(np.float32)
    measures = {
        name: looks.measure(name)[list(positions)].astype(np.float64)
        for name in ("contrast", "sharpness", "fine_sharpness", "noise")
    }
    form, colour, sharpness = _form(thumbs), _colour(thumbs), _sharpness(measures)
    grid = _grid(thumbs)
    relative = _relative(grid, thumbs)
    # Over the brightness: what makes a picture darker makes its edges weaker as much.
    light = np.log(thumbs.mean(axis=(1, 2, 3), dtype=np.float64) + 4)[:, None]
    rest = np.hstack([form, sharpness[:, :3] - light, sharpness[:, 3:]])
    cues = [
        Cue("size", _size(chosen)),
        Cue("file_size", _file_size(chosen, measures["fine_sharpness"], rng)),
        Cue("format", _format(chosen, thumbs)),
        Cue("camera", _camera(chosen)),
        Cue("time", _time(chosen)),
        Cue("colour", colour, rest, _colour_around(thumbs)),
        Cue("sharpness", sharpness, np.hstack([form, colour])),
        Cue("border", _cells(grid, inside=False), _cells(grid, inside=True)),
        Cue("border", _steps(relative, 0), _steps(relative, 1)),
    ]
    return tuple(cue for cue in cues if len(cue.values) and np.ptp(cue.values, axis=0).any())


def surface(thumbs: np.ndarray, labels: np.ndarray) -> float:
    """Return how far a picture is all of one surface, as a land, a cloth or a metal is, in [-1, 1].

    The correlation, within a class, of the light and the colours along the border with those of the
    middle; the least of the three, and the median of the classes, so that one class from another
    light makes no difference. Where an object lies before a background the two have little to do
    with each other; on one surface there is nothing but the subject.

    Args:
        thumbs: uint8 [n, side, side, 3].
        labels: int [n].
    """
    middle = np.zeros((SIDE, SIDE), bool)
    middle[SIDE // 4 : -SIDE // 4, SIDE // 4 : -SIDE // 4] = True
    axes = []
    for place in (_ring(), middle):
        red, green, blue = np.log(thumbs[:, place].mean(axis=1, dtype=np.float64) + 4).T
        axes.append(np.stack([red + green + blue, red - blue, 2 * green - red - blue]))
    return median_low(
        [_alike(axes[0][:, labels == k], axes[1][:, labels == k]) for k in np.unique(labels)]
    )


def _alike(outer: np.ndarray, inner: np.ndarray) -> float:
    """Return the least correlation of the rows that vary at all: grey pictures have no colours."""
    outer, inner = (one - one.mean(axis=1, keepdims=True) for one in (outer, inner))
    norms = np.sqrt((outer**2).sum(axis=1) * (inner**2).sum(axis=1))
    varies = norms > _NO_COLOUR * outer.shape[1]
    found = (outer * inner).sum(axis=1)[varies] / norms[varies]
    return float(found.min(initial=1.0))


def dimensions(picture: Picture) -> tuple[int, int]:
    """Return width and height in pixels of the file as it came, where that is known."""
    origin = picture.origin
    if origin is None or not origin.width or not origin.height:
        return picture.width, picture.height
    return origin.width, origin.height


def _size(chosen: list[Picture]) -> np.ndarray:
    width, height = np.log(np.array([dimensions(one) for one in chosen], np.float64)).T
    return np.stack([width, height, width - height, np.minimum(width, height)], axis=1)


def _file_size(
    chosen: list[Picture], sharpness: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Return the logarithm of the bytes over those that a JPEG of such detail has, [n, 1].

    A difference of a fifth is drowned in noise: the law is no better than that.
    """
    if any(one.origin is None or not one.origin.bytes for one in chosen):
        return np.zeros((len(chosen), 1))
    area = np.array([width * height for width, height in map(dimensions, chosen)], np.float64)
    size = np.array([one.origin.bytes for one in chosen if one.origin], np.float64)
    each = np.log(np.maximum(size - _HEADER, 50) / area)
    expected = _PER_DETAIL * np.log(sharpness + 1) + _PER_AREA * np.log(area) + _AT_ONE
    left = each - expected
    _, kinds = np.unique([one.origin.format for one in chosen if one.origin], return_inverse=True)
    for kind in range(kinds.max() + 1):  # another format is another cue
        left[kinds == kind] -= np.median(left[kinds == kind])
    return (left + rng.normal(0, _INEXACT, len(left)))[:, None]


def _format(chosen: list[Picture], thumbs: np.ndarray) -> np.ndarray:
    kinds = [one.origin or _UNKNOWN for one in chosen]
    grey = (thumbs.max(axis=3) - thumbs.min(axis=3)).mean(axis=(1, 2)) < _GREY
    formats, modes = _one_hot([k.format for k in kinds]), _one_hot([k.mode for k in kinds])
    return np.column_stack([formats, modes, grey])


def _camera(chosen: list[Picture]) -> np.ndarray:
    said = [one.origin or _UNKNOWN for one in chosen]
    dated = np.array([one.taken is not None for one in said], np.float64)
    orientation = _one_hot([str(one.orientation) for one in said])
    return np.column_stack([_one_hot([one.camera for one in said]), orientation, dated])


def _time(chosen: list[Picture]) -> np.ndarray:
    """Return the day and the hour; a picture that says none is put before all others."""
    taken = [one.origin.taken if one.origin else None for one in chosen]
    known = np.array([moment for moment in taken if moment is not None], np.float64)
    if not len(known):
        return np.zeros((len(chosen), 2))
    first = known.min() - _DAY
    seconds = np.array([first if moment is None else moment for moment in taken], np.float64)
    return np.stack([(seconds - first) / _DAY, seconds % _DAY / 3600], axis=1)


def _colour(thumbs: np.ndarray) -> np.ndarray:
    flat = thumbs.reshape(len(thumbs), -1, 3)
    mean, spread = flat.mean(axis=1), flat.std(axis=1)
    light = mean.mean(axis=1, keepdims=True)
    shades = np.log((mean + 4) / (light + 4))  # the same for a darker copy
    vivid = np.log1p((flat.max(axis=2) - flat.min(axis=2)).mean(axis=1))[:, None]
    extremes = np.percentile(flat.mean(axis=2), (5, 95), axis=1).T
    return np.hstack([mean, spread, light, shades, vivid, extremes, _light_source(thumbs)])


def _colour_around(thumbs: np.ndarray) -> np.ndarray:
    """Return the mean and spread of the colours in the four corners, and their shades.

    A fruit or a head may well reach the border; into the corners it seldom does.
    """
    corners = np.zeros((SIDE, SIDE), bool)
    ends = np.r_[:_CORNER, SIDE - _CORNER : SIDE]
    corners[np.ix_(ends, ends)] = True
    flat = thumbs[:, corners]
    mean, spread = flat.mean(axis=1), flat.std(axis=1)
    light = mean.mean(axis=1, keepdims=True)
    vivid = np.log1p((flat.max(axis=2) - flat.min(axis=2)).mean(axis=1))[:, None]
    return np.hstack([mean, spread, light, np.log((mean + 4) / (light + 4)), vivid])


def _ring() -> np.ndarray:
    """Return which pixels of a small copy are along its border, bool [side, side]."""
    ring = np.ones((SIDE, SIDE), bool)
    ring[_CELL:-_CELL, _CELL:-_CELL] = False
    return ring


def _light_source(thumbs: np.ndarray) -> np.ndarray:
    """Return red and blue over green of the edges and of the lightest places, as logarithms.

    They depend on the subject less than the mean does, and on the light and the camera as much
    (grey edge: van de Weijer, Gevers and Gijsenij 2007; white patch: Land 1977).
    """
    down, across = np.diff(thumbs, axis=1), np.diff(thumbs, axis=2)
    edges = np.abs(down).mean(axis=(1, 2)) + np.abs(across).mean(axis=(1, 2)) + 0.5
    lightest = np.percentile(thumbs.reshape(len(thumbs), -1, 3), 95, axis=1) + 4
    both = np.log(np.concatenate([edges, lightest], axis=1))
    return both[:, [0, 2, 3, 5]] - both[:, [1, 1, 4, 4]]


def _sharpness(measures: dict[str, np.ndarray]) -> np.ndarray:
    logs = {name: np.log(values + 0.25) for name, values in measures.items()}
    coarse, fine, noise = logs["sharpness"], logs["fine_sharpness"], logs["noise"]
    return np.stack(
        [coarse, fine, noise, fine - coarse, noise - fine, fine - logs["contrast"]], axis=1
    )


def _form(thumbs: np.ndarray) -> np.ndarray:
    """Return what is left without colour, light and contrast: the grey cells, standardised."""
    grey = thumbs.mean(axis=3)
    grey = grey - grey.mean(axis=(1, 2), keepdims=True)
    grey /= grey.std(axis=(1, 2), keepdims=True) + 1.0
    cells = grey.reshape(len(grey), _CELLS, _CELL, _CELLS, _CELL)
    edges = np.stack([np.abs(np.diff(grey, axis=1))[:, :, :-1], np.abs(np.diff(grey))[:, :-1]])
    directions = edges.mean(axis=(2, 3)).T
    return np.hstack([cells.mean(axis=(2, 4)).reshape(len(grey), -1), directions])


def _cells(grid: np.ndarray, inside: bool) -> np.ndarray:
    """Return the cells of the border, or of those further inside."""
    ring = np.ones((_CELLS, _CELLS), bool)
    ring[1:-1, 1:-1] = False
    return grid[:, ~ring if inside else ring].reshape(len(grid), -1)


def _steps(cells: np.ndarray, depth: int) -> np.ndarray:
    """Return how a ring of relative cells differs from the next one further inside.

    The same picture goes on there: only what lies along the border makes a difference.
    """
    last = _CELLS - 1 - depth
    rows, columns = np.mgrid[depth : last + 1, depth : last + 1].reshape(2, -1)
    outer = (rows == depth) | (rows == last) | (columns == depth) | (columns == last)
    rows, columns = rows[outer], columns[outer]
    inner = (np.clip(at, depth + 1, last - 1) for at in (rows, columns))
    return (cells[:, rows, columns] - cells[:, *inner]).reshape(len(cells), -1)


def _relative(grid: np.ndarray, thumbs: np.ndarray) -> np.ndarray:
    """Return cells with colours in units of the picture's contrast, and detail as logarithms."""
    contrast = thumbs.std(axis=(1, 2, 3))[:, None, None, None] + 4
    return np.concatenate([grid[..., :3] / contrast, np.log(grid[..., 3:] + 2)], axis=3)


def _grid(thumbs: np.ndarray) -> np.ndarray:
    """Return red, green, blue, curvature across and down, and spread, [n, cells, cells, 6]."""
    grey = thumbs.mean(axis=3)
    padded = np.pad(grey, ((0, 0), (1, 1), (1, 1)), mode="edge")
    across = np.abs(2 * grey - padded[:, 1:-1, :-2] - padded[:, 1:-1, 2:])
    down = np.abs(2 * grey - padded[:, :-2, 1:-1] - padded[:, 2:, 1:-1])
    stack = np.concatenate([thumbs, np.stack([across, down], axis=3)], axis=3)
    shape = (len(thumbs), _CELLS, _CELL, _CELLS, _CELL)
    means = stack.reshape(*shape, 5).mean(axis=(2, 4))
    return np.concatenate([means, grey.reshape(shape).std(axis=(2, 4))[..., None]], axis=3)


def _one_hot(words: list[str]) -> np.ndarray:
    """Return a column for each common word and one for the rest, float64 [n, columns]."""
    found, numbers, counts = np.unique(words, return_inverse=True, return_counts=True)
    rank = np.empty(len(found), int)
    rank[np.argsort(-counts, kind="stable")] = np.arange(len(found))
    places = np.minimum(rank[numbers], _COMMON)
    return np.eye(min(len(found), _COMMON + 1))[places]


_UNKNOWN = Origin(0, "", "", 0, 0)
