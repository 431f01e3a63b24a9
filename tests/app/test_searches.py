"""Searches in the queue: begun once, gone on with, gone with their data set; and their page."""

import dataclasses
import signal
import time
from collections.abc import Callable

import pytest
from streamlit.testing.v1 import AppTest

from app import attempts, dispatcher, jobs, searches, storage, workshop
from app.dispatcher import Dispatcher
from tests.app import advices
from tests.app.conftest import checked, harmless, markup, press, title, words
from tests.transfer import valleys
from transfer import catalog, toolbox
from transfer.config import RunConfig
from transfer.recipe import Recipe
from transfer.runs import Run
from transfer.searching import plans
from transfer.searching.plans import Plan
from transfer.searching.rounds import Rounds
from transfer.searching.space import parsed


def _settings(digest: str, **changed) -> RunConfig:
    given = {"strategy": "finetune_few", "horizontal_flip": True, "quarter_turns": False}
    return RunConfig(digest, "builtin", 96, **{**given, **changed})


def _job(run: Run) -> jobs.Job:
    job = jobs.latest("search", run.folder.name)
    assert job is not None
    return job


def _works(run: Run) -> None:
    """Do what the job of a search does, on losses that are a formula, in no time."""
    assert jobs.claim(_job(run), "cpu")
    plan = Plan.from_json(run.read(plans.PLAN) or {})
    with run.locked():
        Rounds(run, plan, lambda *_: None).work(valleys.Valley)
    jobs.settle(_job(run), "done")


def _narrow(run: Run) -> None:
    """Let the range of rates end below the best, as one that was guessed wrongly."""
    plan = run.read(plans.PLAN) or {}
    plan["waves"][0]["space"] = parsed(["learning_rate=1e-5:1e-4"]).to_json()
    run.write(plans.PLAN, plan)


