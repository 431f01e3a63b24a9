"""The decision table's summary as a Markdown table."""

from typing import Any

from benchmarks.summary import STRATEGIES

_WAYS = ("advised", "auto", "always_linear_top", "always_finetune_many", "tutorial", "everything")


def table(answer: dict[str, Any]) -> str:
    """Return one row a data set and backbone, then one with the means, for each backbone."""
    methods = [
        method
        for method in (*STRATEGIES, "tutorial", "everything")
        if any(method in cell["methods"] for cell in answer["sets"])
    ]
    ways = [way for way in _WAYS if any(way in cell["regret"] for cell in answer["sets"])]
    head = ["data set", "backbone", "verdict (confidence)", "expected", *methods]
    head += ["auto ships", *(f"regret: {way.replace('_', ' ')}" for way in ways)]
    lines = [_line(head), _line(["---"] * len(head))]
    lines += [_line(_cell(cell, methods, ways)) for cell in answer["sets"]]
    for backbone, means in answer["means"].items():
        row = [
            "**mean**",
            backbone,
            "",
            f"{means['verdicts_right']} of {means['verdicts_expected']}",
        ]
        row += [_mean(means["accuracy"].get(method)) for method in methods]
        row += ["", *(_regret(means["regret"].get(way)) for way in ways)]
        lines.append(_line(row))
    return "\n".join(lines)


def _cell(cell: dict[str, Any], methods: list[str], ways: list[str]) -> list[str]:
    verdict = agrees = ""
    if advice := cell["advice"]:
        sure = advice["confidence"]
        likeness = f"{advice['similarity']} ({100 * sure['similarity']:.0f} %)"
        size = f" ({100 * sure['size']:.0f} %)" if sure["size"] is not None else ""
        verdict = f"{likeness}, {advice['size']}{size}"
        agrees = {None: "not said", True: "yes", False: "no"}[advice["agrees"]]
    accuracies = [_accuracy(cell, method) for method in methods]
    regrets = [_regret(cell["regret"].get(way)) for way in ways]
    shipped = cell["shipped_by_auto"] or ""
    return [cell["dataset"], cell["backbone"], verdict, agrees, *accuracies, shipped, *regrets]


def _accuracy(cell: dict[str, Any], method: str) -> str:
    """Return the accuracy, the advised strategy's in bold and with a budget's end marked."""
    one = cell["methods"].get(method)
    if one is None:
        return ""
    words = f"{100 * one['accuracy']:.1f} ({100 * one['low']:.1f}-{100 * one['high']:.1f})"
    if method == cell["advised"]:
        words = f"**{words}**"
    return words + ("*" if "budget" in one["ended"] else "")


def _mean(one: dict[str, float] | None) -> str:
    return f"{100 * one['accuracy']:.1f}" if one else ""


def _regret(one: dict[str, float] | None) -> str:
    return f"{one['points']:.1f} ({one['low']:.1f} to {one['high']:.1f})" if one else ""


def _line(words: list[str]) -> str:
    return f"| {' | '.join(words)} |"
