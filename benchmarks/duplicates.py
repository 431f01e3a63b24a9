"""Plant copies of photographs in real data sets and count how many are found, and what else is.

    python -m benchmarks.duplicates [SET ...] [--seeds 1 2 3] [--pictures 500] [--each 20]

For each set and seed, pictures are drawn, and so many of them get a copy of each kind in
`benchmarks/planting.py`. All are taken in as a user's would be. A pair counts as right where both
show one photograph: precision and recall are over pairs of pictures of one cluster. Sets have
copies of their own. `unplanted` names the pairs that are found among the originals: look at them
before you call them right. What is found only because of such a pair, or is a copy of one of its
two pictures, counts neither for nor against; `doubtful` is their number, and `precision_strict`
counts all of them as wrong. `wrong_pairs` and `missed_pairs` name the others.

Beside it stands what a perceptual hash of 64 bits finds (DCT, as in imagehash and imagededup;
distance of at most 10 of 64, the latter's default), and with its best distance.

Then the seconds for so many pictures of noise. Prints one JSON object.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from scipy.fft import dctn

from benchmarks import planting
from benchmarks.processes import SHARED
from transfer.dataset import candidates, duplicates, library, looks, verification
from transfer.dataset.index import ImageIndex

SETS = ("ants-bees", "clothing", "eurosat", "steel-defects")
HARD = ("mirrored", "turned")  # counted apart: nobody promised these
_DISTANCE = 10

Pair = tuple[int, int]


@dataclass
class Counts:
    """Right, missed and wrong pairs, over all seeds; `right` and `missed` by kind as well."""

    right: int = 0
    missed: int = 0
    wrong: int = 0
    doubtful: int = 0
    kinds: dict[str, list[bool]] = field(default_factory=lambda: defaultdict(list))

    def add(self, found: set[Pair], truth: dict[Pair, str], doubtful: set[Pair]) -> None:
        """Count what was found in one planted set."""
        for pair, kind in truth.items():
            self.kinds[kind].append(pair in found)
            self.right += pair in found
            self.missed += pair not in found
        others = found - truth.keys()
        self.doubtful += len(others & doubtful)
        self.wrong += len(others - doubtful)

    def to_json(self) -> dict[str, Any]:
        """Return the shares of what was found and of what is there."""
        every = self.right + self.wrong
        kinds = {kind: float(np.mean(hits)) for kind, hits in self.kinds.items()}
        usual = [hit for kind, hits in self.kinds.items() if kind not in HARD for hit in hits]
        return {
            "precision": self.right / every if every else None,
            "precision_strict": self.right / max(1, every + self.doubtful),
            "recall": float(np.mean(usual)),
            "recall_with_mirrored_and_turned": self.right / (self.right + self.missed),
            "pairs": self.right + self.missed,
            "wrong": self.wrong,
            "doubtful": self.doubtful,
            "kinds": {kind: round(value, 4) for kind, value in kinds.items()},
        }


def main() -> None:
    """Plant, search, count and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sets", nargs="*", default=SETS, metavar="SET")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--pictures", type=int, default=500, help="originals of a set")
    parser.add_argument("--each", type=int, default=20, help="copies of each kind")
    parser.add_argument("--timed", type=int, default=10_000, help="pictures of noise; 0: none")
    options = parser.parse_args()
    answer: dict[str, Any] = {"cores": os.cpu_count(), "sets": {}}
    with tempfile.TemporaryDirectory() as folder:
        os.environ["TRANSFER_HOME"] = str(Path(folder) / "home")
        for name in options.sets:
            answer["sets"][name] = _measured(name, options, Path(folder))
            sys.stderr.write(f"{name}: {json.dumps(answer['sets'][name])}\n")
    if options.timed:
        answer["timed"] = timed(options.timed)
    print(json.dumps(answer))


def _measured(name: str, options: argparse.Namespace, work: Path) -> dict[str, Any]:
    ours, hashed, best = Counts(), Counts(), [Counts() for _ in range(_DISTANCE + 11)]
    own: set[tuple[str, ...]] = set()
    wrong: set[tuple[str, ...]] = set()
    missed: set[tuple[str, str]] = set()
    seconds = 0.0
    for seed in options.seeds:
        folder = work / f"{name}-{seed}"
        planted, sources = write(folder, SHARED / "datasets" / name, seed, options)
        index = library.import_dataset(folder)
        seen = looks.compute(index)
        start = time.perf_counter()
        found = duplicates.find(index, seen)
        seconds += time.perf_counter() - start
        truth, origin = _truth(index, planted)
        direct = {(pair.first, pair.second) for pair in found.pairs}
        natural = {(origin[i], origin[j]) for i, j in direct if origin[i] != origin[j]}
        pairs = {pair for part in found.clusters() for pair in combinations(part, 2)}
        originals = {(i, j) for i, j in direct if _untouched(index, i) and _untouched(index, j)}
        for i, j in originals:
            own.add(tuple(sorted((sources[origin[i]], sources[origin[j]]))))
        known = {tuple(sorted((origin[i], origin[j]))) for i, j in originals} & {
            tuple(sorted(pair)) for pair in natural
        }
        doubtful = _beside(pairs, origin, known)
        ours.add(pairs, truth, doubtful)
        for i, j in pairs - truth.keys() - doubtful:
            wrong.add(tuple(sorted((sources[origin[i]], sources[origin[j]]))))
        missed |= {
            (kind, sources[origin[pair[0]]]) for pair, kind in truth.items() if pair not in pairs
        }
        codes = hashes(index)
        for distance, counts in enumerate(best):
            near = hashed_pairs(codes, distance)
            counts.add(near, truth, _beside(near, origin, known))
            if distance == _DISTANCE:
                hashed.add(near, truth, _beside(near, origin, known))
    top = max(range(len(best)), key=lambda d: _f1(best[d]))
    return {
        **ours.to_json(),
        "seconds": round(seconds, 1),
        "unplanted": sorted(own),
        "wrong_pairs": sorted(wrong),
        "missed_pairs": sorted(missed),
        "phash": hashed.to_json(),
        "phash_best": {"distance": top, **best[top].to_json()},
    }


