"""How long a network takes to answer is measured by the way in which it will answer."""

import time
from collections.abc import Iterator

import pytest

from tests.transfer import problems
from transfer import answering, runtimes


@pytest.fixture(autouse=True)
def _one_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with problems.one_store(tmp_path_factory):
        yield


def test_what_is_measured_took_that_long(tmp_path, monkeypatch):
    index, backbone = problems.dataset(tmp_path, per_class=4, classes=2), problems.builtin(32)
    paths = [index.path(picture) for picture in index.pictures]
    began = time.monotonic()
    found = answering.measure(backbone, paths)
    took = time.monotonic() - began
    assert 0 < found.picture < found.building
    assert found.building + 8 * found.picture <= took
    small = runtimes.small_batches

    def slower(*given):
        extractor = small(*given)
        compute = extractor._compute
        monkeypatch.setattr(
            extractor, "_compute", lambda batch: (time.sleep(0.1), compute(batch))[1]
        )
        return extractor

    monkeypatch.setattr(runtimes, "small_batches", slower)
    again = answering.measure(backbone, paths)
    # Each thread waits for four pictures at a time; a second of them is enough.
    assert again.picture >= 0.1 / 4 / 2 / 2
    assert again.picture > found.picture
