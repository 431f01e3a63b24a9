"""The page "train" in every state of a run, as the queue and the worker's reports leave it."""

import html
import json
import re
import shutil
from dataclasses import replace
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from app import advising, jobs, workshop
from app.advising import Subject
from tests.app import advices
from tests.app.conftest import checked, harmless, markup, press, running, title, words
from transfer import catalog, shortage, weights
from transfer.config import RunConfig
from transfer.errors import BackboneError
from transfer.linear import STRENGTHS, SearchStep
from transfer.reporter import Reporter
from transfer.runs import Run
from transfer.training import Progress


@pytest.fixture
def tuning(fruit: str) -> Run:
    """A run in the queue that is to retrain the last part."""
    config = RunConfig(dataset=fruit, backbone="builtin", image_size=96, strategy="finetune_few")
    return workshop.start(config, "Fruit, tuned")


def _open(open_page: Any, run: Run) -> AppTest:
    return open_page("train", run=run.folder.name)


def _keys(page: AppTest) -> set[str]:
    return {str(button.key) for button in page.button}


def _settled(run: Run, state: jobs.State, error: str | None = None) -> None:
    job = jobs.latest("train", run.folder.name)
    assert job
    jobs.settle(job, state, error)


def _phases(page: AppTest) -> dict[str, str]:
    """Return for each step of the band what its sign says."""
    found = re.findall(r'<li class="(\w+)"[^>]*>\S (.*?)</li>', markup(page))
    return {step: kind for kind, step in found}


def _charts(page: AppTest) -> list[dict[str, Any]]:
    return [json.loads(chart.proto.spec) for chart in page.get("vega_lite_chart")]


def _search(reporter: Reporter, strengths: int) -> None:
    for number, strength in enumerate(STRENGTHS[:strengths], start=1):
        val_loss = 0.5 + abs(number - 3) / 10
        step = SearchStep(number, len(STRENGTHS), strength, 1 / number, 0.8, val_loss, 0.75)
        reporter.search(step)


def _epoch(number: int, val_loss: float) -> dict[str, Any]:
    values = {"loss": 0.9 / (number + 1), "accuracy": 0.8, "val_loss": val_loss}
    return {"phase": "fine_tuning", "epoch": number, **values, "val_accuracy": 0.7}


def test_nothing_is_learning_yet(open_page, fruit):
    page = open_page("train", data=fruit)
    assert title(page) == "Nothing is learning here yet."
    assert [button.label for button in page.button] == ["Choose pictures and start"]


def test_a_deleted_run_leads_back(open_page, queued):
    digest = queued.config().dataset
    workshop.delete(queued)
    page = open_page("train", run=queued.folder.name, data=digest)
    assert title(page) == "This run is not here."
    assert title(press(page, "fill")) == "No runs yet."


@pytest.mark.parametrize("name", ["train", "results", "use"])
def test_a_run_that_never_was_leads_to_the_list(open_page, name):
    page = open_page(name, run="nope", data="xyz")
    assert title(page) == "This run is not here."
    assert title(press(page, "fill")) == "No runs yet."


def test_waiting_says_its_place(open_page, queued):
    second = workshop.start(queued.config(), "second")
    page = _open(open_page, second)
    assert title(page) == "Waiting for its turn: place 2 of 2."
    assert "You can close this page." in words(page)
    assert "Queued: second" in words(page)
    running(queued)
    page.run()
    assert title(page) == "Waiting for its turn: place 1 of 1."


def test_a_waiting_run_is_taken_out_of_the_queue_and_put_back(open_page, queued):
    page = press(_open(open_page, queued), "leave")
    assert title(page) == "Stopped."
    assert jobs.active() == []
    press(page, "again")
    assert title(page) == "It starts in a moment."
    assert [job.target for job in jobs.active()] == [queued.folder.name]


