import hashlib

import numpy as np
import pytest
from PIL import Image

from transfer import sample


def test_the_sample_is_six_classes_of_different_pictures(tmp_path):
    folder = sample.write_sample(tmp_path / "fruit", per_class=3, size=96)
    pictures = sorted(folder.rglob("*.jpg"))
    assert sorted(path.name for path in folder.iterdir()) == sorted(sample.CLASSES)
    assert len(sample.CLASSES) == 6
    assert len(pictures) == 18
    assert len({hashlib.sha256(path.read_bytes()).digest() for path in pictures}) == 18
    for path in pictures:
        with Image.open(path) as picture:
            assert picture.size == (96, 96)
            assert np.asarray(picture).std() > 10  # there is something to see


def test_the_seed_decides_every_picture(tmp_path):
    one = sample.write_sample(tmp_path / "one", per_class=1, seed=5, size=64)
    same = sample.write_sample(tmp_path / "same", per_class=1, seed=5, size=64)
    other = sample.write_sample(tmp_path / "other", per_class=1, seed=6, size=64)
    for name in sample.CLASSES:
        first = (one / name / "000.jpg").read_bytes()
        assert first == (same / name / "000.jpg").read_bytes()
        assert first != (other / name / "000.jpg").read_bytes()


@pytest.mark.slow
def test_the_folder_is_drawn_once():
    folder = sample.sample_dataset()
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*.jpg")}
    assert len(before) == 240
    assert sample.sample_dataset() == folder
    assert before == {path: path.stat().st_mtime_ns for path in folder.rglob("*.jpg")}
    assert [path.name for path in folder.parent.iterdir()] == ["fruit"]
