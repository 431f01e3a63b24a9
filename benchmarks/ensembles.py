"""Does an ensemble make fewer errors than the member that validation would have picked?

    python -m benchmarks.ensembles [--backbone NAME ...] [--sets NAME ...] [--most N] [--out FILE]
        [--unseen]

On each shared data set the members are those that `python -m transfer ensemble --data` makes on
these networks; weights are chosen by answers to the training and validation pictures that each
member had not learned from, and the test folder measures. The split is drawn with several seeds: it
decides which pictures are for validation, and so which member they pick. Two rivals: the member
that is best on the validation pictures alone (what somebody does who has trained them all), and the
one that is best on all pictures by which the ensemble is chosen. `--most` draws so many pictures a
class to learn from. `--unseen` leaves the test folder alone: it learns from `--most` pictures of
each class of the training folder, half of the class at most, and is tested on the others, less
those that belong together with one of these. Features are kept in the store, and what is measured
in `--out`: the same command again goes on where it was.

Prints one JSON object, or a table with `--markdown`.
"""

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import paired, small_sets  # the latter sets what TensorFlow reads
from transfer import backbones, catalog, devices, features, weights
from transfer.dataset import library, relations
from transfer.dataset.index import ImageIndex
from transfer.ensembling import choosing, pool
from transfer.ensembling.members import Member, Reading
from transfer.ensembling.pool import Problem

NETWORKS = ("MobileNetV2", "MobileNetV2:0.35", "MobileNet", "MobileNet:0.75", "MobileNet:0.5",
            "MobileNet:0.25")  # fmt: skip
_SEEDS = 5
_DRAWS = 10_000
Draw = Callable[[ImageIndex, int], ImageIndex]
_RIVALS = {"validation": "picked by validation", "out_of_fold": "picked by all that choose"}


@dataclass(frozen=True)
class Pool:
    """The members on one data set: what they say of the test pictures [members, n, classes]."""

    index: ImageIndex
    members: list[Member]
    answers: np.ndarray
    labels: np.ndarray


def main() -> None:
    """Measure each data set and print the summary."""
    options = _options()
    kept = _kept(options.out)
    for name in options.sets:
        if (key := _key(name, options)) not in kept:
            draw = unseen if options.unseen else drawn
            kept[key] = measure(pooled(name, options.backbone, options.most, draw))
            _keep(options.out, key, kept[key])
    rows = [{"dataset": name, **summary(kept[_key(name, options)])} for name in options.sets]
    draws = {rival: [row[rival].pop("draws") for row in rows] for rival in _RIVALS}
    answer = {
        "networks": list(options.backbone),
        "most": options.most,
        "tested_on": "the rest of train" if options.unseen else "test",
        "seeds": _SEEDS,
        "sets": rows,
        "mean": {rival: _mean(rows, rival, draws[rival]) for rival in _RIVALS},
    }
    print(table(answer) if options.markdown else json.dumps(answer))


def _key(name: str, options: argparse.Namespace) -> str:
    fresh = ["unseen"] if options.unseen else []
    return json.dumps([name, list(options.backbone), options.most, *fresh])


def _kept(file: Path | None) -> dict[str, dict[str, Any]]:
    lines = file.read_text("utf-8").splitlines() if file and file.is_file() else []
    return dict(json.loads(line) for line in lines)


def _keep(file: Path | None, key: str, found: dict[str, Any]) -> None:
    if file:
        with file.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps([key, found]) + "\n")


def pooled(name: str, networks: Sequence[str], most: int | None, draw: Draw) -> Pool:
    """Return the members that the command makes on a data set, and their answers to its test."""
    devices.prepare()
    index = library.import_dataset(small_sets.DATASETS / name)
    if most is not None or draw is unseen:
        index = draw(index, most or len(index.pictures))
    parts = relations.shared_out(index, 0)
    problem = Problem.of(index, parts, 0)
    members: list[Member] = []
    answers: list[np.ndarray] = []
    for network in networks:
        spec = catalog.backbone(network)
        size = weights.default_size(spec)
        backbone = backbones.load(spec, size, weights.obtain(spec, size))
        kept = features.compute(backbone, index, [*problem.positions, *parts.test])
        made = pool.members(problem, backbone, kept)
        for one in made:
            solution = one.solution
            if isinstance(solution, Reading):
                rows = [kept.of(block, parts.test) for block in solution.blocks]
                inputs = np.concatenate(rows, axis=1).astype(np.float32)
                answers.append(np.asarray(solution.head(inputs)))
        members += made
    return Pool(index, members, np.stack(answers), index.class_numbers()[list(parts.test)])


def drawn(index: ImageIndex, most: int) -> ImageIndex:
    """Return the data set with at most so many pictures of each class to learn from."""
    rng, kept = np.random.default_rng(0), set[int]()
    for label in index.classes:
        own = [i for i, one in enumerate(index.pictures)
               if one.label == label and one.split != "test"]  # fmt: skip
        kept.update(rng.permutation(own)[:most].tolist())
    pictures = (one for i, one in enumerate(index.pictures) if one.split == "test" or i in kept)
    return replace(index, pictures=tuple(pictures), digest=f"{index.digest[:-8]}{most:08d}")