def test_what_goes_on_after_a_pause_waits_a_moment_unless_another_is_at_work(open_page, queued):
    other = workshop.start(queued.config(), "other")
    Reporter(queued).say("features", 1, 10, "Looking at the pictures")
    page = _open(open_page, queued)
    assert title(page) == "It goes on in a moment."
    running(other)
    page.run()
    assert title(page).startswith("Waiting for its turn")
    press(page, "leave")
    assert title(page) == "Stopped."


def test_at_the_very_first_it_does_not_know_how_long(open_page, queued):
    running(queued)
    page = _open(open_page, queued)
    assert title(page) == "Learning. Working out how long it takes; you can close this page."
    assert 'class="progress unknown"' in markup(page)
    assert "Starting" in words(page)


def test_looking_at_the_pictures(open_page, queued):
    running(queued)
    queued.event("phase", phase="features", words="Looking at the pictures")
    queued.status("features", done=24, total=60, words="Looking at the pictures", seconds_left=150)
    page = _open(open_page, queued)
    assert title(page) == "Learning. About 3 minutes left; you can close this page."
    assert "Looking at the pictures: 24 of 60 pictures" in words(page)
    assert 'aria-valuenow="40"' in markup(page)
    assert _phases(page) == {
        "Look at the pictures": "now",
        "Fit the classifier": "later",
        "Check on validation pictures": "later",
        "Save": "later",
        "Measure on unseen pictures": "later",
        "Check the exported model": "later",
    }
    assert "They appear when all pictures have been looked at." in words(page)
    assert _charts(page) == []


def test_downloading_the_network_is_a_step_of_its_own(open_page, queued):
    running(queued)
    Reporter(queued).say("weights", 3e6, 9e6, "Downloading the weights")
    page = _open(open_page, queued)
    assert _phases(page)["Fetch the network"] == "now"
    assert "Downloading the weights" in words(page)
    assert "pictures" not in words(page).split("Downloading the weights")[1].split("\n")[0]


def test_fitting_the_classifier_shows_each_freedom_that_was_tried(open_page, queued):
    running(queued)
    reporter = Reporter(queued)
    reporter.say("features", 60, 60, "Looking at the pictures")
    _search(reporter, 5)
    page = _open(open_page, queued)
    assert _phases(page)["Look at the pictures"] == "done"
    assert _phases(page)["Fit the classifier"] == "now"
    loss, accuracy = _charts(page)
    assert loss["layer"][0]["encoding"]["x"]["scale"]["type"] == "log"
    assert "loss" in loss["layer"][0]["encoding"]["y"]["title"]
    assert "share of right answers" in accuracy["layer"][0]["encoding"]["y"]["title"]
    assert "How freely may the classifier learn?" in words(page)


def test_stopping_before_there_is_anything_to_keep(open_page, queued):
    running(queued)
    Reporter(queued).say("features", 1, 60, "Looking at the pictures")
    page = _open(open_page, queued)
    assert page.button(key="stop").label == "Stop"
    assert "nothing to keep yet" in page.button(key="stop").help
    press(page, "stop")
    assert queued.stop_requested()
    assert "Stopping: what is being done right now is brought to its end." in words(page)
    assert "stop" not in _keys(page)
    _settled(queued, "done")
    page.run()
    assert title(page) == "Stopped."
    assert "what was done so far is kept" in words(page)
    assert _keys(page) == {"change", "again"}


def test_going_on_and_changing_the_settings_after_a_stop(open_page, queued):
    running(queued)
    workshop.stop(queued)
    _settled(queued, "done")
    page = press(_open(open_page, queued), "change")
    assert title(page) == "Build on a network that can already see."
    page = press(_open(open_page, queued), "again")
    assert not queued.stop_requested()
    assert title(page) == "It starts in a moment."


