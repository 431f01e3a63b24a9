"""From pictures to a forecast: which are looked at, and what the command answers."""

from dataclasses import replace

import numpy as np

from tests.transfer import problems
from transfer import prospects


def test_the_users_own_test_pictures_are_not_looked_at(tmp_path, monkeypatch):
    problems.compute_with_keras(monkeypatch)
    index = problems.dataset(tmp_path, per_class=48)
    pictures = tuple(
        replace(one, split="test" if place % 3 == 0 else "train")
        for place, one in enumerate(index.pictures)
    )
    steps = []
    found, answer = prospects.measure(
        problems.builtin(), replace(index, pictures=pictures), 0, lambda *step: steps.append(step)
    )
    assert found.curve[-1].images == 64
    assert answer["forecast"][-1]["images"] == 128
    assert answer["backbone"] == "builtin"
    assert answer["image_size"] == problems.SIZE
    assert [steps[0][0], steps[-1][0]] == ["features", "forecast"]


def test_the_command_answers_with_the_curve_and_the_forecast(command, sample_zip):
    status, answer, words = command(
        "forecast", sample_zip, "--backbone", "builtin", "--image-size", "96"
    )
    assert status == 0
    assert [point["images"] for point in answer["curve"]][-1] == 72
    assert answer["forecast"][-1]["images"] == 144
    assert set(answer["gain"]) == {"accuracy", "low", "high"}
    assert answer["verdict"] in ("helps", "may_help", "enough")
    assert answer["sentence"] in words
    assert len(answer["per_class"]) == 3
    assert sum(one["images"] for one in answer["per_class"]) == 72
    assert np.isfinite([point["low"] for point in answer["curve"]]).all()


def test_the_command_says_what_is_missing(command, tmp_path):
    data = problems.folders(tmp_path / "few", per_class=8, classes=(0, 1))
    for kind, numbers in {"train": range(3), "test": range(3, 8)}.items():
        for label in ("class-0", "class-1"):
            (data / kind / label).mkdir(parents=True)
            for number in numbers:
                name = f"{number:03d}.png"
                (data / label / name).rename(data / kind / label / name)
    for label in ("class-0", "class-1"):
        (data / label).rmdir()
    status, answer, _ = command("forecast", data, "--backbone", "builtin", "--image-size", "64")
    assert status == 2
    assert "3 pictures to learn from" in answer["error"]
