"""A data set with one fault of each kind, checked as a whole by the built-in backbone."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from transfer import checkup, sample
from transfer.config import RunConfig
from transfer.dataset import library
from transfer.runs import Run


@pytest.fixture(scope="module")
def faulty(tmp_path_factory) -> Path:
    """Drawn fruit below train and test: a conflict, a leak, a copy, a wrong label, a dark one."""
    folder = tmp_path_factory.mktemp("faulty")
    drawn = sample.write_sample(folder / "drawn", per_class=24, seed=5)
    classes = sorted(path for path in drawn.iterdir() if path.is_dir())[:3]
    for made in classes:
        for number, picture in enumerate(sorted(made.glob("*.jpg"))):
            part = folder / "set" / ("test" if number >= 18 else "train") / made.name
            part.mkdir(parents=True, exist_ok=True)
            shutil.copy(picture, part / f"{made.name[:2]}{37 * number % 101:03d}.jpg")
    one, two, three = (made.name for made in classes)
    train, test = folder / "set" / "train", folder / "set" / "test"
    first = {name: sorted((train / name).iterdir()) for name in (one, two, three)}
    shutil.copy(first[one][0], train / two / "conflict.jpg")
    with Image.open(first[two][1]) as picture:  # the same, saved again and smaller
        smaller = picture.resize((picture.width * 3 // 4, picture.height * 3 // 4))
        smaller.save(test / two / "leak.jpg", quality=70)
    shutil.copy(first[three][2], train / three / "copy.jpg")
    first[one][3].rename(train / three / "wrong.jpg")
    with Image.open(first[two][4]) as picture:
        Image.fromarray((np.asarray(picture) // 14).astype(np.uint8)).save(train / two / "dark.png")
    first[two][4].unlink()
    return folder / "set"


@pytest.fixture(scope="module")
def health(faulty, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        home = tmp_path_factory.mktemp("home")
        patch.setenv("TRANSFER_HOME", str(home))
        index = library.import_dataset(faulty)
        run = Run(home / "health" / "one")
        run.start(RunConfig(index.digest, "builtin", 96))
        steps: list[tuple[str, float, float]] = []
        found = checkup.run(run, lambda phase, done, total, _: steps.append((phase, done, total)))
        assert run.read("health") == found
        assert {"features", "check", "finished"} <= {phase for phase, _, _ in steps}
        assert checkup.run(run) == found  # the second time it is read
        return found


def _files(clusters):
    return [{Path(name).name for name in one["files"]} for one in clusters]


def test_the_conflict_is_found(health):
    assert any("conflict.jpg" in files for files in _files(health["conflicts"]))
    assert len(health["conflicts"]) == 1


def test_the_leak_is_found_although_it_was_saved_again_smaller(health):
    assert any("leak.jpg" in files for files in _files(health["leaks"]))
    (leak,) = health["leaks"]
    assert set(leak["splits"]) == {"train", "test"}
    assert leak["kind"] == "near"


def test_the_copy_is_found(health):
    (copy,) = [one for one in health["duplicates"] if "copy.jpg" in "".join(one["files"])]
    assert copy["kind"] == "exact"
    assert len(copy["files"]) == 2


def test_the_wrong_label_is_among_the_first_tenth(health):
    suspects = [Path(one["file"]).name for one in health["suspect_labels"]]
    assert "wrong.jpg" in suspects
    assert len(suspects) <= 0.2 * 76
    assert [one["score"] for one in health["suspect_labels"]] == sorted(
        (one["score"] for one in health["suspect_labels"]), reverse=True
    )


def test_the_dark_picture_is_found(health):
    dark = [one for one in health["flaws"] if one["kind"] == "dark"]
    assert dark
    assert "dark.png" in {Path(name).name for name in dark[0]["files"]}


def test_the_number_is_given_both_ways(health):
    number = health["number"]
    assert 0 <= number["grouped"]["accuracy"] <= number["ungrouped"]["accuracy"] + 0.05 <= 1.05
    assert number["repeated"]["n"] == number["grouped"]["n"]


def test_inspect_tells_all_of_it(command, faulty):
    status, answer, words = command("inspect", faulty, "--backbone", "builtin")
    assert status == 0
    wanted = {"duplicates", "conflicts", "leaks", "shortcuts", "suspect_labels", "warnings"}
    assert wanted <= set(answer)
    assert answer["accepted"] == sum(answer["classes"].values())
    assert answer["leaks"]
    assert any("several of your train, val and test folders" in one for one in answer["warnings"])
    assert any("in several classes" in one for one in answer["warnings"])
    assert "Look at this" in words


def test_a_set_of_one_class_is_checked_without_a_number(tmp_path, sample_folder):
    only = tmp_path / "set" / "apple"
    shutil.copytree(next(path for path in sample_folder.iterdir() if path.is_dir()), only)
    shutil.copy(next(only.iterdir()), only / "copy.jpg")
    index = library.import_dataset(only.parent, minimum_classes=1)
    run = Run(tmp_path / "run")
    run.start(RunConfig(index.digest, "builtin", 96))
    found = checkup.run(run)
    assert found["number"] is None
    assert found["suspect_labels"] == []
    assert any("copy.jpg" in files for files in _files(found["duplicates"]))
