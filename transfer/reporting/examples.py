"""Pictures in a report: the surest mistakes, small, with where it looked where that is known."""

import contextlib
import io
from collections.abc import Callable

from PIL import Image

from transfer.errors import TransferError
from transfer.reporting.document import Block, Photo, Photos, Section, Text
from transfer.reporting.material import Judged, Material
from transfer.wording import percent

Draw = Callable[[bytes], bytes | None]  # a picture file -> a transparent layer (PNG) for it

SIDE = 192  # pixels of the longer side
_MISTAKES = 12
_HITS = 6
_QUALITY = 78
_LONGEST = 28  # characters of a file's name


def examples(found: Material, draw: Draw | None) -> Section | None:
    """Return the surest mistakes and some right answers; None where the pictures are gone."""
    if not found.judged:
        return None
    wrong, least = chosen(found)
    mistakes = sum(one.said != one.truth for one in found.judged)
    blocks: list[Block] = []
    looked = " The brighter a part, the more it speaks for what was said." if draw else ""
    if wrong:
        photos = _photos(found, wrong, draw)
        words = f"Its surest mistakes, of {mistakes:,} in all.{looked}"
        blocks.append(Photos(photos, words))
    else:
        blocks.append(Text(("It made no mistake on these pictures.",)))
    if least:
        photos = _photos(found, least, draw)
        blocks.append(Photos(photos, "Right, but least sure of it."))
    return Section("Examples", tuple(blocks))


def chosen(found: Material) -> tuple[list[Judged], list[Judged]]:
    """Return the pictures that are shown: the surest mistakes, and the least sure right answers."""
    wrong = sorted((one for one in found.judged if one.said != one.truth), key=_surest_first)
    right = sorted((one for one in found.judged if one.said == one.truth), key=_surest_first)
    return wrong[:_MISTAKES], right[-_HITS:][::-1]


def _photos(found: Material, some: list[Judged], draw: Draw | None) -> tuple[Photo, ...]:
    made = []
    for one in some:
        with contextlib.suppress(OSError):  # deleted meanwhile
            lines = (
                f"said ‘{found.classes[one.said]}’, {percent(one.sure)} sure",
                f"label ‘{found.classes[one.truth]}’",
                _short(one.name.rpartition("/")[2]),
            )
            made.append(Photo(_small(one.path.read_bytes(), draw), lines))
    return tuple(made)


def _small(data: bytes, draw: Draw | None) -> bytes:
    with Image.open(io.BytesIO(data)) as original:
        picture = original.convert("RGB")
    picture.thumbnail((SIDE, SIDE), Image.Resampling.BOX)
    layer = None
    if draw:
        with contextlib.suppress(TransferError):  # the picture alone is worth something
            layer = draw(data)
    if layer:
        with Image.open(io.BytesIO(layer)) as top:
            above = top.convert("RGBA").resize(picture.size, Image.Resampling.BICUBIC)
        picture = Image.alpha_composite(picture.convert("RGBA"), above).convert("RGB")
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=_QUALITY)
    return out.getvalue()


def _surest_first(one: Judged) -> tuple[float, str]:
    return -one.sure, one.name


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST else f"{name[:14]}…{name[-12:]}"
