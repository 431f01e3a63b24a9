"""What the user says of changes: checked once, JSON both ways, in words for a menu."""

import dataclasses
import json
from pathlib import Path

import pytest

from transfer import catalog, changes, cli, commands
from transfer.changes import CHOICES, LEVELS, RANGES, Amounts, Changes
from transfer.config import RunConfig
from transfer.dataset.index import ImageIndex
from transfer.errors import SettingsError

FIELDS = [one.name for one in dataclasses.fields(Amounts)]
SAFE = {"safe": True, "accuracy": 0.91, "changed": 0.9, "n": 200}
UNSAFE = {"safe": False, "accuracy": 0.91, "changed": 0.7, "n": 200}


class TestSettings:
    def test_both_ways_through_json(self):
        said = Changes("strong", upside_down=True, rotation=15.5, randaugment=3, mixup=0.2)
        assert Changes.from_json(json.loads(json.dumps(said.to_json()))) == said
        config = RunConfig("d", "builtin", 96, changes=said)
        assert RunConfig.from_json(json.loads(json.dumps(config.to_json()))) == config

    def test_runs_from_before_open_with_nothing_said(self):
        value = RunConfig("d", "builtin", 96).to_json()
        del value["changes"]
        assert RunConfig.from_json(value) == RunConfig("d", "builtin", 96)

    def test_what_differs_is_named(self):
        one = RunConfig("d", "builtin", 96)
        other = RunConfig("d", "builtin", 96, changes=Changes(mixup=0.2))
        assert one.differences(other) == ["mixup was left open and is 0.2"]
        assert one.differences(RunConfig("d", "builtin", 96, changes=Changes())) == []

    @pytest.mark.parametrize(("name", "ends"), RANGES.items())
    def test_each_range_is_kept_and_said(self, name: str, ends: tuple[float, float]):
        low, high = ends
        for value in (low, high):
            assert getattr(Changes.from_json({name: value}), name) == value
        for value in (low - 0.01, high + 0.01, float("nan")):
            with pytest.raises(SettingsError, match=f"'{name}' should be between {low:g} and"):
                Changes.from_json({name: value})

    def test_other_nonsense_is_refused_with_the_remedy(self):
        with pytest.raises(SettingsError, match="none, light, strong, but is 'medium'"):
            Changes(level="medium")
        with pytest.raises(SettingsError, match="called 'blur'; there are level, upside_down"):
            Changes.from_json({"blur": 1})
        with pytest.raises(SettingsError, match="a whole number"):
            Changes.from_json({"randaugment": 1.5})

    def test_all_lists_name_the_same_changes(self):
        assert [one.name for one in dataclasses.fields(Changes)] == ["level", *FIELDS]
        assert {"upside_down", *RANGES} == set(FIELDS)
        assert {one.name for one in CHOICES} == set(FIELDS)
        assert all(set(values) <= set(FIELDS) for values in LEVELS.values())

    @pytest.mark.parametrize(("name", "ends"), RANGES.items())
    def test_nothing_at_all_is_within_the_range(self, name: str, ends: tuple[float, float]):
        assert ends[0] <= getattr(Amounts(), name) <= ends[1]


class TestAmounts:
    def test_what_is_left_open_follows_the_level(self):
        assert changes.amounts("light", Changes()) == Amounts(crop=0.16, colour=0.2)
        assert changes.amounts("light", Changes("none", mixup=0.2)) == Amounts(mixup=0.2)
        strong = changes.amounts("strong", Changes(erasing=0, randaugment=4))
        assert strong == Amounts(crop=0.16, colour=0.2, randaugment=4)

    def test_only_mixup_and_cutmix_mix(self):
        assert Amounts(mixup=0.1).mixes
        assert Amounts(cutmix=0.1).mixes
        assert not Amounts(erasing=1, randaugment=5).mixes


class TestParsed:
    def test_texts_of_the_command_line(self):
        given = ["level=Strong", "upside-down=yes", "rotation = 15", "randaugment=3", "mixup=.2"]
        assert changes.parsed(given) == Changes(
            "strong", True, rotation=15, randaugment=3, mixup=0.2
        )
        assert changes.parsed([]) == Changes()
        assert changes.parsed(["upside_down=no"]) == Changes(upside_down=False)

    @pytest.mark.parametrize(
        ("given", "words"),
        [("rotation", "NAME=VALUE"), ("=3", "NAME=VALUE"), ("mixup=", "NAME=VALUE"),
         ("mixup=much", "should be a number"), ("upside_down=2", "yes or no"),
         ("blur=1", "called 'blur'"), ("crop=2", "between 0 and 0.6"), ("crop=nan", "between"),
         ("randaugment=1.5", "whole number")],
    )  # fmt: skip
    def test_what_is_not_understood_is_said(self, given: str, words: str):
        with pytest.raises(SettingsError, match=words):
            changes.parsed([given])

    def test_twice_is_once_too_often(self):
        with pytest.raises(SettingsError, match="'upside_down' is said twice"):
            changes.parsed(["upside_down=yes", "upside-down=no"])