def _tune(run: Run, epochs: int) -> Reporter:
    """Report what a worker reports of a fine-tuning until the end of so many epochs."""
    reporter = Reporter(run)
    reporter.say("features", 60, 60, "Looking at the pictures")
    _search(reporter, 5)
    reporter.say("validation", 6, 6, "Checking on the validation pictures")
    run.event("candidate", strategy="linear_top", accuracy=0.7, low=0.5, high=0.9, n=6, loss=0.5)
    reporter.something_to_keep = True
    reporter.epoch(_epoch(0, 0.6) | {"phase": "head"})
    for number in range(1, epochs + 1):
        reporter.training(Progress(number, 20, 2, 2))
        reporter.epoch(_epoch(number, 0.5 if number == 2 else 0.7))
    # These steps took no time: what a worker says after steps that did.
    run.status(**{**run.status_now(), "seconds_left": 90.0})
    return reporter


def test_fine_tuning_draws_its_epochs_and_marks_the_best(open_page, tuning):
    running(tuning)
    _tune(tuning, 4)
    page = _open(open_page, tuning)
    assert title(page).startswith("Learning. At most about ")
    assert re.search(r"Training, epoch \d of at most 20", words(page))
    assert [*_phases(page)] == [
        "Look at the pictures",
        "Measure for the advice",
        "Fit the classifier",
        "Retrain the network",
        "Check on validation pictures",
        "Save",
        "Measure on unseen pictures",
        "Check the exported model",
    ]
    assert _phases(page)["Retrain the network"] == "now"
    assert _phases(page)["Fit the classifier"] == "done"
    assert "Is it getting better?" in words(page)
    for chart in _charts(page):
        x = chart["layer"][0]["encoding"]["x"]
        assert x["scale"]["domain"] == [0, 4]
        assert "epoch" in x["title"]
        marks = [layer["mark"] for layer in chart["layer"]]
        assert [mark["type"] for mark in marks[:2]] == ["line", "rule"]
        assert [mark["text"] for mark in marks if mark["type"] == "text"] == ["head", "fine-tuning"]


def test_a_retraining_whose_classifier_was_known_before_does_not_wait_for_pictures(
    open_page, tuning
):
    running(tuning)
    tuning.event("phase", phase="fine_tuning", words="Training")
    page = _open(open_page, tuning)
    assert "appear after its first epoch" in words(page)
    assert "when all pictures have been looked at" not in words(page)


def test_the_first_check_of_a_fine_tuning_is_not_yet_the_last(open_page, tuning):
    running(tuning)
    _tune(tuning, 0)
    page = _open(open_page, tuning)
    assert _phases(page)["Fit the classifier"] == "now"
    assert _phases(page)["Check on validation pictures"] == "later"
    assert "appear after its first epoch" in words(page)


def test_a_fine_tuning_stops_with_the_best_so_far(open_page, tuning):
    running(tuning)
    _tune(tuning, 3)
    page = _open(open_page, tuning)
    assert page.button(key="stop").label == "Stop and keep the best so far"
    press(page, "stop")
    assert tuning.stop_requested()
    assert workshop.standing(tuning).word == "running"


def test_a_training_that_diverged_still_shows_its_curves(open_page, tuning):
    running(tuning)
    reporter = _tune(tuning, 2)
    reporter.epoch(_epoch(3, float("nan")) | {"loss": float("nan")})
    page = _open(open_page, tuning)
    assert len(_charts(page)) == 2


def test_a_half_written_event_waits_until_it_is_whole(open_page, tuning):
    running(tuning)
    _tune(tuning, 2)
    with (tuning.folder / "events.jsonl").open("a") as events:
        events.write('{"time": 1, "event": "epo')
    assert len(_charts(_open(open_page, tuning))) == 2


