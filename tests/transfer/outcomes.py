"""What a run ended with, so that two can be compared; and processes that are killed."""

import io
import json
import math
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from tests.conftest import ROOT


def start(home: Path, *arguments: object, **environment: str) -> subprocess.Popen[str]:
    """Start `python -m transfer ARGUMENTS --json` on a store."""
    return subprocess.Popen(
        [sys.executable, "-m", "transfer", *map(str, arguments), "--json"],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "TRANSFER_HOME": str(home), **environment},
    )  # fmt: skip


def answer(process: subprocess.Popen[str]) -> dict[str, Any]:
    """Wait for such a process and return its JSON object."""
    output, words = process.communicate(timeout=900)
    assert "Traceback" not in words, words
    return json.loads(output.splitlines()[-1])


def weights(run: Path) -> dict[str, np.ndarray]:
    """Return every array of the shipped model."""
    found: dict[str, np.ndarray] = {}

    def keep(name: str, one: Any) -> None:
        if isinstance(one, h5py.Dataset):
            found[name] = np.asarray(one)

    with (
        zipfile.ZipFile(run / "model.keras") as model,
        h5py.File(io.BytesIO(model.read("model.weights.h5"))) as file,
    ):
        file.visititems(keep)
    return found


def difference(one: Path, other: Path) -> float:
    """Return the largest difference of two runs: weights, probabilities, losses; inf: much else.

    0 means equal to the bit.
    """
    with np.load(one / "answers.npz") as mine, np.load(other / "answers.npz") as theirs:
        pairs = {name: (mine[name], theirs[name]) for name in mine}
        same = set(mine) == set(theirs)
    first, second = weights(one), weights(other)
    pairs |= {name: (first[name], second[name]) for name in first if name in second}
    histories = [json.loads((run / "history.json").read_text()) for run in (one, other)]
    rows = [
        [{k: v for k, v in row.items() if k != "seconds"} for row in history]
        for history in histories
    ]
    same &= set(first) == set(second) and [list(row) for row in rows[0]] == [
        list(row) for row in rows[1]
    ]
    same &= (one / "split.json").read_bytes() == (other / "split.json").read_bytes()
    if not same or any(a.shape != b.shape for a, b in pairs.values()):
        return math.inf
    numbers = [
        (np.float64(a), np.float64(b))
        for mine, theirs in zip(*rows, strict=True)
        for a, b in zip(mine.values(), theirs.values(), strict=True)
        if not isinstance(a, str)
    ]
    return max(float(np.abs(a - b).max()) for a, b in [*pairs.values(), *numbers] if np.size(a))


def contents(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder: what may not change in an earlier run."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}
