"""A finished run keeps how far it can be believed, and says the same wherever it is asked."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conftest import Command
from transfer import prediction, silence, store, viewing
from transfer.config import RunConfig
from transfer.dataset import library
from transfer.dataset.split import Split
from transfer.errors import SettingsError
from transfer.runs import Run


@pytest.fixture
def run(trained: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A copy of the finished run, in the store in which it was made."""
    folder, home = trained
    monkeypatch.setattr(store, "home", lambda: home)
    shutil.copytree(folder, tmp_path / "run")
    return Run(tmp_path / "run")


def _kept(run: Run, name: str) -> Any:
    found = run.read(name)
    assert found is not None, name
    return found


def test_likelihood_never_gets_worse_by_the_temperature(run):
    told = _kept(run, "calibration")
    assert told["fitted_on"] in ("held_out", "validation")
    fitted = told["parts"][told["fitted_on"]]
    assert fitted["after"]["nll"] <= fitted["before"]["nll"] + 1e-6
    assert set(told["parts"]) >= {"validation", "test"}
    assert told["indicative"]  # so few pictures


def test_the_kept_answers_are_those_of_the_shipped_model(run):
    """Calibrated probabilities begin in the model itself: nobody else has to know of them."""
    answers = run.answers("test")
    assert answers is not None
    positions, kept = answers
    index = library.open_dataset(run.config().dataset)
    files = [index.path(index.pictures[i]) for i in positions[:8]]
    classifier = prediction.load(run)
    said = prediction.answer_files(classifier, files)
    np.testing.assert_allclose(said["probabilities"], kept[:8], atol=1e-4)
    limit = silence.limit(run)
    assert classifier.limit == limit
    np.testing.assert_array_equal(said["answers"], said["confidence"] >= np.float32(limit))
    assert said["known"].mean() > 0.5
    assert _kept(run, "refusal")["validation"]["refused"] == 0  # of so few, all are kept


def test_predict_says_where_it_knows_nothing(run, tmp_path, command: Command):
    from PIL import Image

    noise = np.random.default_rng(0).integers(0, 256, (96, 96, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "noise.png")
    status, answer, words = command("predict", run.folder, tmp_path / "noise.png")
    assert status == 0
    (row,) = answer["predictions"]
    assert row["known"] is False
    assert row["strangeness"] > 1
    assert row["confidence"] == max(row["probabilities"].values())
    assert "none of these" in words


def test_a_chosen_target_is_kept_and_asks_for_a_new_export(run):
    run.write("export", {"checked": 1, "max_difference": 0.0})
    rows = _kept(run, "calibration")["answering"]
    now = silence.limit(run)
    same = next(row for row in rows if row["threshold"] == now)
    silence.choose(run, same["target"])
    assert run.read("export") is not None  # the model says what it said
    other = next(row for row in rows if row["threshold"] != now)
    assert silence.choose(run, other["target"]) == other["threshold"]
    assert silence.limit(run) == other["threshold"]
    assert run.read("export") is None
    with pytest.raises(SettingsError, match="80, 85"):
        silence.choose(run, 0.42)


def test_several_views_are_measured_and_a_run_can_have_them(run, command: Command):
    status, answer, _ = command("views", run.folder)
    assert status == 0
    assert answer["part"] == "test"
    kinds = {row["kind"]: row for row in answer["kinds"]}
    assert kinds["none"]["gain"] == 0
    assert kinds["ten-crops"]["milliseconds"] > kinds["none"]["milliseconds"]
    for row in kinds.values():
        assert row["low"] <= row["gain"] <= row["high"]
    assert _kept(run, "test_time")["kinds"] == answer["kinds"]
    config = run.config().to_json() | {"test_time": "ten-crops"}
    assert RunConfig.from_json(config).measures  # whether a mirror image keeps the class
    run.write("config", config)
    assert command("views", run.folder)[0] == 2
    with pytest.raises(SettingsError, match="--test-time should be one of"):
        RunConfig.from_json(config | {"test_time": "twice"})


def test_mirror_images_are_measured_where_the_strategy_was_named(run):
    told = _kept(run, "advice")["augmentation"]["mirror"]
    run.write("config", run.config().to_json() | {"strategy": "linear_top"})
    run.forget("advice")
    assert viewing.known_mirror(run) is None
    index = library.open_dataset(run.config().dataset)
    parts = Split.from_json(_kept(run, "split"))
    assert viewing.may_mirror(run, index, parts, lambda *_: None) == told["safe"]
