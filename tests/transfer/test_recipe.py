"""The expert's choices: checked with a remedy, JSON both ways, told apart in words."""

import dataclasses
import json
import typing

import pytest

from transfer import cli, commanding, toolbox
from transfer.config import RunConfig
from transfer.errors import SettingsError
from transfer.recipe import Recipe

CONFIG = RunConfig(dataset="d", backbone="builtin", image_size=96)


@pytest.mark.parametrize(
    ("choice", "value", "words"),
    [
        ("optimizer", "adm", "Did you mean 'adam'"),
        ("optimizer", "zzz", "Choose one of: adamw, sgd"),
        ("schedule", "cosin", "Did you mean 'cosine'"),
        ("warm_up", 0.95, "--warm-up should be between 0.0 and 0.9, but is 0.95"),
        ("drop", 0.0, "--drop"),
        ("drops", 0, "--drops"),
        ("cycles", 1.5, "--cycles should be a whole number"),
        ("plateau_patience", 0, "--plateau-patience"),
        ("l1", -1.0, "--l1"),
        ("l2", float("nan"), "--l2"),
        ("drop_connect", 1.0, "--drop-connect"),
        ("label_smoothing", 1.0, "--label-smoothing"),
        ("frozen_level", 11, "--frozen-level"),
    ],
)
def test_what_is_out_of_range_is_refused_with_the_remedy(choice, value, words):
    with pytest.raises(SettingsError, match=words):
        Recipe(**{choice: value})


@pytest.mark.parametrize(
    ("setting", "value"),
    [("learning_rate", 0.0), ("learning_rate", float("nan")), ("weight_decay", -0.1),
     ("dropout", 1.0), ("batch_size", 0), ("patience", 0)],
)  # fmt: skip
def test_the_settings_of_the_run_that_belong_to_it_are_checked_too(setting, value):
    with pytest.raises(SettingsError, match="--" + setting.replace("_", "-")):
        RunConfig(**{**vars(CONFIG), setting: value})


def test_both_ways_through_json():
    recipe = Recipe(optimizer="radam", schedule="plateau", l1=1e-4, frozen_level=-2)
    config = RunConfig.from_json({**CONFIG.to_json(), "recipe": recipe.to_json()})
    assert config.recipe == recipe
    assert RunConfig.from_json(json.loads(json.dumps(config.to_json()))) == config


def test_a_run_from_before_there_was_a_choice_is_as_usual():
    old = CONFIG.to_json()
    del old["recipe"]
    assert RunConfig.from_json(old) == CONFIG
    assert RunConfig.from_json({**old, "recipe": {}}) == CONFIG


def test_a_choice_of_another_version_is_named():
    later = {**CONFIG.to_json(), "recipe": {"optimizer": "adamw", "momentum": 0.9}}
    with pytest.raises(SettingsError, match="'momentum'"):
        RunConfig.from_json(later)


def test_differences_speak_of_choices_as_of_settings():
    other = RunConfig.from_json(
        {**CONFIG.to_json(), "seed": 1, "recipe": {"optimizer": "sgd", "frozen_level": 2}}
    )
    assert CONFIG.differences(other) == [
        "seed was 0 and is 1",
        "optimizer was adamw and is sgd",
        "frozen level was left open and is 2",
    ]
    assert CONFIG.differences(CONFIG) == []


def _said(*options: str) -> RunConfig:
    given = cli._parser().parse_args(["train", "data", "--run", "run", *options])
    return dataclasses.replace(CONFIG, **commanding.expert_settings(given))


def test_each_choice_has_an_option_of_the_command_line():
    assert _said() == CONFIG
    options = ("--optimizer radam --schedule step --warm-up 0.2 --learning-rate 0.01 --drop 0.5"
               " --drops 3 --cycles 2 --plateau-patience 4 --batch-size 16 --weight-decay 0"
               " --l1 1e-5 --l2 1e-4 --dropout 0 --drop-connect 0.3 --label-smoothing 0"
               " --frozen-level -2 --no-early-stopping --patience 7")  # fmt: skip
    config = _said(*options.split())
    assert config.recipe == Recipe(
        optimizer="radam", schedule="step", warm_up=0.2, drop=0.5, drops=3, cycles=2,
        plateau_patience=4, l1=1e-5, l2=1e-4, drop_connect=0.3, label_smoothing=0.0,
        frozen_level=-2, early_stopping=False,
    )  # fmt: skip
    own = (config.learning_rate, config.batch_size, config.weight_decay, config.dropout)
    assert (*own, config.patience) == (0.01, 16, 0.0, 0.0, 7)
    assert all(one.option in options.replace("--no-", "--") for one in toolbox.SETTINGS)


@pytest.mark.parametrize("option", [("--l1", "-1"), ("--optimizer", "sdg"), ("--drops", "1.5")])
def test_a_wrong_option_ends_with_a_sentence(option, command, tmp_path):
    (tmp_path / "data").mkdir()
    status, answer, _ = command("train", tmp_path / "data", "--run", tmp_path / "run", *option)
    assert status == 2
    assert option[0] in answer["error"]


def test_a_remedy_changes_what_it_names_and_nothing_else():
    before = CONFIG.changed({"recipe": {"optimizer": "sgd", "l2": 1e-4}})
    after = before.changed({"learning_rate": 1e-4, "recipe": {"l2": 1e-3}})
    assert after == dataclasses.replace(
        CONFIG, learning_rate=1e-4, recipe=Recipe(optimizer="sgd", l2=1e-3)
    )
    assert after.changed({}) == after
    for wrong in ({"luck": 1}, {"recipe": {"luck": 1}}, {"recipe": {"l2": -1.0}}):
        with pytest.raises(SettingsError):
            CONFIG.changed(wrong)


def test_every_choice_has_a_line_in_the_menu():
    of_recipe = {one.name for one in toolbox.SETTINGS if one.in_recipe}
    assert of_recipe == {field.name for field in dataclasses.fields(Recipe)}
    for one in toolbox.SETTINGS:
        owner = Recipe if one.in_recipe else RunConfig
        kind = typing.get_type_hints(owner)[one.name]
        assert one.kind in (kind, *typing.get_args(kind)), one.name
    entries = [*toolbox.SETTINGS, *toolbox.OPTIMIZERS, *toolbox.SCHEDULES]
    for one in entries:
        assert one.title and one.summary.endswith("."), one.name
        assert len(one.summary) < 160, one.name
    assert len({one.option for one in toolbox.SETTINGS}) == len(toolbox.SETTINGS)


def test_the_first_entry_of_each_menu_is_the_default():
    for one in toolbox.SETTINGS:
        if one.choices:
            assert getattr(Recipe(), one.name) == one.choices[0].name
