"""The page "advice" before a training: the expert's drawer, and the checks with their cards."""

import json
import os
import signal
import time
from typing import Any

import numpy as np
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from app import choices, jobs, predictor, starting, workshop
from app.choices import Choices
from app.routes import rehearsals
from app.starting import Subject
from tests.app import advices
from tests.app.conftest import checked, get, harmless, markup, press, serving, started, words
from tests.app.test_starting import ANSWER
from transfer import catalog
from transfer.changes import Changes
from transfer.recipe import Recipe

_SPEC = catalog.backbone(catalog.BUILTIN)


@pytest.fixture(autouse=True)
def no_process(request, monkeypatch) -> None:
    """Let the drawer wait for its pictures; one test has the real process."""
    if "real_process" not in request.fixturenames:
        monkeypatch.setattr(predictor, "wake", lambda: None)


@pytest.fixture
def real_process(home) -> Any:
    yield
    if predictor.state() == "ready":
        os.kill(json.loads((home / "predictor.json").read_text())["pid"], signal.SIGTERM)
    _wait_for("absent")


def _wait_for(state: str) -> None:
    deadline = time.monotonic() + 120
    while predictor.state() != state:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _advised(digest: str, amount: str = "lots") -> None:
    subject = advices.advising.Subject(digest, _SPEC.name, _SPEC.input_size)
    advices.measure(subject, advices.advice("similar", amount))


def _opened(page: AppTest, digest: str) -> AppTest:
    """Open the drawer."""
    page.session_state[f"drawer:{digest}"] = True
    return checked(page.run())


def _box(page: AppTest, kind: str, label: str) -> Any:
    (box,) = [box for box in getattr(page, kind) if box.label == label]
    return box


def _set(page: AppTest, kind: str, label: str, value: Any) -> AppTest:
    return checked(_box(page, kind, label).set_value(value).run())


def _rehearsed(page: AppTest) -> Subject:
    """Press the button of the checks, and return what is to be checked."""
    press(page, "rehearse")
    (job,) = [job for job in jobs.active() if job.kind == "rehearse"]
    config = starting.Run(starting.folder() / job.target).config()
    return starting.of(config)


def _answered(subject: Subject, **changed: Any) -> None:
    """Leave behind what the job of the checks leaves when it has ended."""
    subject.run.write("checks", {**ANSWER, **changed})
    job = jobs.latest("rehearse", subject.key)
    assert job is not None
    if job.state == "queued":
        assert jobs.claim(job, "cpu")
    jobs.settle(job, "done")


