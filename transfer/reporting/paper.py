"""A report as PDF, set by Typst: it comes with its own fonts and needs no other program.

Letters of scripts that these fonts do not have (Latin, Greek and Cyrillic they have) are taken
from the fonts of the system, where it has any.
"""

import json
import tempfile
from pathlib import Path
from typing import Any

import typst

from transfer.reporting import drawing
from transfer.reporting.document import Block, Chart, Document, Photos, Table, Text

_TEMPLATE = Path(__file__).with_name("templates") / "report.typ"
_FONT = "Libertinus Serif"  # one of those that Typst brings


def render(made: Document) -> bytes:
    """Return the PDF file; every name in it is text, never markup."""
    with tempfile.TemporaryDirectory(prefix="transfer-report-") as work:
        folder = Path(work)
        parts = [
            {"title": one.title, "blocks": [_block(block, folder) for block in one.blocks]}
            for one in made.sections
        ]
        whole = {"title": made.title, "subtitle": made.subtitle, "sections": parts}
        (folder / "report.json").write_text(json.dumps(whole), encoding="utf-8")
        (folder / "report.typ").write_bytes(_TEMPLATE.read_bytes())
        return bytes(typst.compile(folder / "report.typ", root=folder))


def _block(block: Block, folder: Path) -> dict[str, Any]:
    """Return a block as the template reads it; its pictures become files."""
    if isinstance(block, Text):
        return {"kind": "text", "paragraphs": block.paragraphs, "quiet": block.quiet}
    if isinstance(block, Table):
        return {"kind": "table", "head": block.head, "rows": block.rows, "caption": block.caption,
                "numbers": block.numbers}  # fmt: skip
    if isinstance(block, Chart):
        svg = block.svg.replace(drawing.FONT, _FONT).encode()
        file = _kept(svg, folder, ".svg")
        return {"kind": "chart", "file": file, "words": block.words, "caption": block.caption}
    if isinstance(block, Photos):
        photos = [
            {"file": _kept(one.jpeg, folder, ".jpg"), "lines": one.lines} for one in block.photos
        ]
        return {"kind": "photos", "photos": photos, "caption": block.caption}
    raise TypeError(f"expected a block of a report, got {type(block).__name__}")


def _kept(data: bytes, folder: Path, ending: str) -> str:
    name = f"{len(list(folder.iterdir()))}{ending}"
    (folder / name).write_bytes(data)
    return name