def write(
    folder: Path, source: Path, seed: int, options: argparse.Namespace
) -> tuple[dict[str, str], list[str]]:
    """Write a planted set of one class per class of the source.

    Returns:
        By the number in a file's name the kind of its copy, and the sources by that number.
    """
    random = np.random.default_rng([seed, 5])
    files = sorted(source.glob("t*/*/*.jpg"))
    chosen = [files[i] for i in random.permutation(len(files))[: options.pictures]]
    kinds = [kind for kind in planting.KINDS for _ in range(options.each)]
    # Sets that are too small for all get fewer of each kind.
    kinds = [kinds[i] for i in random.permutation(len(kinds))]
    planted: dict[str, str] = {}
    for number, file in enumerate(chosen):
        place = folder / file.parent.name
        place.mkdir(parents=True, exist_ok=True)
        with Image.open(file) as opened:
            picture = opened.convert("RGB")
        if number < len(kinds):
            made = planting.plant(kinds[number], picture, random)
            made.first.save(place / f"{number}-first.png", compress_level=1)
            made.second.save(place / f"{number}-second.png", compress_level=1)
            planted[str(number)] = kinds[number]
        else:
            picture.save(place / f"{number}-only.png", compress_level=1)
    return planted, ["/".join(file.parts[-3:]) for file in chosen]


def hashes(index: ImageIndex) -> np.ndarray:
    """Return the perceptual hash of each picture, bool [n, 64]: DCT of 32 x 32, 8 x 8 of it."""
    rows = []
    for picture in index.pictures:
        with Image.open(index.path(picture)) as opened:
            small = opened.convert("L").resize((32, 32), Image.Resampling.LANCZOS)
        waves = np.asarray(dctn(np.asarray(small, np.float64), norm="ortho"))[:8, :8]
        rows.append((waves > np.median(waves)).ravel())
    return np.array(rows)


def hashed_pairs(codes: np.ndarray, distance: int) -> set[Pair]:
    """Return the pairs of hashes that differ in at most so many bits."""
    signs = codes.astype(np.float32) * 2 - 1
    differ = (codes.shape[1] - signs @ signs.T) / 2
    first, second = np.nonzero(np.triu(differ <= distance, 1))
    return set(zip(first.tolist(), second.tolist(), strict=True))


def timed(number: int) -> dict[str, Any]:
    """Return the seconds for so many pictures, a tenth of them copies of others, by step."""
    random = np.random.default_rng(0)
    smooth = np.zeros((number, looks.SIDE, looks.SIDE, 3), np.float32)
    for side in (2, 4, 8, 16):  # as much detail of every size, as in photographs
        rough = random.normal(size=(number, side, side, 3)).astype(np.float32)
        smooth += rough.repeat(looks.SIDE // side, 1).repeat(looks.SIDE // side, 2)
    thumbs = np.clip(128 + 25 * smooth, 0, 255).astype(np.uint8)
    copies = number // 10
    noise = random.normal(0, 2, thumbs[:copies].shape)
    thumbs[copies : 2 * copies] = np.clip(thumbs[:copies] + noise, 0, 255)
    large = [Image.fromarray(thumb).resize((200, 150)) for thumb in thumbs]
    steps = [time.perf_counter()]
    found = candidates.search(thumbs)
    steps.append(time.perf_counter())
    found, fit = verification.glance(thumbs, found)
    steps.append(time.perf_counter())
    verdict = verification.verify(large.__getitem__, thumbs, found, fit)
    steps.append(time.perf_counter())
    spent = np.diff(steps).round(1).tolist()
    return {
        "pictures": number,
        "candidates": spent[0],
        "glance": spent[1],
        "verify": spent[2],
        "seconds": round(steps[-1] - steps[0], 1),
        "copies": int(verdict.copies.sum()),
    }


def _truth(index: ImageIndex, planted: dict[str, str]) -> tuple[dict[Pair, str], list[int]]:
    """Return the planted pairs with their kinds, and of each picture the number of its source."""
    origin = [int(Path(picture.name).stem.split("-")[0]) for picture in index.pictures]
    places: dict[int, list[int]] = defaultdict(list)
    for position, number in enumerate(origin):
        places[number].append(position)
    two = {number: tuple(sorted(part)) for number, part in places.items() if len(part) == 2}
    return {(pair[0], pair[1]): planted[str(number)] for number, pair in two.items()}, origin


def _untouched(index: ImageIndex, position: int) -> bool:
    return not index.pictures[position].name.endswith("-second.png")


def _beside(found: set[Pair], origin: Sequence[int], known: set[Any]) -> set[Pair]:
    """Return the pairs of which the sources are a pair of the set's own, or reached through one."""
    links = duplicates.joined(max(origin) + 1, known)
    return {
        (i, j) for i, j in found if origin[i] != origin[j] and links[origin[i]] == links[origin[j]]
    }


def _f1(counts: Counts) -> float:
    return 2 * counts.right / max(1, 2 * counts.right + counts.missed + counts.wrong)


if __name__ == "__main__":
    main()