class TestQueue:
    def test_from_beginning_to_end(self, fruit, home):
        settings = _settings(fruit, budget=600.0)
        run = searches.begin(settings, 30, 8)
        assert searches.begin(settings, 30, 8) == run  # a second press, or a second person
        assert [(job.kind, job.target) for job in jobs.active()] == [("search", run.folder.name)]
        assert run.folder.parent == home / "searches"
        assert dispatcher.COMMANDS["search"](run.folder.name)[1:] == [
            *("-m", "transfer", "seek", str(run.folder), "--json")
        ]
        standing = searches.standing(run)
        assert (standing.word, standing.alive, standing.trials) == ("waiting", True, 0)
        _works(run)
        standing = searches.standing(run)
        assert (standing.word, standing.alive, standing.trials) == ("done", False, 8)
        assert Plan.from_json(run.read(plans.PLAN) or {}).budget == pytest.approx(1800)
        best = searches.best(run, standing)
        assert best.learning_rate == standing.found["best"]["learning_rate"]
        assert (best.budget, best.strategy, best.epochs) == (600.0, "finetune_few", None)
        assert workshop.listed() == []
        made = searches.train(run, standing)
        assert made.config() == best

    def test_other_settings_are_another_search_but_not_another_time_limit(self, fruit):
        one = searches.key(_settings(fruit))
        assert one == searches.key(_settings(fruit, budget=60.0))
        assert one != searches.key(_settings(fruit, batch_size=8))

    def test_what_takes_a_minute_and_trainings_go_first(self, fruit):
        run = searches.begin(_settings(fruit), 30, 8)
        assert searches.place(_job(run)) == (1, 1)
        workshop.start(_settings(fruit), "First")
        assert searches.place(_job(run)) == (2, 2)
        started: list[str] = []

        def command(kind: str) -> Callable[[str], list[str]]:
            return lambda _: started.append(kind) or ["true"]

        commands = {kind: command(kind) for kind in dispatcher.COMMANDS}
        worker = Dispatcher(commands, gpus=[])
        worker.step()
        assert started == ["train"]
        while len(started) < 4:  # no answer: it is tried three times
            worker.step()
            time.sleep(0.01)
        assert started == ["train"] * 3 + ["search"]
        while worker.step():
            time.sleep(0.01)

    def test_it_is_stopped_and_goes_on(self, fruit):
        run = searches.begin(_settings(fruit), 30, 8)
        assert jobs.claim(_job(run), "cpu")
        searches.stop(run)
        assert searches.standing(run).word == "stopping"
        plan = Plan.from_json(run.read(plans.PLAN) or {})
        with run.locked():
            Rounds(run, plan, lambda *_: None).work(valleys.Valley)
        jobs.settle(_job(run), "done")
        assert searches.standing(run).word == "stopped"
        searches.go_on(run, 30)
        _works(run)
        assert (searches.standing(run).word, searches.standing(run).trials) == ("done", 8)
        searches.go_on(run, 30, more=3)
        _works(run)
        assert searches.standing(run).trials == 11

    def test_one_that_waits_leaves_the_queue(self, fruit):
        run = searches.begin(_settings(fruit), 30, 8)
        searches.stop(run)
        assert jobs.active() == []
        assert searches.standing(run).word == "stopped"

    def test_its_time_is_that_of_this_and_of_earlier_work(self, fruit):
        run = searches.begin(_settings(fruit), 30, 8)
        run.record_spent(1000.0)
        searches.stop(run)
        searches.go_on(run, 2)
        assert Plan.from_json(run.read(plans.PLAN) or {}).budget == pytest.approx(1120)

    @pytest.mark.parametrize("made", [4, 8])
    def test_a_range_is_widened_and_what_is_missing_is_not_made(self, fruit, made):
        run = searches.begin(_settings(fruit), 30, 8)
        _narrow(run)
        assert jobs.claim(_job(run), "cpu")
        plan = Plan.from_json(run.read(plans.PLAN) or {})
        with run.locked():
            trainer = valleys.Valley()
            if made < 8:
                make = trainer.make

                def some(trial, settings, tell):
                    make(trial, settings, tell)
                    if trial.number == made - 1:
                        run.request_stop()

                trainer.make = some
            Rounds(run, plan, lambda *_: None).work(lambda: trainer)
        jobs.settle(_job(run), "done")
        before = searches.standing(run)
        assert before.found["edges"][0]["setting"] == "learning_rate"
        searches.go_on(run, 30, widen="learning_rate")
        _works(run)
        after = searches.standing(run)
        known = len(before.found["trials"])
        assert after.word == "done"
        assert len(after.found["trials"]) == known + 8
        assert after.found["trials"][:made] == before.found["trials"][:made]
        rates = [one["settings"]["learning_rate"] for one in after.found["trials"][known:]]
        assert max(rates) > 1e-4
        assert after.found["best_value"] < before.found["best_value"]

    def test_a_search_that_gets_on_may_be_killed_often(self, fruit):
        run = searches.begin(_settings(fruit), 30, 8)
        job = dataclasses.replace(_job(run), attempts=attempts.ATTEMPTS - 1)
        before = attempts.before(job)
        assert attempts.Ending(job, -signal.SIGSEGV, None, before).last
        checkpoint = Run(run.trials_folder / "0000").checkpoint_folder / "finetune_few"
        checkpoint.mkdir(parents=True)
        (checkpoint / "epoch.npz").write_bytes(b"weights")
        ending = attempts.Ending(job, -signal.SIGSEGV, None, before)
        assert (ending.got_on, ending.last) == (True, False)
        assert "The search for settings stopped unexpectedly" in ending.in_words()

    def test_they_are_counted_and_go_with_their_data_set(self, fruit, home):
        run, left = (searches.begin(_settings(one), 30, 8) for one in (fruit, "a" * 32))
        assert storage.used()["searches"] == storage.size(home / "searches") > 0
        assert "Searches for settings on data sets that were deleted" in [
            rest.what for rest in storage.unused()
        ]
        storage.free()
        assert not left.folder.exists()
        assert searches.listed(fruit) == [run]
        storage.delete_data_set(fruit)
        assert searches.folders() == []
        assert jobs.active() == []

    def test_a_damaged_result_is_none(self, fruit):
        run = searches.begin(_settings(fruit), 30, 8)
        run.write(plans.RESULT, {"trials": "many"})
        assert searches.standing(run).found == {}


