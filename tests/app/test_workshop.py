"""The runs of the store, with the real queue: how they stand, and what a person does with them."""

import dataclasses
import json
import re

import pytest

from app import comparison, jobs, workshop
from app.workshop import Standing
from tests.app.conftest import running
from tests.transfer import outcomes
from transfer import shortage, store
from transfer.config import RunConfig
from transfer.errors import RunError, SettingsError
from transfer.recipe import Recipe
from transfer.runs import Run

CONFIG = RunConfig(dataset="0" * 32, backbone="builtin", image_size=96)


@pytest.fixture
def run() -> Run:
    """A run in the queue; no dispatcher is there."""
    return workshop.start(CONFIG, "Fruit")


def _job(run: Run) -> jobs.Job:
    job = jobs.latest("train", run.folder.name)
    assert job is not None
    return job


def _finish(run: Run, **export: float) -> None:
    """Leave what a worker leaves when the training has ended."""
    run.model_path.touch()
    run.finish({})
    if export:
        run.write("export", export)


def test_two_runs_are_told_apart_by_their_choices_too(run):
    recipe = Recipe(optimizer="radam", schedule="one_cycle", frozen_level=2, l1=1e-4)
    other = workshop.start(dataclasses.replace(CONFIG, seed=3, recipe=recipe), "Other")
    found = {one.what: (one.one, one.other) for one in comparison.differences(run, other)}
    assert found == {
        "Seed (decides who is in the test)": ("0", "3"),
        "Optimizer": ("AdamW", "RAdam"),
        "Schedule of the rate": ("Cosine", "One cycle"),
        "Frozen levels": ("as usual for the way of learning", "2"),
        "L1": ("0.0", "0.0001"),
    }
    assert comparison.differences(run, run) == []


def test_a_started_run_is_named_and_queued_with_its_settings(run):
    assert run.config() == CONFIG
    assert run.about()["name"] == "Fruit"
    assert [job.target for job in jobs.active()] == [run.folder.name]
    assert run.folder.parent == store.home() / "runs"
    assert workshop.run(run.folder.name) == run
    assert workshop.standing(run) == Standing("waiting", _job(run))


@pytest.mark.parametrize(
    ("typed", "kept"), [("  a \n b ", "a b"), ("猫" * 99, "猫" * 80), ("<b>*x*</b>", "<b>*x*</b>")]
)
def test_names_are_tidied_and_kept_as_they_are(typed, kept):
    assert workshop.start(CONFIG, typed).about()["name"] == kept


def test_a_run_without_a_name_is_called_by_its_id():
    run = workshop.start(CONFIG, "  ")
    assert run.about()["name"] == run.folder.name


def test_an_id_says_when_and_fits_an_address_and_a_file_name():
    assert re.fullmatch(r"\d{8}-\d{6}-[0-9a-f]{4}", workshop.new_id())


def test_the_newest_run_comes_first_and_one_that_cannot_be_read_hides_no_other():
    first, second = workshop.start(CONFIG, "first"), workshop.start(CONFIG, "second")
    broken = workshop.start(CONFIG, "broken")
    (broken.folder / "about.json").write_text("{")
    other_version = workshop.start(CONFIG, "other version")
    value = other_version.config().to_json() | {"unheard_of": 1}
    (other_version.folder / "config.json").write_text(json.dumps(value))
    first.folder.rename(first.folder.with_name(".deleted-first"))
    assert [one.about()["name"] for one in workshop.listed()] == ["other version", "second"]
    assert workshop.readable(second) == CONFIG.to_json()
    assert workshop.readable(other_version) is None
    with pytest.raises(SettingsError, match="another version"):
        other_version.config()


def test_a_run_stands_as_its_job_and_its_folder_say(run):
    job = running(run)
    assert workshop.standing(run).word == "running"
    assert workshop.standing(run).alive
    _finish(run)
    assert workshop.standing(run).word == "exporting"
    assert workshop.standing(run).alive
    run.write("export", {"checked": 3, "max_difference": 0.0})
    assert workshop.standing(run).word == "finished"
    jobs.settle(job, "done")
    assert workshop.standing(run) == Standing("finished", _job(run))
    assert not workshop.standing(run).alive


def test_a_failed_training_says_why(run):
    jobs.settle(running(run), "failed", "The disk is full.")
    assert workshop.standing(run) == Standing("failed", _job(run), "The disk is full.")


def test_a_failed_export_leaves_the_result_and_says_why(run):
    job = running(run)
    _finish(run)
    jobs.settle(job, "failed", "The answers differ.")
    standing = workshop.standing(run)
    assert (standing.word, standing.error) == ("finished", "The answers differ.")


def test_an_old_failure_is_forgotten_once_the_model_is_checked(run):
    job = running(run)
    _finish(run, checked=1, max_difference=0.0)
    jobs.settle(job, "failed", "Lost at the last moment.")
    assert workshop.standing(run).error is None


