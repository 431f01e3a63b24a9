"""What a report is made of: sections of text, tables, charts and pictures, in no format yet."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Text:
    """Paragraphs of plain text; `quiet` ones explain."""

    paragraphs: tuple[str, ...]
    quiet: bool = False


@dataclass(frozen=True)
class Table:
    """Rows of plain text below a head; the columns in `numbers` are set to the right."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    caption: str = ""
    numbers: tuple[int, ...] = ()


@dataclass(frozen=True)
class Chart:
    """A drawing as SVG, and in words what it shows."""

    svg: str
    words: str
    caption: str = ""


@dataclass(frozen=True)
class Photo:
    """A small JPEG file with the lines below it."""

    jpeg: bytes
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Photos:
    """Pictures side by side."""

    photos: tuple[Photo, ...]
    caption: str = ""


Block = Text | Table | Chart | Photos


@dataclass(frozen=True)
class Section:
    """A part of a report with its heading."""

    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Document:
    """A report: `title` is its sentence, `subtitle` what it is about."""

    title: str
    subtitle: str
    sections: tuple[Section, ...] = field(default=())
