"""Plant shortcuts into draws from real data sets: how many are found, and how many false alarms.

`python -m benchmarks.shortcuts` prints JSON: found of planted by kind and by shape of the draw,
by an alarm or at least a note, alarms and notes on draws without a shortcut and on shuffled labels,
and on the whole data sets. What is weaker than `planted_shortcuts.STRONG` is counted apart.
"""

import argparse
import json
import os
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

from benchmarks import planted_shortcuts as planting
from benchmarks.processes import SHARED
from transfer.dataset import library, looks
from transfer.dataset.index import ImageIndex
from transfer.dataset.looks import Looks
from transfer.health import quality, shortcuts

SETS = ("ants-bees", "clothing", "eurosat", "steel-defects")
EACH = 45  # pictures of a class that are planted


@dataclass(frozen=True)
class Shape:
    """A draw: so many classes at most, pictures of each, and the share of one that is planted."""

    name: str
    classes: int
    pictures: int
    share: float


SHAPES = (
    Shape("two classes, 10 pictures each", 2, 10, 1.0),
    Shape("two classes, 40 pictures each", 2, 40, 1.0),
    Shape("two classes, 40 pictures each, 80 % of one", 2, 40, 0.8),
    Shape("one of ten classes, 40 pictures each", 10, 40, 1.0),
    Shape("one of ten classes, 40 pictures each, 80 % of it", 10, 40, 0.8),
)


@dataclass
class Counts:
    """Found and tried, by what was planted into what."""

    found: Counter[tuple[str, str, str]]
    tried: Counter[tuple[str, str, str]]

    def by(self, place: int) -> dict[str, list[int]]:
        """Return [found, tried] by data set (0), shape (1) or kind (2)."""
        names = sorted({key[place] for key in self.tried})
        return {
            name: [
                sum(n for key, n in counter.items() if key[place] == name)
                for counter in (self.found, self.tried)
            ]
            for name in names
        }

    def all(self) -> dict[str, Any]:
        """Return the counts by kind, shape and data set, and what was missed in part or at all."""
        return {
            "kind": self.by(2),
            "shape": self.by(1),
            "set": self.by(0),
            "missed": [list(key) for key in self.tried if self.found[key] < self.tried[key]],
        }


@dataclass
class Planted:
    """What raised an alarm; what was named by an alarm or a note; and alarms at what is weak."""

    alarmed: Counts
    named: Counts
    weak: Counts


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark and print its JSON on one line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", nargs="+", default=SETS)
    parser.add_argument("--kinds", nargs="+", default=list(planting.KINDS))
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--home", type=Path, help="a store to use again; else one for this run")
    chosen = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as temporary:
        home = chosen.home or Path(temporary)
        with patch.dict(os.environ, {"TRANSFER_HOME": str(home)}):
            print(json.dumps(_all(chosen.sets, chosen.kinds, chosen.seeds)))


def _all(sets: Sequence[str], kinds: Sequence[str], seeds: int) -> dict[str, Any]:
    planted = Planted(*(Counts(Counter(), Counter()) for _ in range(3)))
    plain, shuffled = Counts(Counter(), Counter()), Counts(Counter(), Counter())
    whole: dict[str, Any] = {}
    for name in sets:
        source = SHARED / "datasets" / name
        whole[name] = _whole(library.import_dataset(source))
        with tempfile.TemporaryDirectory() as folder:
            planting.write_all(source / "train", Path(folder), EACH, seed=0)
            index = library.import_dataset(Path(folder))
        seen = looks.compute(index)
        for shape in SHAPES:
            if shape.classes > 2 and len(planting.classes(index)) < 3:
                continue
            for seed in range(seeds):
                _try(name, (index, seen), shape, seed, kinds, planted)
                _without(name, (index, seen), shape, seed, plain, shuffled)
    return {
        "alarmed": planted.alarmed.all(),
        "named": planted.named.all(),
        "weak": planted.weak.all(),
        "unplanted": {"shape": plain.by(1), "set": plain.by(0), "level": plain.by(2)},
        "shuffled": shuffled.by(0),
        "whole": whole,
    }


