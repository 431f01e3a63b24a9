"""The page "advice" before, while and after the pictures are measured, and what is made of it."""

import html
import json
import re
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from app import datasets, jobs, ways, workshop
from app.advising import Subject
from tests.app import advices
from tests.app.conftest import harmless, markup, press, put_weights, started, title, words
from transfer import catalog
from transfer.config import RunConfig


def _box(page: AppTest, kind: str, label: str) -> Any:
    (box,) = [box for box in getattr(page, kind) if box.label == label]
    return box


def _subject(digest: str) -> Subject:
    """What is measured where there are no other weights."""
    spec = catalog.backbone(catalog.BUILTIN)
    return Subject(digest, spec.name, spec.input_size)


def _job(digest: str) -> jobs.Job:
    job = jobs.latest("advise", _subject(digest).key)
    assert job is not None
    return job


def _measured(digest: str, *verdicts: str, **changes: Any) -> None:
    advices.measure(_subject(digest), advices.advice(*verdicts, changes=changes))


def _charts(page: AppTest) -> list[dict[str, Any]]:
    return [json.loads(chart.proto.spec) for chart in page.get("vega_lite_chart")]


def _labels(page: AppTest) -> dict[str, str]:
    """Return for each cell what its button says."""
    return {cell.strategy: page.button(key=f"way_{cell.strategy}").label for cell in ways.CELLS}


class TestMeasuring:
    def test_opening_the_page_begins_it_once(self, open_page, fruit, keras_home):
        page = open_page("advice", data=fruit)
        subject = _subject(fruit)
        assert [(job.kind, job.target) for job in jobs.active()] == [("advise", subject.key)]
        assert subject.run.config() == RunConfig(
            fruit, subject.backbone, subject.image_size, strategy="auto"
        )
        assert "It begins in a moment." in words(page)
        assert "You need not wait for it" in words(page)
        page.run()
        open_page("advice", data=fruit)
        assert len(jobs.active()) == 1

    def test_while_it_goes_on_it_says_how_far_it_is(self, open_page, fruit, keras_home):
        page = open_page("advice", data=fruit)
        assert jobs.claim(_job(fruit), "cpu")
        page.run()
        assert "Starting." in words(page)
        _subject(fruit).run.status(
            "features", done=24, total=60, words="Looking at the pictures", seconds_left=40
        )
        page.run()
        text = "Looking at the pictures: 24 of 60 pictures, about 40 seconds left."
        assert text in words(page)
        assert 'aria-valuenow="40"' in markup(page)
        assert set(_labels(page).values()) == {"Choose this"}
        assert not page.button(key="start").disabled

    def test_the_start_button_does_not_wait_for_it(self, open_page, fruit, keras_home):
        page = open_page("advice", data=fruit)
        assert started(page).strategy == "auto"  # the training is all that is in the queue then
        assert _job(fruit).state == "cancelled"
        page = open_page("advice", data=fruit)
        assert "A training of these pictures that is under way measures them." in words(page)
        assert {job.kind for job in jobs.active()} == {"train"}

    def test_what_a_training_measured_is_taken_over(self, open_page, fruit, keras_home):
        press(open_page("advice", data=fruit), "start")
        (run,) = workshop.listed()
        run.write("advice", advices.advice("different", "little"))
        page = open_page("advice", data=fruit)
        assert title(page).startswith("Your pictures are unlike what the network knows, and")
        workshop.delete(run)
        assert title(open_page("advice", data=fruit)) == title(page)

    def test_what_failed_says_why_and_can_be_tried_again(self, open_page, fruit, keras_home):
        page = open_page("advice", data=fruit)
        assert jobs.claim(_job(fruit), "cpu")
        jobs.settle(_job(fruit), "failed", "The disk is *full*.")
        page.run()
        assert "The disk is *full*." in re.sub(r"\\(\W)", r"\1", page.error[0].value)
        assert "Nothing was lost." in words(page)
        page.run()
        assert _job(fruit).state == "failed"  # not begun again unasked
        assert not page.button(key="start").disabled
        press(page, "measure")
        assert _job(fruit).state == "queued"
        assert "It begins in a moment." in words(page)

    def test_what_no_version_understands_is_a_failure_too(self, open_page, fruit, keras_home):
        page = open_page("advice", data=fruit)
        assert jobs.claim(_job(fruit), "cpu")
        advices.measure(_subject(fruit), {"strategy": "linear_top"})
        jobs.settle(_job(fruit), "done")
        page.run()
        assert "without an advice that this version understands" in page.error[0].value
        press(page, "measure")
        assert _subject(fruit).run.read("advice") is None

    def test_another_network_takes_the_place_of_what_is_measured(
        self, open_page, fruit, keras_home
    ):
        put_weights("EfficientNetV2B0")
        page = press(open_page("advice", data=fruit), "choose_EfficientNetV2B0")
        assert [job.target for job in jobs.active()] == [
            Subject(fruit, "EfficientNetV2B0", 224).key
        ]
        press(page, "choose_builtin")
        assert [job.target for job in jobs.active()] == [_subject(fruit).key]

    def test_weights_are_not_fetched_unasked(self, open_page, fruit, keras_home):
        page = press(open_page("advice", data=fruit), "choose_EfficientNetV2B0")
        assert jobs.active() == []
        megabytes = catalog.backbone("EfficientNetV2B0").weight_megabytes
        assert f"it is a download of {megabytes:.0f} MB" in words(page)
        press(page, "measure")
        assert [job.target for job in jobs.active()] == [
            Subject(fruit, "EfficientNetV2B0", 224).key
        ]

    def test_a_size_of_its_own_is_measured_on_its_own(self, open_page, fruit, keras_home):
        page = open_page("advice", data=fruit)
        _box(page, "number_input", "Input size in pixels").set_value(160).run()
        assert [job.target for job in jobs.active()] == [f"{fruit}-builtin-160"]