def test_the_result_is_there_before_the_exported_model(open_page, finished):
    run = Run(finished.home / "runs" / finished.run_id)
    (run.folder / "export.json").unlink()
    workshop.go_on(run)
    running(run)
    run.status("finished", done=1, total=1, words="Finished")
    page = _open(open_page, run)
    assert "Getting the model ready to be taken away" in words(page)
    assert 'class="progress unknown"' in markup(page)
    run.status("export", done=2, total=6, words="Checking the exported model", seconds_left=20)
    page = _open(open_page, run)
    assert title(page) == "It has learned. The model for taking away is being checked."
    assert "Checking the exported model: 2 of 6 pictures" in words(page)
    assert _phases(page)["Check the exported model"] == "now"
    assert set(_phases(page).values()) == {"done", "now"}
    assert "stop" not in _keys(page)
    assert page.button(key="next").label == "See the results"
    press(page, "next")
    assert page.query_params["run"] == run.folder.name
    assert title(page) != "It has learned. The model for taking away is being checked."


def test_a_press_counts_though_the_check_of_the_model_ends_just_then(open_page, finished):
    run = Run(finished.home / "runs" / finished.run_id)
    checked_model = (run.folder / "export.json").read_bytes()
    (run.folder / "export.json").unlink()
    workshop.go_on(run)
    running(run)
    run.status("finished", done=1, total=1, words="Finished")
    page = _open(open_page, run)
    (run.folder / "export.json").write_bytes(checked_model)
    press(page, "next")
    assert title(page).startswith("It is right on")


def test_a_finished_training_tells_what_it_took_and_shows_the_figures(open_page, finished):
    page = open_page("train", run=finished.run_id)
    assert title(page) == "It has learned."
    splits = Run(finished.home / "runs" / finished.run_id).result()["splits"]
    assert f"First: {splits['train']} pictures to learn from, {splits['val']} to choose by," in (
        words(page)
    )
    assert len(_charts(page)) == 2
    page.session_state[f"curves_{finished.run_id}"] = True
    (table,) = [one.value for one in checked(page.run()).dataframe]
    assert {"strength", "loss", "val_loss", "accuracy", "val_accuracy"} <= {*table.columns}
    assert not {"time", "event"} & {*table.columns}
    assert len(table) >= 3


def test_a_fine_tuning_that_was_stopped_says_that_the_best_was_kept(open_page, finished):
    run = Run(finished.home / "runs" / finished.run_id)
    run.finish(run.result() | {"ended": "stopped"})
    assert title(_open(open_page, run)) == "Stopped, and the best kept."


def test_a_failed_training_says_why_and_can_be_tried_again(open_page, queued):
    running(queued)
    _settled(queued, "failed", "The weights of *ResNet50* are not here.")
    page = _open(open_page, queued)
    assert title(page) == "The training could not finish."
    assert "Your pictures and earlier runs are unharmed." in words(page)
    assert "The weights of *ResNet50* are not here." in words(page)
    assert _keys(page) == {"change", "again"}
    assert page.button(key="again").label == "Try again"
    press(page, "again")
    assert title(page) == "It starts in a moment."


def test_a_run_is_paused_and_goes_on(open_page, queued):
    page = press(_open(open_page, queued), "pause")
    assert title(page) == "Paused."
    assert "it keeps its place" in words(page)
    assert _keys(page) == {"change", "again"}
    press(page, "again")
    assert title(page) == "It starts in a moment."
    running(queued)
    Reporter(queued).say("features", 1, 3, "Looking at the pictures")
    page = press(_open(open_page, queued), "pause")
    assert "Pausing" in words(page)
    assert "stop" not in _keys(page)


def test_a_full_disk_is_a_sentence_with_what_to_do(open_page, queued, monkeypatch):
    monkeypatch.setattr(shortage, "free_bytes", lambda: 0)
    page = _open(open_page, queued)
    assert title(page) == "It waits for room on the disk."
    assert "Make room" in words(page)
    running(queued)
    Reporter(queued).say("features", 1, 3, "Looking at the pictures")
    assert "Make room" in words(_open(open_page, queued))


def test_what_goes_on_when_there_is_room_does_not_claim_to_go_on_now(
    open_page, queued, monkeypatch
):
    Reporter(queued).say("features", 1, 3, "Looking at the pictures")
    monkeypatch.setattr(shortage, "free_bytes", lambda: 0)
    assert title(_open(open_page, queued)) == "It waits for room on the disk."


