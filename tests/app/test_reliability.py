"""What a run's folder says of its certainty, and the pages that tell of it."""

import json
import re

import pytest

from app import jobs, reliability, several_views, workshop
from app.components import unsure
from app.predictor import Answer
from tests.app.conftest import Store, markup, press, words
from transfer import calibration, silence
from transfer.errors import SettingsError
from transfer.runs import Run

ACCURACY = {"accuracy": 0.9, "low": 0.8, "high": 0.95, "n": 60}


def _measured(run: Run, **changes: object) -> None:
    row = {"kind": "none", "views": 1, "milliseconds": 10.0, "accuracy": ACCURACY}
    row |= {"gain": 0.0, "low": 0.0, "high": 0.0, "p": 1.0}
    flip = row | {"kind": "flip", "views": 2, "milliseconds": 21.0}
    flip |= {"gain": 0.05, "low": 0.01, "high": 0.09} | changes
    told = {"part": "test", "pictures": 60, "mirror": True, "kinds": [row, flip]}
    run.write("test_time", told)


class TestReliability:
    def test_a_real_run_tells_of_its_certainty(self, finished: Store):
        run = workshop.run(finished.run_id)
        told = reliability.read(run)
        assert told is not None
        assert told["fitted_on"] == "held_out"
        assert reliability.part(told) == "test"
        for one in told["parts"].values():
            assert one["after"]["nll"] <= one["before"]["nll"]
        for theme in ("light", "dark"):
            drawn = reliability.diagram(told, theme)["data"]["values"]
            now = [one for one in drawn if one["when"] == "now"]
            assert len(now) == len(told["parts"]["test"]["bins"])
            assert sum(one["pictures"] for one in now) == told["parts"]["test"]["after"]["n"]
            assert reliability.in_words(told).count(" sure: right ") == len(now)
        assert [row["Pictures"].split(" (")[0] for row in reliability.rows(told)][::2] == [
            "training, left out", "validation", "never seen",
        ]  # fmt: skip

    def test_what_is_damaged_is_not_shown(self, finished: Store):
        run = workshop.run(finished.run_id)
        told = run.read("calibration")
        assert told is not None
        run.write("calibration", {**told, "temperature": "hot"})
        assert reliability.read(run) is None
        (run.folder / "calibration.json").write_text("{")
        assert reliability.read(run) is None

    def test_what_it_keeps_its_word_on(self, finished: Store):
        told = reliability.read(workshop.run(finished.run_id))
        assert told is not None
        promises = reliability.promises(told)
        assert [one.target for one in promises] == sorted(calibration.TARGETS)
        said = {one.target: reliability.kept(one) for one in promises}
        assert all("answers on" in one or "never answer" in one for one in said.values())
        assert not any("100 % of the pictures" in one for one in said.values())
        shares = [one.expected[0].accuracy for one in promises]
        assert shares == sorted(shares, reverse=True)


class TestTheResultsPage:
    def test_the_slider_is_kept_and_the_model_written_anew(self, open_page, finished: Store):
        run = workshop.run(finished.run_id)
        before = silence.limit(run)
        other = next(
            one
            for one in (reliability.read(run) or {})["answering"]
            if one["threshold"] != before and one["threshold"] <= 1
        )
        page = open_page("results", run=finished.run_id)
        assert "Can its percentages be believed?" in words(page)
        slider = next(one for one in page.select_slider if "it is to be right" in one.label)
        slider.set_value(other["target"]).run()
        press(page, "keep_target")
        assert silence.limit(run) == other["threshold"]
        assert run.read("export") is None
        assert "This is what the model does now." in words(page)

    def test_a_model_that_would_never_answer_cannot_be_kept(self, open_page, finished: Store):
        run = workshop.run(finished.run_id)
        told = run.read("calibration")
        assert told
        before = silence.limit(run)
        told["answering"] = [
            one | ({"threshold": 2.0} if one["target"] == calibration.TARGETS[-1] else {})
            for one in told["answering"]
        ]
        run.write("calibration", told)
        page = open_page("results", run=finished.run_id)
        slider = next(one for one in page.select_slider if "it is to be right" in one.label)
        slider.set_value(calibration.TARGETS[-1]).run()
        assert "it would never answer" in words(page)
        assert "keep_target" not in {button.key for button in page.button}
        assert silence.limit(run) == before

    def test_several_views_are_measured_before_they_are_switched_on(
        self, open_page, finished: Store
    ):
        run = workshop.run(finished.run_id)
        page = press(open_page("results", run=finished.run_id), "views")
        (job,) = jobs.active()
        assert (job.kind, job.target) == ("views", finished.run_id)
        assert "It waits for its turn. You can leave." in words(page)
        jobs.cancel(job)
        _measured(run)
        page = open_page("results", run=finished.run_id)
        assert "right 5.0 points more often, and takes 2.1 times as long." in words(page)
        before = run.config()
        press(page, "with_views")
        (made,) = (one for one in workshop.listed() if one.folder.name != finished.run_id)
        assert (made.config().test_time, made.config().horizontal_flip) == ("flip", True)
        assert run.config() == before

    def test_a_run_of_an_earlier_version_has_no_such_cards(self, open_page, finished: Store):
        run = workshop.run(finished.run_id)
        run.forget("calibration")
        config = json.loads((run.folder / "config.json").read_text())
        run.write("config", {**config, "test_time": "flip"})
        page = open_page("results", run=finished.run_id)
        assert "Can its percentages be believed?" not in words(page)
        assert "several looks" not in words(page)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"gain": -0.01}, "None of them would have been right more often"),
        ({"low": -0.02}, "takes 2.1 times as long. That may be chance."),
    ],
)
def test_a_gain_that_is_none_is_not_praised(finished: Store, changes, said):
    run = workshop.run(finished.run_id)
    _measured(run, **changes)
    found = several_views.read(run)
    assert found is not None
    assert said in several_views.sentence(found)
    assert "a little too kind" in several_views.caution(found)
    run.write("test_time", {"part": 3})
    assert several_views.read(run) is None


def test_only_what_was_measured_can_be_chosen(finished: Store):
    with pytest.raises(SettingsError, match="should be one of 80, 85"):
        silence.choose(workshop.run(finished.run_id), 0.5)


def test_the_page_use_says_when_it_would_rather_be_silent():
    plain = Answer(("a", "b"), (0.6, 0.4), 5.0)
    assert "even for a picture of something else" in unsure.limits(plain)
    knows = Answer(("a", "b"), (0.6, 0.4), 5.0, {"known": False, "strangeness": 2.5})
    assert unsure.limits(knows) == "It can only name its 2 classes."


def test_pictures_of_something_else_are_none_of_these(open_page, served, tmp_path):
    import io

    import numpy as np
    from PIL import Image

    noise = np.random.default_rng(0).integers(0, 256, (96, 96, 3), np.uint8)
    data = io.BytesIO()
    Image.fromarray(noise).save(data, "PNG")
    page = open_page("use", run=served.run_id)
    page.file_uploader[0].set_value(("noise.png", data.getvalue(), "image/png")).run(timeout=120)
    assert re.search('data-silent="unknown"', markup(page))
    assert "None of these" in words(page)