class TestDrawer:
    def test_only_where_the_network_learns(self, open_page, fruit, keras_home):
        page = open_page("advice", data=fruit)  # not measured, nothing chosen
        assert "Check before you start" not in words(page)
        _advised(fruit, "little")
        page = checked(page.run())
        assert "All choices are the usual ones." not in words(page)
        press(page, "way_finetune_few")
        assert "All choices are the usual ones." in words(page)
        assert "Check before you start" in words(page)

    def test_it_is_closed_and_then_nothing_of_it_is_drawn(self, open_page, fruit, keras_home):
        _advised(fruit)
        page = open_page("advice", data=fruit)
        labels = {box.label for box in page.number_input}
        assert not labels & {choices.title(name) for name in choices.names()}
        config = started(page)
        assert (config.recipe, config.changes) == (Recipe(), Changes())

    def test_every_choice_has_a_field_and_its_line(self, open_page, fruit, keras_home):
        _advised(fruit)
        page = _opened(open_page("advice", data=fruit), fruit)
        kinds = ("number_input", "selectbox", "toggle")
        labels = [box.label for kind in kinds for box in getattr(page, kind)]
        wanted = [choices.title(name) for name in choices.names() if Choices().matters(name)]
        assert [title for title in wanted if labels.count(title) != 1] == []
        text = words(page)
        assert "right nearly always" in text  # of the optimizer that is chosen
        assert "gauges, arrows, 6 and 9" in text
        assert "96 of 100" not in text
        assert "Left and right may be swapped" in text
        assert "Crops keep at least 71 %" in text
        assert harmless(page)

    def test_what_is_chosen_is_trained(self, open_page, fruit, keras_home):
        _advised(fruit)
        page = _opened(open_page("advice", data=fruit), fruit)
        _set(page, "selectbox", "Optimizer", "momentum")
        _set(page, "selectbox", "Schedule of the rate", "step")
        _set(page, "number_input", "Number of drops", 3)
        _set(page, "number_input", "Learning rate", 0.01)
        _set(page, "number_input", "L1", 1e-4)
        _set(page, "toggle", "Early stopping", False)
        _set(page, "selectbox", choices.LEVEL, "strong")
        _set(page, "number_input", "Rotate", 15.0)
        _set(page, "toggle", "Upside down", True)
        assert "8 choices differ" not in words(page)
        assert "9 choices differ from the usual: Optimizer, Schedule of the rate" in words(page)
        config = started(page)
        assert config.recipe == Recipe("momentum", "step", drops=3, l1=1e-4, early_stopping=False)
        assert config.changes == Changes("strong", upside_down=True, rotation=15.0)
        assert config.learning_rate == 0.01

    def test_a_wrong_value_is_said_beside_its_field_and_starts_nothing(
        self, open_page, fruit, keras_home
    ):
        _advised(fruit)
        page = _opened(open_page("advice", data=fruit), fruit)
        _set(page, "number_input", "Dropout", 3.0)
        (problem,) = page.error
        assert "‘Dropout’ should be between 0\\.0 and 0\\.95" in problem.value
        press(page, "start")
        assert workshop.listed() == []
        assert len(page.error) == 2
        _set(page, "number_input", "Dropout", 0.5)
        assert not page.error
        assert started(page).dropout == 0.5

    def test_closed_again_it_forgets_what_was_wrong(self, open_page, fruit, keras_home):
        _advised(fruit)
        page = _opened(open_page("advice", data=fruit), fruit)
        _set(page, "number_input", "Dropout", 0.4)
        _set(page, "number_input", "Dropout", 3.0)
        page.session_state[f"drawer:{fruit}"] = False
        checked(page.run())
        assert started(page).dropout == 0.4

    def test_back_to_the_usual(self, open_page, fruit, keras_home):
        _advised(fruit)
        page = _opened(open_page("advice", data=fruit), fruit)
        _set(page, "number_input", "L2", 1e-3)
        assert "expert" in page.query_params
        press(page, "expert_usual")
        assert "All choices are the usual ones." in words(page)
        assert _box(page, "number_input", "L2").value == 0
        assert "expert" not in page.query_params
        assert started(page).recipe == Recipe()

    def test_choices_come_with_the_address_and_stay_when_the_page_is_left(
        self, open_page, fruit, keras_home
    ):
        _advised(fruit)
        text = Choices().put("l2", 0.01).to_text()
        page = open_page("advice", data=fruit, expert=text)
        assert "1 choice differs from the usual: L2." in words(page)
        page = _set(_opened(page, fruit), "number_input", "L1", 0.1)
        page.switch_page("views/data.py").run()
        page._page_hash = ""
        press(page, "next")
        assert "2 choices differ from the usual: L1 and L2." in words(page)

    def test_a_linear_way_gets_none_of_it(self, open_page, fruit, keras_home):
        _advised(fruit)
        text = Choices().put("l2", 0.01).to_text()
        page = press(open_page("advice", data=fruit, expert=text), "way_linear_top")
        assert started(page).recipe == Recipe()


class TestPreview:
    def test_a_change_is_seen_at_once(self, open_page, fruit, keras_home, real_process):
        _advised(fruit)
        page = _opened(open_page("advice", data=fruit), fruit)
        assert "drawn by a process of their own" in words(page)
        _wait_for("ready")
        page = checked(page.run())
        usual = _pictures(page)
        assert len(usual) == 12
        page = _set(page, "number_input", "Rotate", 90.0)
        turned = _pictures(page)
        assert turned[:6] == usual[:6]
        assert all(one != other for one, other in zip(turned[6:], usual[6:], strict=True))
        page = press(page, "preview_again")
        assert _pictures(page)[6:] != turned[6:]
        page = _set(page, "number_input", "Rotate", None)
        page = _set(page, "selectbox", choices.LEVEL, "none")
        still = _pictures(page)
        assert still[:6] == still[6:]

    def test_what_goes_wrong_is_a_sentence(self, open_page, fruit, keras_home, monkeypatch):
        _advised(fruit)
        monkeypatch.setattr(predictor, "state", lambda: "ready")

        def fails(asked: dict[str, Any]) -> dict[str, Any]:
            raise predictor.ServiceError("The disk is full.")

        monkeypatch.setattr(predictor, "preview", fails)
        page = _opened(open_page("advice", data=fruit), fruit)
        assert "The disk is full" in page.error[0].value


def _pictures(page: AppTest) -> list[str]:
    return [part.split('"')[0] for part in markup(page).split("data:image/jpeg;base64,")[1:]]


