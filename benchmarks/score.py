"""How fast `score` goes through many pictures, and how much memory it takes: prints JSON.

    python benchmarks/score.py RUN PICTURES [--count 10000]

PICTURES is a folder; its pictures are linked as often as needed. Memory is what the process holds
(resident, in MB) at a tenth of the way and at the end: constant, if both are alike.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

from transfer import devices, scoring
from transfer.dataset import layout
from transfer.runs import Run


def main() -> None:
    """Measure, and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("pictures", type=Path)
    parser.add_argument("--count", type=int, default=10_000)
    options = parser.parse_args()
    found = sorted(one for one in options.pictures.rglob("*") if layout.is_picture(one.name))
    devices.prepare()
    seen: list[tuple[int, float]] = []

    def look(done: int, total: int) -> None:
        if not seen or done - seen[-1][0] >= total // 20 or done == total:
            seen.append((done, _resident()))

    with tempfile.TemporaryDirectory() as work:
        many = Path(work) / "many"
        many.mkdir()
        for number in range(options.count):
            source = found[number % len(found)]
            (many / f"{number:06d}{source.suffix}").symlink_to(source.resolve())
        began = time.monotonic()
        answered = scoring.score(Run(options.run), many, Path(work) / "answers.csv", look)
        seconds = time.monotonic() - began
    early = next(memory for done, memory in seen if done >= options.count // 10)
    result = {
        "pictures": options.count,
        "different": min(len(found), options.count),
        "answered": answered.answered,
        "seconds": round(seconds, 1),
        "pictures_a_second": round(options.count / seconds, 1),
        "memory_mb_at_a_tenth": round(early),
        "memory_mb_at_the_end": round(seen[-1][1]),
        "memory_mb_at_most": round(max(memory for _, memory in seen)),
    }
    print(json.dumps(result))


def _resident() -> float:
    """Return the megabytes that this process holds now (Linux, proc(5))."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * 4096 / 1e6


if __name__ == "__main__":
    main()
