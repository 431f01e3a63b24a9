"""What the README says is so."""

import re

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
        if name == "demo":  # what `make run` does, until there is an app
            continue
        assert f"`{name}" in README, name
        for action in command._actions:
            for option in action.option_strings:
                if option not in ("-h", "--help"):
                    assert option in README, option


def test_the_tree_names_files_that_are_there():
    tree = README.split("How the code is laid out")[1].split("```")[1]
    for name in re.findall(r"[a-z_]+\.(?:py|sh|md)\b", tree):
        places = [ROOT / folder for folder in ("transfer", "benchmarks", "scripts", "tests")]
        assert any(list(place.rglob(name)) for place in places), name


def test_the_make_targets_exist():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"`?make ([a-z]+)`", README):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
