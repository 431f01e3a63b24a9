"""The page "advice": what it measured and recommends, what can be chosen, what is trained then."""

import html
import shutil
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from app import datasets, jobs, workshop
from tests.app.conftest import harmless, markup, press, put_weights, started, title, words
from transfer import catalog
from transfer.config import RunConfig
from transfer.dataset import library


def _box(page: AppTest, kind: str, label: str) -> Any:
    (box,) = [box for box in getattr(page, kind) if box.label == label]
    return box


def _card(page: AppTest, name: str) -> str:
    """Return what the card of a network says."""
    (card,) = [
        part for part in markup(page).split("<p><span") if f">{html.escape(name)}</span>" in part
        and "million parameters" in part
    ]  # fmt: skip
    return card


def test_pictures_come_first(open_page):
    page = open_page("advice")
    assert title(page) == "First the pictures."
    assert [button.label for button in page.button] == ["Choose pictures"]


@pytest.mark.parametrize("digest", ["nonsense", "0" * 32])
def test_pictures_that_are_gone(open_page, digest):
    page = open_page("advice", data=digest)
    assert title(page) == "The pictures are not here."
    assert "no longer in the store" in words(page)
    assert title(press(page, "fill")) == "These pictures are not here."


def test_one_class_is_not_enough(open_page, sample_folder, tmp_path):
    (tmp_path / "p" / "small").mkdir(parents=True)
    shutil.copytree(sample_folder / "apple", tmp_path / "p" / "apple")
    picture = next((sample_folder / "lemon").iterdir())
    (tmp_path / "p" / "small" / "1.jpg").write_bytes(picture.read_bytes())
    index = library.import_dataset(tmp_path / "p", minimum_classes=1)
    page = open_page("advice", data=index.digest)
    assert title(page) == "One class is not enough."
    assert "At least 2 classes with 4 or more pictures each" in words(page)
    assert "start" not in {button.key for button in page.button}
    assert title(press(page, "fill")) == "25 pictures in 2 classes."


def test_without_weights_it_recommends_the_built_in_network_and_says_why(
    open_page, fruit, keras_home
):
    page = open_page("advice", data=fruit)
    assert title(page) == "Build on a network that can already see."
    assert "your 72 teach it what to tell apart: apple, lemon and lime" in words(page)
    assert "recommended" in _card(page, "Built-in")
    assert "part of this program" in words(page)
    assert "download of 9 MB at the start" in _card(page, "MobileNetV2")
    assert "on this machine" in _card(page, "Built-in")
    chosen = [button.key for button in page.button if button.label == "Chosen"]
    assert chosen == ["choose_builtin"]
    assert page.button(key="choose_builtin").disabled


def test_with_weights_it_recommends_the_usual_network(open_page, fruit, keras_home):
    put_weights(catalog.DEFAULT_BACKBONE)
    page = open_page("advice", data=fruit)
    assert "recommended" in _card(page, catalog.DEFAULT_BACKBONE)
    assert "recommended" not in _card(page, "Built-in")
    assert "on this machine" in _card(page, catalog.DEFAULT_BACKBONE)
    press(page, "choose_builtin")
    assert "which has seen photographs, is here too and does better" in words(page)
    config = started(page)
    assert config.backbone == catalog.BUILTIN


def test_the_recommended_start_is_trained_when_nothing_is_changed(open_page, fruit, keras_home):
    assert started(open_page("advice", data=fruit)) == RunConfig(
        dataset=fruit,
        backbone=catalog.BUILTIN,
        image_size=catalog.backbone(catalog.BUILTIN).input_size,
        strategy="auto",
        budget=1800.0,
    )
    (run,) = workshop.listed()
    assert run.about()["name"] == "Fruit, Built-in"


def test_a_network_whose_weights_are_missing_says_what_it_takes(open_page, fruit, keras_home):
    page = press(open_page("advice", data=fruit), "choose_EfficientNetV2B0")
    assert "downloaded when the training starts" in words(page)
    assert "nothing of yours goes out" in words(page)
    assert page.button(key="choose_EfficientNetV2B0").label == "Chosen"
    assert page.button(key="choose_builtin").label == "Choose"
    config = started(page)
    assert (config.backbone, config.image_size) == ("EfficientNetV2B0", 224)


def test_every_network_of_the_catalog_can_be_chosen(open_page, fruit, keras_home):
    page = open_page("advice", data=fruit)
    names = _box(page, "selectbox", "Network").options
    assert sorted(names) == sorted(catalog.names())
    (table,) = page.dataframe
    assert len(table.value) == len(names)
    rare = next(name for name in names if f"choose_{name}" not in {b.key for b in page.button})
    _box(page, "selectbox", "Network").set_value(rare).run()
    assert not page.exception
    assert page.button(key=f"choose_{rare}").label == "Chosen"
    assert started(page).backbone == rare


