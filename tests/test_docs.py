"""What the README says is so."""

import re
from pathlib import Path

from PIL import Image

from app import state
from tests.conftest import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_snippet_is_the_one_that_is_exported_and_tested():
    from transfer import export

    assert export.SNIPPET in README
    assert len(export.SNIPPET.strip().splitlines()) <= 13


def test_every_command_and_option_is_described():
    from transfer import cli

    actions = cli._parser()._actions
    commands = next(action.choices for action in actions if isinstance(action.choices, dict))
    for name, command in commands.items():
        assert f"`{name}" in README, name
        for action in command._actions:
            for option in action.option_strings:
                if option not in ("-h", "--help"):
                    assert option in README, option


def test_every_change_of_pictures_is_named():
    from transfer import changes

    told = next(line for line in README.splitlines() if line.startswith("**Changed pictures.**"))
    for choice in changes.CHOICES:
        assert f"`{choice.name}`" in told, choice.name


def test_the_tree_names_files_that_are_there():
    tree = README.split("How the code is laid out")[1].split("```")[1]
    for name in re.findall(r"[a-z_]+\.(?:py|sh|md)\b", tree):
        places = [ROOT / folder for folder in ("app", "transfer", "benchmarks", "scripts", "tests")]
        assert any(list(place.rglob(name)) for place in places), name


def test_the_make_targets_exist():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"`?make ([a-z]+)`", README):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_the_pictures_are_there():
    shown = re.findall(r"!\[.+?\]\((.+?)\)", README)
    assert {Path(name).stem for name in shown} == {*state.PAGES}
    for name in shown:
        with Image.open(ROOT / name) as picture:
            assert picture.width >= 1000, name
