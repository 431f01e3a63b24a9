"""The report of a finished run: all its sections, written as one HTML file or as PDF."""

from datetime import UTC, datetime
from pathlib import Path

from transfer import __version__, store
from transfer.errors import SettingsError
from transfer.reporting import (
    about_data,
    about_learning,
    about_results,
    about_trust,
    examples,
    material,
    web_page,
)
from transfer.reporting.document import Document
from transfer.reporting.examples import Draw
from transfer.runs import Run

ENDINGS = (".html", ".pdf")


def document(run: Run, draw: Draw | None = None) -> Document:
    """Return the report of a finished run.

    Args:
        run: a finished run.
        draw: returns the layer that shows where the model looked on a picture, for the examples.

    Raises:
        RunError: the run is not finished, or damaged.
    """
    found = material.read(run)
    made = datetime.fromtimestamp(float(run.about()["created"]), UTC)
    sections = (
        about_results.results(found),
        about_results.confusion(found),
        about_trust.ensemble(found),
        about_trust.certainty(found),
        examples.examples(found, draw),
        about_data.data(found),
        about_data.health(found),
        about_data.advice(found),
        about_learning.learning(found),
        about_learning.versions(found),
    )
    return Document(
        title=about_results.sentence(found),
        subtitle=f"{found.name}, made on {made:%-d %B %Y} with transfer {__version__}",
        sections=tuple(section for section in sections if section is not None),
    )


def check(target: Path) -> None:
    """Check that a report can be written under this name.

    Raises:
        SettingsError: it ends otherwise.
    """
    if target.suffix.lower() not in ENDINGS:
        raise SettingsError(
            f"A report is an HTML or a PDF file, but '{target.name}' ends otherwise. Name it"
            " 'report.html' or 'report.pdf'."
        )


def write(made: Document, target: Path) -> None:
    """Write a report; the ending of its name says in which format.

    Raises:
        SettingsError: the name ends otherwise.
    """
    check(target)
    data = as_pdf(made) if target.suffix.lower() == ".pdf" else as_html(made)
    with store.replacing(target) as partial:
        partial.write_bytes(data)


def as_html(made: Document) -> bytes:
    """Return one HTML file with all in it: no scripts, nothing that is loaded from elsewhere."""
    return web_page.render(made).encode("utf-8")


def as_pdf(made: Document) -> bytes:
    """Return the same as PDF, A4."""
    from transfer.reporting import paper  # its engine takes 50 MB: only where it is wanted

    return paper.render(made)
