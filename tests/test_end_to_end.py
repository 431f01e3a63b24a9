"""From a zip to a SavedModel by the command line, with real training."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.conftest import ROOT
from tests.transfer import outcomes


def _transfer(*arguments: object, home: Path) -> subprocess.Popen[str]:
    """Start the command line in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "transfer", *map(str, arguments), "--json"],
        cwd=ROOT,
        env={**os.environ, "TRANSFER_HOME": str(home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def of_trained(trained, monkeypatch) -> Path:
    """The finished run, with its store in place."""
    run, home = trained
    monkeypatch.setenv("TRANSFER_HOME", str(home))
    return run


def test_inspect_counts_what_is_there(command, sample_zip):
    status, answer, _ = command("inspect", sample_zip)
    assert status == 0
    assert answer["accepted"] == 72
    assert list(answer["classes"].values()) == [24, 24, 24]
    assert answer["rejected"] == []
    assert answer["splits"] == {"train": 48, "val": 12, "test": 12}


def test_the_result_is_measured_with_intervals(of_trained, command, sample_zip):
    status, answer, words = command(
        "train", sample_zip, "--run", of_trained, "--backbone", "builtin"
    )
    assert status == 0
    assert "finished already" in words
    assert answer["requested"] == "auto"
    assert answer["shipped"] == answer["advised"]  # so few pictures: one of the linear two
    assert answer["advised"] in ("linear_top", "linear_stages")
    for part in ("validation", "test"):
        value = answer[part]
        assert value["n"] == 12
        assert value["low"] < value["accuracy"] <= value["high"]
    assert answer["test"]["accuracy"] > 0.5  # three classes: chance is a third


@pytest.mark.parametrize("kind", ["zip", "folder"])
def test_advise_measures_both_axes_and_says_why(command, sample_zip, sample_folder, kind):
    data = sample_zip if kind == "zip" else sample_folder
    status, answer, words = command("advise", data, "--backbone", "builtin", "--image-size", "96")
    assert status == 0
    size, similarity = answer["size"], answer["similarity"]
    assert size["images"] == 60  # of 72: the twelve test pictures are not looked at
    assert size["per_class"] == 20
    assert size["verdict"] == "little"
    assert similarity["verdict"] in ("similar", "different")
    assert 0.5 <= similarity["confidence"] <= 1
    assert similarity["bn_shift"] > 0
    assert len(similarity["stage_profile"]) == 4
    for number, row in enumerate(similarity["stage_profile"], start=1):
        assert set(row) == {"stage", "layer", "accuracy", "standard_error"}
        assert row["stage"] == number
        assert 0 <= row["accuracy"] <= 1
        assert 0 <= row["standard_error"] <= 0.5
    cells = {"similar": "linear_top", "different": "linear_stages"}
    assert answer["strategy"] == cells[similarity["verdict"]]
    assert len(answer["reasons"]) == 3
    assert "60 pictures" in answer["reasons"][0]
    assert answer["seconds"] > 0
    for reason in answer["reasons"]:
        assert reason in words
    assert f"Advice: {answer['strategy']}" in words


def test_advise_looks_only_at_train_where_there_is_a_test(command, sample_folder, tmp_path):
    def advised(name: str, seed: int) -> dict[str, Any]:
        root = tmp_path / name
        for number, folder in enumerate(sorted(p for p in sample_folder.iterdir() if p.is_dir())):
            pictures = sorted(folder.glob("*.jpg"))
            (root / "train" / folder.name).mkdir(parents=True)
            (root / "test" / folder.name).mkdir(parents=True)
            for picture in pictures[:14]:
                shutil.copy(picture, root / "train" / folder.name)
            for i in range(4 + 2 * seed):
                pixels = np.random.default_rng([seed, number, i]).integers(0, 256, (40, 40, 3))
                picture = Image.fromarray(pixels.astype(np.uint8))
                picture.save(root / "test" / folder.name / f"{i}.png")
        status, answer, _ = command(
            "advise", root, "--backbone", "builtin", "--image-size", "64", "--seed", "5"
        )
        assert status == 0
        return answer

    one, other = advised("one", 0), advised("other", 1)
    assert one["size"]["images"] == 42
    for key in ("size", "similarity", "point", "strategy", "reasons", "augmentation"):
        assert one[key] == other[key], key


def test_measure_keeps_the_advice_in_a_prepared_run(command, sample_zip, tmp_path):
    from transfer.config import RunConfig
    from transfer.dataset import library
    from transfer.runs import Run

    run = Run(tmp_path / "run")
    run.start(RunConfig(library.import_dataset(sample_zip).digest, "builtin", 64))
    status, answer, _ = command("measure", run.folder)
    assert status == 0
    assert run.read("advice") == answer
    assert run.status_now()["phase"] == "finished"
    assert not run.finished
    status, again, _ = command("measure", run.folder)
    assert again == answer
    status, answer, _ = command("measure", tmp_path / "nowhere")
    assert status == 2
    assert "no run" in answer["error"]


def test_what_may_be_done_to_pictures_is_a_setting(command, sample_zip, tmp_path):
    status, answer, _ = command(
        "train", sample_zip, "--run", tmp_path / "run", "--backbone", "builtin",
        "--image-size", "64", "--strategy", "linear_stages", "--mirror", "--no-turn",
    )  # fmt: skip
    assert status == 0
    assert answer["requested"] == answer["shipped"] == "linear_stages"
    assert answer["advised"] is None
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["horizontal_flip"] is True
    assert config["quarter_turns"] is False


def test_other_settings_are_refused(of_trained, command, sample_zip):
    status, answer, _ = command(
        "train", sample_zip, "--run", of_trained, "--backbone", "builtin", "--seed", "1"
    )
    assert status == 2
    assert "seed was 0 and is 1" in answer["error"]


def test_the_settings_split_history_and_versions_are_in_the_run(of_trained):
    for name in ("config", "split", "history", "versions", "result"):
        assert json.loads((of_trained / f"{name}.json").read_text(encoding="utf-8"))
    events = (of_trained / "events.jsonl").read_text(encoding="utf-8").splitlines()
    assert {json.loads(line)["event"] for line in events} >= {"phase"}


def test_predict_and_evaluate_agree(of_trained, command, sample_folder):
    pictures = sorted(sample_folder.rglob("*.jpg"))
    _, predicted, _ = command("predict", of_trained, *pictures)
    status, report, words = command("evaluate", of_trained, sample_folder)
    assert status == 0
    assert "has learned from most of these" in words
    right = [item["label"] == Path(item["file"]).parent.name for item in predicted["predictions"]]
    assert report["accuracy"] == pytest.approx(np.mean(right))
    assert np.array(report["confusion"]).sum() == report["n"] == 72
    assert report["classes"] == sorted(report["classes"])
    for item in predicted["predictions"]:
        assert sum(item["probabilities"].values()) == pytest.approx(1.0, abs=1e-5)


def test_the_saved_model_gives_the_same_answers_elsewhere(
    of_trained, command, sample_folder, tmp_path
):
    target = tmp_path / "out" / "model"
    status, answer, _ = command("export", of_trained, "--to", target)
    assert status == 0
    assert answer["checked"] == 12
    assert answer["max_difference"] <= 1e-4
    classes = json.loads((target / "labels.json").read_text(encoding="utf-8"))
    assert classes == sorted(classes)
    asset = (target / "assets" / "labels.txt").read_text(encoding="utf-8").split()
    assert asset == classes

    pictures = sorted(sample_folder.rglob("*.jpg"))[::6]
    _, predicted, _ = command("predict", of_trained, *pictures)
    snippet = subprocess.run(
        [sys.executable, "-I", str(target / "example.py"), *map(str, pictures)],
        cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    lines = iter(snippet.stdout.splitlines())
    for item in predicted["predictions"]:
        for label in classes:
            assert next(lines) == f"{item['file']}  {label}: {item['probabilities'][label]:.3f}"


def test_a_failed_export_is_a_sentence_and_the_result_stands(
    of_trained, command, monkeypatch, tmp_path
):
    from transfer import export
    from transfer.runs import Run

    run = tmp_path / "copy"
    shutil.copytree(of_trained, run)

    def broken(*_: object) -> None:
        raise KeyError("captures")

    monkeypatch.setattr(export.writing, "write", broken)
    status, answer, _ = command("work", run)
    assert status == 2
    assert "finished and its results stand" in answer["error"]
    assert "KeyError" in answer["error"]
    assert Run(run).finished


def test_an_export_never_overwrites(of_trained, command, tmp_path):
    (tmp_path / "precious.txt").write_text("keep me")
    status, answer, _ = command("export", of_trained, "--to", tmp_path)
    assert status == 2
    assert "not empty" in answer["error"]
    assert (tmp_path / "precious.txt").read_text() == "keep me"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["train", "{data}", "--run", "{run}", "--backbone", "MobilNetV2"], "MobileNetV2"),
        (["train", "{data}", "--run", "{run}", "--epochs", "0"], "between 1 and 1000"),
        (["train", "{data}", "--run", "{run}", "--image-size", "7"], "between 32 and 1024"),
        (["train", "{data}", "--run", "{run}", "--strategy", "linear_bottom"], "linear_stages"),
        (["train", "{data}"], "--run"),
        (["advise", "nowhere.zip"], "nowhere.zip"),
        (["advise", "{data}", "--backbone", "MobilNetV2"], "MobileNetV2"),
        (["train", "nowhere.zip", "--run", "{run}"], "nowhere.zip"),
        (["predict", "{run}", "x.png"], "no run"),
        (["evaluate", "{run}", "{data}"], "no run"),
        (["export", "{run}", "--to", "{run}2"], "no run"),
    ],
)
def test_mistakes_exit_2_with_one_sentence(command, sample_folder, tmp_path, arguments, words):
    filled = [text.format(data=sample_folder, run=tmp_path / "run") for text in arguments]
    if "--epochs" in filled or "--image-size" in filled:
        filled += ["--backbone", "builtin"]
    status, answer, _ = command(*filled)
    assert status == 2
    assert words in answer["error"]
    assert not (tmp_path / "run" / "config.json").exists()


