"""The commands about several views of a picture: what they bring, what they cost."""

from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from transfer import commanding, console
from transfer.dataset import library
from transfer.dataset.split import Split
from transfer.errors import RunError, TransferError
from transfer.runs import Run

if TYPE_CHECKING:
    from transfer.prediction import Classifier

Answer = dict[str, Any]


def views(options: Namespace) -> Answer:
    """Measure every kind of views on a finished run, and keep that in its folder."""
    run = Run(options.run)
    result, config = run.result(), run.config()
    if config.test_time != "none":
        raise RunError(
            f"This run looks at several views already ({config.test_time}). Measure the run without"
            " them."
        )
    index = library.open_dataset(config.dataset)
    kept = run.read("split")
    if kept is None:
        raise RunError(f"The run in '{run.folder}' lost its split. Train it again.")
    commanding.load()
    from transfer import prediction, viewing

    parts = Split.from_json(kept)
    with console.progress() as step:
        told = viewing.measure(
            run,
            prediction.load(run),
            index,
            parts,
            viewing.may_mirror(
                run,
                index,
                parts,
                lambda done, total: step("features", done, total, "Looking at mirror images"),
            ),
            lambda done, total: step("views", done, total, "Looking at several views"),
        )
    for row in told["kinds"]:
        gain = f", {100 * row['gain']:+.1f} points" if "gain" in row else ""
        console.say(f"{row['kind']}: {row['views']} views, {row['milliseconds']:.0f} ms{gain}")
    return {"shipped": result["shipped"], **told}


def compared(
    run: Run,
    classifier: "Classifier",
    paths: list[Path],
    labels: np.ndarray,
    answers: np.ndarray,
    kind: str,
) -> Answer:
    """Return {"kind", "views"}, accuracy, gain and cost of views for `evaluate`."""
    from transfer import prediction, viewing, views_at_test

    mirror = _mirror(run)
    number = views_at_test.views(kind, mirror)
    model = views_at_test.with_views(classifier.model, kind, mirror)
    some = prediction.of_model(model, classifier.classes, classifier.image_size)
    row = viewing.judged(some, paths, labels, answers.argmax(axis=1) == labels)
    low, high = 100 * row["low"], 100 * row["high"]
    console.say(
        f"With {number} views of each ({kind}): {100 * row['accuracy']['accuracy']:.1f} %, a gain"
        f" of {100 * row['gain']:+.1f} points ({low:+.1f} to {high:+.1f}), in"
        f" {row['milliseconds']:.0f} ms a picture."
    )
    return {"kind": kind, "views": number, **row}


def _mirror(run: Run) -> bool:
    """Return whether mirror images may count; not where that was never looked at and cannot be."""
    from transfer import viewing

    known, kept = viewing.known_mirror(run), run.read("split")
    if known is not None or kept is None:
        return bool(known)
    try:
        index = library.open_dataset(run.config().dataset)
        return viewing.may_mirror(run, index, Split.from_json(kept), lambda *_: None)
    except TransferError as error:
        console.say(f"Mirror images are left out: nobody knows whether they keep a label ({error})")
        return False
