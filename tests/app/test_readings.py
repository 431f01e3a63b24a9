"""What the curves say on the page: read from run folders, shown, and mended by a new run."""

from dataclasses import replace
from typing import Any

import pytest

from app import jobs, readings, workshop
from tests.app.conftest import harmless, press, running, title, words
from transfer import diagnosis
from transfer.config import RunConfig
from transfer.diagnosis import Facts
from transfer.remedies import Remedy
from transfer.reporter import Reporter
from transfer.runs import Run

_RATE = 0.1


@pytest.fixture
def tuning(fruit: str) -> Run:
    """A run that is at work with a rate a hundred times too high."""
    config = RunConfig(
        fruit, "builtin", 96, strategy="finetune_few", epochs=12, learning_rate=_RATE
    )
    run = workshop.start(config, "Fruit, tuned")
    running(run)
    return run


def _rows(*losses: float) -> list[dict[str, Any]]:
    """Rows of a training that began well; its losses on training pictures are these."""
    start = {"val_loss": 0.5, "val_accuracy": 0.9, "plain_val_loss": 0.5}
    rows: list[dict[str, Any]] = [
        {"phase": "head", "epoch": 0, "loss": 0.4, "accuracy": 0.92, **start},
        {"phase": "fine_tuning", "epoch": 0, **start},
    ]
    for epoch, loss in enumerate(losses, start=1):
        bad = loss > 1.0
        val = {"val_loss": 1.05 if bad else loss, "val_accuracy": 0.35 if bad else 0.93}
        rows.append(
            {"phase": "fine_tuning", "epoch": epoch, "loss": loss, "learning_rate": _RATE / epoch}
            | {"accuracy": 0.4 if bad else 0.95, "plain_val_loss": val["val_loss"], **val}
        )
    return rows


def _told(run: Run, rows: list[dict[str, Any]], strategy: str = "finetune_few") -> None:
    """Leave in the run folder what a worker leaves there after these epochs."""
    Reporter(run).say("fine_tuning", len(rows) - 2, 12, "Training, epoch 3 of at most 12")
    for row in rows:
        run.event("epoch", **row)
    run.write("readings", {"strategy": strategy, "epoch": len(rows) - 2, "ended": None,
                           "readings": _read(run, rows, strategy)})  # fmt: skip


def _read(run: Run, rows: list[dict[str, Any]], strategy: str = "finetune_few") -> list[Any]:
    facts = Facts(3, 500, (20, 20, 20), strategy, run.config().to_json(), 12)
    return [one.to_json() for one in diagnosis.read(rows, facts)]


RUINED = _rows(1.9, 1.8, 1.7)
HEALTHY = _rows(0.4, 0.3, 0.25)


def test_the_worst_is_said_first_with_its_evidence_and_what_to_do(open_page, tuning):
    _told(tuning, RUINED)
    page = open_page("train", run=tuning.folder.name)
    said = words(page)
    assert "What do the curves say?" in said
    assert "Worth changing" in said
    assert "The learning rate is too high" in said
    assert "Right on 90 % of the validation pictures before the first step, on 35 %" in said
    assert page.button(key="remedy_rate_too_high").label == "Train at a rate of 0.001"
    assert said.index("Worth changing") < said.index("Good to know")
    assert said.index("Good to know") < said.index("Too few validation pictures to tell")


def test_a_healthy_training_is_said_to_be_well(open_page, tuning):
    _told(tuning, HEALTHY)
    page = open_page("train", run=tuning.folder.name)
    assert "It is going well" in words(page)
    assert not [button for button in page.button if str(button.key).startswith("remedy")]


def test_what_was_read_meanwhile_is_shown_at_the_next_look(open_page, tuning):
    _told(tuning, HEALTHY[:3])
    page = open_page("train", run=tuning.folder.name)
    assert "It is going well" in words(page)
    _told(tuning, RUINED)
    page.run()
    assert "The learning rate is too high" in words(page)


def test_the_run_that_mends_it_is_shown_and_waits_for_this_one(open_page, tuning):
    _told(tuning, RUINED)
    page = press(open_page("train", run=tuning.folder.name), "remedy_rate_too_high")
    assert len(workshop.listed()) == 1  # nothing has been started yet
    assert "A new run, ‘Fruit, tuned, with a lower rate’" in words(page)
    assert "Learning rate" in words(page)
    assert "→ 0.001" in words(page)
    assert "the new one waits for its turn" in words(page)
    press(page, "start_rate_too_high")
    new = next(run for run in workshop.listed() if run.folder != tuning.folder)
    assert new.config() == replace(tuning.config(), learning_rate=1e-3)
    assert new.about()["name"] == "Fruit, tuned, with a lower rate"
    assert page.query_params["run"] == new.folder.name
    assert title(page) == "Waiting for its turn: place 1 of 1."
    assert not tuning.stop_requested()


def test_this_run_may_be_stopped_for_the_one_that_mends_it(open_page, tuning):
    _told(tuning, RUINED)
    page = press(open_page("train", run=tuning.folder.name), "remedy_rate_too_high")
    assert page.button(key="instead_rate_too_high").label == (
        "Stop this one, keep the best, and start"
    )
    press(page, "instead_rate_too_high")
    assert tuning.stop_requested()
    assert len([job for job in jobs.active() if job.state == "queued"]) == 1


def test_an_offer_can_be_turned_down(open_page, tuning):
    _told(tuning, RUINED)
    page = press(open_page("train", run=tuning.folder.name), "remedy_rate_too_high")
    page = press(page, "not_rate_too_high")
    assert "A new run" not in words(page)
    assert "remedy_rate_too_high" in {str(button.key) for button in page.button}