def test_a_file_that_is_no_picture_is_named(of_trained, command, tmp_path):
    wrong = tmp_path / "notes.txt"
    wrong.write_text("not a picture")
    status, answer, _ = command("predict", of_trained, wrong)
    assert status == 2
    assert "notes.txt" in answer["error"]


def test_json_stands_alone_on_standard_output(tmp_path):
    process = _transfer("backbones", home=tmp_path)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    rows = json.loads(output)["backbones"]
    assert {"name", "parameters", "input_size", "top1", "weights"} <= set(rows[0])
    assert {row["name"]: row["weights"] for row in rows}["builtin"] == "present"


@pytest.mark.slow
def test_a_killed_fine_tuning_goes_on_and_ends_as_if_undisturbed(sample_zip, tmp_path):
    arguments = ["train", sample_zip, "--backbone", "builtin", "--strategy", "finetune_few"]
    arguments += ["--epochs", "4", "--image-size", "96"]
    undisturbed, disturbed = tmp_path / "undisturbed", tmp_path / "disturbed"
    output, words = _transfer(*arguments, "--run", undisturbed, home=tmp_path).communicate(
        timeout=300
    )
    whole = json.loads(output)
    earlier = outcomes.contents(undisturbed)

    process = _transfer(*arguments, "--run", disturbed, home=tmp_path)
    events = disturbed / "events.jsonl"
    deadline = time.monotonic() + 120
    while not (events.exists() and '"epoch": 2' in events.read_text()):
        assert time.monotonic() < deadline, words
        assert process.poll() is None, "it finished before it could be killed"
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not (disturbed / "result.json").exists()

    output, _ = _transfer(*arguments, "--run", disturbed, home=tmp_path).communicate(timeout=300)
    resumed = json.loads(output)
    assert resumed["validation"] == whole["validation"]
    assert resumed["test"] == whole["test"]
    assert outcomes.difference(disturbed, undisturbed) <= 1e-6
    assert outcomes.contents(undisturbed) == earlier