class TestPages:
    @pytest.fixture
    def advice(self, open_page, fruit, keras_home) -> AppTest:
        spec = catalog.backbone(catalog.BUILTIN)
        subject = advices.advising.Subject(fruit, spec.name, spec.input_size)
        advices.measure(subject, advices.advice("similar", "lots"))
        return open_page("advice", data=fruit)

    def test_it_is_begun_on_the_page_of_the_advice(self, advice, open_page, fruit):
        (box,) = [box for box in advice.number_input if box.key == "search_trials"]
        checked(box.set_value(6).run())
        press(advice, "search")
        (run,) = searches.listed(fruit)
        assert advice.query_params["search"] == run.folder.name
        assert title(advice) == "It starts in a moment."
        config = run.config()
        assert (config.strategy, config.horizontal_flip, config.recipe) == (
            "finetune_few", True, Recipe(),
        )  # fmt: skip
        assert Plan.from_json(run.read(plans.PLAN) or {}).trials == 6
        again = open_page("advice", data=fruit)
        assert "A search for these settings is under way" in words(again)
        assert "search" not in {button.key for button in again.button}

    def test_nothing_yet_leads_to_the_advice(self, open_page, fruit):
        assert title(open_page("search")) == "No search yet."
        assert title(press(open_page("search", data=fruit), "fill")).startswith("Build on")

    def test_it_waits_works_and_stops(self, open_page, fruit):
        workshop.start(_settings(fruit), "Before it")
        run = searches.begin(_settings(fruit), 30, 8)
        page = open_page("search", data=fruit)
        assert title(page) == "Waiting for its turn: place 2 of 2."
        assert jobs.claim(_job(run), "cpu")
        run.status(
            "search", done=2.5, total=8, words="Trial 3 of 8: epoch 2 of 4", seconds_left=300.0
        )
        checked(page.run())
        assert title(page) == "Searching. At most about 5 minutes left."
        assert "Trial 3 of 8: epoch 2 of 4" in words(page)
        press(page, "stop_search")
        assert title(page) == "Stopping."
        assert "stop_search" not in {button.key for button in page.button}
        assert run.stop_requested()

    def test_the_best_is_shown_and_trained_with(self, open_page, fruit):
        run = searches.begin(_settings(fruit), 30, 12)
        _works(run)
        page = open_page("search", data=fruit, search=run.folder.name)
        assert title(page) == "The search is done."
        found = searches.standing(run).found
        text = words(page)
        assert f"Trial {found['best_trial'] + 1} has the lowest validation loss" in text
        assert f"{found['best']['learning_rate']:.3g}" in text
        assert "little more than chance" not in text
        assert toolbox.setting("frozen_level").summary in text
        (chart,) = page.get("vega_lite_chart")
        assert '"log"' in chart.proto.spec
        page.selectbox(key="search_axis").set_value("dropout")
        checked(page.run())
        assert harmless(page)
        press(page, "train_best")
        (made,) = workshop.listed()
        assert made.config().learning_rate == found["best"]["learning_rate"]
        assert page.query_params["run"] == made.folder.name

    def test_the_best_of_a_few_is_not_made_much_of(self, open_page, fruit):
        run = searches.begin(_settings(fruit), 30, 3)
        _works(run)
        page = open_page("search", data=fruit)
        assert "Of only 3 trials, that is little more than chance" in words(page)

    def test_the_figures_are_all_trials(self, open_page, fruit):
        run = searches.begin(_settings(fruit), 30, 12)
        _works(run)
        page = open_page("search", data=fruit)
        assert not page.dataframe
        page.session_state[f"trials_{run.folder.name}"] = True
        checked(page.run())
        table = page.dataframe[0].value
        assert list(table["trial"]) == list(range(1, 13))
        assert set(table["how it ended"]) <= {"whole", "ended early", "ruined"}

    def test_at_an_edge_it_warns_and_goes_on_beyond_it(self, open_page, fruit):
        run = searches.begin(_settings(fruit), 30, 8)
        _narrow(run)
        _works(run)
        page = open_page("search", data=fruit)
        assert "lies at the upper edge of what was searched" in words(page)
        press(page, "widen_learning_rate")
        assert title(page) == "It starts in a moment."
        plan = Plan.from_json(run.read(plans.PLAN) or {})
        assert (len(plan.waves), plan.space.learning_rate.high) == (2, 1e-2)
        assert "can be widened when the search has ended" in words(page)

    def test_it_goes_on_and_what_failed_says_why(self, open_page, fruit):
        run = searches.begin(_settings(fruit), 30, 8)
        assert jobs.claim(_job(run), "cpu")
        jobs.settle(_job(run), "failed", "The *weights* are gone.")
        page = open_page("search", data=fruit)
        assert title(page) == "The search could not finish."
        assert "weights" in page.error[0].value
        press(page, "search_on")
        _works(run)
        checked(page.run())
        assert title(page) == "The search is done."
        press(page, "search_on")
        assert Plan.from_json(run.read(plans.PLAN) or {}).trials == 18

    def test_another_search_is_led_to_and_this_one_deleted(self, open_page, fruit):
        first = searches.begin(_settings(fruit), 30, 4)
        second = searches.begin(_settings(fruit, batch_size=8), 30, 4)
        for run in (first, second):
            _works(run)
        page = open_page("search", data=fruit, search=first.folder.name)
        links = [link.proto.query_string for link in page.get("page_link")]
        assert any(second.folder.name in link for link in links)
        press(page, "delete_search")
        press(page, "delete_search_now")
        assert searches.listed(fruit) == [second]
        assert "The search is done." in markup(page)


@pytest.mark.slow
def test_a_real_search_on_the_queue(fruit):
    """Two trials of one epoch, by the process that the dispatcher starts."""
    run = searches.begin(_settings(fruit, epochs=1), 30, 2)
    worker = Dispatcher(gpus=[])
    deadline = time.monotonic() + 600
    while worker.step():
        assert time.monotonic() < deadline
        time.sleep(0.2)
    standing = searches.standing(run)
    assert (standing.word, standing.trials, standing.error) == ("done", 2, None)
    assert standing.found["best"]
