"""Measure what serving costs beside the bare model: pictures a second, errors, equal answers.

    python -m benchmarks.serving
    python -m benchmarks.serving DATA --backbone MobileNetV2 --requests 200 --at-once 8 --rounds 3

A classifier is trained, and `python -m transfer serve` answers for it on a port of this machine
alone. Each round asks it for the test pictures of the data set, over and over, each by a request of
its own with so many at a time; before and after, the same model answers here for the same pictures,
decoded and resized beforehand, 32 at a time: that is the bare model. Both take turns, so that
another load on the machine meets both.

`ratio` is served over bare pictures a second; `ratio_cpu` is the same of processor time, of the
server alone, which another load disturbs less. `ratio_with_decoding` compares with the bare model
that has to decode the pictures first, one after the other. `largest_difference` is that of a
probability from `predict`'s.

Prints JSON.
"""

import argparse
import itertools
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import processes

_BATCH = 32
_READY = 120.0  # seconds that the server may take to start


@dataclass(frozen=True)
class Took:
    """Pictures a second, by the clock and by the processor time of who answered."""

    wall: float
    cpu: float


@dataclass(frozen=True)
class Served:
    """What the server said: a row of probabilities for each request, and how long it took."""

    answers: np.ndarray
    errors: list[str]
    took: Took


def main() -> None:
    """Train, serve, measure, and print one JSON object."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "data", type=Path, nargs="?", default=processes.SHARED / "datasets" / "ants-bees"
    )
    parser.add_argument("--backbone", default="MobileNetV2")
    parser.add_argument("--requests", type=int, default=200)
    parser.add_argument("--at-once", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="transfer-serving-") as folder:
        home, run = Path(folder), Path(folder) / "runs" / "served"
        train = ["train", options.data, "--run", run, "--backbone", options.backbone]
        processes.run("transfer", [*train, "--strategy", "linear_top", "--json"], home)
        os.environ["TRANSFER_HOME"] = folder
        found = measure(run, options.requests, options.at_once, options.rounds, home)
    print(json.dumps({"data": options.data.name, "backbone": options.backbone, **found}))


def measure(run: Path, requests: int, at_once: int, rounds: int, home: Path) -> dict[str, Any]:
    """Return what serving a run costs beside its bare model."""
    from transfer import devices, prediction
    from transfer.dataset import library
    from transfer.dataset.split import Split
    from transfer.runs import Run
    from transfer.serving.loaded import LoadedRun
    from transfer.serving.sources import StoreRuns

    devices.prepare()
    index = library.open_dataset(Run(run).config().dataset)
    parts = Split.from_json(Run(run).read("split") or {})
    chosen = itertools.islice(itertools.cycle(parts.test or parts.val), requests)
    files = [index.path(index.pictures[i]) for i in chosen]
    expected = prediction.predict_files(prediction.load(Run(run)), files)

    loaded = LoadedRun(StoreRuns(run.parent).find(run.name))
    data = [file.read_bytes() for file in files]
    pictures = [loaded.prepare(one) for one in data]
    batches = [pictures[i : i + _BATCH] for i in range(0, requests, _BATCH)]
    rows, load = [], [os.getloadavg()[0]]
    with server(run, home) as (process, port):
        ask(port, run.name, data[:at_once], at_once, process.pid)  # loads the model
        for _ in range(rounds):
            bare = [_bare(loaded, batches)]
            decoding = _bare(loaded, batches, data)
            served = ask(port, run.name, data, at_once, process.pid)
            bare.append(_bare(loaded, batches))
            load.append(os.getloadavg()[0])
            rows.append((bare, decoding, served))
        failed = [error for _, _, served in rows for error in served.errors]
    differences = [float(np.abs(served.answers - expected).max()) for _, _, served in rows]
    both = [
        Took(*(statistics.mean(getattr(one, clock) for one in bare) for clock in ("wall", "cpu")))
        for bare, _, _ in rows
    ]
    return {
        "requests": requests * rounds,
        "at_once": at_once,
        "errors": len(failed),
        "first_error": next(iter(failed), None),
        "largest_difference": max(differences),
        "bare_pictures_a_second": _spread([one.wall for one in both]),
        "served_pictures_a_second": _spread([served.took.wall for _, _, served in rows]),
        "ratio": _spread(
            [served.took.wall / one.wall for (_, _, served), one in zip(rows, both, strict=True)]
        ),
        "ratio_cpu": _spread(
            [served.took.cpu / one.cpu for (_, _, served), one in zip(rows, both, strict=True)]
        ),
        "ratio_with_decoding": _spread(
            [served.took.wall / decoding.wall for _, decoding, served in rows]
        ),
        "load": [round(one, 1) for one in load],
        "cpus": devices.cpus(),
    }


@contextmanager
def server(run: Path, home: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Serve a run on a free port of this machine alone: yields (process, port)."""
    command = [sys.executable, "-m", "transfer", "serve", str(run), "--port", "0"]
    with subprocess.Popen(
        command, cwd=processes.ROOT, env=processes.environment(home), stderr=subprocess.PIPE,
        text=True,
    ) as process:  # fmt: skip
        timer = threading.Timer(_READY, process.kill)
        timer.start()
        try:
            words = ""
            for line in process.stderr or ():
                words += line
                if line.startswith("Answering at http://"):
                    break
            timer.cancel()
            if process.poll() is not None or "Answering at" not in words:
                raise processes.FailedError(words)
            # Nobody else reads what it says from now on.
            threading.Thread(target=lambda: list(process.stderr or ()), daemon=True).start()
            yield process, int(re.findall(r"Answering at http://[\d.]+:(\d+)", words)[0])
        finally:
            timer.cancel()
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()


def ask(port: int, model: str, data: Sequence[bytes], at_once: int, pid: int) -> Served:
    """Ask for each picture by a request of its own, so many at a time."""
    local, errors = threading.local(), []

    def one(picture: bytes) -> list[float]:
        if not hasattr(local, "connection"):
            local.connection = HTTPConnection("127.0.0.1", port, timeout=120)
        local.connection.request("POST", f"/models/{model}/predict", picture)
        response = local.connection.getresponse()
        answer = json.loads(response.read())
        if response.status != 200:
            errors.append(f"{response.status}: {answer}")
            return []
        return answer["predictions"][0]["probabilities"]

    cpu, began = _cpu(pid), time.perf_counter()
    with ThreadPoolExecutor(at_once) as pool:
        rows = list(pool.map(one, data))
    seconds, cpu = time.perf_counter() - began, _cpu(pid) - cpu
    width = max(map(len, rows))
    answers = np.array([row or [np.nan] * width for row in rows], np.float32)
    return Served(answers, errors, Took(len(data) / seconds, len(data) / cpu))


def _bare(loaded: Any, batches: Sequence[Any], data: Sequence[bytes] = ()) -> Took:
    """Return how fast the model alone is, or the decoding of `data` and the model."""
    cpu, began = time.process_time(), time.perf_counter()
    for picture in data:
        loaded.prepare(picture)
    for batch in batches:
        loaded.compute(batch)
    number = sum(map(len, batches))
    return Took(number / (time.perf_counter() - began), number / (time.process_time() - cpu))


def _cpu(pid: int) -> float:
    """Return the processor time of a process so far, in seconds (proc(5), fields 14 and 15)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _spread(values: Sequence[float]) -> dict[str, float]:
    return {
        "median": round(statistics.median(values), 3),
        "least": round(min(values), 3),
        "largest": round(max(values), 3),
    }


if __name__ == "__main__":
    main()