def _try(
    name: str,
    everything: tuple[ImageIndex, Looks],
    shape: Shape,
    seed: int,
    kinds: Sequence[str],
    counts: Planted,
) -> None:
    """Plant each kind into one draw and count which are found."""
    classes = _classes(everything[0], shape, seed)
    plain = planting.composed(*everything, classes, planting.PLAIN, 0.0, seed)[1]
    for kind in kinds:
        if kind == "grey" and name == "steel-defects":  # its pictures are grey
            continue
        drawn = planting.composed(*everything, classes, kind, shape.share, seed)
        alarms = _alarms(*drawn, seed)
        cues = planting.KINDS[kind][1]
        levels = {
            one.level for one in alarms if one.cue in cues and next(iter(classes)) in one.labels
        }
        strength = planting.strength(kind, plain, drawn[1])
        weak = strength is not None and strength < planting.STRONG
        key = (name, shape.name, kind)
        for part, hit in (
            (counts.weak if weak else counts.alarmed, shortcuts.ALARM in levels),
            *(() if weak else [(counts.named, bool(levels))]),
        ):
            part.found[key] += hit
            part.tried[key] += 1


def _without(
    name: str,
    everything: tuple[ImageIndex, Looks],
    shape: Shape,
    seed: int,
    plain: Counts,
    shuffled: Counts,
) -> None:
    """Count the draws with an alarm where nothing was planted, and where labels say nothing."""
    classes = _classes(everything[0], shape, seed)
    index, seen = planting.composed(*everything, classes, planting.PLAIN, 0.0, seed)
    alarms = _alarms(index, seen, seed)
    for level in (shortcuts.ALARM, shortcuts.NOTE):
        found = [one.cue for one in alarms if one.level == level]
        plain.found[name, shape.name, level] += bool(found)
        plain.tried[name, shape.name, level] += 1
        for cue in found:
            plain.found[f"{level}: {name}", shape.name, f"{level}: {cue}"] += 1
            plain.tried[f"{level}: {name}", shape.name, f"{level}: {cue}"] += 1
    labels = np.random.default_rng(seed).permutation([one.label for one in index.pictures])
    pictures = tuple(
        replace(one, label=str(label)) for one, label in zip(index.pictures, labels, strict=True)
    )
    found = _alarms(replace(index, pictures=pictures), seen, seed)
    shuffled.found[name, shape.name, ""] += any(one.level == shortcuts.ALARM for one in found)
    shuffled.tried[name, shape.name, ""] += 1


def _classes(index: ImageIndex, shape: Shape, seed: int) -> dict[str, int]:
    names = np.random.default_rng([seed, 7]).permutation(planting.classes(index))
    return {str(one): shape.pictures for one in names[: shape.classes]}


def _alarms(index: ImageIndex, seen: Looks, seed: int) -> tuple[shortcuts.Shortcut, ...]:
    return shortcuts.find(index, seen, np.arange(len(index.pictures)), seed)


def _whole(index: ImageIndex) -> dict[str, Any]:
    """Return the alarms, the strongest figure of each cue, and the flaws of a whole data set."""
    seen = looks.compute(index)
    alone = np.arange(len(index.pictures))
    began = time.process_time()
    alarms = shortcuts.find(index, seen, alone, 0)
    seconds = time.process_time() - began
    strongest: dict[str, Any] = {}
    for one in sorted(shortcuts.measure(index, seen, alone, 0), key=lambda one: one.accuracy):
        strongest[one.cue] = [one.label, round(one.accuracy, 3), one.compared]
    flaws = {one.kind: len(one.labels) for one in quality.find(index, seen)}
    return {
        "alarms": [asdict(one) for one in alarms],
        "strongest": strongest,
        "flaws": flaws,
        "cpu_seconds": round(seconds, 2),
    }


if __name__ == "__main__":
    main()
