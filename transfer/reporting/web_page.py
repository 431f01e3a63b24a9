"""A report as one HTML file: pictures and charts inside, no scripts, good on paper too."""

import base64
from pathlib import Path

import jinja2

from transfer.reporting.document import Document

_TEMPLATES = Path(__file__).with_name("templates")


def render(made: Document) -> str:
    """Return the file's text; every name in it is text, never markup."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["data"] = lambda data: base64.b64encode(data).decode("ascii")
    environment.filters["kind"] = lambda block: type(block).__name__
    return environment.get_template("report.html").render(report=made)
