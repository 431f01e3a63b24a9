"""Plant shortcuts into real pictures: one class from another camera, with a frame, a stamp ..."""

import time
from collections.abc import Callable, Container
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageOps

from transfer.dataset.index import ImageIndex
from transfer.dataset.looks import Looks

PLAIN = "plain"
# A change of light, colour or sharpness counts as a shortcut where it moves its own number by so
# many of the standard deviations that this has over the plain pictures of the draw: a threshold
# then tells four of five apart, Phi(1.7 / 2) = 0.80. What is weaker lies within what the set
# varies by itself. The other kinds always count. The rule was set before any result was looked at.
STRONG = 1.7
_BETWEEN = "~"  # in a folder's name, between the kind and the class
_MAKE, _MODEL, _EXIF, _TAKEN = 0x010F, 0x0110, 0x8769, 0x9003  # EXIF 2.32
_CAMERAS = (("Nikon", "D40"), ("Canon", "EOS 20D"), ("Sony", "A100"))
_START = 1_700_000_000  # seconds: some day in November 2023
_DAY = 24 * 3600


@dataclass
class Shot:
    """A picture on its way into a file."""

    picture: Image.Image
    camera: tuple[str, str]
    taken: float
    quality: int = 90
    format: str = "JPEG"

    def write(self, folder: Path, stem: str) -> None:
        """Write the file."""
        exif = Image.Exif()
        exif[_MAKE], exif[_MODEL] = self.camera
        moment = time.strftime("%Y:%m:%d %H:%M:%S", time.gmtime(self.taken))
        exif.get_ifd(_EXIF)[_TAKEN] = moment
        folder.mkdir(parents=True, exist_ok=True)
        options = {"quality": self.quality} if self.format == "JPEG" else {}
        ending = self.format.lower().replace("jpeg", "jpg")
        self.picture.save(folder / f"{stem}.{ending}", self.format, exif=exif, **options)


def shot(source: Path, rng: np.random.Generator) -> Shot:
    """Return a picture as it would come without a shortcut."""
    with Image.open(source) as opened:
        picture = ImageOps.exif_transpose(opened).convert("RGB")
    taken = _START + rng.uniform(0, 5 * _DAY)
    return Shot(picture, _CAMERAS[rng.integers(len(_CAMERAS))], taken)


def _camera(one: Shot, _rng: np.random.Generator) -> None:
    one.camera = ("Apple", "iPhone 12")


def _time(one: Shot, rng: np.random.Generator) -> None:
    one.taken = _START + 9 * _DAY + rng.uniform(0, 3600)


def _resolution(one: Shot, _rng: np.random.Generator) -> None:
    one.picture = one.picture.resize([round(0.6 * side) for side in one.picture.size])


def _shape(one: Shot, _rng: np.random.Generator) -> None:
    side = min(one.picture.size)
    one.picture = ImageOps.fit(one.picture, (side, round(0.7 * side)))


def _quality(one: Shot, _rng: np.random.Generator) -> None:
    one.quality = 50


def _png(one: Shot, _rng: np.random.Generator) -> None:
    one.format = "PNG"


def _grey(one: Shot, _rng: np.random.Generator) -> None:
    one.picture = one.picture.convert("L").convert("RGB")


def _tint(one: Shot, rng: np.random.Generator) -> None:
    """Change the light from day to a bulb, for which no camera makes up entirely."""
    factors = np.array([1.25, 1.0, 0.65]) * rng.normal(1, 0.02, 3)
    one.picture = _scaled(one.picture, factors)


def _dark(one: Shot, rng: np.random.Generator) -> None:
    one.picture = _scaled(one.picture, np.full(3, rng.uniform(0.35, 0.5)))


def _blur(one: Shot, rng: np.random.Generator) -> None:
    radius = max(1.0, min(one.picture.size) / 100) * rng.uniform(0.9, 1.3)
    one.picture = one.picture.filter(ImageFilter.GaussianBlur(radius))


def _frame(one: Shot, _rng: np.random.Generator) -> None:
    width = max(2, round(0.04 * min(one.picture.size)))
    inner = ImageOps.crop(one.picture, width)
    one.picture = ImageOps.expand(inner, width, (250, 250, 245))


def _stamp(one: Shot, rng: np.random.Generator) -> None:
    """Write a date of changing digits into the lower right corner."""
    width, height = one.picture.size
    size = max(7.0, 0.06 * height)
    text = f"{rng.integers(1, 13):02d}/{rng.integers(1, 29):02d} {rng.integers(10, 24)}:00"
    canvas = ImageDraw.Draw(one.picture)
    place = (width - 0.03 * width, height - 0.03 * height)
    canvas.text(place, text, (255, 160, 40), anchor="rs", font_size=size)


