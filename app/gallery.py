"""Pictures in a grid: square thumbnails that load when they come into view."""

import html
from collections.abc import Iterable
from dataclasses import dataclass

from app.routes import pictures


@dataclass(frozen=True)
class Entry:
    """One picture: its content, what it is for those who cannot see it, the line below it.

    `over` is a link to a transparent layer that lies over the picture.
    """

    sha256: str
    alt: str
    caption: str = ""
    over: str = ""


def grid(digest: str, entries: Iterable[Entry], *, kind: str = "preview") -> str:
    """Return the HTML of a gallery of one data set: "preview", "plain" or "large" pictures."""
    link = pictures.links(digest, 384 if kind == "large" else 192)
    figures = "".join(_figure(link, entry) for entry in entries)
    return f'<div class="gallery {kind}">{figures}</div>'


def _figure(link: str, entry: Entry) -> str:
    caption = f"<figcaption>{html.escape(entry.caption)}</figcaption>" if entry.caption else ""
    source = link.format(sha256=entry.sha256)
    alt = html.escape(entry.alt, quote=True)
    picture = f'<img src="{source}" alt="{alt}" title="{alt}" loading="lazy">'
    if entry.over:
        over = html.escape(entry.over, quote=True)
        picture = f'<span class="looked">{picture}<img src="{over}" alt="" loading="lazy"></span>'
    return f"<figure>{picture}{caption}</figure>"
