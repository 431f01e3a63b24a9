"""What do several views of a picture bring on the test folders, and what do they cost?

    python -m benchmarks.views [--sets NAME ...] [--backbone NAME] [--strategy NAME] [--work DIR]
        [--kinds KIND ...] [--most N] [--markdown]

For each shared data set one run is trained; its model then looks at the test pictures (at most
`--most`, drawn once) as they are, and through each kind of views: the mirror image, ten crops, five
scales by ten crops. Mirror images keep the label on all shared sets. The gain is in points of
accuracy, its interval the paired bootstrap's over pictures, with the likelihood (nats) beside it,
at the temperature of the run. Milliseconds are of one picture of the store, decoding included. Runs
and rows are kept in `--work`: the same command again goes on where it was. Prints one JSON object,
or a table.
"""

import json
import os
import time
from typing import Any

import numpy as np

from benchmarks import paired, shipped
from benchmarks.shipped import Made
from transfer import (
    calibration,
    catalog,
    devices,
    evaluation,
    prediction,
    views_at_test,
)
from transfer.dataset import library
from transfer.dataset.split import Split
from transfer.runs import Run

_WARM = 8  # pictures that are not timed: the graph is built


def looked(run: Run, kind: str, most: int) -> dict[str, Any]:
    """Return what the model of a run says of test pictures through one kind of views."""
    plain = prediction.load(run)
    model = views_at_test.with_views(plain.model, kind, mirror=True)
    classifier = prediction.of_model(model, plain.classes, plain.image_size)
    index, split = library.open_dataset(run.config().dataset), run.read("split")
    test = np.asarray(Split.from_json(split or {}).test)
    chosen = np.sort(np.random.default_rng(0).permutation(test)[:most])
    paths = [index.path(index.pictures[i]) for i in chosen]
    prediction.probabilities(classifier, paths[:_WARM])
    began, load = time.monotonic(), os.getloadavg()[0]
    said = prediction.probabilities(classifier, paths)
    seconds, labels = time.monotonic() - began, index.class_numbers()[chosen]
    return {
        "kind": kind,
        "views": views_at_test.views(kind, mirror=True),
        "milliseconds": round(1000 * seconds / len(paths), 2),
        "load": round(load, 1),
        "scores": calibration.scores(said, labels).to_json(),
        "right": "".join("01"[int(one)] for one in said.argmax(axis=1) == labels),
    }


def summary(name: str, rows: list[dict[str, Any]]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return one data set's rows with gain and cost against the first, and the differences."""
    rights = [np.array([one == "1" for one in row["right"]], float) for row in rows]
    told, differences = [], {}
    for row, right in zip(rows, rights, strict=True):
        one = paired.difference(right, rights[0])
        differences[row["kind"]] = one
        told.append(
            {
                **{key: value for key, value in row.items() if key not in ("right", "scores")},
                **row["scores"],
                "accuracy": evaluation.wilson(int(right.sum()), len(right)).to_json(),
                "gain": one.to_json(),
                "times_slower": round(row["milliseconds"] / rows[0]["milliseconds"], 1),
            }
        )
    return {"dataset": name, "pictures": len(rights[0]), "kinds": told}, differences


def table(answer: dict[str, Any]) -> str:
    """Return one row a data set and kind."""
    lines = [
        "| data set (test pictures) | views | accuracy | gain in points (95 %) | NLL | ms each |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for one in answer["sets"]:
        for row in one["kinds"]:
            gain, right = row["gain"], {k: 100 * v for k, v in row["accuracy"].items()}
            lines.append(
                f"| {one['dataset']} ({one['pictures']}) | {row['kind']}, {row['views']} |"
                f" {right['accuracy']:.1f} ({right['low']:.1f}-{right['high']:.1f})"
                f" | {gain['points']:+.1f} ({gain['low']:+.1f} to {gain['high']:+.1f}) |"
                f" {row['nll']:.3f} | {row['milliseconds']:.0f} ({row['times_slower']:.1f} times) |"
            )
    for kind, gain in answer["mean"].items():
        words = f"{gain['points']:+.1f} ({gain['low']:+.1f} to {gain['high']:+.1f})"
        lines.append(f"| **mean of the sets** | {kind} | | {words} | | |")
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    parser = shipped.options(__doc__)
    parser.add_argument("--kinds", nargs="+", choices=catalog.TEST_TIME, metavar="KIND")
    parser.add_argument("--most", type=int, default=10**6, metavar="N")
    parser.add_argument("--markdown", action="store_true")
    options = parser.parse_args()
    kinds = [kind for kind in catalog.TEST_TIME if kind in ("none", *(options.kinds or [kind]))]
    devices.prepare()
    sets, differences = [], []
    with shipped.working(options.work) as work:
        for name in options.sets:
            made = Made(name, options.backbone, options.strategy)
            rows = shipped.measured(
                made,
                [f"{kind}, {options.most}" for kind in kinds],
                work,
                lambda run, part: looked(run, part.split(",")[0], options.most),
            )
            told, found = summary(name, rows)
            sets.append(told)
            differences.append(found)
    means = {kind: paired.mean([one[kind] for one in differences]).to_json() for kind in kinds[1:]}
    answer = {"backbone": options.backbone, "strategy": options.strategy, "sets": sets}
    answer["mean"] = means
    print(table(answer) if options.markdown else json.dumps(answer))


if __name__ == "__main__":
    main()