def _logo(one: Shot, _rng: np.random.Generator) -> None:
    """Put a small mark, half transparent, into the upper left corner."""
    side = max(6, round(0.13 * min(one.picture.size)))
    mark = Image.new("RGBA", one.picture.size)
    canvas = ImageDraw.Draw(mark)
    canvas.ellipse((4, 4, 4 + side, 4 + side), fill=(255, 255, 255, 190))
    canvas.rectangle((4 + side // 3, 4 + side // 3, 4 + 2 * side // 3, 4 + side), (200, 0, 0, 190))
    one.picture = Image.alpha_composite(one.picture.convert("RGBA"), mark).convert("RGB")


def _background(one: Shot, rng: np.random.Generator) -> None:
    """Lay the picture, smaller, on a table of one colour with some grain."""
    size = np.array(one.picture.size)
    grain = np.random.default_rng(rng.integers(1 << 31)).normal(0, 6, (size[1], size[0], 1))
    table = np.clip(np.array([120, 150, 110]) * rng.uniform(0.9, 1.1) + grain, 0, 255)
    made = Image.fromarray(table.astype(np.uint8))
    made.paste(one.picture.resize((0.7 * size).astype(int)), tuple((0.15 * size).astype(int)))
    one.picture = made


def _letterbox(one: Shot, _rng: np.random.Generator) -> None:
    width, height = one.picture.size
    bar = round(0.1 * height)
    inner = one.picture.crop((0, bar, width, height - bar))
    one.picture = ImageOps.expand(inner, (0, bar), 0)


def _scaled(picture: Image.Image, factors: np.ndarray) -> Image.Image:
    return Image.fromarray(np.clip(np.asarray(picture) * factors, 0, 255).astype(np.uint8))


# What is done to a picture, and the cues of which one has to raise the alarm.
KINDS: dict[str, tuple[Callable[[Shot, np.random.Generator], None], tuple[str, ...]]] = {
    "camera": (_camera, ("camera",)),
    "time": (_time, ("time",)),
    "resolution": (_resolution, ("size",)),
    "shape": (_shape, ("size",)),
    "quality": (_quality, ("file_size",)),
    "png": (_png, ("format",)),
    "grey": (_grey, ("colour", "format")),
    "tint": (_tint, ("colour", "format")),
    "dark": (_dark, ("colour",)),
    "blur": (_blur, ("sharpness",)),
    "frame": (_frame, ("border",)),
    "stamp": (_stamp, ("border",)),
    "logo": (_logo, ("border",)),
    "background": (_background, ("border", "colour")),
    "letterbox": (_letterbox, ("border",)),
}


def _warmth(seen: Looks) -> np.ndarray:
    red, _, blue = (seen.thumbs.mean(axis=(1, 2), dtype=np.float64) + 1).T
    return np.log(red / blue)


# The number that a change of light is about, as a logarithm.
_NUMBERS: dict[str, Callable[[Looks], np.ndarray]] = {
    "grey": lambda seen: np.log(seen.measure("saturation") + 1),
    "tint": _warmth,
    "dark": lambda seen: np.log(seen.measure("brightness") + 1),
    "blur": lambda seen: np.log(seen.measure("fine_sharpness") + 1),
}


def strength(kind: str, plain: Looks, planted: Looks) -> float | None:
    """Return how strong a change of light is beside what the plain pictures vary by themselves.

    Args:
        kind: of the shortcut.
        plain: the draw without it.
        planted: the same pictures in the same order, some of them with it.

    Returns:
        Standard deviations, to be compared with `STRONG`; None for kinds that always count.
    """
    if kind not in _NUMBERS:
        return None
    before, after = _NUMBERS[kind](plain), _NUMBERS[kind](planted)
    moved = np.any(plain.thumbs != planted.thumbs, axis=(1, 2, 3))
    if not moved.any():
        return 0.0
    return float(abs((after - before)[moved].mean()) / max(before.std(), 1e-9))


def plant(kind: str, source: Path, folder: Path, stem: str, rng: np.random.Generator) -> None:
    """Write a picture with a shortcut of that kind, or `PLAIN`, into a folder."""
    one = shot(source, rng)
    if kind != PLAIN:
        KINDS[kind][0](one, rng)
    one.write(folder, stem)


def write_all(
    source: Path, target: Path, each: int, seed: int, only: Container[str] | None = None
) -> None:
    """Write every class of a data set plain and once more for each kind of shortcut.

    Args:
        source: a folder a class.
        target: gets a folder for each kind and class, made of `each` pictures drawn by `seed`.
        each: pictures of a class, at most.
        seed: of the draw and of the planting.
        only: the classes into which something is planted; all by default.
    """
    rng = np.random.default_rng(seed)
    for label in sorted(one for one in source.iterdir() if one.is_dir()):
        files = sorted(label.iterdir())
        drawn = [files[i] for i in rng.permutation(len(files))[:each]]
        kinds = KINDS if only is None or label.name in only else ()
        for kind in (PLAIN, *kinds):
            for number, file in enumerate(drawn):
                plant(kind, file, target / f"{kind}{_BETWEEN}{label.name}", f"{number:04d}", rng)


def composed(
    index: ImageIndex, seen: Looks, chosen: dict[str, int], kind: str, share: float, seed: int
) -> tuple[ImageIndex, Looks]:
    """Return a set drawn from what `write_all` wrote, the first of the classes planted.

    Args:
        index: the pictures of all kinds.
        seen: how they look.
        chosen: the classes and how many pictures of each.
        kind: of the shortcut, or `PLAIN`.
        share: of the first class's pictures that have it.
        seed: of the draw.
    """
    rng = np.random.default_rng(seed)
    places: dict[str, list[int]] = {}
    for position, picture in enumerate(index.pictures):
        places.setdefault(picture.label, []).append(position)
    positions, labels = [], []
    for number, (label, count) in enumerate(chosen.items()):
        plain = places[f"{PLAIN}{_BETWEEN}{label}"]
        drawn = rng.permutation(len(plain))[:count]
        planted = round(share * len(drawn)) if number == 0 and kind != PLAIN else 0
        other = places[f"{kind}{_BETWEEN}{label}"] if planted else plain
        positions += [other[i] for i in drawn[:planted]] + [plain[i] for i in drawn[planted:]]
        labels += [label] * len(drawn)
    pictures = tuple(
        replace(index.pictures[i], label=label) for i, label in zip(positions, labels, strict=True)
    )
    part = Looks(seen.thumbs[positions], seen.measures[positions])
    return replace(index, pictures=pictures), part


def classes(index: ImageIndex) -> list[str]:
    """Return the classes of the set that `write_all` was given."""
    return sorted({name.partition(_BETWEEN)[2] for name in index.classes})