def test_a_run_that_is_being_stopped_is_not_offered_to_be_stopped(open_page, tuning):
    _told(tuning, RUINED)
    workshop.stop(tuning)
    page = press(open_page("train", run=tuning.folder.name), "remedy_rate_too_high")
    assert "instead_rate_too_high" not in {str(button.key) for button in page.button}
    assert "This training is ending; the new one comes after it." in words(page)


def test_a_finished_run_keeps_what_its_curves_said(open_page, finished):
    run = Run(finished.home / "runs" / finished.run_id)
    told = _read(run, RUINED)
    linear = _read(run, RUINED[:1], "linear_top")
    run.finish(run.result() | {"readings": {"linear_top": linear, "finetune_few": told}})
    for row in RUINED:
        run.event("epoch", **row)
    run.write("config", replace(run.config(), strategy="finetune_few").to_json())
    page = open_page("train", run=run.folder.name)
    assert "The learning rate is too high" in words(page)
    assert "“Read the network's last impression”" in words(page)  # folded: the other way
    page = press(page, "remedy_rate_too_high")
    assert "this run stays as it is" in words(page)
    assert "instead_rate_too_high" not in {str(button.key) for button in page.button}


def test_the_results_say_in_a_line_how_it_learned(open_page, finished):
    run = Run(finished.home / "runs" / finished.run_id)
    page = open_page("results", run=run.folder.name)
    (told,) = run.result()["readings"].values()  # as the real worker left it
    assert told[0]["title"] in words(page)
    run.finish({key: value for key, value in run.result().items() if key != "readings"})
    page = open_page("results", run=run.folder.name)
    assert "See its curves" not in words(page)


@pytest.mark.parametrize("damage", ["{", "[]", '{"readings": 3}', '{"readings": [{"kind": 1}]}'])
def test_damaged_readings_are_passed_by(open_page, tuning, damage):
    _told(tuning, RUINED)
    (tuning.folder / "readings.json").write_text(damage)
    page = open_page("train", run=tuning.folder.name)
    assert title(page).startswith("Learning.")
    assert "What do the curves say?" not in words(page)


def test_what_a_run_from_elsewhere_says_is_only_ever_text(open_page, tuning):
    _told(tuning, RUINED)
    bad = "<img src=x onerror=alert(1)>"
    told: dict[str, Any] = {
        "kind": "plateau",
        "level": "note",
        "title": bad,
        "words": bad,
        "evidence": bad,
    }
    told["remedy"] = {"label": "Train", "settings": {"no_such_setting": 1}}
    now = {"strategy": bad, "epoch": 3, "ended": None, "readings": [told]}
    tuning.write("readings", now)
    page = open_page("train", run=tuning.folder.name)
    assert bad in words(page)
    assert harmless(page)
    assert "remedy_plateau" not in {str(button.key) for button in page.button}


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"learning_rate": 0.5}, "Fruit, tuned, with a higher rate"),
        ({"weight_decay": 0.01}, "Fruit, tuned, with more regularisation"),
        ({"dropout": 0.1}, "Fruit, tuned, with less regularisation"),
        ({"strategy": "finetune_many"}, "Fruit, tuned, retrain most of it"),
        ({"epochs": 24}, "Fruit, tuned, for longer"),
        ({"changes": {"level": "light"}}, "Fruit, tuned, with other settings"),
    ],
)  # fmt: skip
def test_a_new_run_is_named_by_what_it_changes(tuning, settings, name):
    offer = readings.offer(tuning, "finetune_few", Remedy("Train", settings))
    assert offer is not None
    assert offer.name == name
    assert offer.config == tuning.config().changed(settings)
    assert len(offer.changes) == len(settings)


def test_a_long_name_keeps_what_is_changed_and_grows_no_further(tuning):
    remedy = Remedy("Train", {"learning_rate": 1e-3})
    workshop.rename(tuning, "x" * 80)
    offer = readings.offer(tuning, "finetune_few", remedy)
    assert offer is not None
    assert len(offer.name) == 80
    assert offer.name.endswith("x, with a lower rate")
    workshop.rename(tuning, "Fruit, with a lower rate")
    offer = readings.offer(tuning, "finetune_few", remedy)
    assert offer is not None
    assert offer.name == "Fruit, with a lower rate again"


def test_of_a_run_in_all_four_ways_only_the_one_that_was_read_is_done_again(fruit):
    run = workshop.start(RunConfig(fruit, "builtin", 96, strategy="all"), "All")
    offer = readings.offer(run, "finetune_many", Remedy("Train", {"learning_rate": 1e-4}))
    assert offer is not None
    assert offer.config.strategy == "finetune_many"


def test_a_run_that_added_epochs_begins_with_the_same_model_again(finished):
    earlier = Run(finished.home / "runs" / finished.run_id)
    earlier.finish(earlier.result() | {"shipped": "finetune_few"})
    more = workshop.extend(earlier, 4)
    offer = readings.offer(more, "finetune_few", Remedy("Train", {"learning_rate": 1e-5}))
    assert offer is not None
    new = workshop.remedied(offer.config, offer.name)
    assert new.config().extends == earlier.folder.name
    assert new.start_path.read_bytes() == earlier.model_path.read_bytes()
    deeper = readings.offer(more, "finetune_few", Remedy("Train", {"strategy": "finetune_many"}))
    assert deeper is not None
    assert deeper.config.extends is None
    workshop.delete(earlier)
    alone = workshop.remedied(offer.config, offer.name)
    assert alone.config() == replace(offer.config, extends=None)
