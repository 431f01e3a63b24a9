"""Does each exported format give the app's own answers, on all test pictures of a shared data set?

    python -m benchmarks.exports [--sets NAME ...] [--backbone NAME] [--strategy NAME] [--work DIR]
        [--formats NAME ...] [--markdown]

For each data set one run is trained and exported in each format, by the very function that the app
uses: it writes the model, lets the snippet that goes along answer for the bytes of all test
pictures in a fresh process without this package, and compares. Stated are the largest difference of
a probability and of each other output, the share of pictures with the same class, the accuracies of
both, megabytes and seconds; of a refused export, why. Runs and rows are kept in `--work`: the same
command again goes on where it was. Prints one JSON object, or a table.
"""

import json
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks import shipped
from benchmarks.shipped import Made
from transfer import devices, export
from transfer.errors import ExportError
from transfer.exporting import formats
from transfer.runs import Run


def exported(run: Run, name: str) -> dict[str, Any]:
    """Return how one format of a run agrees with the app, or why it was refused."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as work:
        target = Path(work) / "model"
        try:
            told = export.export(run, target, format=name).to_json()
        except ExportError as error:
            told = {"format": name, "refused": str(error)}
        size = sum(one.stat().st_size for one in target.rglob("*") if one.is_file())
    return {**told, "megabytes": round(size / 1e6, 1), "seconds": round(time.monotonic() - began)}


def table(answer: dict[str, Any]) -> str:
    """Return one row a data set and format."""
    lines = [
        "| data set | format | pictures | largest difference of a probability | of any output"
        " | same class | same 'none of these' | right: exported, app | MB |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for one in answer["sets"]:
        for row in one["formats"]:
            start = f"| {one['dataset']} | {row['format']} "
            if "refused" in row:
                lines.append(f"{start}| | refused: {row['refused']} | | | | | |")
                continue
            lines.append(
                f"{start}| {row['checked']} | {row['max_difference']:.1e}"
                f" | {max(row['differences'].values()):.1e} | {100 * row['same_label']:.1f} %"
                f" | {_share(row.get('same_known'))}"
                f" | {100 * row['accuracy']:.1f}, {100 * row['accuracy_here']:.1f} %"
                f" | {row['megabytes']} |"
            )
    return "\n".join(lines)


def _share(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.1f} %"


def main() -> None:
    """Measure and print."""
    parser = shipped.options(__doc__)
    names = list(formats.NAMES)
    parser.add_argument("--formats", nargs="+", choices=names, default=names, metavar="NAME")
    parser.add_argument("--markdown", action="store_true")
    options = parser.parse_args()
    devices.prepare()
    sets = []
    with shipped.working(options.work) as work:
        for name in options.sets:
            made = Made(name, options.backbone, options.strategy)
            rows = shipped.measured(made, options.formats, work, exported)
            sets.append({"dataset": name, "formats": rows})
    answer = {"backbone": options.backbone, "strategy": options.strategy, "sets": sets}
    print(table(answer) if options.markdown else json.dumps(answer))


if __name__ == "__main__":
    main()
