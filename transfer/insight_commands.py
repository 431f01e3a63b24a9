"""The commands that show what a finished run is like: where it looks, and its report."""

import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image

from transfer import commanding, console, overlays
from transfer.dataset.decode import decode
from transfer.errors import DataError, SettingsError
from transfer.runs import Run

Answer = dict[str, Any]


def arguments(add: Callable[..., ArgumentParser]) -> None:
    """Add the commands to a parser; `add(name, function, words)` adds one."""
    one = add("explain", explain, "Show where on a picture a finished run looked.")
    one.add_argument("run", type=Path, metavar="DIR", help="the run folder")
    one.add_argument("picture", type=Path, metavar="PICTURE", help="a picture file")
    one.add_argument("--to", type=Path, required=True, metavar="FILE.png", help="where to draw it")
    one.add_argument("--class", dest="label", metavar="NAME", help="else what the run says")
    two = add("report", report, "Write the report of a finished run: one HTML or PDF file.")
    two.add_argument("run", type=Path, metavar="DIR", help="the run folder")
    two.add_argument("--to", type=Path, required=True, metavar="FILE", help="*.html or *.pdf")
    two.add_argument(
        "--heat-maps", action="store_true", help="show on the examples where the model looked"
    )


def explain(options: Namespace) -> Answer:
    """Draw the picture with what speaks for a class over it."""
    run = Run(options.run)
    run.result()
    if not options.picture.is_file():
        raise DataError(f"There is no picture '{options.picture}'. Check the name and try again.")
    _drawable(options.to)
    commanding.load()
    from transfer import heat_maps, prediction

    classifier = prediction.load(run)
    label = heat_maps.number_of(options.label, classifier.classes)
    draw = heat_maps.explainer(classifier)
    pixels = heat_maps.pixels(options.picture, classifier.image_size)
    draw(pixels, label)  # builds the graph
    began = time.perf_counter()
    found = draw(pixels, label)
    seconds = time.perf_counter() - began
    options.to.parent.mkdir(parents=True, exist_ok=True)
    overlays.over(decode(options.picture), found.maps, found.bias).save(options.to)
    shares = {
        name: float(p) for name, p in zip(classifier.classes, found.probabilities, strict=True)
    }
    name, said = classifier.classes[found.label], max(shares, key=lambda one: shares[one])
    console.say(
        f"It says '{said}' ({100 * shares[said]:.0f} %). '{options.to}' shows what speaks for"
        f" '{name}': the brighter, the more."
    )
    return {
        "picture": str(options.picture),
        "to": str(options.to),
        "class": name,
        "said": said,
        "probabilities": shares,
        "score": found.score,
        "bias": found.bias,
        "exact": found.exact,
        "map": [[round(float(value), 6) for value in row] for row in found.evidence],
        "milliseconds": round(1000 * seconds, 1),
    }


def report(options: Namespace) -> Answer:
    """Write all that is known of a run into one file."""
    from transfer.reporting import report as reports

    run = Run(options.run)
    run.result()
    reports.check(options.to)
    made = reports.document(run, _drawing(run) if options.heat_maps else None)
    reports.write(made, options.to)
    console.say(f"{made.title} The report is in '{options.to}'.")
    size = options.to.stat().st_size
    titles = [section.title for section in made.sections]
    return {"to": str(options.to), "sentence": made.title, "sections": titles, "bytes": size}


def _drawing(run: Run) -> Callable[[bytes], bytes]:
    """Load the model; return what draws where it looked on a picture file."""
    commanding.load()
    from transfer import heat_maps, prediction
    from transfer.reporting.examples import SIDE

    classifier = prediction.load(run)
    look = heat_maps.explainer(classifier)

    def draw(picture: bytes) -> bytes:
        found = look(heat_maps.pixels(picture, classifier.image_size))
        return overlays.layer(found.maps, found.bias, SIDE, SIDE)

    return draw


def _drawable(target: Path) -> None:
    """Refuse what Pillow could not write, before anything is loaded."""
    if target.suffix.lower() not in Image.registered_extensions():
        raise SettingsError(
            f"'{target}' does not end like a picture. Name a file such as 'where.png'."
        )