class TestAdvised:
    @pytest.mark.parametrize("verdicts", list(advices.CELLS))
    def test_each_cell(self, open_page, fruit, keras_home, verdicts):
        _measured(fruit, *verdicts)
        page = open_page("advice", data=fruit)
        likeness, amount = verdicts
        assert f"Your pictures are {'un' if likeness == 'different' else ''}like" in title(page)
        assert title(page).endswith(f"there are {'few' if amount == 'little' else 'many'} of them.")
        advised = advices.CELLS[verdicts]
        assert _labels(page) == {
            cell.strategy: "Chosen" if cell.strategy == advised else "Choose this instead"
            for cell in ways.CELLS
        }
        name = html.escape(ways.cell(advised).title)
        cell = markup(page).split(f'<p class="class-name">{name}</p>')[1].split("<p class=", 3)[2]
        assert '<span class="tag">advised</span>' in cell
        tuned = amount == "lots"
        assert ("May the pictures be mirrored?" in {box.label for box in page.radio}) is tuned
        subject = _subject(fruit)
        assert started(page) == RunConfig(
            dataset=fruit,
            backbone=subject.backbone,
            image_size=subject.image_size,
            strategy="auto",
            budget=1800.0 if tuned else None,
        )

    def test_the_dot_is_where_it_was_measured(self, open_page, fruit, keras_home):
        _measured(fruit, "different", "little")
        drawn = markup(open_page("advice", data=fruit))
        assert '<span class="dot" style="left:80.0%;top:22.0%">' in drawn
        assert '<span class="across" style="left:71.0%;width:17.0%;top:22.0%">' in drawn
        assert '<span class="down" style="top:15.0%;height:14.0%;left:80.0%">' in drawn

    def test_the_evidence(self, open_page, fruit, keras_home):
        _measured(fruit, "different", "little")
        page = open_page("advice", data=fruit)
        profile, curve = _charts(page)
        assert profile["layer"][0]["encoding"]["x"]["title"] == "stage of the network"
        assert curve["layer"][0]["encoding"]["x"]["scale"]["type"] == "log"
        assert "Stage 4 knows your pictures better than the last one" in words(page)
        for reason in advices.advice("different", "little")["reasons"]:
            assert reason in words(page)
        for figure in ("0.221 ± 0.004", "97 % sure", "+3.1 points", "0.80 (0.71 to 0.88)"):
            assert figure in words(page), figure
        stages, steps = (frame.value for frame in page.expander[0].dataframe)
        assert {"stage", "layer", "accuracy", "standard error"} == {*stages.columns}
        assert len(steps) == 4
        assert harmless(page)

    def test_every_figure_has_its_why(self, open_page, fruit, keras_home):
        _measured(fruit)
        page = open_page("advice", data=fruit)
        heads = re.findall(r"<h2>(.*?)</h2>", markup(page))
        whys = [one for one in page.get("popover") if one.proto.popover.label == "Why?"]
        assert len(whys) == len(heads)

    def test_a_network_without_batch_normalization(self, open_page, fruit, keras_home):
        likeness = advices.advice()["similarity"]
        likeness |= {"bn_shift": None, "bn_shift_error": None, "measure": "feature_shift"}
        _measured(fruit, similarity=likeness)
        page = open_page("advice", data=fruit)
        assert "not to be had: this network has no BatchNorm" in words(page)
        assert "by feature_shift" in words(page)

    def test_a_close_call_is_called_one(self, open_page, fruit, keras_home):
        size = advices.advice("similar", "little")["size"] | {"confidence": 0.55}
        _measured(fruit, "similar", "little", size=size)
        page = open_page("advice", data=fruit)
        assert "It is a close call whether they are few" in words(page)
        assert "55 % sure" in words(page)

    def test_what_was_not_measured_is_left_out(self, open_page, fruit, keras_home):
        likeness = advices.advice()["similarity"] | {"stage_profile": []}
        size = advices.advice()["size"] | {"curve": [], "slope": None}
        _measured(fruit, similarity=likeness, size=size, costs={}, augmentation=None)
        page = open_page("advice", data=fruit)
        assert _charts(page) == []
        assert "The stages were not measured." in words(page)
        assert "on this machine" not in markup(page).split("Which network?")[0]
        box = _box(page, "radio", "May the pictures be mirrored?")
        assert box.options == ["Find out", "Yes", "No"]