def test_a_run_made_on_the_command_line_has_no_job(run):
    jobs.forget("train", run.folder.name)
    assert workshop.standing(run) == Standing("stopped")
    _finish(run)
    assert workshop.standing(run) == Standing("finished")


@pytest.mark.parametrize("begun", [False, True])
def test_a_waiting_run_leaves_the_queue_and_can_go_on(run, begun):
    if begun:
        run.status("features", done=1, total=10, words="Looking at the pictures")
    workshop.stop(run)
    assert jobs.active() == []
    assert workshop.standing(run).word == "stopped"
    workshop.go_on(run)
    assert not run.stop_requested()
    assert workshop.standing(run).word == "waiting"


def test_a_running_training_is_asked_to_stop_and_not_killed(run):
    job = running(run)
    workshop.stop(run)
    assert run.stop_requested()
    assert _job(run).state == "running"
    assert workshop.standing(run).word == "running"
    jobs.settle(job, "done")
    assert workshop.standing(run).word == "stopped"


def test_a_run_that_was_stopped_while_it_ran_is_stopped_although_its_job_failed(run):
    workshop.stop(run)
    run.clear_stop()
    workshop.go_on(run)
    job = running(run)
    workshop.stop(run)
    jobs.settle(job, "failed", "It was killed.")
    assert workshop.standing(run).word == "stopped"


def test_a_waiting_run_is_paused_at_once_and_goes_on_in_its_place(run):
    other = workshop.start(CONFIG, "other")
    workshop.pause(run)
    assert workshop.standing(run).word == "paused"
    assert not workshop.standing(run).alive
    assert [job.target for job in jobs.active()] == [other.folder.name]
    workshop.go_on(run)
    assert not run.pause_requested()
    assert workshop.standing(run).word == "waiting"
    assert [job.target for job in jobs.active()] == [run.folder.name, other.folder.name]


def test_a_running_one_is_asked_to_pause_and_a_paused_one_can_be_stopped(run):
    job = running(run)
    workshop.pause(run)
    assert run.pause_requested()
    assert workshop.standing(run).word == "running"
    jobs.settle(job, "paused")
    assert workshop.standing(run).word == "paused"
    workshop.stop(run)
    assert workshop.standing(run).word == "stopped"


def test_a_finished_run_is_not_paused(run):
    running(run)
    _finish(run)
    workshop.pause(run)
    assert not run.pause_requested()


def test_a_full_disk_is_said_of_what_waits_and_of_what_works(run, monkeypatch):
    assert workshop.standing(run).error is None
    monkeypatch.setattr(shortage, "free_bytes", lambda: shortage.ROOM - 1)
    assert "Make room" in (workshop.standing(run).error or "")
    running(run)
    assert "Make room" in (workshop.standing(run).error or "")


def test_epochs_are_added_in_a_run_of_their_own(run):
    running(run)
    run.write("split", {"train": [0]})
    run.write("advice", {"kept": True})
    run.model_path.write_bytes(b"a model")
    run.finish({"shipped": "finetune_few"})
    earlier = outcomes.contents(run.folder)
    made = workshop.extend(run, 7)
    config = made.config()
    assert (config.strategy, config.epochs, config.extends) == ("finetune_few", 7, run.folder.name)
    assert config.seed == CONFIG.seed + 1
    assert config.learning_rate == pytest.approx(CONFIG.learning_rate / 3)
    assert made.start_path.read_bytes() == b"a model"
    assert (made.read("split"), made.read("advice")) == ({"train": [0]}, {"kept": True})
    assert made.about()["name"] == "Fruit, 7 more epochs"
    assert workshop.extend(run, 1).about()["name"] == "Fruit, 1 more epoch"
    assert workshop.standing(made).word == "waiting"
    assert outcomes.contents(run.folder) == earlier
    made.model_path.touch()
    made.finish({})
    assert not made.start_path.exists()


def test_a_linear_classifier_gets_no_epochs(run):
    running(run)
    run.model_path.touch()
    run.finish({"shipped": "linear_top"})
    with pytest.raises(SettingsError, match="solved exactly"):
        workshop.extend(run, 7)
    assert workshop.listed() == [run]


def test_renaming(run):
    created = run.about()["created"]
    workshop.rename(run, " Second \t try ")
    assert run.about() == {"name": "Second try", "created": created}
    with pytest.raises(RunError, match="needs a name"):
        workshop.rename(run, "  ")
    assert run.about()["name"] == "Second try"


def test_deleting_removes_the_folder_and_the_place_in_the_queue(run):
    other = workshop.start(CONFIG, "other")
    workshop.delete(run)
    assert not run.folder.exists()
    assert jobs.latest("train", run.folder.name) is None
    assert [job.target for job in jobs.active()] == [other.folder.name]
    assert [path.name for path in workshop.folder().iterdir()] == [other.folder.name]


def test_a_run_that_something_works_on_is_not_deleted(run):
    with run.locked(), pytest.raises(RunError, match="still at work"):
        workshop.delete(run)
    assert run.exists
    workshop.delete(run)
    assert not run.folder.exists()
