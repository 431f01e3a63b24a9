"""The expert's choices: checked one by one, told apart from the usual, written as text and back."""

import pytest

from app import choices
from app.choices import Choices
from transfer.changes import CHOICES, Changes
from transfer.config import RunConfig
from transfer.errors import SettingsError
from transfer.recipe import Recipe
from transfer.toolbox import SETTINGS

_OTHER = {
    "optimizer": "momentum", "schedule": "step", "warm_up": 0.2, "learning_rate": 3e-4, "drop": 0.5,
    "drops": 3, "cycles": 2, "plateau_patience": 4, "batch_size": 16, "weight_decay": 0.1,
    "l1": 1e-4, "l2": 1e-3, "dropout": 0.5, "drop_connect": 0.3, "label_smoothing": 0.0,
    "frozen_level": -2, "early_stopping": False, "patience": 9, "level": "strong",
    "upside_down": True, "crop": 0.3, "scale": 1.5, "translation": 0.1, "rotation": 20.0,
    "stretching": 1.3, "shear": 8.0, "lens": 0.1, "colour": 0.4, "pca_colour": 0.1,
    "randaugment": 3, "magnitude": 0.5, "erasing": 0.5, "mixup": 0.2, "cutmix": 1.0,
}  # fmt: skip


def test_the_whole_toolbox_is_there():
    expected = {one.name for one in (*SETTINGS, *CHOICES)} | {"level"}
    assert set(choices.names()) == expected == set(_OTHER)


def test_as_they_stand_they_are_the_usual_settings():
    assert RunConfig("a", "builtin", 96, **Choices().settings) == RunConfig("a", "builtin", 96)
    assert Choices().told == "All choices are the usual ones."
    assert (Choices().different, Choices().to_text()) == ({}, None)


@pytest.mark.parametrize("name", _OTHER)
def test_each_goes_into_the_settings_of_a_run_and_through_text(name):
    made = Choices().put(name, _OTHER[name])
    assert made.get(name) == _OTHER[name]
    assert made.different == {name: _OTHER[name]}
    assert made.told == f"1 choice differs from the usual: {choices.title(name)}."
    assert choices.from_text(made.to_text()) == made
    config = RunConfig("a", "builtin", 96, **made.settings)
    flat = {**vars(config), **vars(config.recipe), **vars(config.changes)}
    assert flat[name] == _OTHER[name]
    assert len(config.differences(RunConfig("a", "builtin", 96))) == 1
    assert made.put(name, None) == Choices()


def test_several_at_once_are_named():
    made = Choices().put("optimizer", "sgd").put("l2", 1e-3).put("crop", 0.2)
    assert made.told == "3 choices differ from the usual: Optimizer, L2 and Crop."
    assert (made.recipe, made.changes) == (Recipe("sgd", l2=1e-3), Changes(crop=0.2))


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [("dropout", 3.0, "‘Dropout’ should be between 0.0 and 0.95"),
     ("warm_up", -1.0, "‘Warm-up’ should be between"),
     ("crop", 0.9, "‘Crop’ should be between 0 and 0.6"),
     ("learning_rate", float("nan"), "‘Learning rate’ should be between")],
)  # fmt: skip
def test_what_is_out_of_range_is_said_in_the_words_of_the_page(name, value, words):
    with pytest.raises(SettingsError) as caught:
        Choices().put(name, value)
    assert words in str(caught.value)
    assert "--" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    ["", "null", "[]", "{", '{"unknown": 1}', '{"l2": "much"}', '{"l2": NaN}', '{"l2": true}',
     '{"dropout": 7}', '{"optimizer": 3}', '{"optimizer": "magic"}', '{"drops": 2.5}',
     '{"early_stopping": 1}', '{"level": "wild"}'],
)  # fmt: skip
def test_text_that_cannot_be_used_is_the_usual(text):
    assert choices.from_text(text) == Choices()
    assert choices.from_text(None) == Choices()


def test_only_what_matters_is_asked():
    made = Choices()
    asked = [name for name in ("drop", "drops", "cycles", "plateau_patience") if made.matters(name)]
    assert asked == []
    steps = made.put("schedule", "step")
    assert [steps.matters(n) for n in ("drop", "drops", "cycles")] == [True, True, False]
    assert made.matters("patience")
    assert not made.put("early_stopping", False).matters("patience")
    assert not made.put("randaugment", 0).matters("magnitude")


def test_what_is_done_holds_what_the_level_does():
    assert Choices().done("finetune_few") == Changes(crop=0.16, colour=0.2)
    strong = Changes(crop=0.16, colour=0.2, randaugment=2, erasing=0.25)
    assert Choices().done("finetune_many") == strong
    made = Choices().put("level", "none").put("rotation", 15.0)
    assert made.done("finetune_many") == Changes("none", rotation=15.0)
    assert Choices().put("crop", 0.0).done("finetune_few") == Changes(colour=0.2)


def test_flips_follow_what_is_said_then_what_is_guessed_where_pictures_are_changed():
    assert Choices().flips((None, None), (True, False)) == (True, False)
    assert Choices().flips((False, True), (True, False)) == (False, True)
    still = Choices().put("level", "none")
    assert still.flips((None, True), (True, False)) == (False, True)