class TestOverruling:
    def test_it_says_what_it_costs_and_another_click_takes_it_back(
        self, open_page, fruit, keras_home
    ):
        _measured(fruit, "similar", "little")
        page = press(open_page("advice", data=fruit), "way_finetune_many")
        assert _labels(page) == {
            "linear_top": "Follow the advice",
            "linear_stages": "Choose this instead",
            "finetune_few": "Choose this instead",
            "finetune_many": "Take it back",
        }
        assert "Your choice: Retrain most of it, on Built-in" in words(page)
        assert (
            "It takes up to about 15 minutes on this machine; the advised way takes about 10"
            in (words(page))
        )
        assert "learn them by heart (overfitting)" in words(page)
        press(page, "way_finetune_many")
        assert _labels(page)["linear_top"] == "Chosen"
        assert "learn them by heart" not in words(page)
        press(press(page, "way_finetune_few"), "way_linear_top")
        assert _labels(page)["linear_top"] == "Chosen"
        assert started(page).strategy == "auto"

    @pytest.mark.parametrize("strategy", [cell.strategy for cell in ways.CELLS])
    def test_what_is_chosen_is_trained(self, open_page, fruit, keras_home, strategy):
        _measured(fruit)
        page = open_page("advice", data=fruit)
        if strategy == "finetune_few":  # the advised one: in another way it goes back to it
            press(page, "way_linear_top")
        press(page, f"way_{strategy}")
        assert started(page).strategy == ("auto" if strategy == "finetune_few" else strategy)

    def test_it_outlives_a_page_that_is_loaded_anew(self, open_page, fruit, keras_home):
        _measured(fruit)
        page = press(open_page("advice", data=fruit), "way_finetune_many")
        _box(page, "radio", "May they be turned?").set_value("Yes").run()
        again = open_page("advice", **dict(page.query_params))
        assert _labels(again)["finetune_many"] == "Take it back"
        assert _box(again, "radio", "May they be turned?").value == "Yes"
        config = started(again)
        assert (config.strategy, config.quarter_turns) == ("finetune_many", True)

    def test_before_there_is_an_advice(self, open_page, fruit, keras_home):
        page = press(open_page("advice", data=fruit), "way_linear_top")
        assert "Your choice: Read the network's last impression" in words(page)
        _measured(fruit, "similar", "little")
        page.run()
        assert _labels(page)["linear_top"] == "Take it back"
        assert "learn them by heart" not in words(page)
        assert started(page).strategy == "linear_top"


