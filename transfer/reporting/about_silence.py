"""What a report says of probabilities that were put right, and of when the model is silent."""

from collections.abc import Callable
from typing import Any

from transfer.reporting.about_results import as_accuracy
from transfer.reporting.document import Block, Table, Text
from transfer.reporting.numbers import interval, many, percent

_PARTS = {
    "held_out": "training, each left out once",
    "validation": "validation",
    "test": "test",
}
_HEAD = ("Pictures", "NLL", "Brier score", "ECE")
_FIGURES = (("nll", "{:.3f}"), ("brier", "{:.3f}"), ("ece", "percent"))
_VIEWS = ("Looks at each picture", "Views", "Milliseconds", "Right", "Gain in points")
_ANSWERS = ("Right when it answers: at least", "Answers on", "Then right on")


def blocks(name: str, kept: Any) -> tuple[Block, ...]:
    """Return what is kept of a run under a name; nothing where it is of another version.

    Args:
        name: "calibration", "refusal" or "test_time".
        kept: the JSON of it, as it was read.
    """
    told: dict[str, Callable[[Any], tuple[Block, ...]]] = {
        "calibration": _calibration,
        "refusal": _refusal,
        "test_time": _several_views,
    }
    try:
        return told[name](kept) if name in told else ()
    except (KeyError, TypeError, ValueError, AttributeError):
        return ()


def _calibration(kept: Any) -> tuple[Block, ...]:
    parts = {words: kept["parts"][part] for part, words in _PARTS.items() if part in kept["parts"]}
    rows = tuple(
        (f"{words} ({one['after']['n']:,})", *_before_and_after(one))
        for words, one in parts.items()
    )
    on = many(kept["pictures"], "picture")
    said = f"A temperature of {kept['temperature']:.3g} was fitted on {on}"
    if not kept["helped"]:
        said = f"No temperature was needed: one fitted on {on} did not help on others"
    table = Table(
        _HEAD,
        rows,
        "Before and now; less is better. NLL in nats.",
        numbers=tuple(range(1, len(_HEAD))),
    )
    made: tuple[Block, ...] = (Text((f"{said}.",)), table)
    # Of targets at which the same happens, the highest says it all.
    same = {_answers(one)[1:]: _answers(one) for one in kept["answering"]}
    answers = tuple(same.values())
    if not answers:
        return made
    caption = "It answers only where it is sure enough: the threshold was chosen without the test."
    return (*made, Table(_ANSWERS, answers, caption, numbers=(0,)))


def _before_and_after(one: Any) -> tuple[str, ...]:
    def shown(figure: float, form: str) -> str:
        return percent(figure) if form == "percent" else form.format(figure)

    return tuple(
        f"{shown(one['before'][name], form)} → {shown(one['after'][name], form)}"
        for name, form in _FIGURES
    )


def _answers(one: Any) -> tuple[str, str, str]:
    target = f"{100 * one['target']:g} %"
    if one["threshold"] > 1:
        return target, "none: it cannot be promised with these pictures", ""
    measured = one.get("test") or one["expected"]
    share, right = as_accuracy(measured["share"]), as_accuracy(measured["right"])
    return target, interval(share) if share else "", interval(right) if right else ""


def _refusal(kept: Any) -> tuple[Block, ...]:
    judged = kept["validation"]
    return (
        Text((
            f"A picture that is unlike all {many(kept['pictures'], 'picture')} that it knows is"
            " answered with “none of these”. The limit lets"
            f" {percent(kept['keeps'])} of your own pass: of"
            f" {many(judged['pictures'], 'validation picture')}, {judged['refused']:,}"
            f" {'was' if judged['refused'] == 1 else 'were'} refused.",
        )),
    )  # fmt: skip


def _several_views(kept: Any) -> tuple[Block, ...]:
    rows = tuple(
        (
            "as it is" if one["kind"] == "none" else str(one["kind"]).replace("-", " "),
            f"{one['views']:,}",
            f"{one['milliseconds']:,.0f}",
            interval(share) if (share := as_accuracy(one["accuracy"])) else "",
            "" if one["kind"] == "none" else _points(one),
        )
        for one in kept["kinds"]
    )
    of = {"test": "test", "val": "validation"}.get(kept["part"], kept["part"])
    caption = f"Several looks at each of {many(kept['pictures'], f'{of} picture')}, averaged."
    return (Table(_VIEWS, rows, caption, numbers=(1, 2)),)


def _points(one: Any) -> str:
    gain, low, high = (100 * one[name] for name in ("gain", "low", "high"))
    return f"{gain:+.1f} ({low:+.1f} to {high:+.1f})"
