"""What a report says of the temperature, of when it answers, of none of these, and of views."""

import itertools
from typing import Any

from transfer import silence
from transfer.evaluation import wilson
from transfer.reporting.about_results import as_accuracy
from transfer.reporting.document import Block, Table, Text
from transfer.reporting.material import Material
from transfer.reporting.numbers import interval
from transfer.wording import many, percent

_PARTS = {"held_out": "held out of learning", "validation": "validation", "test": "test"}
_FITTED = {
    "held_out": "answers to training pictures by classifiers that had not learned them",
    "validation": "the validation pictures",
}
_NOTHING = 1e-3  # of a temperature: it is 1
_VIEWS = {"none": "as it is", "flip": "and its mirror image", "ten-crops": "ten crops",
          "multi-scale": "five scales, ten crops each"}  # fmt: skip


def calibration(found: Material) -> list[Block]:
    """Return what one temperature did to the probabilities; nothing where it was not kept."""
    kept = found.kept("calibration")
    if not kept or "parts" not in kept:
        return []
    t, on = float(kept["temperature"]), _FITTED[kept["fitted_on"]]
    by = f"on {on} ({many(kept['pictures'], 'picture')})"
    did = "more" if t < 1 else "less"
    words = (
        f"All logits are divided by one temperature, {t:.3g}, which makes the model {did} sure of"
        f" itself. It was fitted {by} and is part of the model."
        if abs(t - 1) > _NOTHING
        else f"No temperature made its probabilities likelier {by}: they are as they came."
    )
    if kept["indicative"]:
        words += " There are few pictures to judge by, so the calibration errors are rough guides."
    rows = [
        (
            _PARTS[name],
            f"{part['before']['n']:,}",
            *(
                f"{_written(key, part['before'][key])} → {_written(key, part['after'][key])}"
                for key in ("nll", "brier", "ece")
            ),
        )
        for name, part in kept["parts"].items()
    ]
    head = ("Pictures", "Number", "Log-likelihood (negative)", "Brier score", "Calibration error")
    caption = "Before → after the temperature. Of all three, less is better."
    return [Text((words,)), Table(head, tuple(rows), caption, numbers=(1,))]


def answering(found: Material) -> list[Block]:
    """Return how often it answers where it is to be right so often; the chosen row is marked.

    Targets that need the same certainty share a row.
    """
    kept = found.kept("calibration") or {}
    every = kept.get("answering") or []
    if not every:
        return []
    now, rows = (silence.chosen(found.run) or {}).get("target"), []
    for threshold, same in itertools.groupby(every, key=lambda one: one["threshold"]):
        group = list(same)
        ends = dict.fromkeys(percent(group[i]["target"]) for i in (0, -1))
        there = [one["target"] for one in group if one["target"] == now]
        chosen = f" ({percent(there[0])}: chosen)" if there else ""
        sure = "any" if not threshold else percent(threshold) if threshold <= 1 else "never so sure"
        judged = group[0]["test"] or group[0]["expected"]
        rows.append((
            " to ".join(ends).replace(" % to", " to") + chosen,
            sure,
            _share(judged["share"]),
            _share(judged["right"]),
        ))  # fmt: skip
    part = "the test pictures" if every[0]["test"] else "the pictures that chose"
    caption = f"How often it answers, and is right when it does: measured on {part}."
    return [Table(("Right, when it answers", "Sure at least", "Answers", "Is right"),
                  tuple(rows), caption)]  # fmt: skip


def none_of_these(found: Material) -> list[Block]:
    """Return what is refused as none of the classes; nothing where it was not learned."""
    kept = found.kept("refusal")
    if not kept or "keeps" not in kept:
        return []
    n, refused = kept["validation"]["pictures"], kept["validation"]["refused"]
    return [Text((
        "A picture is none of these where it is farther from"
        f" {many(kept['pictures'], 'training picture')} than {percent(1 - kept['keeps'])} of the"
        f" data set's own are, at any of the last stages of the network. Of {n:,} validation"
        f" pictures, which are of these classes, it refused {refused:,}"
        f" ({interval(wilson(refused, n))}).",
    ))]  # fmt: skip


def views(found: Material) -> list[Block]:
    """Return what looking at several views of a picture brings and costs, where measured."""
    kept = found.kept("test_time")
    if not kept:
        return []
    rows = []
    for one in kept["kinds"]:
        share = as_accuracy(one.get("accuracy"))
        gain = ""
        if "gain" in one and one["kind"] != "none":
            low, high = 100 * one["low"], 100 * one["high"]
            gain = f"{100 * one['gain']:+.1f} points ({low:+.1f} to {high:+.1f})"
        right, takes = interval(share) if share else "", f"{one['milliseconds']:.0f} ms"
        rows.append((_VIEWS.get(one["kind"], one["kind"]), str(one["views"]), right, gain, takes))
    head = ("Looks at the picture", "Views", "Right", "Gain", "A picture takes")
    caption = f"Measured on {many(kept['pictures'], 'picture')}."
    return [Table(head, tuple(rows), caption, numbers=(1,))]


def _written(key: str, value: float) -> str:
    return percent(value) if key == "ece" else f"{value:.3f}"


def _share(value: Any) -> str:
    share = as_accuracy(value)
    return interval(share) if share and share.n else "none"
