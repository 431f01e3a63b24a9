"""The frame of all pages: the path in the bar, the titles, and that every page opens anywhere."""

import html
from typing import Any

import pytest

from app import frame, jobs, state, workshop
from app.workshop import Standing
from tests.app.conftest import markup, press, running, title, words
from transfer.config import RunConfig

NOWHERE = {"data": "nonsense", "run": "deleted"}


def _path(page: Any) -> dict[str, tuple[str, bool, str]]:
    """Return for each link of the bar: (its label, whether it can be pressed, why not)."""
    links = [link.proto for link in page.get("page_link")][:6]
    names = [*state.STEPS, "runs"]
    return {
        name: (link.label, not link.disabled, link.help)
        for name, link in zip(names, links, strict=True)
    }


def test_at_first_only_pictures_can_be_chosen(open_page):
    path = _path(open_page("data"))
    assert [name for name, (_, open_, _) in path.items() if open_] == ["data", "runs"]
    assert path["data"][0] == "**1 Data**"
    assert path["advice"] == ("2 Advice", False, "Choose pictures first.")
    assert path["train"][2] == "Start a training first."
    assert path["results"][2] == "There are results once a training has finished."
    assert path["use"][2] == "There is a model to use once a training has finished."


def test_with_pictures_the_advice_is_next(open_page, fruit):
    path = _path(open_page("advice", data=fruit))
    assert [name for name, (_, open_, _) in path.items() if open_] == ["data", "advice", "runs"]
    assert path["data"][0] == "✓ Data"
    assert path["advice"][0] == "**2 Advice**"


def test_with_a_training_the_path_goes_up_to_it(open_page, queued):
    path = _path(open_page("train", run=queued.folder.name))
    open_ = [name for name, (_, pressed, _) in path.items() if pressed]
    assert open_ == ["data", "advice", "train", "runs"]
    assert [path[name][0] for name in ("data", "advice", "train")] == [
        "✓ Data", "✓ Advice", "**3 Train**",
    ]  # fmt: skip


def test_with_a_result_the_whole_path_is_open(open_page, finished):
    path = _path(open_page("train", run=finished.run_id))
    assert all(pressed for _, pressed, _ in path.values())
    assert [label for label, _, _ in path.values()] == [
        "✓ Data", "✓ Advice", "**3 Train**", "✓ Results", "5 Use", "Runs",
    ]  # fmt: skip


def test_the_links_carry_the_place_along(open_page, finished):
    page = open_page("train", run=finished.run_id)
    for link in page.get("page_link")[:6]:
        assert link.proto.query_string == f"data={finished.digest}&run={finished.run_id}"


@pytest.mark.parametrize("page", state.PAGES)
@pytest.mark.parametrize("query", [{}, NOWHERE, {"data": "nonsense"}, {"run": "deleted"}])
def test_every_page_opens_with_nothing_and_with_a_bad_address(open_page, page, query):
    opened = open_page(page, **query)
    assert title(opened)
    assert "Traceback" not in words(opened)


@pytest.mark.parametrize("page", ["data", "advice", "train", "results", "use"])
@pytest.mark.parametrize("query", [{}, NOWHERE])
def test_there_is_always_a_way_on(open_page, page, query):
    opened = open_page(page, **query)
    uploader = [e for e in opened.get("bidi_component") if e.proto.component_name != "theme_switch"]
    assert uploader or any(not button.disabled for button in opened.button)


def test_the_button_of_an_empty_page_leads_to_where_it_is_filled(open_page, fruit):
    for page, lands in (("advice", "Show me"), ("train", "Show me"), ("use", "Show me")):
        assert title(press(open_page(page), "fill")).startswith(lands)
    assert title(press(open_page("train", data=fruit), "fill")).startswith("Build on")


def test_one_title_and_one_main_button(open_page, finished):
    for page in ("data", "advice", "train"):
        opened = open_page(page, run=finished.run_id)
        title(opened)
        assert len([b for b in opened.button if b.proto.type == "primary"]) == 1


def test_words_of_a_standing():
    said = {
        word: frame.standing_words(Standing(word))
        for word in ("waiting", "running", "exporting", "finished", "stopped", "failed")
    }
    assert len(set(said.values())) == 6
    assert all(sentence[0].isupper() for sentence in said.values())


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", "a & b", "قطط", '"猫"'])
def test_the_name_of_a_run_is_only_ever_text(open_page, fruit, name):
    run = workshop.start(RunConfig(dataset=fruit, backbone="builtin", image_size=96), name)
    assert "<script" not in markup(open_page("train", run=run.folder.name))
    running(run)
    page = open_page("train", run=run.folder.name)
    assert html.escape(name) in markup(page)
    job = jobs.latest("train", run.folder.name)
    assert job
    jobs.settle(job, "done")
    page = open_page("train", run=run.folder.name)
    assert title(page) == "Stopped."
    assert html.escape(name) in markup(page)
    assert "<script" not in markup(page)


def test_the_main_buttons_lead_from_pictures_to_the_queue(open_page, sample_folder, home):
    (home / "sample").mkdir()
    (home / "sample" / "fruit").symlink_to(sample_folder)  # drawn before, as the server does it
    page = open_page("data")
    assert title(page) == "Show me what to tell apart."
    press(page, "sample")
    assert title(page) == "72 pictures in 3 classes."
    press(page, "next")
    assert title(page) == "Build on a network that can already see."
    press(page, "start")
    assert title(page) == "It starts in a moment."
    (run,) = workshop.listed()
    assert page.query_params == {"data": run.config().dataset, "run": run.folder.name}
    assert [job.target for job in jobs.active()] == [run.folder.name]


def test_the_main_buttons_lead_from_a_finished_training_to_the_model(open_page, served):
    page = open_page("train", run=served.run_id)
    assert title(page) == "It has learned."
    press(page, "next")
    assert page.query_params == {"data": served.digest, "run": served.run_id}
    assert "never seen" in words(page)
    press(page, "next")
    assert title(page) == "Take it with you."
    assert page.query_params == {"data": served.digest, "run": served.run_id}