class TestQuestions:
    def test_the_measured_guess_is_chosen_and_says_why(self, open_page, fruit, keras_home):
        _measured(fruit)
        page = open_page("advice", data=fruit)
        assert _box(page, "radio", "May the pictures be mirrored?").value == "Yes"
        assert _box(page, "radio", "May they be turned?").value == "No"
        told = words(page).replace("\u00a0", " ")
        advice = advices.advice()["augmentation"]["turn"]
        assert f"was right on {100 * advice['accuracy']:.0f} % as they are" in told
        assert "and on 61 % turned. So better not." in told
        assert '<div class="turned">' in markup(page)

    def test_what_is_changed_goes_into_the_run(self, open_page, fruit, keras_home):
        _measured(fruit)
        page = open_page("advice", data=fruit)
        _box(page, "radio", "May they be turned?").set_value("Yes").run()
        config = started(page)
        assert (config.horizontal_flip, config.quarter_turns) == (None, True)

    def test_what_is_changed_back_is_left_to_the_measurement(self, open_page, fruit, keras_home):
        _measured(fruit)
        page = open_page("advice", data=fruit)
        _box(page, "radio", "May the pictures be mirrored?").set_value("No").run()
        _box(page, "radio", "May the pictures be mirrored?").set_value("Yes").run()
        assert started(page).horizontal_flip is None

    def test_of_a_linear_classifier_nothing_is_asked(self, open_page, fruit, keras_home):
        _measured(fruit)
        page = open_page("advice", data=fruit)
        _box(page, "radio", "May they be turned?").set_value("Yes").run()
        press(page, "way_linear_top")
        assert page.radio.len == 0
        assert started(page).quarter_turns is None

    def test_without_an_advice_both_are_left_open(self, open_page, fruit, keras_home):
        page = press(open_page("advice", data=fruit), "way_finetune_many")
        assert _box(page, "radio", "May they be turned?").value == "Find out"
        _box(page, "radio", "May the pictures be mirrored?").set_value("No").run()
        config = started(page)
        assert (config.horizontal_flip, config.quarter_turns) == (False, None)


def test_the_advice_is_checked_within_a_time(open_page, fruit, keras_home):
    _measured(fruit, "different", "little")
    page = press(open_page("advice", data=fruit), "way_linear_top")
    assert "All four may take up to about 22 minutes on this machine." in words(page)
    _box(page, "selectbox", "Time for all four").set_value("30 minutes").run()
    assert "All four take up to about 22 minutes on this machine." in words(page)
    press(page, "check_advice")
    (run,) = workshop.listed()
    assert run.about()["name"] == "Fruit, Built-in, all four ways"
    config = run.config()
    assert (config.strategy, config.budget, config.epochs) == ("all", 1800.0, None)


def test_checking_without_an_advice_takes_a_quarter_of_an_hour(open_page, fruit, keras_home):
    press(open_page("advice", data=fruit), "check_advice")
    (run,) = workshop.listed()
    assert (run.config().strategy, run.config().budget) == ("all", 900.0)


def test_a_data_set_with_an_odd_name_and_hostile_reasons(open_page, fruit, keras_home):
    datasets.rename(fruit, "<b>")
    _measured(fruit, reasons=["<script>alert(1)</script>", "![x](//e.org/x)"])
    page = open_page("advice", data=fruit)
    assert harmless(page)
    assert "&lt;script&gt;" in markup(page)