def unseen(index: ImageIndex, most: int) -> ImageIndex:
    """Return the training folder alone: so many pictures of each class, tested on the others."""
    owned = tuple(one for one in index.pictures if one.split != "test")
    whole = replace(index, pictures=owned, digest=f"{index.digest[:-8]}ffffffff")
    groups, rng, kept = relations.find(whole).groups.ids, np.random.default_rng(1), list[int]()
    for label in index.classes:
        own = [i for i, one in enumerate(owned) if one.label == label]
        kept += rng.permutation(own)[: min(most, len(own) // 2)].tolist()
    learned, alike = set(kept), set(groups[kept].tolist())
    pictures = (
        replace(one, split="train" if i in learned else "test")
        for i, one in enumerate(owned)
        if i in learned or groups[i] not in alike
    )
    return replace(index, pictures=tuple(pictures), digest=f"{index.digest[:-8]}{most:07d}f")


def measure(found: Pool) -> dict[str, Any]:
    """Return how often the ensemble and its rivals are wrong on each picture, over the seeds."""
    held_out = np.stack([one.held_out for one in found.members])
    wrong = found.answers.argmax(axis=2) != found.labels
    together = np.zeros(len(found.labels))
    rivals = {name: np.zeros(len(found.labels)) for name in _RIVALS}
    picked: dict[str, list[str]] = {name: [] for name in _RIVALS}
    used: list[int] = []
    for seed in range(_SEEDS):
        parts = relations.shared_out(found.index, seed)
        problem = Problem.of(found.index, parts, seed)
        shares = choosing.weights(held_out, problem.labels, problem.groups, seed)
        mean = np.tensordot(shares, found.answers, 1)
        together += (mean.argmax(axis=1) != found.labels) / _SEEDS
        used.append(int((shares > 0).sum()))
        alone = {
            "validation": choosing.best(
                held_out[:, problem.judging], problem.labels[problem.judging]
            ),
            "out_of_fold": choosing.best(held_out, problem.labels),
        }
        for name, number in alone.items():
            rivals[name] += wrong[number] / _SEEDS
            picked[name].append(found.members[number].name)
    return {
        "learned_from": held_out.shape[1],
        "members": len(found.members),
        "used": float(np.mean(used)),
        "best_in_hindsight": float(wrong.sum(axis=1).min()),
        "wrong": [round(float(one), 3) for one in together],
        "rivals": {name: [round(float(one), 3) for one in rivals[name]] for name in _RIVALS},
        "picked": {name: sorted(set(picked[name])) for name in _RIVALS},
    }


def summary(found: dict[str, Any]) -> dict[str, Any]:
    """Return errors, means over the seeds, and the paired intervals of what `measure` found."""
    together = np.array(found["wrong"])
    against = {
        name: {**_against(together, np.array(alone)), "picked": found["picked"][name]}
        for name, alone in found["rivals"].items()
    }
    facts = {key: found[key] for key in ("learned_from", "members", "used", "best_in_hindsight")}
    return {**facts, "tested_on": len(together), "errors": float(together.sum()), **against}


def _against(together: np.ndarray, alone: np.ndarray) -> dict[str, Any]:
    difference = paired.difference(1 - together, 1 - alone)
    rng = np.random.default_rng(0)
    n = len(alone)
    times = rng.multinomial(n, np.full(n, 1 / n), _DRAWS)
    fewer = 1 - (times @ together) / np.maximum(times @ alone, 1 / _SEEDS)
    return {
        "errors": float(alone.sum()),
        "fewer": 1 - float(together.sum() / max(alone.sum(), 1 / _SEEDS)),
        "gain_points": difference.to_json(),
        "draws": fewer,
    }


def _mean(rows: list[dict[str, Any]], rival: str, draws: Sequence[np.ndarray]) -> dict[str, float]:
    """Return the mean over the data sets of the share of errors saved, with its 95 % interval."""
    low, high = np.percentile(np.mean(draws, axis=0), (2.5, 97.5))
    alone, together = sum(row[rival]["errors"] for row in rows), sum(row["errors"] for row in rows)
    mean = float(np.mean([row[rival]["fewer"] for row in rows]))
    return {"fewer": mean, "low": float(low), "high": float(high), "pooled": 1 - together / alone}


def table(answer: dict[str, Any]) -> str:
    """Return the summary as a Markdown table."""
    head = ["data set (learned from, tested on)", "members used", "errors together"]
    for words in _RIVALS.values():
        head += [f"alone, {words}", "fewer errors", "gain in points (95 %)"]
    lines = [_line(head), _line(["---"] * len(head))]
    for row in answer["sets"]:
        cells = [f"{row['dataset']} ({row['learned_from']}, {row['tested_on']})",
                 f"{row['used']:.1f} of {row['members']}", f"{row['errors']:.1f}"]  # fmt: skip
        for rival in _RIVALS:
            one = row[rival]
            gain = one["gain_points"]
            points = f"{gain['points']:.1f} ({gain['low']:.1f} to {gain['high']:.1f})"
            cells += [f"{one['errors']:.1f}", f"{100 * one['fewer']:.0f} %", points]
        lines.append(_line(cells))
    means = ["**mean of the sets**", "", ""]
    for rival in _RIVALS:
        one = answer["mean"][rival]
        means += ["", f"**{100 * one['fewer']:.0f} %** ({100 * one['low']:.0f} to"
                  f" {100 * one['high']:.0f})", ""]  # fmt: skip
    return "\n".join([*lines, _line(means)])


def _line(words: list[str]) -> str:
    return f"| {' | '.join(words)} |"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--backbone", nargs="+", default=NETWORKS, metavar="NAME")
    parser.add_argument("--sets", nargs="+", default=small_sets.ALL, metavar="NAME")
    parser.add_argument("--most", type=int, metavar="N", help="pictures a class to learn from")
    parser.add_argument("--unseen", action="store_true", help="test on the rest of train")
    parser.add_argument("--out", type=Path, help="keeps what is measured, one line a data set")
    parser.add_argument("--markdown", action="store_true", help="print a table instead of JSON")
    return parser.parse_args()


if __name__ == "__main__":
    main()
