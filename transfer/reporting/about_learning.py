"""The sections of a report on how the model was made: the tries, the curves, the settings."""

import contextlib
from typing import Any

from transfer import catalog, config
from transfer.errors import TransferError
from transfer.evaluation import Accuracy
from transfer.reporting import drawing
from transfer.reporting.document import Block, Chart, Section, Table, Text
from transfer.reporting.material import Material
from transfer.reporting.numbers import interval, seconds

_PACKAGES = {"transfer": "Transfer workbench"}
# What also decides about a classifier that is solved for; the rest is of fine-tuning.
_OF_ALL = ("dataset", "backbone", "image_size", "strategy", "seed", "budget", "horizontal_flip",
           "quarter_turns")  # fmt: skip


def learning(found: Material) -> Section:
    """Return which ways were tried and kept, the curves where there are any, and their reading."""
    result = found.result
    blocks: list[Block] = [Text((_origin(found),)), *_tries(found), *_curves(found)]
    said = (result.get("readings") or {}).get(result["shipped"]) or []
    words = [f"{one['title']}. {one['words']} ({one['evidence']})" for one in said]
    if words:
        blocks.append(Text(tuple(words)))
    return Section("How it learned", tuple(blocks))


def versions(found: Material) -> Section:
    """Return what decides about the result: seeds, settings and versions."""
    flat = {key: value for key, value in config.flat(found.settings).items() if value is not None}
    if not any(name.startswith("finetune") for name in found.result["candidates"]):
        flat = {key: value for key, value in flat.items() if key in _OF_ALL}
    settings = tuple((key.replace("_", " "), _told(value)) for key, value in sorted(flat.items()))
    numbers = found.kept("versions") or {}
    packages = tuple((_PACKAGES.get(str(k), str(k)), str(value)) for k, value in numbers.items())
    weights = catalog_words(str(found.settings["backbone"]))
    return Section(
        "Versions and seeds",
        (
            Text((
                f"Seed {found.settings['seed']}: it decides who is in which part, and every draw."
                f" The data set's digest is {found.settings['dataset']}. On a CPU the same data"
                " set, settings and versions give the same result.",
                weights,
            )),
            Table(("Setting", "Value"), settings),
            Table(("Software", "Version"), packages),
        ),
    )  # fmt: skip


def catalog_words(name: str) -> str:
    """Return what the network is and where its weights come from."""
    if name == catalog.BUILTIN:
        return (
            "The network is the small one that comes with the program. It has only ever seen"
            " generated pictures."
        )
    with contextlib.suppress(TransferError):
        spec = catalog.backbone(name)
        return (
            f"The network is {name} ({spec.parameters / 1e6:.1f} million parameters), with weights"
            " trained on ImageNet, as Keras distributes them."
        )
    return f"The network is {name}."


def _origin(found: Material) -> str:
    result = found.result
    title = named(result["shipped"])
    asked = named(result["requested"])
    kept = "as was asked for" if asked == title else f"where ‘{asked}’ was asked for"
    size = result["image_size"]
    return (
        f"Kept: ‘{title}’, {kept}, on {result['backbone']} with pictures of {size} x {size} pixels."
        f" It took {seconds(float(result['seconds']))}, and ended: {result['ended']}."
    )


def named(strategy: str) -> str:
    """Return what a strategy is called."""
    every = {one.name: one.title for one in (*catalog.STRATEGIES, *catalog.REQUESTS)}
    return every.get(strategy, strategy)


def _tries(found: Material) -> list[Block]:
    tried: dict[str, Any] = found.result["candidates"]
    if len(tried) < 2:
        return []
    rows = tuple(
        (named(name), interval(Accuracy(one["accuracy"], one["low"], one["high"], one["n"])),
         f"{one['loss']:.3f}", "kept" if name == found.result["shipped"] else "")
        for name, one in tried.items()
    )  # fmt: skip
    head = ("Way of learning", "Right on validation pictures", "Loss", "")
    return [Table(head, rows, "What was tried, on the same validation pictures", numbers=(2,))]


def _curves(found: Material) -> list[Block]:
    history = found.kept("history")
    rows = history if isinstance(history, list) else []
    rows = [row for row in rows if row.get("phase") == "fine_tuning"]
    if len(rows) < 2:
        return []
    charts: list[Block] = []
    for quantity, percent in (("loss", False), ("accuracy", True)):
        lines = [
            drawing.Line("training", _points(rows, quantity)),
            drawing.Line("validation", _points(rows, f"val_{quantity}"), dashed=True),
        ]
        chart = drawing.curves(lines, "epoch", quantity, percent)
        if chart:
            last = {line.name: line.points[-1][1] for line in lines if line.points}
            words = ", ".join(f"{name} {value:.3f}" for name, value in last.items())
            charts.append(Chart(chart, f"{quantity} over the epochs; at the end: {words}"))
    return charts


def _points(rows: list[dict[str, Any]], name: str) -> list[tuple[float, float]]:
    return [(float(row["epoch"]), float(row[name])) for row in rows if row.get(name) is not None]


def _told(value: Any) -> str:
    if isinstance(value, dict):
        said = [f"{key} {_told(one)}" for key, one in value.items() if one is not None]
        return ", ".join(said) or "as usual"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)
