"""Let a trained solution look at several views, and measure what that brings and costs."""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

from transfer import (
    advisor,
    backbones,
    catalog,
    evaluation,
    features,
    judging,
    prediction,
    views_at_test,
    weights,
)
from transfer.dataset.index import ImageIndex
from transfer.dataset.split import Split
from transfer.prediction import Classifier
from transfer.runs import Run
from transfer.strategies import Trained

NAME = "test_time"  # of the file in the run folder
MOST = 300  # pictures by which it is measured
_WARM = 4  # pictures that are not timed: the graph is built

OnStep = Callable[[int, int], None]


def viewed(trained: Trained, kind: str, mirror: bool) -> Trained:
    """Return the solution whose model, refitted too, looks at these views.

    What was kept of single pictures does not tell of it: its temperature is fitted on validation.
    """
    if views_at_test.views(kind, mirror) == 1:
        return trained
    refit = trained.refit

    def again() -> keras.Model:
        return views_at_test.with_views(refit(), kind, mirror)  # pyright: ignore[reportOptionalCall]

    model = views_at_test.with_views(trained.model, kind, mirror)
    more = {"held_out": None, "vectors": None, "refit": again if refit else None}
    return replace(trained, model=model, **more)


def may_mirror(run: Run, index: ImageIndex, parts: Split, on_step: OnStep) -> bool:
    """Return whether a mirror image keeps its label: as the user said, else as is measured.

    A run whose strategy was named has not been measured: it is done now, by the features that were
    kept of its pictures.

    Raises:
        TransferError: the weights of its network are not here and cannot be had.
    """
    if (known := known_mirror(run)) is not None:
        return known
    config = run.config()
    spec, size = catalog.backbone(config.backbone), config.image_size
    backbone = backbones.load(spec, size, weights.obtain(spec, size))
    kept = features.compute(backbone, index, sorted([*parts.train, *parts.val]), on_step)
    found, _ = advisor.changes(backbone, index, parts, kept, config.seed)
    return bool(found and found.safe)


def known_mirror(run: Run) -> bool | None:
    """Return what is known of mirror images: from the user, the advice or an earlier look.

    It is False where the advice had too few pictures to tell; None: there is no word on it.
    """
    if (said := run.config().horizontal_flip) is not None:
        return said
    if (advice := run.read("advice")) is not None:
        guess = (advice.get("augmentation") or {}).get("mirror")
        return bool(guess and guess["safe"])
    earlier = run.read(NAME)
    return None if earlier is None else bool(earlier["mirror"])


def measure(
    run: Run, classifier: Classifier, index: ImageIndex, parts: Split, mirror: bool, on_step: OnStep
) -> dict[str, Any]:
    """Return what the views would bring to a finished run without them, and keep it there.

    By the validation pictures where its model has not learned from them, else by the test.

    Returns:
        {"part", "pictures", "mirror", "kinds": [{"kind", "views", "accuracy": with its interval,
        "gain", "low", "high": points of accuracy in [-1, 1] with a paired 95 % interval, "p":
        McNemar's exact test, "milliseconds": a picture}]}; "part" None and no accuracies where no
        pictures are left to judge by.
    """
    refitted = not catalog.strategy(run.result()["shipped"]).tunes
    part, positions = ("test", parts.test) if refitted else ("validation", parts.val)
    judged_by = positions or parts.val
    chosen = np.random.default_rng(run.config().seed).permutation(np.asarray(judged_by))[:MOST]
    paths = [index.path(index.pictures[i]) for i in chosen]
    labels = index.class_numbers()[chosen]
    rows: list[dict[str, Any]] = []
    plain = np.zeros(0, bool)
    total = sum(views_at_test.views(kind, mirror) for kind in catalog.TEST_TIME)
    done = 0
    for kind in catalog.TEST_TIME:
        number = views_at_test.views(kind, mirror)
        if kind != "none" and number == 1:
            continue
        model = views_at_test.with_views(classifier.model, kind, mirror)
        some = prediction.of_model(model, classifier.classes, classifier.image_size)
        right, milliseconds = _timed(some, paths, labels)
        done += number
        on_step(done, total)
        plain = right if kind == "none" else plain
        row = {"kind": kind, "views": number, "milliseconds": milliseconds}
        rows.append(row | (_compared(right, plain) if positions else {}))
    told = {
        "part": part if positions else None,
        "pictures": len(paths),
        "mirror": mirror,
        "kinds": rows,
    }
    run.write(NAME, told)
    return told


def judged(
    classifier: Classifier, paths: list[Path], labels: np.ndarray, plain: np.ndarray
) -> dict[str, Any]:
    """Return accuracy, gain over `plain` (right or not, [n]) and milliseconds; see `measure`."""
    right, milliseconds = _timed(classifier, paths, labels)
    return {"milliseconds": milliseconds, **_compared(right, plain)}


def _timed(
    classifier: Classifier, paths: list[Path], labels: np.ndarray
) -> tuple[np.ndarray, float]:
    """Return which pictures are right [n], and the milliseconds that one took."""
    prediction.probabilities(classifier, paths[:_WARM])
    began = time.monotonic()
    answers = prediction.probabilities(classifier, paths)
    milliseconds = 1000 * (time.monotonic() - began) / len(paths)
    return answers.argmax(axis=1) == labels, round(milliseconds, 2)


def _compared(right: np.ndarray, plain: np.ndarray) -> dict[str, Any]:
    from scipy import stats

    gain, error = judging.paired(right, plain)
    better, worse = int((right & ~plain).sum()), int((plain & ~right).sum())
    error = max(error, evaluation.least_error(better, worse, len(right)))
    p = stats.binomtest(better, better + worse).pvalue if better + worse else 1.0
    return {
        "accuracy": evaluation.wilson(int(right.sum()), len(right)).to_json(),
        "gain": gain,
        "low": gain - 1.96 * error,
        "high": gain + 1.96 * error,
        "p": float(p),
    }
