import json

import pytest

from transfer.config import RunConfig
from transfer.errors import BackboneError, RunError, SettingsError
from transfer.runs import Run

CONFIG = RunConfig(dataset="d", backbone="builtin", image_size=96)


def test_settings_both_ways_through_json():
    assert RunConfig.from_json(json.loads(json.dumps(CONFIG.to_json()))) == CONFIG


def test_settings_of_another_version_are_named():
    with pytest.raises(SettingsError, match="'colour_of_the_sky'"):
        RunConfig.from_json({**CONFIG.to_json(), "colour_of_the_sky": "blue"})


@pytest.mark.parametrize(
    ("setting", "value", "error"),
    [
        ("image_size", 8, SettingsError),
        ("epochs", 0, SettingsError),
        ("seed", -1, SettingsError),
        ("budget", 0.0, SettingsError),
        ("backbone", "ResNet51", BackboneError),
        ("strategy", "linear_bottom", SettingsError),
    ],
)
def test_settings_out_of_range_are_refused_with_the_remedy(setting, value, error):
    with pytest.raises(error, match=r"between|Did you mean"):
        RunConfig.from_json({**CONFIG.to_json(), setting: value})


def test_a_run_starts_once_and_goes_on_with_the_same_settings(tmp_path):
    run = Run(tmp_path / "run")
    assert not run.exists
    run.start(CONFIG)
    run.start(CONFIG)
    assert run.config() == CONFIG
    assert not run.finished
    other = RunConfig.from_json({**CONFIG.to_json(), "epochs": 3})
    with pytest.raises(SettingsError, match="epochs was left open and is 3"):
        run.start(other)


def test_a_folder_with_other_files_is_not_taken(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(RunError, match="other files"):
        Run(tmp_path).start(CONFIG)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_no_run_and_an_unfinished_run_say_what_to_do(tmp_path):
    with pytest.raises(RunError, match="Train one there first"):
        Run(tmp_path).result()
    run = Run(tmp_path / "run")
    run.start(CONFIG)
    with pytest.raises(RunError, match="goes on where it was"):
        run.result()


def test_a_damaged_file_is_named(tmp_path):
    run = Run(tmp_path)
    run.start(CONFIG)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(RunError, match=r"config\.json"):
        run.config()


def test_the_lock_is_held_and_let_go(tmp_path):
    run = Run(tmp_path)
    with run.locked(), pytest.raises(RunError, match="Another process"), run.locked():
        pass
    with run.locked():
        pass


def test_events_are_appended_and_the_status_is_replaced(tmp_path):
    run = Run(tmp_path)
    for number in range(3):
        run.event("epoch", epoch=number)
        run.status("training", done=number)
    lines = (tmp_path / "events.jsonl").read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in lines] == [0, 1, 2]
    assert json.loads((tmp_path / "status.json").read_text())["done"] == 2
    assert run.read("nothing") is None


def test_damaged_answers_are_told_from_answers_that_were_not_kept(tmp_path):
    run = Run(tmp_path)
    assert run.answers("test") is None
    (tmp_path / "answers.npz").write_bytes(b"PK\x03\x04 and then nothing")
    with pytest.raises(RunError, match="cannot be read"):
        run.answers("test")