def test_an_event_that_a_full_disk_has_cut_off_is_passed_by(open_page, tuning):
    running(tuning)
    _tune(tuning, 2)
    with (tuning.folder / "events.jsonl").open("a") as events:
        events.write('{"time": 1, "event": "epo')
    tuning.event("epoch", **_epoch(3, 0.6))  # joined to the half line
    tuning.event("epoch", **_epoch(4, 0.6))
    page = _open(open_page, tuning)
    assert _charts(page)[0]["layer"][0]["encoding"]["x"]["scale"]["domain"] == [0, 4]


@pytest.mark.parametrize("lacking", ["memory", "disk"])
def test_what_the_machine_lacked_is_a_sentence(open_page, queued, lacking):
    running(queued)
    _settled(queued, "failed", shortage.in_words(lacking))
    page = _open(open_page, queued)
    assert title(page) == "The training could not finish."
    assert "What was done until now is kept." in words(page)
    assert "Traceback" not in words(page)
    assert page.button(key="again").label == "Try again"


def test_missing_weights_are_a_sentence_that_says_what_to_do(
    open_page, queued, keras_home, monkeypatch
):
    def unreachable(*_: object) -> None:
        raise OSError("no network")

    monkeypatch.setattr(weights, "_download", unreachable)
    with pytest.raises(BackboneError) as missing:
        weights.obtain(catalog.backbone("MobileNetV2"), 96)
    running(queued)
    _settled(queued, "failed", str(missing.value))
    page = _open(open_page, queued)
    assert "The weights of MobileNetV2 are not here and could not be downloaded" in words(page)
    assert "choose the backbone 'builtin'" in words(page)
    assert _keys(page) == {"change", "again"}


def test_a_training_that_never_ends_early_says_about_and_not_at_most(open_page, fruit):
    config = RunConfig(fruit, "builtin", 96, strategy="finetune_few")
    run = workshop.start(config.changed({"recipe": {"early_stopping": False}}), "Fruit")
    running(run)
    _tune(run, 2)
    assert title(_open(open_page, run)).startswith("Learning. About ")


def test_a_network_that_learned_in_epochs_may_learn_for_longer(open_page, finished):
    run = Run(finished.home / "runs" / finished.run_id)
    assert "extend" not in _keys(_open(open_page, run))  # it ships a linear classifier
    run.finish(run.result() | {"shipped": "finetune_few"})
    page = _open(open_page, run)
    page.number_input(key="more_epochs").set_value(4)
    press(page, "extend")
    newest = workshop.listed()[0]
    assert (newest.config().extends, newest.config().epochs) == (run.folder.name, 4)
    assert page.query_params["run"] == newest.folder.name