def test_two_processes_do_not_work_on_one_run(of_trained, command, sample_zip, tmp_path):
    from transfer.runs import Run

    copy = tmp_path / "copy"
    shutil.copytree(of_trained, copy)
    (copy / "result.json").unlink()
    with Run(copy).locked():
        status, answer, _ = command("train", sample_zip, "--run", copy, "--backbone", "builtin")
    assert status == 2
    assert "Another process" in answer["error"]


@pytest.mark.parametrize("kind", ["grey.png", "alpha.png", "turned.jpg", "cmyk.jpg", "16bit.png"])
def test_unusual_pictures_are_answered(of_trained, command, tmp_path, kind):
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 255, (90, 120, 3), dtype=np.uint8)
    picture = Image.fromarray(pixels)
    path = tmp_path / kind
    if kind == "grey.png":
        picture.convert("L").save(path)
    elif kind == "alpha.png":
        picture.putalpha(100)
        picture.save(path)
    elif kind == "turned.jpg":
        exif = Image.Exif()
        exif[0x0112] = 6
        picture.save(path, exif=exif)
    elif kind == "cmyk.jpg":
        picture.convert("CMYK").save(path)
    else:
        Image.fromarray(pixels[..., 0].astype(np.uint16) << 8).save(path)
    status, answer, _ = command("predict", of_trained, path)
    assert status == 0
    assert len(answer["predictions"]) == 1


def test_ants_and_bees_with_mobilenet(shared, command, monkeypatch, tmp_path):
    if not (shared / "keras" / "models").is_dir():
        pytest.skip("no real weights beside the real data sets")
    monkeypatch.setenv("KERAS_HOME", str(shared / "keras"))
    run = tmp_path / "run"
    data = shared / "datasets" / "ants-bees"
    status, answer, _ = command("train", data, "--run", run, "--backbone", "MobileNetV2")
    assert status == 0
    assert answer["backbone"] == "MobileNetV2"
    assert answer["test"]["n"] == 153
    # Logistic regression on these features is known to give 94.8 %.
    assert answer["test"]["accuracy"] > 0.9
    status, report, _ = command("evaluate", run, data)
    assert report["accuracy"] == pytest.approx(answer["test"]["accuracy"])
    status, exported, _ = command("export", run, "--to", tmp_path / "model")
    assert exported["checked"] == 153
