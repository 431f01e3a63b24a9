"""Sum up the runs of the decision table: accuracies, what was advised and shipped, the regret."""

import os
import re
import zlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import paired
from benchmarks.paired import Difference
from benchmarks.rows import Key, Row, Rows
from transfer import catalog, console, evaluation

STRATEGIES = tuple(spec.name for spec in catalog.STRATEGIES)
# What a frozen MobileNetV2 0.35 with a hidden layer of 100 units gave after 50 epochs, in percent.
HIDDEN_LAYER = {"ants-bees": 88.2, "clothing": 80.8, "eurosat": 92.1, "steel-defects": 99.4}
MOST_REGRET = 1.0  # points
_EXPECTED = re.compile(r"\*\*Expected quadrant:\*\*\s*(\w+)[^.]*?\b(little|lots)\b")

_Rights = dict[str, np.ndarray]  # method -> share of seeds that were right, for each test picture


def summarise(sets: Mapping[str, tuple[Path, Sequence[Key]]], kept: Rows) -> dict[str, Any]:
    """Return the figures of each data set with each backbone, and means over the data sets.

    Args:
        sets: name -> (folder, what should have been run).
        kept: what has been run; what is missing is left out, and told of.
    """
    cells, missing = [], 0
    regrets: dict[str, dict[str, list[Difference]]] = defaultdict(lambda: defaultdict(list))
    for name, (path, keys) in sets.items():
        missing += sum(key not in kept for key in keys)
        for backbone in dict.fromkeys(key.backbone for key in keys):
            found = [kept[k] for k in keys if k.backbone == backbone and k in kept]
            if any(row.key.method != "advise" for row in found):
                cell, differences = _cell(name, path, backbone, found)
                cells.append(cell)
                for way, one in differences.items():
                    regrets[backbone][way].append(one)
    return {
        "cores": os.cpu_count(),
        "missing_runs": missing,
        "code": sorted({one for cell in cells for one in cell["code"]}),
        "sets": cells,
        "means": {
            backbone: _means([c for c in cells if c["backbone"] == backbone], regrets[backbone])
            for backbone in dict.fromkeys(cell["backbone"] for cell in cells)
        },
    }


def expected(path: Path) -> dict[str, str] | None:
    """Return the quadrant that a data set's DATASET.md expects, where it names one."""
    file = path / "DATASET.md"
    found = _EXPECTED.search(file.read_text(encoding="utf-8")) if file.is_file() else None
    if not found or found[1] not in ("similar", "different"):
        return None
    return {"similarity": found[1], "size": found[2]}


def shipped_by_auto(advised: str, by_method: Mapping[str, Sequence[Row]]) -> str | None:
    """Return what `auto` would ship, by the validation of these runs; None where one is missing.

    The rule is the program's own. Where several seeds were run, the first that both have.
    """
    if not advised.startswith("finetune"):
        return advised if by_method.get(advised) else None
    with console.quiet():
        from benchmarks.choosing import choose  # imports TensorFlow, and this module should not
    for row in by_method.get(advised, ()):
        for probe in by_method.get("linear_stages", ()):
            if probe.key.seed == row.key.seed:
                return choose(advised, row.marks["validation"], probe.marks["validation"])
    return None


def _cell(
    name: str, path: Path, backbone: str, found: list[Row]
) -> tuple[dict[str, Any], dict[str, Difference]]:
    """Return the figures of one data set with one backbone, and the regrets with their draws."""
    by_method: dict[str, list[Row]] = defaultdict(list)
    for row in found:
        by_method[row.key.method].append(row)
    advice = by_method["advise"][0] if by_method.get("advise") else None
    trained = {method: many for method, many in by_method.items() if method != "advise"}
    rights = _rights(name, trained)
    ways: _Rights = {method: right for method, right in rights.items() if method not in STRATEGIES}
    ways |= {f"always_{method}": rights[method] for method in STRATEGIES if method in rights}
    advised = shipped = None
    if advice:
        advised = advice.answer["strategy"]
        shipped = shipped_by_auto(advised, trained)
        ways |= {"advised": rights[advised]} if advised in rights else {}
        # Without its own run, auto is judged by that of what it would ship.
        ways |= {"auto": rights[shipped]} if shipped and "auto" not in rights else {}
    seed = zlib.crc32(name.encode())
    candidates = {method: rights[method] for method in STRATEGIES if method in rights}
    # Without all four nobody knows which is best.
    whole = len(candidates) == len(STRATEGIES)
    regrets = {w: paired.regret(candidates, r, seed) for w, r in ways.items()} if whole else {}
    cell = {
        "dataset": name,
        "backbone": backbone,
        "code": sorted({row.code for row in found}),
        "advice": _advice(advice, path) if advice else None,
        "advised": advised,
        "shipped_by_auto": trained["auto"][0].answer["shipped"] if "auto" in trained else shipped,
        "methods": {method: _method(many, rights[method]) for method, many in trained.items()},
        "best": next(iter(regrets.values())).best if regrets else None,
        "regret": {way: one.difference.to_json() for way, one in regrets.items()},
    }
    if name in HIDDEN_LAYER and "advised" in ways:
        ahead = 100 * float(ways["advised"].mean()) - HIDDEN_LAYER[name]
        cell["advised_minus_hidden_layer"] = round(ahead, 2)
    return cell, {way: one.difference for way, one in regrets.items()}