def test_the_command_line_fills_the_settings(capsys):
    given = ["train", "d.zip", "--run", "r", "--augment", "mixup=0.2", "--augment", "level=none"]
    options = cli._parser().parse_args(given)
    index = ImageIndex(Path(), "d", ())
    config = commands._settings(options, index, catalog.backbone("builtin"), 96)
    assert config.changes == Changes("none", mixup=0.2)
    assert "changes nothing" not in capsys.readouterr().err
    linear = cli._parser().parse_args([*given, "--strategy", "linear_top"])
    commands._settings(linear, index, catalog.backbone("builtin"), 96)
    assert "--augment changes nothing" in capsys.readouterr().err
    bare = cli._parser().parse_args(given[:4])
    assert commands._settings(bare, index, catalog.backbone("builtin"), 96).changes == Changes()


@pytest.mark.parametrize("choice", CHOICES, ids=lambda one: one.name)
def test_each_choice_has_its_facts_in_one_line(choice):
    assert choice.low <= choice.usual <= choice.high
    said = Changes.from_json({choice.name: choice.usual})
    assert changes.amounts("none", said) != Amounts() or choice.name == "magnitude"
    for words in (choice.what, choice.when, choice.label):
        assert words.endswith(".")
        assert words[0].isupper()
    assert "label" in choice.label
    assert "\n" not in choice.line
    assert len(choice.line) < 260


class TestStatements:
    def test_flips_and_turns_say_what_was_measured(self):
        mirror, turn = changes.statements(Changes(), SAFE, UNSAFE, ["cat", "dog"])
        assert mirror.startswith("Left and right may be swapped: the network sees hardly any")
        assert "91 of 100 answers are right, 90 on mirrored copies" in mirror
        assert turn.startswith("Pictures stay upright: it confuses the network")
        assert "70 on turned copies" in turn

    def test_what_was_not_measured_is_not_said_to_be_safe(self):
        mirror, turn = changes.statements(Changes(), None, None, ["cat", "dog"])
        assert mirror.startswith("Left and right stay, unless you say otherwise")
        assert "measure" in turn

    def test_each_change_that_is_on_is_spoken_of_and_no_other(self):
        quiet = len(changes.statements(Changes(), SAFE, SAFE, ["cat", "dog"]))
        for choice in CHOICES:
            said = Changes.from_json({choice.name: choice.usual})
            found = changes.statements(said, SAFE, SAFE, ["cat", "dog"])
            assert len(found) == quiet + (choice.name != "magnitude"), choice.name
        assert (
            len(changes.statements(Changes(crop=0, mixup=0), SAFE, SAFE, ["a b", "c d"])) == quiet
        )

    def test_the_measured_turn_decides_how_large_rotations_are_judged(self):
        def rotated(by: float, turn: dict) -> str:
            return changes.statements(Changes(rotation=by), SAFE, turn, ["cat", "dog"])[-1]

        assert "fine" in rotated(10, UNSAFE)
        assert "may change the label" in rotated(90, UNSAFE)
        assert "fine: even quarter turns are" in rotated(90, SAFE)

    def test_upside_down_needs_both_to_be_harmless(self):
        def over(mirror: dict, turn: dict | None) -> str:
            return changes.statements(Changes(upside_down=True), mirror, turn, ["cat", "dog"])[-1]

        assert "is fine" in over(SAFE, SAFE)
        assert "may change the label" in over(SAFE, UNSAFE)
        assert "may change the label" in over(SAFE, None)

    @pytest.mark.parametrize(
        ("said", "classes", "hit"),
        [
            (Changes(), ["turn-left", "turn-right"], "swapping left and right would change"),
            (Changes(), ["6", "9"], "letters and digits become others"),
            (Changes(), ["arrow up", "arrow_down"], "turning or flipping"),
            (Changes(colour=0.2), ["red pepper", "green_pepper"], "changing colours may"),
            (Changes(cutmix=1), ["ok", "Scratch"], "one small place may decide"),
            (Changes(stretching=1.3), ["round", "oval"], "scaling, stretching and bending"),
        ],
    )
    def test_names_of_classes_make_it_careful(self, said: Changes, classes: list[str], hit: str):
        found = changes.statements(said, SAFE, SAFE, classes)
        assert any(hit in one for one in found)
        plain = changes.statements(said, SAFE, SAFE, ["cat", "dog"])
        assert not any(hit in one for one in plain)

    def test_parts_of_words_are_no_words(self):
        found = changes.statements(Changes(colour=0.2), SAFE, SAFE, ["bred", "upright", "lefty"])
        assert not any("Mind" in one for one in found)

    def test_cutmix_is_said_to_be_wrong_for_small_defects(self):
        found = " ".join(changes.statements(Changes(cutmix=1), SAFE, SAFE, ["cat", "dog"]))
        assert "fine where one object fills the picture; off for defects" in found

    def test_a_crop_says_how_much_it_keeps(self):
        found = " ".join(changes.statements(Changes(scale=2.0), SAFE, SAFE, ["cat", "dog"]))
        assert "at least 25 % of each picture" in found