def test_a_run_whose_pictures_were_deleted_still_shows_its_training(open_page, finished):
    shutil.rmtree(finished.home / "datasets" / finished.digest)
    assert title(open_page("train", run=finished.run_id)) == "It has learned."


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", "![x](//e.org/x) **b**", "قطط 猫"])
def test_the_name_is_only_ever_text_in_every_state(open_page, finished, name):
    run = Run(finished.home / "runs" / finished.run_id)
    workshop.rename(run, name)
    page = _open(open_page, run)
    assert html.escape(name) in markup(page)
    assert harmless(page)
    other = workshop.start(replace(run.config(), seed=1), name)
    waiting = _open(open_page, other)
    assert html.escape(f"Queued: {name}") in markup(waiting)
    assert harmless(waiting)
    running(other)
    live = _open(open_page, other)
    assert html.escape(name) in markup(live)
    assert harmless(live)
    _settled(other, "failed", f"'{name}' is no picture.")
    failed = _open(open_page, other)
    assert f"'{name}' is no picture." in words(failed)
    assert harmless(failed)


def _asked(fruit: str, strategy: str) -> Run:
    run = workshop.start(RunConfig(fruit, "builtin", 96, strategy=strategy), "Fruit")
    running(run)
    return run


def test_before_it_is_measured_a_run_may_still_be_a_retraining(open_page, fruit):
    run = _asked(fruit, "auto")
    Reporter(run).say("advice", 1, 3, "Measuring")
    page = _open(open_page, run)
    assert _phases(page)["Measure for the advice"] == "now"
    assert _phases(page)["Retrain the network"] == "later"


@pytest.mark.parametrize(("amount", "tunes"), [("little", False), ("lots", True)])
def test_once_it_is_measured_the_steps_are_those_of_the_advice(open_page, fruit, amount, tunes):
    run = _asked(fruit, "auto")
    run.write("advice", advices.advice("similar", amount))
    Reporter(run).say("head", 1, 3, "Fitting the linear classifier")
    page = _open(open_page, run)
    assert ("Retrain the network" in _phases(page)) is tunes
    assert _phases(page)["Fit the classifier"] == "now"
    assert _phases(page)["Measure for the advice"] == "done"


@pytest.mark.parametrize("phase", ["head", "fine_tuning", "validation", "test"])
def test_all_four_ways_are_one_step(open_page, fruit, phase):
    run = _asked(fruit, "all")
    Reporter(run).say(phase, 1, 3, "Fine-tuning of most stages: Training, epoch 1 of at most 4")
    page = _open(open_page, run)
    assert [*_phases(page)] == [
        "Look at the pictures", "Measure for the advice", "Learn in all four ways (1 of 4)", "Save",
        "Check the exported model",
    ]  # fmt: skip
    assert _phases(page)["Learn in all four ways (1 of 4)"] == "now"
    run.event("candidate", strategy="linear_top", accuracy=0.9, low=0.8, high=1.0, n=6, loss=0.4)
    assert _phases(page.run())["Learn in all four ways (2 of 4)"] == "now"
    assert "“Retrain most of it”: Training, epoch 1 of at most 4" in words(page)


def test_of_two_fine_tunings_the_curves_are_those_of_the_last(open_page, fruit):
    run = _asked(fruit, "all")
    for number in range(1, 6):
        run.event("epoch", **_epoch(number, 0.7))
    run.event("candidate", strategy="finetune_few", accuracy=0.9, low=0.8, high=1.0, n=6, loss=0.4)
    page = _open(open_page, run)
    assert "These are the curves of “Retrain its last part”." in words(page)
    run.event("epoch", **_epoch(1, 0.6))
    run.event("epoch", **_epoch(2, 0.5))
    page = _open(open_page, run)
    assert "These are the curves of “Retrain most of it”." in words(page)
    assert _charts(page)[0]["layer"][0]["encoding"]["x"]["scale"]["domain"] == [0, 2]


def test_several_stages_say_how_much_each_is_listened_to(open_page, fruit):
    run = _asked(fruit, "linear_stages")
    run.event("stages", weights={"stage 3": 0.75, "<b>": 0.25})
    page = _open(open_page, run)
    assert "To which stages does it listen?" in words(page)
    assert "75 %" in words(page)
    assert "&lt;b&gt;" in markup(page)
    assert "Curves of loss" not in words(page)


def test_behind_a_measurement_it_waits_a_minute(open_page, fruit, queued):
    subject = Subject(fruit, "builtin", 128)
    advising.begin(subject)
    job = jobs.latest("advise", subject.key)
    assert job
    assert jobs.claim(job, "cpu")
    page = _open(open_page, queued)
    assert title(page) == "Waiting for its turn: place 1 of 1."
    assert "when the measuring for an advice has ended" in words(page)


def test_behind_something_else_it_says_what_it_waits_for(open_page, queued):
    job = jobs.submit("export", "some-run.onnx")
    assert jobs.claim(job, "cpu")
    page = _open(open_page, queued)
    assert "starts by itself when the writing of a model has ended" in words(page)
