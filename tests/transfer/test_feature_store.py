"""Kept features: found by content, by whoever looks, and never wrong, whatever was broken off."""

import hashlib
import pickle
import signal
import subprocess
import sys
import threading
import tracemalloc
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import ROOT
from transfer import feature_segments
from transfer.errors import BackboneError, RunError
from transfer.feature_store import FeatureStore

WIDTH = 40


def shas(count: int, start: int = 0) -> list[str]:
    """As many different contents, always the same ones."""
    return [hashlib.sha256(str(i).encode()).hexdigest() for i in range(start, start + count)]


def rows_of(contents: Sequence[str], width: int = WIDTH) -> np.ndarray:
    """The features of a picture in these tests follow from its content: a wrong row is seen."""
    digits = np.frombuffer(bytes.fromhex("".join(contents)), np.uint8).reshape(-1, 32)
    return np.tile(digits, (1, -(-width // 32)))[:, :width].astype(np.float32)


def add(store: FeatureStore, contents: Sequence[str]) -> None:
    store.append(contents, rows_of(contents, store.width))


def right(store: FeatureStore, contents: Sequence[str]) -> int:
    """How many of these are here; that their rows are the right ones is checked."""
    absent = set(store.missing(contents))
    here = [content for i, content in enumerate(contents) if i not in absent]
    np.testing.assert_array_equal(store.read(here), rows_of(here, store.width))
    return len(here)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "features" / "net"


@pytest.fixture
def store(folder: Path) -> FeatureStore:
    return FeatureStore(folder, WIDTH)


class TestMissing:
    def test_nothing_is_there_at_first_and_looking_makes_nothing(self, store, folder):
        contents = shas(3)
        assert store.missing(contents) == [0, 1, 2]
        assert store.missing([]) == []
        assert store.read([]).shape == (0, WIDTH)
        assert list(store.chunks([])) == []
        store.append([], np.zeros((0, WIDTH), np.float32))
        assert not folder.exists()

    def test_each_content_once_where_it_comes_first(self, store):
        a, b, c, d = shas(4)
        add(store, [b])
        assert store.missing([c, b, a, c, b, d, a]) == [0, 2, 5]
        assert store.missing([b, b]) == []

    def test_what_another_process_added_is_seen(self, store, folder):
        a, b, c = shas(3)
        other = FeatureStore(folder, WIDTH)
        assert store.missing([a, b]) == other.missing([a, b]) == [0, 1]
        add(other, [a])
        assert store.missing([a, b]) == [1]
        add(other, [b])  # to the same files
        assert store.missing([a, b]) == []
        add(store, [c])
        assert right(other, [a, b, c]) == right(store, [a, b, c]) == 3
        assert right(FeatureStore(folder, WIDTH), [a, b, c]) == 3

    def test_rows_of_another_width_are_not_seen(self, store, folder):
        contents = shas(6)
        for width in (WIDTH // 2, 4, 140):
            add(FeatureStore(folder, width), contents)
        assert store.missing(contents) == list(range(6))
        add(store, contents[:2])
        assert right(store, contents) == 2
        assert right(FeatureStore(folder, 4), contents) == 6

    @pytest.mark.parametrize("bad", ["", "ab", "z" * 64, "a" * 66])
    def test_what_is_no_sha_256(self, store, bad):
        with pytest.raises(ValueError, match="hexadecimal"):
            store.missing([bad])


class TestRead:
    @pytest.fixture
    def contents(self, folder) -> list[str]:
        """57 pictures in 4 segments, one of which was written to twice."""
        contents = shas(57)
        stores = [FeatureStore(folder, WIDTH) for _ in range(4)]
        for i, (start, end) in enumerate([(0, 1), (1, 20), (20, 30), (30, 50), (50, 57)]):
            add(stores[i % 4], contents[start:end])
        assert len(feature_segments.below(folder)) == 4
        return contents

    @pytest.mark.parametrize("chunk", [1, 3, 19, 57, 4096])
    @pytest.mark.parametrize("columns", [None, slice(7), slice(5, 21), slice(-3, None), slice(0)])
    def test_in_any_order_with_repeats(self, store, contents, columns, chunk):
        chosen = np.random.default_rng(chunk).choice(contents, 100).tolist()
        wanted = rows_of(chosen)[:, columns or slice(None)]
        whole = store.read(chosen, columns, chunk)
        assert whole.dtype == np.float16
        np.testing.assert_array_equal(whole, wanted)
        pieces = list(store.chunks(chosen, columns, chunk))
        assert [len(piece) for piece in pieces[:-1]] == [chunk] * ((100 - 1) // chunk)
        np.testing.assert_array_equal(np.concatenate(pieces), wanted)

    def test_pieces_of_a_chunk_that_is_larger_than_what_is_read_at_once(self, folder):
        wide = FeatureStore(folder, 60_000)  # 120,000 bytes a row: 69 rows at once
        contents = shas(200)
        add(wide, contents)
        assert right(wide, contents[::-1] + contents[::3]) == 267

    @pytest.mark.parametrize("columns", [slice(None, None, 2), slice(None, None, -1)])
    def test_columns_with_gaps(self, store, contents, columns):
        with pytest.raises(ValueError, match="without gaps"):
            store.read(contents, columns)

    def test_what_was_never_kept(self, store, contents):
        with pytest.raises(RunError, match=r"of 2 pictures are gone.*Start this work again"):
            store.read([*contents, *shas(2, start=100)])
        with pytest.raises(RunError, match="of 1 picture are gone"):
            next(store.chunks([*contents, *shas(1, start=100)]))

    def test_what_shrinks_or_goes_while_it_is_read(self, store, contents, folder):
        pieces = store.chunks(contents, chunk=10)
        next(pieces)
        for segment in feature_segments.below(folder):
            segment.rows.write_bytes(b"")
        with pytest.raises(RunError, match="are gone"):
            next(pieces)
        assert len(store.missing(contents)) == 57
        add(store, contents)
        pieces = store.chunks(contents, chunk=10)
        for segment in feature_segments.below(folder):
            segment.rows.unlink()
        with pytest.raises(RunError, match="are gone"):
            next(pieces)

    def test_the_memory_is_that_of_the_result(self, folder):
        """100,000 rows of 512 numbers are 102 MB; their ids and places take 20 MB at most."""
        contents = shas(100_000)
        wide = FeatureStore(folder, 512)
        for start in range(0, 100_000, 10_000):
            add(wide, contents[start : start + 10_000])
        fresh = FeatureStore(folder, 512)
        tracemalloc.start()
        try:
            assert sum(len(piece) for piece in fresh.chunks(contents)) == 100_000
            assert tracemalloc.get_traced_memory()[1] < 50e6
            tracemalloc.reset_peak()
            kept = fresh.read(contents, slice(0, 256), chunk=100_000)
            assert tracemalloc.get_traced_memory()[1] < kept.nbytes + 50e6
        finally:
            tracemalloc.stop()
        np.testing.assert_array_equal(kept[::997], rows_of(contents[::997], 256))


class TestAppend:
    @pytest.mark.parametrize("kind", [np.float32, np.float64, np.float16])
    def test_what_is_too_large_becomes_the_largest(self, store, kind):
        row = np.resize(np.array([1e5, -7e4, 65504, 1e-9, np.inf, -np.inf, 0.1]), WIDTH)
        with np.errstate(over="ignore"):
            store.append(shas(1), row[None].astype(kind))
        kept = store.read(shas(1))[0, :7].tolist()
        assert kept == [65504, -65504, 65504, 0, 65504, -65504, np.float16(0.1)]

    def test_not_a_number_is_refused(self, store, folder):
        rows = rows_of(shas(3))
        rows[1, 5] = np.nan
        with pytest.raises(BackboneError, match=r"\(NaN\) for 1 of 3 pictures.*download it again"):
            store.append(shas(3), rows)
        assert not folder.exists()

    @pytest.mark.parametrize("shape", [(2, WIDTH), (3, WIDTH - 1), (3, WIDTH, 1), (3 * WIDTH,)])
    def test_rows_that_do_not_fit(self, store, shape):
        with pytest.raises(ValueError, match=r"expected rows \(3, 40\)"):
            store.append(shas(3), np.zeros(shape, np.float32))

    def test_rows_that_do_not_lie_in_one_piece(self, store):
        contents = shas(9)
        store.append(contents, np.asfortranarray(rows_of(contents)))
        assert right(store, contents) == 9

    def test_one_object_writes_one_segment(self, store, folder):
        for content in shas(20):
            add(store, [content])
        assert len(list(folder.iterdir())) == 2
        assert right(store, shas(20)) == 20

    def test_a_content_that_is_there_already(self, store):
        add(store, shas(3))
        add(store, shas(5))
        assert right(store, shas(5)) == 5


class TestDamage:
    """Rows that are lost are missing; all others stay right."""

    @pytest.mark.parametrize("end", ["ids", "rows"])
    @pytest.mark.parametrize("left", [0, 1, 31, 32, 80, 81, 100, 159, 160, 400])
    def test_a_file_that_lost_its_end(self, store, folder, end, left):
        contents = shas(15)
        for start in (0, 5, 10):
            add(FeatureStore(folder, WIDTH), contents[start : start + 5])
        for path in sorted(folder.glob(f"*.{end}"))[1:]:
            with path.open("r+b") as file:
                size = file.seek(0, 2)
                file.truncate(min(left, size))
        each = min(5, left // (32 if end == "ids" else 2 * WIDTH))
        assert right(store, contents) == 5 + 2 * each
        add(store, [contents[i] for i in store.missing(contents)])
        assert right(store, contents) == 15

    @pytest.mark.parametrize("end", ["ids", "rows"])
    def test_a_file_that_is_gone(self, store, folder, end):
        for start in (0, 5, 10):
            add(FeatureStore(folder, WIDTH), shas(5, start))
        assert right(store, shas(15)) == 15
        min(folder.glob(f"*.{end}")).unlink()
        assert right(store, shas(15)) == 10
        assert right(FeatureStore(folder, WIDTH), shas(15)) == 10

    def test_files_of_something_else(self, store, folder):
        folder.mkdir(parents=True)
        for name in (f"x-{WIDTH}.ids", f"x-{WIDTH}.rows", f"y-{WIDTH}.ids", "z.ids", "old.npy"):
            (folder / name).write_bytes(bytes(1000))
        (folder / f"d-{WIDTH}.ids").mkdir()
        assert right(store, shas(3)) == 0
        add(store, shas(3))
        assert right(store, shas(3)) == 3

    @pytest.mark.parametrize("end", ["ids", "rows"])
    @pytest.mark.parametrize("change", [-1, 1, None])
    def test_nobody_writes_behind_a_broken_end(self, store, folder, end, change):
        """As after a full disk: rows and ids would no longer belong together."""
        add(store, shas(4))
        (path,) = folder.glob(f"*.{end}")
        if change is None:
            path.unlink()
        elif change > 0:
            path.write_bytes(path.read_bytes() + b"x")
        else:
            path.write_bytes(path.read_bytes()[:-1])
        add(store, shas(4, start=4))
        fresh = FeatureStore(folder, WIDTH)
        kept = {-1: 3, 1: 4, None: 0}[change]
        assert right(fresh, shas(8)) == right(store, shas(8)) == kept + 4

    def test_files_that_were_freed_do_not_come_back(self, store, folder):
        """Else somebody who read them before would take new rows for the old ones."""
        add(store, shas(4))
        old = set(folder.iterdir())
        for path in old:
            path.unlink()
        add(store, shas(4, start=4))
        assert old.isdisjoint(folder.iterdir())
        assert right(store, shas(8)) == 4


# One of several processes: each adds pictures of its own and one that all add. (Not by
# `multiprocessing`, whose children import what counts as the main module: a page of the app, after
# Streamlit has tested one in this process.)
_ADD_SOME = """
import sys
from pathlib import Path
from tests.transfer.test_feature_store import WIDTH, FeatureStore, add, right, shas
folder, number = Path(sys.argv[1]), int(sys.argv[2])
store = FeatureStore(folder, WIDTH)
for start in range(number * 100, number * 100 + 100, 10):
    add(store, [*shas(10, start), *shas(1, 999)])
    right(store, shas(400))
print(right(store, shas(100, number * 100)))
"""

_WRITE_UNTIL_KILLED = """
import sys
from pathlib import Path
from tests.transfer.test_feature_store import FeatureStore, add, shas
folder, start = Path(sys.argv[1]), int(sys.argv[2])
store = FeatureStore(folder, 3000)
for i in range(start, start + 10**6, 7):
    add(store, shas(7, i))
    print(i + 7, flush=True)
"""


def _process(script: str, folder: Path, number: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", script, str(folder), str(number)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


class TestAtOnce:
    def test_processes(self, folder):
        workers = [_process(_ADD_SOME, folder, number) for number in range(3)]
        assert [worker.communicate()[0] for worker in workers] == ["100\n"] * 3
        assert right(FeatureStore(folder, WIDTH), [*shas(300), *shas(1, 999)]) == 301

    def test_threads_and_copies_of_one_object(self, store, folder):
        add(store, shas(1))
        copy = pickle.loads(pickle.dumps(store))  # goes on with the same files
        barrier = threading.Barrier(4)

        def work(number: int) -> None:
            barrier.wait()
            for i in range(30):
                add((store, copy)[number % 2], shas(3, number * 100 + 3 * i))

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(work, range(4)))
        added = [content for number in range(4) for content in shas(90, number * 100)]
        assert right(FeatureStore(folder, WIDTH), added) == 360
        assert len(list(folder.iterdir())) == 2

    def test_a_killed_process_loses_at_most_its_last_rows(self, folder):
        told = []
        for round_number in range(4):
            start = round_number * 10_000
            with _process(_WRITE_UNTIL_KILLED, folder, start) as process:
                assert process.stdout
                said = [int(process.stdout.readline()) for _ in range(15 + round_number)]
                process.send_signal(signal.SIGKILL)
                done = [*said, *map(int, process.stdout.read().split())][-1]
            told += shas(done - start, start)
            store = FeatureStore(folder, 3000)
            assert right(store, told) == len(told)
            assert right(store, shas(14, done)) in (0, 7)