def _rights(name: str, trained: Mapping[str, Sequence[Row]]) -> _Rights:
    pictures = {row.marks["test"].pictures for many in trained.values() for row in many}
    if len(pictures) > 1:
        raise ValueError(
            f"The runs on '{name}' were tested on different pictures: the data set has changed"
            " since the first of them. Delete the file given as --out and run them again."
        )
    return {
        method: np.mean([row.marks["test"].array for row in many], axis=0)
        for method, many in trained.items()
    }


def _method(many: Sequence[Row], right: np.ndarray) -> dict[str, Any]:
    """Return one way's accuracy with its interval, over its seeds, and what it cost."""
    n = len(right)
    by_seed = [float(row.marks["test"].array.mean()) for row in many]
    validation = [row.marks["validation"].array.mean() for row in many]
    return {
        **evaluation.wilson(round(float(right.sum())), n).to_json(),
        "accuracy": float(right.mean()),
        "by_seed": {row.key.seed: one for row, one in zip(many, by_seed, strict=True)},
        "validation": float(np.mean(validation)),
        "seconds": [row.seconds for row in many],
        "seconds_of_the_run": [row.answer.get("seconds") for row in many],  # without start-up
        "peak_memory_mb": max(row.peak_memory_mb for row in many),
        "ended": [row.answer["ended"] for row in many],
    }


def _advice(row: Row, path: Path) -> dict[str, Any]:
    answer, wanted = row.answer, expected(path)
    size, likeness = answer["size"], answer["similarity"]
    verdicts = {"similarity": likeness["verdict"], "size": size["verdict"]}
    return {
        **verdicts,
        "expected": wanted,
        "agrees": None if wanted is None else wanted == verdicts,
        "confidence": {"similarity": likeness["confidence"], "size": size.get("confidence")},
        "images": size["images"],
        "per_class": size["per_class"],
        "bn_shift": likeness["bn_shift"],
        "stage_profile": [
            [one["accuracy"], one["standard_error"]] for one in likeness["stage_profile"]
        ],
        "seconds": row.seconds,
        "peak_memory_mb": row.peak_memory_mb,
    }


def _means(cells: list[dict[str, Any]], ways: Mapping[str, list[Difference]]) -> dict[str, Any]:
    """Return means over the data sets with one backbone.

    Those of different ways are over the data sets that have each; `n` says how many.
    """
    judged = [cell["advice"]["agrees"] for cell in cells if cell["advice"]]
    over = [
        cell["dataset"]
        for cell in cells
        if cell["regret"].get("advised", {}).get("low", 0.0) > MOST_REGRET
    ]
    ahead = [c["advised_minus_hidden_layer"] for c in cells if "advised_minus_hidden_layer" in c]
    return {
        "accuracy": _mean_accuracy(cells),
        "regret": {w: {**paired.mean(m).to_json(), "n": len(m)} for w, m in ways.items()},
        "regret_beyond_its_interval": over,
        "verdicts_right": sum(one is True for one in judged),
        "verdicts_expected": sum(one is not None for one in judged),
        "least_advised_minus_hidden_layer": min(ahead, default=None),
    }


def _mean_accuracy(cells: Iterable[dict[str, Any]]) -> dict[str, dict[str, float]]:
    by_method: dict[str, list[float]] = defaultdict(list)
    for cell in cells:
        for method, one in cell["methods"].items():
            by_method[method].append(one["accuracy"])
    return {m: {"accuracy": float(np.mean(v)), "n": len(v)} for m, v in by_method.items()}