class TestChecks:
    @pytest.fixture
    def page(self, open_page, fruit, keras_home) -> AppTest:
        _advised(fruit)
        return open_page("advice", data=fruit)

    def test_they_are_begun_with_the_settings_of_the_page(self, page, fruit):
        _set(page, "radio", "May they be turned?", "Yes")
        _opened(page, fruit)
        _set(page, "number_input", "L2", 1e-3)
        config = _rehearsed(page).settings
        assert (config.strategy, config.recipe) == ("finetune_few", Recipe(l2=1e-3))
        assert (config.horizontal_flip, config.quarter_turns) == (True, True)  # guessed, said
        assert "rehearse" not in {button.key for button in page.button}

    def test_while_they_go_on_it_says_how_far_and_they_can_be_stopped(self, page):
        subject = _rehearsed(page)
        job = jobs.latest("rehearse", subject.key)
        assert job is not None
        assert jobs.claim(job, "cpu")
        subject.run.status("checks", done=3, total=6, words="Learning 20 pictures by heart")
        page.run()
        assert "Learning 20 pictures by heart, " in words(page)
        assert " left." in words(page)
        assert 'aria-valuenow="50"' in markup(page)
        press(page, "rehearse_stop")
        assert "Check before you start" in words(page)
        assert [job.kind for job in jobs.active()] == []

    def test_a_training_that_is_started_does_not_wait_for_them(self, page):
        job = jobs.latest("rehearse", _rehearsed(page).key)
        assert job is not None
        assert jobs.claim(job, "cpu")
        press(page, "start")
        assert [job.kind for job in jobs.active()] == ["train"]

    def test_what_failed_says_why_and_can_be_tried_again(self, page):
        subject = _rehearsed(page)
        job = jobs.latest("rehearse", subject.key)
        assert job is not None
        assert jobs.claim(job, "cpu")
        jobs.settle(job, "failed", "The disk is *full*.")
        page.run()
        assert "full" in page.error[0].value
        assert _rehearsed(page).key == subject.key

    def test_five_cards_each_with_a_light_in_words_and_a_reason(self, page, fruit):
        subject = _rehearsed(page)
        _answered(subject)
        page = checked(page.run())
        text = words(page)
        for card in ("What the network sees", "The loss at the start", "20 pictures by heart",
                     "The learning rate", "What it will take"):  # fmt: skip
            assert card in text
        assert text.count("All right") == 3
        assert text.count("Look at this") == 1
        assert text.count("Mend this first") == 1
        assert "Something would spoil the training." in text
        assert "16 (32 did not fit into memory)" in text
        assert "begins at once" in text
        charts = [chart.proto.spec for chart in page.get("vega_lite_chart")]
        assert sum("learning rate (logarithmic)" in spec for spec in charts) == 1
        assert "use_rate" not in {button.key for button in page.button}  # none was chosen
        assert {button.key for button in page.button} >= {"start"}
        assert harmless(page)

    def test_what_could_not_be_read_is_left_out(self, page):
        _answered(_rehearsed(page), overfit=None, cost={"light": "blue"}, pictures=None)
        text = words(checked(page.run()))
        assert "The loss at the start" in text
        assert "What it will take" not in text
        assert "What the network sees" not in text

    def test_the_rate_is_used_and_what_is_shown_is_then_of_other_settings(self, page, fruit):
        found = {**ANSWER["rate_range"], "chosen": 7.1e-4, "light": "green"}
        _answered(_rehearsed(page), rate_range=found)
        page = checked(page.run())
        assert page.button(key="use_rate").label == "Use this rate: 0.00071"
        press(page, "use_rate")
        assert page.button(key="use_rate").disabled
        assert "1 choice differs from the usual: Learning rate." in words(page)
        assert "learning rate was 0.001 and is 0.00071" in words(page)
        assert page.button(key="rehearse").label == "Check again with these settings"
        assert "What it will take" in words(page)
        assert started(page).learning_rate == 7.1e-4

    def test_checks_of_an_earlier_visit_are_there_and_stay_there(self, page, open_page, fruit):
        found = {**ANSWER["rate_range"], "chosen": 7.1e-4, "light": "green"}
        _answered(_rehearsed(page), rate_range=found)
        page = open_page("advice", data=fruit)
        assert "What it will take" in words(page)
        press(page, "use_rate")
        assert page.button(key="rehearse").label == "Check again with these settings"
        press(page, "expert_usual")
        assert "rehearse" not in {button.key for button in page.button}

    def test_the_place_in_the_queue(self, page, open_page, fruit):
        _answered(_rehearsed(page))
        press(page, "start")
        page = open_page("advice", data=fruit)
        press(page, "start")
        text = words(checked(open_page("advice", data=fruit).run()))
        assert "after 2 jobs in the queue" in text


def test_pictures_of_the_checks_are_served_to_who_has_the_link(fruit):
    config = starting.RunConfig(fruit, "builtin", 96, strategy="finetune_few")
    subject = starting.of(config)
    subject.run.start(config)
    subject.run.checks_folder.mkdir(parents=True)
    path = subject.run.checks_folder / "plain-00.png"
    Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(path)
    link = rehearsals.links(subject)
    with serving(rehearsals.routes()) as port:
        status, _, content = get(port, link.format(name="plain-00.png"))
        assert (status, content) == (200, path.read_bytes())
        for name in ("plain-01.png", "..%2fconfig.json", "config.json", "%2e%2e"):
            assert get(port, link.format(name=name))[0] == 404
        assert get(port, "/api/rehearsals/forged/plain-00.png")[0] == 403