def test_the_choice_is_kept_for_its_data_set_while_the_page_is_left(open_page, fruit, keras_home):
    page = press(open_page("advice", data=fruit), "choose_MobileNetV2")
    page.switch_page("views/data.py").run()
    page._page_hash = ""
    press(page, "next")
    assert page.button(key="choose_MobileNetV2").label == "Chosen"


def test_a_way_and_its_settings_are_trained_as_chosen(open_page, fruit, keras_home):
    page = press(open_page("advice", data=fruit), "way_linear_top")
    assert _box(page, "number_input", "Epochs, at most").disabled
    assert _box(page, "selectbox", "Time limit").value == "no limit"
    press(page, "way_finetune_few")
    assert _box(page, "selectbox", "Time limit").value == "30 minutes"
    _box(page, "number_input", "Epochs, at most").set_value(7)
    _box(page, "selectbox", "Time limit").set_value("1 hour")
    _box(page, "number_input", "Input size in pixels").set_value(128)
    _box(page, "number_input", "Seed").set_value(42)
    _box(page, "text_input", "Name of this run").set_value("  My \n try ")
    assert started(page) == RunConfig(
        dataset=fruit,
        backbone=catalog.BUILTIN,
        image_size=128,
        strategy="finetune_few",
        epochs=7,
        budget=3600.0,
        seed=42,
    )
    (run,) = workshop.listed()
    assert run.about()["name"] == "My try"


@pytest.mark.slow
def test_each_time_limit_is_as_long_as_it_says(open_page, fruit, keras_home):
    page = open_page("advice", data=fruit)
    seconds = {"minutes": 60, "hour": 3600, "hours": 3600}
    for words_ in _box(page, "selectbox", "Time limit").options:
        _box(page, "selectbox", "Time limit").set_value(words_).run()
        config = started(page)
        number, _, unit = words_.partition(" ")
        assert config.budget == (None if number == "no" else float(number) * seconds[unit])
        workshop.delete(workshop.listed()[0])
        page = open_page("advice", data=fruit)


def test_a_size_that_the_network_does_not_take_is_refused_and_nothing_starts(
    open_page, fruit, keras_home
):
    page = open_page("advice", data=fruit)
    _box(page, "selectbox", "Network").set_value("InceptionV3").run()
    _box(page, "number_input", "Input size in pixels").set_value(40)
    press(page, "start")
    assert title(page) == "Build on a network that can already see."
    assert "75" in page.error[0].value
    assert workshop.listed() == []
    assert jobs.active() == []
    _box(page, "number_input", "Input size in pixels").set_value(75)
    assert started(page).image_size == 75


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", "**x** ![x](//e.org/x)", "قطط 猫"])
def test_a_name_is_only_ever_text(open_page, fruit, keras_home, name):
    datasets.rename(fruit, name)
    page = open_page("advice", data=fruit)
    assert harmless(page)
    assert _box(page, "text_input", "Name of this run").value == f"{name}, Built-in"
    press(page, "start")
    assert html.escape(name) in markup(page)
    assert harmless(page)


def test_a_name_that_a_run_has_already_is_numbered(open_page, fruit, keras_home):
    for name in ("Fruit, Built-in", "Fruit, Built-in (2)", "Fruit, Built-in (3)"):
        page = open_page("advice", data=fruit)
        assert _box(page, "text_input", "Name of this run").value == name
        press(page, "start")
    assert next(run.about()["name"] for run in workshop.listed()) == "Fruit, Built-in (3)"


def test_a_long_name_that_a_run_has_already_is_numbered_too(open_page, fruit, keras_home):
    datasets.rename(fruit, "f" * 80)
    for _ in range(2):
        press(open_page("advice", data=fruit), "start")
    newer, older = (str(run.about()["name"]) for run in workshop.listed())
    assert newer == f"{older} (2)"


def test_the_start_button_waits_for_nobody(open_page, fruit, keras_home, home: Path):
    """Pressed twice, there are two runs: each is one, with a folder and a job of its own."""
    first = press(open_page("advice", data=fruit), "start").query_params["run"]
    page = press(open_page("advice", data=fruit), "start")
    assert page.query_params["run"] != first
    assert title(page) == "Waiting for its turn: place 2 of 2."
    assert len(list((home / "runs").iterdir())) == 2
